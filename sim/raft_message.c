#include "sim/raft_message.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

void *sim_raft_calloc(size_t n, size_t size)
{
    void *p = raft_calloc(n, size);
    HF_ASSERT(p != NULL);
    return p;
}

void sim_raft_own_batch(struct raft_entry *entries, unsigned n)
{
    size_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len += entries[i].buf.len;
    uint8_t *batch = sim_raft_calloc(1, len > 0 ? len : 1), *at = batch;
    for (unsigned i = 0; i < n; i++) {
        memcpy(at, entries[i].buf.base, entries[i].buf.len);
        entries[i].buf.base = at;
        entries[i].batch = batch;
        at += entries[i].buf.len;
    }
}

static void own_append_entries(struct raft_append_entries *m)
{
    if (m->n_entries == 0) {
        m->entries = NULL;
        return;
    }
    struct raft_entry *copy = sim_raft_calloc(m->n_entries, sizeof *copy);
    memcpy(copy, m->entries, m->n_entries * sizeof *copy);
    sim_raft_own_batch(copy, m->n_entries);
    m->entries = copy;
}

static void own_install_snapshot(struct raft_install_snapshot *m)
{
    struct raft_configuration copy;
    raft_configuration_init(&copy);
    for (unsigned i = 0; i < m->conf.n; i++) {
        const struct raft_server *s = &m->conf.servers[i];
        int rv = raft_configuration_add(&copy, s->id, s->address, s->role);
        HF_ASSERT(rv == 0);
    }
    m->conf = copy;
    void *data = sim_raft_calloc(1, m->data.len > 0 ? m->data.len : 1);
    memcpy(data, m->data.base, m->data.len);
    m->data.base = data;
}

struct sim_raft_message *sim_raft_message_copy(const struct raft_message *m)
{
    struct sim_raft_message *copy = HF_NEW(struct sim_raft_message);
    copy->body = *m;
    if (m->type == RAFT_APPEND_ENTRIES)
        own_append_entries(&copy->body.append_entries);
    else if (m->type == RAFT_INSTALL_SNAPSHOT)
        own_install_snapshot(&copy->body.install_snapshot);
    return copy;
}

void sim_raft_message_free(struct sim_raft_message *m)
{
    if (m->body.type == RAFT_APPEND_ENTRIES && m->body.append_entries.n_entries > 0) {
        raft_free(m->body.append_entries.entries[0].batch);
        raft_free(m->body.append_entries.entries);
    } else if (m->body.type == RAFT_INSTALL_SNAPSHOT) {
        raft_configuration_close(&m->body.install_snapshot.conf);
        raft_free(m->body.install_snapshot.data.base);
    }
    free(m);
}

void sim_raft_message_given(struct sim_raft_message *m)
{
    free(m);
}
