/* The decisions of HA as text: testdata/fence holds one file per case, with what is known at which time and
 * the exact plan. "ha_scenarios_test FILE" prints a file as the code would have it.
 *
 * Commands: profile, settings, host, lease, ceph, session, instance set the scene; at, contact, gone, see,
 * says-closed, operator, power, block, grant are what happens; decide and plan say what follows; commit makes
 * what the last decide said come true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "ha/fence_decide.h"
#include "ha/restart_plan.h"
#include "ha/scenario.h"

#define HOSTS_MAX     16
#define STORAGES_MAX  8
#define INSTANCES_MAX 32
#define EVIDENCE_MAX  64
#define ACTIONS_MAX   64

struct evidence {
    size_t host;
    uint64_t epoch;
    enum hf_evidence_kind kind;
    bool everything;
    struct hf_uuid storage;
};

struct world {
    const struct hf_ha_timing *timing;
    struct hf_fence_settings settings;
    struct hf_detector *detector;
    int64_t now_ms;
    struct host {
        char name[32];
        struct hf_uuid uuid;
        uint64_t epoch;
        enum hf_watchdog watchdog;
        const struct hf_ha_timing *timing;
        bool says_closed;
        bool maintenance;
        char operator_word[128];
        uint64_t fenced_epoch;
        int64_t fenced_at_ms;
        struct {
            bool devices, trouble;
            int64_t off_at_ms; /* -1: it is not off */
            char state[128];
        } power;
        size_t leases[STORAGES_MAX], n_leases;
        uint64_t sessions[STORAGES_MAX]; /* beside the leases */
        struct block {
            enum hf_block_state state;
            bool confirmed, by_clients;
            char trouble[128];
        } blocks[STORAGES_MAX]; /* the same */
    } hosts[HOSTS_MAX];
    size_t n_hosts;
    struct {
        char name[32];
        struct hf_uuid uuid;
        bool ceph;
    } storages[STORAGES_MAX];
    size_t n_storages;
    struct instance {
        char name[32];
        size_t host;
        uint64_t epoch, run;
        bool never_stop, stopping, write_fenced;
        int64_t waiting_ms;
        int priority;
        struct hf_uuid disks[STORAGES_MAX];
        size_t n_disks;
    } instances[INSTANCES_MAX];
    size_t n_instances;
    struct evidence evidence[EVIDENCE_MAX];
    size_t n_evidence;
    struct hf_fence_action actions[ACTIONS_MAX];
    size_t n_actions;
};

static void *create(void)
{
    struct world *w = HF_NEW(struct world);
    w->timing = hf_ha_timing_find("fast");
    w->settings = (struct hf_fence_settings){.ha_enabled = true,
                                             .accept_stand_in = true,
                                             .mass_share = HF_FENCE_MASS_SHARE,
                                             .by_power = HF_FENCE_BY_POWER_ALWAYS};
    w->detector = hf_detector_create(0);
    return w;
}

static void destroy(void *world)
{
    struct world *w = world;
    hf_detector_free(w->detector);
    free(w);
}

static struct host *find_host(struct world *w, const char *name)
{
    for (size_t i = 0; i < w->n_hosts; i++) {
        if (strcmp(w->hosts[i].name, name) == 0)
            return &w->hosts[i];
    }
    return NULL;
}

/* Makes it at first use. */
static size_t storage_index(struct world *w, const char *name)
{
    for (size_t i = 0; i < w->n_storages; i++) {
        if (strcmp(w->storages[i].name, name) == 0)
            return i;
    }
    HF_ASSERT(w->n_storages < STORAGES_MAX);
    snprintf(w->storages[w->n_storages].name, sizeof w->storages[0].name, "%s", name);
    w->storages[w->n_storages].uuid = hf_uuid_of_text(name);
    return w->n_storages++;
}

static const char *storage_name(const struct world *w, const struct hf_uuid *uuid)
{
    for (size_t i = 0; i < w->n_storages; i++) {
        if (hf_uuid_equal(&w->storages[i].uuid, uuid))
            return w->storages[i].name;
    }
    return "?";
}

