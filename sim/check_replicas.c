/* Nodes that apply the same revision apply the same changes, and what was applied once is never applied
 * otherwise. */
#include <inttypes.h>

#include "base/assert.h"
#include "sim/checks_int.h"

#define LAG_NS (5000 * SIM_MS_NS) /* a node that was left alone has applied what another had so long ago */

typedef unsigned long long ull;

static struct sim_revision *slot_of(struct sim_checks *c, uint64_t revision)
{
    return &c->revisions[revision & (SIM_REVISIONS - 1)];
}

static void judge_digest(struct sim_checks *c, int64_t now_ns, unsigned node, uint64_t revision,
                         uint64_t digest, int64_t first_ns)
{
    struct sim_revision *s = slot_of(c, revision);
    if (s->revision > revision)
        return; /* too long ago */
    if (s->revision < revision) {
        *s = (struct sim_revision){revision, digest, first_ns};
        return;
    }
    if (s->digest != digest)
        sim_violated(c, now_ns, SIM_RULE_LOST, revision,
                     "node n%u applied %s as revision %llu, other than the first node that had applied it",
                     node + 1, digest == 0 ? "nothing" : "changes", (ull)revision);
}

/* The node has applied all of its present revision, and none between that and the next. */
static void close_revision(struct sim_checks *c, int64_t now_ns, unsigned node, uint64_t next)
{
    struct sim_replica *r = &c->replicas[node];
    judge_digest(c, now_ns, node, r->revision, r->digest, r->first_ns);
    uint64_t from = r->revision + 1;
    if (next - from > SIM_REVISIONS)
        from = next - SIM_REVISIONS;
    for (; from < next; from++)
        judge_digest(c, now_ns, node, from, 0, now_ns);
}

static uint64_t change_digest(uint32_t kind, const struct hf_uuid *uuid, const uint8_t *bytes, size_t len)
{
    uint64_t d = sim_digest_bytes(sim_digest_u64(SIM_DIGEST_EMPTY, kind), uuid->b, sizeof uuid->b);
    return bytes != NULL ? sim_digest_bytes(d, bytes, len) : sim_digest_u64(d, 1);
}

void sim_checks_applied(struct sim_checks *c, int64_t now_ns, unsigned node, uint64_t revision, uint32_t kind,
                        const struct hf_uuid *uuid, const uint8_t *bytes, size_t len)
{
    HF_ASSERT(node < SIM_NODES_KNOWN && revision > 0);
    struct sim_replica *r = &c->replicas[node];
    sim_never_stop_tick(c, now_ns);
    if (r->known && revision < r->revision) {
        sim_violated(c, now_ns, SIM_RULE_LOST, revision, "node n%u applied revision %llu after revision %llu",
                     node + 1, (ull)revision, (ull)r->revision);
        return;
    }
    if (!r->known || revision > r->revision) {
        if (r->known)
            close_revision(c, now_ns, node, revision);
        *r = (struct sim_replica){.known = true, .revision = revision, .first_ns = now_ns};
    }
    r->digest += change_digest(kind, uuid, bytes, len); /* in any order */
    if (revision > c->revision)
        sim_store_flush(c, now_ns);
    if (revision > c->revision || (revision == c->revision && c->revision_node < 0)) {
        c->revision = revision;
        c->revision_node = node;
    }
    if (revision == c->revision && c->revision_node == (int64_t)node)
        sim_store_apply(c, now_ns, revision, kind, uuid, bytes, len);
}

/* It may have been lost in the middle of a revision, whose other changes another node will tell. */
void sim_checks_node_reset(struct sim_checks *c, unsigned node)
{
    HF_ASSERT(node < SIM_NODES_KNOWN);
    c->replicas[node] = (struct sim_replica){0};
    if (c->revision_node == (int64_t)node)
        c->revision_node = -1;
}

/* A revision that this node lacks and another had long ago, or 0. */
static uint64_t missing(struct sim_checks *c, int64_t now_ns, uint64_t after)
{
    for (uint64_t v = after + 1; v <= c->revision; v++) {
        const struct sim_revision *s = slot_of(c, v);
        if (s->revision == v && s->digest != 0)
            return now_ns - s->first_ns > LAG_NS ? v : 0;
    }
    return 0;
}

void sim_replicas_end(struct sim_checks *c, int64_t now_ns)
{
    for (unsigned n = 0; n < SIM_NODES_KNOWN; n++)
        if (c->replicas[n].known)
            close_revision(c, now_ns, n, c->replicas[n].revision + 1);
    for (unsigned n = 0; n < SIM_NODES_KNOWN; n++) {
        const struct sim_replica *r = &c->replicas[n];
        uint64_t v = r->known ? missing(c, now_ns, r->revision) : 0;
        if (v != 0)
            sim_violated(c, now_ns, SIM_RULE_CONVERGES, SIM_DIGEST_EMPTY + n,
                         "node n%u has applied nothing after revision %llu, others have revision %llu", n + 1,
                         (ull)r->revision, (ull)c->revision);
    }
}
