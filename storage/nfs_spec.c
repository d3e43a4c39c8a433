#include "storage/nfs_spec.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "storage/layout.h"

/* --- the export --- */

static hf_status check_server(const char *url, const char *server)
{
    struct in_addr address;
    size_t len = strlen(server);
    if (server[0] == '[')
        return hf_error(HF_INVALID,
                        "'%.200s': IPv6 servers are not supported: name the server by IPv4 or host name",
                        url);
    if (len == 0 || len >= HF_NFS_SERVER_MAX || server[0] == '-' || server[0] == '.' ||
        server[len - 1] == '-')
        return hf_error(HF_INVALID, "'%.200s' names no server: write for example 10.0.0.5:/export", url);
    if (strspn(server, "0123456789.") == len) {
        if (inet_pton(AF_INET, server, &address) != 1)
            return hf_error(HF_INVALID, "'%.200s': '%s' is no IPv4 address", url, server);
        return HF_STATUS_OK;
    }
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)server[i]) && server[i] != '-' && server[i] != '.')
            return hf_error(HF_INVALID, "'%.200s': '%s' is neither a host name nor an IPv4 address", url,
                            server);
    return HF_STATUS_OK;
}

static hf_status check_export(const char *url, const char *path)
{
    char normal[HF_STORAGE_PATH_MAX];
    if (path[0] != '/')
        return hf_error(HF_INVALID, "'%.200s': the export '%.200s' does not begin with '/'", url, path);
    for (const char *c = path; *c; c++)
        if (iscntrl((unsigned char)*c) || isspace((unsigned char)*c) || *c == '\\')
            return hf_error(HF_INVALID,
                            "'%.200s': the export has a blank, a backslash or a control character", url);
    if (!hf_path_normalize(path, normal))
        return hf_error(HF_INVALID, "'%.200s': the export is longer than %d bytes", url,
                        HF_STORAGE_PATH_MAX - 1);
    if (strcmp(path, normal) != 0)
        return hf_error(HF_INVALID, "'%.200s': the export is not normalized: write '%.200s'", url, normal);
    return HF_STATUS_OK;
}

hf_status hf_nfs_url_check(const char *url, char ret_server[HF_NFS_SERVER_MAX])
{
    char server[HF_NFS_URL_MAX];
    if (url == NULL || url[0] == '\0')
        return hf_error(HF_INVALID, "the NFS export is missing: write for example 10.0.0.5:/export");
    if (strlen(url) >= HF_NFS_URL_MAX)
        return hf_error(HF_INVALID, "the NFS export is longer than %d bytes", HF_NFS_URL_MAX - 1);
    const char *colon = url[0] == '[' ? strstr(url, "]:") : strchr(url, ':');
    if (colon == NULL)
        return hf_error(HF_INVALID, "'%.200s' is no NFS export: write for example 10.0.0.5:/export", url);
    snprintf(server, sizeof server, "%.*s", (int)(colon - url), url);
    HF_TRY(check_server(url, server));
    HF_TRY(check_export(url, colon + 1));
    if (ret_server)
        snprintf(ret_server, HF_NFS_SERVER_MAX, "%s", server);
    return HF_STATUS_OK;
}

/* --- options --- */

/* values: NULL: takes none; "": any word; "#": a number; else the words that it takes. */
static const struct option_rule {
    const char *name, *values;
} taken[] = {
    {"hard", NULL},
    {"vers", "4 4.0 4.1 4.2"},
    {"nfsvers", "4 4.0 4.1 4.2"},
    {"minorversion", "0 1 2"},
    {"tcp", NULL},
    {"proto", "tcp rdma"},
    {"rdma", NULL},
    {"port", "#"},
    {"rsize", "#"},
    {"wsize", "#"},
    {"timeo", "#"},
    {"retrans", "#"},
    {"nconnect", "#"},
    {"max_connect", "#"},
    {"sec", ""},
    {"xprtsec", ""},
    {"noatime", NULL},
    {"nodiratime", NULL},
    {"relatime", NULL},
    {"nosuid", NULL},
    {"nodev", NULL},
    {"noexec", NULL},
    {"rw", NULL},
    {"resvport", NULL},
    {"noresvport", NULL},
    {"sharecache", NULL},
    {"nosharecache", NULL},
    {"trunkdiscovery", NULL},
    {"notrunkdiscovery", NULL},
    {"lookupcache", "none pos positive"},
    {"ac", NULL},
    {"noac", NULL},
    {"actimeo", "#"},
    {"acregmin", "#"},
    {"acregmax", "#"},
    {"acdirmin", "#"},
    {"acdirmax", "#"},
    {"sync", NULL},
    {"async", NULL},
    {"migration", NULL},
    {"nomigration", NULL},
};

