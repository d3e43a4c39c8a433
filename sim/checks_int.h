/* What the files of the checks share: the facts, as far as they are known, and how a violation is told. Lists
 * are in the order in which their members were first heard of, so that no hash order shows.
 */
#ifndef HF_SIM_CHECKS_INT_H
#define HF_SIM_CHECKS_INT_H

#include <protobuf-c/protobuf-c.h>

#include "control/uuid_map.h"
#include "holdfast/v1/instance.pb-c.h"
#include "sim/checks.h"

#define SIM_NAME             48  /* of an object in a sentence; longer ones are cut */
#define SIM_SAYS             160 /* of a condition in a sentence */
#define SIM_NODES_KNOWN      16
#define SIM_COPIES_MAX       8 /* of one instance that execute at once: all beyond the first are violations */
#define SIM_PAST_MAX         8 /* copies of one instance that ended; the oldest makes room */
#define SIM_DISKS_MAX        4 /* storages of one instance */
#define SIM_LEASES_MAX       8 /* of one host */
#define SIM_COVERED_MAX      16    /* storages that the evidence of one fence names */
#define SIM_SEEN_MAX         8     /* last revisions of one object */
#define SIM_NICS_MAX         8     /* of one instance */
#define SIM_REVISIONS        65536 /* last revisions whose digests are kept; a power of two */
#define SIM_GROUPS_MAX       4     /* of one instance */
#define SIM_GROUPS_KNOWN     16
#define SIM_ENTRY            40 /* of a blocklist */
#define SIM_LISTED_MAX       1024
#define SIM_RESERVED_MAX     128
#define SIM_BLOCKLISTS_MAX   8 /* of one fence */
#define SIM_CRASH_LOOP_TRIES 5 /* the default of ha.crashLoop.tries: nothing changes it here */
#define SIM_MS_NS            1000000LL
#define SIM_EVER_NS          (INT64_MIN / 4) /* "since ever" */

/* --- the store's objects, as committed: by the first node that applied the revision --- */

struct sim_object { /* of any kind, while it exists */
    struct hf_uuid uuid;
    uint32_t kind;
    uint32_t n_seen;             /* revisions so far */
    uint64_t seen[SIM_SEEN_MAX]; /* a ring of the last ones */
    uint64_t revision;           /* of the last change */
};

struct sim_store_storage {
    struct hf_uuid uuid;
    char name[SIM_NAME];
    bool shared, deleted, ceph;
    bool out; /* for every host */
    int64_t out_since_ns;
    int64_t unreached_since_ns[SIM_HOSTS_MAX]; /* nothing of what this host asks there is done; 0: some is */
    struct sim_store_storage *next;
};

#define SIM_RENEWALS_KEPT 4

struct sim_lease {
    struct hf_uuid storage;
    int64_t started_ns;                    /* of the last renewal that ended well */
    int64_t earlier_ns[SIM_RENEWALS_KEPT]; /* of those before it, the newest first; 0: none */
    uint64_t closed_epoch; /* it was once older than L+K in this epoch of its host; 0: never */
};

struct sim_blocklist {
    struct sim_store_storage *storage;
    int state; /* of Fence.Blocklist */
    bool by_clients;
};

struct sim_fence { /* lives for ever */
    struct hf_uuid uuid, host;
    uint64_t epoch;
    int64_t since_ns;
    size_t n_evidence;
    uint64_t evidence_digest; /* of these, in order */
    bool proves_all;          /* the next epoch, an operator's word, power off */
    bool own_word;            /* the next epoch, an operator's word, the host's own */
    struct hf_uuid covered[SIM_COVERED_MAX];
    size_t n_covered;
    struct hf_uuid barred[SIM_COVERED_MAX]; /* it cannot write there, but may run */
    size_t n_barred;
    char address[SIM_ENTRY]; /* of this life towards Ceph clusters; "": nobody told */
    struct sim_blocklist blocklists[SIM_BLOCKLISTS_MAX];
    size_t n_blocklists;
    struct sim_fence *next_of_host;
};

