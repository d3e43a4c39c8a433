/* What clients were told, as a register per object whose versions are revisions: is there one order that
 * explains it?
 *
 * Versions grow with real time, so that one number per object is enough: an operation must see at least (a
 * write: more than) the highest version that anybody had been told when it was invoked. That, with versions
 * of writes that are unique, is what linearizability asks for here; it needs no search. Where the store's
 * changes are told as well (applied), the floor is what had been committed when the operation was invoked,
 * and a read must show a revision that was.
 *
 * A request id stands for one write however often it is sent: its floor is that of the first time.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/checks_int.h"

typedef unsigned long long ull;

struct request {
    struct hf_uuid key;
    struct request *next; /* of the same object */
    uint64_t revision;    /* as acknowledged; 0: not yet */
    uint64_t floor;
    bool gone; /* its object was, when it was sent first */
};

struct reg {
    struct hf_uuid uuid;
    struct reg *next;
    uint64_t told;          /* highest version that anybody was told */
    bool created;           /* by a client, acknowledged */
    bool delete_sent, gone; /* a delete may have happened; somebody was told that there is none any more */
    size_t under_way;
    uint64_t *writes; /* acknowledged versions, sorted */
    size_t n_writes, writes_max;
    struct request *requests;
};

struct op {
    uint64_t number; /* 0: free */
    size_t next_free;
    enum sim_op_kind kind;
    unsigned client;
    struct reg *reg; /* NULL: a create */
    struct request *request;
    int64_t invoked_ns;
    uint64_t floor;
    bool gone;
};

struct sim_history {
    struct op *ops;
    size_t n_ops, ops_max, free_op; /* free_op: index + 1 */
    uint64_t last_number;
    struct hf_uuid_map regs, requests;
    struct reg *reg_list, **reg_end;
};

struct sim_history *sim_history_create(void)
{
    struct sim_history *h = HF_NEW(struct sim_history);
    h->reg_end = &h->reg_list;
    return h;
}

static void forget_requests(struct sim_history *h, struct reg *r, bool acknowledged_only)
{
    struct request **link = &r->requests;
    while (*link != NULL) {
        struct request *q = *link;
        if (acknowledged_only && q->revision == 0) { /* it may be sent again */
            link = &q->next;
            continue;
        }
        *link = q->next;
        hf_uuid_map_remove(&h->requests, &q->key);
        free(q);
    }
}

void sim_history_free(struct sim_history *h)
{
    for (struct reg *r = h->reg_list, *next; r != NULL; r = next) {
        next = r->next;
        forget_requests(h, r, false);
        free(r->writes);
        free(r);
    }
    for (size_t k = 0; k < h->requests.cap; k++) /* creates that nobody answered have no object */
        free(h->requests.slots[k].value);
    hf_uuid_map_done(&h->requests);
    hf_uuid_map_done(&h->regs);
    free(h->ops);
    free(h);
}

/* --- what is remembered --- */

static struct reg *reg_of(struct sim_history *h, const struct hf_uuid *uuid)
{
    struct reg *r = hf_uuid_map_get(&h->regs, uuid);
    if (r == NULL) {
        r = HF_NEW(struct reg);
        r->uuid = *uuid;
        hf_uuid_map_set(&h->regs, uuid, r);
        *h->reg_end = r;
        h->reg_end = &r->next;
    }
    return r;
}

static struct op *new_op(struct sim_history *h)
{
    if (h->free_op == 0) {
        if (h->n_ops == h->ops_max) {
            h->ops_max = h->ops_max > 0 ? 2 * h->ops_max : 64;
            h->ops = hf_realloc_array(h->ops, h->ops_max, sizeof *h->ops);
        }
        h->ops[h->n_ops] = (struct op){0};
        h->free_op = ++h->n_ops;
    }
    size_t slot = h->free_op - 1;
    struct op *o = &h->ops[slot];
    h->free_op = o->next_free;
    *o = (struct op){.number = ++h->last_number << 24 | slot};
    HF_ASSERT(slot < 1 << 24);
    return o;
}

static struct op *find_op(struct sim_history *h, uint64_t number)
{
    size_t slot = (size_t)(number & 0xffffff);
    HF_ASSERT(slot < h->n_ops && h->ops[slot].number == number); /* each operation ends once */
    return &h->ops[slot];
}

static void drop_op(struct sim_history *h, struct op *o)
{
    struct reg *r = o->reg;
    o->number = 0;
    o->next_free = h->free_op;
    h->free_op = (size_t)(o - h->ops) + 1;
    if (r == NULL || --r->under_way > 0 || !r->gone)
        return;
    forget_requests(h, r, true);
    free(r->writes);
    r->writes = NULL;
    r->n_writes = r->writes_max = 0;
}