static const char *host_name(const struct world *w, const struct hf_uuid *uuid)
{
    for (size_t i = 0; i < w->n_hosts; i++) {
        if (hf_uuid_equal(&w->hosts[i].uuid, uuid))
            return w->hosts[i].name;
    }
    return "?";
}

static const char *kind_name(enum hf_evidence_kind k)
{
    static const char *const names[] = {
        "?", "closed and killed", "silence", "next epoch", "operator's word", "power off", "blocklist"};
    return names[k];
}

/* --- the scene --- */

static bool do_settings(struct world *w, char **words, size_t n)
{
    const char *ha = hf_scenario_value(words, n, "ha"), *stand_in = hf_scenario_value(words, n, "stand-in");
    if (ha)
        w->settings.ha_enabled = strcmp(ha, "on") == 0;
    if (stand_in)
        w->settings.accept_stand_in = strcmp(stand_in, "accepted") == 0;
    const char *power = hf_scenario_value(words, n, "power");
    if (power)
        w->settings.by_power = strcmp(power, "never") == 0              ? HF_FENCE_BY_POWER_NEVER
                               : strcmp(power, "without-watchdog") == 0 ? HF_FENCE_BY_POWER_WITHOUT_WATCHDOG
                                                                        : HF_FENCE_BY_POWER_ALWAYS;
    w->settings.power_delay_ms = hf_scenario_number(words, n, "power-delay", w->settings.power_delay_ms);
    w->settings.mass_share = (unsigned)hf_scenario_number(words, n, "share", w->settings.mass_share);
    return n > 2;
}

static bool do_host(struct world *w, char **words, size_t n)
{
    const char *watchdog = hf_scenario_value(words, n, "watchdog"),
               *profile = hf_scenario_value(words, n, "profile");
    if (n < 2 || w->n_hosts == HOSTS_MAX)
        return false;
    struct host *h = &w->hosts[w->n_hosts++];
    snprintf(h->name, sizeof h->name, "%s", words[1]);
    h->uuid = hf_uuid_of_text(words[1]);
    h->epoch = (uint64_t)hf_scenario_number(words, n, "epoch", 1);
    h->watchdog = hf_watchdog_of_text(watchdog ? watchdog : "hardware");
    h->timing = profile ? hf_ha_timing_find(profile) : w->timing;
    h->maintenance = hf_scenario_has(words, n, "maintenance");
    return h->timing != NULL;
}

/* lease STORAGE HOST… */
static bool do_lease(struct world *w, char **words, size_t n)
{
    for (size_t i = 2; i < n; i++) {
        struct host *h = find_host(w, words[i]);
        if (!h)
            return false;
        h->sessions[h->n_leases] = 1;
        h->leases[h->n_leases++] = storage_index(w, words[1]);
    }
    return n > 2;
}

/* ceph STORAGE…: their clusters have blocklists */
static bool do_ceph(struct world *w, char **words, size_t n)
{
    for (size_t i = 1; i < n; i++)
        w->storages[storage_index(w, words[i])].ceph = true;
    return n > 1;
}

/* instance NAME HOST run N disk S [disk S] [never-stop] [write-fenced] [stopping] [epoch N] [waiting MS]
 * [priority N] */
static bool do_instance(struct world *w, char **words, size_t n)
{
    struct host *h = n > 2 ? find_host(w, words[2]) : NULL;
    if (!h || w->n_instances == INSTANCES_MAX)
        return false;
    struct instance *i = &w->instances[w->n_instances++];
    snprintf(i->name, sizeof i->name, "%s", words[1]);
    i->host = (size_t)(h - w->hosts);
    i->epoch = (uint64_t)hf_scenario_number(words, n, "epoch", (int64_t)h->epoch);
    i->run = (uint64_t)hf_scenario_number(words, n, "run", 1);
    i->never_stop = hf_scenario_has(words, n, "never-stop");
    i->stopping = hf_scenario_has(words, n, "stopping");
    i->write_fenced = hf_scenario_has(words, n, "write-fenced");
    i->waiting_ms = hf_scenario_number(words, n, "waiting", 0);
    i->priority = (int)hf_scenario_number(words, n, "priority", 3);
    for (size_t k = 3; k + 1 < n; k++) {
        if (strcmp(words[k], "disk") == 0)
            i->disks[i->n_disks++] = w->storages[storage_index(w, words[k + 1])].uuid;
    }
    return true;
}

