#include "hostd/peer_values.h"

#include <stdlib.h>

#include "base/mem.h"
#include "ha/observation_pb.h"

struct hf_peer_value {
    struct hf_uuid host;
    uint64_t epoch, sequence;
    bool brief;      /* seen without its runs: they were told */
    uint64_t sync;   /* after this welcome the runs were told; 0: they were not */
    int64_t told_ms; /* when */
};

/* What is known of this value from the last sample: the reader's order stays unless its peers change. */
static struct hf_peer_value value_of(const struct hf_peer_values *p, size_t i, const struct hf_observation *o,
                                     uint64_t sync, int64_t now_ms)
{
    const struct hf_peer_value *last = i < p->n ? &p->values[i] : NULL;
    if (!last || last->sync == 0 || last->sync != sync || !hf_uuid_equal(&last->host, &o->host) ||
        last->epoch != o->epoch || last->sequence != o->sequence || o->error[0] != '\0' ||
        now_ms - last->told_ms >= HF_PEER_RUNS_AGAIN_MS)
        return (struct hf_peer_value){.host = o->host, .epoch = o->epoch, .sequence = o->sequence};
    struct hf_peer_value same = *last;
    same.brief = true;
    return same;
}

void hf_peer_values_clear(struct hf_peer_values *p)
{
    for (size_t i = 0; i < p->n; i++)
        holdfast__v1__observation__free_unpacked(p->seen[i], NULL);
    free(p->seen);
    free(p->values);
    *p = (struct hf_peer_values){0};
}

void hf_peer_values_sample(struct hf_peer_values *p, const struct hf_observation *seen, size_t n,
                           uint64_t sync, int64_t now_ms)
{
    struct hf_peer_values now = {.n = n};
    now.values = hf_alloc_array(n, sizeof *now.values);
    now.seen = hf_alloc_array(n, sizeof *now.seen);
    for (size_t i = 0; i < n; i++) {
        struct hf_observation o = seen[i];
        now.values[i] = value_of(p, i, &o, sync, now_ms);
        if (now.values[i].brief)
            o.n_runs = 0;
        now.seen[i] = hf_observation_to_pb(&o);
    }
    hf_peer_values_clear(p);
    *p = now;
}

void hf_peer_values_told(struct hf_peer_values *p, uint64_t sync, int64_t now_ms)
{
    for (size_t i = 0; i < p->n; i++) {
        struct hf_peer_value *v = &p->values[i];
        if (v->brief || v->sync == sync)
            continue;
        v->sync = sync;
        v->told_ms = now_ms;
    }
}
