#include "sim/storage_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define TOTAL_BYTES (1ULL << 44)
#define EVICTED_NS  (HF_CEPH_CLIENT_REFUSED_S * HF_S_NS)

/* --- life --- */

static unsigned locals_so_far(const struct sim_world *w)
{
    unsigned n = 0;
    while (n < SIM_HOSTS_MAX && w->local[n])
        n++;
    return n;
}

struct sim_storage *sim_storage_create(struct sim_world *w, const struct hf_uuid *uuid, const char *name,
                                       bool shared)
{
    struct sim_storage *s = HF_NEW(struct sim_storage);
    s->world = w;
    s->uuid = *uuid;
    s->shared = shared;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->path, sizeof s->path, SIM_STORAGE_FOLDER "/%s", shared ? name : "local");
    s->rng = sim_rng_make(sim_seed(w->sim), name, shared ? 0 : 1 + locals_so_far(w));
    s->files = hf_disk_sim_create(NULL, TOTAL_BYTES);
    return s;
}

/* Its clients are served, or not any more. */
static void on_blocklist(void *arg, const char *entry, enum sim_listed what)
{
    struct sim_storage *s = arg;
    if (s->world->checks)
        sim_checks_listed(s->world->checks, sim_now_ns(s->world->sim), &s->uuid, entry, what);
    for (unsigned i = 0; i < SIM_HOSTS_MAX; i++)
        sim_storage_kick(s, i);
}

static bool refuses(void *arg, const char *install_path)
{
    const struct sim_host_way *way = arg;
    const struct sim_storage *s = way->storage;
    const struct sim_ceph_client *owner = sim_ceph_owner(s->ceph, install_path);
    const char *here = sim_ceph_host_address(s->ceph, (unsigned)(way - s->ways));
    return owner && strcmp(owner->address, here) == 0 && sim_ceph_blocks(s->ceph, owner);
}

/* storage/rbd_clients.c */
static void evicts(void *arg, const char *install_path)
{
    const struct sim_host_way *way = arg;
    struct sim_ceph *c = way->storage->ceph;
    const struct sim_ceph_client *owner = sim_ceph_owner(c, install_path);
    if (owner)
        sim_ceph_block_client(c, owner, EVICTED_NS);
}

void sim_storage_make_ceph(struct sim_storage *s, struct sim_ceph *take_cluster)
{
    s->ceph = take_cluster;
    for (unsigned i = 0; i < SIM_HOSTS_MAX; i++) {
        s->ways[i].storage = s;
        s->ways[i].files.refuses = refuses;
        s->ways[i].files.evicts = evicts;
        s->ways[i].files.arg = &s->ways[i];
    }
    sim_ceph_watch(s->ceph, on_blocklist, s);
}

void sim_storage_host_boots(struct sim_storage *s, unsigned host, uint64_t boot)
{
    struct hf_ceph_seen *seen = &s->ways[host].files.seen;
    if (!s->ceph)
        return;
    sim_ceph_host_boots(s->ceph, host, boot);
    const char *address = sim_ceph_host_address(s->ceph, host);
    *seen = (struct hf_ceph_seen){0};
    hf_ceph_seen_add(seen, address);
    if (!s->world->checks)
        return;
    sim_checks_address(s->world->checks, sim_now_ns(s->world->sim), host, address);
    if (sim_ceph_daemon_at(s->ceph, address))
        sim_checks_reserve(s->world->checks, address);
}

const char *sim_storage_record_client(const struct sim_storage *s, unsigned host)
{
    return s->record_client[host].address;
}

struct sim_ceph *sim_storage_ceph(const struct sim_storage *s)
{
    return s->ceph;
}

void sim_storage_free(struct sim_storage *s)
{
    for (unsigned i = 0; i < SIM_HOSTS_MAX; i++) {
        while (s->ways[i].ios)
            sim_io_over(s->ways[i].ios);
        sim_record_file_done(&s->records[i]);
        s->ways[i].way.stale = false;
        sim_storage_kick(s, i);
    }
    hf_disk_sim_free(s->files);
    sim_ceph_unref(s->ceph);
    free(s);
}