/* session STORAGE HOST N: a new one was granted */
static bool do_session(struct world *w, char **words, size_t n)
{
    struct host *h = n == 4 ? find_host(w, words[2]) : NULL;
    for (size_t i = 0; h && i < h->n_leases; i++) {
        if (h->leases[i] == storage_index(w, words[1]))
            h->sessions[i] = strtoull(words[3], NULL, 10);
    }
    return h != NULL;
}

/* --- what happens --- */

static bool do_contact(struct world *w, char **words, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct host *h = find_host(w, words[i]);
        if (!h)
            return false;
        hf_detector_contact(w->detector, &h->uuid, w->now_ms);
    }
    return n > 1;
}

static bool do_gone(struct world *w, char **words, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct host *h = find_host(w, words[i]);
        if (!h)
            return false;
        hf_detector_stream_closed(w->detector, &h->uuid, w->now_ms);
    }
    return n > 1;
}

/* see OBSERVER HOST STORAGE [epoch N] [seq N] [unchanged MS] [closed] [killed] [session N] [bad] [marked]
 * [mark-error TEXT] [error TEXT] */
static bool do_see(struct world *w, char **words, size_t n)
{
    struct host *observer = n > 3 ? find_host(w, words[1]) : NULL, *h = n > 3 ? find_host(w, words[2]) : NULL;
    if (!observer || !h)
        return false;
    const char *error = hf_scenario_value(words, n, "error");
    struct hf_observation o = {
        .storage = w->storages[storage_index(w, words[3])].uuid,
        .host = h->uuid,
        .epoch = (uint64_t)hf_scenario_number(words, n, "epoch", (int64_t)h->epoch),
        .sequence = (uint64_t)hf_scenario_number(words, n, "seq", 1),
        .unchanged_ms = hf_scenario_number(words, n, "unchanged", 0),
        .marked_epoch = (uint64_t)hf_scenario_number(
            words, n, "marked", hf_scenario_has(words, n, "marked") ? (int64_t)h->epoch : 0),
        .samples_good = !hf_scenario_has(words, n, "bad") && !error,
        .closed = hf_scenario_has(words, n, "closed"),
        .session = (uint64_t)hf_scenario_number(words, n, "session", 1),
        .killed = hf_scenario_has(words, n, "killed")};
    snprintf(o.error, sizeof o.error, "%s", error ? error : "");
    const char *mark_error = hf_scenario_value(words, n, "mark-error");
    snprintf(o.mark_error, sizeof o.mark_error, "%s", mark_error ? mark_error : "");
    hf_detector_observe(w->detector, &observer->uuid, &o, w->now_ms);
    return true;
}

static void add_evidence(struct world *w, struct evidence e)
{
    HF_ASSERT(w->n_evidence < EVIDENCE_MAX);
    w->evidence[w->n_evidence++] = e;
}

/* grant HOST EPOCH: proof that the one before is dead */
static bool do_grant(struct world *w, char **words, size_t n)
{
    struct host *h = n == 3 ? find_host(w, words[1]) : NULL;
    if (!h)
        return false;
    h->fenced_epoch = h->epoch;
    add_evidence(w, (struct evidence){.host = (size_t)(h - w->hosts),
                                      .epoch = h->epoch,
                                      .kind = HF_EVIDENCE_NEXT_EPOCH,
                                      .everything = true});
    h->epoch = strtoull(words[2], NULL, 10);
    memset(h->blocks, 0, sizeof h->blocks);
    h->says_closed = false;
    h->operator_word[0] = '\0';
    return true;
}

/* power HOST off | being-cut TEXT | trouble TEXT: how it stands with its devices */
static bool do_power(struct world *w, char **words, size_t n)
{
    struct host *h = n > 2 ? find_host(w, words[1]) : NULL;
    if (!h)
        return false;
    h->power.devices = true;
    h->power.off_at_ms = strcmp(words[2], "off") == 0 ? w->now_ms : -1;
    h->power.trouble = strcmp(words[2], "trouble") == 0;
    snprintf(h->power.state, sizeof h->power.state, "%s", n > 3 ? words[3] : "");
    return true;
}

