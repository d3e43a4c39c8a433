#include "control/affinity_facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutant.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__AffinityGroup Group;

struct member {
    const Instance *i;
    size_t host, target; /* target: of its migration */
};

struct group {
    const Group *m;
    struct member *members;
    size_t n;
};

struct hf_affinity {
    struct group *groups;
    size_t n;
    char **sentences; /* of the last judgement */
    size_t n_sentences;
};

static struct group *find_group(const struct hf_affinity *a, const char *uuid)
{
    for (size_t k = 0; k < a->n; k++)
        if (strcmp(a->groups[k].m->meta->uuid, uuid) == 0)
            return &a->groups[k];
    return NULL;
}

static void add_member(struct group *g, const Instance *i)
{
    g->members = hf_realloc_array(g->members, g->n + 1, sizeof *g->members);
    g->members[g->n++] = (struct member){.i = i, .host = HF_AFFINITY_NOWHERE, .target = HF_AFFINITY_NOWHERE};
}

struct hf_affinity *hf_affinity_create(const struct hf_world *w)
{
    struct hf_affinity *a = HF_NEW(struct hf_affinity);
    a->n = hf_world_count(w, HOLDFAST__V1__KIND__AFFINITY_GROUP);
    a->groups = hf_alloc_array(a->n, sizeof *a->groups);
    for (size_t k = 0; k < a->n; k++)
        a->groups[k] = (struct group){.m = HF_WORLD_AT(w, AFFINITY_GROUP, AffinityGroup, k)};
    for (size_t k = 0; a->n > 0 && k < hf_world_count(w, HOLDFAST__V1__KIND__INSTANCE); k++) {
        const Instance *i = HF_WORLD_AT(w, INSTANCE, Instance, k);
        for (size_t j = 0; j < i->spec->n_affinity_group_uuids; j++) {
            struct group *g = find_group(a, i->spec->affinity_group_uuids[j]);
            if (g != NULL)
                add_member(g, i);
        }
    }
    return a;
}

struct hf_affinity *hf_affinity_copy(const struct hf_affinity *a)
{
    struct hf_affinity *copy = HF_NEW(struct hf_affinity);
    copy->n = a->n;
    copy->groups = hf_alloc_array(a->n, sizeof *a->groups);
    for (size_t k = 0; k < a->n; k++) {
        copy->groups[k] = (struct group){.m = a->groups[k].m, .n = a->groups[k].n};
        copy->groups[k].members = hf_alloc_array(a->groups[k].n, sizeof *a->groups[k].members);
        for (size_t j = 0; j < a->groups[k].n; j++)
            copy->groups[k].members[j] = a->groups[k].members[j];
    }
    return copy;
}

static void drop_sentences(struct hf_affinity *a)
{
    for (size_t k = 0; k < a->n_sentences; k++)
        free(a->sentences[k]);
    a->n_sentences = 0;
}

void hf_affinity_free(struct hf_affinity *a)
{
    if (a == NULL)
        return;
    for (size_t k = 0; k < a->n; k++)
        free(a->groups[k].members);
    free(a->groups);
    drop_sentences(a);
    free(a->sentences);
    free(a);
}

static bool same(const Instance *a, const Instance *b)
{
    return a == b || strcmp(a->meta->uuid, b->meta->uuid) == 0;
}

static struct member *find_member(struct group *g, const Instance *i)
{
    for (size_t j = 0; g != NULL && j < g->n; j++)
        if (same(g->members[j].i, i))
            return &g->members[j];
    return NULL;
}

void hf_affinity_set(struct hf_affinity *a, const Instance *i, size_t host)
{
    for (size_t k = 0; k < i->spec->n_affinity_group_uuids; k++) {
        struct member *m = find_member(find_group(a, i->spec->affinity_group_uuids[k]), i);
        if (m == NULL)
            continue;
        m->host = host;
        m->target = HF_AFFINITY_NOWHERE;
    }
}