/* What somebody may well write, and why it is not taken. */
static const struct {
    const char *name, *why;
} refused[] = {
    {"soft",
     "a server that pauses would make guests' writes fail, and some of them be lost: a mount must be hard"},
    {"softerr",
     "a server that pauses would make guests' writes fail, and some of them be lost: a mount must be hard"},
    {"softreval", "a server that pauses would be answered for from a cache: a mount must be hard"},
    {"ro", "volumes and heartbeats are written"},
    {"nolock", "QEMU's image locks must reach the other hosts"},
    {"local_lock", "QEMU's image locks must reach the other hosts"},
    {"nocto", "a host must see a file as the server has it when it opens it"},
    {"lookupcache", "a host would not see for half a minute that another one has made a file: only none and "
                    "positive are taken"},
    {"fsc", "a host must see what the server has, not a cache on its own disk"},
    {"vers", "only NFSv4 carries opens and locks over a restart of the server: 4.2, 4.1 and 4.0 are taken"},
    {"nfsvers",
     "only NFSv4 carries opens and locks over a restart of the server: 4.2, 4.1 and 4.0 are taken"},
    {"proto", "NFSv4 runs over tcp or rdma"},
    {"udp", "NFSv4 runs over tcp or rdma"},
    {"bg", "the host tries again by itself"},
    {"retry", "the host tries again by itself"},
    {"clientaddr", "the storage network's CIDR says which address of a host is used"},
    {"addr", "the server stands in the export"},
};

static bool is_number(const char *value)
{
    size_t n = strlen(value);
    return n > 0 && n <= 9 && strspn(value, "0123456789") == n;
}

static bool one_of(const char *words, const char *value)
{
    size_t n = strlen(value);
    for (const char *w = words; *w; w += strcspn(w, " "), w += strspn(w, " "))
        if (strcspn(w, " ") == n && strncmp(w, value, n) == 0)
            return n > 0;
    return false;
}

static bool takes(const struct option_rule *r, const char *value)
{
    if (r->values == NULL || value == NULL)
        return r->values == NULL && value == NULL;
    if (strcmp(r->values, "#") == 0)
        return is_number(value);
    if (r->values[0] == '\0')
        return value[0] != '\0' && strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789:") == strlen(value);
    return one_of(r->values, value);
}

/* option is cut at its "=". */
static hf_status check_option(char *option)
{
    char *value = strchr(option, '=');
    if (value)
        *value++ = '\0';
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(taken[i].name, option) == 0 && takes(&taken[i], value))
            return HF_STATUS_OK;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(refused[i].name, option) == 0)
            return hf_error(HF_INVALID, "the mount option '%s%s%s' is not taken: %s", option,
                            value ? "=" : "", value ? value : "", refused[i].why);
    return hf_error(HF_INVALID,
                    "the mount option '%.80s%s%.80s' is not taken: it is unknown here, or its value is wrong",
                    option, value ? "=" : "", value ? value : "");
}

hf_status hf_nfs_options_check(const char *options)
{
    char copy[HF_NFS_OPTIONS_MAX], *rest = copy, *option;
    if (options == NULL || options[0] == '\0')
        return HF_STATUS_OK;
    if (strlen(options) >= sizeof copy)
        return hf_error(HF_INVALID, "the mount options are longer than %d bytes", HF_NFS_OPTIONS_MAX - 1);
    memcpy(copy, options, strlen(options) + 1);
    while ((option = strsep(&rest, ",")) != NULL)
        HF_TRY(check_option(option));
    return HF_STATUS_OK;
}

/* Whether the comma-separated list has the option, with or without a value. */
static bool has(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, name, n) == 0 && strchr(",=", at[n]) != NULL)
            return true;
    return false;
}

