/* Hosts' streams: adoption, keys, epochs, terms, assignments (cloud_testing.h); and the table of grants. */
#include "control/cloud_testing.h"
#include "control/fence_object.h"
#include "control/host_grant.h"

#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define KIND(name)  HOLDFAST__V1__KIND__##name

static int setup(void **state)
{
    *state = cloud_ready(2);
    return 0;
}

static int teardown(void **state)
{
    cloud_free(*state);
    return 0;
}

/* --- the table of grants --- */

static void a_life_is_judged_by_its_longest_silence(void **state)
{
    (void)state;
    static const struct {
        const char *before, *said;
        bool same_life;
        const char *expected;
    } cases[] = {
        {"", "fast", true, "fast"},           {"fast", "fast", true, "fast"},
        {"fast", "default", true, "default"}, {"default", "fast", true, "default"},
        {"default", "fast", false, "fast"},   {"default", "unheard-of", true, "default"},
        {"san", "default", true, "san"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
        Holdfast__V1__Hello hello = HOLDFAST__V1__HELLO__INIT;
        st.profile = (char *)cases[i].before;
        hello.profile = (char *)cases[i].said;
        assert_string_equal(hf_grant_profile(&st, &hello, cases[i].same_life), cases[i].expected);
    }
}

static void what_a_hello_is_answered_with(void **state)
{
    (void)state;
    static const struct {
        uint64_t epoch; /* the host's, in boot "b" */
        bool fenced;
        uint64_t said; /* by the keeper */
        const char *boot;
        bool clean, killed;
        enum hf_grant expected;
    } cases[] = {
        {0, false, 0, "b", true, false, HF_GRANT_NEXT}, /* the first life */
        {0, false, 0, "b", false, false, HF_GRANT_END}, /* something runs that nobody knows */
        {0, false, 7, "b", true, false, HF_GRANT_NEXT}, /* from another cloud, or deleted and added again */
        {0, false, 7, "b", false, false, HF_GRANT_END},
        {0, false, UINT64_MAX, "b", true, false, HF_GRANT_DENY},
        {3, false, 3, "b", false, false, HF_GRANT_ADOPT}, /* hostd was restarted */
        {3, false, 3, "b", true, false, HF_GRANT_ADOPT},
        {3, false, 3, "other", true, false, HF_GRANT_NEXT}, /* state of an earlier boot proves nothing */
        {3, false, 3, "other", false, false, HF_GRANT_END},
        {3, false, 3, "b", true, true, HF_GRANT_NEXT}, /* it closed the epoch by itself */
        {3, false, 3, "b", false, true, HF_GRANT_END},
        {3, true, 3, "b", false, false, HF_GRANT_END}, /* fenced: it must kill first */
        {3, true, 3, "b", true, false, HF_GRANT_NEXT},
        {3, false, 0, "b", true, false, HF_GRANT_NEXT}, /* rebooted */
        {3, true, 0, "b", true, false, HF_GRANT_NEXT},
        {3, false, 0, "b", false, false, HF_GRANT_END}, /* the keeper lost its state, QEMUs live */
        {3, false, 2, "b", true, false, HF_GRANT_NEXT}, /* the welcome of epoch 3 was lost */
        {3, false, 2, "b", false, false, HF_GRANT_END},
        {3, false, 4, "b", true, false, HF_GRANT_DENY},
        {3, false, 4, "b", false, false, HF_GRANT_DENY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Holdfast__V1__Host h = HOLDFAST__V1__HOST__INIT;
        Holdfast__V1__HostStatus st = HOLDFAST__V1__HOST_STATUS__INIT;
        Holdfast__V1__Hello hello = HOLDFAST__V1__HELLO__INIT;
        h.status = &st;
        st.epoch = cases[i].epoch;
        st.boot_id = "b";
        hello.epoch = cases[i].said;
        hello.boot_id = (char *)cases[i].boot;
        hello.clean = cases[i].clean;
        hello.closed_and_killed = cases[i].killed;
        enum hf_grant got = hf_grant_decide(&h, cases[i].fenced, false, &hello);
        if (got != cases[i].expected)
            print_error("case %zu: got %d, expected %d\n", i, got, cases[i].expected);
        assert_int_equal(got, cases[i].expected);
    }
}

/* --- streams --- */

static void a_daemon_waits_until_it_is_added(void **state)
{
    struct cloud *c = *state;
    struct fake_host *h = &c->hosts[1];
    /* A third daemon, made of the second's parts. */
    struct fake_host *stranger = &c->hosts[2];
    *stranger = (struct fake_host){.cloud = c, .cpus = 2, .memory_bytes = 4 * GIB, .watchdog = "none"};
    snprintf(stranger->name, sizeof stranger->name, "10.0.0.3");
    snprintf(stranger->uuid, sizeof stranger->uuid, "%032x", 0x77);
    memset(stranger->secret, 9, sizeof stranger->secret);
    c->n_hosts = 3;
    host_power_on(stranger);
    cloud_run(c, 1000);
    assert_true(stranger->pending && !stranger->attached);
    struct hf_host_link *link = leader_control(c)->host_link;
    struct hf_pending_host p;
    assert_int_equal(hf_host_link_pending_count(link), 1);
    assert_true(hf_host_link_pending(link, 0, &p));
    assert_false(hf_host_link_pending(link, 1, &p));
    assert_true(hf_host_link_find_pending(link, NULL, "10.0.0.3", &p));
    assert_string_equal(p.uuid, stranger->uuid);
    assert_true(hf_host_link_find_pending(link, stranger->uuid, NULL, &p));
    assert_false(hf_host_link_find_pending(link, NULL, "10.0.0.4", &p));
    assert_false(hf_host_link_find_pending(link, h->uuid, NULL, &p)); /* is added */
    assert_false(hf_host_link_find_pending(link, "", "", &p));

    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__HostSpec spec = HOLDFAST__V1__HOST_SPEC__INIT;
    Holdfast__V1__Host m = HOLDFAST__V1__HOST__INIT;
    meta.uuid = stranger->uuid;
    meta.name = "host-3";
    m.meta = &meta;
    m.spec = &spec;
    spec.cluster_uuid = CLUSTER;
    spec.key_sha256 = (ProtobufCBinaryData){32, (uint8_t *)p.key_sha256};
    assert_int_equal(cloud_put(c, &m.base), HF_OK);
    cloud_run(c, 1000);
    assert_true(stranger->attached);
    assert_int_equal(stranger->epoch, 1);
    assert_int_equal(hf_host_link_pending_count(link), 0);
}

static void another_key_is_denied_and_disturbs_nobody(void **state)
{
    struct cloud *c = *state;
    struct fake_host *thief = &c->hosts[2];
    *thief = c->hosts[0];
    thief->stream = NULL;
    thief->attached = false;
    thief->n_inbox = 0;
    thief->secret[0] ^= 1;
    thief->dial_ms = 0;
    c->n_hosts = 3;
    cloud_run(c, 300);
    c->n_hosts = 2;
    assert_int_equal(thief->ended_with, HF_DENIED);
    assert_string_equal(thief->ended_message, "host 'host-1' is registered with another key");
    assert_false(thief->attached);
    cloud_run(c, 3000);
    assert_true(c->hosts[0].attached && !c->hosts[0].ended);
    assert_int_equal(c->hosts[0].welcomes, 1);
    host_drop_stream(thief);
}

static void a_restarted_daemon_keeps_epoch_and_runs(void **state)
{
    struct cloud *c = *state;
    cloud_create_instance(c, 1, true);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    host_drop_stream(&c->hosts[0]);
    c->hosts[0].dial_ms = c->clock_ms + 2000;
    cloud_run(c, 5000);
    assert_int_equal(host_epoch(c, 0), 1);
    assert_int_equal(c->hosts[0].welcomes, 2);
    assert_int_equal(instance_state(c, 1), STATE(RUNNING));
    assert_int_equal(instance_run(c, 1), 1);
    assert_int_equal(c->hosts[0].starts, 1);
}

/* What a stopped daemon missed: its guest ended, and only the keeper's tombstone tells. */
static void a_hello_reports_runs_that_ended_meanwhile(void **state)
{
    struct cloud *c = *state;
    const char *uuid = cloud_create_instance(c, 1, true);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    host_drop_stream(&c->hosts[0]);
    c->hosts[0].dial_ms = c->clock_ms + 1000;
    struct fake_run *r = host_find_run(&c->hosts[0], uuid);
    r->live = false;
    r->state = HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED;
    cloud_run(c, 2500);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    assert_int_equal(instance_run(c, 1), 2);
}

static void a_newer_stream_replaces_the_older(void **state)
{
    struct cloud *c = *state;
    struct fake_host *twin = &c->hosts[2];
    *twin = c->hosts[0];
    twin->stream = NULL;
    twin->n_inbox = 0;
    twin->dial_ms = 0;
    c->n_hosts = 3;
    c->hosts[0].silent = true; /* its connection is dead, nobody has noticed */
    cloud_run(c, 300);
    assert_true(twin->attached);
    assert_true(c->hosts[0].ended);
    assert_int_equal(c->hosts[0].ended_with, HF_CANCELLED);
    assert_int_equal(host_epoch(c, 0), 1);
}

/* Reports of another epoch or run, or of another host, move nothing. */
static void only_the_right_report_ends_a_run(void **state)
{
    struct cloud *c = *state;
    const char *uuid = cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    struct fake_run lie = {.run = 1, .epoch = 1, .state = HOLDFAST__V1__INSTANCE_REPORT__STATE__STOPPED};
    snprintf(lie.instance, sizeof lie.instance, "%s", uuid);
    host_report(&c->hosts[1], &lie, "not mine", false, true);
    lie.run = 2;
    host_report(&c->hosts[0], &lie, "not yet", false, true);
    lie.run = 1;
    lie.epoch = 2;
    host_report(&c->hosts[0], &lie, "another life", false, true);
    cloud_run(c, 1000);
    assert_int_equal(instance_host(c, 1), 0);
    lie.epoch = 1;
    host_find_run(&c->hosts[0], uuid)->live = false;
    host_report(&c->hosts[0], &lie, "over", false, true);
    cloud_run(c, 1000);
    assert_int_equal(instance_host(c, 1), -1);
}

static void a_host_that_has_heard_of_a_newer_leader_is_sent_there(void **state)
{
    struct cloud *c = *state;
    host_drop_stream(&c->hosts[0]);
    c->hosts[0].max_term = 1000;
    c->hosts[0].dial_ms = 0;
    cloud_run(c, 100);
    assert_true(c->hosts[0].ended);
    assert_int_equal(c->hosts[0].ended_with, HF_NOT_LEADER);
}

/* A deposed leader that does not know it yet goes on talking: its orders are of a lower term. */
static void a_deposed_leader_commands_nobody(void **state)
{
    struct cloud *c = *state;
    unsigned old = c->leader;
    cloud_new_leader(c);
    cloud_run(c, 3000);
    assert_int_not_equal(c->leader, old);
    assert_true(c->hosts[0].attached && c->hosts[0].dialled == c->leader);
    struct hf_host_contact contact;
    assert_false(hf_host_link_contact(c->controls[old].host_link, c->hosts[0].uuid, &contact));
    assert_true(hf_host_link_contact(leader_control(c)->host_link, c->hosts[0].uuid, &contact));
    assert_true(contact.fresh && contact.epoch == 1);
}

static void an_order_to_start_follows_the_committed_placement(void **state)
{
    struct cloud *c = *state;
    /* No majority, so nothing commits: the leader decides in vain and no host hears of it. */
    cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    unsigned starts = c->hosts[0].starts + c->hosts[1].starts;
    cloud_set_power(c, 1, HOLDFAST__V1__POWER_STATE__POWER_STOPPED, NULL);
    assert_true(wait_state(c, 1, STATE(STOPPED), 5000));
    Holdfast__V1__Instance *i = cloud_get(c, KIND(INSTANCE), "0000000000000000000000000000a001");
    i->spec->power = HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
    struct hf_txn *t = hf_txn_create(NULL, 0);
    struct hf_uuid u;
    assert_true(hf_uuid_parse(i->meta->uuid, &u));
    i->meta->revision = 0;
    hf_txn_put(t, KIND(INSTANCE), &u, i->meta->name, &i->base);
    free_message(i);
    struct outcome o = {0};
    hf_replica_submit(leader_control(c)->replica, t, on_outcome, &o);
    while (o.answers == 0) /* it is committed; the controllers hear of it in the next turn */
        cloud_run(c, 1);
    cluster_cut(&c->raft, c->leader, true);
    cloud_run(c, 900);
    assert_int_equal(instance_run(c, 1), 1);
    assert_int_equal(c->hosts[0].starts + c->hosts[1].starts, starts);
    cluster_cut(&c->raft, c->leader, false);
}

static void hosts_read_each_others_records(void **state)
{
    struct cloud *c = *state;
    for (unsigned h = 0; h < 2; h++) {
        assert_int_equal(c->hosts[h].n_peers, 1);
        assert_string_equal(c->hosts[h].peers[0], c->hosts[1 - h].uuid);
    }
}

static void a_deleted_host_ends_its_life_and_waits(void **state)
{
    struct cloud *c = *state;
    assert_int_not_equal(cloud_delete(c, KIND(HOST), c->hosts[1].uuid), HF_OK); /* its epoch is not fenced */
    Holdfast__V1__Fence *f =
        hf_fence_new(c->raft.env, c->hosts[1].uuid, 1, "the host was deleted", "operator");
    struct hf_txn *t = hf_txn_create(NULL, 0);
    struct outcome o = {0};
    hf_txn_put_message(t, c->raft.env, &f->base);
    holdfast__v1__fence__free_unpacked(f, NULL);
    struct hf_uuid uuid;
    assert_true(hf_uuid_parse(c->hosts[1].uuid, &uuid));
    hf_txn_delete(t, &uuid);
    hf_replica_submit(leader_control(c)->replica, t, on_outcome, &o);
    cloud_run(c, 100);
    assert_int_equal(o.code, HF_OK);
    assert_int_equal(c->hosts[1].end_epochs, 1);
    cloud_run(c, 2000);
    assert_true(c->hosts[1].pending); /* it may be added again */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_hello_is_answered_with),
        cmocka_unit_test(a_life_is_judged_by_its_longest_silence),
        TEST(a_daemon_waits_until_it_is_added),
        TEST(another_key_is_denied_and_disturbs_nobody),
        TEST(a_restarted_daemon_keeps_epoch_and_runs),
        TEST(a_hello_reports_runs_that_ended_meanwhile),
        TEST(a_newer_stream_replaces_the_older),
        TEST(only_the_right_report_ends_a_run),
        TEST(a_host_that_has_heard_of_a_newer_leader_is_sent_there),
        TEST(a_deposed_leader_commands_nobody),
        TEST(an_order_to_start_follows_the_committed_placement),
        TEST(hosts_read_each_others_records),
        TEST(a_deleted_host_ends_its_life_and_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
