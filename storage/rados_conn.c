#include "storage/rados_conn.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FSID_MAX 40

hf_status hf_rados_error(int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *context = hf_vprintf(fmt, ap);
    va_end(ap);
    hf_status st;
    if (hf_rados_is_blocklisted(rc))
        st = hf_error(HF_PRECONDITION, "%s: the cluster refuses this host: it is on its blocklist", context);
    else
        st = hf_errno(-rc, "%s", context);
    free(context);
    return st;
}

static hf_status configure(rados_t c, const struct hf_rados_access *a, const struct hf_rados_limits *limits)
{
    char connect_s[24], op_s[24];
    snprintf(connect_s, sizeof connect_s, "%u", (limits->connect_ms + 999) / 1000);
    snprintf(op_s, sizeof op_s, "%u", (limits->op_ms + 999) / 1000);
    bool cephx = a->user[0] != '\0';
    const char *const settings[][2] = {
        {"mon_host", a->mon_host},
        {"auth_client_required", cephx ? "cephx" : "none"},
        {"auth_cluster_required", cephx ? "cephx" : "none"},
        {"auth_service_required", cephx ? "cephx" : "none"},
        {"keyring", "/dev/null"},
        {"client_mount_timeout", connect_s},
        {"rados_mon_op_timeout", op_s},
        {"rados_osd_op_timeout", op_s},
        {"log_file", ""},
        {"log_to_stderr", "false"},
        {"err_to_stderr", "false"},
        {"admin_socket", ""},
        {"rbd_cache", "false"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        int rc = rados_conf_set(c, settings[i][0], settings[i][1]);
        if (rc < 0)
            return hf_rados_error(rc, "set %s of librados", settings[i][0]);
    }
    int rc = cephx ? rados_conf_set(c, "key", a->key) : 0;
    return rc < 0 ? hf_rados_error(rc, "give librados the key") : HF_STATUS_OK;
}

static hf_status check_fsid(rados_t c, const struct hf_rados_access *a)
{
    char fsid[FSID_MAX] = "";
    int rc = rados_cluster_fsid(c, fsid, sizeof fsid);
    if (rc < 0)
        return hf_rados_error(rc, "ask the cluster for its fsid");
    if (a->fsid[0] != '\0' && strcmp(fsid, a->fsid) != 0)
        return hf_error(HF_PRECONDITION, "the Ceph cluster at %s is %s, not %s", a->mon_host, fsid, a->fsid);
    return HF_STATUS_OK;
}

static hf_status connect_error(int rc, const struct hf_rados_access *a, const struct hf_rados_limits *limits)
{
    switch (-rc) {
    case ETIMEDOUT:
        return hf_error(
            HF_UNAVAILABLE,
            "no monitor at %s answers as Ceph within %u s: check the addresses and that the monitors have "
            "a quorum",
            a->mon_host, limits->connect_ms / 1000);
    case EACCES:
    case EPERM:
        if (a->user[0] == '\0')
            return hf_error(HF_DENIED, "the Ceph cluster at %s asks for a key: it uses cephx", a->mon_host);
        return hf_error(HF_DENIED,
                        "the Ceph cluster at %s refuses the user 'client.%s': wrong key, or no such user",
                        a->mon_host, a->user);
    case EOPNOTSUPP:
        return hf_error(
            HF_DENIED,
            "the Ceph cluster at %s and this side do not agree on cephx: switch it on or off for the "
            "storage as the cluster has it",
            a->mon_host);
    default:
        return hf_rados_error(rc, "connect to the Ceph cluster at %s", a->mon_host);
    }
}

hf_status hf_rados_connect(const struct hf_rados_access *a, const struct hf_rados_limits *limits,
                           rados_t *ret)
{
    rados_t c;
    char *name = hf_printf("client.%s", a->user[0] != '\0' ? a->user : "admin");
    int rc = rados_create2(&c, "ceph", name, 0);
    free(name);
    if (rc < 0)
        return hf_rados_error(rc, "start librados");
    hf_status st = configure(c, a, limits);
    if (hf_ok(st)) {
        rc = rados_connect(c);
        st = rc < 0 ? connect_error(rc, a, limits) : check_fsid(c, a);
    }
    if (hf_ok(st))
        *ret = c;
    else
        rados_shutdown(c);
    return st;
}

hf_status hf_rados_command(rados_t c, const char *json, char **ret_answer)
{
    const char *commands[] = {json};
    char *out = NULL, *said = NULL;
    size_t out_len = 0, said_len = 0;
    int rc = rados_mon_command(c, commands, 1, "", 0, &out, &out_len, &said, &said_len);
    hf_status st = HF_STATUS_OK;
    if (rc < 0 && said_len > 0)
        st = hf_rados_error(rc, "the monitors: %.*s", (int)said_len, said);
    else if (rc < 0)
        st = hf_rados_error(rc, "a command of the monitors");
    else
        *ret_answer = out ? hf_strndup(out, out_len) : hf_strdup("");
    rados_buffer_free(out);
    rados_buffer_free(said);
    return st;
}
