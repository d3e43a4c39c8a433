/* Rule 15 in the guard: how far a blocklist may go, what may be made of it, and what leaves and starts by it.
 */
#include "control/guard_testing.h"

#include "control/blocklist.h"
#include "holdfast/v1/storage.pb-c.h"

typedef Holdfast__V1__Fence__Blocklist Blocklist;
typedef Holdfast__V1__HostStatus__StorageBlock Block;
#define STATE(name) HF_BLOCKLIST_STATE(name)
#define CLUSTER     "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"
#define ADDRESS     "10.0.0.5:0/0"
#define CLIENT      "10.0.0.5:0/4711"

/* --- the scene: S1 and S2 on Ceph, H1 in epoch 3, which its fence has on the blocklist of S1 --- */

struct blocked_fence {
    struct fence f;
    Blocklist b, other, *blocklists[2];
    char *entries[2], *evident[2];
};

static void gone(struct bench *b, const struct hf_uuid *uuid)
{
    const struct hf_object *o = hf_store_get(b->store, uuid);
    if (o != NULL)
        hf_store_remove(b->store, o);
}

static void store_storage(struct bench *b, const char *uuid, const char *name, int type)
{
    Holdfast__V1__PrimaryStorage ps = HOLDFAST__V1__PRIMARY_STORAGE__INIT;
    Holdfast__V1__PrimaryStorageSpec spec = HOLDFAST__V1__PRIMARY_STORAGE_SPEC__INIT;
    ps.spec = &spec;
    spec.type = (Holdfast__V1__PrimaryStorageSpec__Type)type;
    stored(b, KIND(PRIMARY_STORAGE), uuid, name, &ps.base);
}

#define CEPH HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__CEPH
#define NFS  HOLDFAST__V1__PRIMARY_STORAGE_SPEC__TYPE__NFS

static void put_host(struct bench *b, uint64_t epoch, const char *blocked)
{
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostSpec spec = HOLDFAST__V1__HOST_SPEC__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    Block block = HOLDFAST__V1__HOST_STATUS__STORAGE_BLOCK__INIT, *blocks[] = {&block};
    h.spec = &spec;
    h.status = &st;
    spec.cluster_uuid = CLUSTER;
    st.epoch = epoch;
    st.watchdog = "hardware";
    block.primary_storage_uuid = (char *)blocked;
    block.epoch = 3;
    st.storage_blocks = blocks;
    st.n_storage_blocks = blocked != NULL;
    stored(b, KIND(HOST), H1, "host-1", &h.base);
}

static void put_cluster(struct bench *b, Holdfast__V1__Takeover takeover)
{
    Holdfast__V1__Cluster cl = HOLDFAST__V1__CLUSTER__INIT;
    Holdfast__V1__ClusterSpec spec = HOLDFAST__V1__CLUSTER_SPEC__INIT;
    cl.spec = &spec;
    spec.takeover = takeover;
    stored(b, KIND(CLUSTER), CLUSTER, "cluster", &cl.base);
}

static void scene(struct bench *b)
{
    bench_start(b);
    store_storage(b, S1, "ceph-1", CEPH);
    store_storage(b, S2, "nfs-1", NFS);
    put_cluster(b, HOLDFAST__V1__TAKEOVER__TAKEOVER_UNSPECIFIED);
    put_host(b, 3, S1);
}

static ProtobufCMessage *blocked(struct blocked_fence *f, int state)
{
    fence(&f->f, H1, 3);
    holdfast__v1__fence__blocklist__init(&f->b);
    f->b.primary_storage_uuid = S1;
    f->b.state = (Holdfast__V1__Fence__Blocklist__State)state;
    f->entries[0] = ADDRESS;
    f->b.entries = f->entries;
    f->b.n_entries = state != (int)STATE(WANTED);
    f->b.osdmap_epoch = state != (int)STATE(WANTED) ? 57 : 0;
    f->blocklists[0] = &f->b;
    f->f.m.blocklists = f->blocklists;
    f->f.m.n_blocklists = state != (int)STATE(STATE_UNSPECIFIED);
    return &f->f.m.base;
}

static Evidence *block_evidence(struct blocked_fence *f)
{
    Evidence *e = evidence(&f->f, EVIDENCE(BLOCKLIST), S1);
    f->evident[0] = f->b.entries[0];
    e->addresses = f->evident;
    e->n_addresses = 1;
    e->osdmap_epoch = 57;
    return e;
}

static void put_fence(struct bench *b, struct blocked_fence *f)
{
    stored(b, KIND(FENCE), f->f.uuid, f->f.name, &f->f.m.base);
}