struct sim_host_facts { /* what is true of the machine */
    bool known;         /* a number was given to it */
    unsigned number;
    bool faulty, lost;
    int64_t faulty_until_ns; /* end of its last fault */
    int64_t lost_since_ns;
    int64_t power_back_ns; /* it was without power until then */
    bool keeper_down;
    int64_t keeper_since_ns;
    struct sim_lease leases[SIM_LEASES_MAX];
    size_t n_leases;
    char address[SIM_ENTRY]; /* towards Ceph clusters, since it booted; "": nobody told */
    bool shared;             /* another host had it, too, at some time */
};

struct sim_known_host {
    struct hf_uuid uuid;
    struct sim_host_facts facts;
    /* as stored */
    bool stored, deleted;
    char name[SIM_NAME];
    uint64_t epoch, top_epoch; /* now; ever */
    uint64_t fenced_epoch;     /* highest; 0: none */
    int64_t epoch_since_ns;
    char epoch_address[SIM_ENTRY]; /* when the epoch was granted */
    struct sim_fence *fences;
    int64_t cleared_ns; /* when it was taken off a blocklist last */
    bool connected, disabled, watchdog;
    bool may_be_silent; /* it is in maintenance, or shut down in order */
    struct hf_uuid cluster;
    uint64_t cpus, memory_bytes, cpus_used, memory_used;
    int64_t healthy_since_ns; /* INT64_MAX: it is not */
    struct sim_known_host *next;
};

enum sim_end { SIM_OPEN, SIM_STOPPED, SIM_FENCED };

struct sim_placement {
    struct sim_known_host *host; /* NULL: never placed */
    uint64_t epoch, run;
    enum sim_end end;
    uint64_t end_digest;
    /* its migration, open or over; target NULL: there is none */
    struct sim_known_host *target;
    uint64_t target_epoch, target_run;
    bool moves;     /* it is open: the run may be at either end */
    bool handed_on; /* its last word is that the source has handed over just this run */
};

struct sim_copy {
    unsigned host;
    uint64_t run;
    int64_t at_ns; /* when it began, or ended */
};

struct sim_newest_write {
    struct hf_uuid storage;
    uint64_t run;
    int64_t first_ns; /* of this run's writes there */
    unsigned host;
};

struct sim_instance {
    struct hf_uuid uuid;
    char name[SIM_NAME];
    struct sim_instance *next;
    /* what is true */
    struct sim_copy copies[SIM_COPIES_MAX];
    size_t n_copies;
    struct sim_copy past[SIM_PAST_MAX]; /* a ring */
    size_t n_past;
    struct sim_newest_write newest[SIM_DISKS_MAX];
    size_t n_newest;
    uint64_t top_run; /* highest that ever executed, and where */
    unsigned top_host;
    /* as stored */
    bool stored, deleted;
    struct sim_placement placement;
    uint64_t over_run;      /* every run up to this one is over */
    uint64_t unwriting_run; /* every run up to this one may execute for as long as it cannot write */
    bool write_fenced;
    uint64_t called_off_run;            /* the copy of the last migration that was called off */
    uint64_t unwanted_run;              /* the store wanted this run, or an older one, not to run */
    struct sim_known_host *fenced_from; /* where its last run was when it was fenced; until it runs again */
    bool never_stop, wanted, paused, deleting;
    struct sim_known_host *bound_to; /* its next start is bound to this host; NULL: to none */
    int priority;                    /* the higher is placed first */
    int64_t told_ns;                 /* when it was last stored */
    uint64_t cpus, memory_bytes;
    struct sim_store_storage *storages[SIM_DISKS_MAX];
    size_t n_storages;
    struct hf_uuid groups[SIM_GROUPS_MAX];
    size_t n_groups;
    uint32_t start_failures;
    uint32_t ends;       /* that nobody ordered, while it was wanted; since it was made */
    char says[SIM_SAYS]; /* the stored reason why it does not run; "": none */
    size_t operations;   /* under way on it */
    uint64_t nics_digest;
    struct hf_uuid nics[2 * SIM_NICS_MAX]; /* keys of its addresses (l3, ip) and MACs */
    size_t n_nics;
    /* the clock of NeverStop */
    bool has_run; /* since it was last wanted */
    bool down;    /* the clock runs */
    int64_t clock_ns;
    struct sim_instance *next_down, **down_link;
};

