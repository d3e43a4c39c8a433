/* The API's core with controllers and scripted hosts: instances' lives, operations, watches, rooms,
 * followers. */
#include "control/api_testing.h"

#include "consensus/replica_private.h"

#define STATE(name)     HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define OPERATION(name) HOLDFAST__V1__OPERATION__STATE__##name
#define KIND(name)      HOLDFAST__V1__KIND__##name
#define RUN_TESTS_HOSTS 2

typedef Holdfast__V1__Operation Operation;

static int setup(void **state)
{
    *state = world_create(RUN_TESTS_HOSTS);
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static enum hf_code create_zone(struct api_world *w, const char *name, const char *request_id,
                                struct answer *a)
{
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    Holdfast__V1__CreateZoneRequest r = HOLDFAST__V1__CREATE_ZONE_REQUEST__INIT;
    meta.name = (char *)name;
    zone.meta = &meta;
    r.zone = &zone;
    r.request_id = (char *)request_id;
    return call_leader(w, "Zone", "CreateZone", &r.base, a);
}

/* --- operations --- */

static void verb(struct api_world *w, const char *method, const char *uuid, struct answer *a)
{
    Holdfast__V1__InstanceVerbRequest r = HOLDFAST__V1__INSTANCE_VERB_REQUEST__INIT;
    r.uuid = (char *)uuid;
    call_leader(w, "Instance", method, &r.base, a);
}

static void do_verb(struct api_world *w, const char *method, const char *uuid)
{
    struct answer started, ended;
    verb(w, method, uuid, &started);
    Operation *op = wait_operation(w, &started, &ended);
    if (op->state != OPERATION(SUCCEEDED))
        fail_msg("%s: %s", method, op->error_message);
    assert_string_equal(op->verb, method);
    answer_done(&started);
    answer_done(&ended);
}

static void refuse_verb(struct api_world *w, const char *method, const char *uuid, const char *words)
{
    struct answer a;
    verb(w, method, uuid, &a);
    assert_says(&a, HF_PRECONDITION, words);
}

/* --- instances --- */

static void create_offering(struct api_world *w, char uuid[HF_UUID_STR])
{
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__InstanceOfferingSpec spec = HOLDFAST__V1__INSTANCE_OFFERING_SPEC__INIT;
    Holdfast__V1__InstanceOffering o = HOLDFAST__V1__INSTANCE_OFFERING__INIT;
    Holdfast__V1__CreateInstanceOfferingRequest r = HOLDFAST__V1__CREATE_INSTANCE_OFFERING_REQUEST__INIT;
    struct answer a;
    meta.name = "small";
    spec.cpus = 1;
    spec.memory_bytes = GIB;
    o.meta = &meta;
    o.spec = &spec;
    r.instance_offering = &o;
    assert_int_equal(call_leader(w, "InstanceOffering", "CreateInstanceOffering", &r.base, &a), HF_OK);
    strcpy(uuid, uuid_of(&a));
    answer_done(&a);
}

static void create_network(struct api_world *w, char uuid[HF_UUID_STR])
{
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__IpRange range = HOLDFAST__V1__IP_RANGE__INIT, *ranges[] = {&range};
    Holdfast__V1__L3NetworkSpec spec = HOLDFAST__V1__L3_NETWORK_SPEC__INIT;
    Holdfast__V1__L3Network l3 = HOLDFAST__V1__L3_NETWORK__INIT;
    Holdfast__V1__CreateL3NetworkRequest r = HOLDFAST__V1__CREATE_L3_NETWORK_REQUEST__INIT;
    struct answer a;
    meta.name = "blue";
    range.cidr = "10.20.0.0/24";
    spec.l2_network_uuid = L2;
    spec.ip_ranges = ranges;
    spec.n_ip_ranges = 1;
    l3.meta = &meta;
    l3.spec = &spec;
    r.l3_network = &l3;
    assert_int_equal(call_leader(w, "L3Network", "CreateL3Network", &r.base, &a), HF_OK);
    strcpy(uuid, uuid_of(&a));
    answer_done(&a);
}

/* On network 'blue', which is made for it. */
static void create_instance(struct api_world *w, const char *name, struct answer *a)
{
    static char offering[HF_UUID_STR], network[HF_UUID_STR];
    create_offering(w, offering);
    create_network(w, network);
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__InstanceSpec spec = HOLDFAST__V1__INSTANCE_SPEC__INIT;
    Holdfast__V1__Instance i = HOLDFAST__V1__INSTANCE__INIT;
    Holdfast__V1__CreateInstanceRequest r = HOLDFAST__V1__CREATE_INSTANCE_REQUEST__INIT;
    char *l3s[] = {network};
    meta.name = (char *)name;
    spec.instance_offering_uuid = offering;
    spec.image_uuid = IMAGE;
    spec.l3_network_uuids = l3s;
    spec.n_l3_network_uuids = 1;
    i.meta = &meta;
    i.spec = &spec;
    r.instance = &i;
    call_leader(w, "Instance", "CreateInstance", &r.base, a);
}

static Holdfast__V1__Instance *get_instance(struct api_world *w, const char *uuid)
{
    return cloud_get(w->cloud, KIND(INSTANCE), uuid);
}

static void an_instance_lives_through_its_verbs(void **state)
{
    struct api_world *w = *state;
    struct answer started, ended;
    create_instance(w, "web", &started);
    Operation *op = wait_operation(w, &started, &ended);
    if (op->state != OPERATION(SUCCEEDED))
        fail_msg("%s", op->error_message);
    char uuid[HF_UUID_STR];
    strcpy(uuid, op->target_uuid);
    answer_done(&started);
    answer_done(&ended);

    refuse_verb(w, "StartInstance", uuid, "start instance 'web': it is running already");
    verb(w, "RebootInstance", uuid, &started);
    refuse_verb(w, "PauseInstance", uuid, "pause instance 'web': it is about to reboot");
    op = wait_operation(w, &started, &ended);
    assert_int_equal(op->state, OPERATION(SUCCEEDED));
    answer_done(&started);
    answer_done(&ended);
    do_verb(w, "PauseInstance", uuid);
    refuse_verb(w, "RebootInstance", uuid, "it is paused");
    refuse_verb(w, "StartInstance", uuid, "resume it");
    do_verb(w, "ResumeInstance", uuid);
    do_verb(w, "StopInstance", uuid);
    refuse_verb(w, "StopInstance", uuid, "stopped already");
    do_verb(w, "StartInstance", uuid);
    Holdfast__V1__Instance *i = get_instance(w, uuid);
    assert_int_equal(i->placement->run, 2);
    free_message(i);

    Holdfast__V1__DeleteRequest r = HOLDFAST__V1__DELETE_REQUEST__INIT;
    r.uuid = uuid;
    assert_int_equal(call_leader(w, "Instance", "DeleteInstance", &r.base, &started), HF_OK);
    op = wait_operation(w, &started, &ended);
    assert_int_equal(op->state, OPERATION(SUCCEEDED));
    answer_done(&started);
    answer_done(&ended);
    assert_null(get_instance(w, uuid));
    assert_int_equal(count_kind(w->cloud, KIND(VOLUME)), 0);
    assert_int_equal(count_kind(w->cloud, KIND(IP_ADDRESS)), 1); /* the network's own */
}

static void what_an_instance_uses_is_not_deleted(void **state)
{
    struct api_world *w = *state;
    struct answer started, ended, a;
    create_instance(w, "web", &started);
    wait_operation(w, &started, &ended);
    answer_done(&started);
    answer_done(&ended);
    static const struct {
        const char *service, *method;
        char *uuid;
        const char *words;
    } deletes[] = {
        {"L3Network", "DeleteL3Network", NULL, "in use by instance 'web'"},
        {"Image", "DeleteImage", IMAGE, "in use by"},
        {"PrimaryStorage", "DeletePrimaryStorage", SHARED, "in use by"},
        {"L2Network", "DeleteL2Network", L2, "in use by"},
        {"Cluster", "DeleteCluster", CLUSTER, "in use by hosts"},
    };
    for (size_t i = 0; i < sizeof deletes / sizeof deletes[0]; i++) {
        Holdfast__V1__DeleteRequest r = HOLDFAST__V1__DELETE_REQUEST__INIT;
        r.uuid = deletes[i].uuid != NULL ? deletes[i].uuid : "";
        r.name = deletes[i].uuid != NULL ? "" : "blue";
        call_leader(w, deletes[i].service, deletes[i].method, &r.base, &a);
        assert_says(&a, HF_PRECONDITION, deletes[i].words);
    }
    Holdfast__V1__DeleteRequest r = HOLDFAST__V1__DELETE_REQUEST__INIT;
    r.uuid = w->cloud->hosts[1].uuid;
    call_leader(w, "Host", "DeleteHost", &r.base, &a);
    assert_says(&a, HF_PRECONDITION, "it is connected");
    Holdfast__V1__AttachToClusterRequest d = HOLDFAST__V1__ATTACH_TO_CLUSTER_REQUEST__INIT;
    d.cluster_uuid = CLUSTER;
    d.uuid = SHARED;
    call_leader(w, "Cluster", "DetachPrimaryStorage", &d.base, &a);
    assert_says(&a, HF_PRECONDITION, "instance 'web' uses it");
    d.uuid = L2;
    call_leader(w, "Cluster", "DetachL2Network", &d.base, &a);
    assert_says(&a, HF_PRECONDITION, "instance 'web' uses it");
}

static void waiting_ends_before_the_deadline_or_with_the_caller(void **state)
{
    struct api_world *w = *state;
    struct answer started, a = {0}, gone = {0};
    w->cloud->hosts[0].hold_starts = w->cloud->hosts[1].hold_starts = true;
    create_instance(w, "web", &started);
    assert_int_equal(started.code, HF_OK);
    Holdfast__V1__WaitOperationRequest r = HOLDFAST__V1__WAIT_OPERATION_REQUEST__INIT;
    r.uuid = (char *)uuid_of(&started);
    call_start(w, w->cloud->leader, "Operation", "WaitOperation", &r.base, 2000, &a);
    call_start(w, w->cloud->leader, "Operation", "WaitOperation", &r.base, 2000, &gone);
    cloud_run(w->cloud, 1500);
    assert_false(a.ended);
    hf_api_call_cancel(gone.call);
    cloud_run(w->cloud, 400);
    assert_true(a.ended && a.code == HF_OK);
    assert_int_equal(((Operation *)a.last)->state, OPERATION(RUNNING));
    assert_false(gone.ended); /* nobody is told */
    assert_int_equal(gone.messages, 0);
    answer_done(&a);
    answer_done(&started);
}

/* --- rooms --- */

/* Both look at the same state; were both to apply, the cluster would be in a zone that is gone. */
static void a_zone_is_not_deleted_under_a_new_cluster(void **state)
{
    struct api_world *w = *state;
    struct answer zone;
    for (int order = 0; order < 2; order++) {
        create_zone(w, order == 0 ? "z0" : "z1", "", &zone);
        Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
        Holdfast__V1__ClusterSpec spec = HOLDFAST__V1__CLUSTER_SPEC__INIT;
        Holdfast__V1__Cluster cl = HOLDFAST__V1__CLUSTER__INIT;
        Holdfast__V1__CreateClusterRequest create = HOLDFAST__V1__CREATE_CLUSTER_REQUEST__INIT;
        Holdfast__V1__DeleteRequest del = HOLDFAST__V1__DELETE_REQUEST__INIT;
        meta.name = order == 0 ? "c0" : "c1";
        spec.zone_uuid = (char *)uuid_of(&zone);
        cl.meta = &meta;
        cl.spec = &spec;
        create.cluster = &cl;
        del.uuid = (char *)uuid_of(&zone);
        struct answer created = {0}, deleted = {0};
        if (order == 0)
            call_start(w, w->cloud->leader, "Zone", "DeleteZone", &del.base, -1, &deleted);
        call_start(w, w->cloud->leader, "Cluster", "CreateCluster", &create.base, -1, &created);
        if (order == 1)
            call_start(w, w->cloud->leader, "Zone", "DeleteZone", &del.base, -1, &deleted);
        call_finish(w, &created);
        call_finish(w, &deleted);
        assert_int_equal(created.code, order == 0 ? HF_NOT_FOUND : HF_OK);
        assert_int_equal(deleted.code, order == 0 ? HF_OK : HF_PRECONDITION);
        answer_done(&created);
        answer_done(&deleted);
        answer_done(&zone);
    }
}

/* --- leaders --- */

static void a_repeated_request_gets_the_first_answer_from_another_leader(void **state)
{
    struct api_world *w = *state;
    struct answer first, again;
    assert_int_equal(create_zone(w, "once", "id-1", &first), HF_OK);
    cloud_new_leader(w->cloud);
    assert_int_equal(create_zone(w, "once", "id-1", &again), HF_OK);
    assert_string_equal(uuid_of(&first), uuid_of(&again));
    assert_int_equal(hf_message_meta(first.last)->revision, hf_message_meta(again.last)->revision);
    answer_done(&first);
    answer_done(&again);
    create_zone(w, "other", "id-1", &again);
    assert_says(&again, HF_INVALID, "");
    create_zone(w, "once", "id-2", &again);
    assert_says(&again, HF_EXISTS, "taken");
}

static void followers_name_the_leader(void **state)
{
    struct api_world *w = *state;
    unsigned follower = (w->cloud->leader + 1) % MEMBERS;
    struct answer zone, a = {0}, stale = {0};
    char leader[16];
    snprintf(leader, sizeof leader, "api-%u", w->cloud->leader + 1);
    create_zone(w, "z", "", &zone);
    cloud_run(w->cloud, 500);
    Holdfast__V1__GetRequest r = HOLDFAST__V1__GET_REQUEST__INIT;
    r.name = "z";
    call_start(w, follower, "Zone", "GetZone", &r.base, -1, &a);
    call_finish(w, &a);
    assert_int_equal(a.code, HF_NOT_LEADER);
    assert_string_equal(a.leader, leader);
    r.stale = true;
    call_start(w, follower, "Zone", "GetZone", &r.base, -1, &stale);
    assert_true(stale.ended && stale.code == HF_OK);
    assert_string_equal(uuid_of(&stale), uuid_of(&zone));
    answer_done(&stale);
    answer_done(&zone);
}

/* --- watch --- */

#define EVENTS_MAX 256

struct seen {
    uint64_t revisions[EVENTS_MAX];
    char uuids[EVENTS_MAX][HF_UUID_STR];
    size_t n, marks;
};

static void collect(struct answer *a, const ProtobufCMessage *m)
{
    const Holdfast__V1__WatchEvent *e = (const Holdfast__V1__WatchEvent *)m;
    struct seen *s = a->arg;
    if (e->caught_up) {
        s->marks++;
        return;
    }
    assert_true(s->n < EVENTS_MAX);
    s->revisions[s->n] = e->revision;
    strcpy(s->uuids[s->n++], e->uuid);
}

/* A caller whose queue is full after every message gets the same events as one that is always ready: a new
 * instance changes several objects at one revision, so that revisions are cut in their middle. */
static void a_slow_watcher_misses_nothing_and_sees_nothing_twice(void **state)
{
    struct api_world *w = *state;
    static struct seen quick, slow;
    memset(&quick, 0, sizeof quick);
    memset(&slow, 0, sizeof slow);
    struct answer a = {.on_message = collect, .arg = &quick},
                  b = {.on_message = collect, .arg = &slow, .full = true};
    Holdfast__V1__WatchRequest r = HOLDFAST__V1__WATCH_REQUEST__INIT;
    struct answer started, ended;
    call_start(w, w->cloud->leader, "Watch", "Watch", &r.base, -1, &a);
    call_start(w, w->cloud->leader, "Watch", "Watch", &r.base, -1, &b);
    create_instance(w, "web", &started);
    wait_operation(w, &started, &ended);
    for (int i = 0; i < 400; i++) {
        hf_api_call_writable(b.call);
        cloud_run(w->cloud, 5);
    }
    assert_true(quick.n > 20 && quick.marks > 0);
    assert_true(slow.n >= quick.n);
    for (size_t i = 0; i < quick.n; i++) {
        assert_int_equal(quick.revisions[i], slow.revisions[i]);
        assert_string_equal(quick.uuids[i], slow.uuids[i]);
    }
    hf_api_call_cancel(a.call);
    hf_api_call_cancel(b.call);
    answer_done(&a);
    answer_done(&b);
    answer_done(&started);
    answer_done(&ended);
}

/* A member that catches up by a snapshot ends the streams that hang on its history. */
static void a_snapshot_ends_watches(void **state)
{
    struct api_world *w = *state;
    struct hf_replica *replica = w->cloud->controls[w->cloud->leader].replica;
    struct answer a = {0};
    Holdfast__V1__WatchRequest r = HOLDFAST__V1__WATCH_REQUEST__INIT;
    call_start(w, w->cloud->leader, "Watch", "Watch", &r.base, -1, &a);
    cloud_run(w->cloud, 1000);
    assert_false(a.ended);
    hf_history_restart(replica->machine.history, hf_store_revision(replica->machine.store));
    hf_replica_become_dirty(replica);
    call_finish(w, &a);
    assert_says(&a, HF_OUT_OF_RANGE, "watch again from revision 0");
    answer_done(&a);
}

static void every_method_has_its_handler(void **state)
{
    (void)state;
    hf_status st = hf_api_check();
    if (!hf_ok(st))
        fail_msg("%s", hf_status_message(st));
    assert_null(hf_api_method_find("holdfast.v1.ZoneService", "NoSuchMethod"));
}

#define API_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_has_its_handler),
        API_TEST(an_instance_lives_through_its_verbs),
        API_TEST(what_an_instance_uses_is_not_deleted),
        API_TEST(waiting_ends_before_the_deadline_or_with_the_caller),
        API_TEST(a_zone_is_not_deleted_under_a_new_cluster),
        API_TEST(a_repeated_request_gets_the_first_answer_from_another_leader),
        API_TEST(followers_name_the_leader),
        API_TEST(a_snapshot_ends_watches),
        API_TEST(a_slow_watcher_misses_nothing_and_sees_nothing_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
