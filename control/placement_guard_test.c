/* The guard against an oracle that is written the other way round: every combination of what a placement was and becomes, in
 * every state of host and fence; then fixed cases with their sentences; then random transactions with the invariants of
 * DESIGN.md section 5 checked after each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/mem.h"
#include "consensus/machine.h"
#include "consensus/store_write.h"
#include "control/placement_guard.h"
#include "holdfast/v1/infra.pb-c.h"

typedef Holdfast__V1__Instance Instance;
typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__Fence Fence;
typedef Holdfast__V1__Evidence Evidence;
typedef Holdfast__V1__Placement Placement;
typedef Holdfast__V1__Placement__End End;
#define EVIDENCE(name) HOLDFAST__V1__EVIDENCE__KIND__##name
#define END(name) HOLDFAST__V1__PLACEMENT__END__KIND__##name
#define KIND(name) HOLDFAST__V1__KIND__##name

#define H1 "11111111111111111111111111111111"
#define H2 "22222222222222222222222222222222"
#define H3 "33333333333333333333333333333333" /* never exists */
#define S1 "51515151515151515151515151515151"
#define S2 "52525252525252525252525252525252"
#define I1 "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"

/* --- objects and changes --- */

static struct hf_uuid uuid_of(const char *text)
{
    struct hf_uuid u;
    assert_true(hf_uuid_parse(text, &u));
    return u;
}

static struct hf_bytes *packed(const ProtobufCMessage *m)
{
    struct hf_bytes *b = hf_bytes_new(protobuf_c_message_get_packed_size(m));
    protobuf_c_message_pack(m, b->data);
    return b;
}

/* A store that is filled without asking any guard. */
struct bench {
    struct hf_store *store;
    char why[512];
};

static void bench_start(struct bench *b)
{
    *b = (struct bench){.store = hf_store_create()};
}

static void bench_stop(struct bench *b)
{
    hf_store_free(b->store);
}

static void stored(struct bench *b, uint32_t kind, const char *uuid, const char *name, const ProtobufCMessage *m)
{
    struct hf_uuid u = uuid_of(uuid);
    hf_store_put(b->store, kind, &u, name, packed(m), 1);
}

/* Asks the guard about a transaction that changes one object (m NULL: deletes it). */
static bool allowed(struct bench *b, uint32_t kind, const char *uuid, const char *name, const ProtobufCMessage *m)
{
    struct hf_uuid u = uuid_of(uuid);
    struct hf_bytes *bytes = m != NULL ? packed(m) : NULL;
    struct hf_change c = {
        .kind = kind,
        .uuid = u,
        .name = m != NULL ? name : NULL,
        .before = hf_store_get_kind(b->store, kind, &u),
        .after = bytes != NULL ? bytes->data : NULL,
        .after_len = bytes != NULL ? bytes->len : 0,
    };
    struct hf_guard_view v = {.store = b->store, .changes = &c, .n_changes = 1};
    b->why[0] = '\0';
    bool ok = hf_placement_guard.allow(&hf_placement_guard, &v, &c, b->why, sizeof b->why);
    assert_true(ok == (b->why[0] == '\0'));
    hf_bytes_unref(bytes);
    return ok;
}

/* Holds the parts of one instance, so that it can be built on the stack. */
struct instance {
    Instance m;
    Holdfast__V1__Meta meta;
    Holdfast__V1__InstanceSpec spec;
    Placement placement;
    End end;
    char *storages[2];
};

static ProtobufCMessage *instance(struct instance *i, const char *host, uint64_t epoch, uint64_t run, const char *storage)
{
    holdfast__v1__instance__init(&i->m);
    holdfast__v1__meta__init(&i->meta);
    holdfast__v1__instance_spec__init(&i->spec);
    holdfast__v1__placement__init(&i->placement);
    holdfast__v1__placement__end__init(&i->end);
    i->m.meta = &i->meta;
    i->m.spec = &i->spec;
    i->meta.uuid = I1;
    i->meta.name = "vm";
    i->storages[0] = (char *)storage;
    i->spec.storage_uuids = i->storages;
    i->spec.n_storage_uuids = 1;
    if (host != NULL) {
        i->m.placement = &i->placement;
        i->placement.host_uuid = (char *)host;
        i->placement.epoch = epoch;
        i->placement.run = run;
    }
    return &i->m.base;
}