struct sim_operation {
    struct hf_uuid uuid;
    char verb[SIM_NAME], target[SIM_NAME];
    struct sim_instance *instance; /* or NULL */
    bool ended, deleted;
    uint64_t end_digest;
    struct sim_operation *next;
};

/* What can only be judged when the whole transaction is known. */
enum sim_pending_kind { SIM_GRANT, SIM_PLACED, SIM_LEFT_FENCED, SIM_NEXT_EPOCH, SIM_HOST_GONE };
struct sim_pending {
    enum sim_pending_kind kind;
    struct sim_known_host *host;
    struct sim_instance *instance;
    uint64_t epoch, from;
};

/* --- replicas --- */

struct sim_replica {
    bool known;
    uint64_t revision, digest;
    int64_t first_ns; /* when it began with this revision */
};

struct sim_revision {
    uint64_t revision, digest; /* digest 0: it changed nothing */
    int64_t first_ns;
};

struct sim_arena {
    uint8_t *block;
    size_t used;
    void *large; /* a list of what did not fit */
};

struct sim_history; /* check_history.c */

struct sim_checks {
    const struct hf_ha_timing *timing;
    void (*on_violation)(void *arg, const struct sim_violation *v);
    void *arg;
    struct sim_violation violations[SIM_VIOLATIONS_MAX];
    uint64_t subjects[SIM_VIOLATIONS_MAX];
    size_t n_violations;
    /* the world */
    struct sim_known_host *by_number[SIM_HOSTS_MAX];
    bool no_quorum, disturbed;
    int64_t calm_since_ns; /* quorum, nothing disturbed */
    int64_t leader_since_ns;
    uint64_t failovers, unwriting;
    /* the store */
    struct hf_uuid_map objects, hosts, storages, fences, instances, operations, addresses;
    struct sim_known_host *host_list, **host_end;
    struct sim_store_storage *storage_list, **storage_end;
    struct sim_instance *instance_list, **instance_end;
    struct sim_operation *operation_list, **operation_end;
    uint64_t revision;     /* highest that any node has applied */
    int64_t revision_node; /* which node that is; -1: it was lost meanwhile */
    struct sim_pending *pending;
    size_t n_pending, pending_max;
    struct {
        const struct sim_store_storage *storage;
        char entry[SIM_ENTRY];
    } listed[SIM_LISTED_MAX]; /* on the clusters' blocklists */
    size_t n_listed;
    char reserved[SIM_RESERVED_MAX][SIM_ENTRY]; /* addresses of others than hosts */
    size_t n_reserved;
    struct hf_uuid write_fenced[SIM_GROUPS_KNOWN]; /* clusters */
    size_t n_write_fenced;
    struct hf_uuid apart[SIM_GROUPS_KNOWN]; /* hard anti-affinity groups */
    size_t n_apart;
    bool ha_off;
    uint64_t mass_share, cpu_factor, reserved_memory;
    struct sim_replica replicas[SIM_NODES_KNOWN];
    struct sim_revision *revisions;
    struct sim_arena arena;
    /* NeverStop */
    struct sim_instance *down_list;
    int64_t next_look_ns;
    struct sim_history *history;
};

/* --- violations (checks.c) --- */

/* "12.345 s" in out; returns out. */
#define SIM_TIME_TEXT 32
char *sim_time_text(int64_t ns, char out[SIM_TIME_TEXT]);
/* Told once per rule and subject. */
void sim_violated(struct sim_checks *c, int64_t now_ns, enum sim_rule rule, uint64_t subject, const char *fmt,
                  ...) HF_PRINTF(5, 6);

/* --- digests (checks.c): of bytes, going on from another one; never 0 --- */
#define SIM_DIGEST_EMPTY 0x9ae16a3b2f90404fULL
uint64_t sim_digest_bytes(uint64_t d, const void *p, size_t n);
uint64_t sim_digest_u64(uint64_t d, uint64_t v);
uint64_t sim_digest_text(uint64_t d, const char *s);
static inline uint64_t sim_subject(const struct hf_uuid *u)
{
    return sim_digest_bytes(SIM_DIGEST_EMPTY, u->b, sizeof u->b);
}

