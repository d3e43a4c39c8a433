#include "storage/primary_nfs.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/worker.h"
#include "storage/nfs_spec.h"

#define MOUNT_THREADS_MAX 2 /* one that hangs in the kernel, one that says so */
#define MOUNT_QUEUE_MAX   4
#define CHECK_MS_MIN      1000 /* what the look at the files gets at least, after a slow mount */
#define KILL_MS           1500 /* of a job's time, to end mount(8) and say why */

struct primary_nfs {
    struct hf_primary primary;
    struct hf_env *env;
    struct hf_nfs_place place;
    struct hf_primary *files;
    struct hf_worker *mounts;
    bool closing;
    atomic_uint refs; /* the owner's and one per check */
    atomic_bool mounting;
};

/* One check: the mount on a thread of ours, then the files on one of theirs. */
struct check {
    struct hf_job job;
    struct primary_nfs *p;
    int64_t end_ms;
    hf_status st;
    hf_primary_capacity_cb cb;
    void *arg;
};

static struct primary_nfs *of(struct hf_primary *p)
{
    return hf_container_of(p, struct primary_nfs, primary);
}

static void nfs_unref(struct primary_nfs *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    free((char *)p->place.url);
    free((char *)p->place.options);
    free((char *)p->place.base);
    free((char *)p->place.point);
    free((char *)p->place.client_id);
    free(p);
}

/* --- check --- */

static void mount_work(struct hf_job *job)
{
    struct check *c = hf_container_of(job, struct check, job);
    unsigned left = hf_job_left_ms(job);
    if (atomic_exchange(&c->p->mounting, true)) {
        c->st = hf_error(HF_UNAVAILABLE, "the NFS export '%s': an earlier try to mount it still hangs",
                         c->p->place.url);
        return;
    }
    c->st = hf_nfs_have_mount(&c->p->place, left > 2 * KILL_MS ? left - KILL_MS : left / 2);
    atomic_store(&c->p->mounting, false);
}

static void mount_done(struct hf_job *job, hf_status st)
{
    struct check *c = hf_container_of(job, struct check, job);
    struct primary_nfs *p = c->p;
    if (hf_ok(st))
        st = c->st;
    if (!hf_ok(st) || p->closing) {
        hf_status closing = hf_ok(st) ? hf_error(HF_CANCELLED, "the storage is being closed") : HF_STATUS_OK;
        c->cb(c->arg, hf_ok(st) ? closing : st, NULL);
        hf_status_drop(closing);
        return;
    }
    int64_t left = c->end_ms - hf_env_now_ms(p->env);
    p->files->ops->check(p->files, left > CHECK_MS_MIN ? (unsigned)left : CHECK_MS_MIN, c->cb, c->arg);
}

static void mount_end(struct hf_job *job)
{
    struct check *c = hf_container_of(job, struct check, job);
    hf_status_drop(c->st);
    nfs_unref(c->p);
    free(c);
}

static void nfs_check(struct hf_primary *primary, unsigned deadline_ms, hf_primary_capacity_cb cb, void *arg)
{
    struct primary_nfs *p = of(primary);
    struct check *c = HF_NEW(struct check);
    HF_ASSERT(!p->closing);
    c->job = (struct hf_job){.work = mount_work, .done = mount_done, .end = mount_end};
    c->p = p;
    c->end_ms = hf_env_now_ms(p->env) + deadline_ms;
    c->cb = cb;
    c->arg = arg;
    atomic_fetch_add(&p->refs, 1);
    hf_worker_submit(p->mounts, &c->job, deadline_ms);
}

/* --- the files: theirs; without the mount they refuse to write --- */

static void nfs_cache_image(struct hf_primary *primary, const struct hf_image_source *src,
                            unsigned deadline_ms,
                            void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes),
                            hf_primary_image_cb cb, void *arg)
{
    struct hf_primary *files = of(primary)->files;
    files->ops->cache_image(files, src, deadline_ms, progress, cb, arg);
}

static void nfs_create_volume(struct hf_primary *primary, const char *install_path,
                              const struct hf_volume_wish *wish, unsigned deadline_ms, hf_primary_cb cb,
                              void *arg)
{
    struct hf_primary *files = of(primary)->files;
    files->ops->create_volume(files, install_path, wish, deadline_ms, cb, arg);
}

static void nfs_delete_volume(struct hf_primary *primary, const char *install_path, unsigned deadline_ms,
                              hf_primary_cb cb, void *arg)
{
    struct hf_primary *files = of(primary)->files;
    files->ops->delete_volume(files, install_path, deadline_ms, cb, arg);
}

static bool nfs_absolute(struct hf_primary *primary, const char *install_path, char *out, size_t out_len)
{
    struct hf_primary *files = of(primary)->files;
    return files->ops->absolute(files, install_path, out, out_len);
}

/* --- life --- */

static void on_mounts_closed(void *arg)
{
    struct primary_nfs *p = arg;
    p->files->ops->close(p->files); /* no check can come to it any more */
    nfs_unref(p);
}

static void nfs_close(struct hf_primary *primary)
{
    struct primary_nfs *p = of(primary);
    HF_ASSERT(!p->closing);
    p->closing = true;
    hf_worker_close(p->mounts, on_mounts_closed, p);
}

static const struct hf_primary_ops nfs_ops = {
    .check = nfs_check,
    .cache_image = nfs_cache_image,
    .create_volume = nfs_create_volume,
    .delete_volume = nfs_delete_volume,
    .absolute = nfs_absolute,
    .close = nfs_close,
};

hf_status hf_primary_nfs_create(struct hf_env *env, const struct hf_nfs_place *place, uint64_t reserved_bytes,
                                struct hf_primary **ret)
{
    struct hf_primary *files;
    HF_TRY(hf_nfs_url_check(place->url, NULL));
    HF_TRY(hf_nfs_options_check(place->options));
    HF_TRY(hf_primary_file_create(env, place->point, reserved_bytes, &files));
    struct primary_nfs *p = HF_NEW(struct primary_nfs);
    p->primary.ops = &nfs_ops;
    p->env = env;
    p->place = *place;
    p->place.url = hf_strdup(place->url);
    p->place.options = hf_strdup(place->options);
    p->place.base = hf_strdup(place->base);
    p->place.point = hf_strdup(place->point);
    p->place.client_id = hf_strdup(place->client_id);
    p->files = files;
    p->mounts = hf_worker_create(env, "mounts", MOUNT_THREADS_MAX, MOUNT_QUEUE_MAX);
    atomic_init(&p->refs, 1);
    *ret = &p->primary;
    return HF_STATUS_OK;
}