void hf_affinity_moves(struct hf_affinity *a, const Instance *i, size_t target)
{
    for (size_t k = 0; k < i->spec->n_affinity_group_uuids; k++) {
        struct member *m = find_member(find_group(a, i->spec->affinity_group_uuids[k]), i);
        if (m != NULL)
            m->target = target;
    }
}

/* --- judgement --- */

/* A place of the group's other members: the first of them, on this host or (NOWHERE) on any; NULL: none. */
static const struct member *placed(const struct group *g, const Instance *i, size_t host)
{
    for (size_t j = 0; j < g->n; j++)
        if (g->members[j].host != HF_AFFINITY_NOWHERE && !same(g->members[j].i, i) &&
            (host == HF_AFFINITY_NOWHERE || g->members[j].host == host || g->members[j].target == host))
            return &g->members[j];
    return NULL;
}

static void bar(struct hf_affinity *a, struct hf_candidate *h, char *take_sentence)
{
    a->sentences = hf_realloc_array(a->sentences, a->n_sentences + 1, sizeof *a->sentences);
    a->sentences[a->n_sentences++] = take_sentence;
    h->barred = take_sentence;
}

static void judge_hard(struct hf_affinity *a, const struct group *g, const Instance *i,
                       struct hf_candidate *hosts, size_t n)
{
    bool together = g->m->spec->policy == HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__AFFINITY;
    const struct member *any = placed(g, i, HF_AFFINITY_NOWHERE);
    for (size_t h = 0; any != NULL && h < n; h++) {
        const struct member *here = placed(g, i, h);
        if (hosts[h].barred != NULL || (together ? here != NULL : here == NULL))
            continue;
        bar(a, &hosts[h],
            together ? hf_printf("affinity group '%s': '%s' is on host '%s'", g->m->meta->name,
                                 any->i->meta->name, hosts[any->host].name)
                     : hf_printf("anti-affinity group '%s': '%s' is there", g->m->meta->name,
                                 here->i->meta->name));
    }
}

static void judge_soft(const struct group *g, const Instance *i, struct hf_candidate *hosts)
{
    bool together = g->m->spec->policy == HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__AFFINITY;
    for (size_t j = 0; j < g->n; j++)
        if (g->members[j].host != HF_AFFINITY_NOWHERE && !same(g->members[j].i, i))
            hosts[g->members[j].host].liked += together ? 1 : -1;
}

static void add_followers(const struct group *g, const Instance *i, struct hf_need *need)
{
    for (size_t j = 0; j < g->n; j++) {
        const Instance *other = g->members[j].i;
        if (g->members[j].host != HF_AFFINITY_NOWHERE || same(other, i) || other->spec->deleting ||
            other->spec->power != HOLDFAST__V1__POWER_STATE__POWER_RUNNING)
            continue;
        need->followers_cpus += other->spec->cpus;
        need->followers_memory += other->spec->memory_bytes;
    }
}

void hf_affinity_judge(struct hf_affinity *a, const Instance *i, struct hf_candidate *hosts, size_t n,
                       struct hf_need *need)
{
    drop_sentences(a);
    for (size_t h = 0; h < n; h++) {
        hosts[h].barred = NULL;
        hosts[h].liked = 0;
    }
    for (size_t k = 0; k < i->spec->n_affinity_group_uuids; k++) {
        const struct group *g = find_group(a, i->spec->affinity_group_uuids[k]);
        if (g == NULL)
            continue;
        bool hard = g->m->spec->hard && !HF_MUTANT(AFFINITY_FORGOTTEN);
        if (!hard)
            judge_soft(g, i, hosts);
        else
            judge_hard(a, g, i, hosts, n);
        if (hard && g->m->spec->policy == HOLDFAST__V1__AFFINITY_GROUP_SPEC__POLICY__AFFINITY)
            add_followers(g, i, need);
    }
}
