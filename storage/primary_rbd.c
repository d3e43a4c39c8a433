#include "storage/primary_rbd.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "storage/ceph_seen.h"
#include "storage/ceph_session.h"
#include "storage/file_io.h"
#include "storage/image_cache.h"
#include "storage/qemu_img.h"
#include "storage/rbd_lib.h"
#include "storage/rbd_room.h"

#define CALL_THREADS_MAX  8
#define CALL_QUEUE_MAX    256
#define FETCH_THREADS_MAX 4
#define FETCH_QUEUE_MAX   256
#define CHANGE_THREADS_MAX 4
#define CHANGE_QUEUE_MAX   256
#define CONNECT_MS        5000
#define OP_MS             20000

struct primary_rbd {
    struct hf_primary primary;
    char **monitors;
    size_t n_monitors;
    char *user, *key, *image_pool, *root_pool, *data_pool, *scratch, *record;
    char maker[HF_UUID_STR];
    uint64_t reserved_bytes;
    struct hf_rbd_access access;
    struct hf_ceph_seen seen; /* loop only */
    struct hf_ceph_session *session;
    struct hf_worker *calls, *fetches, *changes; /* changes: of volumes, some of which are long */
    unsigned workers_open;
    bool closing;
    atomic_uint refs;     /* the owner's and one per call */
    atomic_bool fetching; /* one template at a time: they share the scratch folder */
};

struct call {
    struct hf_job job;
    struct primary_rbd *p;
    hf_status (*run)(struct call *c, struct hf_rbd_lib *l);
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
    struct hf_image_info info;
    _Atomic uint64_t done_bytes, total_bytes;
    /* volumes */
    hf_primary_cb cb;
    bool path_ok;
    char pool[HF_CEPH_NAME_MAX], image[HF_CEPH_NAME_MAX];
    bool has_template;
    struct hf_uuid template_uuid;
    uint64_t size_bytes;
    /* change_volume */
    struct hf_volume_change change;
    hf_primary_change_cb change_cb;
};

static struct primary_rbd *of(struct hf_primary *p)
{
    return hf_container_of(p, struct primary_rbd, primary);
}

static struct call *of_job(struct hf_job *job)
{
    return hf_container_of(job, struct call, job);
}

static void primary_unref(struct primary_rbd *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    hf_ceph_session_free(p->session);
    for (size_t i = 0; i < p->n_monitors; i++)
        free(p->monitors[i]);
    free(p->monitors);
    free(p->user);
    free(p->key);
    free(p->image_pool);
    free(p->root_pool);
    free(p->data_pool);
    free(p->scratch);
    free(p->record);
    free(p);
}

static void end_call(struct hf_job *job)
{
    struct call *c = of_job(job);
    hf_status_drop(c->st);
    free(c->url);
    free(c->sha256);
    free(c->format);
    free(c->server_pool);
    primary_unref(c->p);
    free(c);
}

static void call_work(struct hf_job *job)
{
    struct call *c = of_job(job);
    rados_t cluster;
    c->st = hf_ceph_session_take(c->p->session, &cluster);
    if (!hf_ok(c->st))
        return;
    struct hf_rbd_lib lib;
    hf_rbd_lib_init(&lib, cluster);
    c->st = c->run(c, &lib);
    /* A connection keeps the rights that its key had when it was made. */
    hf_ceph_session_give(c->p->session, cluster, hf_rados_is_blocklisted(lib.rc) || lib.denied);
}

