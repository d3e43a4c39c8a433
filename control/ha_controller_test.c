/* Lost hosts through a whole control plane with scripted hosts (cloud_testing.h), in virtual time. That no
 * instance ever runs twice is checked at every step of every test (cloud_run). Profile "default": contact 5
 * s, L+K 10.5 s, T 23.2 s.
 */
#include "control/cloud_testing.h"
#include "control/fence_confirm.h"
#include "control/fence_object.h"
#include "control/host_facts.h"
#include "control/storage_controller.h"
#include "ha/ha_timing.h"

#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define HOST(name)  HOLDFAST__V1__HOST_STATUS__STATE__##name
#define KIND(name)  HOLDFAST__V1__KIND__##name

static int setup(void **state)
{
    *state = cloud_ready(3);
    return 0;
}

static int teardown(void **state)
{
    cloud_free(*state);
    return 0;
}

static const struct hf_ha_timing *timing(void)
{
    return hf_ha_timing_find("default");
}

/* vm-1 (NeverStop) and vm-4 (no HA) on host-1, vm-2 and vm-3 elsewhere. */
static void four_instances(struct cloud *c)
{
    for (unsigned n = 1; n <= 4; n++) {
        cloud_create_instance(c, n, n != 4);
        assert_true(wait_state(c, n, STATE(RUNNING), 5000));
    }
    assert_int_equal(instance_host(c, 1), 0);
    assert_int_equal(instance_host(c, 4), 0);
}

static Holdfast__V1__Failover *failover_of(struct cloud *c, unsigned n)
{
    char uuid[HF_UUID_STR];
    instance_uuid(n, uuid);
    const struct hf_store *s = leader_store(c);
    for (const struct hf_object *o = hf_store_next(s, KIND(FAILOVER), NULL); o != NULL;
         o = hf_store_next(s, KIND(FAILOVER), o->name)) {
        Holdfast__V1__Failover *f = (Holdfast__V1__Failover *)(void *)hf_object_decode(o);
        if (strcmp(f->instance_uuid, uuid) == 0)
            return f;
        free_message(f);
    }
    return NULL;
}

static Holdfast__V1__Fence *fence_of(struct cloud *c, unsigned host, uint64_t epoch)
{
    return hf_fence_find(leader_store(c), c->hosts[host].uuid, epoch);
}

static bool host_says(struct cloud *c, unsigned host, const char *part)
{
    bool says = false;
    Holdfast__V1__Host *h = cloud_get(c, KIND(HOST), c->hosts[host].uuid);
    for (size_t i = 0; i < h->status->n_conditions; i++) {
        says |= strstr(h->status->conditions[i]->message, part) != NULL;
        if (!says)
            print_message("host says: %s\n", h->status->conditions[i]->message);
    }
    free_message(h);
    return says;
}

static int64_t event_at(Holdfast__V1__TimelineEvent *const *list, size_t n, const char *source,
                        const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(list[i]->source, source) != NULL && strstr(list[i]->what, what) != NULL)
            return list[i]->at_ms;
    for (size_t i = 0; i < n; i++)
        print_message("%lld %s: %s\n", (long long)list[i]->at_ms, list[i]->source, list[i]->what);
    fail_msg("nobody like '%s' says '%s'", source, what);
    return 0;
}

/* Who saw, decided and did what, in the order of the story in ha_controller.h. */
static void check_timeline(struct cloud *c, const Holdfast__V1__Failover *f)
{
    Holdfast__V1__Fence *fence = fence_of(c, 0, 1);
    Holdfast__V1__TimelineEvent **list = fence->timeline;
    size_t n = fence->n_timeline;
    assert_string_equal(f->fence_uuid, fence->meta->uuid);
    int64_t at[] = {
        event_at(list, n, "leader (node ", "heard the last of host-1"),
        event_at(list, n, "leader (node ", "counted contact with host-1 as lost"),
        event_at(list, n, "leader (node ", "fenced epoch 1: no contact"),
        event_at(list, n, "observer host-", "wrote the fence mark of epoch 1"),
        event_at(list, n, "observer host-", "proof of silence"),
        event_at(f->timeline, f->n_timeline, "leader (node ", "looks for a host"),
        event_at(f->timeline, f->n_timeline, "leader (node ", "run 2 is placed on host-"),
        event_at(f->timeline, f->n_timeline, "host-", "run 2 runs"),
    };
    for (size_t i = 1; i < sizeof at / sizeof *at; i++)
        assert_true(at[i - 1] <= at[i]);
    event_at(list, n, "observer host-", "read the record of host-1 on");
    assert_int_equal(f->n_timeline, 3);
    free_message(fence);
}

