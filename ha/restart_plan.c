#include "ha/restart_plan.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/status.h"

typedef unsigned long long ull;

struct question {
    bool ha_enabled;
    const struct hf_restart_evidence *evidence;
    size_t n_evidence;
};

static bool shares_storage(const struct hf_restart_evidence *e, const struct hf_restart_instance *i)
{
    if (HF_MUTANT(EVIDENCE_COVERS_ALL))
        return true;
    for (size_t a = 0; a < e->n_storages; a++) {
        for (size_t b = 0; b < i->n_storages; b++) {
            if (hf_uuid_equal(&e->storages[a], &i->storages[b]))
                return true;
        }
    }
    return false;
}

static bool is_about(const struct hf_restart_evidence *e, const struct hf_restart_instance *i)
{
    return hf_uuid_equal(&e->host, &i->host) && (e->epoch == i->epoch || HF_MUTANT(EVIDENCE_OF_OLD_EPOCH));
}

/* Rule 5: evidence for exactly this (host, epoch) that covers a storage of this instance; somebody's word
 * before what was seen. */
static const struct hf_restart_evidence *covering(const struct question *q,
                                                  const struct hf_restart_instance *i)
{
    const struct hf_restart_evidence *seen = NULL;
    for (size_t k = 0; k < q->n_evidence; k++) {
        const struct hf_restart_evidence *e = &q->evidence[k];
        if (e->writes_only || !is_about(e, i) || !(e->everything || shares_storage(e, i)))
            continue;
        if (e->by_word)
            return e;
        seen = seen != NULL ? seen : e;
    }
    return seen;
}

static const struct hf_restart_evidence *
blocking(const struct question *q, const struct hf_restart_instance *i, const struct hf_uuid *storage)
{
    for (size_t k = 0; k < q->n_evidence; k++) {
        const struct hf_restart_evidence *e = &q->evidence[k];
        for (size_t s = 0; e->writes_only && is_about(e, i) && s < e->n_storages; s++)
            if (hf_uuid_equal(&e->storages[s], storage))
                return e;
    }
    return NULL;
}

/* Rule 15: it is cut off from writing on every one of its storages. */
static const struct hf_restart_evidence *cut_off(const struct question *q,
                                                 const struct hf_restart_instance *i)
{
    const struct hf_restart_evidence *e = NULL;
    for (size_t s = 0; s < i->n_storages; s++) {
        const struct hf_restart_evidence *one = blocking(q, i, &i->storages[s]);
        if (one == NULL && !HF_MUTANT(WRITE_FENCED_FILE_STORAGE_UNPROVEN))
            return NULL;
        e = one != NULL ? one : e;
    }
    return e;
}

static bool any_for_life(const struct question *q, const struct hf_restart_instance *i)
{
    for (size_t k = 0; k < q->n_evidence; k++) {
        if (hf_uuid_equal(&q->evidence[k].host, &i->host) && q->evidence[k].epoch == i->epoch &&
            !q->evidence[k].writes_only)
            return true;
    }
    return false;
}

static void say(struct hf_restart_step *s, enum hf_restart_kind kind, const char *fmt, ...) HF_PRINTF(3, 4);

static void say(struct hf_restart_step *s, enum hf_restart_kind kind, const char *fmt, ...)
{
    va_list ap;
    s->kind = kind;
    va_start(ap, fmt);
    vsnprintf(s->text, sizeof s->text, fmt, ap);
    va_end(ap);
}

/* It may start elsewhere, once it may leave. */
static bool wants_to_go(const struct question *q, const struct hf_restart_instance *i)
{
    return i->never_stop && !HF_MUTANT(NEVER_STOP_FORGOTTEN) && i->wanted_running && q->ha_enabled;
}

static void wait(const struct question *q, const struct hf_restart_instance *i, struct hf_restart_step *s)
{
    char but[160] = "";
    if (i->write_fenced && i->not_write_fenced != NULL)
        snprintf(but, sizeof but, "; its takeover is write-fenced, but %s", i->not_write_fenced);
    if (any_for_life(q, i))
        say(s, HF_RESTART_WAIT, "the evidence against host '%s' (epoch %llu) covers no storage of '%s'%s",
            i->host_name, (ull)i->epoch, i->name, but);
    else
        say(s, HF_RESTART_WAIT, "host '%s' (epoch %llu) is fenced but not proven down%s", i->host_name,
            (ull)i->epoch, but);
}

static void decide(const struct question *q, const struct hf_restart_instance *i, struct hf_restart_step *s)
{
    const struct hf_restart_evidence *e = covering(q, i),
                                     *cut = i->write_fenced && wants_to_go(q, i) ? cut_off(q, i) : NULL;
    if (e == NULL && cut == NULL) {
        wait(q, i, s);
        return;
    }
    if (e != NULL && cut == NULL && !e->by_word && i->not_blocked != NULL) {
        say(s, HF_RESTART_WAIT, "host '%s' (epoch %llu) is proven down (%s), but not held off from %s",
            i->host_name, (ull)i->epoch, e->kind, i->not_blocked);
        return;
    }
    e = e != NULL ? e : cut;
    s->evidence = (size_t)(e - q->evidence);
    if (e == cut)
        say(s, HF_RESTART_GO,
            "run %llu of '%s' can write no more (%s of host '%s', epoch %llu): it starts elsewhere",
            (ull)i->run, i->name, e->kind, i->host_name, (ull)i->epoch);
    else if (wants_to_go(q, i))
        say(s, HF_RESTART_GO, "run %llu of '%s' is over (%s of host '%s', epoch %llu): it starts elsewhere",
            (ull)i->run, i->name, e->kind, i->host_name, (ull)i->epoch);
    else
        say(s, HF_RESTART_STOP, "'%s' stopped with its host '%s' (%s): %s", i->name, i->host_name, e->kind,
            !i->wanted_running ? "it was to be stopped"
            : !i->never_stop   ? "it is not NeverStop"
                               : "HA is switched off");
}

static int compare(const void *a, const void *b, void *instances)
{
    const struct hf_restart_step *x = a, *y = b;
    const struct hf_restart_instance *list = instances, *i = &list[x->instance], *k = &list[y->instance];
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (i->priority != k->priority)
        return i->priority > k->priority ? -1 : 1;
    if (i->waiting_ms != k->waiting_ms)
        return i->waiting_ms > k->waiting_ms ? -1 : 1;
    int names = strcmp(i->name, k->name);
    return names != 0 ? names : memcmp(i->uuid.b, k->uuid.b, sizeof i->uuid.b);
}

size_t hf_restart_plan(bool ha_enabled, const struct hf_restart_evidence *evidence, size_t n_evidence,
                       const struct hf_restart_instance *instances, size_t n_instances,
                       struct hf_restart_step *ret)
{
    struct question q = {.ha_enabled = ha_enabled, .evidence = evidence, .n_evidence = n_evidence};
    size_t n = 0;
    for (size_t i = 0; i < n_instances; i++) {
        if (!instances[i].fenced)
            continue;
        memset(&ret[n], 0, sizeof ret[n]);
        ret[n].instance = i;
        decide(&q, &instances[i], &ret[n]);
        n++;
    }
    qsort_r(ret, n, sizeof ret[0], compare, (void *)instances);
    return n;
}