static struct call *new_call(struct hf_primary *primary, hf_status (*run)(struct call *, struct hf_rbd_lib *),
                             void (*done)(struct hf_job *, hf_status), void *arg)
{
    struct primary_rbd *p = of(primary);
    struct call *c = HF_NEW(struct call);
    HF_ASSERT(!p->closing);
    c->job = (struct hf_job){.work = call_work, .done = done, .end = end_call};
    c->p = p;
    c->run = run;
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

/* The pool is there, and its OSDs answer. */
static hf_status probe_pool(struct hf_rbd_lib *l, const char *pool)
{
    rados_ioctx_t io;
    uint64_t size;
    time_t when;
    l->rc = rados_ioctx_create(l->cluster, pool, &io);
    if (l->rc == -ENOENT)
        return hf_error(HF_UNAVAILABLE, "the cluster has no pool '%s'", pool);
    if (l->rc < 0)
        return hf_rados_error(l->rc, "open the pool '%s'", pool);
    l->rc = rados_stat(io, "rbd_directory", &size, &when);
    rados_ioctx_destroy(io);
    if (l->rc < 0 && l->rc != -ENOENT)
        return hf_rados_error(l->rc, "read in the pool '%s'", pool);
    return HF_STATUS_OK;
}

static void see_addresses(struct call *c, struct hf_rbd_lib *l)
{
    rados_ioctx_t io;
    hf_ceph_seen_routes(&c->seen, c->p->monitors, c->p->n_monitors);
    hf_ceph_seen_connection(&c->seen, l->cluster);
    if (c->p->record[0] == '\0' || rados_ioctx_create(l->cluster, c->p->root_pool, &io) < 0)
        return;
    hf_ceph_seen_record(&c->seen, io, c->p->record);
    rados_ioctx_destroy(io);
}

static hf_status run_check(struct call *c, struct hf_rbd_lib *l)
{
    see_addresses(c, l);
    HF_TRY(probe_pool(l, c->p->image_pool));
    HF_TRY(probe_pool(l, c->p->root_pool));
    HF_TRY(probe_pool(l, c->p->data_pool));
    return hf_rbd_room(l->cluster, c->p->root_pool, &c->capacity);
}

static void check_done(struct hf_job *job, hf_status st)
{
    struct call *c = of_job(job);
    for (size_t i = 0; hf_ok(st) && i < c->seen.n; i++) /* else the thread may still be at it */
        hf_ceph_seen_add(&c->p->seen, c->seen.ip[i]);
    st = outcome(c, st);
    c->capacity_cb(c->arg, st, hf_ok(st) ? &c->capacity : NULL);
}

static void rbd_check(struct hf_primary *p, unsigned deadline_ms, hf_primary_capacity_cb cb, void *arg)
{
    struct call *c = new_call(p, run_check, check_done, arg);
    c->capacity_cb = cb;
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

/* --- cache_image --- */

static bool image_stop(void *arg)
{
    struct call *c = arg;
    return hf_job_expired(&c->job);
}

static void image_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct call *c = arg;
    if (atomic_exchange(&c->done_bytes, done_bytes) == done_bytes)
        return;
    atomic_store(&c->total_bytes, total_bytes);
    hf_job_notify(&c->job);
}

/* The pool keeps raw content: what is compressed or sparse in a qcow2 is unfolded beside it. */
static hf_status import_file(struct call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n,
                             const char *path)
{
    char raw[HF_STORAGE_PATH_MAX];
    const char *file = path;
    if (strcmp(c->src.format, "raw") != 0) {
        HF_TRY(hf_temp_name(path, raw));
        HF_TRY(hf_qemu_img_to_raw(path, c->src.format, raw, hf_job_left_ms(&c->job)));
        file = raw;
    }
    l->stop = image_stop;
    l->progress = image_progress;
    l->arg = c;
    hf_status st = hf_rbd_room_for_file(l->cluster, c->p->image_pool, file, c->p->reserved_bytes);
    if (hf_ok(st))
        st = hf_rbd_have_template(&l->rbd, n, c->p->maker, file, c->info.virtual_bytes, c->info.file_bytes);
    if (file == raw)
        unlink(raw);
    return st;
}

static hf_status fetch_and_import(struct call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    char path[HF_STORAGE_PATH_MAX];
    const char *format;
    const char *scratch = c->p->scratch;
    struct hf_image_cache cache = {.root = scratch};
    struct hf_fetch how = {
        .deadline_ms = hf_job_left_ms(&c->job), .stop = image_stop, .progress = image_progress, .arg = c};
    if (mkdir(scratch, 0700) != 0 && errno != EEXIST)
        return hf_errno(errno, "make the folder '%s'", scratch);
    HF_TRY(hf_image_cache_have(&cache, &c->src, &how, &c->info));
    HF_TRY(hf_image_cache_find(scratch, &c->src.uuid, path, &format));
    hf_status st = import_file(c, l, n, path);
    hf_status_drop(hf_remove_file(scratch, path)); /* it is fetched again when the import failed */
    return st;
}

/* What the image server of the same cluster has is cloned: no data is copied. */
static hf_status clone_from_server(struct call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    struct hf_rbd_name from = {c->server_pool, n->image};
    struct hf_rbd_stat stat;
    HF_TRY(hf_rbd_have_template_clone(&l->rbd, n, c->p->maker, &from));
    HF_TRY(hf_rbd_find_template(&l->rbd, n, &stat));
    c->info = (struct hf_image_info){.file_bytes = stat.file_bytes, .virtual_bytes = stat.size_bytes};
    return HF_STATUS_OK;
}

static hf_status run_image(struct call *c, struct hf_rbd_lib *l)
{
    char name[HF_UUID_STR];
    struct hf_rbd_name n = {c->p->image_pool, hf_uuid_format(&c->src.uuid, name)};
    struct hf_rbd_stat stat;
    hf_status st = hf_rbd_find_template(&l->rbd, &n, &stat);
    if (hf_ok(st)) {
        c->info = (struct hf_image_info){.file_bytes = stat.file_bytes, .virtual_bytes = stat.size_bytes};
        return HF_STATUS_OK;
    }
    if (hf_status_code(st) != HF_NOT_FOUND)
        return st;
    hf_status_drop(st);
    if (c->server_pool[0] != '\0')
        return hf_wrap(clone_from_server(c, l, &n), "image %s from the image server's pool '%s'", name,
                       c->server_pool);
    if (atomic_exchange(&c->p->fetching, true))
        return hf_error(HF_UNAVAILABLE,
                        "another image is being brought into the cluster by this host: it is next");
    st = fetch_and_import(c, l, &n);
    atomic_store(&c->p->fetching, false);
    return hf_wrap(st, "image %s", name);
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

static void rbd_cache_image(struct hf_primary *p, const struct hf_image_source *src, unsigned deadline_ms,
                            void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes),
                            hf_primary_image_cb cb, void *arg)
{
    struct call *c = new_call(p, run_image, image_done, arg);
    c->job.note = image_note;
    c->image_cb = cb;
    c->progress = progress;
    c->url = hf_strdup(src->url);
    c->sha256 = hf_strdup(src->sha256);
    c->format = hf_strdup(src->format);
    c->server_pool = hf_strdup(src->server_pool ? src->server_pool : "");
    c->src =
        (struct hf_image_source){.uuid = src->uuid, .url = c->url, .sha256 = c->sha256, .format = c->format};
    hf_worker_submit(c->p->fetches, &c->job, deadline_ms);
}

/* --- volumes --- */

static bool is_ours(const struct primary_rbd *p, const char *pool)
{
    return strcmp(pool, p->root_pool) == 0 || strcmp(pool, p->data_pool) == 0;
}

static hf_status check_path(const struct call *c)
{
    if (c->path_ok)
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, "the install path is no image of the pools '%s' and '%s'", c->p->root_pool,
                    c->p->data_pool);
}

