/* LocalStorage and SharedMountPoint: a folder. Short calls and downloads have threads of their own, so that a
 * slow image server holds up no volume. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/worker.h"
#include "storage/file_io.h"
#include "storage/image_cache.h"
#include "storage/qemu_img.h"

#define CALL_THREADS_MAX  8
#define CALL_QUEUE_MAX    256
#define FETCH_THREADS_MAX 16
#define FETCH_QUEUE_MAX   256

struct primary_file {
    struct hf_primary primary;
    char *root;
    uint64_t reserved_bytes;
    struct hf_worker *calls, *fetches;
    unsigned workers_open;
    bool closing;
    atomic_uint refs;     /* the owner's and one per call */
    atomic_bool checking; /* a check is at work; while it hangs the next ones do not join it */
    /* Images that are being fetched: a second request waits for the first and finds the file. */
    pthread_mutex_t lock;
    pthread_cond_t fetched;
    struct call *fetching; /* under the lock */
};

struct call {
    struct hf_job job;
    struct primary_file *p;
    void *arg;
    hf_status st;
    /* check */
    hf_primary_capacity_cb capacity_cb;
    struct hf_capacity capacity;
    /* cache_image */
    hf_primary_image_cb image_cb;
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    struct hf_image_source src;
    char *url, *sha256, *format;
    struct hf_image_info info;
    _Atomic uint64_t done_bytes, total_bytes;
    struct call *next_fetching;
    /* create_volume, delete_volume */
    hf_primary_cb cb;
    char path[HF_STORAGE_PATH_MAX];
    bool path_ok;
    bool has_template, made;
    struct hf_uuid template_uuid;
    uint64_t size_bytes;
};

static struct primary_file *of(struct hf_primary *p)
{
    return hf_container_of(p, struct primary_file, primary);
}

static struct call *of_job(struct hf_job *job)
{
    return hf_container_of(job, struct call, job);
}

static void primary_unref(struct primary_file *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    pthread_cond_destroy(&p->fetched);
    pthread_mutex_destroy(&p->lock);
    free(p->root);
    free(p);
}

static void end_call(struct hf_job *job)
{
    struct call *c = of_job(job);
    hf_status_drop(c->st);
    free(c->url);
    free(c->sha256);
    free(c->format);
    primary_unref(c->p);
    free(c);
}

static struct call *new_call(struct hf_primary *primary, void (*work)(struct hf_job *),
                             void (*done)(struct hf_job *, hf_status), void *arg)
{
    struct primary_file *p = of(primary);
    struct call *c = HF_NEW(struct call);
    HF_ASSERT(!p->closing);
    c->job = (struct hf_job){.work = work, .done = done, .end = end_call};
    c->p = p;
    c->arg = arg;
    atomic_fetch_add(&p->refs, 1);
    return c;
}

/* What a call is answered: the worker's verdict first, then that of its own work. */
static hf_status outcome(const struct call *c, hf_status worker)
{
    return hf_ok(worker) ? c->st : worker;
}

/* --- check --- */

static hf_status check(struct call *c)
{
    const char *root = c->p->root;
    char *real = realpath(root, NULL);
    if (real) {
        hf_status st = hf_wrap(hf_primary_path_check(real), "'%s' leads to '%s'", root, real);
        free(real);
        HF_TRY(st);
    }
    HF_TRY(hf_probe_folder(root));
    return hf_read_capacity(root, &c->capacity);
}

static void check_work(struct hf_job *job)
{
    struct call *c = of_job(job);
    if (atomic_exchange(&c->p->checking, true)) {
        c->st =
            hf_error(HF_UNAVAILABLE, "'%s' does not answer: an earlier check of it still hangs", c->p->root);
        return;
    }
    c->st = check(c);
    atomic_store(&c->p->checking, false);
}

static void check_done(struct hf_job *job, hf_status st)
{
    struct call *c = of_job(job);
    st = outcome(c, st);
    c->capacity_cb(c->arg, st, hf_ok(st) ? &c->capacity : NULL);
}

