#include "sim/checks_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

static const char *const rule_names[SIM_RULES] = {
    [SIM_RULE_TWO_COPIES] = "two-copies",
    [SIM_RULE_OLD_WRITE] = "old-write",
    [SIM_RULE_NEVER_STOP] = "never-stop",
    [SIM_RULE_NEEDLESS_KILL] = "needless-kill",
    [SIM_RULE_LOST] = "lost",
    [SIM_RULE_LINEARIZABLE] = "linearizable",
    [SIM_RULE_GROWS] = "grows",
    [SIM_RULE_ADDRESSES] = "addresses",
    [SIM_RULE_OPERATIONS] = "operations",
    [SIM_RULE_CONVERGES] = "converges",
    [SIM_RULE_PLACEMENT] = "placement",
    [SIM_RULE_ENDED_RUNS] = "ended-runs",
    [SIM_RULE_GATE] = "gate",
    [SIM_RULE_APART] = "apart",
    [SIM_RULE_PRIORITY] = "priority",
    [SIM_RULE_BLOCKLIST] = "blocklist",
};

const char *sim_rule_name(enum sim_rule r)
{
    return (unsigned)r < SIM_RULES ? rule_names[r] : "?";
}

/* --- violations --- */

char *sim_time_text(int64_t ns, char out[SIM_TIME_TEXT])
{
    int64_t ms = ns / SIM_MS_NS;
    snprintf(out, SIM_TIME_TEXT, "%lld.%03lld s", (long long)(ms / 1000), (long long)(ms % 1000));
    return out;
}

static void add_violation(struct sim_checks *c, int64_t now_ns, enum sim_rule rule, uint64_t subject,
                          const char *fmt, va_list ap)
{
    for (size_t i = 0; i < c->n_violations; i++)
        if (c->violations[i].rule == rule && c->subjects[i] == subject)
            return;
    if (c->n_violations == SIM_VIOLATIONS_MAX)
        return;
    struct sim_violation *v = &c->violations[c->n_violations];
    c->subjects[c->n_violations++] = subject;
    v->rule = rule;
    v->at_ns = now_ns;
    vsnprintf(v->text, sizeof v->text, fmt, ap);
    if (c->on_violation != NULL)
        c->on_violation(c->arg, v);
}

void sim_violated(struct sim_checks *c, int64_t now_ns, enum sim_rule rule, uint64_t subject, const char *fmt,
                  ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_violation(c, now_ns, rule, subject, fmt, ap);
    va_end(ap);
}