void hf_nfs_mount_options(const char *options, char out[HF_NFS_MOUNT_OPTIONS_MAX])
{
    const char *given = options ? options : "";
    bool has_version = has(given, "vers") || has(given, "nfsvers") || has(given, "minorversion");
    int n =
        snprintf(out, HF_NFS_MOUNT_OPTIONS_MAX, "%s%shard%s%s,fg,retry=0", given, given[0] ? "," : "",
                 has_version ? "" : ",vers=4.2", has(given, "lookupcache") ? "" : ",lookupcache=positive");
    HF_ASSERT(n < HF_NFS_MOUNT_OPTIONS_MAX);
}

/* --- /proc/self/mountinfo --- */

struct mount_line {
    char point[HF_STORAGE_PATH_MAX];
    char type[32], source[HF_NFS_URL_MAX], options[4096];
};

/* The kernel writes blanks, tabs, newlines and backslashes as \ooo. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        if (in[0] == '\\' && strspn(in + 1, "01234567") >= 3) {
            char digits[4] = {in[1], in[2], in[3], '\0'};
            *out++ = (char)strtol(digits, NULL, 8);
            in += 3;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
}

/* "36 35 98:0 /root /point options [fields] - type source superoptions". False when the line is another's or
 * too long. */
static bool parse_line(const char *line, size_t len, struct mount_line *m)
{
    char copy[8192];
    if (len >= sizeof copy)
        return false;
    memcpy(copy, line, len);
    copy[len] = '\0';
    char *rest = strstr(copy, " - ");
    if (rest == NULL || sscanf(copy, "%*s %*s %*s %*s %1023s", m->point) != 1 ||
        sscanf(rest, " - %31s %1279s %4095s", m->type, m->source, m->options) != 3)
        return false;
    unescape(m->point);
    unescape(m->source);
    return true;
}

static hf_status judge(const struct mount_line *m, const char *url)
{
    if (strcmp(m->type, "nfs4") != 0 || strcmp(m->source, url) != 0)
        return hf_error(HF_PRECONDITION,
                        "'%s' of type %s is mounted at %s, not the NFS export '%s': unmount it", m->source,
                        m->type, m->point, url);
    if (!has(m->options, "hard") || has(m->options, "soft") || has(m->options, "softerr"))
        return hf_error(HF_PRECONDITION, "'%s' is mounted at %s without the option hard: unmount it",
                        m->source, m->point);
    if (!has(m->options, "rw"))
        return hf_error(HF_PRECONDITION, "'%s' is mounted at %s read-only: unmount it", m->source, m->point);
    if (!has(m->options, "lookupcache"))
        return hf_error(HF_PRECONDITION, "'%s' is mounted at %s without lookupcache=positive: unmount it",
                        m->source, m->point);
    return HF_STATUS_OK;
}

enum hf_nfs_mounted hf_nfs_find_mount(const char *mountinfo, const char *point, const char *url,
                                      hf_status *ret_why)
{
    struct mount_line m, last;
    bool found = false;
    for (const char *at = mountinfo; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        if (!parse_line(at, strcspn(at, "\n"), &m) || strcmp(m.point, point) != 0)
            continue;
        last = m;
        found = true;
    }
    if (!found)
        return HF_NFS_ABSENT;
    hf_status why = judge(&last, url);
    if (hf_ok(why))
        return HF_NFS_MOUNTED;
    *ret_why = why;
    return HF_NFS_WRONG;
}

bool hf_nfs_next_below(const char **at, const char *base, char *name, size_t name_len)
{
    struct mount_line m;
    size_t base_len = strlen(base);
    while (**at) {
        const char *line = *at;
        size_t len = strcspn(line, "\n");
        *at = line + len + (line[len] == '\n');
        if (!parse_line(line, len, &m) || strncmp(m.point, base, base_len) != 0 || m.point[base_len] != '/')
            continue;
        const char *below = m.point + base_len + 1;
        if (below[0] == '\0' || strchr(below, '/') || strlen(below) >= name_len)
            continue;
        memcpy(name, below, strlen(below) + 1);
        return true;
    }
    return false;
}
