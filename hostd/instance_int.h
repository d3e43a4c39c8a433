/* The inside of an instance record, shared by instance_rec.c (what it knows and says), instance_assign.c
 * (what it is told), instance_start.c (the way up), instance_run.c (a run with a permit), instance_grow.c
 * (larger disks for it), instance_io.c (after a disk of it has failed), instance_move.c (from host to host)
 * and instance_stop.c (the way down). */
#ifndef HF_HOSTD_INSTANCE_INT_H
#define HF_HOSTD_INSTANCE_INT_H

#include "hostd/instance_rec.h"

#define HF_INSTANCE_RETRY_FIRST_MS    500
#define HF_INSTANCE_RETRY_MAX_MS      10000
#define HF_INSTANCE_ORDER_DEADLINE_MS 10000 /* shutdown, pause, reboot, destroy */
#define HF_INSTANCE_START_DEADLINE_MS 60000

/* What the keeper says about the run. */
enum hf_permit { HF_PERMIT_NONE, HF_PERMIT_PENDING, HF_PERMIT_LIVE, HF_PERMIT_TOMBSTONED };
/* What the hypervisor says, at the last look that counts. */
enum hf_seen { HF_SEEN_UNKNOWN, HF_SEEN_ABSENT, HF_SEEN_RUNNING, HF_SEEN_PAUSED, HF_SEEN_INCOMING };
/* What is known of the order to start. */
enum hf_start { HF_START_NOT_ASKED, HF_START_UNKNOWN, HF_START_DONE, HF_START_FAILED };
/* Why the run is over. */
enum hf_end {
    HF_END_NOT,
    HF_END_ORDER,
    HF_END_GUEST,
    HF_END_KEEPER,
    HF_END_START_FAILED,
    HF_END_REFUSED, /* by this host: the cluster of a disk refuses its client */
    HF_END_HANDED_OVER
};

/* The migration of this run to another host. */
struct hf_instance_move {
    uint64_t run; /* of the target's copy: which one; 0: none was heard of */
    enum {
        HF_MOVE_NONE,
        HF_MOVE_RUNNING,
        HF_MOVE_UNKNOWN, /* it may be under way: ended until the hypervisor says that it is not */
        HF_MOVE_FAILED,  /* nothing is under way, nor will it be begun again */
        HF_MOVE_DONE,    /* handed over; this copy is to be tombstoned */
    } state;
    unsigned calling; /* 1: the order to migrate is under way */
    unsigned asking;  /* 1: progress or an abort is */
    struct hf_vm_progress progress;
    struct hf_timer timer;
    char *error;
};

struct hf_instance_rec {
    struct hf_instance_rec *next;
    struct hf_host *host;
    struct hf_uuid uuid;
    char id[HF_UUID_STR];

    /* wanted */
    Holdfast__V1__InstanceAssignment *want; /* own copy; NULL: not assigned */
    uint64_t sync;
    Holdfast__V1__InstanceAssignment *later; /* of the next run: taken when this one is over; NULL: none */

    /* the run and what is known of it */
    uint64_t run, epoch;
    enum hf_permit permit;
    bool permit_kept; /* the keeper has said yes since the last order to start was refused: what only a view
                         has shown, a keeper that could not save it may have forgotten */
    enum hf_seen seen;
    bool looking; /* waits for list number look */
    uint64_t look;
    int pid;
    bool registered; /* the keeper has the pid */
    bool gone_hint;  /* the hypervisor says so: to be verified */
    bool gone_heard; /* gone_why is about this run */
    enum hf_vm_gone gone_why;
    enum hf_start start;
    int64_t unknown_since_ms; /* HF_START_UNKNOWN */
    char *start_error;
    size_t volumes_done;

    /* migration */
    bool adopted;  /* of an earlier daemon: what that had begun is not known */
    bool incoming; /* the target's copy: does not go on before the keeper is told */
    struct hf_instance_move move;

    /* the way down */
    int64_t stop_since_ms; /* 0: no stop ordered */
    int64_t shutdown_ms;   /* of the last ACPI request; 0: none */
    bool destroyed;
    enum hf_end end;
    char *end_reason;
    bool lease_lost; /* the keeper has closed a storage of it, and so kills it: */
    struct hf_uuid lost_storage;
    int64_t lost_since_ms; /* start of the last good renewal there; INT64_MAX: not known */

    /* reboots: one counter, of which a forced one says that this generation shall be a reset */
    bool reboot_baseline; /* reboot_done is that of this run */
    bool rebooting_force; /* kind of the one under way */
    uint64_t rebooting;   /* its generation */
    uint64_t reboot_done;

    /* a disk that failed */
    bool io_stopped;       /* QEMU has stopped the guest for it; with HF_SEEN_PAUSED */
    int64_t io_resumed_ms; /* when it was let go on last; 0: never */
    size_t io_held;        /* the disks before this one are still open here */
    bool io_refused;       /* a cluster has said that it refuses the client of a disk; blocked tells */
    struct hf_backoff io_backoff;

    /* disks that grow under the guest */
    size_t grown;   /* those before this one are as large as the present assignment has them */
    size_t growing; /* the disk of the order under way, and */
    uint64_t growing_to_bytes;

