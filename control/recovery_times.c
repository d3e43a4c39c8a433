#include "control/recovery_times.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

typedef Holdfast__V1__RecoveryTimes__Row Row;

struct row {
    Row message; /* its texts are owned */
    int64_t *times;
    size_t n;
};

struct hf_recovery_times {
    struct row rows[HF_RECOVERY_ROWS_MAX];
    Row *list[HF_RECOVERY_ROWS_MAX];
    size_t n;
};

struct hf_recovery_times *hf_recovery_times_create(void)
{
    return HF_NEW(struct hf_recovery_times);
}

void hf_recovery_times_free(struct hf_recovery_times *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->rows[i].message.profile);
        free(t->rows[i].message.evidence);
        free(t->rows[i].times);
    }
    free(t);
}

static struct row *row_of(struct hf_recovery_times *t, const char *profile, const char *evidence)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->rows[i].message.profile, profile) == 0 &&
            strcmp(t->rows[i].message.evidence, evidence) == 0)
            return &t->rows[i];
    if (t->n == HF_RECOVERY_ROWS_MAX)
        return NULL;
    struct row *r = &t->rows[t->n++];
    holdfast__v1__recovery_times__row__init(&r->message);
    r->message.profile = hf_strdup(profile);
    r->message.evidence = hf_strdup(evidence);
    return r;
}

void hf_recovery_times_add(struct hf_recovery_times *t, const Holdfast__V1__Failover *f)
{
    if (strcmp(f->outcome, "restarted") != 0 || f->lost_at_ms == 0 || f->running_at_ms < f->lost_at_ms)
        return;
    struct row *r = row_of(t, f->profile, f->evidence);
    if (r == NULL)
        return;
    r->times = hf_realloc_array(r->times, r->n + 1, sizeof *r->times);
    r->times[r->n++] = f->running_at_ms - f->lost_at_ms;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int by_name(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int profiles = strcmp(x->message.profile, y->message.profile);
    return profiles != 0 ? profiles : strcmp(x->message.evidence, y->message.evidence);
}

static int64_t percentile(const struct row *r, size_t percent)
{
    size_t rank = (r->n * percent + 99) / 100;
    return r->times[rank > 0 ? rank - 1 : 0];
}

void hf_recovery_times_answer(struct hf_recovery_times *t, Holdfast__V1__RecoveryTimes *ret)
{
    holdfast__v1__recovery_times__init(ret);
    qsort(t->rows, t->n, sizeof t->rows[0], by_name);
    for (size_t i = 0; i < t->n; i++) {
        struct row *r = &t->rows[i];
        qsort(r->times, r->n, sizeof r->times[0], by_value);
        r->message.n = r->n;
        r->message.p50_ms = percentile(r, 50);
        r->message.p99_ms = percentile(r, 99);
        r->message.max_ms = r->times[r->n - 1];
        t->list[i] = &r->message;
    }
    ret->rows = t->list;
    ret->n_rows = t->n;
}
