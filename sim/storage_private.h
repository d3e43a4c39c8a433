/* What storage.c (a storage and the ways to it) and storage_io.c (what is on these ways) share. */
#ifndef HF_SIM_STORAGE_PRIVATE_H
#define HF_SIM_STORAGE_PRIVATE_H

#include "sim/ceph.h"
#include "sim/storage.h"
#include "sim/storage_record.h"
#include "sim/world.h"

struct sim_io;
struct sim_stale_records;

struct sim_host_way {
    struct sim_storage *storage;
    struct sim_storage_way way;
    struct hf_primary_sim_way files;
    struct sim_io *ios;
    struct sim_stale_records *stale; /* NULL: it is not */
};

struct sim_storage {
    struct sim_world *world;
    struct hf_uuid uuid;
    char name[SIM_PROC_NAME], path[SIM_PROC_NAME + HF_UUID_STR];
    bool shared;
    struct sim_ceph *ceph; /* NULL: files */
    struct sim_ceph_client record_client[SIM_HOSTS_MAX];
    uint64_t written[SIM_HOSTS_MAX]; /* on Ceph: the epoch of each host's last record */
    struct sim_rng rng;
    struct hf_disk_sim *files;
    struct sim_host_way ways[SIM_HOSTS_MAX];
    struct sim_record_file records[SIM_HOSTS_MAX]; /* by the host that writes it */
    struct {
        struct hf_uuid owner;
        uint64_t epoch;
    } marks[SIM_MARKS_MAX];
    size_t n_marks;
};

/* Records as a way shows them that is stale. */
struct sim_stale_records {
    struct {
        struct hf_uuid host;
        struct sim_record_version version;
    } files[SIM_HOSTS_MAX];
    size_t n;
};

static inline bool sim_way_passes(const struct sim_storage_way *w)
{
    return !w->hangs && !w->cut;
}

/* The cluster has the host's own processes on its blocklist. */
bool sim_storage_shuts_out(const struct sim_storage *s, unsigned host);
/* It is over, whatever became of it: nobody is answered any more. */
void sim_io_over(struct sim_io *io);

#endif
