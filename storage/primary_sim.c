#include "storage/primary_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/mutant.h"

#define CALL_MS      10
#define HANG_LOOK_MS 500 /* a call that hangs goes on so long after its way does, at the latest */
#define FETCH_MS     2000
#define IMAGE_BYTES  (64u << 20)
#define VOLUME_BYTES (1u << 20)

struct name {
    struct name *next;
    char *text;
};

struct hf_disk_sim {
    struct hf_env *env;
    struct hf_sim_faults faults;
    uint64_t total_bytes;
    struct name *volumes, *images;
    struct primary *primaries;
    bool hangs;
    unsigned changes;
};

struct primary {
    struct hf_primary p;
    struct primary *next;
    struct hf_disk_sim *disk;
    struct hf_sim_queue queue;
    const struct hf_primary_sim_way *way; /* NULL: it is whole */
    char *root;
    unsigned calls;
    bool closed;
};

struct call {
    struct primary *p;
    enum hf_primary_sim_op op;
    enum hf_sim_fault fault;
    int64_t deadline_ms;
    bool timed_out;
    bool made; /* a volume that a guest has run with */
    char *name, *backing;
    hf_primary_cb cb;
    hf_primary_capacity_cb capacity_cb;
    hf_primary_image_cb image_cb;
    hf_primary_change_cb change_cb;
    void *arg;
};

/* --- names --- */

static struct name **find(struct name **list, const char *text)
{
    while (*list && strcmp((*list)->text, text) != 0)
        list = &(*list)->next;
    return list;
}

static void add(struct name **list, const char *text)
{
    if (*find(list, text))
        return;
    struct name *n = HF_NEW(struct name);
    n->text = hf_strdup(text);
    n->next = *list;
    *list = n;
}

static void take(struct name **list, const char *text)
{
    struct name **at = find(list, text), *n = *at;
    if (!n)
        return;
    *at = n->next;
    free(n->text);
    free(n);
}

static uint64_t used(const struct hf_disk_sim *d)
{
    uint64_t bytes = 0;
    for (struct name *n = d->images; n; n = n->next)
        bytes += IMAGE_BYTES;
    for (struct name *n = d->volumes; n; n = n->next)
        bytes += VOLUME_BYTES;
    return bytes;
}

/* --- calls --- */

static void primary_free(struct primary *p)
{
    struct primary **at = &p->disk->primaries;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    hf_sim_queue_done(&p->queue);
    free(p->root);
    free(p);
}

static void call_free(void *arg)
{
    struct call *c = arg;
    free(c->name);
    free(c->backing);
    free(c);
}

static hf_status apply(struct hf_disk_sim *d, const struct call *c)
{
    switch (c->op) {
    case HF_PRIMARY_SIM_CHECK:
        break;
    case HF_PRIMARY_SIM_HELD:
        if (c->p->way && c->p->way->refuses && c->p->way->refuses(c->p->way->arg, c->name))
            return hf_error(HF_PRECONDITION,
                            "the client that has '%s' open is on the blocklist: the cluster refuses it",
                            c->name);
        break;
    case HF_PRIMARY_SIM_CACHE:
        add(&d->images, c->name);
        break;
    case HF_PRIMARY_SIM_CREATE:
        if (c->backing && !*find(&d->images, c->backing))
            return hf_error(HF_NOT_FOUND, "template %s is not in the cache", c->backing);
        if (c->made && !*find(&d->volumes, c->name))
            return hf_volume_lost();
        if (*find(&d->volumes, c->name) && c->p->way && c->p->way->evicts &&
            !HF_MUTANT(LAST_CLIENT_NOT_REFUSED))
            c->p->way->evicts(c->p->way->arg, c->name);
        add(&d->volumes, c->name);
        break;
    case HF_PRIMARY_SIM_DELETE:
        take(&d->volumes, c->name);
        break;
    case HF_PRIMARY_SIM_CHANGE:
        if (!*find(&d->volumes, c->name))
            return hf_error(HF_NOT_FOUND, "there is no volume '%s'", c->name);
        d->changes++;
        break;
    }
    return HF_STATUS_OK;
}

static hf_status outcome(struct call *c)
{
    struct hf_disk_sim *d = c->p->disk;
    if (c->p->queue.cancelled)
        return hf_error(HF_CANCELLED, "the host daemon ends");
    if (c->timed_out)
        return hf_error(HF_TIMEOUT, "the storage hangs");
    if (c->p->way && c->p->way->fails)
        return hf_error(HF_IO, "input/output error");
    hf_status st = HF_STATUS_OK;
    if (c->fault == HF_SIM_GOOD || c->fault == HF_SIM_LOST_ANSWER || c->fault == HF_SIM_LATE)
        st = apply(d, c);
    if (c->fault == HF_SIM_GOOD)
        return st;
    hf_status_drop(st);
    return hf_sim_fault_status(&d->faults, c->op, c->fault);
}