/* --- the lists (checks.c): made when they are first heard of --- */
struct hf_uuid sim_uuid_of(const char *text); /* zero: it is none */
struct sim_known_host *sim_host_numbered(struct sim_checks *c, unsigned number);
struct sim_known_host *sim_host_of(struct sim_checks *c, const struct hf_uuid *uuid);
struct sim_store_storage *sim_storage_of(struct sim_checks *c, const struct hf_uuid *uuid);
struct sim_instance *sim_instance_of(struct sim_checks *c, const struct hf_uuid *uuid);
const char *sim_instance_text(const struct sim_instance *i); /* its name, or its UUID's beginning */
/* ", the store says: …", or "" */
struct sim_says {
    char text[SIM_SAYS + 24];
};
struct sim_says sim_says_of(const struct sim_instance *i);
/* "h3" as the simulator's traces say, or its stored name. */
const char *sim_host_text(const struct sim_known_host *h);

/* --- check_affinity.c --- */
void sim_apply_group(struct sim_checks *c, const struct hf_uuid *uuid, const uint8_t *bytes, size_t len);
void sim_take_groups(struct sim_instance *i, const Holdfast__V1__InstanceSpec *spec);
/* Another instance, but for `without` (or NULL), that is placed there and that a hard group keeps this one
 * apart from, or NULL. */
const struct sim_instance *sim_kept_apart_by(const struct sim_checks *c, const struct sim_instance *i,
                                             const struct sim_known_host *h,
                                             const struct sim_instance *without);
/* It was just placed. */
void sim_judge_apart(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i,
                     const struct sim_known_host *h);
/* By what the store says it is placed there, or on its way there, and not proven over. */
bool sim_may_run_on(const struct sim_instance *i, const struct sim_known_host *h);
/* Rule 18: that nothing is heard of it is no loss, for it may be silent and nothing is placed there. */
bool sim_is_at_rest(const struct sim_checks *c, const struct sim_known_host *h);

/* --- check_blocklists.c --- */
/* Every storage of the instance refuses all that comes from this host, for ever or until the list changes. */
bool sim_cannot_write(const struct sim_checks *c, const struct sim_instance *i,
                      const struct sim_known_host *h);
struct Holdfast__V1__Fence;
void sim_take_blocklists(struct sim_checks *c, int64_t now_ns, struct sim_known_host *h, struct sim_fence *f,
                         const struct Holdfast__V1__Fence *m);
void sim_judge_blocklist_evidence(struct sim_checks *c, int64_t now_ns, struct sim_known_host *h,
                                  struct sim_fence *f, const struct sim_store_storage *s);
/* It is write-fenced, and all its storages are Ceph's. */
bool sim_needs_blocklist_only(const struct sim_instance *i);
/* Nothing keeps the clusters from refusing all of the host's clients: its address is its own, and it is not
 * on a list for an earlier life. */
bool sim_can_be_refused(const struct sim_checks *c, const struct sim_instance *i,
                        const struct sim_known_host *h);
/* By what the log says one of the instance's storages may refuse this host. */
bool sim_is_refused_at(const struct sim_known_host *h, const struct sim_instance *i);
/* A Ceph storage of the instance that was never confirmed to refuse this life's clients; NULL: there is none.
 */
const struct sim_store_storage *sim_not_refused_at(const struct sim_fence *f, const struct sim_instance *i);
/* There is evidence that this life can write to none of the instance's storages. */
bool sim_writes_are_refused(const struct sim_fence *f, const struct sim_instance *i);
void sim_blocklists_end(struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h);

/* --- check_copies.c --- */
/* A copy whose run was left for it could not write, and cannot. */
bool sim_may_still_run(struct sim_checks *c, const struct sim_instance *i, const struct sim_copy *x);
/* All of this instance that execute, each against each. */
void sim_judge_copies(struct sim_checks *c, int64_t now_ns, struct sim_instance *i);

/* --- check_priorities.c --- */
/* It was just placed there. */
void sim_judge_priority(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i,
                        const struct sim_known_host *h);