static void ended(struct instance *i, int kind, const char *host, uint64_t epoch, uint64_t run)
{
    i->placement.end = &i->end;
    i->end.kind = (Holdfast__V1__Placement__End__Kind)kind;
    i->end.host_uuid = (char *)host;
    i->end.epoch = epoch;
    i->end.run = run;
}

static void store_host(struct bench *b, const char *uuid, const char *name, uint64_t epoch)
{
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    h.status = &st;
    st.epoch = epoch;
    st.watchdog = "hardware";
    stored(b, KIND(HOST), uuid, name, &h.base);
}

struct fence {
    Fence m;
    Evidence e[3], *list[3];
    char *storages[3];
    char name[HF_FENCE_NAME_MAX], uuid[HF_UUID_STR];
};

static ProtobufCMessage *fence(struct fence *f, const char *host, uint64_t epoch)
{
    holdfast__v1__fence__init(&f->m);
    f->m.host_uuid = (char *)host;
    f->m.epoch = epoch;
    f->m.evidence = f->list;
    hf_fence_name(host, epoch, f->name);
    struct hf_uuid u = hf_fence_uuid(host, epoch);
    hf_uuid_format(&u, f->uuid);
    return &f->m.base;
}

static Evidence *evidence(struct fence *f, int kind, const char *storage)
{
    size_t i = f->m.n_evidence++;
    Evidence *e = &f->e[i];
    holdfast__v1__evidence__init(e);
    f->list[i] = e;
    e->kind = (Holdfast__V1__Evidence__Kind)kind;
    e->host_uuid = f->m.host_uuid;
    e->epoch = f->m.epoch;
    e->detail = "seen";
    if (kind == (int)EVIDENCE(SILENCE)) {
        e->observer_host_uuid = H2;
        e->required_ms = 20000;
        e->silent_ms = 20001;
    }
    f->storages[i] = (char *)storage;
    if (storage != NULL) {
        e->storage_uuids = &f->storages[i];
        e->n_storage_uuids = 1;
    }
    return e;
}

/* --- exhaustive: one instance, before × after × host × fence --- */

enum fence_case { NO_FENCE, BARE_FENCE, SILENT_S1, SILENT_S2, KILLED_S1, KILLED_S2, OPERATORS_WORD, NEXT_GRANTED, FENCE_CASES };
enum end_case { OPEN, STOPPED_FITS, STOPPED_HOST, STOPPED_EPOCH, STOPPED_RUN, FENCED_FITS, FENCED_EPOCH, FENCED_RUN, END_UNKNOWN,
                END_CASES };

static void store_fence_case(struct bench *b, enum fence_case fc, uint64_t epoch)
{
    struct fence f;
    if (fc == NO_FENCE)
        return;
    ProtobufCMessage *m = fence(&f, H1, epoch);
    if (fc == SILENT_S1 || fc == SILENT_S2)
        evidence(&f, EVIDENCE(SILENCE), fc == SILENT_S1 ? S1 : S2);
    else if (fc == KILLED_S1 || fc == KILLED_S2)
        evidence(&f, EVIDENCE(CLOSED_AND_KILLED), fc == KILLED_S1 ? S1 : S2);
    else if (fc == OPERATORS_WORD)
        evidence(&f, EVIDENCE(OPERATOR), NULL);
    else if (fc == NEXT_GRANTED)
        evidence(&f, EVIDENCE(NEXT_EPOCH), NULL);
    stored(b, KIND(FENCE), f.uuid, f.name, m);
}

static void apply_end_case(struct instance *i, enum end_case ec, const char *host, uint64_t epoch, uint64_t run)
{
    bool stop = ec >= STOPPED_FITS && ec <= STOPPED_RUN;
    int kind = ec == END_UNKNOWN ? (int)END(KIND_UNSPECIFIED) : stop ? (int)END(STOPPED) : (int)END(FENCED);
    if (ec == OPEN)
        return;
    ended(i, kind, ec == STOPPED_HOST ? H2 : host, ec == STOPPED_EPOCH || ec == FENCED_EPOCH ? epoch + 1 : epoch,
          ec == STOPPED_RUN || ec == FENCED_RUN ? run + 1 : run);
}

