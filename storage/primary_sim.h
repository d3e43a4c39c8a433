/* A simulated primary storage, behind the vtable of primary.h: a set of names. Several hosts may open the
 * same one, as they do a shared directory. Deterministic under hf_env.
 */
#ifndef HF_STORAGE_PRIMARY_SIM_H
#define HF_STORAGE_PRIMARY_SIM_H

#include "base/sim.h"
#include "storage/ceph_client.h"
#include "storage/primary.h"

struct hf_disk_sim;

enum hf_primary_sim_op {
    HF_PRIMARY_SIM_CHECK,
    HF_PRIMARY_SIM_CACHE,
    HF_PRIMARY_SIM_CREATE,
    HF_PRIMARY_SIM_DELETE,
    HF_PRIMARY_SIM_HELD,
    HF_PRIMARY_SIM_CHANGE,
};

struct hf_disk_sim *hf_disk_sim_create(struct hf_env *env, uint64_t total_bytes);
void hf_disk_sim_free(struct hf_disk_sim *d); /* every primary on it is closed and has answered */

/* One host's view of it; freed by its close operation after the last answer. */
struct hf_primary *hf_primary_sim_open(struct hf_disk_sim *d, const char *root);

/* How one host reaches it at this moment. */
struct hf_primary_sim_way {
    bool hangs;               /* calls wait: until it ends, or their deadline comes, then they do nothing */
    bool fails;               /* calls fail at once and do nothing */
    struct hf_ceph_seen seen; /* a Ceph cluster's addresses of the host; none: files */
    /* The cluster refuses this host's client that has the volume open. NULL: it refuses none. */
    bool (*refuses)(void *arg, const char *install_path);
    /* A volume that is there is made ready for a start: whoever had it open is refused. NULL: nobody is. */
    void (*evicts)(void *arg, const char *install_path);
    void *arg;
};
/* As hf_primary_sim_open, for a host whose time is not the disk's. way lives as long as the disk. */
struct hf_primary *hf_primary_sim_open_at(struct hf_disk_sim *d, struct hf_env *env,
                                          const struct hf_primary_sim_way *way, const char *root);
/* The daemon with this environment ends: its calls under way are answered with CANCELLED at once and do
 * nothing. */
void hf_disk_sim_cancel(struct hf_disk_sim *d, struct hf_env *env);

struct hf_sim_faults *hf_disk_sim_faults(struct hf_disk_sim *d);
/* Every call hangs until its deadline. */
void hf_disk_sim_hang(struct hf_disk_sim *d, bool hangs);
bool hf_disk_sim_has_volume(const struct hf_disk_sim *d, const char *install_path);
unsigned hf_disk_sim_changes(const struct hf_disk_sim *d); /* of volumes, that were carried out */
bool hf_disk_sim_has_image(const struct hf_disk_sim *d, const struct hf_uuid *image);
void hf_disk_sim_lose_image(struct hf_disk_sim *d, const struct hf_uuid *image);

#endif
