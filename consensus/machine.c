#include "consensus/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/mutant.h"

#define WHY_MAX      512   /* bytes of a guard's sentence */
#define SHORT_TXN    16    /* up to here a change is found by looking at each */
#define LOOKUP_SLOTS 16384 /* power of two, at least twice HF_TXN_OPS_MAX */
_Static_assert(LOOKUP_SLOTS >= 2 * HF_TXN_OPS_MAX, "the lookup table must stay half empty");

void hf_machine_init(struct hf_machine *m, const struct hf_guard *const *guards, size_t n_guards)
{
    *m = (struct hf_machine){.store = hf_store_create(),
                             .dedup = hf_dedup_create(),
                             .history = hf_history_create(),
                             .guards = guards,
                             .n_guards = n_guards,
                             .ops = hf_alloc_array(HF_TXN_OPS_MAX, sizeof(struct hf_op)),
                             .changes = hf_alloc_array(HF_TXN_OPS_MAX, sizeof(struct hf_change)),
                             .lookup = hf_alloc_array(LOOKUP_SLOTS, sizeof(uint32_t))};
}

void hf_machine_done(struct hf_machine *m)
{
    hf_store_free(m->store);
    hf_dedup_free(m->dedup);
    hf_history_free(m->history);
    free(m->ops);
    free(m->changes);
    free(m->lookup);
}

void hf_result_done(struct hf_txn_result *res)
{
    hf_bytes_unref(res->answer);
    free((char *)(uintptr_t)res->message);
    *res = (struct hf_txn_result){0};
}

size_t hf_machine_bytes(const struct hf_machine *m)
{
    const size_t per_object = 64, per_request = 32;
    return hf_store_total_bytes(m->store) + hf_store_total(m->store) * per_object + hf_dedup_bytes(m->dedup) +
           hf_dedup_count(m->dedup) * per_request;
}

/* --- what the transaction will change --- */

static uint32_t slot_of(const struct hf_uuid *uuid)
{
    uint64_t a, b;
    memcpy(&a, uuid->b, sizeof a);
    memcpy(&b, uuid->b + sizeof a, sizeof b);
    return (uint32_t)(((a ^ b) * 0x9e3779b97f4a7c15u) >> 40) & (LOOKUP_SLOTS - 1);
}

/* The place in `lookup` of a UUID's change, or the free one for it. A slot holds the change's number from 1.
 */
static uint32_t *probe(struct hf_machine *m, const struct hf_uuid *uuid)
{
    uint32_t i = slot_of(uuid);
    while (m->lookup[i] != 0 && !hf_uuid_equal(&m->changes[m->lookup[i] - 1].uuid, uuid))
        i = (i + 1) & (LOOKUP_SLOTS - 1);
    return &m->lookup[i];
}

static struct hf_change *find_change(struct hf_machine *m, const struct hf_uuid *uuid, bool is_long)
{
    if (is_long) {
        uint32_t number = *probe(m, uuid);
        return number == 0 ? NULL : &m->changes[number - 1];
    }
    for (size_t i = 0; i < m->n_changes; i++)
        if (hf_uuid_equal(&m->changes[i].uuid, uuid))
            return &m->changes[i];
    return NULL;
}

/* One change per object: of several operations on it the last counts. */
static void collect_changes(struct hf_machine *m, uint32_t n_ops, bool is_long)
{
    m->n_changes = 0;
    for (uint32_t i = 0; i < n_ops; i++) {
        const struct hf_op *op = &m->ops[i];
        if (op->type == HF_OP_CHECK)
            continue;
        struct hf_change *c = find_change(m, &op->uuid, is_long);
        if (c == NULL) {
            if (is_long)
                *probe(m, &op->uuid) = (uint32_t)m->n_changes + 1;
            c = &m->changes[m->n_changes++];
            c->uuid = op->uuid;
            c->before = hf_store_get(m->store, &op->uuid);
        }
        c->kind = op->type == HF_OP_PUT ? op->kind : c->before == NULL ? 0 : c->before->kind;
        c->name = op->type == HF_OP_PUT ? op->name : NULL;
        c->after = op->type == HF_OP_PUT ? op->data : NULL;
        c->after_len = op->type == HF_OP_PUT ? op->data_len : 0;
    }
}