static void power_cut(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    int64_t cut = c->clock_ms;
    host_power_off(&c->hosts[0]);
    cloud_run(c, timing()->contact_ms + 1500);
    assert_int_equal(host_state(c, 0), HOST(DISCONNECTED));
    assert_int_equal(instance_state(c, 1), STATE(UNKNOWN));
    assert_int_equal(instance_state(c, 2), STATE(RUNNING));
    cloud_run(c, 1000);
    assert_false(is_fenced(c, 0, 1)); /* not before L+K */
    cloud_run(c, cut + timing()->fence_ms + 2500 - c->clock_ms);
    assert_true(is_fenced(c, 0, 1));
    assert_int_equal(host_state(c, 0), HOST(FENCED));
    assert_int_equal(instance_run(c, 1), 1); /* fenced is not proven */
    cloud_run(c, cut + timing()->silence_ms - 500 - c->clock_ms);
    assert_int_equal(instance_run(c, 1), 1);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    assert_true(c->clock_ms - cut < timing()->takeover_ms + START_MS + 1000);
    assert_int_equal(instance_run(c, 1), 2);
    assert_int_not_equal(instance_host(c, 1), 0);
    assert_int_equal(instance_state(c, 4), STATE(STOPPED));
    assert_int_equal(instance_host(c, 4), -1);
    assert_true(instance_says(c, 4, "host-1"));
    cloud_run(c, 1000);

    Holdfast__V1__Failover *f = failover_of(c, 1);
    assert_non_null(f);
    assert_string_equal(f->outcome, "restarted");
    assert_string_equal(f->evidence, "silence");
    assert_true(f->run_before == 1 && f->run_after == 2);
    assert_string_equal(f->from_host_uuid, c->hosts[0].uuid);
    assert_true(f->detected_at_ms > 0 && f->fenced_at_ms > f->detected_at_ms &&
                f->placed_at_ms >= f->fenced_at_ms && f->running_at_ms >= f->placed_at_ms + START_MS);
    assert_string_equal(f->profile, "default");
    assert_true(f->lost_at_ms <= f->detected_at_ms - timing()->contact_ms);
    check_timeline(c, f);
    free_message(f);
    f = failover_of(c, 4);
    assert_string_equal(f->outcome, "stopped with its host");
    free_message(f);
}

static void the_stopped_one_can_be_started_by_hand(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    host_power_off(&c->hosts[0]);
    cloud_run(c, 30000);
    assert_int_equal(instance_state(c, 4), STATE(STOPPED));
    cloud_set_power(c, 4, HOLDFAST__V1__POWER_STATE__POWER_RUNNING, "StartInstance");
    assert_true(wait_state(c, 4, STATE(RUNNING), 5000));
    assert_int_not_equal(instance_host(c, 4), 0);
}

static void the_host_comes_back_with_a_new_epoch(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    host_power_off(&c->hosts[0]);
    cloud_run(c, 30000);
    host_power_on(&c->hosts[0]);
    cloud_run(c, 3000);
    assert_int_equal(host_state(c, 0), HOST(CONNECTED));
    assert_int_equal(host_epoch(c, 0), 2);
    assert_int_equal(instance_run(c, 1), 2);
    cloud_create_instance(c, 5, false);
    assert_true(wait_state(c, 5, STATE(RUNNING), 5000));
    assert_int_equal(instance_host(c, 5), 0); /* it is empty */
}

/* Back before the proof is complete: the next epoch is itself the proof. */
static void a_host_that_is_back_early_frees_its_instances(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    host_power_off(&c->hosts[0]);
    cloud_run(c, 2000);
    host_power_on(&c->hosts[0]);
    cloud_run(c, 1000);
    assert_int_equal(host_epoch(c, 0), 1); /* a moment ago its record moved: it could be another machine */
    assert_true(wait_state(c, 4, STATE(STOPPED), timing()->contact_ms + 1000));
    assert_true(wait_state(c, 1, STATE(RUNNING), 3000));
    assert_int_equal(instance_run(c, 1), 2);
    assert_int_equal(host_epoch(c, 0), 2);
    Holdfast__V1__Failover *f = failover_of(c, 1);
    assert_string_equal(f->evidence, "next epoch");
    free_message(f);
}

