/* The inside of hf-ceph: one question about a Ceph cluster, asked in a process of its own, so that its user
 * can end it at a deadline. Question and answer are JSON on standard input and output; an error is one line
 * on standard error.
 *
 *   {"verb": "prepare", "monitors": [...], "user": "", "key": "", "fsid": "",
 *    "pools": [{"name": "…", "make": true}, …], "hosts": ["<uuid>", …], "revoke": ["<user>", …]}
 *   → {"fsid": "…", "health": "…", "health_message": "…", "keys": [{"host": "…", "user": "…", "key": "…"}]}
 */
#ifndef HF_CONTROL_HF_CEPH_H
#define HF_CONTROL_HF_CEPH_H

#include <jansson.h>

#include "storage/rados_conn.h"

/* Text of a member, "" without one. */
const char *hf_ceph_text(const json_t *object, const char *name);
/* A command of the monitors, and what its answer holds. Takes command. */
hf_status hf_ceph_command(rados_t c, json_t *command, json_t **ret) HF_MUST_USE;

/* Pools, keys and health; may be repeated. */
hf_status hf_ceph_prepare(rados_t c, const json_t *question, json_t *answer) HF_MUST_USE;

#endif