static struct request *request_of(struct sim_history *h, const char *id, struct reg *r, const struct op *o)
{
    uint64_t a = sim_digest_text(SIM_DIGEST_EMPTY, id), b = sim_digest_text(a, id);
    struct hf_uuid key;
    memcpy(key.b, &a, 8);
    memcpy(key.b + 8, &b, 8);
    struct request *q = hf_uuid_map_get(&h->requests, &key);
    if (q != NULL)
        return q;
    q = HF_NEW(struct request);
    q->key = key;
    q->floor = o->floor;
    q->gone = o->gone;
    if (r != NULL) {
        q->next = r->requests;
        r->requests = q;
    }
    hf_uuid_map_set(&h->requests, &key, q);
    return q;
}

/* --- invoked --- */

static uint64_t committed(const struct sim_checks *c, const struct hf_uuid *uuid)
{
    const struct sim_object *o = sim_object_find(c, uuid);
    return o != NULL ? o->revision : 0;
}

uint64_t sim_checks_invoked(struct sim_checks *c, int64_t now_ns, unsigned client, enum sim_op_kind kind,
                            const struct hf_uuid *object, const char *request_id)
{
    struct sim_history *h = c->history;
    struct op *o = new_op(h);
    struct reg *r = object != NULL && !hf_uuid_is_zero(object) ? reg_of(h, object) : NULL;
    o->kind = kind;
    o->client = client;
    o->invoked_ns = now_ns;
    o->reg = r;
    if (r != NULL) {
        uint64_t revision = committed(c, &r->uuid);
        r->under_way++;
        r->delete_sent |= kind == SIM_OP_DELETE;
        o->floor = revision > r->told ? revision : r->told;
        o->gone = r->gone || (c->revision > 0 && r->told > 0 && revision == 0);
    }
    if (request_id[0] != '\0')
        o->request = request_of(h, request_id, r, o);
    return o->number;
}

/* --- returned --- */

struct sentence {
    char object[HF_UUID_STR], invoked[SIM_TIME_TEXT], now[SIM_TIME_TEXT];
};

static struct sentence words_of(const struct op *o, const struct reg *r, int64_t now_ns)
{
    struct sentence s;
    hf_uuid_format(&r->uuid, s.object);
    sim_time_text(o->invoked_ns, s.invoked);
    sim_time_text(now_ns, s.now);
    return s;
}

static const char *kind_text(enum sim_op_kind k)
{
    return k == SIM_OP_READ ? "read" : k == SIM_OP_WRITE ? "write" : "delete";
}

/* The answer is older than what was known before the question. */
static void judge_floor(struct sim_checks *c, int64_t now_ns, const struct op *o, const struct reg *r,
                        uint64_t revision)
{
    uint64_t floor = o->request != NULL ? o->request->floor : o->floor;
    bool gone = o->request != NULL ? o->request->gone : o->gone;
    struct sentence s = words_of(o, r, now_ns);
    if (gone)
        sim_violated(c, now_ns, SIM_RULE_LINEARIZABLE, sim_subject(&r->uuid),
                     "a %s of object %s by client %u from %s to %s was answered with revision %llu, but the "
                     "object had been deleted before",
                     kind_text(o->kind), s.object, o->client, s.invoked, s.now, (ull)revision);
    else if (o->kind == SIM_OP_READ ? revision < floor : revision <= floor)
        sim_violated(c, now_ns, SIM_RULE_LINEARIZABLE, sim_subject(&r->uuid),
                     "a %s of object %s by client %u from %s to %s was answered with revision %llu, but the "
                     "object had revision %llu before",
                     kind_text(o->kind), s.object, o->client, s.invoked, s.now, (ull)revision, (ull)floor);
}

/* A revision that nobody has made. */
static void judge_source(struct sim_checks *c, int64_t now_ns, const struct op *o, const struct reg *r,
                         uint64_t revision)
{
    const struct sim_object *x = sim_object_find(c, &r->uuid);
    struct sentence s = words_of(o, r, now_ns);
    if (c->revision == 0)
        return;
    if (revision > c->revision) {
        sim_violated(
            c, now_ns, SIM_RULE_LOST, sim_subject(&r->uuid),
            "a %s of object %s by client %u was answered at %s with revision %llu, which no node has "
            "applied",
            kind_text(o->kind), s.object, o->client, s.now, (ull)revision);
        return;
    }
    if (x == NULL || o->kind != SIM_OP_READ)
        return;
    bool older = x->n_seen > SIM_SEEN_MAX && revision < x->seen[x->n_seen % SIM_SEEN_MAX];
    for (size_t k = 0; k < SIM_SEEN_MAX && k < x->n_seen; k++)
        older |= x->seen[k] == revision;
    if (!older)
        sim_violated(
            c, now_ns, SIM_RULE_LINEARIZABLE, sim_subject(&r->uuid),
            "a read of object %s by client %u from %s to %s was answered with revision %llu, which is "
            "none of the object's",
            s.object, o->client, s.invoked, s.now, (ull)revision);
}