static void a_host_without_network_is_left_alone(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    c->hosts[0].no_network = true;
    cloud_run(c, 60000);
    assert_false(is_fenced(c, 0, 1));
    assert_int_equal(instance_state(c, 1), STATE(UNKNOWN));
    assert_int_equal(instance_run(c, 1), 1);
    assert_int_equal(host_live_runs(&c->hosts[0], "0000000000000000000000000000a001"), 1);
    c->hosts[0].no_network = false;
    cloud_run(c, 3000);
    assert_int_equal(instance_state(c, 1), STATE(RUNNING));
    assert_int_equal(host_epoch(c, 0), 1);
    assert_int_equal(c->hosts[0].starts, 2);
}

/* C20a: nobody but the record can tell that the guest has ended. */
static void its_record_tells_of_runs_that_ended(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    c->hosts[0].no_network = true;
    cloud_run(c, 10000);
    host_guest_ends(&c->hosts[0], 1);
    assert_true(wait_state(c, 1, STATE(RUNNING), 8000));
    assert_int_not_equal(instance_host(c, 1), 0);
    assert_false(is_fenced(c, 0, 1));
    assert_int_equal(instance_state(c, 4), STATE(UNKNOWN));
}

/* A machine with a copy of the identity and the secret: its "nothing runs here" is about another machine. */
static void a_machine_with_a_copied_identity_frees_nothing(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    struct fake_host *twin = &c->hosts[3];
    *twin = c->hosts[0];
    twin->stream = NULL;
    twin->n_inbox = 0;
    c->n_hosts = 4;
    host_power_on(twin);
    cloud_run(c, 10000);
    assert_int_equal(twin->ended_with, HF_UNAVAILABLE);
    assert_non_null(strstr(twin->ended_message, "host 'host-1' still lives its last epoch elsewhere"));
    c->hosts[0].no_network = true; /* not even when only the record tells that the first one lives */
    cloud_run(c, 60000);
    assert_int_equal(host_epoch(c, 0), 1);
    assert_int_equal(instance_run(c, 1), 1);
    c->hosts[0].no_network = false;
    cloud_run(c, 3000);
    assert_true(c->hosts[0].attached);
    host_drop_stream(twin);
    c->n_hosts = 3;
}

static void without_a_watchdog_silence_proves_nothing(void **state)
{
    struct cloud *c = *state;
    c->hosts[0].watchdog = "none";
    host_drop_stream(&c->hosts[0]);
    cloud_run(c, 2000); /* says hello again, with another inventory */
    four_instances(c);
    host_power_off(&c->hosts[0]);
    cloud_run(c, 120000);
    assert_int_equal(instance_run(c, 1), 1);
    assert_int_equal(instance_state(c, 1), STATE(UNKNOWN));
    assert_true(host_says(c, 0, "watchdog"));
}

static hf_status build_confirm(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct cloud *c = arg;
    return hf_fence_confirm_down(leader_control(c), s, t, c->hosts[0].uuid, 0, "I pulled the plug");
}

static enum hf_code confirm_down(struct cloud *c)
{
    struct hf_txn *t = hf_txn_create(NULL, 0);
    struct outcome o = {0};
    hf_status st = build_confirm(c, leader_store(c), t);
    enum hf_code code = hf_status_code(st);
    hf_status_drop(st);
    if (code != HF_OK) {
        hf_txn_free(t);
        return code;
    }
    hf_replica_submit(leader_control(c)->replica, t, on_outcome, &o);
    cloud_run(c, 500);
    return o.code;
}