static bool fence_allowed(struct bench *b, struct blocked_fence *f)
{
    return allowed(b, KIND(FENCE), f->f.uuid, f->f.name, &f->f.m.base);
}

/* From one state (0: no fence yet) to another, by a host in that epoch. */
static bool step(struct bench *b, int from, int to, uint64_t epoch)
{
    struct blocked_fence f;
    struct hf_uuid u = hf_fence_uuid(H1, 3);
    gone(b, &u);
    put_host(b, epoch, S1);
    blocked(&f, from);
    if (from != 0)
        put_fence(b, &f);
    blocked(&f, to);
    return fence_allowed(b, &f);
}

/* --- how far --- */

static void it_goes_one_way(void **state)
{
    (void)state;
    struct bench b;
    scene(&b);
    for (int from = 0; from <= (int)STATE(REMOVED); from++)
        for (int to = 1; to <= (int)STATE(REMOVED); to++) {
            bool ok = from == to ? from != 0 : to == from + 1;
            if (step(&b, from, to, 4) != ok)
                fail_msg("from %d to %d: %s", from, to, b.why);
        }
    bench_stop(&b);
}

static void it_is_cleared_by_a_later_life_only(void **state)
{
    (void)state;
    struct bench b;
    scene(&b);
    assert_false(step(&b, STATE(ADDED), STATE(REMOVING), 3));
    assert_non_null(strstr(b.why, "no later epoch"));
    assert_true(step(&b, STATE(ADDED), STATE(REMOVING), 4));
    bench_stop(&b);
}

/* The host object is gone: then the proof must have been another one. */
static void it_is_cleared_of_a_deleted_host_behind_a_proof(void **state)
{
    (void)state;
    struct bench b;
    struct blocked_fence f;
    scene(&b);
    struct hf_uuid host = uuid_of(H1);
    blocked(&f, STATE(ADDED));
    block_evidence(&f);
    put_fence(&b, &f);
    gone(&b, &host);
    f.b.state = STATE(REMOVING);
    assert_false(fence_allowed(&b, &f));
    f.b.state = STATE(ADDED);
    evidence(&f.f, EVIDENCE(SILENCE), S2); /* of another storage */
    put_fence(&b, &f);
    f.b.state = STATE(REMOVING);
    assert_false(fence_allowed(&b, &f));
    f.b.state = STATE(ADDED);
    evidence(&f.f, EVIDENCE(SILENCE), S1);
    put_fence(&b, &f);
    f.b.state = STATE(REMOVING);
    assert_true(fence_allowed(&b, &f));
    bench_stop(&b);
}

static void a_cluster_that_is_gone_is_not_asked(void **state)
{
    (void)state;
    struct bench b;
    scene(&b);
    struct hf_uuid storage = uuid_of(S1);
    assert_false(step(&b, STATE(WANTED), STATE(REMOVED), 4));
    gone(&b, &storage);
    assert_true(step(&b, STATE(WANTED), STATE(REMOVED), 4));
    assert_false(step(&b, STATE(WANTED), STATE(REMOVED), 3));
    bench_stop(&b);
}

static void what_is_added_was_confirmed_and_stays(void **state)
{
    (void)state;
    struct bench b;
    struct blocked_fence f;
    scene(&b);
    blocked(&f, STATE(WANTED));
    put_fence(&b, &f);
    blocked(&f, STATE(ADDED));
    f.b.n_entries = 0;
    assert_false(fence_allowed(&b, &f));
    f.b.n_entries = 1;
    f.b.osdmap_epoch = 0;
    assert_false(fence_allowed(&b, &f));
    f.b.osdmap_epoch = 57;
    assert_true(fence_allowed(&b, &f));
    put_fence(&b, &f);
    f.entries[1] = CLIENT;
    f.b.n_entries = 2; /* a renewal found another one */
    assert_true(fence_allowed(&b, &f));
    f.b.n_entries = 1;
    f.entries[0] = CLIENT;
    assert_false(fence_allowed(&b, &f));
    f.f.m.n_blocklists = 0;
    assert_false(fence_allowed(&b, &f));
    bench_stop(&b);
}

static void only_ceph_has_one_and_only_one(void **state)
{
    (void)state;
    struct bench b;
    struct blocked_fence f;
    scene(&b);
    blocked(&f, STATE(WANTED));
    f.b.primary_storage_uuid = S2;
    assert_false(fence_allowed(&b, &f));
    assert_non_null(strstr(b.why, "no Ceph storage"));
    blocked(&f, STATE(WANTED));
    f.other = f.b;
    f.blocklists[1] = &f.other;
    f.f.m.n_blocklists = 2;
    assert_false(fence_allowed(&b, &f));
    assert_non_null(strstr(b.why, "one blocklist"));
    bench_stop(&b);
}

