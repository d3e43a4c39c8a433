/* A connection to a Ceph cluster: made with deadlines, checked to be the right cluster, its errors told as
 * sentences. Nothing is read from this machine's own Ceph configuration. All calls block, up to the
 * deadlines: they are for threads.
 *
 * A call that ends with TIMEOUT may have happened: what was sent stays on its way.
 */
#ifndef HF_STORAGE_RADOS_CONN_H
#define HF_STORAGE_RADOS_CONN_H

#include <rados/librados.h>

#include "base/status.h"

struct hf_rados_access {
    const char *mon_host; /* hf_ceph_mon_host() */
    const char *user;     /* without "client."; "": the cluster asks for no key */
    const char *key;
    const char *fsid; /* "": any cluster */
};

struct hf_rados_limits {
    unsigned connect_ms, op_ms; /* librados counts whole seconds: rounded up */
};

/* To be closed with rados_shutdown(). PRECONDITION: another cluster than fsid. DENIED: the key. UNAVAILABLE:
 * nobody answers there, or not as Ceph. */
hf_status hf_rados_connect(const struct hf_rados_access *a, const struct hf_rados_limits *limits,
                           rados_t *ret) HF_MUST_USE;

/* An error of librados or librbd (negative). ESHUTDOWN becomes PRECONDITION: this client is on the cluster's
 * blocklist. */
hf_status hf_rados_error(int rc, const char *fmt, ...) HF_PRINTF(2, 3) HF_MUST_USE;

/* After such an error the connection is of no use: the next call needs a new one. */
static inline bool hf_rados_is_blocklisted(int rc)
{
    return rc == -108; /* ESHUTDOWN */
}

/* A command of the monitors, as JSON; its answer, to be freed. */
hf_status hf_rados_command(rados_t c, const char *json, char **ret_answer) HF_MUST_USE;

#endif
