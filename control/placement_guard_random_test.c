/* Random transactions of one to three changes on two hosts and three instances, with the invariants of
 * DESIGN.md section 5 checked after each.
 */
#include "control/guard_testing.h"

#define RANDOM_STEPS 60000
#define INSTANCES    3

static uint64_t seed;
static unsigned roll(unsigned n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % n;
}

typedef Holdfast__V1__Placement__Migration Placement__Migration;

static const char *const host_names[2] = {H1, H2};
static const char *const instance_names[INSTANCES] = {"vm-0", "vm-1", "vm-2"};
static char instance_uuids[INSTANCES][HF_UUID_STR];

static void *decoded(struct hf_machine *m, const char *uuid, const ProtobufCMessageDescriptor *d)
{
    struct hf_uuid u = uuid_of(uuid);
    const struct hf_object *o = hf_store_get(m->store, &u);
    return o != NULL ? protobuf_c_message_unpack(d, NULL, o->bytes->len, o->bytes->data) : NULL;
}

static void put(struct hf_txn *t, uint32_t kind, const char *uuid, const char *name,
                const ProtobufCMessage *m)
{
    struct hf_uuid u = uuid_of(uuid);
    struct hf_bytes *b = packed(m);
    hf_txn_put_bytes(t, kind, &u, name, b);
    hf_bytes_unref(b);
}

static uint64_t epoch_of(struct hf_machine *m, const char *host)
{
    Host *h = decoded(m, host, &holdfast__v1__host__descriptor);
    uint64_t epoch = h != NULL && h->status != NULL ? h->status->epoch : 0;
    if (h != NULL)
        holdfast__v1__host__free_unpacked(h, NULL);
    return epoch;
}

/* Mostly what may follow: an intent, its going to an end, its completion; else anything. */
static void random_migration(struct hf_machine *m, struct instance *i, const Placement *p,
                             Placement__Migration *mig, End *end)
{
    const Placement__Migration *was = p->migration;
    const char *other = strcmp(p->host_uuid, H1) == 0 ? H2 : H1;
    holdfast__v1__placement__migration__init(mig);
    holdfast__v1__placement__end__init(end);
    mig->phase = (Holdfast__V1__Placement__Migration__Phase)(1 + roll(4));
    mig->target_host_uuid = (char *)(roll(9) ? other : p->host_uuid);
    mig->target_epoch = was != NULL && roll(4) ? was->target_epoch : epoch_of(m, other);
    mig->run = was != NULL && roll(4) ? was->run : p->run + 1 + roll(3);
    bool completes = mig->phase == HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__COMPLETED;
    if (mig->phase >= HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__CANCELLED && roll(6)) {
        mig->end = end;
        end->kind = completes && roll(6) ? END(HANDED_OVER) : roll(2) ? END(STOPPED) : END(FENCED);
        end->host_uuid = completes ? p->host_uuid : mig->target_host_uuid;
        end->epoch = completes ? p->epoch : mig->target_epoch;
        end->run = completes ? p->run : mig->run;
    }
    if (completes) {
        i->placement.host_uuid = mig->target_host_uuid;
        i->placement.epoch = mig->target_epoch;
        i->placement.run = mig->run;
    }
    i->placement.migration = mig;
}

