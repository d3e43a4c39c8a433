/* A whole control plane in one thread for tests: three replicas on libraft's fixture, each with host link and
 * controllers, and scripted hosts that dial the leader, take orders and share storages whose lease records
 * they write and read. Time is the fixture's; the same run every time.
 */
#ifndef HF_CONTROL_CLOUD_TESTING_H
#define HF_CONTROL_CLOUD_TESTING_H

#include "consensus/cluster_testing.h"
#include "control/controllers.h"
#include "control/kinds.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "holdfast/v1/system.pb-c.h"

#define HOSTS_MAX 4
#define RUNS_MAX  512
#define INBOX_MAX 2048
#define GIB       (1024ULL * 1024 * 1024)
#define START_MS  300 /* from the order to RUNNING */

#define ZONE    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CLUSTER "cccccccccccccccccccccccccccccccc"
#define SHARED  "50000000000000000000000000000001" /* SharedMountPoint */
#define LOCAL   "50000000000000000000000000000002" /* LocalStorage */
#define L2      "12000000000000000000000000000000"
#define L3      "13000000000000000000000000000000"
#define IMAGE   "1a000000000000000000000000000000"

struct cloud;
struct fake_ceph;

struct fake_run {
    char instance[HF_UUID_STR];
    uint64_t run, epoch;
    bool live; /* QEMU is there; false: tombstoned, or only prepared */
    bool assigned;
    int32_t power;
    Holdfast__V1__InstanceReport__State state;
    int64_t ready_ms; /* PREPARING: becomes RUNNING then */
    uint64_t reboot_generation;
    /* as the target of a migration */
    bool incoming; /* waits for its guest, or for the word to go on */
    bool filled;   /* its guest is here, whole */
    /* as the source of one */
    uint64_t move_run; /* of the target's copy; 0: none was heard of */
    enum { MOVE_NONE, MOVE_MOVING, MOVE_FAILED } move;
    int64_t move_ms; /* the state has arrived then */
    char move_target[HF_UUID_STR];
    bool handed_over;
};

#define WATCHDOG_MS 5000 /* after the last pet */

/* What a test wants a host to do with its next starts. */
enum start_script { START_WELL, START_FAIL, START_BLOCKED };

struct fake_host {
    struct cloud *cloud;
    char uuid[HF_UUID_STR], name[16];
    uint8_t secret[32];
    /* the daemon */
    bool up;                 /* power */
    bool silent;             /* it hangs: says nothing, hears nothing; its record stands still */
    bool no_network;         /* its stream is cut and cannot be opened; its record moves */
    bool no_storage;         /* it cannot write its record nor read others' */
    bool no_marks;           /* it cannot write fence marks */
    int64_t silent_since_ms; /* the watchdog resets a host that hangs */
    int64_t storage_back_ms; /* since then it has read and written in every sample */
    int64_t renewed_ms;      /* start of the last renewal that succeeded */
    struct hf_host_stream *stream;
    unsigned dialled; /* replica that the stream is with */
    bool ended;       /* the leader ended the stream */
    enum hf_code ended_with;
    char ended_message[256];
    bool pending; /* welcomed as pending */
    bool attached;
    unsigned welcomes, synced, end_epochs;
    Holdfast__V1__ControlMessage *inbox[INBOX_MAX];
    size_t n_inbox;
    int64_t dial_ms, lease_ms;
    enum start_script script;
    bool image_fails;
    bool image_waits;        /* it never says how the fetch goes */
    const char *image_error; /* what keeps it from fetching for now, or NULL */
    bool hold_starts;        /* orders are taken, but nothing starts */
    bool hold_stops;         /* its guests take their time */
    bool hold_moves;         /* its guests are under way and do not arrive */
    bool move_fails;         /* libvirt does not take the order */
    bool leaves;             /* its machine is about to be switched off */
    unsigned shut_downs;     /* orders to shut down that it has obeyed */
    unsigned starts;         /* runs that it let begin */
    uint32_t cpus;
    uint64_t memory_bytes;
    const char *watchdog, *accelerator;
    /* the keeper */
    char boot_id[40];
    unsigned boots;
    uint64_t epoch, max_term;
    bool closed; /* this epoch is closed and everything killed */
    struct fake_run runs[RUNS_MAX];
    size_t n_runs;
    char peers[HOSTS_MAX][HF_UUID_STR];
    size_t n_peers;
    struct fake_mark {
        char host[HF_UUID_STR];
        uint64_t epoch;
    } marks[HOSTS_MAX]; /* that it was told to write; written at once where its storage answers */
    size_t n_marks;
    char client_address[24];          /* where a Ceph cluster sees it, or "" */
    bool cut_off;                     /* no storage takes its writes: its copies do not count */
    uint64_t session, closed_session; /* of SHARED: as assigned; what its keeper says that it has closed */
    char images[8][HF_UUID_STR];
    size_t n_images;
    unsigned volumes_deleted, volumes_worked;
    int32_t work_kind; /* of the last work on a volume that it was given */
    enum { VOLUMES_WELL, VOLUMES_WAIT, VOLUMES_FAIL } volumes; /* what comes of work on them */
    /* its record on SHARED */
    struct {
        bool written;
        uint64_t epoch, sequence;
        char boot_id[40];
        bool closed;
        int64_t changed_ms;
    } record;
};

struct cloud {
    struct cluster raft;
    struct hf_control controls[MEMBERS];
    unsigned leader;
    int64_t clock_ms;  /* fixture time */
    int64_t offset_ms; /* the environment's clock shows that much more */
    struct fake_host hosts[HOSTS_MAX];
    unsigned n_hosts;
    const char *second;      /* another storage whose lease records are as those of SHARED, or NULL */
    struct fake_ceph *ceph;  /* fake_ceph_play(), or NULL */
    struct hf_txn *gathered; /* of cloud_gather(), or NULL */
    bool copies_changed;     /* a run has begun since copies were counted */
    int running_max;         /* most live runs of one instance that were ever seen at once */
};