struct shape {
    const char *host; /* NULL: no placement */
    uint64_t epoch, run;
    enum end_case end;
};

static bool same_shape(const struct shape *a, const struct shape *b)
{
    return a->host == b->host && a->epoch == b->epoch && a->run == b->run;
}

/* What rule 5 says, read from the rule and not from the code. before is (H1, 2, 5) or none; disks on S1. */
static bool oracle(const struct shape *before, const struct shape *after, uint64_t h1_epoch, enum fence_case fc)
{
    bool proven = h1_epoch > 2 || fc == SILENT_S1 || fc == KILLED_S1 || fc == OPERATORS_WORD || fc == NEXT_GRANTED;
    bool new_ok = after->host != NULL && after->end == OPEN &&
                  ((after->host == (const char *)H1 && after->epoch == h1_epoch && !(fc != NO_FENCE && h1_epoch == 2)) ||
                   (after->host == (const char *)H2 && after->epoch == 1));
    if (before->host == NULL)
        return after->host == NULL || new_ok;
    if (same_shape(before, after)) {
        if (before->end != OPEN)
            return after->end == before->end;
        return after->end == OPEN || after->end == STOPPED_FITS || (after->end == FENCED_FITS && proven);
    }
    return before->end != OPEN && new_ok && after->run > before->run;
}

static void check_shapes(const struct shape *before, const struct shape *after, uint64_t h1_epoch, enum fence_case fc)
{
    struct bench b;
    struct instance old, new;
    bench_start(&b);
    store_host(&b, H1, "host-1", h1_epoch);
    store_host(&b, H2, "host-2", 1);
    store_fence_case(&b, fc, 2);
    ProtobufCMessage *o = instance(&old, before->host, before->epoch, before->run, S1);
    if (before->host != NULL)
        apply_end_case(&old, before->end, before->host, before->epoch, before->run);
    stored(&b, KIND(INSTANCE), I1, "vm", o);
    ProtobufCMessage *n = instance(&new, after->host, after->epoch, after->run, S1);
    if (after->host != NULL)
        apply_end_case(&new, after->end, after->host, after->epoch, after->run);
    bool want = oracle(before, after, h1_epoch, fc);
    bool got = allowed(&b, KIND(INSTANCE), I1, "vm", n);
    if (want != got)
        print_error("before %.2s/%d/%d end %d, after %.2s/%d/%d end %d, epoch %d, fence %d: %s\n",
                    before->host != NULL ? before->host : "--", (int)before->epoch, (int)before->run, before->end,
                    after->host != NULL ? after->host : "--", (int)after->epoch, (int)after->run, after->end, (int)h1_epoch,
                    fc, b.why);
    assert_int_equal(want, got);
    bench_stop(&b);
}

static void every_change_of_a_placement(void **state)
{
    (void)state;
    static const struct shape befores[] = {
        {NULL, 0, 0, OPEN}, {H1, 2, 5, OPEN}, {H1, 2, 5, STOPPED_FITS}, {H1, 2, 5, FENCED_FITS}};
    static const char *const hosts[] = {NULL, H1, H2, H3};
    unsigned n = 0;
    for (size_t b = 0; b < sizeof befores / sizeof befores[0]; b++)
        for (size_t h = 0; h < 4; h++)
            for (uint64_t epoch = 0; epoch <= 4; epoch++)
                for (uint64_t run = 4; run <= 7; run++)
                    for (int end = OPEN; end < END_CASES; end++)
                        for (uint64_t h1_epoch = 2; h1_epoch <= 3; h1_epoch++)
                            for (int fc = NO_FENCE; fc < FENCE_CASES; fc++, n++) {
                                struct shape after = {hosts[h], epoch, run, (enum end_case)end};
                                check_shapes(&befores[b], &after, h1_epoch, (enum fence_case)fc);
                            }
    assert_true(n > 40000);
}

/* --- fixed cases --- */

static void an_open_instance_is_not_deleted(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 5, S1));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", NULL));
    assert_string_equal(b.why, "delete instance 'vm': run 5 on host " H1 " (epoch 2) is not proven over");
    ProtobufCMessage *m = instance(&i, H1, 2, 5, S1);
    ended(&i, END(STOPPED), H1, 2, 5);
    stored(&b, KIND(INSTANCE), I1, "vm", m);
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", NULL));
    bench_stop(&b);
}

