/* Requests as JSON: field paths of the table in, lowerCamelCase objects out. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/cli.h"

#define PATH_PART_MAX 64

/* Reads one part of a path ("ip_ranges[0]."): its camelCase name, and whether a list element follows. */
static const char *next_part(const char *path, char name[PATH_PART_MAX], bool *list)
{
    size_t n = 0;
    for (; *path && *path != '.' && *path != '['; path++) {
        bool hump = *path == '_' && path[1];
        if (hump)
            path++;
        if (n + 1 < PATH_PART_MAX)
            name[n++] = hump ? (char)toupper((unsigned char)*path) : *path;
    }
    name[n] = '\0';
    *list = *path == '[';
    if (*list)
        path = strchr(path, ']') + 1;
    if (*path == '.')
        path++;
    return path;
}

static json_t *member(json_t *object, const char *name, json_t *(*make)(void))
{
    json_t *v = json_object_get(object, name);
    if (!v) {
        v = make();
        json_object_set_new(object, name, v);
    }
    return v;
}

void cli_json_set(json_t *root, const char *path, json_t *value)
{
    char name[PATH_PART_MAX];
    bool list;
    for (;;) {
        path = next_part(path, name, &list);
        if (!list && !*path) {
            json_object_set_new(root, name, value);
            return;
        }
        if (!list) {
            root = member(root, name, json_object);
            continue;
        }
        json_t *items = member(root, name, json_array);
        if (!*path) {
            json_array_append_new(items, value); /* "dns[]" */
            return;
        }
        if (json_array_size(items) == 0) /* "ip_ranges[0].…": the one element that the CLI fills */
            json_array_append_new(items, json_object());
        root = json_array_get(items, 0);
    }
}

json_t *cli_json_at(const json_t *root, const char *path)
{
    const json_t *at = root;
    char name[PATH_PART_MAX];
    while (at && *path) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof name || !json_is_object(at))
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        at = json_object_get(at, name);
        path += path[len] == '.' ? len + 1 : len;
    }
    return (json_t *)at;
}

hf_status cli_size_parse(const char *text, long long *ret)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    if (end == text || errno || n < 0)
        return hf_error(HF_INVALID, _("'%s' is no size: give bytes, or a number with K, M, G or T"), text);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (*end && (!unit || (end[1] && strcasecmp(end + 1, "B") != 0 && strcasecmp(end + 1, "iB") != 0)))
        return hf_error(HF_INVALID, _("'%s' is no size: give bytes, or a number with K, M, G or T"), text);
    for (const char *u = units; unit && u <= unit; u++)
        n *= 1024;
    if (n > 9e18)
        return hf_error(HF_INVALID, _("'%s' is too large"), text);
    *ret = (long long)n;
    return HF_STATUS_OK;
}

static hf_status choice_value(const struct cli_flag *f, const char *word, json_t **ret)
{
    for (const char *p = f->choices; p && *p;) {
        size_t len = strcspn(p, "=");
        size_t end = strcspn(p, " ");
        if (strlen(word) == len && strncasecmp(p, word, len) == 0) {
            *ret = json_stringn(p + len + 1, end - len - 1);
            return HF_STATUS_OK;
        }
        p += end;
        p += strspn(p, " ");
    }
    return hf_error(HF_INVALID, _("--%s: '%s' is none of its values; see --help"), f->name, word);
}

static hf_status int_value(const struct cli_flag *f, const char *text, json_t **ret)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return hf_error(HF_INVALID, _("--%s: '%s' is no whole number"), f->name, text);
    *ret = json_integer(n);
    return HF_STATUS_OK;
}

static hf_status ref_value(const struct cli_flag *f, const char *text, json_t **ret)
{
    char uuid[33];
    HF_TRY(hf_wrap(cli_resolve(f->ref, text, uuid), "--%s", f->name));
    *ret = json_string(uuid);
    return HF_STATUS_OK;
}

static hf_status fill_range(const struct cli_flag *f, const char *text, json_t *root)
{
    const char *dash = strchr(text, '-');
    if (!dash)
        return hf_error(HF_INVALID, _("--%s: '%s' is no range: give FIRST-LAST"), f->name, text);
    char *start = hf_printf("%s.start_ip", f->path), *end = hf_printf("%s.end_ip", f->path);
    cli_json_set(root, start, json_stringn(text, (size_t)(dash - text)));
    cli_json_set(root, end, json_string(dash + 1));
    free(start);
    free(end);
    return HF_STATUS_OK;
}

