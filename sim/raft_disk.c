#include "sim/raft_disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/raft_message.h"

void sim_raft_disk_init(struct sim_raft_disk *d)
{
    *d = (struct sim_raft_disk){.first = 1};
}

static void drop_entries(struct sim_raft_disk *d, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++)
        hf_bytes_unref(d->entries[i].data);
    memmove(&d->entries[from], &d->entries[from + n], (d->n - from - n) * sizeof *d->entries);
    d->n -= n;
}

void sim_raft_disk_done(struct sim_raft_disk *d)
{
    if (d->n > 0)
        drop_entries(d, 0, d->n);
    free(d->entries);
    hf_bytes_unref(d->snapshot.configuration);
    hf_bytes_unref(d->snapshot.data);
}

static void add_entry(struct sim_raft_disk *d, raft_term term, enum raft_entry_type type,
                      struct hf_bytes *take_data)
{
    if (d->n == d->cap) {
        d->cap = d->cap > 0 ? 2 * d->cap : 256;
        d->entries = hf_realloc_array(d->entries, d->cap, sizeof *d->entries);
    }
    d->entries[d->n++] = (struct sim_raft_entry){term, type, take_data};
}

static struct hf_bytes *encode(const struct raft_configuration *c)
{
    struct raft_buffer buf;
    int rv = raft_configuration_encode(c, &buf);
    HF_ASSERT(rv == 0);
    struct hf_bytes *b = hf_bytes_copy(buf.base, buf.len);
    raft_free(buf.base);
    return b;
}

bool sim_raft_disk_bootstrap(struct sim_raft_disk *d, const struct raft_configuration *c)
{
    if (d->term != 0)
        return false;
    d->term = 1;
    add_entry(d, 1, RAFT_CHANGE, encode(c));
    return true;
}

raft_index sim_raft_disk_last(const struct sim_raft_disk *d)
{
    return d->n > 0 ? d->first + d->n - 1 : d->snapshot.index;
}

void sim_raft_disk_append(struct sim_raft_disk *d, const struct raft_entry *entries, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        add_entry(d, entries[i].term, entries[i].type,
                  hf_bytes_copy(entries[i].buf.base, entries[i].buf.len));
}

void sim_raft_disk_truncate(struct sim_raft_disk *d, raft_index index)
{
    HF_ASSERT(index >= d->first);
    size_t keep = (size_t)(index - d->first);
    if (keep < d->n)
        drop_entries(d, keep, d->n - keep);
}

static void keep_trailing(struct sim_raft_disk *d, raft_index snapshot, unsigned trailing)
{
    raft_index first = trailing < snapshot ? snapshot - trailing + 1 : 1;
    if (first <= d->first || d->n == 0)
        return;
    size_t drop = (size_t)(first - d->first);
    drop_entries(d, 0, drop < d->n ? drop : d->n);
    d->first = first;
}

void sim_raft_disk_put_snapshot(struct sim_raft_disk *d, const struct raft_snapshot *s, unsigned trailing)
{
    size_t len = 0;
    for (unsigned i = 0; i < s->n_bufs; i++)
        len += s->bufs[i].len;
    struct hf_bytes *data = hf_bytes_new(len);
    uint8_t *at = data->data;
    for (unsigned i = 0; i < s->n_bufs; i++) {
        memcpy(at, s->bufs[i].base, s->bufs[i].len);
        at += s->bufs[i].len;
    }
    hf_bytes_unref(d->snapshot.configuration);
    hf_bytes_unref(d->snapshot.data);
    d->snapshot.index = s->index;
    d->snapshot.term = s->term;
    d->snapshot.configuration_index = s->configuration_index;
    d->snapshot.configuration = encode(&s->configuration);
    d->snapshot.data = data;
    if (trailing > 0) {
        HF_ASSERT(sim_raft_disk_last(d) >= s->index); /* writes land in order */
        keep_trailing(d, s->index, trailing);
    } else {
        drop_entries(d, 0, d->n);
        d->first = s->index + 1;
    }
}

struct raft_snapshot *sim_raft_disk_snapshot(const struct sim_raft_disk *d)
{
    if (d->snapshot.index == 0)
        return NULL;
    struct raft_snapshot *s = sim_raft_calloc(1, sizeof *s);
    s->index = d->snapshot.index;
    s->term = d->snapshot.term;
    s->configuration_index = d->snapshot.configuration_index;
    struct raft_buffer encoded = {d->snapshot.configuration->data, d->snapshot.configuration->len};
    int rv = raft_configuration_decode(&encoded, &s->configuration);
    HF_ASSERT(rv == 0);
    s->n_bufs = 1;
    s->bufs = sim_raft_calloc(1, sizeof *s->bufs);
    s->bufs[0].len = d->snapshot.data->len;
    s->bufs[0].base = sim_raft_calloc(1, s->bufs[0].len);
    memcpy(s->bufs[0].base, d->snapshot.data->data, s->bufs[0].len);
    return s;
}

struct raft_entry *sim_raft_disk_entries(const struct sim_raft_disk *d, size_t *ret_n)
{
    *ret_n = d->n;
    if (d->n == 0)
        return NULL;
    struct raft_entry *entries = sim_raft_calloc(d->n, sizeof *entries);
    for (size_t i = 0; i < d->n; i++)
        entries[i] = (struct raft_entry){.term = d->entries[i].term,
                                         .type = d->entries[i].type,
                                         .buf = {d->entries[i].data->data, d->entries[i].data->len}};
    sim_raft_own_batch(entries, (unsigned)d->n);
    return entries;
}