/* --- the host remembers it --- */

static void the_host_keeps_it_in_mind(void **state)
{
    (void)state;
    struct bench b;
    struct blocked_fence f;
    scene(&b);
    put_host(&b, 3, NULL);
    blocked(&f, STATE(WANTED));
    assert_false(fence_allowed(&b, &f));
    assert_non_null(strstr(b.why, "in mind"));
    put_host(&b, 4, S1);
    blocked(&f, STATE(REMOVING));
    put_fence(&b, &f);
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    h.status = &st;
    st.epoch = 4;
    assert_false(allowed(&b, KIND(HOST), H1, "host-1", &h.base));
    assert_non_null(strstr(b.why, "still on the blocklist"));
    blocked(&f, STATE(REMOVED));
    put_fence(&b, &f);
    assert_true(allowed(&b, KIND(HOST), H1, "host-1", &h.base));
    bench_stop(&b);
}

static void nothing_is_placed_where_it_cannot_write(void **state)
{
    (void)state;
    struct bench b;
    struct instance i;
    scene(&b);
    put_host(&b, 4, S1);
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 4, 1, S1)));
    assert_non_null(strstr(b.why, "not off the blocklist"));
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", instance(&i, H1, 4, 1, S2)));
    store_host(&b, H2, "host-2", 1);
    instance(&i, H2, 1, 1, S1);
    stored(&b, KIND(INSTANCE), I1, "vm", &i.m.base);
    Holdfast__V1__Placement__Migration m = HOLDFAST__V1__PLACEMENT__MIGRATION__INIT;
    m.phase = HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__OPEN;
    m.target_host_uuid = H1;
    m.target_epoch = 4;
    m.run = 2;
    i.placement.migration = &m;
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", &i.m.base));
    put_host(&b, 4, NULL);
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", &i.m.base));
    bench_stop(&b);
}

/* --- evidence --- */

static void evidence_is_what_the_cluster_lists(void **state)
{
    (void)state;
    struct bench b;
    struct blocked_fence f;
    scene(&b);
    blocked(&f, STATE(WANTED));
    block_evidence(&f);
    put_fence(&b, &f);
    f.f.m.n_evidence = 0;
    put_fence(&b, &f);
    f.f.m.n_evidence = 1;
    assert_false(fence_allowed(&b, &f)); /* wanted is not there */

    blocked(&f, STATE(ADDED));
    Evidence *e = block_evidence(&f);
    assert_true(fence_allowed(&b, &f)); /* both at once */
    e->n_addresses = 0;
    assert_false(fence_allowed(&b, &f));
    e->n_addresses = 1;
    f.evident[0] = "10.0.0.6:0/0";
    assert_false(fence_allowed(&b, &f));
    f.evident[0] = ADDRESS;
    e->osdmap_epoch = 0;
    assert_false(fence_allowed(&b, &f));
    e->osdmap_epoch = 57;
    f.b.by_clients = true;
    assert_false(fence_allowed(&b, &f));
    assert_non_null(strstr(b.why, "single clients"));
    f.b.by_clients = false;
    f.entries[0] = f.evident[0] = CLIENT; /* whoever says so */
    assert_false(fence_allowed(&b, &f));
    f.entries[0] = f.evident[0] = ADDRESS;
    f.f.storages[0] = S2;
    assert_false(fence_allowed(&b, &f));
    f.f.storages[0] = S1;
    assert_true(fence_allowed(&b, &f));
    bench_stop(&b);
}

static void it_proves_no_death(void **state)
{
    (void)state;
    struct bench b;
    struct blocked_fence f;
    scene(&b);
    blocked(&f, STATE(ADDED));
    block_evidence(&f);
    put_fence(&b, &f);
    Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
    Block block = HOLDFAST__V1__HOST_STATUS__STORAGE_BLOCK__INIT, *blocks[] = {&block};
    h.status = &st;
    st.epoch = 4;
    block.primary_storage_uuid = S1;
    block.epoch = 3;
    st.storage_blocks = blocks;
    st.n_storage_blocks = 1;
    assert_false(allowed(&b, KIND(HOST), H1, "host-1", &h.base));
    assert_non_null(strstr(b.why, "fenced with evidence"));
    struct instance i;
    instance(&i, H1, 3, 1, S1);
    stored(&b, KIND(INSTANCE), I1, "vm", &i.m.base);
    assert_false(allowed(&b, KIND(HOST), H1, "host-1", NULL));
    assert_non_null(strstr(b.why, "may still run"));
    bench_stop(&b);
}

