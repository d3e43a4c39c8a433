/* The inside of hf-ceph: one question about a Ceph cluster, asked in a process of its own, so that its user
 * can end it at a deadline. Question and answer are JSON on standard input and output; an error is one line
 * on standard error.
 *
 *   {"verb": "prepare", "monitors": [...], "user": "", "key": "", "fsid": "",
 *    "pools": [{"name": "…", "make": true}, …], "read": ["<pool>", …], "hosts": ["<uuid>", …],
 *    "storage": "<uuid>", "server": "<uuid>", "readers": ["<uuid>", …], "revoke": ["<user>", …]}
 *   → {"fsid": "…", "health": "…", "health_message": "…", "keys": [{"host": "…", "user": "…", "key": "…"}],
 *      "total_bytes": 0, "available_bytes": 0}
 *   read: pools that the hosts may only read; the room is that of the first pool.
 *   hosts: each gets a user for this storage; without storage: an image server, whose own user whoever fills
 * it has. readers: hosts that get a user for this image server, which may only read.
 *
 * The others have the same members that tell how the cluster is reached. fence has a host's clients refused;
 * addresses: of the host (with a client's number or without, ceph_fence_plan.h), others: of all other hosts and of control nodes;
 * record and images: of the host, and may be not there. It may be repeated, and puts back what is missing;
 * what is there stays until it is taken off. by_clients: an address is shared, so that only clients that are
 * known are refused there.
 *
 *   {"verb": "fence", "addresses": ["10.0.0.5"], "others": ["10.0.0.6"],
 *    "record": {"pool": "…", "object": "…"}, "images": [{"pool": "…", "image": "…"}]}
 *   → {"entries": ["10.0.0.5:0/0"], "by_clients": false, "shared_with": "", "osdmap_epoch": 57}
 *
 *   {"verb": "unfence", "entries": ["10.0.0.5:0/0"], "until_ms": 123456}   those that are there
 *   → {"osdmap_epoch": 58}
 *   until_ms: of CLOCK_BOOTTIME; from then on no removal is sent, so that none undoes a later fence.
 *
 *   {"verb": "remove-images", "pool": "…", "images": ["<uuid>", …]}   it may be repeated
 *   → {"removed": ["<uuid>", …], "kept": [{"image": "<uuid>", "why": "a sentence"}, …]}
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
/* Answered when the newest map has (has not) every entry. Waiting for it may hang. */
hf_status hf_ceph_fence(rados_t c, const json_t *question, json_t *answer) HF_MUST_USE;
hf_status hf_ceph_unfence(rados_t c, const json_t *question, json_t *answer) HF_MUST_USE;
/* Images of an image server, with the clones of them that storages keep as templates. */
hf_status hf_ceph_remove_images(rados_t c, const json_t *question, json_t *answer) HF_MUST_USE;

#endif