static void an_operators_word_frees_the_instances(void **state)
{
    struct cloud *c = *state;
    c->hosts[0].watchdog = "none";
    host_drop_stream(&c->hosts[0]);
    cloud_run(c, 2000);
    four_instances(c);
    assert_int_equal(confirm_down(c), HF_PRECONDITION); /* it is there */
    host_power_off(&c->hosts[0]);
    cloud_run(c, 20000);
    assert_int_equal(confirm_down(c), HF_OK);
    cloud_run(c, timing()->guest_write_ms / 2); /* the host's last writes may still land */
    assert_int_equal(instance_run(c, 1), 1);
    assert_true(wait_state(c, 1, STATE(RUNNING), 3100));
    assert_int_equal(instance_run(c, 1), 2);
    assert_int_equal(instance_state(c, 4), STATE(STOPPED));
    Holdfast__V1__Failover *f = failover_of(c, 1);
    assert_string_equal(f->evidence, "operator");
    free_message(f);
}

/* A host that hung past everything and goes on: its keeper obeys the end of its epoch, and comes back clean.
 */
static void a_host_that_hung_and_was_fenced_kills_and_returns(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    host_hang(&c->hosts[0]);
    c->hosts[0].silent_since_ms += 20000; /* a watchdog that is late */
    cloud_run(c, 15000);
    assert_true(is_fenced(c, 0, 1)); /* but not proven */
    assert_int_equal(instance_run(c, 1), 1);
    c->hosts[0].silent = false;
    cloud_run(c, 3000);
    assert_int_equal(host_epoch(c, 0), 2);
    assert_true(wait_state(c, 1, STATE(RUNNING), 5000));
    assert_int_equal(instance_run(c, 1), 2);
    Holdfast__V1__Fence *f = fence_of(c, 0, 1);
    assert_int_equal(f->evidence[0]->kind, HOLDFAST__V1__EVIDENCE__KIND__CLOSED_AND_KILLED);
    free_message(f);
}

/* Rule 12: the fence is committed, then the observers are told to write its mark; without one silence is no
 * proof. */
static void silence_counts_only_behind_the_mark(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    c->hosts[1].no_marks = c->hosts[2].no_marks = true;
    host_power_off(&c->hosts[0]);
    assert_int_equal(c->hosts[1].n_marks, 0);
    cloud_run(c, 60000);
    assert_true(is_fenced(c, 0, 1));
    assert_int_equal(instance_run(c, 1), 1);
    assert_true(host_says(c, 0, "mark"));
    for (int i = 1; i < 3; i++) {
        assert_int_equal(c->hosts[i].n_marks, 1);
        assert_string_equal(c->hosts[i].marks[0].host, c->hosts[0].uuid);
        assert_int_equal(c->hosts[i].marks[0].epoch, 1);
    }
    c->hosts[2].no_marks = false;
    assert_true(wait_state(c, 1, STATE(RUNNING), 10000));
    assert_int_equal(instance_run(c, 1), 2);
    host_power_on(&c->hosts[0]);
    cloud_run(c, 10000);
    assert_int_equal(c->hosts[1].n_marks, 0); /* the next grant proves that life over */
}

/* A keeper that has closed a storage gets its next session, once; a fenced life gets none. */
static void a_closed_storage_gets_a_new_session(void **state)
{
    struct cloud *c = *state;
    struct fake_host *h = &c->hosts[0];
    cloud_run(c, 3000);
    assert_int_equal(h->session, 1);
    h->closed_session = 1;
    cloud_run(c, 5000);
    assert_int_equal(h->session, 2);
    cloud_run(c, 5000);
    assert_int_equal(h->session, 2);
    assert_int_equal(c->hosts[1].session, 1);
    h->closed_session = 2;
    cloud_run(c, 5000);
    assert_int_equal(h->session, 3);
    host_power_off(h);
    h->closed_session = 0;
    cloud_run(c, 30000);
    assert_true(is_fenced(c, 0, 1));
    host_power_on(h);
    cloud_run(c, 10000);
    assert_int_equal(h->epoch, 2);
    assert_int_equal(h->session, 1);
}