void sim_checks_found(struct sim_checks *c, int64_t now_ns, enum sim_rule rule, const char *fmt, ...)
{
    char text[sizeof c->violations[0].text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sim_violated(c, now_ns, rule, sim_digest_text(SIM_DIGEST_EMPTY, text), "%s", text);
}

size_t sim_checks_violations(const struct sim_checks *c, const struct sim_violation **ret)
{
    *ret = c->violations;
    return c->n_violations;
}

uint64_t sim_checks_failovers(const struct sim_checks *c)
{
    return c->failovers;
}

uint64_t sim_checks_unwriting(const struct sim_checks *c)
{
    return c->unwriting;
}

/* --- digests --- */

uint64_t sim_digest_u64(uint64_t d, uint64_t v)
{
    d = (d ^ v) * 0x9e3779b97f4a7c15ULL;
    d ^= d >> 32;
    return d != 0 ? d : 1;
}

uint64_t sim_digest_bytes(uint64_t d, const void *p, size_t n)
{
    const uint8_t *b = p;
    d = sim_digest_u64(d, n);
    for (; n >= 8; b += 8, n -= 8) {
        uint64_t v = 0;
        for (unsigned k = 0; k < 8; k++) /* the same on machines of either byte order */
            v |= (uint64_t)b[k] << (8 * k);
        d = sim_digest_u64(d, v);
    }
    for (; n > 0; b++, n--)
        d = sim_digest_u64(d, *b);
    return d;
}

uint64_t sim_digest_text(uint64_t d, const char *s)
{
    return sim_digest_bytes(d, s, strlen(s));
}

/* --- what is known --- */

struct hf_uuid sim_uuid_of(const char *text)
{
    struct hf_uuid u;
    if (!hf_uuid_parse(text, &u))
        memset(&u, 0, sizeof u);
    return u;
}

static struct sim_known_host *new_host(struct sim_checks *c)
{
    struct sim_known_host *h = HF_NEW(struct sim_known_host);
    h->healthy_since_ns = INT64_MAX;
    h->facts.faulty_until_ns = h->facts.keeper_since_ns = h->cleared_ns = SIM_EVER_NS;
    *c->host_end = h;
    c->host_end = &h->next;
    return h;
}

struct sim_known_host *sim_host_numbered(struct sim_checks *c, unsigned number)
{
    HF_ASSERT(number < SIM_HOSTS_MAX);
    if (c->by_number[number] == NULL) {
        struct sim_known_host *h = c->by_number[number] = new_host(c);
        h->facts.known = true;
        h->facts.number = number;
        snprintf(h->name, sizeof h->name, "h%u", number + 1);
    }
    return c->by_number[number];
}

struct sim_known_host *sim_host_of(struct sim_checks *c, const struct hf_uuid *uuid)
{
    struct sim_known_host *h = hf_uuid_map_get(&c->hosts, uuid);
    if (h == NULL) {
        h = new_host(c);
        h->uuid = *uuid;
        hf_uuid_map_set(&c->hosts, uuid, h);
    }
    return h;
}

void sim_checks_name_host(struct sim_checks *c, unsigned host, const struct hf_uuid *uuid)
{
    struct sim_known_host *by_number = sim_host_numbered(c, host), *stored = hf_uuid_map_get(&c->hosts, uuid);
    if (stored == by_number)
        return;
    if (stored == NULL) {
        by_number->uuid = *uuid;
        hf_uuid_map_set(&c->hosts, uuid, by_number);
        return;
    }
    stored->facts = by_number->facts; /* the store spoke of it first */
    by_number->facts = (struct sim_host_facts){0};
    c->by_number[host] = stored;
}

struct sim_store_storage *sim_storage_of(struct sim_checks *c, const struct hf_uuid *uuid)
{
    struct sim_store_storage *s = hf_uuid_map_get(&c->storages, uuid);
    if (s == NULL) {
        s = HF_NEW(struct sim_store_storage);
        s->uuid = *uuid;
        hf_uuid_map_set(&c->storages, uuid, s);
        *c->storage_end = s;
        c->storage_end = &s->next;
    }
    return s;
}

struct sim_instance *sim_instance_of(struct sim_checks *c, const struct hf_uuid *uuid)
{
    struct sim_instance *i = hf_uuid_map_get(&c->instances, uuid);
    if (i == NULL) {
        i = HF_NEW(struct sim_instance);
        i->uuid = *uuid;
        hf_uuid_format(uuid, i->name);
        hf_uuid_map_set(&c->instances, uuid, i);
        *c->instance_end = i;
        c->instance_end = &i->next;
    }
    return i;
}

const char *sim_instance_text(const struct sim_instance *i)
{
    return i->name;
}

struct sim_says sim_says_of(const struct sim_instance *i)
{
    struct sim_says s = {{0}};
    if (i->says[0] != '\0')
        snprintf(s.text, sizeof s.text, ", the store says: %s", i->says);
    return s;
}

const char *sim_host_text(const struct sim_known_host *h)
{
    return h != NULL && h->name[0] != '\0' ? h->name : "?";
}

/* --- facts of the world that only excuses rest on --- */

void sim_checks_host_faulty(struct sim_checks *c, int64_t now_ns, unsigned host, bool faulty)
{
    struct sim_known_host *h = sim_host_numbered(c, host);
    sim_never_stop_tick(c, now_ns);
    if (h->facts.faulty == faulty)
        return;
    sim_never_stop_before(c, now_ns);
    h->facts.faulty = faulty;
    h->facts.faulty_until_ns = now_ns;
    sim_never_stop_host(c, now_ns, h);
}

void sim_checks_host_lost(struct sim_checks *c, int64_t now_ns, unsigned host, bool lost)
{
    struct sim_known_host *h = sim_host_numbered(c, host);
    sim_never_stop_tick(c, now_ns);
    if (h->facts.lost == lost)
        return;
    sim_never_stop_before(c, now_ns);
    h->facts.lost = lost;
    if (!lost)
        h->facts.power_back_ns = now_ns;
    h->facts.lost_since_ns = now_ns;
    h->facts.faulty_until_ns = now_ns;
    sim_never_stop_host(c, now_ns, h);
}

/* A leader that was deposed and paused in between may order it for a life that is over: that hits the next
 * one. But a first life follows on none, and one that began longer ago than any pause lasts is not hit by
 * mistake. */
#define OLD_ORDER_NS (180 * HF_S_NS)

void sim_checks_power_cut(struct sim_checks *c, int64_t now_ns, unsigned host)
{
    const struct sim_known_host *h = sim_host_numbered(c, host);
    bool meant = h->fenced_epoch == 0 || now_ns - h->epoch_since_ns > OLD_ORDER_NS;
    if (h->epoch > h->fenced_epoch && meant)
        sim_violated(c, now_ns, SIM_RULE_NEEDLESS_KILL, sim_subject(&h->uuid),
                     "the power of host %s is cut, but its epoch %llu is not fenced", sim_host_text(h),
                     (unsigned long long)h->epoch);
}

void sim_checks_storage_unreached(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage,
                                  unsigned host, bool unreached)
{
    int64_t *since_ns = &sim_storage_of(c, storage)->unreached_since_ns[host];
    if ((*since_ns != 0) != unreached)
        *since_ns = unreached ? now_ns : 0;
}

void sim_checks_storage_out(struct sim_checks *c, int64_t now_ns, const struct hf_uuid *storage, bool out)
{
    struct sim_store_storage *s = sim_storage_of(c, storage);
    sim_never_stop_tick(c, now_ns);
    if (s->out == out)
        return;
    sim_never_stop_before(c, now_ns);
    s->out = out;
    s->out_since_ns = now_ns;
}

void sim_checks_quorum(struct sim_checks *c, int64_t now_ns, bool quorum)
{
    sim_never_stop_tick(c, now_ns);
    if (c->no_quorum == !quorum)
        return;
    sim_never_stop_before(c, now_ns);
    c->no_quorum = !quorum;
    c->calm_since_ns = now_ns;
}

void sim_checks_disturbed(struct sim_checks *c, int64_t now_ns, bool disturbed)
{
    sim_never_stop_tick(c, now_ns);
    if (c->disturbed == disturbed)
        return;
    sim_never_stop_before(c, now_ns);
    c->disturbed = disturbed;
    c->calm_since_ns = now_ns;
}

void sim_checks_new_leader(struct sim_checks *c, int64_t now_ns)
{
    sim_never_stop_tick(c, now_ns);
    c->leader_since_ns = now_ns;
    sim_never_stop_restart(c, now_ns);
    c->calm_since_ns = now_ns;
}

/* --- life --- */

struct sim_checks *sim_checks_create(const struct hf_ha_timing *timing,
                                     void (*on_violation)(void *arg, const struct sim_violation *v),
                                     void *arg)
{
    HF_ASSERT(timing != NULL);
    struct sim_checks *c = HF_NEW(struct sim_checks);
    c->timing = timing;
    c->on_violation = on_violation;
    c->arg = arg;
    c->host_end = &c->host_list;
    c->storage_end = &c->storage_list;
    c->instance_end = &c->instance_list;
    c->operation_end = &c->operation_list;
    c->calm_since_ns = SIM_EVER_NS;
    c->next_look_ns = INT64_MAX;
    c->revision_node = -1;
    c->mass_share = 50; /* the settings' defaults, until the store says otherwise */
    c->cpu_factor = 10;
    c->reserved_memory = 1ULL << 30;
    c->revisions = hf_alloc_array(SIM_REVISIONS, sizeof *c->revisions);
    c->history = sim_history_create();
    return c;
}

static void free_values(struct hf_uuid_map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        free(m->slots[i].value);
    hf_uuid_map_done(m);
}

void sim_checks_free(struct sim_checks *c)
{
    if (c == NULL)
        return;
    for (struct sim_known_host *h = c->host_list, *next; h != NULL; h = next) {
        next = h->next;
        free(h);
    }
    hf_uuid_map_done(&c->hosts);
    hf_uuid_map_done(&c->addresses);
    free_values(&c->objects);
    free_values(&c->storages);
    free_values(&c->fences);
    free_values(&c->instances);
    free_values(&c->operations);
    free(c->pending);
    free(c->revisions);
    sim_decode_end(c);
    free(c->arena.block);
    sim_history_free(c->history);
    free(c);
}
