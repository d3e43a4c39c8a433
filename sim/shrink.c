#include "sim/shrink.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/mem.h"

#define SHORTEST_NS (10 * HF_MS_NS)

void sim_profile_pin(struct sim_profile *p, const struct sim_sizes *sizes)
{
    p->nodes = (struct sim_range){sizes->nodes, sizes->nodes};
    p->hosts = (struct sim_range){sizes->hosts, sizes->hosts};
    p->instances = (struct sim_range){sizes->instances, sizes->instances};
    p->clients = (struct sim_range){sizes->clients, sizes->clients};
    p->shared_storages = (struct sim_range){sizes->shared_storages, sizes->shared_storages};
    p->seconds = (struct sim_range){sizes->fault_ns / HF_S_NS, sizes->fault_ns / HF_S_NS};
    snprintf(p->timing, sizeof p->timing, "%s", sizes->timing);
}

/* --- fewer faults --- */

/* Without the faults from `at` on, `len` of them; kept if that still fails. */
static bool try_without(struct sim_case *c, size_t at, size_t len, const struct sim_shrinker *by)
{
    struct sim_case less = *c;
    less.schedule = sim_schedule_copy(&c->schedule);
    memmove(&less.schedule.faults[at], &less.schedule.faults[at + len],
            (less.schedule.n - at - len) * sizeof *less.schedule.faults);
    less.schedule.n -= len;
    if (!by->fails(by->arg, &less)) {
        sim_schedule_done(&less.schedule);
        return false;
    }
    sim_schedule_done(&c->schedule);
    *c = less;
    return true;
}

/* Takes away what it can in pieces of this length. */
static bool remove_pieces(struct sim_case *c, size_t len, const struct sim_shrinker *by)
{
    bool removed = false;
    for (size_t at = 0; at < c->schedule.n && !by->over(by->arg);) {
        size_t left = c->schedule.n - at;
        if (try_without(c, at, len < left ? len : left, by))
            removed = true;
        else
            at += len;
    }
    return removed;
}

static void fewer_faults(struct sim_case *c, const struct sim_shrinker *by)
{
    size_t len = c->schedule.n;
    while (len > 0 && !by->over(by->arg)) {
        bool removed = remove_pieces(c, len, by);
        if (len > c->schedule.n)
            len = c->schedule.n;
        else if (!removed || len > 1)
            len /= 2;
    }
}

/* --- shorter ones --- */

static bool try_duration(struct sim_case *c, size_t i, int64_t for_ns, const struct sim_shrinker *by)
{
    int64_t before = c->schedule.faults[i].for_ns;
    c->schedule.faults[i].for_ns = for_ns;
    if (by->fails(by->arg, c))
        return true;
    c->schedule.faults[i].for_ns = before;
    return false;
}

static void shorter_faults(struct sim_case *c, const struct sim_shrinker *by)
{
    for (size_t i = 0; i < c->schedule.n; i++) {
        int64_t *for_ns = &c->schedule.faults[i].for_ns;
        int64_t divisor = 8;
        while (divisor > 1 && !by->over(by->arg)) {
            int64_t tried = *for_ns / divisor / HF_MS_NS * HF_MS_NS;
            if (tried < SHORTEST_NS || !try_duration(c, i, tried, by))
                divisor /= 2;
        }
    }
}

/* --- a smaller world --- */

static int64_t named(const struct sim_schedule *s, char letter)
{
    int64_t most = 1;
    for (size_t i = 0; i < s->n; i++) {
        int64_t a = sim_subject_number(s->faults[i].subject, letter) + 1;
        int64_t b = sim_subject_number(s->faults[i].other, letter) + 1;
        most = a > most ? a : most;
        most = b > most ? b : most;
    }
    return most;
}

static int64_t last_second(const struct sim_schedule *s)
{
    int64_t last_ns = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->faults[i].at_ns + s->faults[i].for_ns > last_ns)
            last_ns = s->faults[i].at_ns + s->faults[i].for_ns;
    return last_ns / HF_S_NS + 1;
}

static bool try_size(struct sim_case *c, struct sim_range *size, int64_t n, const struct sim_shrinker *by)
{
    int64_t before = size->low;
    *size = (struct sim_range){n, n};
    hf_status st = sim_profile_check(&c->profile);
    bool good = hf_ok(st) && by->fails(by->arg, c);
    hf_status_drop(st);
    if (!good)
        *size = (struct sim_range){before, before};
    return good;
}

/* The least that fails is sought from `least` up: first that itself, then by halves. */
static void smaller(struct sim_case *c, struct sim_range *size, int64_t least, const struct sim_shrinker *by)
{
    int64_t tried = least;
    while (tried < size->low && !by->over(by->arg)) {
        if (!try_size(c, size, tried, by))
            least = tried + 1;
        tried = least + (size->low - least) / 2;
    }
}

static void smaller_world(struct sim_case *c, const struct sim_shrinker *by)
{
    smaller(c, &c->profile.instances, 0, by);
    smaller(c, &c->profile.clients, 0, by);
    smaller(c, &c->profile.hosts, named(&c->schedule, 'h'), by);
    smaller(c, &c->profile.nodes, named(&c->schedule, 'n'), by);
    smaller(c, &c->profile.seconds, last_second(&c->schedule), by);
}

void sim_shrink(struct sim_case *c, const struct sim_shrinker *by)
{
    fewer_faults(c, by);
    shorter_faults(c, by);
    smaller_world(c, by);
    fewer_faults(c, by);
}