static hf_status file_bytes(const char *path, long long *ret)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return hf_errno(errno, _("look at '%s'"), path);
    if (!S_ISREG(s.st_mode) || s.st_size == 0)
        return hf_error(HF_INVALID, _("'%s' is not a file with something in it"), path);
    *ret = s.st_size;
    return HF_STATUS_OK;
}

static hf_status flag_value(const struct cli_given *g, json_t **ret)
{
    long long bytes;
    switch (g->flag->type) {
    case CLI_INT:
        return int_value(g->flag, g->value, ret);
    case CLI_SIZE:
        HF_TRY(hf_wrap(cli_size_parse(g->value, &bytes), "--%s", g->flag->name));
        *ret = json_integer(bytes);
        return HF_STATUS_OK;
    case CLI_FILE:
        HF_TRY(hf_wrap(file_bytes(g->value, &bytes), "--%s", g->flag->name));
        *ret = json_integer(bytes);
        return HF_STATUS_OK;
    case CLI_BOOL:
        *ret = json_true();
        return HF_STATUS_OK;
    case CLI_NO:
        *ret = json_false();
        return HF_STATUS_OK;
    case CLI_CHOICE:
        return choice_value(g->flag, g->value, ret);
    case CLI_REF:
        return ref_value(g->flag, g->value, ret);
    default:
        *ret = json_string(g->value);
        return *ret ? HF_STATUS_OK : hf_error(HF_INVALID, _("--%s: the value is not UTF-8"), g->flag->name);
    }
}

/* The first line of a file, so that a password needs no command line. */
static hf_status line_of_file(const char *path, char **ret)
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return hf_errno(errno, _("read '%s'"), path);
    ssize_t n = getline(&line, &room, f);
    fclose(f);
    if (n < 0)
        line = hf_strdup("");
    else
        line[strcspn(line, "\r\n")] = '\0';
    *ret = line;
    return HF_STATUS_OK;
}

static hf_status fill_pair(const struct cli_flag *f, const char *text, json_t *root)
{
    const char *equals = strchr(text, '=');
    char *value = NULL;
    if (!equals)
        return hf_error(HF_INVALID, _("--%s: '%s' is not NAME=VALUE"), f->name, text);
    if (equals[1] == '@')
        HF_TRY(hf_wrap(line_of_file(equals + 2, &value), "--%s", f->name));
    json_t *pair = json_pack("{s:o, s:s}", "name", json_stringn(text, (size_t)(equals - text)), "value", value ? value : equals + 1);
    free(value);
    if (!pair)
        return hf_error(HF_INVALID, _("--%s: the value is not UTF-8"), f->name);
    cli_json_set(root, f->path, pair);
    return HF_STATUS_OK;
}

static hf_status fill_secret(const struct cli_flag *f, const char *text, json_t *root)
{
    char *value = NULL;
    if (text[0] == '@')
        HF_TRY(hf_wrap(line_of_file(text + 1, &value), "--%s", f->name));
    json_t *string = json_string(value ? value : text);
    free(value);
    if (!string)
        return hf_error(HF_INVALID, _("--%s: the value is not UTF-8"), f->name);
    cli_json_set(root, f->path, string);
    return HF_STATUS_OK;
}

/* A list that is set to nothing: an empty value for a repeatable flag. */
static bool clears_list(const struct cli_given *g)
{
    size_t len = strlen(g->flag->path);
    return g->flag->type == CLI_REF && !*g->value && len > 2 && strcmp(g->flag->path + len - 2, "[]") == 0;
}

hf_status cli_request_fill(const struct cli_args *args, json_t *root, const char **mask, size_t *n_mask)
{
    for (size_t i = 0; i < args->n_given; i++) {
        const struct cli_given *g = &args->given[i];
        if (g->flag->type == CLI_RANGE) {
            HF_TRY(fill_range(g->flag, g->value, root));
        } else if (g->flag->type == CLI_PAIR) {
            HF_TRY(fill_pair(g->flag, g->value, root));
        } else if (g->flag->type == CLI_SECRET) {
            HF_TRY(fill_secret(g->flag, g->value, root));
        } else if (!clears_list(g)) {
            json_t *value = NULL;
            HF_TRY(flag_value(g, &value));
            cli_json_set(root, g->flag->path, value);
        }
        if (mask && strcmp(g->flag->path, "meta.revision") != 0)
            mask[(*n_mask)++] = g->flag->path;
    }
    return HF_STATUS_OK;
}