static void storages_stay_while_a_run_is_open(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 5, S1));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 5, S2)));
    assert_non_null(strstr(b.why, "storages cannot change while run 5 may run"));
    /* Not in the transaction that ends it either: the evidence was about the old ones. */
    ProtobufCMessage *m = instance(&i, H1, 2, 5, S2);
    ended(&i, END(STOPPED), H1, 2, 5);
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    bench_stop(&b);
}

static void an_instance_is_placed_once_it_has_been_named(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, NULL, 0, 0, S1)));
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 1, S1)));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 0, S1)));
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, "", 2, 1, S1)));
    /* Another spelling of a host would be looked up under another fence. */
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, "11111111-1111-1111-1111-111111111111", 2, 1, S1)));
    bench_stop(&b);
}

static void an_end_names_the_fence_of_its_host(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    struct fence f, other;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    store_host(&b, H2, "host-2", 1);
    ProtobufCMessage *m = fence(&f, H1, 2);
    evidence(&f, EVIDENCE(OPERATOR), NULL);
    stored(&b, KIND(FENCE), f.uuid, f.name, m);
    fence(&other, H2, 1);
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 5, S1));
    m = instance(&i, H1, 2, 5, S1);
    ended(&i, END(FENCED), H1, 2, 5);
    i.end.fence_uuid = f.uuid;
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    i.end.fence_uuid = other.uuid;
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", m));
    bench_stop(&b);
}

static bool host_to(struct bench *b, const char *uuid, uint64_t epoch)
{
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    h.status = &st;
    st.epoch = epoch;
    return allowed(b, KIND(HOST), uuid, "host-1", &h.base);
}

static void epochs_grow_by_one_over_a_proven_end(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b);
    assert_true(host_to(&b, H1, 0));
    assert_false(host_to(&b, H1, 1)); /* a new host has none */
    store_host(&b, H1, "host-1", 0);
    assert_true(host_to(&b, H1, 0));
    assert_true(host_to(&b, H1, 1));
    store_host(&b, H1, "host-1", 2);
    assert_true(host_to(&b, H1, 2));
    assert_false(host_to(&b, H1, 1));
    assert_false(host_to(&b, H1, 0));
    assert_false(host_to(&b, H1, 4));
    assert_false(host_to(&b, H1, 3)); /* nothing says that epoch 2 is over */
    assert_string_equal(b.why, "host 'host-1': epoch 2 must be fenced with evidence before the next one is granted");
    store_fence_case(&b, BARE_FENCE, 2);
    assert_false(host_to(&b, H1, 3));
    store_fence_case(&b, NEXT_GRANTED, 2);
    assert_true(host_to(&b, H1, 3));
    store_fence_case(&b, BARE_FENCE, 3);
    assert_false(host_to(&b, H1, 3));
    store_host(&b, H1, "host-1", 0); /* deleted and added again: an epoch that is fenced is not granted twice */
    assert_false(host_to(&b, H1, 2));
    assert_true(host_to(&b, H1, 4));
    bench_stop(&b);
}

