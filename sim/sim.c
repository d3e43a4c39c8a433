#include "sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

struct event {
    int64_t at_ns;
    uint64_t order;
    sim_fn fn, drop;
    void *arg;
};

struct sim {
    uint64_t seed;
    int64_t now_ns;
    struct event *heap; /* binary, by (at_ns, order) */
    size_t n, cap;
    uint64_t next_order, events, digest;
    bool stopped;
    sim_trace_cb trace;
    void *trace_arg;
    const char *turn;
};

/* --- random numbers --- */

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct sim_rng sim_rng_make(uint64_t seed, const char *name, uint64_t number)
{
    uint64_t state = seed;
    for (const char *p = name; *p; p++) {
        state ^= (unsigned char)*p;
        state = splitmix(&state);
    }
    state ^= number * 0xd1342543de82ef95u;
    struct sim_rng r;
    for (int i = 0; i < 4; i++)
        r.s[i] = splitmix(&state);
    return r;
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t sim_rng_u64(struct sim_rng *r)
{
    uint64_t result = rotate(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotate(r->s[3], 45);
    return result;
}

uint64_t sim_rng_below(struct sim_rng *r, uint64_t n)
{
    HF_ASSERT(n > 0);
    return sim_rng_u64(r) % n; /* the bias is below 2^-32 for any n used here */
}

int64_t sim_rng_between(struct sim_rng *r, int64_t low, int64_t high)
{
    HF_ASSERT(low <= high);
    return low + (int64_t)sim_rng_below(r, (uint64_t)(high - low) + 1);
}

bool sim_rng_chance(struct sim_rng *r, uint32_t ppm)
{
    return sim_rng_below(r, 1000000) < ppm;
}

int64_t sim_rng_skewed(struct sim_rng *r, int64_t low, int64_t high)
{
    int64_t span = high - low;
    for (uint64_t shrinks = sim_rng_below(r, 8); shrinks > 0; shrinks--)
        span /= 2;
    return sim_rng_between(r, low, low + span);
}

/* --- the queue --- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

struct sim *sim_create(uint64_t seed)
{
    struct sim *s = HF_NEW(struct sim);
    s->seed = seed;
    s->digest = seed;
    return s;
}

static struct event take_first(struct sim *s)
{
    struct event first = s->heap[0], last = s->heap[--s->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->n)
            break;
        if (child + 1 < s->n && before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return first;
}

void sim_free(struct sim *s)
{
    while (s->n > 0) {
        struct event e = take_first(s);
        if (e.drop)
            e.drop(e.arg);
    }
    free(s->heap);
    free(s);
}

uint64_t sim_seed(const struct sim *s)
{
    return s->seed;
}

int64_t sim_now_ns(const struct sim *s)
{
    return s->now_ns;
}

void sim_at(struct sim *s, int64_t when_ns, sim_fn fn, sim_fn drop, void *arg)
{
    HF_ASSERT(when_ns >= s->now_ns);
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 1024;
        s->heap = hf_realloc_array(s->heap, s->cap, sizeof *s->heap);
    }
    struct event e = {when_ns, s->next_order++, fn, drop, arg};
    size_t i = s->n++;
    while (i > 0 && before(&e, &s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = e;
}

void sim_run_until(struct sim *s, int64_t until_ns)
{
    while (s->n > 0 && !s->stopped && s->heap[0].at_ns <= until_ns) {
        struct event e = take_first(s);
        s->now_ns = e.at_ns;
        s->events++;
        sim_mix(s, (uint64_t)e.at_ns ^ (e.order << 32));
        e.fn(e.arg);
    }
    if (!s->stopped && s->now_ns < until_ns)
        s->now_ns = until_ns;
}

void sim_stop(struct sim *s)
{
    s->stopped = true;
}

bool sim_stopped(const struct sim *s)
{
    return s->stopped;
}

uint64_t sim_events(const struct sim *s)
{
    return s->events;
}

/* --- the trace --- */

void sim_trace_to(struct sim *s, sim_trace_cb cb, void *arg)
{
    s->trace = cb;
    s->trace_arg = arg;
}

bool sim_tracing(const struct sim *s)
{
    return s->trace != NULL;
}

void sim_trace(struct sim *s, const char *subject, const char *fmt, ...)
{
    if (!s->trace)
        return;
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->trace(s->trace_arg, s->now_ns, subject, text);
}

void sim_set_turn(struct sim *s, const char *name)
{
    s->turn = name;
}

const char *sim_turn(const struct sim *s)
{
    return s->turn;
}

void sim_mix(struct sim *s, uint64_t fact)
{
    uint64_t z = (s->digest ^ fact) * 0x9e3779b97f4a7c15u;
    s->digest = z ^ (z >> 29);
}

uint64_t sim_digest(const struct sim *s)
{
    return s->digest;
}