static struct block *block_of(struct host *h, size_t storage)
{
    for (size_t i = 0; i < h->n_leases; i++) {
        if (h->leases[i] == storage)
            return &h->blocks[i];
    }
    return NULL;
}

/* block HOST STORAGE confirmed | by-clients | trouble TEXT | works: what its cluster says */
static bool do_block(struct world *w, char **words, size_t n)
{
    struct host *h = n > 3 ? find_host(w, words[1]) : NULL;
    struct block *b = h ? block_of(h, storage_index(w, words[2])) : NULL;
    if (!b)
        return false;
    b->confirmed = strcmp(words[3], "confirmed") == 0;
    if (strcmp(words[3], "by-clients") == 0) {
        b->by_clients = true;
        b->state = HF_BLOCK_ADDED;
    }
    snprintf(b->trouble, sizeof b->trouble, "%s", n > 4 ? words[4] : "");
    return true;
}

/* --- what follows --- */

static bool covers(const struct world *w, const struct host *h, const struct hf_uuid *storage)
{
    for (size_t i = 0; i < w->n_evidence; i++) {
        const struct evidence *e = &w->evidence[i];
        if (&w->hosts[e->host] == h && e->epoch == h->epoch && e->kind != HF_EVIDENCE_BLOCKLIST &&
            (storage ? e->everything || hf_uuid_equal(&e->storage, storage) : e->everything))
            return true;
    }
    return false;
}

static bool is_used(const struct world *w, const struct host *h)
{
    for (size_t i = 0; i < w->n_instances; i++) {
        if (&w->hosts[w->instances[i].host] == h)
            return true;
    }
    return false;
}

static bool in_use(const struct world *w, const struct host *h, const struct hf_uuid *storage)
{
    for (size_t i = 0; i < w->n_instances; i++) {
        const struct instance *x = &w->instances[i];
        for (size_t k = 0; k < x->n_disks; k++) {
            if (&w->hosts[x->host] == h && x->epoch == h->epoch && hf_uuid_equal(&x->disks[k], storage))
                return true;
        }
    }
    return false;
}

static bool on_ceph(const struct world *w, const struct host *h)
{
    for (size_t i = 0; i < h->n_leases; i++) {
        if (w->storages[h->leases[i]].ceph)
            return true;
    }
    return false;
}

static bool is_word(enum hf_evidence_kind k)
{
    return k == HF_EVIDENCE_CLOSED_AND_KILLED || k == HF_EVIDENCE_NEXT_EPOCH || k == HF_EVIDENCE_OPERATOR;
}

static bool word_covers(const struct world *w, const struct host *h, const struct hf_uuid *storage)
{
    for (size_t i = 0; i < w->n_evidence; i++) {
        const struct evidence *e = &w->evidence[i];
        if (&w->hosts[e->host] == h && e->epoch == h->epoch && is_word(e->kind) &&
            (e->everything || hf_uuid_equal(&e->storage, storage)))
            return true;
    }
    return false;
}

static struct hf_fence_block fence_block(const struct world *w, const struct host *h, size_t lease)
{
    const struct block *b = &h->blocks[lease];
    return (struct hf_fence_block){.possible = w->storages[h->leases[lease]].ceph,
                                   .needless = word_covers(w, h, &w->storages[h->leases[lease]].uuid),
                                   .state = b->state,
                                   .confirmed = b->confirmed,
                                   .entries = "10.0.0.5:0/0",
                                   .shared_with = b->by_clients ? "host 'h2'" : NULL,
                                   .trouble = b->trouble[0] ? b->trouble : NULL};
}

static bool on_ceph_alone(const struct world *w, const struct instance *i)
{
    for (size_t k = 0; k < i->n_disks; k++) {
        for (size_t s = 0; s < w->n_storages; s++) {
            if (hf_uuid_equal(&w->storages[s].uuid, &i->disks[k]) && !w->storages[s].ceph)
                return false;
        }
    }
    return i->n_disks > 0;
}