static void a_host_is_deleted_when_nothing_can_run_there(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    assert_true(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H2, 1, 5, S1));
    assert_true(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    stored(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 2, 6, S1));
    assert_false(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    assert_non_null(strstr(b.why, "instance 'vm' may still run there"));
    store_fence_case(&b, BARE_FENCE, 2);
    assert_false(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    store_fence_case(&b, OPERATORS_WORD, 2);
    assert_true(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    bench_stop(&b);
}

static bool put_fence(struct bench *b, struct fence *f)
{
    return allowed(b, KIND(FENCE), f->uuid, f->name, &f->m.base);
}

static void fences_are_for_ever(void **state)
{
    (void)state;
    struct bench b;
    struct fence f, g;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    fence(&f, H1, 2);
    assert_true(put_fence(&b, &f));
    fence(&f, H1, 3);
    assert_false(put_fence(&b, &f)); /* not granted yet */
    fence(&f, H1, 0);
    assert_false(put_fence(&b, &f));
    fence(&f, H3, 1);
    assert_false(put_fence(&b, &f)); /* no such host */
    fence(&f, H1, 2);
    snprintf(f.name, sizeof f.name, "%s/1", H1);
    assert_false(put_fence(&b, &f));

    ProtobufCMessage *m = fence(&f, H1, 2);
    evidence(&f, EVIDENCE(CLOSED_AND_KILLED), S1);
    stored(&b, KIND(FENCE), f.uuid, f.name, m);
    assert_false(allowed(&b, KIND(FENCE), f.uuid, f.name, NULL));
    assert_non_null(strstr(b.why, "for ever"));
    evidence(&f, EVIDENCE(SILENCE), S2);
    assert_true(put_fence(&b, &f)); /* one more */
    fence(&g, H1, 2);
    assert_false(put_fence(&b, &g)); /* none */
    evidence(&g, EVIDENCE(CLOSED_AND_KILLED), S2);
    assert_false(put_fence(&b, &g)); /* another */
    fence(&g, H1, 2);
    g.m.epoch = 1;
    assert_false(put_fence(&b, &g));
    bench_stop(&b);
}

static bool one_piece(struct bench *b, int kind, void (*spoil)(Evidence *e))
{
    struct fence f;
    fence(&f, H1, 2);
    Evidence *e = evidence(&f, kind, S1);
    if (spoil != NULL)
        spoil(e);
    return put_fence(b, &f);
}

static void other_host(Evidence *e)
{
    e->host_uuid = H2;
}
static void other_epoch(Evidence *e)
{
    e->epoch = 1;
}
static void too_short(Evidence *e)
{
    e->silent_ms = e->required_ms - 1;
}
static void no_bound(Evidence *e)
{
    e->required_ms = 0;
}
static void no_observer(Evidence *e)
{
    e->observer_host_uuid = "";
}
static void no_statement(Evidence *e)
{
    e->detail = "";
}

static void evidence_is_about_its_own_fence(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    store_host(&b, H2, "host-2", 1);
    assert_true(one_piece(&b, EVIDENCE(CLOSED_AND_KILLED), NULL));
    assert_false(one_piece(&b, EVIDENCE(CLOSED_AND_KILLED), other_host));
    assert_false(one_piece(&b, EVIDENCE(CLOSED_AND_KILLED), other_epoch));
    assert_true(one_piece(&b, EVIDENCE(SILENCE), NULL));
    assert_false(one_piece(&b, EVIDENCE(SILENCE), too_short));
    assert_false(one_piece(&b, EVIDENCE(SILENCE), no_bound));
    assert_false(one_piece(&b, EVIDENCE(SILENCE), no_observer));
    assert_true(one_piece(&b, EVIDENCE(OPERATOR), NULL));
    assert_false(one_piece(&b, EVIDENCE(OPERATOR), no_statement));
    assert_false(one_piece(&b, EVIDENCE(NEXT_EPOCH), NULL)); /* epoch 3 was not granted */
    assert_false(one_piece(&b, EVIDENCE(KIND_UNSPECIFIED), NULL));
    assert_false(one_piece(&b, 77, NULL));
    store_host(&b, H1, "host-1", 3);
    assert_true(one_piece(&b, EVIDENCE(NEXT_EPOCH), NULL));
    bench_stop(&b);
}

static void silence_needs_a_watchdog(void **state)
{
    (void)state;
    static const struct {
        const char *watchdog;
        bool counts;
    } cases[] = {{"hardware", true}, {"stand-in", true}, {"none", false}, {"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench b;
        bench_start(&b);
        Host h = HOLDFAST__V1__HOST__INIT;
        Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
        h.status = &st;
        st.epoch = 2;
        st.watchdog = (char *)cases[i].watchdog;
        stored(&b, KIND(HOST), H1, "host-1", &h.base);
        assert_int_equal(one_piece(&b, EVIDENCE(SILENCE), NULL), cases[i].counts);
        bench_stop(&b);
    }
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b);
    store_host(&b, H1, "host-1", 2);
    static const uint32_t kinds[] = {KIND(INSTANCE), KIND(HOST), KIND(FENCE)};
    for (size_t i = 0; i < 3; i++) {
        static const uint8_t junk[] = {0xff, 0xff, 0xff};
        struct hf_change c = {.kind = kinds[i], .uuid = uuid_of(I1), .name = "x", .after = junk, .after_len = sizeof junk};
        struct hf_guard_view v = {.store = b.store, .changes = &c, .n_changes = 1};
        assert_false(hf_placement_guard.allow(&hf_placement_guard, &v, &c, b.why, sizeof b.why));
    }
    bench_stop(&b);
}

/* --- random: two hosts, three instances, transactions of one to three changes --- */

#define RANDOM_STEPS 60000
#define INSTANCES 3

static uint64_t seed;
static unsigned roll(unsigned n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % n;
}

static const char *const host_names[2] = {H1, H2};
static const char *const instance_names[INSTANCES] = {"vm-0", "vm-1", "vm-2"};
static char instance_uuids[INSTANCES][HF_UUID_STR];

static void *decoded(struct hf_machine *m, const char *uuid, const ProtobufCMessageDescriptor *d)
{
    struct hf_uuid u = uuid_of(uuid);
    const struct hf_object *o = hf_store_get(m->store, &u);
    return o != NULL ? protobuf_c_message_unpack(d, NULL, o->bytes->len, o->bytes->data) : NULL;
}

static void put(struct hf_txn *t, uint32_t kind, const char *uuid, const char *name, const ProtobufCMessage *m)
{
    struct hf_uuid u = uuid_of(uuid);
    struct hf_bytes *b = packed(m);
    hf_txn_put_bytes(t, kind, &u, name, b);
    hf_bytes_unref(b);
}

static void random_instance(struct hf_machine *m, struct hf_txn *t)
{
    unsigned n = roll(INSTANCES);
    Instance *old = decoded(m, instance_uuids[n], &holdfast__v1__instance__descriptor);
    struct instance i;
    const Placement *p = old != NULL ? old->placement : NULL;
    const char *host = host_names[roll(2)];
    uint64_t run = (p != NULL ? p->run : 0) + roll(3);
    if (p != NULL && roll(3) > 0) { /* mostly about the present run */
        host = strcmp(p->host_uuid, H1) == 0 ? H1 : H2;
        run = p->run;
    }
    ProtobufCMessage *msg = instance(&i, host, p != NULL && roll(2) ? p->epoch : 1 + roll(5), run, roll(20) ? S1 : S2);
    i.meta.uuid = instance_uuids[n];
    if (roll(2))
        ended(&i, roll(2) ? (int)END(STOPPED) : (int)END(FENCED), host, roll(9) ? i.placement.epoch : 1, run);
    put(t, KIND(INSTANCE), instance_uuids[n], instance_names[n], msg);
    if (old != NULL)
        holdfast__v1__instance__free_unpacked(old, NULL);
}

static uint64_t epoch_of(struct hf_machine *m, const char *host)
{
    Host *h = decoded(m, host, &holdfast__v1__host__descriptor);
    uint64_t epoch = h != NULL && h->status != NULL ? h->status->epoch : 0;
    if (h != NULL)
        holdfast__v1__host__free_unpacked(h, NULL);
    return epoch;
}

static void random_host(struct hf_machine *m, struct hf_txn *t)
{
    unsigned n = roll(2);
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    h.status = &st;
    st.watchdog = "hardware";
    st.epoch = epoch_of(m, host_names[n]) + roll(3);
    put(t, KIND(HOST), host_names[n], n == 0 ? "host-1" : "host-2", &h.base);
}

static void random_fence(struct hf_machine *m, struct hf_txn *t)
{
    struct fence f;
    const char *host = host_names[roll(2)];
    ProtobufCMessage *msg = fence(&f, host, epoch_of(m, host) + roll(2));
    static const int kinds[] = {EVIDENCE(SILENCE), EVIDENCE(CLOSED_AND_KILLED), EVIDENCE(OPERATOR), EVIDENCE(NEXT_EPOCH)};
    for (unsigned n = roll(3); n > 0; n--)
        evidence(&f, kinds[roll(4)], roll(2) ? S1 : S2);
    put(t, KIND(FENCE), f.uuid, f.name, msg);
}

/* What must hold of any two states with one applied transaction between them. */
static void check_step(struct hf_machine *m, Instance *const *before, const uint64_t *epochs)
{
    for (unsigned n = 0; n < 2; n++) {
        uint64_t epoch = epoch_of(m, host_names[n]);
        assert_true(epoch == epochs[n] || epochs[n] == 0 || epoch == epochs[n] + 1);
    }
    for (unsigned n = 0; n < INSTANCES; n++) {
        Instance *now = decoded(m, instance_uuids[n], &holdfast__v1__instance__descriptor);
        const Placement *b = before[n] != NULL ? before[n]->placement : NULL, *a = now != NULL ? now->placement : NULL;
        if (hf_placement_open(b)) {
            assert_non_null(a);
            assert_string_equal(a->host_uuid, b->host_uuid);
            assert_true(a->epoch == b->epoch && a->run == b->run);
            if (a->end != NULL && a->end->kind == END(FENCED)) {
                struct hf_uuid u = hf_fence_uuid(b->host_uuid, b->epoch);
                char text[HF_UUID_STR];
                Fence *f = decoded(m, hf_uuid_format(&u, text), &holdfast__v1__fence__descriptor);
                assert_true(epoch_of(m, b->host_uuid) > b->epoch ||
                            hf_fence_covers(f, before[n]->spec->storage_uuids, before[n]->spec->n_storage_uuids));
                if (f != NULL)
                    holdfast__v1__fence__free_unpacked(f, NULL);
            }
        } else if (b != NULL && a != NULL) {
            assert_true(a->run >= b->run);
            assert_true(a->run > b->run || a->end != NULL);
        }
        if (now != NULL)
            holdfast__v1__instance__free_unpacked(now, NULL);
    }
}

static void one_random_step(struct hf_machine *m, unsigned *applied)
{
    Instance *before[INSTANCES];
    uint64_t epochs[2];
    for (unsigned n = 0; n < INSTANCES; n++)
        before[n] = decoded(m, instance_uuids[n], &holdfast__v1__instance__descriptor);
    for (unsigned n = 0; n < 2; n++)
        epochs[n] = epoch_of(m, host_names[n]);
    struct hf_txn *t = hf_txn_create(NULL, 0);
    for (unsigned n = 1 + roll(3); n > 0; n--) {
        unsigned what = roll(10);
        if (what < 6)
            random_instance(m, t);
        else if (what < 8)
            random_host(m, t);
        else
            random_fence(m, t);
    }
    struct hf_txn_result res;
    size_t len, used;
    const uint8_t *p = hf_txn_encoded(t, &len);
    if (hf_machine_apply(m, p, len, &used, &res)) {
        *applied += res.code == HF_OK;
        hf_result_done(&res);
    }
    hf_txn_free(t);
    check_step(m, before, epochs);
    for (unsigned n = 0; n < INSTANCES; n++)
        if (before[n] != NULL)
            holdfast__v1__instance__free_unpacked(before[n], NULL);
}

static void no_random_history_breaks_the_rules(void **state)
{
    (void)state;
    const struct hf_guard *guards[] = {&hf_placement_guard};
    struct hf_machine m;
    unsigned applied = 0;
    seed = 42;
    for (unsigned n = 0; n < INSTANCES; n++) {
        struct hf_uuid u = hf_uuid_of_text(instance_names[n]);
        hf_uuid_format(&u, instance_uuids[n]);
    }
    hf_machine_init(&m, guards, 1);
    for (unsigned i = 0; i < RANDOM_STEPS; i++)
        one_random_step(&m, &applied);
    assert_true(applied > RANDOM_STEPS / 20); /* the rules leave room to live */
    hf_machine_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_of_a_placement),
        cmocka_unit_test(an_open_instance_is_not_deleted),
        cmocka_unit_test(storages_stay_while_a_run_is_open),
        cmocka_unit_test(an_instance_is_placed_once_it_has_been_named),
        cmocka_unit_test(an_end_names_the_fence_of_its_host),
        cmocka_unit_test(epochs_grow_by_one_over_a_proven_end),
        cmocka_unit_test(a_host_is_deleted_when_nothing_can_run_there),
        cmocka_unit_test(fences_are_for_ever),
        cmocka_unit_test(evidence_is_about_its_own_fence),
        cmocka_unit_test(silence_needs_a_watchdog),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(no_random_history_breaks_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