static void answer(void *arg);

/* true: its way hangs, and it will be looked at again. */
static bool waits_for_way(struct call *c)
{
    struct primary *p = c->p;
    int64_t left = c->deadline_ms - hf_env_now_ms(p->queue.env);
    if (!p->way || !p->way->hangs || p->queue.cancelled)
        return false;
    c->timed_out = left <= 0;
    if (!c->timed_out)
        hf_sim_later(&p->queue, left < HANG_LOOK_MS ? (unsigned)left : HANG_LOOK_MS, answer, call_free, c);
    return !c->timed_out;
}

static void answer(void *arg)
{
    struct call *c = arg;
    struct primary *p = c->p;
    struct hf_disk_sim *d = p->disk;
    struct hf_capacity capacity = {d->total_bytes, 0};
    struct hf_image_info info = {IMAGE_BYTES, IMAGE_BYTES};
    if (waits_for_way(c))
        return;
    hf_status st = outcome(c);
    capacity.available_bytes = d->total_bytes - used(d);
    p->calls--;
    if (c->capacity_cb)
        c->capacity_cb(c->arg, st, hf_ok(st) ? &capacity : NULL);
    else if (c->image_cb)
        c->image_cb(c->arg, st, hf_ok(st) ? &info : NULL);
    else if (c->change_cb)
        c->change_cb(c->arg, st, hf_ok(st) ? VOLUME_BYTES : 0);
    else
        c->cb(c->arg, st);
    hf_status_drop(st);
    call_free(c);
    if (p->closed && p->calls == 0)
        primary_free(p);
}

static void send(struct hf_primary *hp, struct call call, unsigned ms, unsigned deadline_ms)
{
    struct primary *p = hf_container_of(hp, struct primary, p);
    struct call *c = HF_NEW(struct call);
    HF_ASSERT(!p->closed);
    *c = call;
    c->p = p;
    c->fault = hf_sim_take_fault(&p->disk->faults, c->op);
    c->deadline_ms = hf_env_now_ms(p->queue.env) + deadline_ms;
    if (p->disk->hangs)
        c->fault = HF_SIM_LOST_ORDER;
    p->calls++;
    hf_sim_later(&p->queue, c->fault == HF_SIM_GOOD || c->fault == HF_SIM_FAILS ? ms : deadline_ms, answer,
                 call_free, c);
}

/* --- the vtable --- */

static void p_check(struct hf_primary *p, unsigned deadline_ms, hf_primary_capacity_cb cb, void *arg)
{
    send(p, (struct call){.op = HF_PRIMARY_SIM_CHECK, .capacity_cb = cb, .arg = arg}, CALL_MS, deadline_ms);
}

static void p_cache_image(struct hf_primary *p, const struct hf_image_source *src, unsigned deadline_ms,
                          void (*progress)(void *arg, uint64_t done, uint64_t total), hf_primary_image_cb cb,
                          void *arg)
{
    char id[HF_UUID_STR];
    if (progress)
        progress(arg, 0, IMAGE_BYTES);
    send(p,
         (struct call){.op = HF_PRIMARY_SIM_CACHE,
                       .name = hf_strdup(hf_uuid_format(&src->uuid, id)),
                       .image_cb = cb,
                       .arg = arg},
         FETCH_MS, deadline_ms);
}

static void p_create_volume(struct hf_primary *p, const char *path, const struct hf_volume_wish *wish,
                            unsigned deadline_ms, hf_primary_cb cb, void *arg)
{
    char id[HF_UUID_STR];
    const struct hf_uuid *over = wish->template_uuid;
    send(p,
         (struct call){.op = HF_PRIMARY_SIM_CREATE,
                       .name = hf_strdup(path),
                       .backing = over ? hf_strdup(hf_uuid_format(over, id)) : NULL,
                       .made = wish->made,
                       .cb = cb,
                       .arg = arg},
         CALL_MS, deadline_ms);
}

static void p_delete_volume(struct hf_primary *p, const char *path, unsigned deadline_ms, hf_primary_cb cb,
                            void *arg)
{
    send(p, (struct call){.op = HF_PRIMARY_SIM_DELETE, .name = hf_strdup(path), .cb = cb, .arg = arg},
         CALL_MS, deadline_ms);
}

