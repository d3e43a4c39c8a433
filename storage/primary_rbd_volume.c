/* Volumes of a Ceph primary storage. */
#include "base/log.h"
#include "storage/primary_rbd_int.h"
#include "storage/rbd_room.h"

static hf_status check_path(const struct hf_rbd_call *c)
{
    if (c->path_ok)
        return HF_STATUS_OK;
    return hf_error(HF_INVALID, "the install path is no image of the pools '%s' and '%s'", c->p->root_pool,
                    c->p->data_pool);
}

/* One that is there needs no more room, one that was there is not made anew. */
static hf_status check_new(struct hf_rbd_call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
{
    struct hf_rbd_stat stat;
    hf_status st = l->rbd.ops->stat(&l->rbd, n, &stat);
    if (hf_status_code(st) != HF_NOT_FOUND)
        return st;
    hf_status_drop(st);
    if (c->made)
        return hf_volume_lost();
    return hf_rbd_room_for_volume(l->cluster, c->pool, c->size_bytes, c->p->reserved_bytes);
}

static hf_status run_create(struct hf_rbd_call *c, struct hf_rbd_lib *l)
{
    char name[HF_UUID_STR];
    unsigned evicted = 0;
    struct hf_rbd_name n = {c->pool, c->image}, template_ = {c->p->image_pool, name};
    HF_TRY(check_path(c));
    if (c->has_template)
        hf_uuid_format(&c->template_uuid, name);
    hf_status st = check_new(c, l, &n);
    if (hf_ok(st))
        st = hf_rbd_have_volume(&l->rbd, &n, c->has_template ? &template_ : NULL, c->size_bytes, &evicted);
    if (evicted > 0)
        hf_warn(
            "the volume 'ceph://%s/%s' was still open in %u clients: the cluster refuses them from now on",
            c->pool, c->image, evicted);
    return hf_wrap(st, "create the volume 'ceph://%s/%s'", c->pool, c->image);
}

static hf_status run_delete(struct hf_rbd_call *c, struct hf_rbd_lib *l)
{
    struct hf_rbd_name n = {c->pool, c->image};
    HF_TRY(check_path(c));
    return hf_wrap(hf_rbd_delete(&l->rbd, &n), "delete the volume 'ceph://%s/%s'", c->pool, c->image);
}

static void volume_done(struct hf_job *job, hf_status st)
{
    struct hf_rbd_call *c = hf_rbd_call_of(job);
    c->cb(c->arg, hf_rbd_call_outcome(c, st));
}

static struct hf_rbd_call *new_volume_call(struct hf_primary *p, const char *install_path,
                                           hf_status (*run)(struct hf_rbd_call *, struct hf_rbd_lib *),
                                           hf_primary_cb cb, void *arg)
{
    struct hf_rbd_call *c = hf_rbd_call_new(p, run, volume_done, arg);
    c->cb = cb;
    c->path_ok =
        hf_ceph_path_parse(install_path, c->pool, c->image) && hf_primary_rbd_has_pool(c->p, c->pool);
    return c;
}

void hf_primary_rbd_create_volume(struct hf_primary *p, const char *install_path,
                                  const struct hf_volume_wish *wish, unsigned deadline_ms, hf_primary_cb cb,
                                  void *arg)
{
    struct hf_rbd_call *c = new_volume_call(p, install_path, run_create, cb, arg);
    c->has_template = wish->template_uuid && !hf_uuid_is_zero(wish->template_uuid);
    if (c->has_template)
        c->template_uuid = *wish->template_uuid;
    c->size_bytes = wish->size_bytes;
    c->made = wish->made;
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

void hf_primary_rbd_delete_volume(struct hf_primary *p, const char *install_path, unsigned deadline_ms,
                                  hf_primary_cb cb, void *arg)
{
    struct hf_rbd_call *c = new_volume_call(p, install_path, run_delete, cb, arg);
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}

/* --- changes of volumes --- */

static hf_status do_change(struct hf_rbd_call *c, struct hf_rbd_lib *l, const struct hf_rbd_name *n)
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

static hf_status run_change(struct hf_rbd_call *c, struct hf_rbd_lib *l)
{
    struct hf_rbd_name n = {c->pool, c->image};
    struct hf_rbd_stat stat = {0};
    HF_TRY(check_path(c));
    l->progress = hf_rbd_call_progress;
    l->arg = c;
    hf_status st = do_change(c, l, &n);
    if (hf_ok(st) && c->change.kind != HF_VOLUME_DELETE_SNAPSHOT)
        st = l->rbd.ops->stat(&l->rbd, &n, &stat);
    c->size_bytes = stat.size_bytes;
    return st;
}

static void change_done(struct hf_job *job, hf_status st)
{
    struct hf_rbd_call *c = hf_rbd_call_of(job);
    st = hf_rbd_call_outcome(c, st);
    c->change_cb(c->arg, st, hf_ok(st) ? c->size_bytes : 0);
}

void hf_primary_rbd_change_volume(struct hf_primary *p, const char *install_path,
                                  const struct hf_volume_change *change, unsigned deadline_ms,
                                  void (*progress)(void *arg, uint64_t done, uint64_t total),
                                  hf_primary_change_cb cb, void *arg)
{
    struct hf_rbd_call *c = new_volume_call(p, install_path, run_change, NULL, arg);
    c->job.done = change_done;
    c->job.note = hf_rbd_call_note;
    c->progress = progress;
    c->change = *change;
    c->change_cb = cb;
    hf_worker_submit(c->p->changes, &c->job, deadline_ms);
}

/* --- who has a volume open --- */

static bool is_here(const struct hf_ceph_seen *seen, const char *client)
{
    struct hf_ceph_seen one = *seen;
    size_t n = one.n;
    hf_ceph_seen_add(&one, client);
    return n > 0 && one.n == n && n < HF_CEPH_SEEN_MAX;
}

/* A client that was refused does not watch its image again, one that was cut off for a while does. The lock
 * stays with its last owner until somebody breaks it, and what is on the blocklist is cut off for good. */
static hf_status run_held(struct hf_rbd_call *c, struct hf_rbd_lib *l)
{
    struct hf_rbd_name n = {c->pool, c->image};
    char watchers[HF_RBD_WATCHERS_MAX][HF_RBD_CLIENT_MAX], owner[HF_RBD_CLIENT_MAX];
    size_t n_watchers = 0;
    bool refused;
    HF_TRY(check_path(c));
    HF_TRY(hf_rbd_lib_lock_owner(l, &n, owner, &refused));
    if (refused && is_here(&c->seen, owner))
        return hf_error(
            HF_PRECONDITION,
            "the client %s of this host, which had the volume 'ceph://%s/%s' open, is on the "
            "cluster's blocklist: the cluster refuses it, and the guest cannot write again before "
            "it is stopped and started",
            owner, c->pool, c->image);
    HF_TRY(hf_rbd_lib_watchers(l, &n, watchers, &n_watchers));
    for (size_t i = 0; i < n_watchers; i++)
        if (is_here(&c->seen, watchers[i]))
            return HF_STATUS_OK;
    return hf_error(HF_UNAVAILABLE,
                    "no client of this host has the volume 'ceph://%s/%s' open any more, and the cluster's "
                    "blocklist does not tell why: if it does not come back, stop the instance and start it",
                    c->pool, c->image);
}

void hf_primary_rbd_held(struct hf_primary *p, const char *install_path, unsigned deadline_ms,
                         hf_primary_cb cb, void *arg)
{
    struct hf_rbd_call *c = new_volume_call(p, install_path, run_held, cb, arg);
    c->seen = c->p->seen;
    hf_worker_submit(c->p->calls, &c->job, deadline_ms);
}