static bool has_write_fenced(const struct world *w, const struct host *h)
{
    for (size_t i = 0; i < w->n_instances; i++) {
        const struct instance *x = &w->instances[i];
        if (&w->hosts[x->host] == h && x->epoch == h->epoch && x->never_stop && x->write_fenced &&
            on_ceph_alone(w, x))
            return true;
    }
    return false;
}

static void say_action(struct world *w, struct hf_scenario *s, const struct hf_fence_action *a)
{
    const struct host *h = &w->hosts[a->host];
    unsigned long long epoch = h->epoch;
    if (a->kind == HF_FENCE_POWER)
        hf_scenario_say(s, "%s %s/%llu: %s", a->doubt ? "DOUBT" : "power", h->name, epoch, a->text);
    else if (a->kind == HF_FENCE_BLOCKLIST)
        hf_scenario_say(s, "block %s/%llu: %s", h->name, epoch, a->text);
    else if (a->kind == HF_FENCE_COMMIT)
        hf_scenario_say(s, "fence %s/%llu%s: %s", h->name, epoch,
                        a->block && on_ceph(w, h) ? " and block" : "", a->text);
    else if (a->kind == HF_FENCE_HOLD)
        hf_scenario_say(s, "%s %s/%llu: %s", a->alarm ? "ALARM" : "hold", h->name, epoch, a->text);
    else if (a->evidence == HF_EVIDENCE_SILENCE)
        hf_scenario_say(s, "evidence %s/%llu silence on %s seen by %s: %s", h->name, epoch,
                        storage_name(w, &a->storage), host_name(w, &a->observer), a->text);
    else
        hf_scenario_say(s, "evidence %s/%llu %s on %s: %s", h->name, epoch, kind_name(a->evidence),
                        a->everything ? "everything" : storage_name(w, &a->storage), a->text);
}

static bool do_decide(struct world *w, struct hf_scenario *s)
{
    struct hf_fence_host hosts[HOSTS_MAX];
    struct hf_fence_storage storages[HOSTS_MAX][STORAGES_MAX];
    for (size_t i = 0; i < w->n_hosts; i++) {
        struct host *h = &w->hosts[i];
        hosts[i] = (struct hf_fence_host){.uuid = h->uuid,
                                          .name = h->name,
                                          .epoch = h->epoch,
                                          .timing = h->timing,
                                          .watchdog = h->watchdog,
                                          .closed_and_killed = h->says_closed,
                                          .at_rest = h->maintenance && !is_used(w, h),
                                          .fenced = h->fenced_epoch == h->epoch,
                                          .fenced_ms = w->now_ms - h->fenced_at_ms,
                                          .power = {.devices = h->power.devices,
                                                    .off = h->power.devices && h->power.off_at_ms >= 0,
                                                    .off_ms = w->now_ms - h->power.off_at_ms,
                                                    .trouble = h->power.trouble,
                                                    .state = h->power.state[0] ? h->power.state : NULL,
                                                    .who = "'bmc' (fence_x)"},
                                          .proven = covers(w, h, NULL),
                                          .heard = hf_detector_has_heard(w->detector, &h->uuid),
                                          .write_fenced = has_write_fenced(w, h),
                                          .operator_word = h->operator_word[0] ? h->operator_word : NULL,
                                          .storages = storages[i],
                                          .n_storages = h->n_leases};
        hosts[i].contact =
            hf_detector_in_contact(w->detector, &h->uuid, h->timing, w->now_ms, &hosts[i].lost_ms);
        for (size_t k = 0; k < h->n_leases; k++) {
            const struct hf_uuid *uuid = &w->storages[h->leases[k]].uuid;
            storages[i][k] =
                (struct hf_fence_storage){.uuid = *uuid,
                                          .name = w->storages[h->leases[k]].name,
                                          .in_use = in_use(w, h, uuid),
                                          .proven = covers(w, h, uuid),
                                          .block = fence_block(w, h, k),
                                          .sign = hf_detector_sign(w->detector, &h->uuid, h->epoch, uuid,
                                                                   h->sessions[k], h->timing, w->now_ms)};
        }
    }
    struct hf_fence_view view = {.settings = w->settings, .hosts = hosts, .n_hosts = w->n_hosts};
    w->n_actions = hf_fence_decide(&view, w->actions, ACTIONS_MAX);
    for (size_t i = 0; i < w->n_actions; i++)
        say_action(w, s, &w->actions[i]);
    if (w->n_actions == 0)
        hf_scenario_say(s, "nothing");
    return true;
}

