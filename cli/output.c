/* What the user sees: tables that line up, JSON, YAML, errors. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/mem.h"
#include "cli/cli.h"

/* Columns that a string takes on a terminal. */
static int width_of(const char *s)
{
    wchar_t wide[1024];
    size_t n = mbstowcs(wide, s, 1024);
    int w = n == (size_t)-1 ? -1 : wcswidth(wide, n);
    return w < 0 ? (int)strlen(s) : w;
}

static char *size_text(double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t u = 0;
    while (bytes >= 1024 && u + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        u++;
    }
    return bytes == (double)(long long)bytes ? hf_printf("%lld %s", (long long)bytes, units[u])
                                             : hf_printf("%.1f %s", bytes, units[u]);
}

static char *time_text(long long unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    char text[32];
    localtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    return hf_printf("%s.%03lld", text, unix_ms % 1000);
}

static char *since_text(long long unix_ms)
{
    long long s = (long long)time(NULL) - unix_ms / 1000;
    if (s < 120)
        return hf_printf(_("%lld s ago"), s);
    if (s < 7200)
        return hf_printf(_("%lld min ago"), s / 60);
    return hf_printf(_("%lld h ago"), s / 3600);
}

static long long number_of(const json_t *v)
{
    return json_is_string(v) ? atoll(json_string_value(v)) : (long long)json_number_value(v);
}

/* The user's word for an enum's value; a value that is not there is the first one. */
static char *choice_text(const char *choices, const char *value)
{
    for (const char *p = choices; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        size_t word = strcspn(p, "="), whole = strcspn(p, " ");
        if (!value || (strlen(value) == whole - word - 1 && strncmp(p + word + 1, value, whole - word - 1) == 0))
            return hf_strndup(p, word);
    }
    return hf_strdup(value);
}

static char *scalar_text(const struct cli_column *c, const json_t *v)
{
    if (c->format && strchr(c->format, '='))
        return choice_text(c->format, json_string_value(v));
    if (!v || json_is_null(v))
        return hf_strdup("");
    if (c->format && number_of(v) == 0)
        return hf_strdup("");
    if (c->format && strcmp(c->format, "size") == 0)
        return size_text((double)number_of(v));
    if (c->format && strcmp(c->format, "time") == 0)
        return time_text(number_of(v));
    if (c->format && strcmp(c->format, "since") == 0)
        return since_text(number_of(v));
    if (json_is_string(v))
        return hf_strdup(c->ref && *json_string_value(v) ? cli_name_of(c->ref, json_string_value(v)) : json_string_value(v));
    if (json_is_boolean(v))
        return hf_strdup(json_is_true(v) ? _("yes") : _("no"));
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    char *copy = hf_strdup(text ? text : "");
    free(text);
    return copy;
}

static char *joined(char *so_far, char *more)
{
    char *whole = *so_far ? hf_printf("%s,%s", so_far, more) : hf_strdup(more);
    free(so_far);
    free(more);
    return whole;
}

/* A path may lead through a list ("spec.nics.ip") or end in one: the values stand with commas. */
static char *cell_text(const struct cli_column *c, const json_t *row)
{
    char head[128];
    for (const char *dot = c->path;; dot++) {
        dot += strcspn(dot, ".");
        snprintf(head, sizeof head, "%.*s", (int)(dot - c->path), c->path);
        json_t *v = cli_json_at(row, head);
        if (json_is_array(v)) {
            char *text = hf_strdup("");
            size_t i;
            json_t *item;
            json_array_foreach(v, i, item)
                text = joined(text, scalar_text(c, *dot ? cli_json_at(item, dot + 1) : item));
            return text;
        }
        if (!*dot)
            return scalar_text(c, v);
    }
}

static size_t count_columns(const struct cli_column *columns)
{
    size_t n = 0;
    while (columns[n].title)
        n++;
    return n;
}

static void print_line(char *const *cells, const int *widths, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fputs(cells[i], stdout);
        if (i + 1 < n)
            printf("%*s", widths[i] - width_of(cells[i]) + 2, "");
    }
    putchar('\n');
}

static void print_table(const struct cli_column *columns, json_t *rows)
{
    size_t n = count_columns(columns), n_rows = json_array_size(rows);
    char **cells = hf_alloc_array((n_rows + 1) * n, sizeof *cells);
    int *widths = hf_alloc_array(n, sizeof *widths);
    for (size_t r = 0; r <= n_rows; r++)
        for (size_t i = 0; i < n; i++) {
            char *text = r == 0 ? hf_strdup(_(columns[i].title)) : cell_text(&columns[i], json_array_get(rows, r - 1));
            cells[r * n + i] = text;
            if (width_of(text) > widths[i] && !(r == 0 && cli_options.no_headers))
                widths[i] = width_of(text);
        }
    for (size_t r = cli_options.no_headers ? 1 : 0; r <= n_rows; r++)
        print_line(cells + r * n, widths, n);
    for (size_t i = 0; i < (n_rows + 1) * n; i++)
        free(cells[i]);
    free(cells);
    free(widths);
}

/* --- YAML: JSON's types in block style; strings are quoted as in JSON, which YAML reads --- */

static void print_yaml(const json_t *v, int indent, bool in_list);

static void print_yaml_scalar(const json_t *v)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    puts(text);
    free(text);
}

static void print_yaml_member(const json_t *v, int indent)
{
    bool block = (json_is_object(v) && json_object_size(v) > 0) || (json_is_array(v) && json_array_size(v) > 0);
    if (!block) {
        putchar(' ');
        print_yaml_scalar(v);
        return;
    }
    putchar('\n');
    print_yaml(v, indent, false);
}

static void print_yaml(const json_t *v, int indent, bool in_list)
{
    const char *key;
    json_t *item;
    size_t i;
    bool first = in_list;
    if (json_is_object(v)) {
        json_object_foreach((json_t *)v, key, item) {
            printf("%*s%s:", first ? 0 : indent, "", key);
            first = false;
            print_yaml_member(item, indent + 2);
        }
    } else if (json_is_array(v)) {
        json_array_foreach(v, i, item) {
            printf("%*s- ", indent, "");
            print_yaml(item, indent + 2, true);
        }
    } else {
        print_yaml_scalar(v);
    }
}

void cli_print_object(json_t *object)
{
    if (cli_options.format == CLI_JSON) {
        json_dumpf(object, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_yaml(object, 0, false);
    }
}

void cli_print_rows(const struct cli_column *columns, json_t *rows)
{
    if (cli_options.format == CLI_TABLE)
        print_table(columns, rows);
    else
        cli_print_object(rows);
}

void cli_note(const char *fmt, ...)
{
    if (cli_options.format != CLI_TABLE)
        return;
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

enum cli_exit cli_fail(hf_status st)
{
    fprintf(stderr, "holdfast: %s\n", hf_status_message(st));
    enum cli_exit code = CLI_FAILED;
    switch (hf_status_code(st)) {
    case HF_NOT_FOUND:
        code = CLI_NOT_FOUND;
        break;
    case HF_UNAVAILABLE:
    case HF_NOT_LEADER:
        code = CLI_UNAVAILABLE;
        break;
    case HF_UNKNOWN_OUTCOME:
    case HF_TIMEOUT:
        code = CLI_UNKNOWN;
        break;
    default:
        break;
    }
    hf_status_drop(st);
    return code;
}
