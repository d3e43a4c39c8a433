#include "sim/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/mem.h"
#include "ha/ha_timing.h"
#include "sim/points.h"
#include "sim/sim.h"

#define SAME_HOST_PPM   350000 /* faults that meet at one host find more than faults that are spread */
#define LEADER_PPM      400000 /* of the faults of control nodes strike the leader */
#define LOCAL_PPM       150000 /* of the faults of a host's storage strike its own */
#define ACTS_MAX        40
#define DELAY_MAX_MS    3000
#define EXEC_MAX_MS     20000
#define DISK_MAX_MS     2000
#define NET_MAX_MS      800
#define MONS_MAX_MS     60000
#define ASKER_MAX_MS    3000
#define WALL_JUMP_MS    7200000
#define RATE_MARGIN_PPM 100 /* two clocks at opposite ends stay within the drift */

/* --- sizes --- */

static unsigned draw_size(struct sim_rng *r, struct sim_range range)
{
    return (unsigned)sim_rng_between(r, range.low, range.high);
}

static void draw_timing(struct sim_rng *r, const struct sim_profile *p, struct sim_sizes *s)
{
    unsigned n = 0;
    while (hf_ha_timing_at(n))
        n++;
    unsigned drawn = (unsigned)sim_rng_below(r, n);
    bool any = strcmp(p->timing, "any") == 0;
    snprintf(s->timing, sizeof s->timing, "%s", any ? hf_ha_timing_at(drawn)->profile : p->timing);
}

/* With a stream of its own: a world without Ceph is what it was. */
static unsigned draw_ceph(uint64_t seed, const struct sim_profile *p, unsigned storages)
{
    struct sim_rng r = sim_rng_make(seed, "ceph", 0);
    unsigned bits = 0;
    for (unsigned i = 0; i < storages; i++)
        bits |= (unsigned)sim_rng_chance(&r, p->ceph_ppm) << i;
    return bits;
}

struct sim_sizes sim_sizes_draw(uint64_t seed, const struct sim_profile *p)
{
    struct sim_rng r = sim_rng_make(seed, "sizes", 0);
    struct sim_sizes s = {0};
    s.nodes = draw_size(&r, p->nodes);
    s.hosts = draw_size(&r, p->hosts);
    unsigned instances = draw_size(&r, p->instances), room = sim_profile_room(s.hosts);
    s.instances = instances < room ? instances : room;
    s.clients = draw_size(&r, p->clients);
    s.shared_storages = draw_size(&r, p->shared_storages);
    s.ceph = draw_ceph(seed, p, s.shared_storages);
    s.fault_ns = sim_rng_between(&r, p->seconds.low, p->seconds.high) * HF_S_NS;
    draw_timing(&r, p, &s);
    /* what was lost last is taken over while the world settles */
    s.settle_ns = p->settle_seconds * HF_S_NS + 2 * hf_ha_timing_find(s.timing)->takeover_ms * HF_MS_NS;
    return s;
}

/* --- subjects --- */

struct drawing {
    struct sim_rng *r;
    const struct sim_sizes *sizes;
    unsigned hot_host; /* struck more often than others in this run */
};

static void draw_host(struct drawing *d, char to[SIM_SUBJECT])
{
    bool hot = sim_rng_chance(d->r, SAME_HOST_PPM);
    unsigned drawn = (unsigned)sim_rng_below(d->r, d->sizes->hosts);
    snprintf(to, SIM_SUBJECT, "h%u", (hot ? d->hot_host : drawn) + 1);
}

static void draw_node(struct drawing *d, char to[SIM_SUBJECT])
{
    bool leader = sim_rng_chance(d->r, LEADER_PPM);
    unsigned drawn = (unsigned)sim_rng_below(d->r, d->sizes->nodes);
    if (leader)
        snprintf(to, SIM_SUBJECT, "leader");
    else
        snprintf(to, SIM_SUBJECT, "n%u", drawn + 1);
}

static void draw_machine(struct drawing *d, char to[SIM_SUBJECT])
{
    if (sim_rng_below(d->r, 2))
        draw_host(d, to);
    else
        draw_node(d, to);
}

static void draw_process(struct drawing *d, char to[SIM_SUBJECT])
{
    static const char *const names[] = {"hostd", "keeper", "libvirt"};
    unsigned which = (unsigned)sim_rng_below(d->r, 8);
    if (which >= 4) {
        draw_node(d, to);
        return;
    }
    char host[SIM_SUBJECT];
    draw_host(d, host);
    snprintf(to, SIM_SUBJECT, "%.8s/%s", host, names[which % 3]);
}

static void draw_storage(struct drawing *d, char to[SIM_SUBJECT])
{
    if (d->sizes->shared_storages > 0)
        snprintf(to, SIM_SUBJECT, "shared%u", (unsigned)sim_rng_below(d->r, d->sizes->shared_storages) + 1);
}

