/* hostd's side of its conversation with hf-lease, over a unix socket (SOCK_SEQPACKET) that ha/keeper_wire.h
 * describes. Loop thread only; every call calls back once, with TIMEOUT when the keeper stays silent (then
 * nothing is known).
 */
#ifndef HF_HOSTD_KEEPER_CLIENT_H
#define HF_HOSTD_KEEPER_CLIENT_H

#include <uv.h>

#include "base/env.h"
#include "base/status.h"
#include "base/uuid.h"

struct hf_keeper;

enum hf_keeper_run_state {
    HF_RUN_PENDING, /* permit given, no QEMU seen yet: counts as running */
    HF_RUN_LIVE,
    HF_RUN_TOMBSTONED, /* proven gone, never starts again in this boot */
};

struct hf_keeper_run {
    struct hf_uuid instance;
    uint64_t run;
    enum hf_keeper_run_state state;
    bool frozen;      /* told to stand still: a lease that it needs is in doubt */
    bool incoming;    /* the target's copy of a migration, which was not told to go on yet */
    bool handed_over; /* tombstoned, its guest is whole at the target of its migration */
    int pid;
};

struct hf_keeper_storage {
    struct hf_uuid uuid;
    int64_t age_ms;   /* since the start of the last good renewal; INT64_MAX: none yet */
    bool closed;      /* (epoch, storage) is closed for ever */
    bool suspended;   /* the storage's last write or mark read failed or hangs */
    uint64_t session; /* to which closed refers */
};

struct hf_keeper_view {
    char boot_id[40];
    struct hf_uuid host_uuid; /* zero: not told yet */
    uint64_t epoch;           /* 0: none */
    bool epoch_closed;        /* told to end, or every lease was lost and the kill verified */
    bool clean;               /* verified: no QEMU of ours runs, and none of its writes is under way */
    uint64_t max_term;
    const char *watchdog;         /* "hardware", "stand-in", "software", "none" */
    const char *watchdog_problem; /* why its silence proves nothing, "" if it does; NULL: not told */
    const char *profile;
    const struct hf_keeper_storage *storages;
    size_t n_storages;
    const struct hf_keeper_run *runs;
    size_t n_runs;
};

typedef void (*hf_keeper_cb)(void *arg, hf_status st); /* st borrowed */
typedef void (*hf_keeper_view_cb)(void *arg, hf_status st, const struct hf_keeper_view *view);

#define HF_KEEPER_END_KILL    1u /* end it first */
#define HF_KEEPER_END_ORDERLY 2u /* it has ended by itself and closed its files: no need to wait for F */

struct hf_keeper_ops {
    void (*view)(struct hf_keeper *k, hf_keeper_view_cb cb, void *arg);
    /* A new life: refused unless clean, and by a keeper of another profile than the one that the leader was
     * told and judges it by ("": not told). Persisted before the answer. */
    void (*set_epoch)(struct hf_keeper *k, const struct hf_uuid *host, const struct hf_uuid *cluster,
                      uint64_t epoch, const char *profile, hf_keeper_cb cb, void *arg);
    /* Remembers the highest Raft term; CONFLICT when this one is lower than what it has seen. */
    void (*see_term)(struct hf_keeper *k, uint64_t term, hf_keeper_cb cb, void *arg);
    /* Renew a lease in this directory (the storage's root) from now on, in this session of the storage (a
     * higher one is refused while a run of the last needs it) / no longer (refused while a run needs it). */
    void (*add_storage)(struct hf_keeper *k, const struct hf_uuid *storage, const char *dir, uint64_t session,
                        hf_keeper_cb cb, void *arg);
    void (*remove_storage)(struct hf_keeper *k, const struct hf_uuid *storage, hf_keeper_cb cb, void *arg);
    /* Permit for one start: refused (PRECONDITION) when the epoch differs, the run is tombstoned, a lease of
     * these storages is not fresh or closed, or another run of the instance is not over. The run is PENDING
     * from here. gated: the hypervisor starts it through the gate (hf-qemu), so that it is not born without
     * the keeper's yes at that moment. */
    void (*begin_run)(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t epoch, uint64_t run,
                      const struct hf_uuid *storages, size_t n_storages, bool gated, hf_keeper_cb cb,
                      void *arg);
    /* QEMU is born: the run is LIVE. */
    void (*register_run)(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, int pid,
                         hf_keeper_cb cb, void *arg);
    /* Tombstones the run, also one it never heard of, after it has verified that no process of the instance
     * exists, and none of its writes can be under way. how: any of HF_KEEPER_END_*. PRECONDITION while a
     * process exists and it may not kill; TIMEOUT when it would not die. */
    void (*end_run)(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, unsigned how,
                    hf_keeper_cb cb, void *arg);
    /* Closes the epoch, kills all, verifies, writes "closed, killed" into every record it still can.
     * starting: orders to start are under way. Then a permit without a process is not over, and the answer is
     * PRECONDITION as long as there is one; else it counts as one that was never used. */
    void (*end_epoch)(struct hf_keeper *k, uint64_t epoch, bool starting, hf_keeper_cb cb, void *arg);
    /* A permit as of begin_run, for the target's copy of a migration: the gate lets only a QEMU through that
     * waits to be filled by one, and the copy is listed as incoming. */
    void (*begin_incoming)(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t epoch, uint64_t run,
                           const struct hf_uuid *storages, size_t n_storages, bool gated, hf_keeper_cb cb,
                           void *arg);
    /* As end_run with kill; and its tombstone says that its guest is whole elsewhere. */
    void (*hand_over)(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, hf_keeper_cb cb,
                      void *arg);
    /* The migration is complete: this copy goes on, as an ordinary run. OK also when it is one already;
     * refused like a start (PRECONDITION) when it is over or a lease is not fresh. */
    void (*go_on)(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, hf_keeper_cb cb,
                  void *arg);
};

struct hf_keeper_events {
    void (*changed)(void *arg); /* something in the view changed: ask again */
    void (*connection)(void *arg, bool up);
    void *arg;
};

struct hf_keeper {
    const struct hf_keeper_ops *ops;
    struct hf_keeper_events events;
};

/* Connects to the socket and keeps trying. Calls under way when the connection breaks are answered with
 * UNKNOWN_OUTCOME. */
hf_status hf_keeper_client_create(uv_loop_t *loop, struct hf_env *env, const char *socket_path,
                                  const struct hf_keeper_events *events, struct hf_keeper **ret) HF_MUST_USE;
/* Answers calls under way with CANCELLED. Not from within a callback of this client. */
void hf_keeper_client_close(struct hf_keeper *k);

#endif
