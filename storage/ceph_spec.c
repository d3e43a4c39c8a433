#include "storage/ceph_spec.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define SCHEME    "ceph://"
#define KEY_CHARS 40 /* of that in base64 */

hf_status hf_ceph_monitor_check(const char *monitor, char ret_host[16], unsigned *ret_port)
{
    char host[16];
    struct in_addr in;
    const char *colon = strchr(monitor, ':');
    size_t len = colon ? (size_t)(colon - monitor) : strlen(monitor);
    unsigned port = HF_CEPH_MON_PORT;
    if (len < sizeof host) {
        memcpy(host, monitor, len);
        host[len] = '\0';
    }
    if (len >= sizeof host || inet_pton(AF_INET, host, &in) != 1)
        return hf_error(HF_INVALID, "'%.64s' is no monitor: write its IPv4 address, or ADDRESS:PORT",
                        monitor);
    if (colon) {
        char *end;
        unsigned long value = isdigit((unsigned char)colon[1]) ? strtoul(colon + 1, &end, 10) : 0;
        if (value == 0 || value > 65535 || *end != '\0')
            return hf_error(HF_INVALID, "the monitor '%.64s' has no port between 1 and 65535", monitor);
        port = (unsigned)value;
    }
    if (ret_host)
        memcpy(ret_host, host, sizeof host);
    if (ret_port)
        *ret_port = port;
    return HF_STATUS_OK;
}

hf_status hf_ceph_monitors_check(char *const *monitors, size_t n)
{
    if (n == 0)
        return hf_error(HF_INVALID, "no monitor is named: give the addresses of the cluster's MONs");
    if (n > HF_CEPH_MONITORS_MAX)
        return hf_error(HF_INVALID, "%zu monitors are more than %d", n, HF_CEPH_MONITORS_MAX);
    for (size_t i = 0; i < n; i++) {
        HF_TRY(hf_ceph_monitor_check(monitors[i], NULL, NULL));
        for (size_t k = 0; k < i; k++)
            if (strcmp(monitors[i], monitors[k]) == 0)
                return hf_error(HF_INVALID, "the monitor '%s' is named twice", monitors[i]);
    }
    return HF_STATUS_OK;
}

void hf_ceph_mon_host(char *const *monitors, size_t n, char out[HF_CEPH_MON_HOST_MAX])
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        HF_ASSERT(len + strlen(monitors[i]) + 2 < HF_CEPH_MON_HOST_MAX);
        len += (size_t)snprintf(out + len, HF_CEPH_MON_HOST_MAX - len, "%s%s", i > 0 ? "," : "", monitors[i]);
    }
}

static bool is_name(const char *text)
{
    size_t len = strlen(text);
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
            return false;
    return len > 0 && len < HF_CEPH_NAME_MAX && text[0] != '.' && text[0] != '-';
}

hf_status hf_ceph_pool_check(const char *pool)
{
    if (is_name(pool))
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, "'%.64s' is no name of a pool: letters, digits, '.', '_' and '-', at most %d",
                    pool, HF_CEPH_NAME_MAX - 1);
}

hf_status hf_ceph_user_check(const char *user)
{
    if (strncmp(user, "client.", 7) == 0)
        return hf_error(HF_INVALID, "leave 'client.' away: the user of '%.64s' is '%.64s'", user, user + 7);
    if (is_name(user))
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, "'%.64s' is no name of a Ceph user", user);
}

hf_status hf_ceph_key_check(const char *key)
{
    size_t n = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    if (n == KEY_CHARS - 2 && strcmp(key + n, "==") == 0)
        return HF_STATUS_OK;
    return hf_error(HF_INVALID,
                    "it is no Ceph key: give what 'ceph auth get-key client.USER' prints, %d characters",
                    KEY_CHARS);
}

hf_status hf_ceph_fsid_check(const char *fsid)
{
    struct hf_uuid uuid;
    if (strlen(fsid) == 36 && fsid[8] == '-' && hf_uuid_parse(fsid, &uuid))
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, "'%.64s' is no fsid of a Ceph cluster ('ceph fsid' prints it)", fsid);
}

char *hf_ceph_path(const char *pool, const char *image, char out[HF_CEPH_PATH_MAX])
{
    snprintf(out, HF_CEPH_PATH_MAX, SCHEME "%s/%s", pool, image);
    return out;
}

bool hf_ceph_path_parse(const char *path, char pool[HF_CEPH_NAME_MAX], char image[HF_CEPH_NAME_MAX])
{
    if (!path || strncmp(path, SCHEME, strlen(SCHEME)) != 0)
        return false;
    path += strlen(SCHEME);
    const char *slash = strchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : HF_CEPH_NAME_MAX;
    if (len >= HF_CEPH_NAME_MAX || strlen(slash + 1) >= HF_CEPH_NAME_MAX)
        return false;
    memcpy(pool, path, len);
    pool[len] = '\0';
    strcpy(image, slash + 1);
    return is_name(pool) && is_name(image);
}

#define USER "holdfast-"

char *hf_ceph_host_user(const struct hf_uuid *host, const struct hf_uuid *storage, char out[HF_CEPH_NAME_MAX])
{
    char uuid[HF_UUID_STR], behind[HF_UUID_STR];
    snprintf(out, HF_CEPH_NAME_MAX, USER "%s-%s", hf_uuid_format(host, uuid),
             hf_uuid_format(storage, behind));
    return out;
}

char *hf_ceph_server_user(const struct hf_uuid *server, char out[HF_CEPH_NAME_MAX])
{
    char uuid[HF_UUID_STR];
    snprintf(out, HF_CEPH_NAME_MAX, USER "%s", hf_uuid_format(server, uuid));
    return out;
}

bool hf_ceph_rename_user(char user[HF_CEPH_NAME_MAX], const struct hf_uuid *host)
{
    char uuid[HF_UUID_STR];
    size_t before = strlen(USER), len = HF_UUID_STR - 1;
    if (strncmp(user, USER, before) != 0 || strlen(user) != before + 2 * len + 1 || user[before + len] != '-')
        return false;
    memcpy(user + before, hf_uuid_format(host, uuid), len);
    return true;
}