static void draw_ceph_storage(struct drawing *d, char to[SIM_SUBJECT])
{
    unsigned left = (unsigned)sim_rng_below(d->r, (uint64_t)__builtin_popcount(d->sizes->ceph)), i = 0;
    while (!(d->sizes->ceph & 1u << i) || left-- > 0)
        i++;
    snprintf(to, SIM_SUBJECT, "shared%u", i + 1);
}

static void draw_subject(struct drawing *d, enum sim_subject what, char to[SIM_SUBJECT])
{
    switch (what) {
    case SIM_SUBJECT_NONE:
        break;
    case SIM_SUBJECT_HOST:
        draw_host(d, to);
        break;
    case SIM_SUBJECT_NODE:
        draw_node(d, to);
        break;
    case SIM_SUBJECT_PLACES:
        if (sim_rng_below(d->r, 3) == 0) {
            snprintf(to, SIM_SUBJECT, "all");
            break;
        }
        /* fall through */
    case SIM_SUBJECT_MACHINE:
        draw_machine(d, to);
        break;
    case SIM_SUBJECT_PROCESS:
        draw_process(d, to);
        break;
    case SIM_SUBJECT_ON_HOST:
        if (d->sizes->shared_storages == 0 || sim_rng_chance(d->r, LOCAL_PPM)) {
            snprintf(to, SIM_SUBJECT, "local");
            break;
        }
        /* fall through */
    case SIM_SUBJECT_STORAGE:
        draw_storage(d, to);
        break;
    case SIM_SUBJECT_CEPH:
        draw_ceph_storage(d, to);
        break;
    case SIM_SUBJECT_CALL:
        snprintf(to, SIM_SUBJECT, "%s", sim_hypervisor_call((unsigned)sim_rng_below(d->r, 10)));
        break;
    case SIM_SUBJECT_POINT:
        snprintf(to, SIM_SUBJECT, "%s",
                 sim_point_name((enum hf_buggify_point)sim_rng_below(d->r, HF_BUGGIFY_POINTS_END)));
        break;
    }
}

/* --- one fault --- */

static int64_t draw_number(struct drawing *d, const struct sim_fault *f)
{
    switch (f->kind) {
    case SIM_FAULT_LIBVIRT_CALL:
        return sim_rng_skewed(d->r, 1, 8);
    case SIM_FAULT_GUEST_CRASH:
        return sim_rng_between(d->r, 0, 63);
    case SIM_FAULT_NODE_DISK:
        return strcmp(f->word, "slow") == 0 ? sim_rng_skewed(d->r, 1, DISK_MAX_MS) : 0;
    case SIM_FAULT_NET_PARTITION:
        return sim_rng_between(d->r, 0, INT32_MAX);
    case SIM_FAULT_NET_POOR:
        return sim_rng_skewed(d->r, 1, NET_MAX_MS);
    case SIM_FAULT_STORAGE_LATE:
        return sim_rng_skewed(d->r, 1, DELAY_MAX_MS);
    case SIM_FAULT_CEPH_MONS:
        return strcmp(f->word, "late") == 0 ? sim_rng_skewed(d->r, 1, MONS_MAX_MS) : 0;
    case SIM_FAULT_CEPH_ASKER:
        return sim_rng_skewed(d->r, 0, ASKER_MAX_MS);
    case SIM_FAULT_EXEC:
        return sim_rng_skewed(d->r, 1, strcmp(f->word, "slow") == 0 ? EXEC_MAX_MS : 100);
    case SIM_FAULT_CLOCK_RATE: {
        int64_t most = hf_ha_timing_find(d->sizes->timing)->drift_ppm / 2 - RATE_MARGIN_PPM;
        return sim_rng_between(d->r, -most, most);
    }
    case SIM_FAULT_WALL_JUMP:
        return sim_rng_between(d->r, -WALL_JUMP_MS, WALL_JUMP_MS);
    case SIM_FAULT_AT_ACT:
        return sim_rng_skewed(d->r, 1, ACTS_MAX);
    default:
        return 0;
    }
}

static unsigned count_words(const struct sim_fault_shape *shape)
{
    unsigned n = 0;
    while (n < sizeof shape->words / sizeof shape->words[0] && shape->words[n])
        n++;
    return n;
}

static struct sim_fault draw_fault(struct drawing *d, enum sim_fault_kind kind, int64_t at_ns,
                                   struct sim_range ms)
{
    const struct sim_fault_shape *shape = sim_fault_shape(kind);
    struct sim_fault f = {.kind = kind, .at_ns = at_ns};
    draw_subject(d, shape->subject, f.subject);
    do {
        memset(f.other, 0, sizeof f.other);
        draw_subject(d, shape->other, f.other);
    } while (*f.other && strcmp(f.other, f.subject) == 0);
    unsigned words = count_words(shape);
    if (words > 0)
        snprintf(f.word, sizeof f.word, "%s", shape->words[sim_rng_below(d->r, words)]);
    f.number = draw_number(d, &f);
    bool lasts = shape->lasts && !(kind == SIM_FAULT_AT_ACT && strcmp(f.word, "crash") == 0);
    int64_t longest_ms = (d->sizes->fault_ns - at_ns) / HF_MS_NS;
    if (lasts) {
        int64_t drawn = sim_rng_skewed(d->r, ms.low, ms.high);
        drawn = drawn < longest_ms ? drawn : longest_ms;
        f.for_ns = (drawn > 1 ? drawn : 1) * HF_MS_NS;
    }
    return f;
}