static inline Holdfast__V1__Meta meta_of(const char *uuid, const char *name)
{
    Holdfast__V1__Meta m = HOLDFAST__V1__META__INIT;
    m.uuid = (char *)uuid;
    m.name = (char *)name;
    return m;
}

/* --- cloud_testing.c, cloud_instances.c --- */
struct cloud *cloud_create(unsigned n_hosts, uint64_t seed);
void cloud_free(struct cloud *c);
/* With zone, cluster, storages, networks, image, and every host added and connected. */
struct cloud *cloud_ready(unsigned n_hosts);
/* The same with room for hundreds of instances on each. */
struct cloud *cloud_create_large(unsigned n_hosts);
struct cloud *cloud_ready_seeded(unsigned n_hosts, uint64_t seed);
void cloud_run(struct cloud *c, int64_t ms);
/* The leader is cut off until another leads; the hosts find the new one. */
void cloud_new_leader(struct cloud *c);
/* Whoever leads is the one that hosts and tests talk to. */
void cloud_follow_leader(struct cloud *c);

struct hf_control *leader_control(struct cloud *c);
const struct hf_store *leader_store(struct cloud *c);
/* Applies a transaction with this object: created, or replaced whatever its revision. Returns how apply
 * decided. */
enum hf_code cloud_put(struct cloud *c, ProtobufCMessage *m);
/* A primary storage of type Ceph, reached by one monitor; what else ceph says stays. */
void cloud_put_ceph(struct cloud *c, const char *uuid, const char *name, const char *monitor,
                    Holdfast__V1__CephCluster *ceph);
enum hf_code cloud_put_both(struct cloud *c, ProtobufCMessage *a,
                            ProtobufCMessage *b); /* in one transaction */
/* Between these, puts are gathered and applied as one transaction at the end. */
void cloud_gather(struct cloud *c);
void cloud_put_gathered(struct cloud *c);
enum hf_code cloud_delete(struct cloud *c, uint32_t kind, const char *uuid);
/* Decoded from the leader's store; freed with free_message(). NULL: there is none. */
void *cloud_get(struct cloud *c, uint32_t kind, const char *uuid);
void free_message(void *m);

/* An instance with a root volume on SHARED and an address; power RUNNING, with a CreateInstance operation of
 * the same UUID with its first digit replaced by 'f'. */
const char *cloud_create_instance(struct cloud *c, unsigned n, bool never_stop);
/* What a test wishes beyond that; zeros are the usual: 1 CPU, 2 GiB, no group, no operation is made. */
struct instance_wish {
    bool never_stop, stopped;
    int priority;
    uint64_t memory_bytes;
    const char *group;           /* UUID of an affinity group */
    const char *host;            /* started there */
    const char *storage, *image; /* of its root disk; NULL: SHARED, IMAGE */
};
void cloud_put_instance(struct cloud *c, unsigned n, const struct instance_wish *wish);
/* Group number n, with its UUID. */
const char *cloud_put_group(struct cloud *c, unsigned n, bool together, bool hard);
/* Its UUID, until the next call. */
const char *cloud_instance(unsigned n);
void instance_uuid(unsigned n, char out[HF_UUID_STR]);
void operation_uuid(unsigned n, char out[HF_UUID_STR]);
void cloud_set_power(struct cloud *c, unsigned n, int power, const char *operation_verb);
void cloud_set_setting(struct cloud *c, const char *name, const char *value);

Holdfast__V1__InstanceStatus__State instance_state(struct cloud *c, unsigned n);
/* Index of the host with the open placement; -1: none open. */
int instance_host(struct cloud *c, unsigned n);
uint64_t instance_run(struct cloud *c, unsigned n);
bool instance_says(struct cloud *c, unsigned n, const char *part);
Holdfast__V1__Operation__State operation_state(struct cloud *c, unsigned n);
bool operation_says(struct cloud *c, unsigned n, const char *part);
Holdfast__V1__HostStatus__State host_state(struct cloud *c, unsigned host);
uint64_t host_epoch(struct cloud *c, unsigned host);
bool is_fenced(struct cloud *c, unsigned host, uint64_t epoch);
size_t count_kind(struct cloud *c, uint32_t kind);

/* Waits until the instance is in that state, at most ms. */
bool wait_state(struct cloud *c, unsigned n, Holdfast__V1__InstanceStatus__State state, int64_t ms);

/* --- fake_host.c --- */
void host_power_on(struct fake_host *h);
void host_power_off(struct fake_host *h);
void host_hang(struct fake_host *h);
void host_turn(struct fake_host *h); /* what is due now */
void host_report(struct fake_host *h, const struct fake_run *r, const char *message, bool failed, bool guest);
struct fake_run *host_find_run(struct fake_host *h, const char *instance);
void host_report_image(struct fake_host *h, const Holdfast__V1__ImageReport *r);
/* The guest powers itself off (or crashes). */
void host_guest_ends(struct fake_host *h, unsigned n);
/* Its keeper has killed instance n, as the last good renewal on this storage began so long ago; the storage is
 * not good there until it is assigned anew. */
void host_loses_storage(struct fake_host *h, unsigned n, const char *storage_uuid, int64_t age_ms);
/* It has killed instance n, as a cluster refuses its client. */
void host_client_refused(struct fake_host *h, unsigned n);
void host_drop_stream(struct fake_host *h);
/* Its operating system shuts down. */
void host_asks_to_leave(struct fake_host *h);
int host_live_runs(const struct fake_host *h, const char *instance);

#endif