/* --- check_kills.c --- */
/* NULL: it was never renewed. */
struct sim_lease *sim_lease_of(struct sim_host_facts *f, const struct hf_uuid *storage);
void sim_judge_silence(struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h, uint64_t epoch,
                       const struct sim_store_storage *s);
/* The host's epoch is fenced because its records stand still. */
void sim_judge_fence(struct sim_checks *c, int64_t now_ns, const struct sim_known_host *h, uint64_t epoch);

/* --- check_never_stop.c --- */
/* Before a fact changes that an excuse may rest on: clocks of what is excused till now begin now. */
void sim_never_stop_before(struct sim_checks *c, int64_t now_ns);
/* After a fact changed: of this instance; of this host. */
void sim_never_stop_instance(struct sim_checks *c, int64_t now_ns, struct sim_instance *i);
void sim_never_stop_host(struct sim_checks *c, int64_t now_ns, struct sim_known_host *h);
void sim_never_stop_restart(struct sim_checks *c, int64_t now_ns); /* every clock begins anew */
void sim_never_stop_look(struct sim_checks *c, int64_t now_ns);
/* It was just placed there: not where it was killed for a storage that is out of reach there since. */
void sim_judge_reach(struct sim_checks *c, int64_t now_ns, const struct sim_instance *i,
                     struct sim_known_host *h);
static inline void sim_never_stop_tick(struct sim_checks *c, int64_t now_ns)
{
    if (now_ns >= c->next_look_ns)
        sim_never_stop_look(c, now_ns);
}
/* Some healthy host has room for it. */
bool sim_room_for(const struct sim_checks *c, const struct sim_instance *i);
/* It could be placed on this host, were it well; and had `without` (or NULL) not been placed there. */
bool sim_fits(const struct sim_checks *c, const struct sim_instance *i, const struct sim_known_host *h,
              const struct sim_instance *without);

/* --- check_store.c: what is stored --- */
void sim_store_apply(struct sim_checks *c, int64_t now_ns, uint64_t revision, uint32_t kind,
                     const struct hf_uuid *uuid, const uint8_t *bytes, size_t len);
/* When the whole transaction is known. */
void sim_judge_later(struct sim_checks *c, struct sim_pending p);
/* The transaction is over. */
void sim_store_flush(struct sim_checks *c, int64_t now_ns);
struct sim_object *sim_object_find(const struct sim_checks *c, const struct hf_uuid *uuid);
/* NULL: damaged. Valid until sim_decode_end(). */
void *sim_decode(struct sim_checks *c, const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t len);
void sim_decode_end(struct sim_checks *c);

/* --- check_fences.c; bytes NULL: deleted --- */
void sim_apply_host(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid, const uint8_t *bytes,
                    size_t len);
void sim_apply_fence(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid, const uint8_t *bytes,
                     size_t len);
/* It is over there, not merely unable to write. */
bool sim_fence_proves(const struct sim_fence *f, const struct hf_uuid *storage);
/* NULL: there is none. */
const struct sim_fence *sim_fence_of(const struct sim_checks *c, const struct sim_known_host *h,
                                     uint64_t epoch);

/* --- check_placements.c --- */
void sim_apply_instance(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid,
                        const uint8_t *bytes, size_t len);
void sim_judge_pending(struct sim_checks *c, int64_t now_ns, const struct sim_pending *p);

/* --- check_operations.c --- */
void sim_apply_operation(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid,
                         const uint8_t *bytes, size_t len);
void sim_apply_address(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *uuid, const uint8_t *bytes,
                       size_t len);
struct Holdfast__V1__Instance;
void sim_apply_nics(struct sim_checks *c, int64_t now_ns, struct sim_instance *i,
                    const struct Holdfast__V1__Instance *m); /* NULL: it is gone */

/* --- check_replicas.c --- */
void sim_replicas_end(struct sim_checks *c, int64_t now_ns);

/* --- check_history.c --- */
struct sim_history *sim_history_create(void);
void sim_history_free(struct sim_history *h);
void sim_history_end(struct sim_checks *c, int64_t now_ns);

#endif