static void file_check(struct hf_primary *p, unsigned deadline_ms, hf_primary_capacity_cb cb, void *arg)
{
    struct call *c = new_call(p, check_work, check_done, arg);
    c->capacity_cb = cb;
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

/* --- cache_image --- */

static bool fetching_this(const struct call *c)
{
    for (const struct call *f = c->p->fetching; f; f = f->next_fetching)
        if (hf_uuid_equal(&f->src.uuid, &c->src.uuid))
            return true;
    return false;
}

/* Waits until no other call fetches this image; false at the deadline. */
static bool begin_fetch(struct call *c)
{
    struct primary_file *p = c->p;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += hf_job_left_ms(&c->job) / 1000 + 1;
    pthread_mutex_lock(&p->lock);
    int rc = 0;
    while (fetching_this(c) && rc == 0)
        rc = pthread_cond_timedwait(&p->fetched, &p->lock, &until);
    bool mine = !fetching_this(c);
    if (mine) {
        c->next_fetching = p->fetching;
        p->fetching = c;
    }
    pthread_mutex_unlock(&p->lock);
    return mine;
}

static void end_fetch(struct call *c)
{
    struct primary_file *p = c->p;
    pthread_mutex_lock(&p->lock);
    struct call **at = &p->fetching;
    while (*at != c)
        at = &(*at)->next_fetching;
    *at = c->next_fetching;
    pthread_cond_broadcast(&p->fetched);
    pthread_mutex_unlock(&p->lock);
}

static bool fetch_stop(void *arg)
{
    struct call *c = arg;
    return hf_job_expired(&c->job);
}

static void fetch_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct call *c = arg;
    if (atomic_exchange(&c->done_bytes, done_bytes) == done_bytes)
        return;
    atomic_store(&c->total_bytes, total_bytes);
    hf_job_notify(&c->job);
}

static void image_work(struct hf_job *job)
{
    struct call *c = of_job(job);
    struct hf_image_cache cache = {.root = c->p->root, .reserved_bytes = c->p->reserved_bytes};
    if (!begin_fetch(c)) {
        c->st = hf_error(HF_UNAVAILABLE, "another request has not ended fetching this image by the deadline");
        return;
    }
    struct hf_fetch how = {
        .deadline_ms = hf_job_left_ms(job), .stop = fetch_stop, .progress = fetch_progress, .arg = c};
    c->st = hf_image_cache_have(&cache, &c->src, &how, &c->info);
    end_fetch(c);
}

static void image_note(struct hf_job *job)
{
    struct call *c = of_job(job);
    if (c->progress)
        c->progress(c->arg, atomic_load(&c->done_bytes), atomic_load(&c->total_bytes));
}

static void image_done(struct hf_job *job, hf_status st)
{
    struct call *c = of_job(job);
    st = outcome(c, st);
    c->image_cb(c->arg, st, hf_ok(st) ? &c->info : NULL);
}

static void file_cache_image(struct hf_primary *p, const struct hf_image_source *src, unsigned deadline_ms,
                             void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes),
                             hf_primary_image_cb cb, void *arg)
{
    struct call *c = new_call(p, image_work, image_done, arg);
    c->job.note = image_note;
    c->image_cb = cb;
    c->progress = progress;
    c->url = hf_strdup(src->url);
    c->sha256 = hf_strdup(src->sha256);
    c->format = hf_strdup(src->format);
    c->src =
        (struct hf_image_source){.uuid = src->uuid, .url = c->url, .sha256 = c->sha256, .format = c->format};
    hf_worker_submit(c->p->fetches, &c->job, deadline_ms);
}

/* --- volumes --- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* A volume that is there already: from an earlier try of the same order, or somebody else's. One that was
 * resized since its last run grows now. */
static hf_status take_existing(struct call *c, const char *backing)
{
    struct hf_qemu_img_info info = {0};
    HF_TRY(hf_qemu_img_info(c->path, "qcow2", hf_job_left_ms(&c->job), &info));
    hf_status st = HF_STATUS_OK;
    if (!same_text(info.backing_file, backing))
        st = hf_error(HF_PRECONDITION, "the file '%s' is there with the backing file '%s', not '%s'", c->path,
                      info.backing_file ? info.backing_file : "none", backing ? backing : "none");
    free(info.backing_file);
    if (hf_ok(st) && info.virtual_bytes < c->size_bytes)
        st = hf_qemu_img_grow(c->path, "qcow2", c->size_bytes, hf_job_left_ms(&c->job));
    return st;
}

static hf_status check_size(struct call *c, const char *backing, const char *format)
{
    struct hf_qemu_img_info info = {0};
    HF_TRY(hf_qemu_img_info(backing, format, hf_job_left_ms(&c->job), &info));
    free(info.backing_file);
    if (c->size_bytes != 0 && c->size_bytes < info.virtual_bytes)
        return hf_error(HF_INVALID, "the volume's size of %llu bytes is below its template's %llu",
                        (unsigned long long)c->size_bytes, (unsigned long long)info.virtual_bytes);
    return HF_STATUS_OK;
}

static hf_status check_room(struct primary_file *p)
{
    struct hf_capacity room;
    HF_TRY(hf_read_capacity(p->root, &room));
    if (room.available_bytes <= p->reserved_bytes)
        return hf_error(HF_EXHAUSTED,
                        "the primary storage '%s' has no room left but its reserve of %llu bytes", p->root,
                        (unsigned long long)p->reserved_bytes);
    return HF_STATUS_OK;
}

