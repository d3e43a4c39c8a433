#include "sim/ceph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define ENTRIES_MAX       8192
#define MOVES_PPM         300000 /* hosts that have another address after each boot */
#define FIRST_OSDMAP      50
#define SHARED_WITH_KINDS 3

/* Who else has a host's address. */
enum shared_with { WITH_NOBODY, WITH_HOST, WITH_OSD, WITH_NODE };

struct sim_ceph {
    struct sim *sim;
    char monitor[SIM_CEPH_ADDRESS], fsid[HF_UUID_STR + 4];
    unsigned nodes;
    uint32_t shared_ppm;
    struct {
        char address[SIM_CEPH_ADDRESS];
    } hosts[SIM_HOSTS_MAX];
    struct {
        char text[SIM_CEPH_ENTRY];
        int64_t expire_ns;
    } entries[ENTRIES_MAX];
    size_t n_entries;
    uint64_t osdmap_epoch;
    struct sim_ceph_mons mons;
    struct {
        char *image;
        struct sim_ceph_client client;
    } * owners;
    size_t n_owners;
    struct {
        void (*changed)(void *arg, const char *entry, enum sim_listed what);
        void *arg;
    } watches[SIM_CEPH_WATCHES];
    size_t n_watches;
    unsigned refs;
};

struct sim_ceph *sim_ceph_create(struct sim *s, unsigned number, unsigned nodes, uint32_t shared_ppm)
{
    struct sim_ceph *c = HF_NEW(struct sim_ceph);
    c->sim = s;
    c->nodes = nodes;
    c->shared_ppm = shared_ppm;
    c->osdmap_epoch = FIRST_OSDMAP;
    c->refs = 1;
    snprintf(c->monitor, sizeof c->monitor, "10.9.255.%u", number + 1);
    snprintf(c->fsid, sizeof c->fsid, "5f1c0a00-6d1e-4a52-9f4c-%012u", number + 1);
    return c;
}

struct sim_ceph *sim_ceph_ref(struct sim_ceph *c)
{
    c->refs++;
    return c;
}

void sim_ceph_unref(struct sim_ceph *c)
{
    if (!c || --c->refs > 0)
        return;
    for (size_t i = 0; i < c->n_owners; i++)
        free(c->owners[i].image);
    free(c->owners);
    free(c);
}

const char *sim_ceph_monitor(const struct sim_ceph *c)
{
    return c->monitor;
}

const char *sim_ceph_fsid(const struct sim_ceph *c)
{
    return c->fsid;
}

/* --- addresses --- */

/* The same for two neighbours. */
static enum shared_with shared_with(const struct sim_ceph *c, unsigned host)
{
    struct sim_rng r = sim_rng_make(sim_seed(c->sim), "shared address", host / 2);
    if (!sim_rng_chance(&r, c->shared_ppm))
        return WITH_NOBODY;
    return (enum shared_with)(1 + sim_rng_below(&r, SHARED_WITH_KINDS));
}

static bool moves(const struct sim_ceph *c, unsigned host)
{
    struct sim_rng r = sim_rng_make(sim_seed(c->sim), "moving address", host);
    return sim_rng_chance(&r, MOVES_PPM);
}

void sim_ceph_host_boots(struct sim_ceph *c, unsigned host, uint64_t boot)
{
    char *to = c->hosts[host].address;
    switch (shared_with(c, host)) {
    case WITH_NOBODY:
        snprintf(to, SIM_CEPH_ADDRESS, "10.9.%u.%u", moves(c, host) ? (unsigned)(boot % 200) : 0, host + 1);
        break;
    case WITH_HOST: /* two behind one address */
        snprintf(to, SIM_CEPH_ADDRESS, "10.9.252.%u", host / 2 + 1);
        break;
    case WITH_OSD:
        snprintf(to, SIM_CEPH_ADDRESS, "10.9.254.%u", host + 1);
        break;
    case WITH_NODE:
        sim_ceph_node_address(host % (c->nodes > 0 ? c->nodes : 1), to);
        break;
    }
}

const char *sim_ceph_host_address(const struct sim_ceph *c, unsigned host)
{
    return c->hosts[host].address;
}

const char *sim_ceph_node_address(unsigned node, char out[SIM_CEPH_ADDRESS])
{
    snprintf(out, SIM_CEPH_ADDRESS, "10.9.253.%u", node + 1);
    return out;
}

const char *sim_ceph_daemon_at(const struct sim_ceph *c, const char *address)
{
    if (strcmp(address, c->monitor) == 0)
        return "mon.a";
    return strncmp(address, "10.9.254.", 9) == 0 ? "osd.0" : NULL;
}

uint32_t sim_ceph_guest_number(const struct hf_uuid *instance, uint64_t run)
{
    uint32_t n = 2166136261u;
    for (size_t i = 0; i < sizeof instance->b; i++)
        n = (n ^ instance->b[i]) * 16777619u;
    n = (n ^ (uint32_t)run) * 16777619u;
    return n | 1u << 31; /* those of processes are small */
}

