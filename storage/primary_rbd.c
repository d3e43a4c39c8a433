#include "storage/primary_rbd_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "storage/ceph_seen.h"
#include "storage/ceph_session.h"
#include "storage/rbd_room.h"

#define CALL_THREADS_MAX   8
#define CALL_QUEUE_MAX     256
#define FETCH_THREADS_MAX  4
#define FETCH_QUEUE_MAX    256
#define CHANGE_THREADS_MAX 4
#define CHANGE_QUEUE_MAX   256
#define CONNECT_MS         5000
#define OP_MS              20000

static void primary_unref(struct hf_primary_rbd *p)
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
    struct hf_rbd_call *c = hf_rbd_call_of(job);
    hf_status_drop(c->st);
    free(c->url);
    free(c->sha256);
    free(c->format);
    free(c->server_pool);
    hf_rbd_call_forget_server(c);
    primary_unref(c->p);
    free(c);
}

static void call_work(struct hf_job *job)
{
    struct hf_rbd_call *c = hf_rbd_call_of(job);
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

struct hf_rbd_call *hf_rbd_call_new(struct hf_primary *primary,
                                    hf_status (*run)(struct hf_rbd_call *, struct hf_rbd_lib *),
                                    void (*done)(struct hf_job *, hf_status), void *arg)
{
    struct hf_primary_rbd *p = hf_primary_rbd_of(primary);
    struct hf_rbd_call *c = HF_NEW(struct hf_rbd_call);
    HF_ASSERT(!p->closing);
    c->job = (struct hf_job){.work = call_work, .done = done, .end = end_call};
    c->p = p;
    c->run = run;
    c->arg = arg;
    atomic_fetch_add(&p->refs, 1);
    return c;
}

hf_status hf_rbd_call_outcome(const struct hf_rbd_call *c, hf_status worker)
{
    return hf_ok(worker) ? c->st : worker;
}

void hf_rbd_call_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct hf_rbd_call *c = arg;
    if (atomic_exchange(&c->done_bytes, done_bytes) == done_bytes)
        return;
    atomic_store(&c->total_bytes, total_bytes);
    hf_job_notify(&c->job);
}

void hf_rbd_call_note(struct hf_job *job)
{
    struct hf_rbd_call *c = hf_rbd_call_of(job);
    if (c->progress)
        c->progress(c->arg, atomic_load(&c->done_bytes), atomic_load(&c->total_bytes));
}

bool hf_primary_rbd_has_pool(const struct hf_primary_rbd *p, const char *pool)
{
    return strcmp(pool, p->root_pool) == 0 || strcmp(pool, p->data_pool) == 0;
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

static void see_addresses(struct hf_rbd_call *c, struct hf_rbd_lib *l)
{
    rados_ioctx_t io;
    hf_ceph_seen_routes(&c->seen, c->p->monitors, c->p->n_monitors);
    hf_ceph_seen_connection(&c->seen, l->cluster);
    if (c->p->record[0] == '\0' || rados_ioctx_create(l->cluster, c->p->root_pool, &io) < 0)
        return;
    hf_ceph_seen_record(&c->seen, io, c->p->record);
    rados_ioctx_destroy(io);
}

static hf_status run_check(struct hf_rbd_call *c, struct hf_rbd_lib *l)
{
    see_addresses(c, l);
    HF_TRY(probe_pool(l, c->p->image_pool));
    HF_TRY(probe_pool(l, c->p->root_pool));
    HF_TRY(probe_pool(l, c->p->data_pool));
    return hf_rbd_room(l->cluster, c->p->root_pool, &c->capacity);
}

static void check_done(struct hf_job *job, hf_status st)
{
    struct hf_rbd_call *c = hf_rbd_call_of(job);
    for (size_t i = 0; hf_ok(st) && i < c->seen.n; i++) /* else the thread may still be at it */
        hf_ceph_seen_add(&c->p->seen, c->seen.ip[i]);
    st = hf_rbd_call_outcome(c, st);
    c->capacity_cb(c->arg, st, hf_ok(st) ? &c->capacity : NULL);
}

static void rbd_check(struct hf_primary *p, unsigned deadline_ms, hf_primary_capacity_cb cb, void *arg)
{
    struct hf_rbd_call *c = hf_rbd_call_new(p, run_check, check_done, arg);
    c->capacity_cb = cb;
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

static bool rbd_absolute(struct hf_primary *p, const char *install_path, char *out, size_t out_len)
{
    char pool[HF_CEPH_NAME_MAX], image[HF_CEPH_NAME_MAX];
    return hf_ceph_path_parse(install_path, pool, image) &&
           hf_primary_rbd_has_pool(hf_primary_rbd_of(p), pool) &&
           snprintf(out, out_len, "%s/%s", pool, image) < (int)out_len;
}

static const struct hf_rbd_access *rbd_access(struct hf_primary *p)
{
    return &hf_primary_rbd_of(p)->access;
}

static const struct hf_ceph_seen *rbd_seen(struct hf_primary *p)
{
    return &hf_primary_rbd_of(p)->seen;
}

/* --- life --- */

static void on_worker_closed(void *arg)
{
    struct hf_primary_rbd *p = arg;
    if (--p->workers_open == 0)
        primary_unref(p);
}

static void rbd_close_primary(struct hf_primary *primary)
{
    struct hf_primary_rbd *p = hf_primary_rbd_of(primary);
    HF_ASSERT(!p->closing);
    p->closing = true;
    hf_worker_close(p->calls, on_worker_closed, p);
    hf_worker_close(p->fetches, on_worker_closed, p);
    hf_worker_close(p->changes, on_worker_closed, p);
}

static const struct hf_primary_ops rbd_ops = {
    .check = rbd_check,
    .cache_image = hf_primary_rbd_cache_image,
    .create_volume = hf_primary_rbd_create_volume,
    .delete_volume = hf_primary_rbd_delete_volume,
    .absolute = rbd_absolute,
    .rbd = rbd_access,
    .seen = rbd_seen,
    .held = hf_primary_rbd_held,
    .close = rbd_close_primary,
    .change_volume = hf_primary_rbd_change_volume,
};

static hf_status check_place(const struct hf_ceph_place *place)
{
    HF_TRY(hf_ceph_monitors_check(place->monitors, place->n_monitors));
    HF_TRY(hf_ceph_pool_check(place->image_pool));
    HF_TRY(hf_ceph_pool_check(place->root_pool));
    HF_TRY(hf_ceph_pool_check(place->data_pool));
    return place->user[0] != '\0' ? hf_ceph_key_check(place->key) : HF_STATUS_OK;
}

static void copy_place(struct hf_primary_rbd *p, const struct hf_ceph_place *place)
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
    p->uploads = place->uploads;
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
    struct hf_primary_rbd *p = HF_NEW(struct hf_primary_rbd);
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
