#include "control/scheduler.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MIB ((uint64_t)1024 * 1024)
#define GIB (1024 * MIB)

/* "1 GiB", "512 MiB", "1.5 GiB": the largest unit that keeps it short. */
static char *size_text(uint64_t bytes, char out[32])
{
    if (bytes >= GIB && bytes % GIB == 0)
        snprintf(out, 32, "%" PRIu64 " GiB", bytes / GIB);
    else if (bytes >= 10 * GIB)
        snprintf(out, 32, "%.1f GiB", (double)bytes / (double)GIB);
    else
        snprintf(out, 32, "%" PRIu64 " MiB", bytes / MIB);
    return out;
}

static uint64_t below(uint64_t total, uint64_t used)
{
    return total > used ? total - used : 0;
}

static uint64_t free_memory(const struct hf_candidate *h, const struct hf_schedule_rules *rules)
{
    return below(below(h->memory_bytes, rules->reserved_memory_bytes), h->memory_used);
}

static uint64_t free_cpus(const struct hf_candidate *h, const struct hf_schedule_rules *rules)
{
    return below(h->cpus * rules->cpu_overprovisioning, h->cpus_used);
}

static bool fits(const struct hf_candidate *h, const struct hf_schedule_rules *rules, uint64_t cpus,
                 uint64_t memory_bytes)
{
    return free_cpus(h, rules) >= cpus && free_memory(h, rules) >= memory_bytes;
}

/* A host that it may not run on, whatever room there is: why, or NULL. */
static const char *objection(const struct hf_need *need, const struct hf_candidate *h)
{
    if (need->pinned_host[0] != '\0' && strcmp(need->pinned_host, h->uuid) != 0)
        return "not the host that was asked for";
    if (need->local_host[0] != '\0' && strcmp(need->local_host, h->uuid) != 0)
        return "its volumes are in the local storage of another host";
    if (h->lost)
        return "it is the one that is lost";
    if (h->fenced)
        return "fenced";
    if (!h->connected)
        return "not connected";
    if (h->disabled)
        return "disabled";
    if (h->leaves != NULL)
        return h->leaves;
    return h->unreachable != NULL ? h->unreachable : h->barred;
}

/* Why this host cannot take it; one of objection() and room is in the way. The caller frees. */
static char *refusal(const struct hf_need *need, const struct hf_candidate *h,
                     const struct hf_schedule_rules *rules)
{
    char a[32], b[32];
    const char *why = objection(need, h);
    if (why != NULL)
        return hf_strdup(why);
    if (free_cpus(h, rules) < need->cpus)
        return hf_printf("needs %" PRIu64 " CPU%s, %" PRIu64 " free", need->cpus, need->cpus == 1 ? "" : "s",
                         free_cpus(h, rules));
    return hf_printf("needs %s memory, %s free", size_text(need->memory_bytes, a),
                     size_text(free_memory(h, rules), b));
}

/* a is the better place. Ties end at the name, so that the choice can be foretold. */
static bool better(const struct hf_need *need, const struct hf_candidate *a, const struct hf_candidate *b,
                   const struct hf_schedule_rules *rules)
{
    bool a_last = strcmp(a->uuid, need->last_host) == 0, b_last = strcmp(b->uuid, need->last_host) == 0;
    uint64_t cpus = need->cpus + need->followers_cpus, memory = need->memory_bytes + need->followers_memory;
    if (need->avoid_last && a_last != b_last)
        return b_last;
    if (fits(a, rules, cpus, memory) != fits(b, rules, cpus, memory))
        return fits(a, rules, cpus, memory);
    if (a->liked != b->liked)
        return a->liked > b->liked;
    if (need->strategy == HOLDFAST__V1__INSTANCE_OFFERING_SPEC__STRATEGY__LAST_HOST && a_last != b_last)
        return a_last;
    if (need->strategy == HOLDFAST__V1__INSTANCE_OFFERING_SPEC__STRATEGY__MOST_FREE_MEMORY &&
        free_memory(a, rules) != free_memory(b, rules))
        return free_memory(a, rules) > free_memory(b, rules);
    if (a->instances != b->instances)
        return a->instances < b->instances;
    return strcmp(a->name, b->name) < 0;
}

static hf_status no_room(const struct hf_need *need, const struct hf_candidate *hosts, size_t n,
                         const struct hf_schedule_rules *rules)
{
    if (n == 0)
        return hf_error(HF_EXHAUSTED, "no host can take instance '%s': there are no hosts", need->name);
    char *text = hf_strdup("");
    for (size_t i = 0; i < n && i < HF_SCHEDULE_SENTENCE_HOSTS; i++) {
        char *why = refusal(need, &hosts[i], rules);
        char *longer = hf_printf("%s%s%s: %s", text, i > 0 ? "; " : "", hosts[i].name, why);
        free(why);
        free(text);
        text = longer;
    }
    char more[48] = "";
    if (n > HF_SCHEDULE_SENTENCE_HOSTS)
        snprintf(more, sizeof more, "; and %zu more hosts", n - HF_SCHEDULE_SENTENCE_HOSTS);
    hf_status st = hf_error(HF_EXHAUSTED, "no host can take instance '%s': %s%s", need->name, text, more);
    free(text);
    return st;
}

bool hf_schedule_pick(const struct hf_need *need, const struct hf_candidate *hosts, size_t n,
                      const struct hf_schedule_rules *rules, size_t *ret)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if (objection(need, &hosts[i]) == NULL && fits(&hosts[i], rules, need->cpus, need->memory_bytes) &&
            (best == n || better(need, &hosts[i], &hosts[best], rules)))
            best = i;
    if (best == n)
        return false;
    *ret = best;
    return true;
}

hf_status hf_schedule(const struct hf_need *need, const struct hf_candidate *hosts, size_t n,
                      const struct hf_schedule_rules *rules, size_t *ret)
{
    return hf_schedule_pick(need, hosts, n, rules, ret) ? HF_STATUS_OK : no_room(need, hosts, n, rules);
}
