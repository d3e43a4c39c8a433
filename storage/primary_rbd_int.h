/* The inside of a Ceph primary storage, shared by primary_rbd.c (its life, calls, the check),
 * primary_rbd_image.c (templates) and primary_rbd_volume.c (volumes). A call is a job of a worker: run() has
 * a connection on a thread, done() answers on the loop. */
#ifndef HF_STORAGE_PRIMARY_RBD_INT_H
#define HF_STORAGE_PRIMARY_RBD_INT_H

#include <stdatomic.h>

#include "base/mem.h"
#include "base/worker.h"
#include "storage/primary_rbd.h"
#include "storage/rados_conn.h"
#include "storage/rbd_lib.h"

struct hf_primary_rbd {
    struct hf_primary primary;
    char **monitors;
    size_t n_monitors;
    char *user, *key, *image_pool, *root_pool, *data_pool, *scratch, *record;
    char maker[HF_UUID_STR];
    uint64_t reserved_bytes;
    struct hf_rbd_access access;
    const struct hf_upload_opener *uploads;
    struct hf_ceph_seen seen; /* loop only */
    struct hf_ceph_session *session;
    struct hf_worker *calls, *fetches, *changes; /* changes: of volumes, some of which are long */
    unsigned workers_open;
    bool closing;
    atomic_uint refs;     /* the owner's and one per call */
    atomic_bool fetching; /* one template at a time: they share the scratch folder and unfinished names */
};

struct hf_rbd_call {
    struct hf_job job;
    struct hf_primary_rbd *p;
    hf_status (*run)(struct hf_rbd_call *c, struct hf_rbd_lib *l);
    void *arg;
    hf_status st;
    /* check */
    hf_primary_capacity_cb capacity_cb;
    struct hf_capacity capacity;
    struct hf_ceph_seen seen;
    /* cache_image */
    hf_primary_image_cb image_cb;
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    struct hf_image_source src;
    char *url, *sha256, *format, *server_pool;
    struct hf_rados_access server; /* own strings; of a cluster to copy from, else mon_host NULL */
    struct hf_image_info info;
    _Atomic uint64_t done_bytes, total_bytes;
    bool (*wanted)(void *arg);
    atomic_bool unwanted;
    /* volumes */
    hf_primary_cb cb;
    bool path_ok;
    char pool[HF_CEPH_NAME_MAX], image[HF_CEPH_NAME_MAX];
    bool has_template, made;
    struct hf_uuid template_uuid;
    uint64_t size_bytes;
    /* change_volume */
    struct hf_volume_change change;
    hf_primary_change_cb change_cb;
};

static inline struct hf_primary_rbd *hf_primary_rbd_of(struct hf_primary *p)
{
    return hf_container_of(p, struct hf_primary_rbd, primary);
}

static inline struct hf_rbd_call *hf_rbd_call_of(struct hf_job *job)
{
    return hf_container_of(job, struct hf_rbd_call, job);
}

bool hf_primary_rbd_has_pool(const struct hf_primary_rbd *p, const char *pool);

/* --- calls --- */

struct hf_rbd_call *hf_rbd_call_new(struct hf_primary *primary,
                                    hf_status (*run)(struct hf_rbd_call *, struct hf_rbd_lib *),
                                    void (*done)(struct hf_job *, hf_status), void *arg);
/* What a call is answered: the worker's verdict first, then that of its own work. */
hf_status hf_rbd_call_outcome(const struct hf_rbd_call *c, hf_status worker);
/* A long call says how far it is (arg: the call), and the loop hears of it. */
void hf_rbd_call_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes);
void hf_rbd_call_note(struct hf_job *job);

void hf_rbd_call_forget_server(struct hf_rbd_call *c);

/* --- verbs of primary.h --- */

void hf_primary_rbd_cache_image(struct hf_primary *p, const struct hf_image_source *src, unsigned deadline_ms,
                                void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes),
                                hf_primary_image_cb cb, void *arg);
void hf_primary_rbd_create_volume(struct hf_primary *p, const char *install_path,
                                  const struct hf_volume_wish *wish, unsigned deadline_ms, hf_primary_cb cb,
                                  void *arg);
void hf_primary_rbd_delete_volume(struct hf_primary *p, const char *install_path, unsigned deadline_ms,
                                  hf_primary_cb cb, void *arg);
void hf_primary_rbd_change_volume(struct hf_primary *p, const char *install_path,
                                  const struct hf_volume_change *change, unsigned deadline_ms,
                                  void (*progress)(void *arg, uint64_t done, uint64_t total),
                                  hf_primary_change_cb cb, void *arg);
void hf_primary_rbd_held(struct hf_primary *p, const char *install_path, unsigned deadline_ms,
                         hf_primary_cb cb, void *arg);

#endif