/* One that is there needs no more room. */
static hf_status check_room_for_new(struct call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    struct hf_rbd_stat stat;
    hf_status st = l->rbd.ops->stat(&l->rbd, n, &stat);
    if (hf_status_code(st) != HF_NOT_FOUND)
        return st;
    hf_status_drop(st);
    return hf_rbd_room_for_volume(l->cluster, c->pool, c->size_bytes, c->p->reserved_bytes);
}

static hf_status run_create(struct call *c, struct hf_rbd_lib *l)
{
    char name[HF_UUID_STR];
    unsigned evicted = 0;
    struct hf_rbd_name n = {c->pool, c->image}, template_ = {c->p->image_pool, name};
    HF_TRY(check_path(c));
    if (c->has_template)
        hf_uuid_format(&c->template_uuid, name);
    hf_status st = check_room_for_new(c, l, &n);
    if (hf_ok(st))
        st = hf_rbd_have_volume(&l->rbd, &n, c->has_template ? &template_ : NULL, c->size_bytes, &evicted);
    if (evicted > 0)
        hf_warn(
            "the volume 'ceph://%s/%s' was still open in %u clients: the cluster refuses them from now on",
            c->pool, c->image, evicted);
    return hf_wrap(st, "create the volume 'ceph://%s/%s'", c->pool, c->image);
}

static hf_status run_delete(struct call *c, struct hf_rbd_lib *l)
{
    struct hf_rbd_name n = {c->pool, c->image};
    HF_TRY(check_path(c));
    return hf_wrap(hf_rbd_delete(&l->rbd, &n), "delete the volume 'ceph://%s/%s'", c->pool, c->image);
}

static void volume_done(struct hf_job *job, hf_status st)
{
    struct call *c = of_job(job);
    c->cb(c->arg, outcome(c, st));
}

static struct call *new_volume_call(struct hf_primary *p, const char *install_path,
                                    hf_status (*run)(struct call *, struct hf_rbd_lib *), hf_primary_cb cb,
                                    void *arg)
{
    struct call *c = new_call(p, run, volume_done, arg);
    c->cb = cb;
    c->path_ok = hf_ceph_path_parse(install_path, c->pool, c->image) && is_ours(c->p, c->pool);
    return c;
}