static void a_lost_storage_leaves_a_record(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    int64_t age_ms = timing()->lease_ms + timing()->kill_ms;
    cloud_run(c, 20000); /* younger than the cloud */
    host_loses_storage(&c->hosts[0], 1, SHARED, age_ms);
    host_loses_storage(&c->hosts[0], 4, SHARED, age_ms);
    cloud_run(c, 5000);
    assert_int_equal(instance_run(c, 1), 2);
    assert_int_not_equal(instance_host(c, 1), 0); /* though that is the emptiest */
    assert_int_equal(instance_state(c, 1), STATE(RUNNING));
    Holdfast__V1__Failover *f = failover_of(c, 1);
    assert_string_equal(f->evidence, "storage lost");
    assert_string_equal(f->outcome, "restarted");
    assert_string_equal(f->fence_uuid, "");
    assert_string_equal(f->profile, "default");
    assert_int_equal(f->detected_at_ms - f->lost_at_ms, age_ms);
    assert_true(f->running_at_ms >= f->detected_at_ms);
    int64_t at[] = {
        event_at(f->timeline, f->n_timeline, "host-1's keeper", "began its last good renewal on 'shared'"),
        event_at(f->timeline, f->n_timeline, "host-1's keeper",
                 "proof: lost its lease on 'shared', killed run 1"),
        event_at(f->timeline, f->n_timeline, "leader (node ", "looks for a host"),
        event_at(f->timeline, f->n_timeline, "leader (node ", "run 2 is placed on host-"),
        event_at(f->timeline, f->n_timeline, "host-", "run 2 runs"),
    };
    for (size_t i = 1; i < sizeof at / sizeof *at; i++)
        assert_true(at[i - 1] <= at[i]);
    assert_int_equal(f->n_timeline, sizeof at / sizeof *at);
    free_message(f);
    f = failover_of(c, 4);
    assert_string_equal(f->outcome, "stopped with its storage");
    free_message(f);
    assert_false(is_fenced(c, 0, 1));
}

/* What a host says of a storage counts before it is written: what was lost there is placed in the same
 * breath. */
static void a_storage_that_was_just_lost_is_not_placed_on(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    struct hf_controllers *leader = leader_control(c)->controllers;
    const Holdfast__V1__Host *h = HF_WORLD_GET(leader->world, HOST, Host, c->hosts[0].uuid);
    Holdfast__V1__StorageReport r = HOLDFAST__V1__STORAGE_REPORT__INIT;
    assert_null(hf_facts_storage_objection(leader->world, h, SHARED));
    r.primary_storage_uuid = (char *)SHARED;
    r.message = (char *)"its lease was lost here";
    hf_storage_report(leader, h->meta->uuid, h->status->epoch, &r);
    char *why = hf_facts_storage_objection(leader->world, h, SHARED);
    assert_string_equal(why, "primary storage 'shared': its lease was lost here");
    free(why);
    h = HF_WORLD_GET(leader->world, HOST, Host, c->hosts[1].uuid);
    assert_null(hf_facts_storage_objection(leader->world, h, SHARED));
}

/* It may have lost the storage meanwhile, and its runs with it: those are told first. */
static void a_word_on_a_storage_ends_with_the_stream(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    struct hf_controllers *leader = leader_control(c)->controllers;
    const Holdfast__V1__Host *h = HF_WORLD_GET(leader->world, HOST, Host, c->hosts[0].uuid);
    assert_null(hf_facts_storage_objection(leader->world, h, SHARED));
    hf_storage_host_attached(leader, h->meta->uuid);
    char *why = hf_facts_storage_objection(leader->world, h, SHARED);
    assert_string_equal(why, "it has not reported primary storage 'shared' since it attached");
    free(why);
    Holdfast__V1__StorageReport r = HOLDFAST__V1__STORAGE_REPORT__INIT;
    r.primary_storage_uuid = (char *)SHARED;
    r.ok = true;
    hf_storage_report(leader, h->meta->uuid, h->status->epoch, &r);
    assert_null(hf_facts_storage_objection(leader->world, h, SHARED));
}

static void a_refused_client_leaves_a_record(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    cloud_run(c, 20000);
    host_client_refused(&c->hosts[0], 1);
    cloud_run(c, 5000);
    assert_int_equal(instance_run(c, 1), 2);
    assert_int_equal(instance_state(c, 1), STATE(RUNNING));
    Holdfast__V1__Failover *f = failover_of(c, 1);
    assert_string_equal(f->evidence, "client refused");
    assert_string_equal(f->outcome, "restarted");
    assert_string_equal(f->fence_uuid, "");
    assert_true(event_at(f->timeline, f->n_timeline, "host-1",
                         "killed run 1 and saw it gone: the cluster refuses it") <=
                event_at(f->timeline, f->n_timeline, "leader (node ", "run 2 is placed on host-"));
    free_message(f);
    assert_false(is_fenced(c, 0, 1));
}

