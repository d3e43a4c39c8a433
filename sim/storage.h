/* A simulated primary storage: lease records and the guests' writes on it, and for each host a way to it with
 * faults of its own. Files of volumes and images are storage/primary_sim.h's.
 *
 * A write is issued, lands (changes what readers see) and is answered, each at its own time. It may land when
 * nobody waits for the answer any more: the kernel of a machine that runs brings to an end what it has taken,
 * whether the process lives or not; what a machine without power had on its way lands late or never.
 */
#ifndef HF_SIM_STORAGE_H
#define HF_SIM_STORAGE_H

#include "base/uuid.h"
#include "ha/sampler.h"
#include "sim/proc.h"
#include "storage/primary_sim.h"

struct sim_ceph;
struct sim_world;
struct sim_storage;

/* shared: every host of the cluster uses it; else it is the local one of the next host that has none. */
struct sim_storage *sim_storage_create(struct sim_world *w, const struct hf_uuid *uuid, const char *name,
                                       bool shared);
/* From now on it is a Ceph cluster, before anybody uses it: records and marks are one object per host, which
 * takes a renewal only in an epoch that is above the mark and not below the last record's, and whom the
 * cluster has on its blocklist it serves no more. */
void sim_storage_make_ceph(struct sim_storage *s, struct sim_ceph *take_cluster);
/* NULL: it is none. */
struct sim_ceph *sim_storage_ceph(const struct sim_storage *s);
/* Boot number so-and-so of this host begins: who it is to a Ceph cluster. */
void sim_storage_host_boots(struct sim_storage *s, unsigned host, uint64_t boot);
/* The address that a Ceph cluster saw the host's last record come from; "": there is none. */
const char *sim_storage_record_client(const struct sim_storage *s, unsigned host);
/* After the queue has ended. */
void sim_storage_free(struct sim_storage *s);
const struct hf_uuid *sim_storage_uuid(const struct sim_storage *s);
/* The control plane makes a storage's UUID when it is added: the workload tells it here, before a host opens
 * the storage. */
void sim_storage_set_uuid(struct sim_storage *s, const struct hf_uuid *uuid);
/* PrimaryStorage.spec.path, by which the drivers of a host find it: "/sim/shared1"; "/sim/local" for every
 * local one; where the way to a Ceph cluster lies for one that is, once it has its UUID. */
#define SIM_STORAGE_FOLDER "/sim"
const char *sim_storage_path(const struct sim_storage *s);
bool sim_storage_shared(const struct sim_storage *s);
struct hf_disk_sim *sim_storage_files(struct sim_storage *s);
/* A host's daemon opens the storage: calls go by the host's way, on the daemon's time. */
struct hf_primary *sim_storage_open(struct sim_storage *s, unsigned host, struct hf_env *env);

/* --- faults; they hold until changed --- */
struct sim_storage_way {
    bool hangs;        /* I/O waits until it ends (or for ever: the issuer's deadline passes first) */
    bool fails;        /* I/O is answered with an error and does nothing */
    bool cut;          /* nothing reaches the storage: like hangs, but what is under way does not land */
    int64_t delay_ms;  /* added to each I/O, up to this much, drawn */
    int64_t late_ms;   /* a write whose issuer died may land up to this much later; 0: it is lost */
    uint32_t torn_ppm; /* a record write of a machine that loses power is half written */
    /* reads and writes apart */
    bool write_fails, write_hangs, read_fails, read_hangs;
    bool marks_hang; /* writing a fence mark */
    bool full;       /* what is there can be overwritten; a guest's write and a new mark find no room */
    bool stale;      /* records are read as they were when this began */
};
/* Something is asked of it that it does not do. */
static inline bool sim_storage_way_is_bad(const struct sim_storage_way *w)
{
    return w->hangs || w->fails || w->cut || w->write_fails || w->write_hangs || w->read_fails ||
           w->read_hangs || w->marks_hang || w->full || w->stale;
}
struct sim_storage_way *sim_storage_way(struct sim_storage *s, unsigned host);
/* After every change of a way: what was under way waits, or what waited goes on. */
void sim_storage_kick(struct sim_storage *s, unsigned host);
/* Its way, and that of every other host, is whole. */
bool sim_storage_works(const struct sim_storage *s, unsigned host);

/* --- lease records; both from an act of the process `by` --- */
/* One record of `host`. cb as a delivery to `by`; drop(arg) instead when it has died. marked: a Ceph cluster
 * has refused it, for its epoch or its writer; of files that is read by itself. why: of an error. */
typedef void (*sim_mark_cb)(void *arg, bool ok, bool marked, const char *why);
void sim_storage_write_record(struct sim_storage *s, unsigned host, struct sim_proc *by,
                              const struct hf_lease_record *r, sim_mark_cb cb, sim_fn drop, void *arg);
/* One sample: reads the records of these hosts one after the other, each as it is at some moment between its
 * start and its end on the clock of `by`. cb as a delivery; it may take the runs out of the reads, which are
 * borrowed. drop(arg) instead when `by` has died. */
typedef void (*sim_sampled_cb)(void *arg, struct hf_sampler_read *reads, size_t n);
void sim_storage_read_records(struct sim_storage *s, unsigned host, struct sim_proc *by,
                              const struct hf_uuid *owners, size_t n, sim_sampled_cb cb, sim_fn drop,
                              void *arg);
/* The process has died, the machine runs: reads are over; writes stay in the kernel until they have landed,
 * or with late_ms are left to the network. */
void sim_storage_issuer_died(struct sim_storage *s, unsigned host, const struct sim_proc *by);
/* The kernel still holds a record write of a process that has died. Never on Ceph, where it is a process's.
 */
bool sim_storage_record_held(const struct sim_storage *s, unsigned host);

/* Everything in the lease directory is gone. */
void sim_storage_lose_records(struct sim_storage *s);
/* Both slots of this host's record hold something else, of which a read says `found`. Its keeper writes on.
 */
void sim_storage_spoil_record(struct sim_storage *s, unsigned host, enum hf_lease_decode found);

/* --- fence marks, each in one instant --- */
#define SIM_MARKS_MAX 1024
/* False: the way of this host does not work now, for *ret_hangs or with an error. */
bool sim_storage_mark(struct sim_storage *s, unsigned host, const struct hf_uuid *owner, uint64_t epoch,
                      bool *ret_hangs);
bool sim_storage_marked(const struct sim_storage *s, const struct hf_uuid *owner, uint64_t epoch);
/* Reads the mark of the host's own life: from an act of the process `by`. */
void sim_storage_read_mark(struct sim_storage *s, unsigned host, struct sim_proc *by,
                           const struct hf_uuid *owner, uint64_t epoch, sim_mark_cb cb, sim_fn drop,
                           void *arg);

/* --- guests --- */
typedef void (*sim_written_cb)(void *arg, bool ok, const char *why);
/* A write of a running guest, which lands on its own time and tells the checks. done is called once, from no
 * process: when it was answered, or (ok false) when nobody will. */
void sim_storage_guest_write(struct sim_storage *s, unsigned host, const struct hf_uuid *instance,
                             uint64_t run, uint64_t counter, sim_written_cb done, void *arg);
/* This guest was killed: where its way hangs the kernel lets go of its writes, which land late or never; on
 * Ceph some as soon as the way is whole. */
void sim_storage_guest_killed(struct sim_storage *s, unsigned host, const struct hf_uuid *instance);
/* The machine lost power: what it had under way lands late or never. Before its processes are ended. */
void sim_storage_host_died(struct sim_storage *s, unsigned host);

#endif