static void random_instance(struct hf_machine *m, struct hf_txn *t)
{
    unsigned n = roll(INSTANCES);
    Instance *old = decoded(m, instance_uuids[n], &holdfast__v1__instance__descriptor);
    struct instance i;
    const Placement *p = old != NULL ? old->placement : NULL;
    bool about = p != NULL && roll(8) > (hf_placement_open(p) ? 0 : 6); /* the present run, not the next */
    const char *host = !about ? host_names[roll(2)] : strcmp(p->host_uuid, H1) == 0 ? H1 : H2;
    uint64_t run = about ? p->run : hf_placement_last_run(p) + (roll(8) ? 1 + roll(2) : 0);
    ProtobufCMessage *msg = instance(
        &i, host, about && roll(6) ? p->epoch : epoch_of(m, host) + (roll(6) == 0), run, roll(20) ? S1 : S2);
    i.meta.uuid = instance_uuids[n];
    Placement__Migration migration;
    End migration_end;
    if (about && roll(2))
        random_migration(m, &i, p, &migration, &migration_end);
    else if (about) /* as it was */
        i.placement.migration = p->migration;
    if (roll(about ? 4 : 8) == 0)
        ended(&i, roll(2) ? (int)END(STOPPED) : (int)END(FENCED), host, roll(9) ? i.placement.epoch : 1, run);
    put(t, KIND(INSTANCE), instance_uuids[n], instance_names[n], msg);
    if (old != NULL)
        holdfast__v1__instance__free_unpacked(old, NULL);
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
    static const int kinds[] = {EVIDENCE(SILENCE), EVIDENCE(CLOSED_AND_KILLED), EVIDENCE(OPERATOR),
                                EVIDENCE(NEXT_EPOCH)};
    for (unsigned n = roll(3); n > 0; n--)
        evidence(&f, kinds[roll(4)], roll(2) ? S1 : S2);
    put(t, KIND(FENCE), f.uuid, f.name, msg);
}

/* Proof that a copy is over, which is about exactly this copy. */
static void check_proof(struct hf_machine *m, const Instance *i, const End *end, const char *host,
                        uint64_t epoch, uint64_t run)
{
    assert_string_equal(end->host_uuid, host);
    assert_true(end->epoch == epoch && end->run == run);
    if (end->kind != END(FENCED))
        return;
    struct hf_uuid u = hf_fence_uuid(host, epoch);
    char text[HF_UUID_STR];
    Fence *f = decoded(m, hf_uuid_format(&u, text), &holdfast__v1__fence__descriptor);
    assert_true(epoch_of(m, host) > epoch ||
                hf_fence_covers(f, i->spec->storage_uuids, i->spec->n_storage_uuids));
    if (f != NULL)
        holdfast__v1__fence__free_unpacked(f, NULL);
}

static unsigned completed, called_off;

/* Rule 6: closed by what, and the placement did not end before. */
static void check_migration(struct hf_machine *m, const Instance *before, const Placement *a)
{
    const Placement *b = before->placement;
    const Placement__Migration *bm = b->migration, *am = a->migration;
    if (hf_migration_open(a))
        assert_null(a->end);
    if (!hf_migration_open(b))
        return;
    assert_non_null(am);
    assert_true(am->run == bm->run);
    if (a->run != b->run) {
        assert_int_equal(am->end->kind, END(HANDED_OVER));
        check_proof(m, before, am->end, b->host_uuid, b->epoch, b->run);
        completed++;
    } else if (!hf_migration_open(a)) {
        assert_true(am->end->kind == END(STOPPED) || am->end->kind == END(FENCED));
        check_proof(m, before, am->end, bm->target_host_uuid, bm->target_epoch, bm->run);
        called_off++;
    }
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
        const Placement *b = before[n] != NULL ? before[n]->placement : NULL,
                        *a = now != NULL ? now->placement : NULL;
        if (hf_placement_open(b)) {
            assert_non_null(a);
            bool moved = hf_migration_open(b) && a->run == b->migration->run;
            assert_string_equal(a->host_uuid, moved ? b->migration->target_host_uuid : b->host_uuid);
            assert_true(moved || (a->epoch == b->epoch && a->run == b->run));
            if (a->end != NULL)
                check_proof(m, before[n], a->end, b->host_uuid, b->epoch, b->run);
            check_migration(m, before[n], a);
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
    for (unsigned n = roll(2) ? 1 : 1 + roll(3); n > 0; n--) {
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
    assert_true(completed > 50 && called_off > 50);
    hf_machine_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_random_history_breaks_the_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
