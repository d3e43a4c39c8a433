/* The driver of a replica: libraft on libuv, with its log on disk. One per process.
 *
 * Set up as libraft 0.22 needs it: pre-vote on, automatic recovery off (a damaged directory refuses to
 * start), TCP_NODELAY, 64 MB segments, many entries in flight. It makes the process ignore SIGPIPE. Source:
 * libraft's docs and the measurements in docs/consensus.md.
 */
#ifndef HF_CONSENSUS_RAFT_UV_H
#define HF_CONSENSUS_RAFT_UV_H

#include <uv.h>

#include "consensus/replica.h"

struct hf_raft_member {
    uint64_t id;
    const char *address; /* host:port of its Raft transport */
};

struct hf_raft_options {
    uint64_t id;
    const char *address; /* this member's, in the list too */
    const char *dir;     /* data directory, made if missing; locked against a second process */
    const struct hf_raft_member *members; /* the first configuration; used only when dir is empty */
    size_t n_members;
    bool join; /* dir is empty and an existing cluster will add us: do not bootstrap */
    unsigned election_ms, heartbeat_ms; /* 0: 1000 and 100 */
    uint64_t disk_reserve_bytes;        /* 0: 64 MiB; below it writes are refused with a sentence */
    size_t segment_bytes;               /* of the log on disk; 0: 64 MiB. Two are kept ready */
};

struct hf_raft_uv;

/* Starts raft. Errors say what to do: a damaged directory names the file and how to replace the member; a
 * directory of another member or cluster, a second process, a missing parent, no room. After an error the
 * loop may still hold handles that are closing: run it until it has none before freeing r. */
hf_status hf_raft_uv_start(uv_loop_t *loop, struct hf_replica *r, const struct hf_raft_options *o,
                           struct hf_raft_uv **ret) HF_MUST_USE;
/* Ends raft; closed is called when the loop holds nothing of it any more and it is freed. */
void hf_raft_uv_close(struct hf_raft_uv *u, void (*closed)(void *arg), void *arg);

/* Membership, on the leader: one change at a time. cb's status is borrowed. */
void hf_raft_uv_add(struct hf_raft_uv *u, uint64_t id, const char *address,
                    void (*cb)(void *arg, hf_status st), void *arg);
void hf_raft_uv_remove(struct hf_raft_uv *u, uint64_t id, void (*cb)(void *arg, hf_status st), void *arg);
/* The members now: calls back for each. */
void hf_raft_uv_members(struct hf_raft_uv *u,
                        void (*cb)(void *arg, uint64_t id, const char *address, bool voter), void *arg);
/* Hands leadership to another member, if it leads. */
void hf_raft_uv_transfer(struct hf_raft_uv *u);

#endif
