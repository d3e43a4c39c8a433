/* Random transactions of one to three changes on two hosts and three instances, with the invariants of
 * DESIGN.md section 5 checked after each.
 */
#include "control/guard_testing.h"

#include "control/blocklist.h"
#include "holdfast/v1/storage.pb-c.h"

#define RANDOM_STEPS 100000
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
    ProtobufCMessage *msg =
        instance(&i, host, about && roll(6) ? p->epoch : epoch_of(m, host) + (roll(6) == 0), run,
                 (roll(20) > 0) == (n > 0) ? S1 : S2);
    i.meta.uuid = instance_uuids[n];
    i.spec.takeover = roll(4) ? HOLDFAST__V1__TAKEOVER__WRITE_FENCED : HOLDFAST__V1__TAKEOVER__STRICT;
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
    Host *old = decoded(m, host_names[n], &holdfast__v1__host__descriptor);
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    h.status = &st;
    st.watchdog = "hardware";
    st.epoch = epoch_of(m, host_names[n]) + roll(3);
    if (old != NULL && old->status != NULL && roll(8)) {
        st.storage_blocks = old->status->storage_blocks;
        st.n_storage_blocks = old->status->n_storage_blocks;
    }
    put(t, KIND(HOST), host_names[n], n == 0 ? "host-1" : "host-2", &h.base);
    if (old != NULL)
        holdfast__v1__host__free_unpacked(old, NULL);
}

/* --- blocklists: S1 is of Ceph, S2 is not --- */

#define LIST(name)    HF_BLOCKLIST_STATE(name)
#define ADDRESS       "10.0.0.5:0/0"
#define EVIDENCE_MAX  16
#define EPOCHS_LOOKED 3 /* the last ones of a host, whose lists are looked at */

static Fence *fence_of(struct hf_machine *m, const char *host, uint64_t epoch)
{
    struct hf_uuid u = hf_fence_uuid(host, epoch);
    char text[HF_UUID_STR];
    return decoded(m, hf_uuid_format(&u, text), &holdfast__v1__fence__descriptor);
}

static void set_text(char **field, const char *value)
{
    if (*field != NULL && *field != protobuf_c_empty_string)
        free(*field);
    *field = hf_strdup(value);
}

static void add_text(char ***list, size_t *n, const char *value)
{
    *list = hf_realloc_array(*list, *n + 1, sizeof **list);
    (*list)[(*n)++] = hf_strdup(value);
}

static void add_block_evidence(Fence *f, const char *storage)
{
    Evidence *e = HF_NEW(Evidence);
    holdfast__v1__evidence__init(e);
    e->kind = EVIDENCE(BLOCKLIST);
    set_text(&e->host_uuid, f->host_uuid);
    e->epoch = f->epoch;
    e->osdmap_epoch = roll(9) > 0;
    add_text(&e->storage_uuids, &e->n_storage_uuids, storage);
    if (roll(9))
        add_text(&e->addresses, &e->n_addresses, roll(9) ? ADDRESS : "10.0.0.5:0/77");
    f->evidence = hf_realloc_array(f->evidence, f->n_evidence + 1, sizeof *f->evidence);
    f->evidence[f->n_evidence++] = e;
}

/* Mostly the next step of a list, with what belongs to it; else anything. */
static void random_list(Fence *f, Host *h, const char *storage)
{
    Holdfast__V1__Fence__Blocklist *b = hf_blocklist_find(f, storage);
    if (b == NULL)
        b = hf_blocklist_add(f, storage);
    else
        b->state = roll(6) ? (unsigned)b->state + (b->state < LIST(REMOVED)) : 1 + roll(4);
    if (b->state == LIST(ADDED) && b->n_entries == 0 && roll(9))
        add_text(&b->entries, &b->n_entries, ADDRESS);
    b->osdmap_epoch += roll(9) > 0;
    b->by_clients |= roll(12) == 0;
    if (b->state == LIST(ADDED) && roll(2))
        add_block_evidence(f, storage);
    if (b->state == LIST(REMOVED) && roll(9))
        hf_storage_block_remove(h->status, storage, f->epoch);
    else if (b->state != LIST(REMOVED) && roll(9))
        hf_storage_block_add(h->status, storage, f->epoch);
}