static void commit_block(struct world *w, struct host *h, const struct hf_fence_action *a)
{
    for (size_t k = 0; k < h->n_leases; k++) {
        struct block *b = &h->blocks[k];
        bool meant = a->kind == HF_FENCE_COMMIT ? a->block && w->storages[h->leases[k]].ceph
                                                : hf_uuid_equal(&w->storages[h->leases[k]].uuid, &a->storage);
        if (meant && a->kind == HF_FENCE_EVIDENCE)
            b->state = HF_BLOCK_ADDED;
        else if (meant && b->state == HF_BLOCK_NONE)
            b->state = HF_BLOCK_WANTED;
    }
}

static bool do_commit(struct world *w)
{
    for (size_t i = 0; i < w->n_actions; i++) {
        const struct hf_fence_action *a = &w->actions[i];
        struct host *h = &w->hosts[a->host];
        if (a->kind == HF_FENCE_COMMIT || a->kind == HF_FENCE_BLOCKLIST ||
            a->evidence == HF_EVIDENCE_BLOCKLIST)
            commit_block(w, h, a);
        if (a->kind == HF_FENCE_COMMIT) {
            h->fenced_epoch = h->epoch;
            h->fenced_at_ms = w->now_ms;
        } else if (a->kind == HF_FENCE_EVIDENCE)
            add_evidence(w, (struct evidence){.host = a->host,
                                              .epoch = h->epoch,
                                              .kind = a->evidence,
                                              .everything = a->everything,
                                              .storage = a->storage});
    }
    return w->n_actions > 0;
}

static bool is_fenced(const struct world *w, const struct instance *i)
{
    const struct host *h = &w->hosts[i->host];
    return h->fenced_epoch >= i->epoch;
}

/* The first storage of it whose blocklist does not have its host, as text; NULL: none. */
static const char *not_blocked(struct world *w, const struct instance *i, char *out, size_t len)
{
    struct host *h = &w->hosts[i->host];
    for (size_t k = 0; k < i->n_disks; k++) {
        for (size_t l = 0; l < h->n_leases; l++) {
            const struct block *b = &h->blocks[l];
            if (!w->storages[h->leases[l]].ceph || b->state == HF_BLOCK_ADDED ||
                !hf_uuid_equal(&w->storages[h->leases[l]].uuid, &i->disks[k]))
                continue;
            snprintf(out, len, "storage '%s': %s", w->storages[h->leases[l]].name,
                     b->trouble[0] ? b->trouble : "its cluster is being asked");
            return out;
        }
    }
    return NULL;
}

static const char *not_write_fenced(struct world *w, const struct instance *i)
{
    struct host *h = &w->hosts[i->host];
    for (size_t l = 0; l < h->n_leases; l++) {
        if (h->blocks[l].by_clients)
            return "its host shares an address";
    }
    return on_ceph_alone(w, i) ? NULL : "it has a disk on another kind of storage";
}