/* --- a schedule --- */

static bool possible(enum sim_fault_kind kind, const struct sim_sizes *sizes)
{
    if (kind == SIM_FAULT_STORAGE_OUT || kind == SIM_FAULT_STORAGE_SICK || kind == SIM_FAULT_RECORDS_GONE)
        return sizes->shared_storages > 0;
    if (kind == SIM_FAULT_CEPH_MONS || kind == SIM_FAULT_CEPH_ASKER || kind == SIM_FAULT_CLIENT_REFUSED)
        return sizes->ceph != 0;
    return kind != SIM_FAULT_NET_ONE_WAY || sizes->hosts + sizes->nodes > 1;
}

static void append(struct sim_schedule *s, size_t *cap, const struct sim_fault *f)
{
    if (s->n == SIM_SCHEDULE_MAX)
        return;
    if (s->n == *cap) {
        *cap = *cap ? 2 * *cap : 64;
        s->faults = hf_realloc_array(s->faults, *cap, sizeof *f);
    }
    s->faults[s->n++] = *f;
}

/* In each second at most one fault of a kind begins, at a drawn moment: nearly a Poisson process, in whole
 * numbers. Kinds have streams of their own: one that is switched off moves no other. */
static void draw_kind(uint64_t seed, const struct sim_profile *p, const struct sim_sizes *sizes,
                      enum sim_fault_kind kind, struct sim_schedule *s, size_t *cap)
{
    struct sim_rng hot = sim_rng_make(seed, "hot host", 0), r = sim_rng_make(seed, "fault", kind);
    struct drawing d = {&r, sizes, (unsigned)sim_rng_below(&hot, sizes->hosts)};
    if (!sim_rng_chance(&r, p->faults[kind].on_ppm) || p->faults[kind].per_hour == 0 ||
        !possible(kind, sizes))
        return;
    int64_t mean = p->faults[kind].per_hour, per_hour = sim_rng_between(&r, mean - mean / 2, mean + mean / 2);
    uint32_t ppm = (uint32_t)(per_hour < SIM_RATE_MAX ? per_hour * 1000000 / 3600 : 1000000);
    for (int64_t second = 0; second < sizes->fault_ns / HF_S_NS; second++) {
        if (!sim_rng_chance(&r, ppm))
            continue;
        int64_t at_ns = second * HF_S_NS + sim_rng_between(&r, 0, 999999) * 1000;
        struct sim_fault f = draw_fault(&d, kind, at_ns, p->faults[kind].duration_ms);
        append(s, cap, &f);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct sim_fault *x = a, *y = b;
    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    return (int)x->kind - (int)y->kind; /* one kind begins at most once a second */
}

/* Leaves out what would exceed the number of faults that may hold at once. */
static void thin_out(struct sim_schedule *s, const struct sim_profile *p)
{
    int64_t until_ns[SIM_AT_ONCE_MAX] = {0}; /* of those that hold */
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct sim_fault *f = &s->faults[i];
        unsigned slot = 0;
        while (slot < p->at_once && until_ns[slot] > f->at_ns)
            slot++;
        if (slot == p->at_once)
            continue;
        until_ns[slot] = f->at_ns + f->for_ns + p->rest_ms * HF_MS_NS;
        s->faults[kept++] = *f;
    }
    s->n = kept;
}

struct sim_schedule sim_schedule_draw(uint64_t seed, const struct sim_profile *p,
                                      const struct sim_sizes *sizes)
{
    struct sim_schedule s = {0};
    size_t cap = 0;
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++)
        draw_kind(seed, p, sizes, (enum sim_fault_kind)k, &s, &cap);
    if (s.n > 0)
        qsort(s.faults, s.n, sizeof *s.faults, by_time);
    if (p->at_once > 0)
        thin_out(&s, p);
    return s;
}

struct sim_schedule sim_schedule_copy(const struct sim_schedule *s)
{
    struct sim_schedule copy = {.n = s->n};
    if (s->n > 0) {
        copy.faults = hf_alloc_array(s->n, sizeof *s->faults);
        memcpy(copy.faults, s->faults, s->n * sizeof *s->faults);
    }
    return copy;
}

void sim_schedule_done(struct sim_schedule *s)
{
    free(s->faults);
    *s = (struct sim_schedule){0};
}