static void rbd_create_volume(struct hf_primary *p, const char *install_path,
                              const struct hf_uuid *template_uuid, uint64_t size_bytes, unsigned deadline_ms,
                              hf_primary_cb cb, void *arg)
{
    struct call *c = new_volume_call(p, install_path, run_create, cb, arg);
    c->has_template = template_uuid && !hf_uuid_is_zero(template_uuid);
    if (c->has_template)
        c->template_uuid = *template_uuid;
    c->size_bytes = size_bytes;
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

static void rbd_delete_volume(struct hf_primary *p, const char *install_path, unsigned deadline_ms,
                              hf_primary_cb cb, void *arg)
{
    struct call *c = new_volume_call(p, install_path, run_delete, cb, arg);
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

/* --- changes of volumes --- */

static hf_status do_change(struct call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    char snap[HF_UUID_STR];
    hf_uuid_format(&c->change.snapshot, snap);
    switch (c->change.kind) {
    case HF_VOLUME_SNAPSHOT:
        return hf_rbd_snapshot(&l->snaps, n, snap);
    case HF_VOLUME_DELETE_SNAPSHOT:
        return hf_rbd_delete_snapshot(&l->snaps, n, snap);
    case HF_VOLUME_REVERT:
        return hf_rbd_revert(&l->rbd, &l->snaps, n, snap, c->change.sequence, c->change.size_bytes);
    case HF_VOLUME_FLATTEN:
        return l->snaps.ops->flatten(&l->snaps, n);
    }
    return hf_error(HF_UNIMPLEMENTED, "change number %d is not known", (int)c->change.kind);
}

static hf_status run_change(struct call *c, struct hf_rbd_lib *l)
{
    struct hf_rbd_name n = {c->pool, c->image};
    struct hf_rbd_stat stat = {0};
    HF_TRY(check_path(c));
    l->progress = image_progress;
    l->arg = c;
    hf_status st = do_change(c, l, &n);
    if (hf_ok(st) && c->change.kind != HF_VOLUME_DELETE_SNAPSHOT)
        st = l->rbd.ops->stat(&l->rbd, &n, &stat);
    c->size_bytes = stat.size_bytes;
    return st;
}

static void change_done(struct hf_job *job, hf_status st)
{
    struct call *c = of_job(job);
    st = outcome(c, st);
    c->change_cb(c->arg, st, hf_ok(st) ? c->size_bytes : 0);
}

static void rbd_change_volume(struct hf_primary *p, const char *install_path,
                              const struct hf_volume_change *change, unsigned deadline_ms,
                              void (*progress)(void *arg, uint64_t done, uint64_t total),
                              hf_primary_change_cb cb, void *arg)
{
    struct call *c = new_volume_call(p, install_path, run_change, NULL, arg);
    c->job.done = change_done;
    c->job.note = image_note;
    c->progress = progress;
    c->change = *change;
    c->change_cb = cb;
    hf_worker_submit(c->p->changes, &c->job, deadline_ms);
}

static bool rbd_absolute(struct hf_primary *p, const char *install_path, char *out, size_t out_len)
{
    char pool[HF_CEPH_NAME_MAX], image[HF_CEPH_NAME_MAX];
    return hf_ceph_path_parse(install_path, pool, image) && is_ours(of(p), pool) &&
           snprintf(out, out_len, "%s/%s", pool, image) < (int)out_len;
}

static const struct hf_rbd_access *rbd_access(struct hf_primary *p)
{
    return &of(p)->access;
}

static const struct hf_ceph_seen *rbd_seen(struct hf_primary *p)
{
    return &of(p)->seen;
}

/* --- who has a volume open --- */

static bool is_here(const struct hf_ceph_seen *seen, const char *client)
{
    struct hf_ceph_seen one = *seen;
    size_t n = one.n;
    hf_ceph_seen_add(&one, client);
    return n > 0 && one.n == n && n < HF_CEPH_SEEN_MAX;
}

/* A client that was refused does not watch its image again, one that was cut off for a while does. */
static hf_status run_held(struct call *c, struct hf_rbd_lib *l)
{
    struct hf_rbd_name n = {c->pool, c->image};
    char watchers[HF_RBD_WATCHERS_MAX][HF_RBD_CLIENT_MAX];
    size_t n_watchers = 0;
    HF_TRY(check_path(c));
    HF_TRY(hf_rbd_lib_watchers(l, &n, watchers, &n_watchers));
    for (size_t i = 0; i < n_watchers; i++)
        if (is_here(&c->seen, watchers[i]))
            return HF_STATUS_OK;
    return hf_error(
        HF_PRECONDITION,
        "no client of this host has the volume 'ceph://%s/%s' open any more: the cluster refuses it, "
        "and the guest cannot write again before it is stopped and started",
        c->pool, c->image);
}

static void rbd_held(struct hf_primary *p, const char *install_path, unsigned deadline_ms, hf_primary_cb cb,
                     void *arg)
{
    struct call *c = new_volume_call(p, install_path, run_held, cb, arg);
    c->seen = c->p->seen;
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

/* --- life --- */

static void on_worker_closed(void *arg)
{
    struct primary_rbd *p = arg;
    if (--p->workers_open == 0)
        primary_unref(p);
}

static void rbd_close_primary(struct hf_primary *primary)
{
    struct primary_rbd *p = of(primary);
    HF_ASSERT(!p->closing);
    p->closing = true;
    hf_worker_close(p->calls, on_worker_closed, p);
    hf_worker_close(p->fetches, on_worker_closed, p);
    hf_worker_close(p->changes, on_worker_closed, p);
}

static const struct hf_primary_ops rbd_ops = {
    .check = rbd_check,
    .cache_image = rbd_cache_image,
    .create_volume = rbd_create_volume,
    .delete_volume = rbd_delete_volume,
    .absolute = rbd_absolute,
    .rbd = rbd_access,
    .seen = rbd_seen,
    .held = rbd_held,
    .close = rbd_close_primary,
    .change_volume = rbd_change_volume,
};

static hf_status check_place(const struct hf_ceph_place *place)
{
    HF_TRY(hf_ceph_monitors_check(place->monitors, place->n_monitors));
    HF_TRY(hf_ceph_pool_check(place->image_pool));
    HF_TRY(hf_ceph_pool_check(place->root_pool));
    HF_TRY(hf_ceph_pool_check(place->data_pool));
    return place->user[0] != '\0' ? hf_ceph_key_check(place->key) : HF_STATUS_OK;
}

static void copy_place(struct primary_rbd *p, const struct hf_ceph_place *place)
{
    p->n_monitors = place->n_monitors;
    p->monitors = hf_alloc_array(place->n_monitors, sizeof *p->monitors);
    for (size_t i = 0; i < place->n_monitors; i++)
        p->monitors[i] = hf_strdup(place->monitors[i]);
    p->user = hf_strdup(place->user);
    p->key = hf_strdup(place->key);
    p->image_pool = hf_strdup(place->image_pool);
    p->root_pool = hf_strdup(place->root_pool);
    p->data_pool = hf_strdup(place->data_pool);
    p->scratch = hf_strdup(place->scratch);
    p->record = hf_strdup(place->record ? place->record : "");
    hf_uuid_format(&place->host, p->maker);
    p->access = (struct hf_rbd_access){.secret = place->uuid,
                                       .monitors = p->monitors,
                                       .n_monitors = p->n_monitors,
                                       .user = p->user,
                                       .key = p->key};
}

hf_status hf_primary_rbd_create(struct hf_env *env, const struct hf_ceph_place *place,
                                uint64_t reserved_bytes, struct hf_primary **ret)
{
    static const struct hf_rados_limits limits = {.connect_ms = CONNECT_MS, .op_ms = OP_MS};
    char mon_host[HF_CEPH_MON_HOST_MAX];
    HF_TRY(check_place(place));
    struct primary_rbd *p = HF_NEW(struct primary_rbd);
    p->primary.ops = &rbd_ops;
    p->reserved_bytes = reserved_bytes;
    copy_place(p, place);
    hf_ceph_mon_host(p->monitors, p->n_monitors, mon_host);
    p->session = hf_ceph_session_create(
        &(struct hf_rados_access){.mon_host = mon_host, .user = p->user, .key = p->key, .fsid = place->fsid},
        &limits);
    p->calls = hf_worker_create(env, "ceph", CALL_THREADS_MAX, CALL_QUEUE_MAX);
    p->fetches = hf_worker_create(env, "ceph-images", FETCH_THREADS_MAX, FETCH_QUEUE_MAX);
    p->changes = hf_worker_create(env, "ceph-volumes", CHANGE_THREADS_MAX, CHANGE_QUEUE_MAX);
    p->workers_open = 3;
    atomic_init(&p->refs, 1);
    *ret = &p->primary;
    return HF_STATUS_OK;
}