static bool do_plan(struct world *w, struct hf_scenario *s)
{
    struct hf_restart_evidence evidence[EVIDENCE_MAX];
    struct hf_restart_instance instances[INSTANCES_MAX];
    struct hf_restart_step steps[INSTANCES_MAX];
    static const char *const kinds[] = {"go", "stop", "wait"};
    char texts[INSTANCES_MAX][160];
    for (size_t i = 0; i < w->n_evidence; i++) {
        const struct evidence *e = &w->evidence[i];
        evidence[i] = (struct hf_restart_evidence){.host = w->hosts[e->host].uuid,
                                                   .epoch = e->epoch,
                                                   .kind = kind_name(e->kind),
                                                   .everything = e->everything,
                                                   .by_word = is_word(e->kind),
                                                   .writes_only = e->kind == HF_EVIDENCE_BLOCKLIST,
                                                   .storages = &e->storage,
                                                   .n_storages = e->everything ? 0 : 1};
    }
    for (size_t i = 0; i < w->n_instances; i++) {
        const struct instance *x = &w->instances[i];
        instances[i] =
            (struct hf_restart_instance){.uuid = hf_uuid_of_text(x->name),
                                         .name = x->name,
                                         .host = w->hosts[x->host].uuid,
                                         .epoch = x->epoch,
                                         .run = x->run,
                                         .fenced = is_fenced(w, x),
                                         .host_name = w->hosts[x->host].name,
                                         .never_stop = x->never_stop,
                                         .write_fenced = x->write_fenced,
                                         .not_write_fenced = not_write_fenced(w, x),
                                         .not_blocked = not_blocked(w, x, texts[i], sizeof texts[i]),
                                         .wanted_running = !x->stopping,
                                         .waiting_ms = x->waiting_ms,
                                         .priority = x->priority,
                                         .storages = x->disks,
                                         .n_storages = x->n_disks};
    }
    size_t n =
        hf_restart_plan(w->settings.ha_enabled, evidence, w->n_evidence, instances, w->n_instances, steps);
    for (size_t i = 0; i < n; i++)
        hf_scenario_say(s, "%s %s: %s", kinds[steps[i].kind], w->instances[steps[i].instance].name,
                        steps[i].text);
    if (n == 0)
        hf_scenario_say(s, "nothing");
    return true;
}

static bool do_word(struct world *w, char **words, size_t n)
{
    struct host *h = n > 1 ? find_host(w, words[1]) : NULL;
    if (!h)
        return false;
    if (strcmp(words[0], "says-closed") == 0)
        h->says_closed = true;
    else
        snprintf(h->operator_word, sizeof h->operator_word, "%s", n > 2 ? words[2] : "");
    return true;
}

static bool command(void *world, struct hf_scenario *s, char **words, size_t n)
{
    struct world *w = world;
    const char *c = words[0];
    if (strcmp(c, "profile") == 0)
        return n == 2 && (w->timing = hf_ha_timing_find(words[1])) != NULL;
    if (strcmp(c, "settings") == 0)
        return do_settings(w, words, n);
    if (strcmp(c, "host") == 0)
        return do_host(w, words, n);
    if (strcmp(c, "lease") == 0)
        return do_lease(w, words, n);
    if (strcmp(c, "session") == 0)
        return do_session(w, words, n);
    if (strcmp(c, "instance") == 0)
        return do_instance(w, words, n);
    if (strcmp(c, "at") == 0 && n == 2) {
        w->now_ms = strtoll(words[1], NULL, 10);
        return true;
    }
    if (strcmp(c, "contact") == 0)
        return do_contact(w, words, n);
    if (strcmp(c, "gone") == 0)
        return do_gone(w, words, n);
    if (strcmp(c, "see") == 0)
        return do_see(w, words, n);
    if (strcmp(c, "says-closed") == 0 || strcmp(c, "operator") == 0)
        return do_word(w, words, n);
    if (strcmp(c, "grant") == 0)
        return do_grant(w, words, n);
    if (strcmp(c, "ceph") == 0)
        return do_ceph(w, words, n);
    if (strcmp(c, "block") == 0)
        return do_block(w, words, n);
    if (strcmp(c, "power") == 0)
        return do_power(w, words, n);
    if (strcmp(c, "decide") == 0)
        return do_decide(w, s);
    if (strcmp(c, "commit") == 0)
        return do_commit(w);
    return strcmp(c, "plan") == 0 && do_plan(w, s);
}

static void test_scenarios(void **state)
{
    (void)state;
    assert_int_equal(hf_scenario_run_folder("testdata/fence", 40, create, command, destroy), 0);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        void *world = create();
        bool ok = hf_scenario_run(argv[1], command, world, true);
        destroy(world);
        return ok ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scenarios)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