static void forget_lookup(struct hf_machine *m, bool is_long)
{
    if (is_long)
        memset(m->lookup, 0, LOOKUP_SLOTS * sizeof *m->lookup);
}

/* --- whether it may --- */

/* A refused transaction changes nothing and is not remembered: repeated after a change it may well apply. */
#define REFUSE(res, result_code, uuid, ...)                                                                  \
    do {                                                                                                     \
        (res)->code = (result_code);                                                                         \
        (res)->subject = *(uuid);                                                                            \
        (res)->message = hf_printf(__VA_ARGS__);                                                             \
        return false;                                                                                        \
    } while (0)

static bool check_revisions(struct hf_machine *m, uint32_t n_ops, struct hf_txn_result *res)
{
    char text[HF_UUID_STR];
    for (uint32_t i = 0; i < n_ops; i++) {
        const struct hf_op *op = &m->ops[i];
        if (op->type != HF_OP_CHECK)
            continue;
        const struct hf_object *o = hf_store_get(m->store, &op->uuid);
        uint64_t now = o == NULL ? 0 : o->revision;
        if (now == op->revision || (HF_MUTANT(REVISION_UNCHECKED) && o != NULL))
            continue;
        if (op->revision == 0)
            REFUSE(res, HF_CONFLICT, &op->uuid, "object %s ('%s') exists already, at revision %llu",
                   hf_uuid_format(&op->uuid, text), o->name, (unsigned long long)now);
        if (o == NULL)
            REFUSE(res, HF_CONFLICT, &op->uuid,
                   "object %s is gone; the request expected revision %llu: read again",
                   hf_uuid_format(&op->uuid, text), (unsigned long long)op->revision);
        REFUSE(res, HF_CONFLICT, &op->uuid, "'%s' is at revision %llu, the request expected %llu: read again",
               o->name, (unsigned long long)now, (unsigned long long)op->revision);
    }
    return true;
}

static bool renames(const struct hf_change *c)
{
    return c->after != NULL && (c->before == NULL || strcmp(c->before->name, c->name) != 0);
}

