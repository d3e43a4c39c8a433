/* Hosts through the API, with controllers and scripted daemons: adoption, enabling, what is left of a deleted
 * one. */
#include "control/api_testing.h"
#include "control/blocklist.h"
#include "control/fence_object.h"

#define STATE(name)     HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define HOST(name)      HOLDFAST__V1__HOST_STATUS__STATE__##name
#define OPERATION(name) HOLDFAST__V1__OPERATION__STATE__##name
#define KIND(name)      HOLDFAST__V1__KIND__##name
#define CEPH            "50000000000000000000000000000007"

typedef Holdfast__V1__Operation Operation;

static int setup(void **state)
{
    *state = world_create(2);
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static void create_host(struct api_world *w, const char *uuid, const char *ip, const char *name,
                        struct answer *a)
{
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__HostSpec spec = HOLDFAST__V1__HOST_SPEC__INIT;
    Holdfast__V1__Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__CreateHostRequest r = HOLDFAST__V1__CREATE_HOST_REQUEST__INIT;
    meta.uuid = (char *)uuid;
    meta.name = (char *)name;
    spec.cluster_uuid = CLUSTER;
    spec.management_ip = (char *)ip;
    h.meta = &meta;
    h.spec = &spec;
    r.host = &h;
    call_leader(w, "Host", "CreateHost", &r.base, a);
}

static void a_waiting_daemon_is_adopted_once(void **state)
{
    struct api_world *w = *state;
    struct fake_host *h = &w->cloud->hosts[1];
    struct answer a, ended;
    Holdfast__V1__Empty nothing = HOLDFAST__V1__EMPTY__INIT;

    create_host(w, "", "10.9.9.9", "nobody", &a);
    assert_says(&a, HF_PRECONDITION, "--control");
    create_host(w, "", "", "nobody", &a);
    assert_says(&a, HF_INVALID, "management_ip or meta.uuid");
    create_host(w, h->uuid, "", "twice", &a);
    assert_int_not_equal(a.code, HF_OK);

    /* A new machine dials in. */
    struct fake_host *fresh = &w->cloud->hosts[w->cloud->n_hosts++];
    *fresh = w->cloud->hosts[0];
    memset(fresh->inbox, 0, sizeof fresh->inbox);
    fresh->n_inbox = 0;
    fresh->stream = NULL;
    fresh->up = fresh->attached = fresh->pending = false;
    fresh->epoch = fresh->max_term = 0;
    fresh->n_runs = 0;
    memset(&fresh->record, 0, sizeof fresh->record);
    strcpy(fresh->uuid, "9999999999999999999999999999999a");
    strcpy(fresh->name, "host-9");
    host_power_on(fresh);
    cloud_run(w->cloud, 3000);
    assert_true(fresh->pending);
    assert_int_equal(call_leader(w, "Host", "ListPendingHosts", &nothing.base, &a), HF_OK);
    Holdfast__V1__ListPendingHostsResponse *list = (Holdfast__V1__ListPendingHostsResponse *)a.last;
    assert_int_equal(list->n_hosts, 1);
    assert_string_equal(list->hosts[0]->uuid, fresh->uuid);
    answer_done(&a);

    create_host(w, fresh->uuid, "", "host-9", &a);
    Operation *op = wait_operation(w, &a, &ended);
    assert_int_equal(op->state, OPERATION(SUCCEEDED));
    assert_string_equal(op->target_uuid, fresh->uuid);
    answer_done(&a);
    answer_done(&ended);
    Holdfast__V1__Host *host = cloud_get(w->cloud, KIND(HOST), fresh->uuid);
    assert_int_equal(host->status->state, HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED);
    assert_int_equal(host->spec->key_sha256.len, 32);
    free_message(host);
}

static void hosts_are_disabled_and_enabled(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    Holdfast__V1__HostVerbRequest r = HOLDFAST__V1__HOST_VERB_REQUEST__INIT;
    r.uuid = w->cloud->hosts[0].uuid;
    assert_int_equal(call_leader(w, "Host", "DisableHost", &r.base, &a), HF_OK);
    assert_true(((Holdfast__V1__Host *)a.last)->spec->disabled);
    answer_done(&a);
    assert_int_equal(call_leader(w, "Host", "EnableHost", &r.base, &a), HF_OK);
    assert_false(((Holdfast__V1__Host *)a.last)->spec->disabled);
    answer_done(&a);
}

static void an_operators_word_is_refused_while_the_host_lives(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    Holdfast__V1__ConfirmHostDownRequest r = HOLDFAST__V1__CONFIRM_HOST_DOWN_REQUEST__INIT;
    r.host_uuid = w->cloud->hosts[0].uuid;
    r.statement = "I pulled the plug";
    assert_int_not_equal(call_leader(w, "Ha", "ConfirmHostDown", &r.base, &a), HF_OK);
    host_power_off(&w->cloud->hosts[0]);
    cloud_run(w->cloud, 30000);
    assert_int_equal(call_leader(w, "Ha", "ConfirmHostDown", &r.base, &a), HF_OK);
    Holdfast__V1__Fence *f = (Holdfast__V1__Fence *)a.last;
    assert_string_equal(f->host_uuid, r.host_uuid);
    assert_true(f->n_evidence > 0);
    answer_done(&a);
}

/* --- deleted --- */

static void delete_host(struct api_world *w, unsigned host)
{
    struct answer a;
    Holdfast__V1__DeleteRequest r = HOLDFAST__V1__DELETE_REQUEST__INIT;
    r.uuid = w->cloud->hosts[host].uuid;
    if (call_leader(w, "Host", "DeleteHost", &r.base, &a) != HF_OK)
        fail_msg("%s", a.sentence);
    answer_done(&a);
}

static void add_again(struct api_world *w, unsigned host)
{
    struct answer a, ended;
    create_host(w, w->cloud->hosts[host].uuid, "", w->cloud->hosts[host].name, &a);
    Operation *op = wait_operation(w, &a, &ended);
    assert_int_equal(op->state, OPERATION(SUCCEEDED));
    answer_done(&a);
    answer_done(&ended);
}

/* It was not heard of, but lived: what it still had of its last life must go before it is anything but a
 * stranger. */
static void a_deleted_host_that_lives_on_ends_its_life(void **state)
{
    struct api_world *w = *state;
    struct fake_host *h = &w->cloud->hosts[1];
    h->no_network = true;
    cloud_run(w->cloud, 10000);
    assert_int_equal(host_state(w->cloud, 1), HOST(DISCONNECTED));
    delete_host(w, 1);
    assert_true(is_fenced(w->cloud, 1, 1));
    assert_false(h->closed);
    h->no_network = false;
    cloud_run(w->cloud, 5000);
    assert_true(h->closed);
    assert_true(h->pending);
    assert_false(h->attached);
    cloud_run(w->cloud, 20000);
    assert_int_equal(h->end_epochs, 1); /* told once */
    add_again(w, 1);
    assert_int_equal(host_epoch(w->cloud, 1), 2);
    assert_int_equal(h->epoch, 2);
}

/* Its keeper forgot the epochs, the log did not: record and marks of the old epoch 1 are never about the new
 * life. */
static void a_deleted_host_that_is_added_again_counts_on(void **state)
{
    struct api_world *w = *state;
    struct fake_host *h = &w->cloud->hosts[1];
    host_power_off(h);
    cloud_run(w->cloud, 10000);
    delete_host(w, 1);
    host_power_on(h);
    cloud_run(w->cloud, 3000);
    assert_true(h->pending);
    add_again(w, 1);
    assert_int_equal(h->epoch, 2);
    assert_false(is_fenced(w->cloud, 1, 2));
}

/* The fence of its present life has it refused by the cluster of a Ceph storage, which is there or gone. */
static void block(struct api_world *w, unsigned host)
{
    struct cloud *c = w->cloud;
    Holdfast__V1__Host *h = cloud_get(c, KIND(HOST), c->hosts[host].uuid);
    Holdfast__V1__Fence *f = hf_fence_find(leader_store(c), h->meta->uuid, h->status->epoch);
    if (f == NULL)
        f = hf_fence_new(leader_control(c)->env, h->meta->uuid, h->status->epoch, "no contact", "leader");
    hf_blocklist_add(f, CEPH);
    hf_storage_block_add(h->status, CEPH, h->status->epoch);
    assert_int_equal(cloud_put_both(c, &f->base, &h->base), HF_OK);
    free_message(f);
    free_message(h);
}

static void put_ceph(struct cloud *c)
{
    Holdfast__V1__CephCluster ceph = HOLDFAST__V1__CEPH_CLUSTER__INIT;
    cloud_put_ceph(c, CEPH, "ceph-1", "10.0.0.1", &ceph);
}

static void refused_deletion(struct api_world *w, unsigned host, const char *says)
{
    struct answer a;
    Holdfast__V1__DeleteRequest r = HOLDFAST__V1__DELETE_REQUEST__INIT;
    r.uuid = w->cloud->hosts[host].uuid;
    assert_int_equal(call_leader(w, "Host", "DeleteHost", &r.base, &a), HF_PRECONDITION);
    assert_non_null(strstr(a.sentence, says));
    answer_done(&a);
}

/* Nobody would ever take it off the blocklist. */
static void one_that_only_a_blocklist_holds_off_is_not_deleted(void **state)
{
    struct api_world *w = *state;
    struct answer a;
    put_ceph(w->cloud);
    host_power_off(&w->cloud->hosts[1]);
    cloud_run(w->cloud, 10000);
    block(w, 1);
    refused_deletion(
        w, 1, "the cluster of storage 'ceph-1' refuses it, and nothing but that proves its epoch 1 over");
    refused_deletion(w, 1, "'holdfast ha confirm-down --host host-2 --epoch 1 --statement ");
    Holdfast__V1__ConfirmHostDownRequest r = HOLDFAST__V1__CONFIRM_HOST_DOWN_REQUEST__INIT;
    r.host_uuid = w->cloud->hosts[1].uuid;
    r.statement = "it is in the skip";
    assert_int_equal(call_leader(w, "Ha", "ConfirmHostDown", &r.base, &a), HF_OK);
    answer_done(&a);
    delete_host(w, 1);
}

/* There is no cluster left that would refuse anybody. */
static void a_blocklist_of_a_storage_that_is_gone_is_in_nobodys_way(void **state)
{
    struct api_world *w = *state;
    put_ceph(w->cloud);
    host_power_off(&w->cloud->hosts[1]);
    cloud_run(w->cloud, 10000);
    block(w, 1);
    assert_int_equal(cloud_delete(w->cloud, KIND(PRIMARY_STORAGE), CEPH), HF_OK);
    delete_host(w, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_waiting_daemon_is_adopted_once),
        TEST(hosts_are_disabled_and_enabled),
        TEST(an_operators_word_is_refused_while_the_host_lives),
        TEST(a_deleted_host_that_lives_on_ends_its_life),
        TEST(a_deleted_host_that_is_added_again_counts_on),
        TEST(one_that_only_a_blocklist_holds_off_is_not_deleted),
        TEST(a_blocklist_of_a_storage_that_is_gone_is_in_nobodys_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