/* A fence that holds its host back, or the present one. */
static uint64_t random_fenced_epoch(const Host *h)
{
    const Holdfast__V1__HostStatus *st = h->status;
    return st->n_storage_blocks > 0 && roll(8)
               ? st->storage_blocks[roll((unsigned)st->n_storage_blocks)]->epoch
               : st->epoch;
}

static void random_block(struct hf_machine *m, struct hf_txn *t)
{
    unsigned n = roll(2);
    Host *h = decoded(m, host_names[n], &holdfast__v1__host__descriptor);
    Fence *f = h != NULL && h->status != NULL ? fence_of(m, host_names[n], random_fenced_epoch(h)) : NULL;
    if (f != NULL) {
        char name[HF_FENCE_NAME_MAX], uuid[HF_UUID_STR];
        struct hf_uuid u = hf_fence_uuid(f->host_uuid, f->epoch);
        random_list(f, h, roll(20) ? S1 : S2);
        put(t, KIND(FENCE), hf_uuid_format(&u, uuid), hf_fence_name(f->host_uuid, f->epoch, name), &f->base);
        put(t, KIND(HOST), host_names[n], n == 0 ? "host-1" : "host-2", &h->base);
        holdfast__v1__fence__free_unpacked(f, NULL);
    }
    if (h != NULL)
        holdfast__v1__host__free_unpacked(h, NULL);
}

/* What the lists of S1 of both hosts' last epochs say. */
struct lists {
    int state[2][EPOCHS_LOOKED]; /* 0: there is none */
    uint64_t last[2];            /* epoch of the first of them; the next ones are below */
};

static struct lists lists_of(struct hf_machine *m, const uint64_t last[2])
{
    struct lists l = {.last = {last[0], last[1]}};
    for (unsigned n = 0; n < 2; n++)
        for (unsigned k = 0; k < EPOCHS_LOOKED && k < last[n]; k++) {
            Fence *f = fence_of(m, host_names[n], last[n] - k);
            const Holdfast__V1__Fence__Blocklist *b = hf_blocklist_find(f, S1);
            l.state[n][k] = b != NULL ? (int)b->state : 0;
            if (f != NULL)
                holdfast__v1__fence__free_unpacked(f, NULL);
        }
    return l;
}

static unsigned cut_off, cleared;

/* Rule 15: one way, and cleared behind a later life. */
static void check_lists(struct hf_machine *m, const struct lists *before)
{
    struct lists now = lists_of(m, before->last);
    for (unsigned n = 0; n < 2; n++)
        for (unsigned k = 0; k < EPOCHS_LOOKED; k++) {
            int was = before->state[n][k], is = now.state[n][k];
            assert_true(is == was || is == was + 1);
            if (is > was && is == (int)LIST(REMOVING))
                assert_true(epoch_of(m, host_names[n]) > before->last[n] - k);
            cleared += is > was && is == (int)LIST(REMOVED);
        }
}

/* A copy that was placed just now: its host is on no list of its storage. */
static void check_placed(struct hf_machine *m, const Instance *i, const char *host, uint64_t epoch)
{
    uint64_t last[2] = {epoch, epoch};
    unsigned n = strcmp(host, H1) == 0 ? 0 : 1;
    struct lists l = lists_of(m, last);
    for (unsigned k = 0; strcmp(i->spec->storage_uuids[0], S1) == 0 && k < EPOCHS_LOOKED; k++)
        assert_true(l.state[n][k] == 0 || l.state[n][k] == (int)LIST(REMOVED));
}

