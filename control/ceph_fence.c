/* A host's clients are put on a cluster's blocklist, or taken off.
 *
 * What is known of the host is refused before anything is read of its volumes: that may take long while OSDs
 * are out. A command's return is not yet the fence; a map that lists every entry is, and this process has it
 * when it answers. All may be repeated.
 *
 * A command that adds an entry which is there is answered with a new end, but the entry keeps the one it had:
 * Ceph prolongs nothing. So that none ends while somebody counts on it, that of a whole address is to last
 * until it is taken off. Those of single clients lapse: nobody counts on them, what lapses while the host is
 * unknown is added again, and none is taken off when it is back (storage/ceph_client.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <rbd/librbd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/mem.h"
#include "control/ceph_fence_plan.h"
#include "control/hf_ceph.h"
#include "storage/rados_lease.h"

#define THREADS_MAX   16 /* each waits for an answer */
#define IMAGES_MAX    4096
#define WATCHERS_MAX  64
#define LOCK_TEXT_MAX 1024

/* --- a list, worked through by threads --- */

struct crew {
    json_t *list;
    hf_status (*work)(struct crew *crew, const json_t *item);
    atomic_size_t next;
    pthread_mutex_t lock; /* for what work() shares, and: */
    hf_status st;         /* the first error */
    /* of the work */
    rados_t c;
    struct hf_ceph_fence_plan *plan;
    const char *self;
    int64_t until_ms;
};

static void *crew_member(void *arg)
{
    struct crew *crew = arg;
    size_t n = json_array_size(crew->list), i;
    while ((i = atomic_fetch_add(&crew->next, 1)) < n) {
        hf_status st = crew->work(crew, json_array_get(crew->list, i));
        if (hf_ok(st))
            continue;
        pthread_mutex_lock(&crew->lock);
        if (hf_ok(crew->st))
            crew->st = st;
        else
            hf_status_drop(st);
        pthread_mutex_unlock(&crew->lock);
        atomic_store(&crew->next, n); /* the rest would wait as long for the same */
    }
    return NULL;
}

static hf_status crew_run(struct crew *crew)
{
    pthread_t threads[THREADS_MAX];
    size_t n = json_array_size(crew->list);
    if (n > THREADS_MAX)
        n = THREADS_MAX;
    crew->st = HF_STATUS_OK;
    HF_ASSERT(pthread_mutex_init(&crew->lock, NULL) == 0);
    for (size_t i = 0; i < n; i++)
        HF_ASSERT(pthread_create(&threads[i], NULL, crew_member, crew) == 0);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&crew->lock);
    return crew->st;
}

/* --- who lives where --- */

static hf_status learn_daemons(rados_t c, struct hf_ceph_fence_plan *plan)
{
    static const char *const commands[] = {"osd dump", "mon dump", "mgr dump", "mgr metadata",
                                           "mds metadata"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        json_t *dump = NULL;
        HF_TRY(hf_wrap(hf_ceph_command(c, json_pack("{s:s}", "prefix", commands[i]), &dump),
                       "ask where the cluster's daemons are"));
        hf_ceph_fence_plan_daemons(plan, commands[i], dump);
        json_decref(dump);
    }
    return HF_STATUS_OK;
}

static hf_status learn_self(rados_t c, struct hf_ceph_fence_plan *plan, char **ret_self)
{
    char *text = NULL;
    int rc = rados_getaddrs(c, &text);
    if (rc < 0)
        return hf_rados_error(rc, "ask librados for its own address");
    hf_ceph_fence_plan_self(plan, text);
    *ret_self = hf_strdup(text);
    rados_buffer_free(text);
    return HF_STATUS_OK;
}

static hf_status learn_hosts(const json_t *question, struct hf_ceph_fence_plan *plan)
{
    json_t *at;
    size_t i;
    json_array_foreach(json_object_get(question, "others"), i, at)
    {
        HF_TRY(hf_ceph_fence_plan_other(plan, json_is_string(at) ? json_string_value(at) : "?"));
    }
    json_array_foreach(json_object_get(question, "addresses"), i, at)
    {
        HF_TRY(hf_ceph_fence_plan_host(plan, json_is_string(at) ? json_string_value(at) : "?"));
    }
    return HF_STATUS_OK;
}

/* --- who has the volumes open --- */

static hf_status see_client(struct crew *crew, const char *address)
{
    hf_status st = HF_STATUS_OK;
    if (strcmp(address, crew->self) == 0)
        return st;
    pthread_mutex_lock(&crew->lock);
    st = hf_ceph_fence_plan_watcher(crew->plan, address);
    pthread_mutex_unlock(&crew->lock);
    return st;
}