static void p_held(struct hf_primary *p, const char *path, unsigned deadline_ms, hf_primary_cb cb, void *arg)
{
    send(p, (struct call){.op = HF_PRIMARY_SIM_HELD, .name = hf_strdup(path), .cb = cb, .arg = arg}, CALL_MS,
         deadline_ms);
}

static void p_change_volume(struct hf_primary *p, const char *path, const struct hf_volume_change *change,
                            unsigned deadline_ms, void (*progress)(void *arg, uint64_t done, uint64_t total),
                            hf_primary_change_cb cb, void *arg)
{
    if (progress && change->kind == HF_VOLUME_FLATTEN)
        progress(arg, VOLUME_BYTES / 2, VOLUME_BYTES);
    send(p, (struct call){.op = HF_PRIMARY_SIM_CHANGE, .name = hf_strdup(path), .change_cb = cb, .arg = arg},
         CALL_MS, deadline_ms);
}

static bool p_absolute(struct hf_primary *hp, const char *path, char *out, size_t out_len)
{
    struct primary *p = hf_container_of(hp, struct primary, p);
    if (path[0] == 0 || path[0] == '/' || strstr(path, ".."))
        return false;
    return (size_t)snprintf(out, out_len, "%s/%s", p->root, path) < out_len;
}

static const struct hf_ceph_seen *p_seen(struct hf_primary *hp)
{
    const struct primary *p = hf_container_of(hp, struct primary, p);
    return p->way && p->way->seen.n > 0 ? &p->way->seen : NULL;
}

static void p_close(struct hf_primary *hp)
{
    struct primary *p = hf_container_of(hp, struct primary, p);
    p->closed = true;
    if (p->calls == 0)
        primary_free(p);
}

static const struct hf_primary_ops primary_ops = {
    .check = p_check,
    .cache_image = p_cache_image,
    .create_volume = p_create_volume,
    .delete_volume = p_delete_volume,
    .absolute = p_absolute,
    .seen = p_seen,
    .held = p_held,
    .close = p_close,
    .change_volume = p_change_volume,
};

struct hf_primary *hf_primary_sim_open_at(struct hf_disk_sim *d, struct hf_env *env,
                                          const struct hf_primary_sim_way *way, const char *root)
{
    struct primary *p = HF_NEW(struct primary);
    p->p.ops = &primary_ops;
    p->disk = d;
    p->queue.env = env;
    p->way = way;
    p->root = hf_strdup(root);
    p->next = d->primaries;
    d->primaries = p;
    return &p->p;
}

struct hf_primary *hf_primary_sim_open(struct hf_disk_sim *d, const char *root)
{
    return hf_primary_sim_open_at(d, d->env, NULL, root);
}

void hf_disk_sim_cancel(struct hf_disk_sim *d, struct hf_env *env)
{
    for (struct primary *p = d->primaries, *next; p; p = next) {
        next = p->next;
        if (p->queue.env != env)
            continue;
        p->calls++; /* holds it */
        hf_sim_queue_cancel(&p->queue);
        if (--p->calls == 0 && p->closed)
            primary_free(p);
    }
}

/* --- the disk --- */

struct hf_disk_sim *hf_disk_sim_create(struct hf_env *env, uint64_t total_bytes)
{
    struct hf_disk_sim *d = HF_NEW(struct hf_disk_sim);
    d->env = env;
    d->total_bytes = total_bytes;
    return d;
}

void hf_disk_sim_free(struct hf_disk_sim *d)
{
    HF_ASSERT(d->primaries == NULL);
    while (d->volumes)
        take(&d->volumes, d->volumes->text);
    while (d->images)
        take(&d->images, d->images->text);
    free(d);
}

struct hf_sim_faults *hf_disk_sim_faults(struct hf_disk_sim *d)
{
    return &d->faults;
}

void hf_disk_sim_hang(struct hf_disk_sim *d, bool hangs)
{
    d->hangs = hangs;
}

bool hf_disk_sim_has_volume(const struct hf_disk_sim *d, const char *path)
{
    return *find((struct name **)&d->volumes, path) != NULL;
}

unsigned hf_disk_sim_changes(const struct hf_disk_sim *d)
{
    return d->changes;
}

bool hf_disk_sim_has_image(const struct hf_disk_sim *d, const struct hf_uuid *image)
{
    char id[HF_UUID_STR];
    return *find((struct name **)&d->images, hf_uuid_format(image, id)) != NULL;
}

void hf_disk_sim_lose_image(struct hf_disk_sim *d, const struct hf_uuid *image)
{
    char id[HF_UUID_STR];
    take(&d->images, hf_uuid_format(image, id));
}