static void many_hosts_lost_at_once_hold_and_alarm(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    host_power_off(&c->hosts[0]);
    host_power_off(&c->hosts[1]);
    cloud_run(c, 60000);
    assert_false(is_fenced(c, 0, 1));
    assert_false(is_fenced(c, 1, 1));
    assert_int_equal(instance_run(c, 1), 1);
    assert_true(host_says(c, 0, "lost at once") || host_says(c, 0, "2 of 3"));
}

static void with_ha_switched_off_nothing_is_fenced(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    cloud_set_setting(c, "ha.enable", "false");
    host_power_off(&c->hosts[0]);
    cloud_run(c, 60000);
    assert_false(is_fenced(c, 0, 1));
    assert_int_equal(instance_run(c, 1), 1);
}

static void a_leader_that_is_lost_in_between_changes_nothing(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    host_power_off(&c->hosts[0]);
    cloud_run(c, 14000);
    assert_true(is_fenced(c, 0, 1));
    cloud_new_leader(c);
    assert_true(wait_state(c, 1, STATE(RUNNING), 40000));
    assert_int_equal(instance_run(c, 1), 2);
    cloud_run(c, 20000);
    assert_int_equal(instance_run(c, 1), 2);
    Holdfast__V1__Failover *f = failover_of(c, 1);
    assert_string_equal(f->outcome, "restarted");
    free_message(f);
}

/* A new leader has heard of nobody: hosts get time to attach before they count as lost. */
static void a_new_leader_fences_nobody_who_attaches_late(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    cloud_new_leader(c);
    for (unsigned h = 0; h < 3; h++) {
        host_drop_stream(&c->hosts[h]);
        c->hosts[h].dial_ms = c->clock_ms + 4000;
    }
    cloud_run(c, 30000);
    for (unsigned h = 0; h < 3; h++) {
        assert_false(is_fenced(c, h, 1));
        assert_int_equal(host_state(c, h), HOST(CONNECTED));
    }
    for (unsigned n = 1; n <= 4; n++)
        assert_int_equal(instance_run(c, n), 1);
}

/* Power fails everywhere and comes back: every epoch is new, NeverStop instances start, the others stay off.
 */
static void a_site_that_lost_power_comes_back(void **state)
{
    struct cloud *c = *state;
    four_instances(c);
    for (unsigned h = 0; h < 3; h++)
        host_power_off(&c->hosts[h]);
    cloud_run(c, 40000);
    for (unsigned h = 0; h < 3; h++)
        host_power_on(&c->hosts[h]);
    for (unsigned n = 1; n <= 3; n++)
        assert_true(wait_state(c, n, STATE(RUNNING), 10000));
    assert_int_equal(instance_state(c, 4), STATE(STOPPED));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(power_cut),
        TEST(the_stopped_one_can_be_started_by_hand),
        TEST(the_host_comes_back_with_a_new_epoch),
        TEST(a_host_that_is_back_early_frees_its_instances),
        TEST(a_host_without_network_is_left_alone),
        TEST(its_record_tells_of_runs_that_ended),
        TEST(a_machine_with_a_copied_identity_frees_nothing),
        TEST(without_a_watchdog_silence_proves_nothing),
        TEST(silence_counts_only_behind_the_mark),
        TEST(a_closed_storage_gets_a_new_session),
        TEST(a_lost_storage_leaves_a_record),
        TEST(a_storage_that_was_just_lost_is_not_placed_on),
        TEST(a_word_on_a_storage_ends_with_the_stream),
        TEST(a_refused_client_leaves_a_record),
        TEST(an_operators_word_frees_the_instances),
        TEST(a_host_that_hung_and_was_fenced_kills_and_returns),
        TEST(many_hosts_lost_at_once_hold_and_alarm),
        TEST(with_ha_switched_off_nothing_is_fenced),
        TEST(a_leader_that_is_lost_in_between_changes_nothing),
        TEST(a_new_leader_fences_nobody_who_attaches_late),
        TEST(a_site_that_lost_power_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