static hf_status make_volume(struct call *c, const char *backing, const char *format)
{
    char temp[HF_STORAGE_PATH_MAX];
    HF_TRY(check_room(c->p));
    HF_TRY(hf_make_parents(c->p->root, c->path));
    HF_TRY(hf_temp_name(c->path, temp));
    hf_status st = hf_qemu_img_create(temp, backing, format, c->size_bytes, hf_job_left_ms(&c->job));
    if (hf_ok(st)) {
        hf_remove_stale_temps(c->path, temp);
        st = hf_publish_file(temp, c->path);
    }
    unlink(temp);
    if (hf_status_code(st) == HF_EXISTS) {
        hf_status_drop(st);
        return take_existing(c, backing);
    }
    return st;
}

static hf_status create_volume(struct call *c)
{
    char path[HF_STORAGE_PATH_MAX];
    const char *backing = NULL, *format = NULL;
    if (c->has_template) {
        HF_TRY(hf_image_cache_find(c->p->root, &c->template_uuid, path, &format));
        backing = path;
    }
    if (access(c->path, F_OK) == 0)
        return take_existing(c, backing);
    if (errno != ENOENT)
        return hf_errno(errno, "look for '%s'", c->path);
    if (c->made)
        return hf_volume_lost();
    if (backing)
        HF_TRY(check_size(c, backing, format));
    return make_volume(c, backing, format);
}

static void create_work(struct hf_job *job)
{
    struct call *c = of_job(job);
    if (!c->path_ok)
        c->st = hf_error(HF_INVALID, "the install path does not lie below '%s'", c->p->root);
    else if (!c->has_template && c->size_bytes == 0)
        c->st = hf_error(HF_INVALID, "an empty volume needs a size");
    else
        c->st = hf_wrap(create_volume(c), "create the volume '%s'", c->path);
}

static void volume_done(struct hf_job *job, hf_status st)
{
    struct call *c = of_job(job);
    c->cb(c->arg, outcome(c, st));
}

static void file_create_volume(struct hf_primary *p, const char *install_path,
                               const struct hf_volume_wish *wish, unsigned deadline_ms, hf_primary_cb cb,
                               void *arg)
{
    struct call *c = new_call(p, create_work, volume_done, arg);
    c->cb = cb;
    c->path_ok = p->ops->absolute(p, install_path, c->path, sizeof c->path);
    c->has_template = wish->template_uuid && !hf_uuid_is_zero(wish->template_uuid);
    if (c->has_template)
        c->template_uuid = *wish->template_uuid;
    c->size_bytes = wish->size_bytes;
    c->made = wish->made;
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

static void delete_work(struct hf_job *job)
{
    struct call *c = of_job(job);
    if (!c->path_ok)
        c->st = hf_error(HF_INVALID, "the install path does not lie below '%s'", c->p->root);
    else
        c->st = hf_wrap(hf_remove_file(c->p->root, c->path), "delete the volume '%s'", c->path);
}

static void file_delete_volume(struct hf_primary *p, const char *install_path, unsigned deadline_ms,
                               hf_primary_cb cb, void *arg)
{
    struct call *c = new_call(p, delete_work, volume_done, arg);
    c->cb = cb;
    c->path_ok = p->ops->absolute(p, install_path, c->path, sizeof c->path);
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

static bool file_absolute(struct hf_primary *p, const char *install_path, char *out, size_t out_len)
{
    return hf_layout_absolute(of(p)->root, install_path, out, out_len);
}

/* --- life --- */

static void on_worker_closed(void *arg)
{
    struct primary_file *p = arg;
    if (--p->workers_open == 0)
        primary_unref(p);
}

static void file_close(struct hf_primary *primary)
{
    struct primary_file *p = of(primary);
    HF_ASSERT(!p->closing);
    p->closing = true;
    hf_worker_close(p->calls, on_worker_closed, p);
    hf_worker_close(p->fetches, on_worker_closed, p);
}

static const struct hf_primary_ops file_ops = {
    .check = file_check,
    .cache_image = file_cache_image,
    .create_volume = file_create_volume,
    .delete_volume = file_delete_volume,
    .absolute = file_absolute,
    .close = file_close,
};

hf_status hf_primary_file_create(struct hf_env *env, const char *root, uint64_t reserved_bytes,
                                 struct hf_primary **ret)
{
    HF_TRY(hf_primary_path_check(root));
    struct primary_file *p = HF_NEW(struct primary_file);
    p->primary.ops = &file_ops;
    p->root = hf_strdup(root);
    p->reserved_bytes = reserved_bytes;
    p->calls = hf_worker_create(env, "storage", CALL_THREADS_MAX, CALL_QUEUE_MAX);
    p->fetches = hf_worker_create(env, "images", FETCH_THREADS_MAX, FETCH_QUEUE_MAX);
    p->workers_open = 2;
    atomic_init(&p->refs, 1);
    HF_ASSERT(pthread_mutex_init(&p->lock, NULL) == 0);
    HF_ASSERT(pthread_cond_init(&p->fetched, NULL) == 0);
    *ret = &p->primary;
    return HF_STATUS_OK;
}