static hf_status see_watchers(struct crew *crew, rbd_image_t image, const char *name)
{
    rbd_image_watcher_t list[WATCHERS_MAX];
    size_t n = WATCHERS_MAX;
    int rc = rbd_watchers_list(image, list, &n);
    if (rc < 0)
        return hf_rados_error(rc, "see who has the image '%s' open", name);
    hf_status st = HF_STATUS_OK;
    for (size_t i = 0; i < n && hf_ok(st); i++)
        st = hf_wrap(see_client(crew, list[i].addr), "image '%s'", name);
    rbd_watchers_list_cleanup(list, n);
    return st;
}

/* Its lock's owner may be silent for so long that it does not watch any more, and write later. */
static hf_status see_owner(struct crew *crew, rbd_image_t image, const char *name)
{
    char tag[LOCK_TEXT_MAX], clients[LOCK_TEXT_MAX], cookies[LOCK_TEXT_MAX], addrs[LOCK_TEXT_MAX] = "";
    size_t tag_len = sizeof tag, clients_len = sizeof clients, cookies_len = sizeof cookies,
           addrs_len = sizeof addrs;
    int exclusive;
    ssize_t n = rbd_list_lockers(image, &exclusive, tag, &tag_len, clients, &clients_len, cookies,
                                 &cookies_len, addrs, &addrs_len);
    if (n < 0 && n != -ENOENT)
        return hf_rados_error((int)n, "see who owns the lock of the image '%s'", name);
    return n > 0 ? hf_wrap(see_client(crew, addrs), "image '%s'", name) : HF_STATUS_OK;
}

/* A pool or an image that is not there is open nowhere. */
static hf_status see_image(struct crew *crew, const json_t *item)
{
    const char *pool = hf_ceph_text(item, "pool"), *name = hf_ceph_text(item, "image");
    rados_ioctx_t io;
    rbd_image_t image;
    int rc = rados_ioctx_create(crew->c, pool, &io);
    if (rc < 0)
        return rc == -ENOENT ? HF_STATUS_OK : hf_rados_error(rc, "open the pool '%s'", pool);
    rc = rbd_open_read_only(io, name, &image, NULL);
    hf_status st = HF_STATUS_OK;
    if (rc >= 0) {
        st = see_watchers(crew, image, name);
        if (hf_ok(st))
            st = see_owner(crew, image, name);
        (void)rbd_close(image); /* it was only read */
    } else if (rc != -ENOENT) {
        st = hf_rados_error(rc, "open the image '%s/%s' to see who else has it open", pool, name);
    }
    rados_ioctx_destroy(io);
    return st;
}

static hf_status see_images(rados_t c, const json_t *question, const char *self,
                            struct hf_ceph_fence_plan *plan)
{
    json_t *images = json_object_get(question, "images");
    if (json_array_size(images) > IMAGES_MAX)
        return hf_error(HF_INVALID, "too many images are named: %zu of at most %d", json_array_size(images),
                        IMAGES_MAX);
    return crew_run(&(struct crew){.list = images, .work = see_image, .c = c, .plan = plan, .self = self});
}

/* The lease keeper's own client, which it writes beside each record. */
static hf_status see_record(rados_t c, const json_t *question, struct hf_ceph_fence_plan *plan)
{
    const json_t *record = json_object_get(question, "record");
    const char *pool = hf_ceph_text(record, "pool"), *object = hf_ceph_text(record, "object");
    char address[HF_RADOS_LEASE_CLIENT_MAX] = "";
    rados_ioctx_t io;
    if (!record)
        return HF_STATUS_OK;
    int rc = rados_ioctx_create(c, pool, &io);
    if (rc < 0)
        return rc == -ENOENT ? HF_STATUS_OK : hf_rados_error(rc, "open the pool '%s'", pool);
    hf_status st = hf_rados_lease_client(io, object, address);
    rados_ioctx_destroy(io);
    return hf_ok(st) && address[0] != '\0' ? hf_ceph_fence_plan_host_list(plan, address) : st;
}

/* --- the list --- */

static hf_status add_entry(struct crew *crew, const json_t *item)
{
    char *entry = hf_strdup(json_string_value(item)); /* librados takes no const */
    int rc = rados_blocklist_add(crew->c, entry, hf_ceph_fence_entry_s(entry));
    hf_status st = rc < 0 ? hf_rados_error(rc, "put '%s' on the cluster's blocklist", entry) : HF_STATUS_OK;
    free(entry);
    return st;
}

/* What is planned and not on the list of done yet. */
static hf_status add_entries(rados_t c, const struct hf_ceph_fence_plan *plan, json_t *done)
{
    json_t *all = hf_ceph_fence_plan_entries(plan), *fresh = json_array(), *at, *had;
    size_t i, k;
    json_array_foreach(all, i, at)
    {
        bool known = false;
        json_array_foreach(done, k, had) known |= json_equal(at, had);
        if (!known)
            json_array_append(fresh, at);
    }
    hf_status st = crew_run(&(struct crew){.list = fresh, .work = add_entry, .c = c});
    json_array_extend(done, fresh);
    json_decref(fresh);
    json_decref(all);
    return st;
}