    /* the step under way, and waiting */
    bool busy, dead;
    unsigned side_calls; /* under way beside the step */
    bool starting;       /* the order to start is under way */
    bool unverified;     /* tombstoned while the order was under way: verified once more before it counts */
    bool waits_for_records;    /* a wake ends the wait */
    int64_t storage_wanted_ms; /* its start has waited for a storage to be good since then; 0: it does not */
    struct hf_timer timer;
    struct hf_backoff backoff;

    /* as reported last */
    Holdfast__V1__InstanceReport__State state;
    char *message, *blocked;
};

/* --- instance_rec.c --- */

struct hf_instance_rec *hf_instance_new(struct hf_host *h, const struct hf_uuid *uuid, uint64_t run);
/* Out of the list; freed now, or by the end of the call under way. */
void hf_instance_forget(struct hf_instance_rec *r);
/* Frees what the record owns. */
void hf_instance_clear(struct hf_instance_rec *r);
void hf_instance_free_assignment(Holdfast__V1__InstanceAssignment **a);

/* Of a record that was forgotten: frees it when no call of it is under way. */
void hf_instance_free_unused(struct hf_instance_rec *r);

/* Every driver call of a record stands between these. end: false when the record was dropped meanwhile (and
 * is freed). */
void hf_instance_call_begin(struct hf_instance_rec *r);
bool hf_instance_call_end(struct hf_instance_rec *r);

/* The next step after a while; after the next one the waits are short again when something succeeded. */
void hf_instance_later(struct hf_instance_rec *r, unsigned ms);
void hf_instance_later_backoff(struct hf_instance_rec *r);
void hf_instance_tick(struct hf_instance_rec *r);
void hf_instance_tick_now(struct hf_instance_rec *r); /* without the rest of the wait */

/* State, and what it does or what keeps it (either may be NULL); reported when something has changed. */
void hf_instance_say(struct hf_instance_rec *r, Holdfast__V1__InstanceReport__State state,
                     const char *message, const char *blocked);
void hf_instance_report(struct hf_instance_rec *r);
/* PREPARING or as it is, kept from going on by this error; tried again with back-off. Takes st. */
void hf_instance_blocked(struct hf_instance_rec *r, hf_status st);

/* --- instance_assign.c --- */

/* Nothing of the run is here and nothing of it is under way. */
bool hf_instance_is_over(const struct hf_instance_rec *r);
/* The next run, which was assigned before this one was over. */
void hf_instance_take_later(struct hf_instance_rec *r);
/* The highest generation of reboots in an assignment. */
uint64_t hf_instance_reboots_wanted(const Holdfast__V1__InstanceAssignment *a);

/* What the hypervisor said is old: look again. */
void hf_instance_look(struct hf_instance_rec *r);

/* --- instance_start.c --- */
void hf_instance_start_step(struct hf_instance_rec *r); /* no permit yet */
/* Permit in hand; one that may be forgotten is asked for again first. */
void hf_instance_order_start(struct hf_instance_rec *r);

/* --- instance_run.c --- */
void hf_instance_permitted_step(struct hf_instance_rec *r);

/* --- instance_grow.c --- */

/* A disk of the running guest may be smaller than it is assigned. */
bool hf_instance_grow_due(const struct hf_instance_rec *r);
/* Has the next such disk grown; the leader hears of each. */
void hf_instance_grow(struct hf_instance_rec *r);

/* --- instance_io.c --- */

/* Of a guest that QEMU has stopped because a disk failed, and that is to run: lets it go on, or says what it
 * waits for. */
void hf_instance_io_step(struct hf_instance_rec *r);

/* --- instance_move.c --- */

/* The source's step. true: it is under way, so that nothing else is to be done. */
bool hf_instance_move_step(struct hf_instance_rec *r);
void hf_instance_move_report(const struct hf_instance_rec *r, Holdfast__V1__InstanceReport__Move *ret);
/* The record is of the target's copy: no start is ever ordered for it. */
void hf_instance_set_incoming(struct hf_instance_rec *r);
/* It is assigned as the target of a migration. */
bool hf_instance_is_incoming(const struct hf_instance_rec *r);
/* The target's step, from its permit until it goes on. */
void hf_instance_incoming_step(struct hf_instance_rec *r);

/* --- instance_stop.c --- */
bool hf_instance_is_to_stop(const struct hf_instance_rec *r);
void hf_instance_stop_step(struct hf_instance_rec *r);
/* The keeper verifies that nothing of the run exists (or kills it first) and tombstones it. */
void hf_instance_end_run(struct hf_instance_rec *r, bool kill, enum hf_end end, const char *reason);
/* The same after a migration: its guest is whole at the target. */
void hf_instance_end_handed_over(struct hf_instance_rec *r);
/* Tombstoned while an order to start may be under way: ended once more when it no longer is. */
void hf_instance_verify_step(struct hf_instance_rec *r);
/* The domain is gone by itself. */
void hf_instance_gone_step(struct hf_instance_rec *r);
/* Looks in the keeper's view whether it has closed a storage that the run needs. */
void hf_instance_see_closed(struct hf_instance_rec *r);
/* Tombstoned: say so. */
void hf_instance_settle(struct hf_instance_rec *r);

#endif