static void random_fence(struct hf_machine *m, struct hf_txn *t)
{
    struct fence f;
    const char *host = host_names[roll(2)];
    uint64_t epoch = epoch_of(m, host) + roll(2);
    ProtobufCMessage *msg = fence(&f, host, epoch);
    Fence *old = roll(8) ? fence_of(m, host, epoch) : NULL;
    if (old != NULL) {
        f.m.blocklists = old->blocklists;
        f.m.n_blocklists = old->n_blocklists;
    }
    static const int kinds[] = {EVIDENCE(SILENCE), EVIDENCE(CLOSED_AND_KILLED), EVIDENCE(OPERATOR),
                                EVIDENCE(NEXT_EPOCH)};
    for (unsigned n = roll(3); n > 0; n--)
        evidence(&f, kinds[roll(4)], roll(2) ? S1 : S2);
    Evidence *all[EVIDENCE_MAX];
    size_t kept = old != NULL && old->n_evidence < EVIDENCE_MAX - 3 ? old->n_evidence : 0;
    for (size_t i = 0; i < kept + f.m.n_evidence; i++)
        all[i] = i < kept ? old->evidence[i] : f.list[i - kept];
    f.m.evidence = all;
    f.m.n_evidence += kept;
    put(t, KIND(FENCE), f.uuid, f.name, msg);
    if (old != NULL)
        holdfast__v1__fence__free_unpacked(old, NULL);
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
    bool over =
        epoch_of(m, host) > epoch || hf_fence_covers(f, i->spec->storage_uuids, i->spec->n_storage_uuids);
    cut_off += !over;
    assert_true(over || (i->spec->takeover == HOLDFAST__V1__TAKEOVER__WRITE_FENCED &&
                         !hf_migration_open(i->placement) && strcmp(i->spec->storage_uuids[0], S1) == 0 &&
                         hf_fence_cuts_off(f, i->spec->storage_uuids, i->spec->n_storage_uuids)));
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
static void check_step(struct hf_machine *m, Instance *const *before, const uint64_t *epochs,
                       const struct lists *lists)
{
    check_lists(m, lists);
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
        if (hf_placement_open(a) && !hf_placement_open(b))
            check_placed(m, now, a->host_uuid, a->epoch);
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
    struct lists lists = lists_of(m, epochs);
    struct hf_txn *t = hf_txn_create(NULL, 0);
    for (unsigned n = roll(2) ? 1 : 1 + roll(3); n > 0; n--) {
        unsigned what = roll(13);
        if (what < 6)
            random_instance(m, t);
        else if (what < 8)
            random_host(m, t);
        else if (what < 10)
            random_fence(m, t);
        else
            random_block(m, t);
    }
    struct hf_txn_result res;
    size_t len, used;
    const uint8_t *p = hf_txn_encoded(t, &len);
    if (hf_machine_apply(m, p, len, &used, &res)) {
        *applied += res.code == HF_OK;
        hf_result_done(&res);
    }
    hf_txn_free(t);
    check_step(m, before, epochs, &lists);
    for (unsigned n = 0; n < INSTANCES; n++)
        if (before[n] != NULL)
            holdfast__v1__instance__free_unpacked(before[n], NULL);
}

static void make_storages(struct hf_machine *m)
{
    static const struct {
        const char *uuid, *name;
        Holdfast__V1__PrimaryStorageSpec__Type type;
    } storages[] = {{S1, "ceph", HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__CEPH},
                    {S2, "nfs", HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__NFS}};
    struct hf_txn *t = hf_txn_create(NULL, 0);
    for (size_t i = 0; i < sizeof storages / sizeof storages[0]; i++) {
        Holdfast__V1__PrimaryStorage ps = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
        Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
        ps.spec = &spec;
        spec.type = storages[i].type;
        put(t, KIND(PRIMARY_STORAGE), storages[i].uuid, storages[i].name, &ps.base);
    }
    struct hf_txn_result res;
    size_t len, used;
    const uint8_t *p = hf_txn_encoded(t, &len);
    assert_true(hf_machine_apply(m, p, len, &used, &res) && res.code == HF_OK);
    hf_result_done(&res);
    hf_txn_free(t);
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
    make_storages(&m);
    for (unsigned i = 0; i < RANDOM_STEPS; i++)
        one_random_step(&m, &applied);
    assert_true(applied > RANDOM_STEPS / 20); /* the rules leave room to live */
    assert_true(completed > 50 && called_off > 50);
    assert_true(cut_off > 4 && cleared > 50);
    hf_machine_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_random_history_breaks_the_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