static int by_kind_and_name(const void *a, const void *b)
{
    const struct hf_change *x = *(const struct hf_change *const *)a, *y = *(const struct hf_change *const *)b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bool check_names_inside(struct hf_machine *m, size_t n_named, struct hf_txn_result *res)
{
    const struct hf_change **named = hf_alloc_array(n_named, sizeof *named);
    size_t n = 0;
    for (size_t i = 0; i < m->n_changes; i++)
        if (renames(&m->changes[i]))
            named[n++] = &m->changes[i];
    qsort(named, n, sizeof *named, by_kind_and_name);
    const struct hf_change *twice = NULL;
    for (size_t i = 1; i < n && twice == NULL; i++)
        if (by_kind_and_name(&named[i - 1], &named[i]) == 0)
            twice = named[i];
    free(named);
    if (twice != NULL)
        REFUSE(res, HF_EXISTS, &twice->uuid, "the name '%s' is given to two objects at once", twice->name);
    return true;
}

static bool check_names(struct hf_machine *m, bool is_long, struct hf_txn_result *res)
{
    size_t n_named = 0;
    for (size_t i = 0; i < m->n_changes; i++) {
        const struct hf_change *c = &m->changes[i];
        if (c->after != NULL && c->before != NULL && c->before->kind != c->kind)
            REFUSE(res, HF_INVALID, &c->uuid,
                   "'%s' is an object of kind %u: its UUID cannot become one of kind %u", c->before->name,
                   c->before->kind, c->kind);
        if (!renames(c))
            continue;
        n_named++;
        const struct hf_object *holder = hf_store_by_name(m->store, c->kind, c->name);
        if (holder == NULL)
            continue;
        /* Free after all if its holder goes or is renamed by this transaction. */
        const struct hf_change *h = find_change(m, &holder->uuid, is_long);
        if (h == NULL || (h->after != NULL && strcmp(h->name, c->name) == 0))
            REFUSE(res, HF_EXISTS, &holder->uuid, "the name '%s' is taken", c->name);
    }
    return n_named < 2 || check_names_inside(m, n_named, res);
}

static bool ask_guards(struct hf_machine *m, struct hf_txn_result *res)
{
    struct hf_guard_view view = {.store = m->store, .changes = m->changes, .n_changes = m->n_changes};
    for (size_t i = 0; i < m->n_changes; i++) {
        const struct hf_change *c = &m->changes[i];
        if (c->before == NULL && c->after == NULL)
            continue; /* deletes nothing */
        for (size_t g = 0; g < m->n_guards; g++) {
            char why[WHY_MAX] = "";
            const struct hf_guard *guard = m->guards[g];
            if ((guard->kinds >> c->kind & 1) == 0 || guard->allow(guard, &view, c, why, sizeof why))
                continue;
            REFUSE(res, HF_PRECONDITION, &c->uuid, "%s", why);
        }
    }
    return true;
}

/* --- doing it --- */

static void make_changes(struct hf_machine *m, uint32_t answer, struct hf_txn_result *res)
{
    uint64_t revision = hf_store_revision(m->store) + 1;
    bool changed = false;
    /* Old names go first: two objects may exchange theirs. */
    for (size_t i = 0; i < m->n_changes; i++)
        if (m->changes[i].before != NULL && (m->changes[i].after == NULL || renames(&m->changes[i])))
            hf_store_unname(m->store, m->changes[i].before);
    for (size_t i = 0; i < m->n_changes; i++) {
        struct hf_change *c = &m->changes[i];
        if (c->after != NULL) {
            struct hf_bytes *bytes = hf_bytes_copy(c->after, c->after_len);
            const struct hf_object *o = hf_store_put(m->store, c->kind, &c->uuid, c->name, bytes, revision);
            hf_history_add(m->history, revision, c->kind, &c->uuid, hf_object_name_bytes(o), bytes);
            if (answer != 0 && hf_uuid_equal(&m->ops[answer - 1].uuid, &c->uuid))
                res->answer = hf_bytes_ref(bytes);
        } else if (c->before != NULL) {
            hf_history_add(m->history, revision, c->kind, &c->uuid, hf_object_name_bytes(c->before), NULL);
            hf_store_remove(m->store, c->before);
        } else {
            continue;
        }
        changed = true;
    }
    if (changed)
        hf_store_set_revision(m->store, revision);
}

/* True when the request id is known: answered from memory, or refused. */
static bool repeat(struct hf_machine *m, const struct hf_txn_view *v, struct hf_txn_result *res)
{
    if (v->request_id_len == 0 || HF_MUTANT(DEDUP_FORGOTTEN))
        return false;
    const struct hf_dedup_entry *e = hf_dedup_find(m->dedup, v->request_id, v->request_id_len);
    if (e == NULL)
        return false;
    if (e->request_hash != v->request_hash) {
        res->code = HF_INVALID;
        res->message =
            hf_printf("request id '%s' was used for another request: take a new one", v->request_id);
        return true;
    }
    res->repeated = true;
    res->revision = e->revision;
    res->answer = e->answer == NULL ? NULL : hf_bytes_ref(e->answer);
    return true;
}

static void apply(struct hf_machine *m, const struct hf_txn_view *v, struct hf_txn_result *res)
{
    bool is_long = v->n_ops > SHORT_TXN;
    res->revision = hf_store_revision(m->store);
    if (repeat(m, v, res))
        return;
    collect_changes(m, v->n_ops, is_long);
    if (check_revisions(m, v->n_ops, res) && check_names(m, is_long, res) && ask_guards(m, res)) {
        make_changes(m, v->answer, res);
        res->revision = hf_store_revision(m->store);
        if (v->request_id_len > 0)
            hf_dedup_add(m->dedup, v->request_id, v->request_id_len, v->request_hash, res->revision,
                         res->answer);
    }
    forget_lookup(m, is_long);
}

bool hf_machine_apply(struct hf_machine *m, const uint8_t *p, size_t len, size_t *ret_used,
                      struct hf_txn_result *ret)
{
    struct hf_txn_view v;
    if (!hf_txn_decode(p, len, &v, m->ops, ret_used))
        return false;
    struct hf_txn_result res = {.code = HF_OK};
    apply(m, &v, &res);
    if (ret != NULL)
        *ret = res;
    else
        hf_result_done(&res);
    return true;
}