/* --- who leaves by it --- */

#define NONE   HOLDFAST__V1__TAKEOVER__TAKEOVER_UNSPECIFIED
#define STRICT HOLDFAST__V1__TAKEOVER__STRICT
#define WRITES HOLDFAST__V1__TAKEOVER__WRITE_FENCED

struct leaving {
    Holdfast__V1__Takeover own, clusters;
    const char *second; /* storage beside S1 */
    bool migrates, ok;
};

static void who_leaves(void **state)
{
    (void)state;
    static const struct leaving cases[] = {
        {NONE, NONE, NULL, false, false},    {NONE, STRICT, NULL, false, false},
        {NONE, WRITES, NULL, false, true},   {STRICT, WRITES, NULL, false, false},
        {WRITES, STRICT, NULL, false, true}, {WRITES, NONE, NULL, false, true},
        {WRITES, WRITES, S2, false, false},  {NONE, WRITES, S2, false, false},
        {WRITES, WRITES, NULL, true, false},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const struct leaving *l = &cases[k];
        struct bench b;
        struct blocked_fence f;
        struct instance i;
        scene(&b);
        put_cluster(&b, l->clusters);
        blocked(&f, STATE(ADDED));
        block_evidence(&f);
        put_fence(&b, &f);
        instance(&i, H1, 3, 7, S1);
        i.spec.takeover = l->own;
        i.storages[1] = (char *)l->second;
        i.spec.n_storage_uuids = l->second != NULL ? 2 : 1;
        Holdfast__V1__Placement__Migration m = HOLDFAST__V1__PLACEMENT__MIGRATION__INIT;
        m.phase = HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__OPEN;
        m.target_host_uuid = H2;
        m.target_epoch = 1;
        m.run = 8;
        i.placement.migration = l->migrates ? &m : NULL;
        stored(&b, KIND(INSTANCE), I1, "vm", &i.m.base);
        ended(&i, END(FENCED), H1, 3, 7);
        if (allowed(&b, KIND(INSTANCE), I1, "vm", &i.m.base) != l->ok)
            fail_msg("case %zu: %s", k, b.why);
        bench_stop(&b);
    }
}

/* The target of a migration that is on a blocklist: its copy is not over for that. */
static void a_migration_is_not_called_off_by_it(void **state)
{
    (void)state;
    struct bench b;
    struct blocked_fence f;
    struct instance i;
    End end = HOLDFAST__V1__PLACEMENT__END__INIT;
    Holdfast__V1__Placement__Migration m = HOLDFAST__V1__PLACEMENT__MIGRATION__INIT;
    scene(&b);
    store_host(&b, H2, "host-2", 1);
    blocked(&f, STATE(ADDED));
    block_evidence(&f);
    put_fence(&b, &f);
    instance(&i, H2, 1, 7, S1);
    i.spec.takeover = HOLDFAST__V1__TAKEOVER__WRITE_FENCED;
    m.phase = HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__CANCELLING;
    m.target_host_uuid = H1;
    m.target_epoch = 3;
    m.run = 8;
    i.placement.migration = &m;
    stored(&b, KIND(INSTANCE), I1, "vm", &i.m.base);
    end.kind = END(FENCED);
    end.host_uuid = H1;
    end.epoch = 3;
    end.run = 8;
    m.end = &end;
    m.phase = HOLDFAST__V1__PLACEMENT__MIGRATION__PHASE__CANCELLED;
    assert_false(allowed(&b, KIND(INSTANCE), I1, "vm", &i.m.base));
    evidence(&f.f, EVIDENCE(SILENCE), S1);
    put_fence(&b, &f);
    assert_true(allowed(&b, KIND(INSTANCE), I1, "vm", &i.m.base));
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_one_way),
        cmocka_unit_test(it_is_cleared_by_a_later_life_only),
        cmocka_unit_test(it_is_cleared_of_a_deleted_host_behind_a_proof),
        cmocka_unit_test(a_cluster_that_is_gone_is_not_asked),
        cmocka_unit_test(what_is_added_was_confirmed_and_stays),
        cmocka_unit_test(only_ceph_has_one_and_only_one),
        cmocka_unit_test(the_host_keeps_it_in_mind),
        cmocka_unit_test(nothing_is_placed_where_it_cannot_write),
        cmocka_unit_test(evidence_is_what_the_cluster_lists),
        cmocka_unit_test(it_proves_no_death),
        cmocka_unit_test(who_leaves),
        cmocka_unit_test(a_migration_is_not_called_off_by_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
