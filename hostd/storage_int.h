/* One storage record, private to storage_rec.c (the storage itself) and storage_lease.c (the leases on it).
 */
#ifndef HF_HOSTD_STORAGE_INT_H
#define HF_HOSTD_STORAGE_INT_H

#include "hostd/peer_values.h"
#include "hostd/storage_rec.h"

struct hf_storage_rec {
    struct hf_storage_rec *next;
    struct hf_host *host;
    char id[HF_UUID_STR];
    struct hf_storage_place place;
    uint64_t session; /* in which the keeper is to open it */
    uint64_t sync;
    struct hf_primary *primary; /* NULL: could not be opened (message says why) */
    /* the check */
    bool checking, checked, ok, dead;
    bool check_again; /* what the one under way finds does not count, and another one follows */
    bool was_ok;      /* at least once */
    unsigned calls;
    char *message;
    char address[16], network_problem[HF_STORAGE_PROBLEM_MAX];
    struct hf_capacity capacity, reported;
    size_t reported_seen; /* addresses */
    struct hf_timer timer;
    /* the lease */
    bool leased, leasing;
    bool lost;   /* the keeper says so, in this session or this life */
    bool closed; /* in its session: no start here before the next one */
    struct hf_timer lease_timer;
    struct hf_backoff backoff;
    struct hf_lease_reader *reader;
    struct hf_uuid *peers;
    size_t n_peers;
    struct hf_lease_mark *marks;
    size_t n_marks;
    struct hf_peer_values peer_values; /* of the reader's last sample */
};

/* Every driver call of a record is framed by these two. */
void hf_storage_call_begin(struct hf_storage_rec *r);
/* False: the record has gone meanwhile and must not be touched. */
bool hf_storage_call_end(struct hf_storage_rec *r);

/* What the leader is to know of it now. */
void hf_storage_rec_report(struct hf_storage_rec *r);
/* What was found of it does not count any more: it is not good until a check from now on has found it so. */
void hf_storage_rec_doubt(struct hf_storage_rec *r);

/* --- storage_lease.c --- */

/* Has the keeper hold a lease, once that makes sense. */
void hf_storage_want_lease(struct hf_storage_rec *r);
/* Tells the keeper that the lease is not needed any more. */
void hf_storage_give_lease_up(struct hf_storage_rec *r);
/* Leases that the keeper holds for nothing: their storages were taken away while no hostd was there to tell
 * it. One at a time; one that a run still needs is asked for again at the next tick. */
void hf_storage_leases_sweep(struct hf_host *h);
/* Looks whether the keeper has closed it. */
void hf_storage_see_closed(struct hf_storage_rec *r);
/* Has a reader, once there are peers to watch. */
void hf_storage_want_reader(struct hf_storage_rec *r);

#endif