const struct hf_uuid *sim_storage_uuid(const struct sim_storage *s)
{
    return &s->uuid;
}

void sim_storage_set_uuid(struct sim_storage *s, const struct hf_uuid *uuid)
{
    char text[HF_UUID_STR];
    s->uuid = *uuid;
    if (s->ceph) /* as hostd/storage_place.h names it */
        snprintf(s->path, sizeof s->path, SIM_STORAGE_FOLDER "/%s.rados", hf_uuid_format(uuid, text));
}

const char *sim_storage_path(const struct sim_storage *s)
{
    return s->path;
}

bool sim_storage_shared(const struct sim_storage *s)
{
    return s->shared;
}

struct hf_disk_sim *sim_storage_files(struct sim_storage *s)
{
    return s->files;
}

struct hf_primary *sim_storage_open(struct sim_storage *s, unsigned host, struct hf_env *env)
{
    return hf_primary_sim_open_at(s->files, env, &s->ways[host].files, s->path);
}

/* --- ways --- */

bool sim_storage_shuts_out(const struct sim_storage *s, unsigned host)
{
    struct sim_ceph_client daemon = {.number = SIM_CEPH_DAEMON};
    if (!s->ceph)
        return false;
    snprintf(daemon.address, sizeof daemon.address, "%s", sim_ceph_host_address(s->ceph, host));
    return sim_ceph_blocks(s->ceph, &daemon);
}

struct sim_storage_way *sim_storage_way(struct sim_storage *s, unsigned host)
{
    HF_ASSERT(host < SIM_HOSTS_MAX);
    return &s->ways[host].way;
}

static bool is_whole(const struct sim_storage_way *w)
{
    return !sim_storage_way_is_bad(w) && w->delay_ms == 0;
}

bool sim_storage_marked(const struct sim_storage *s, const struct hf_uuid *owner, uint64_t epoch)
{
    for (size_t i = 0; i < s->n_marks; i++)
        if ((s->ceph ? s->marks[i].epoch >= epoch : s->marks[i].epoch == epoch) &&
            hf_uuid_equal(&s->marks[i].owner, owner))
            return true;
    return false;
}

bool sim_storage_mark(struct sim_storage *s, unsigned host, const struct hf_uuid *owner, uint64_t epoch,
                      bool *ret_hangs)
{
    const struct sim_storage_way *w = &s->ways[host].way;
    *ret_hangs = !sim_way_passes(w) || w->write_hangs || w->marks_hang;
    if (*ret_hangs || w->fails || w->write_fails || sim_storage_shuts_out(s, host))
        return false;
    if (sim_storage_marked(s, owner, epoch))
        return true;
    if (w->full)
        return false; /* the keeper has made room for its mark, but may not have come to it */
    HF_ASSERT(s->n_marks < SIM_MARKS_MAX);
    s->marks[s->n_marks].owner = *owner;
    s->marks[s->n_marks++].epoch = epoch;
    return true;
}

void sim_storage_lose_records(struct sim_storage *s)
{
    for (unsigned i = 0; i < SIM_HOSTS_MAX; i++)
        sim_record_file_remove(&s->records[i]);
    memset(s->written, 0, sizeof s->written);
    s->n_marks = 0;
}

void sim_storage_spoil_record(struct sim_storage *s, unsigned host, enum hf_lease_decode found)
{
    sim_record_file_spoil(&s->records[host], found, sim_now_ns(s->world->sim));
}

bool sim_storage_works(const struct sim_storage *s, unsigned host)
{
    unsigned first = s->shared ? 0 : host, last = s->shared ? SIM_HOSTS_MAX - 1 : host;
    for (unsigned i = first; i <= last; i++)
        if (!is_whole(&s->ways[i].way))
            return false;
    return true;
}
