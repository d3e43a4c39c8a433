/* A simulated primary storage: lease records and the guests' writes on it, and for each host a way to it with
 * faults of its own. Files of volumes and images are storage/primary_sim.h's.
 *
 * A write is issued, lands (changes what readers see) and is answered, each at its own time: a write whose
 * issuer gave up, was killed or lost power may still land when `late` says so.
 */
#ifndef HF_SIM_STORAGE_H
#define HF_SIM_STORAGE_H

#include "base/uuid.h"
#include "ha/lease_record.h"
#include "sim/proc.h"
#include "storage/primary_sim.h"

struct sim_world;
struct sim_storage;

/* shared: every host of the cluster uses it; else it is the local one of host `host`. */
struct sim_storage *sim_storage_create(struct sim_world *w, const struct hf_uuid *uuid, const char *name,
                                       bool shared);
void sim_storage_free(struct sim_storage *s);
const struct hf_uuid *sim_storage_uuid(const struct sim_storage *s);
/* The control plane makes a storage's UUID when it is added: the workload tells it here, before a host opens
 * the storage. */
void sim_storage_set_uuid(struct sim_storage *s, const struct hf_uuid *uuid);
/* PrimaryStorage.spec.path, by which the drivers of a host find it: "/sim/shared1"; "/sim/local" for every
 * local one. */
const char *sim_storage_path(const struct sim_storage *s);
bool sim_storage_shared(const struct sim_storage *s);
struct hf_disk_sim *sim_storage_files(struct sim_storage *s);

/* --- faults; they hold until changed --- */
struct sim_storage_way {
    bool hangs;        /* I/O waits until it ends (or for ever: the issuer's deadline passes first) */
    bool fails;        /* I/O is answered with an error and does nothing */
    bool cut;          /* nothing reaches the storage: like hangs, but what is under way is lost */
    int64_t delay_ms;  /* added to each I/O, up to this much, drawn */
    int64_t late_ms;   /* a write whose issuer died may land up to this much later; 0: it is lost */
    uint32_t torn_ppm; /* a record write of a machine that loses power is half written */
};
struct sim_storage_way *sim_storage_way(struct sim_storage *s, unsigned host);
/* After a change of a way: what waited goes on. */
void sim_storage_kick(struct sim_storage *s, unsigned host);
/* Its way, and that of every other host, is whole. */
bool sim_storage_works(const struct sim_storage *s, unsigned host);

/* --- lease records --- */
typedef void (*sim_written_cb)(void *arg, bool ok, const char *why);
/* One record of `host` from the process `by`: an act. cb as a delivery to it. */
void sim_storage_write_record(struct sim_storage *s, unsigned host, struct sim_proc *by,
                              const struct hf_lease_record *r, sim_written_cb cb, void *arg);
/* file: HF_LEASE_FILE_BYTES of owner's record file as the read found it (len 0: there is none). */
typedef void (*sim_read_cb)(void *arg, bool ok, const char *why, const uint8_t *file, size_t len);
void sim_storage_read_record(struct sim_storage *s, unsigned host, struct sim_proc *by,
                             const struct hf_uuid *owner, sim_read_cb cb, void *arg);

/* --- guests --- */
/* A write of a running guest, which lands on its own time and tells the checks. done (may be NULL) as a
 * delivery to `by`: the guest's next write waits for it. */
void sim_storage_guest_write(struct sim_storage *s, unsigned host, struct sim_proc *by,
                             const struct hf_uuid *instance, uint64_t run, uint64_t counter,
                             sim_written_cb done, void *arg);
/* The machine lost power: what it had under way lands late or never. */
void sim_storage_host_died(struct sim_storage *s, unsigned host);

#endif