static hf_status newest_map(rados_t c, json_t **ret_dump)
{
    int rc = rados_wait_for_latest_osdmap(c);
    if (rc < 0)
        return hf_rados_error(rc, "wait for the cluster's newest map");
    return hf_wrap(hf_ceph_command(c, json_pack("{s:s}", "prefix", "osd dump"), ret_dump),
                   "list the blocklist");
}

static hf_status fence(rados_t c, const json_t *question, struct hf_ceph_fence_plan *plan, json_t *entries)
{
    char *self = NULL;
    HF_TRY(learn_daemons(c, plan));
    HF_TRY(learn_self(c, plan, &self));
    hf_status st = learn_hosts(question, plan);
    if (hf_ok(st))
        st = add_entries(c, plan, entries);
    if (hf_ok(st))
        st = see_record(c, question, plan);
    if (hf_ok(st))
        st = see_images(c, question, self, plan);
    if (hf_ok(st) && plan->n_clients == 0)
        st = hf_error(
            HF_PRECONDITION,
            "nothing tells at which addresses the cluster sees this host: it has not said so, and no "
            "client has its volumes open");
    if (hf_ok(st))
        st = add_entries(c, plan, entries);
    free(self);
    return st;
}

hf_status hf_ceph_fence(rados_t c, const json_t *question, json_t *answer)
{
    struct hf_ceph_fence_plan plan;
    char shared[HF_CEPH_SHARED_MAX];
    json_t *entries = json_array(), *dump = NULL;
    uint64_t epoch = 0;
    json_object_set_new(answer, "entries", entries);
    hf_ceph_fence_plan_init(&plan);
    hf_status st = fence(c, question, &plan, entries);
    hf_ceph_fence_plan_shared(&plan, shared, sizeof shared);
    hf_ceph_fence_plan_done(&plan);
    HF_TRY(st);
    HF_TRY(newest_map(c, &dump));
    st = hf_ceph_blocklist_has(dump, entries, &epoch);
    json_decref(dump);
    json_object_set_new(answer, "by_clients", json_boolean(shared[0] != '\0'));
    json_object_set_new(answer, "shared_with", json_string(shared));
    json_object_set_new(answer, "osdmap_epoch", json_integer((json_int_t)epoch));
    return st;
}

/* --- and back --- */

/* Who asked may stand still as a whole before this is sent, and a host be fenced by the next leader
 * meanwhile. */
static hf_status check_in_time(int64_t until_ms)
{
    struct timespec t;
    HF_ASSERT(clock_gettime(CLOCK_BOOTTIME, &t) == 0); /* counts what a machine sleeps */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 < until_ms
               ? HF_STATUS_OK
               : hf_error(HF_UNAVAILABLE, "it is too late for what was asked: nothing is sent");
}

static hf_status remove_entry(struct crew *crew, const json_t *item)
{
    const char *entry = json_is_string(item) ? json_string_value(item) : "?";
    struct hf_ceph_client client;
    json_t *nothing = NULL;
    if (!hf_ceph_client_parse(entry, &client))
        return hf_error(HF_INVALID, "'%s' is no entry of a blocklist", entry);
    HF_TRY(check_in_time(crew->until_ms));
    hf_status st = hf_ceph_command(
        crew->c, json_pack("{s:s, s:s, s:s}", "prefix", "osd blocklist", "blocklistop", "rm", "addr", entry),
        &nothing);
    json_decref(nothing);
    if (hf_status_code(st) == HF_NOT_FOUND) { /* it had expired */
        hf_status_drop(st);
        st = HF_STATUS_OK;
    }
    return hf_wrap(st, "take '%s' off the cluster's blocklist", entry);
}

hf_status hf_ceph_unfence(rados_t c, const json_t *question, json_t *answer)
{
    json_t *entries = json_object_get(question, "entries"), *dump = NULL;
    int64_t until_ms =
        json_integer_value(json_object_get(question, "until_ms")); /* 0: it is missing, and over */
    uint64_t epoch = 0;
    if (!json_is_array(entries) || json_array_size(entries) > HF_CEPH_ENTRIES_MAX)
        return hf_error(HF_INVALID, "unfence needs a list of at most %d entries", HF_CEPH_ENTRIES_MAX);
    HF_TRY(crew_run(&(struct crew){.list = entries, .work = remove_entry, .c = c, .until_ms = until_ms}));
    HF_TRY(newest_map(c, &dump));
    hf_status st = hf_ceph_blocklist_lacks(dump, entries, &epoch);
    json_decref(dump);
    json_object_set_new(answer, "osdmap_epoch", json_integer((json_int_t)epoch));
    return st;
}