/* Position of the first acknowledged version that is not below this one. */
static size_t position_of(const struct reg *r, uint64_t revision)
{
    size_t low = 0, high = r->n_writes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->writes[middle] < revision)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_write(struct sim_checks *c, int64_t now_ns, const struct op *o, struct reg *r,
                      uint64_t revision)
{
    size_t at = position_of(r, revision);
    struct sentence s = words_of(o, r, now_ns);
    if (at < r->n_writes && r->writes[at] == revision) {
        sim_violated(c, now_ns, SIM_RULE_LINEARIZABLE, sim_subject(&r->uuid),
                     "two writes of object %s were acknowledged with revision %llu, the second one to client "
                     "%u at %s",
                     s.object, (ull)revision, o->client, s.now);
        return;
    }
    if (r->n_writes == r->writes_max) {
        r->writes_max = r->writes_max > 0 ? 2 * r->writes_max : 8;
        r->writes = hf_realloc_array(r->writes, r->writes_max, sizeof *r->writes);
    }
    memmove(&r->writes[at + 1], &r->writes[at], (r->n_writes - at) * sizeof *r->writes);
    r->writes[at] = revision;
    r->n_writes++;
}

static void returned_write(struct sim_checks *c, int64_t now_ns, const struct op *o, struct reg *r,
                           uint64_t revision)
{
    struct request *q = o->request;
    if (q != NULL && q->revision != 0) {
        struct sentence s = words_of(o, r, now_ns);
        if (q->revision != revision)
            sim_violated(c, now_ns, SIM_RULE_LINEARIZABLE, sim_subject(&r->uuid),
                         "one request for object %s was acknowledged with revision %llu and, at %s, with "
                         "revision %llu",
                         s.object, (ull)q->revision, s.now, (ull)revision);
        return;
    }
    if (q != NULL)
        q->revision = revision;
    judge_floor(c, now_ns, o, r, revision);
    judge_source(c, now_ns, o, r, revision);
    add_write(c, now_ns, o, r, revision);
}

static void returned_none(struct sim_checks *c, int64_t now_ns, const struct op *o, struct reg *r)
{
    struct sentence s = words_of(o, r, now_ns);
    bool stored = c->revision > 0 && sim_object_find(c, &r->uuid) != NULL;
    if (o->kind == SIM_OP_DELETE) {
        r->gone = true;
        return;
    }
    if (o->floor == 0)
        return; /* it may not have been there yet */
    if (stored || !r->delete_sent)
        sim_violated(c, now_ns, SIM_RULE_LINEARIZABLE, sim_subject(&r->uuid),
                     "a read of object %s by client %u from %s to %s found nothing, but it had revision %llu "
                     "before and %s",
                     s.object, o->client, s.invoked, s.now, (ull)o->floor,
                     stored ? "is there" : "nobody deleted it");
    r->gone = true;
}

void sim_checks_returned(struct sim_checks *c, int64_t now_ns, uint64_t op, const struct hf_uuid *object,
                         uint64_t revision)
{
    struct sim_history *h = c->history;
    struct op *o = find_op(h, op);
    sim_never_stop_tick(c, now_ns);
    struct reg *r = o->reg;
    if (r == NULL && object != NULL && !hf_uuid_is_zero(object)) {
        r = o->reg = reg_of(h, object); /* a create learns what it made */
        r->under_way++;
        r->created = true;
    }
    if (r != NULL && revision == 0) {
        returned_none(c, now_ns, o, r);
    } else if (r != NULL) {
        if (o->kind == SIM_OP_READ) {
            judge_floor(c, now_ns, o, r, revision);
            judge_source(c, now_ns, o, r, revision);
        } else {
            returned_write(c, now_ns, o, r, revision);
        }
        /* A write may be acknowledged with the revision of an operation that left the object as it was. */
        uint64_t at_most = c->revision > 0 ? committed(c, &r->uuid) : revision;
        uint64_t told = revision < at_most ? revision : at_most;
        r->told = told > r->told ? told : r->told;
    }
    drop_op(h, o);
}

void sim_checks_failed(struct sim_checks *c, int64_t now_ns, uint64_t op, bool may_have_happened)
{
    (void)may_have_happened; /* what did not happen is never told of: nothing rests on it */
    sim_never_stop_tick(c, now_ns);
    drop_op(c->history, find_op(c->history, op));
}

void sim_history_end(struct sim_checks *c, int64_t now_ns)
{
    char uuid[HF_UUID_STR];
    if (c->revision == 0)
        return;
    for (const struct reg *r = c->history->reg_list; r != NULL; r = r->next)
        if (r->created && !r->delete_sent && sim_object_find(c, &r->uuid) == NULL)
            sim_violated(c, now_ns, SIM_RULE_LOST, sim_subject(&r->uuid),
                         "object %s was created and acknowledged, nobody deleted it, and it is not there",
                         hf_uuid_format(&r->uuid, uuid));
}