/* --- images --- */

void sim_ceph_locked(struct sim_ceph *c, const char *image, const struct sim_ceph_client *who)
{
    size_t i = 0;
    while (i < c->n_owners && strcmp(c->owners[i].image, image) != 0)
        i++;
    if (i == c->n_owners) {
        c->owners = hf_realloc_array(c->owners, ++c->n_owners, sizeof *c->owners);
        c->owners[i].image = hf_strdup(image);
    }
    c->owners[i].client = *who;
}

const struct sim_ceph_client *sim_ceph_owner(const struct sim_ceph *c, const char *name)
{
    for (size_t i = 0; i < c->n_owners; i++)
        if (strstr(c->owners[i].image, name))
            return &c->owners[i].client;
    return NULL;
}

/* --- the blocklist --- */

static size_t find(const struct sim_ceph *c, const char *entry)
{
    size_t i = 0;
    while (i < c->n_entries && strcmp(c->entries[i].text, entry) != 0)
        i++;
    return i;
}

static void new_map(struct sim_ceph *c, const char *entry, enum sim_listed what)
{
    c->osdmap_epoch++;
    sim_mix(c->sim, c->osdmap_epoch * 4 + what);
    static const char *const words[] = {"is on", "was taken off", "has lapsed on"};
    sim_trace(c->sim, "ceph", "osdmap %llu: %s %s the blocklist", (unsigned long long)c->osdmap_epoch, entry,
              words[what]);
    for (size_t i = 0; i < c->n_watches; i++)
        c->watches[i].changed(c->watches[i].arg, entry, what);
}

static void drop(struct sim_ceph *c, size_t i, enum sim_listed what)
{
    char entry[SIM_CEPH_ENTRY];
    memcpy(entry, c->entries[i].text, sizeof entry);
    c->entries[i] = c->entries[--c->n_entries];
    c->entries[c->n_entries].expire_ns = 0;
    new_map(c, entry, what);
}

struct lapse {
    struct sim_ceph *cluster;
    char entry[SIM_CEPH_ENTRY];
};

static void on_lapse(void *arg)
{
    struct lapse l = *(struct lapse *)arg;
    size_t i = find(l.cluster, l.entry);
    free(arg);
    if (i < l.cluster->n_entries && l.cluster->entries[i].expire_ns <= sim_now_ns(l.cluster->sim))
        drop(l.cluster, i, SIM_LAPSED);
}

void sim_ceph_block(struct sim_ceph *c, const char *entry, int64_t for_ns)
{
    size_t i = find(c, entry);
    if (i == c->n_entries) {
        HF_ASSERT(c->n_entries < ENTRIES_MAX);
        snprintf(c->entries[c->n_entries++].text, sizeof c->entries[0].text, "%s", entry);
        c->entries[i].expire_ns = sim_now_ns(c->sim) + for_ns;
        struct lapse *l = HF_NEW(struct lapse);
        l->cluster = c;
        snprintf(l->entry, sizeof l->entry, "%s", entry);
        sim_at(c->sim, c->entries[i].expire_ns, on_lapse, free, l);
    }
    new_map(c, entry, SIM_LISTED);
}

void sim_ceph_block_client(struct sim_ceph *c, const struct sim_ceph_client *who, int64_t for_ns)
{
    char entry[SIM_CEPH_ENTRY];
    snprintf(entry, sizeof entry, "%s:0/%u", who->address, who->number);
    sim_ceph_block(c, entry, for_ns);
}

void sim_ceph_unblock(struct sim_ceph *c, const char *entry)
{
    size_t i = find(c, entry);
    if (i < c->n_entries)
        drop(c, i, SIM_TAKEN_OFF);
}

bool sim_ceph_lists(const struct sim_ceph *c, const char *entry)
{
    return find(c, entry) < c->n_entries;
}

bool sim_ceph_blocks(const struct sim_ceph *c, const struct sim_ceph_client *who)
{
    char entry[SIM_CEPH_ENTRY];
    if (c->n_entries == 0)
        return false;
    snprintf(entry, sizeof entry, "%s:0/0", who->address);
    if (sim_ceph_lists(c, entry))
        return true;
    snprintf(entry, sizeof entry, "%s:0/%u", who->address, who->number);
    return sim_ceph_lists(c, entry);
}

uint64_t sim_ceph_osdmap_epoch(const struct sim_ceph *c)
{
    return c->osdmap_epoch;
}

void sim_ceph_watch(struct sim_ceph *c, void (*changed)(void *arg, const char *entry, enum sim_listed what),
                    void *arg)
{
    HF_ASSERT(c->n_watches < SIM_CEPH_WATCHES);
    c->watches[c->n_watches].changed = changed;
    c->watches[c->n_watches++].arg = arg;
}

struct sim_ceph_mons *sim_ceph_mons(struct sim_ceph *c)
{
    return &c->mons;
}
