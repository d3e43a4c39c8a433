/* What the parts of the libuv driver share: the loop's side (raft_uv.c), the data directory (raft_dir.c), the
 * transport (raft_tcp.c) and membership (raft_members.c).
 */
#ifndef HF_CONSENSUS_RAFT_PRIVATE_H
#define HF_CONSENSUS_RAFT_PRIVATE_H

#include <raft/uv.h>

#include "consensus/io_filter.h"
#include "consensus/leader_io.h"
#include "consensus/raft_uv.h"

/* --- raft_dir.c: the data directory --- */

struct hf_raft_dir {
    char *path;
    int lock_fd; /* holds the lock as long as it is open */
    int floor_fd;
    uint64_t id;
    char *address;
    bool is_new;  /* no Raft state was ever made in it */
    bool joining; /* it is for a member that the cluster will add, and must never make a cluster of its own */
    uint64_t floor; /* entries up to here were once on this disk, see hf_raft_dir_raise_floor() */
};

/* Makes the directory if need be, locks it, and refuses another member's or a damaged one. join: if it is
 * new, it is for a member that joins. */
hf_status hf_raft_dir_open(const char *path, uint64_t id, const char *address, bool join,
                           struct hf_raft_dir *ret) HF_MUST_USE;
void hf_raft_dir_close(struct hf_raft_dir *d);
/* From now on the directory holds Raft state: without it the member must not start. */
hf_status hf_raft_dir_mark_used(struct hf_raft_dir *d) HF_MUST_USE;
/* Records that applied entries up to this index are stored here. libraft takes a damaged tail of its newest
 * segment for an unfinished write and drops it; a log that ends below the floor has lost acknowledged entries
 * and must not vote. */
void hf_raft_dir_raise_floor(struct hf_raft_dir *d, uint64_t index);
/* Makes open segments as short as their entries, so that loading them takes no more memory. Before raft_start();
 * what fails is left as it was. */
void hf_raft_dir_trim(const struct hf_raft_dir *d);
/* The sentence for a directory that must not be used any more. */
hf_status hf_raft_dir_damaged(const struct hf_raft_dir *d, const char *what) HF_MUST_USE;
hf_status hf_raft_dir_free_bytes(const char *path, uint64_t *ret) HF_MUST_USE;

/* --- raft_tcp.c: libraft's TCP transport without Nagle's delay --- */

struct hf_raft_tcp {
    struct raft_uv_transport outer; /* what libraft uses */
    struct raft_uv_transport inner; /* libraft's own */
    raft_uv_accept_cb accepted;
    raft_uv_transport_close_cb closed;
};

hf_status hf_raft_tcp_init(struct hf_raft_tcp *t, uv_loop_t *loop) HF_MUST_USE;
void hf_raft_tcp_done(struct hf_raft_tcp *t);
/* Whether this node can listen there: libraft itself would only say "I/O error". */
hf_status hf_raft_tcp_check(const char *address) HF_MUST_USE;

/* --- raft_members.c: one membership change at a time --- */

struct hf_raft_change {
    struct raft_change request;
    bool busy;
    bool finished; /* to be told at the next turn */
    hf_status result;
    uint64_t id;
    void (*cb)(void *arg, hf_status st);
    void *arg;
};

struct hf_raft_uv {
    uv_loop_t *loop;
    struct hf_replica *replica;
    struct raft raft;
    struct raft_io io;
    struct hf_io_filter *filter;
    struct hf_leader_io *leader_io;
    struct hf_raft_tcp tcp;
    struct hf_raft_dir dir;
    uv_prepare_t prepare; /* the replica's turn before the loop waits … */
    uv_check_t check;     /* … and after it was woken */
    uv_idle_t idle;       /* runs while there is work: the loop then does not wait */
    uv_timer_t second;
    uv_fs_t statfs;
    bool statfs_runs;
    uint64_t reserve;
    bool reported_unavailable;
    struct hf_raft_change change;
    struct raft_transfer transfer;
    bool transferring;
    int handles; /* not closed yet */
    bool closing, raft_closed;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Tells the end of a change, from the driver's turn. */
void hf_raft_members_turn(struct hf_raft_uv *u);
/* The driver is going away: a change under way has an unknown outcome. */
void hf_raft_members_close(struct hf_raft_uv *u);
void hf_raft_uv_wake(struct hf_raft_uv *u);

#endif
