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
    ProtobufCMessage *msg =
        instance(&i, host, p != NULL && roll(2) ? p->epoch : 1 + roll(5), run, roll(20) ? S1 : S2);
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
    static const int kinds[] = {EVIDENCE(SILENCE), EVIDENCE(CLOSED_AND_KILLED), EVIDENCE(OPERATOR),
                                EVIDENCE(NEXT_EPOCH)};
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
        const Placement *b = before[n] != NULL ? before[n]->placement : NULL,
                        *a = now != NULL ? now->placement : NULL;
        if (hf_placement_open(b)) {
            assert_non_null(a);
            assert_string_equal(a->host_uuid, b->host_uuid);
            assert_true(a->epoch == b->epoch && a->run == b->run);
            if (a->end != NULL && a->end->kind == END(FENCED)) {
                struct hf_uuid u = hf_fence_uuid(b->host_uuid, b->epoch);
                char text[HF_UUID_STR];
                Fence *f = decoded(m, hf_uuid_format(&u, text), &holdfast__v1__fence__descriptor);
                assert_true(
                    epoch_of(m, b->host_uuid) > b->epoch ||
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_random_history_breaks_the_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
