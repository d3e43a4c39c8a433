/* One host's connection to a Ceph cluster, shared by the threads that work on it: made at first use, again
 * when it is of no use any more, as when the cluster has put it on its blocklist. */
#ifndef HF_STORAGE_CEPH_SESSION_H
#define HF_STORAGE_CEPH_SESSION_H

#include "storage/rados_conn.h"

struct hf_ceph_session;

/* access is copied. */
struct hf_ceph_session *hf_ceph_session_create(const struct hf_rados_access *access,
                                               const struct hf_rados_limits *limits);
/* Nothing of it is taken. Never blocks: what is connected is closed on a thread of its own. */
void hf_ceph_session_free(struct hf_ceph_session *s);

/* Blocks for a connection's time-out at most; UNAVAILABLE at once while another thread is at it. */
hf_status hf_ceph_session_take(struct hf_ceph_session *s, rados_t *ret) HF_MUST_USE;
/* Gives it back; over: it is of no use any more, and nobody gets it. */
void hf_ceph_session_give(struct hf_ceph_session *s, rados_t cluster, bool over);

#endif
