#include "control/admission.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define MIB ((uint64_t)1024 * 1024)

/* --- one set --- */

/* Whatever proves it: admission is about room. */
static struct hf_restart_evidence proof_of(const Holdfast__V1__Host *h)
{
    struct hf_restart_evidence e = {
        .epoch = h->status != NULL ? h->status->epoch : 0, .kind = "loss", .everything = true};
    bool valid = hf_uuid_parse(h->meta->uuid, &e.host);
    HF_ASSERT(valid);
    return e;
}

static bool worse(const struct hf_admission_host *a, const struct hf_admission_host *b)
{
    return !b->looked || a->homeless > b->homeless ||
           (a->homeless == b->homeless && a->memory_bytes > b->memory_bytes);
}

static void look(struct hf_admission *a, struct hf_losses *l, const struct hf_facts *facts, const size_t *set)
{
    struct hf_restart_evidence proof[HF_ADMISSION_HOSTS_MAX];
    struct hf_admission_host found = {.looked = true, .n_set = a->failures};
    struct hf_loss_step *steps;
    for (unsigned k = 0; k < a->failures; k++) {
        proof[k] = proof_of(hf_facts_host(facts, set[k]));
        found.set[k] = set[k];
    }
    size_t n = hf_losses_plan(l, set, a->failures, proof, a->failures, 1, &steps);
    const char *first = NULL;
    for (size_t k = 0; k < n; k++) {
        if (steps[k].outcome != HF_LOSS_WAITS)
            continue;
        first = first == NULL ? steps[k].why : first;
        found.homeless++;
        found.memory_bytes += steps[k].instance->spec->memory_bytes;
    }
    for (unsigned k = 0; k < a->failures; k++) {
        struct hf_admission_host *h = &a->hosts[set[k]];
        if (!worse(&found, h))
            continue;
        free(h->first);
        *h = found;
        h->first = first != NULL ? hf_strdup(first) : NULL;
    }
    hf_loss_steps_free(steps, n);
    a->sets++;
}

/* --- which sets --- */

/* n over k, or more than HF_ADMISSION_SETS_MAX when it is more. */
static size_t sets_of(size_t n, unsigned k)
{
    size_t sets = 1;
    for (unsigned j = 0; j < k; j++) {
        sets = sets * (n - j) / (j + 1);
        if (sets > HF_ADMISSION_SETS_MAX && j + 1 < k)
            return HF_ADMISSION_SETS_MAX + 1;
    }
    return sets;
}

struct weighed {
    size_t host;
    uint64_t memory_bytes;
};

static int heaviest_first(const void *a, const void *b)
{
    const struct weighed *x = a, *y = b;
    if (x->memory_bytes != y->memory_bytes)
        return x->memory_bytes > y->memory_bytes ? -1 : 1;
    return x->host < y->host ? -1 : x->host > y->host;
}

/* The next set of at[0] < at[1] < … below n; false: that was the last. */
static bool next_set(size_t *at, unsigned k, size_t n)
{
    for (unsigned j = k; j-- > 0;) {
        if (at[j] + (k - j) >= n)
            continue;
        at[j]++;
        for (unsigned m = j + 1; m < k; m++)
            at[m] = at[m - 1] + 1;
        return true;
    }
    return false;
}

struct hf_admission hf_admission_judge(struct hf_losses *l, const struct hf_facts *facts, unsigned failures)
{
    HF_ASSERT(failures >= 1 && failures <= HF_ADMISSION_HOSTS_MAX);
    struct hf_admission a = {.n_hosts = hf_facts_hosts(facts), .all = true};
    struct weighed *list = hf_alloc_array(a.n_hosts, sizeof *list);
    size_t n = 0, at[HF_ADMISSION_HOSTS_MAX], set[HF_ADMISSION_HOSTS_MAX];
    a.hosts = hf_alloc_array(a.n_hosts, sizeof *a.hosts);
    memset(a.hosts, 0, a.n_hosts * sizeof *a.hosts);
    for (size_t k = 0; k < a.n_hosts; k++)
        if (hf_facts_up(facts, k))
            list[n++] = (struct weighed){.host = k, .memory_bytes = hf_losses_memory(l, k)};
    qsort(list, n, sizeof *list, heaviest_first);
    a.failures = failures < n ? failures : (unsigned)n;
    for (; a.failures > 1 && sets_of(n, a.failures) > HF_ADMISSION_SETS_MAX; n--)
        a.all = false;
    for (unsigned k = 0; k < a.failures; k++)
        at[k] = k;
    if (a.failures > 0)
        do {
            for (unsigned k = 0; k < a.failures; k++)
                set[k] = list[at[k]].host;
            look(&a, l, facts, set);
        } while (next_set(at, a.failures, n));
    free(list);
    return a;
}

void hf_admission_done(struct hf_admission *a)
{
    for (size_t k = 0; k < a->n_hosts; k++)
        free(a->hosts[k].first);
    free(a->hosts);
}

/* --- the sentence --- */

static char *set_text(const struct hf_admission_host *h, const struct hf_facts *facts)
{
    char *text = hf_strdup(h->n_set == 1 ? "host" : "hosts");
    for (size_t k = 0; k < h->n_set; k++) {
        char *longer = hf_printf("%s%s '%s'", text,
                                 k == 0              ? ""
                                 : k + 1 == h->n_set ? " and"
                                                     : ",",
                                 hf_facts_host(facts, h->set[k])->meta->name);
        free(text);
        text = longer;
    }
    return text;
}

static char *absorbed(const struct hf_admission *a)
{
    char *number = a->failures <= 1 ? hf_strdup("one host") : hf_printf("%u hosts", a->failures);
    char *text = a->all
                     ? hf_printf("the loss of any %s can be absorbed", number)
                     : hf_printf("the loss of any %s of those with the most NeverStop memory can be absorbed "
                                 "(%zu sets looked at)",
                                 number, a->sets);
    free(number);
    return text;
}

char *hf_admission_sentence(const struct hf_admission *a, const struct hf_facts *facts,
                            bool (*among)(void *arg, const Holdfast__V1__Host *h), void *arg, bool *ret_ok)
{
    const struct hf_admission_host *worst = NULL;
    for (size_t k = 0; k < a->n_hosts; k++) {
        const struct hf_admission_host *h = &a->hosts[k];
        if (h->homeless > 0 && (among == NULL || among(arg, hf_facts_host(facts, k))) &&
            (worst == NULL || worse(h, worst)))
            worst = h;
    }
    *ret_ok = worst == NULL;
    if (worst == NULL)
        return absorbed(a);
    char *set = set_text(worst, facts);
    char *text = hf_printf("the loss of %s cannot be absorbed: %zu NeverStop instance%s with %" PRIu64
                           " MiB memory would wait; %s",
                           set, worst->homeless, worst->homeless == 1 ? "" : "s", worst->memory_bytes / MIB,
                           worst->first != NULL ? worst->first : "");
    free(set);
    return text;
}
