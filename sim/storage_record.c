#include "sim/storage_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct sim_record *sim_record_new(const struct hf_lease_record *from)
{
    struct sim_record *r = hf_alloc(sizeof *r + from->n_runs * sizeof r->runs[0]);
    r->refs = 1;
    r->host = from->host;
    memcpy(r->boot_id, from->boot_id, sizeof r->boot_id);
    r->epoch = from->epoch;
    r->sequence = from->sequence;
    r->session = from->session;
    r->closed = from->closed;
    r->killed = from->killed;
    r->n_runs = from->n_runs;
    memcpy(r->runs, from->runs, from->n_runs * sizeof r->runs[0]);
    return r;
}

static struct sim_record *record_ref(struct sim_record *r)
{
    r->refs++;
    return r;
}

void sim_record_unref(struct sim_record *r)
{
    if (r && --r->refs == 0)
        free(r);
}

void sim_record_file_done(struct sim_record_file *f)
{
    for (size_t i = 0; i < 2; i++)
        sim_record_unref(f->slots[i].record);
    for (size_t i = 0; i < SIM_RECORD_VERSIONS; i++)
        sim_record_unref(f->versions[i].newest);
}

static bool is_newer(const struct sim_record *a, const struct sim_record *b)
{
    return a->epoch != b->epoch ? a->epoch > b->epoch : a->sequence > b->sequence;
}

/* As hf_lease_file_decode() reads the bytes. */
static enum hf_lease_decode pick(const struct sim_record_file *f, struct sim_record **ret)
{
    const struct sim_record_slot *a = &f->slots[0], *b = &f->slots[1];
    if (b->state == HF_LEASE_GOOD && (a->state != HF_LEASE_GOOD || is_newer(b->record, a->record))) {
        *ret = record_ref(b->record);
        return HF_LEASE_GOOD;
    }
    *ret = a->state == HF_LEASE_GOOD ? record_ref(a->record) : NULL;
    return a->state == HF_LEASE_EMPTY ? b->state : a->state;
}

static void add_version(struct sim_record_file *f, int64_t now_ns)
{
    struct sim_record_version *v = &f->versions[f->n++ % SIM_RECORD_VERSIONS];
    sim_record_unref(v->newest);
    v->since_ns = now_ns;
    v->number = f->n;
    v->decode = pick(f, &v->newest);
}

void sim_record_file_land(struct sim_record_file *f, struct sim_record *r, bool torn, int64_t now_ns)
{
    if (!f->there) {
        f->there = true;
        f->host = r->host;
        f->slots[0].state = f->slots[1].state = HF_LEASE_EMPTY;
    }
    struct sim_record_slot *slot = &f->slots[r->sequence % 2];
    sim_record_unref(slot->record);
    slot->state = torn ? HF_LEASE_TORN : HF_LEASE_GOOD;
    slot->record = torn ? NULL : record_ref(r);
    add_version(f, now_ns);
}

void sim_record_file_spoil(struct sim_record_file *f, enum hf_lease_decode found, int64_t now_ns)
{
    for (size_t i = 0; i < 2 && f->there; i++) {
        sim_record_unref(f->slots[i].record);
        f->slots[i] = (struct sim_record_slot){.state = found};
    }
    if (f->there)
        add_version(f, now_ns);
}

void sim_record_file_remove(struct sim_record_file *f)
{
    for (size_t i = 0; i < 2; i++) {
        sim_record_unref(f->slots[i].record);
        f->slots[i] = (struct sim_record_slot){.state = HF_LEASE_EMPTY};
    }
    f->there = false;
}

bool sim_record_file_version(const struct sim_record_file *f, struct sim_record_version *ret)
{
    if (!f->there || f->n == 0)
        return false;
    *ret = f->versions[(f->n - 1) % SIM_RECORD_VERSIONS];
    if (ret->newest)
        record_ref(ret->newest);
    return true;
}

static const struct sim_record_version *version_at(const struct sim_record_file *f, int64_t at_ns)
{
    const struct sim_record_version *found = NULL;
    for (uint64_t i = 1; i <= SIM_RECORD_VERSIONS && i <= f->n; i++) {
        found = &f->versions[(f->n - i) % SIM_RECORD_VERSIONS];
        if (found->since_ns <= at_ns)
            return found;
    }
    return f->n > SIM_RECORD_VERSIONS ? found : NULL; /* NULL: it was not there yet */
}

void sim_record_file_read(const struct sim_record_file *f, int64_t at_ns, struct hf_sampler_read *ret)
{
    sim_record_version_read(f && f->there ? version_at(f, at_ns) : NULL, ret);
}

void sim_record_version_read(const struct sim_record_version *v, struct hf_sampler_read *ret)
{
    ret->hash = v ? v->number : 0;
    ret->decode = v ? v->decode : HF_LEASE_EMPTY;
    if (ret->decode != HF_LEASE_GOOD) {
        if (ret->decode != HF_LEASE_EMPTY)
            snprintf(ret->error, sizeof ret->error, "%s", hf_lease_decode_text(ret->decode));
        return;
    }
    const struct sim_record *r = v->newest;
    ret->epoch = r->epoch;
    ret->sequence = r->sequence;
    ret->session = r->session;
    ret->closed = r->closed;
    ret->killed = r->killed;
    memcpy(ret->boot_id, r->boot_id, sizeof ret->boot_id);
    ret->n_runs = r->n_runs;
    ret->runs = hf_alloc_array(r->n_runs + 1, sizeof ret->runs[0]);
    memcpy(ret->runs, r->runs, r->n_runs * sizeof ret->runs[0]);
}
