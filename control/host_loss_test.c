/* What the loss of hosts would bring: the plan says what then happens; whether losses can be absorbed; what
 * is refused because they cannot. Through a whole control plane with scripted hosts (cloud_testing.h), each
 * with room for four instances of 2 GiB.
 */
#include "control/admission.h"
#include "control/admission_controller.h"
#include "control/cloud_testing.h"
#include "control/conditions.h"
#include "control/controllers_state.h"
#include "control/ha_plan.h"
#include "ha/ha_timing.h"

#define STATE(name)    HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define PRIORITY(name) HOLDFAST__V1__INSTANCE_SPEC__RESTART_PRIORITY__##name
#define OUTCOME(name)  HOLDFAST__V1__PLAN_HOST_LOSS_RESPONSE__LOST_INSTANCE__OUTCOME__##name

typedef Holdfast__V1__PlanHostLossResponse Plan;
typedef Holdfast__V1__PlanHostLossResponse__LostInstance LostInstance;

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

static void put(struct cloud *c, unsigned n, const struct instance_wish *wish)
{
    cloud_put_instance(c, n, wish);
    if (!wish->stopped)
        assert_true(wait_state(c, n, STATE(RUNNING), 5000));
}

/* n instances from number first on this host. */
static void fill(struct cloud *c, unsigned first, unsigned n, unsigned host, bool never_stop)
{
    for (unsigned k = 0; k < n; k++)
        put(c, first + k, &(struct instance_wish){.host = c->hosts[host].uuid, .never_stop = never_stop});
}

static Plan *plan_of(struct cloud *c, unsigned first_host, unsigned n)
{
    char *uuids[HOSTS_MAX];
    Plan *p = NULL;
    for (unsigned k = 0; k < n; k++)
        uuids[k] = c->hosts[first_host + k].uuid;
    hf_status st = hf_ha_plan(leader_control(c)->controllers, uuids, n, &p);
    assert_true(hf_ok(st));
    return p;
}

static const LostInstance *of(const Plan *p, unsigned n)
{
    for (size_t k = 0; k < p->n_instances; k++)
        if (strcmp(p->instances[k]->instance_uuid, cloud_instance(n)) == 0)
            return p->instances[k];
    fail_msg("the plan has no instance %u", n);
    return NULL;
}

static bool warns(const Plan *p, const char *part)
{
    for (size_t k = 0; k < p->n_warnings; k++)
        if (strstr(p->warnings[k], part) != NULL)
            return true;
    return false;
}

/* --- the plan --- */

/* Seven of every kind on host-1; the others have room for three. Whatever the plan says happens. */
static void the_plan_is_what_happens(void **state)
{
    struct cloud *c = *state;
    const char *group = cloud_put_group(c, 1, false, true);
    char *host_1 = c->hosts[0].uuid;
    put(c, 20, &(struct instance_wish){.host = c->hosts[1].uuid, .group = group});
    fill(c, 21, 2, 1, false);
    fill(c, 23, 2, 2, false);
    put(c, 1,
        &(struct instance_wish){
            .host = host_1, .never_stop = true, .memory_bytes = GIB, .priority = PRIORITY(LOW)});
    put(c, 2,
        &(struct instance_wish){.host = host_1, .never_stop = true, .memory_bytes = GIB, .group = group});
    put(c, 3,
        &(struct instance_wish){
            .host = host_1, .never_stop = true, .memory_bytes = 3 * GIB, .priority = PRIORITY(HIGH)});
    put(c, 4, &(struct instance_wish){.host = host_1, .memory_bytes = GIB});
    put(c, 5,
        &(struct instance_wish){
            .host = host_1, .never_stop = true, .memory_bytes = GIB, .priority = PRIORITY(HIGHEST)});
    uint64_t revision = hf_store_revision(leader_store(c));
    Plan *p = plan_of(c, 0, 1);
    assert_true(hf_store_revision(leader_store(c)) == revision);
    assert_int_equal(p->n_instances, 5);
    assert_string_equal(p->instances[0]->name, "vm-5");
    assert_string_equal(p->instances[1]->name, "vm-3");
    assert_string_equal(p->instances[2]->name, "vm-2");
    assert_string_equal(p->instances[3]->name, "vm-1");
    assert_int_equal(of(p, 4)->outcome, OUTCOME(STAYS_DOWN));
    assert_non_null(strstr(of(p, 4)->reason, "it is not NeverStop"));
    assert_int_equal(p->restarts + p->waits + p->stays_down, 5);
    assert_int_equal(p->hosts[0]->proven_ms, hf_ha_timing_find("default")->takeover_ms);
    assert_int_equal(p->ordered_ms, p->hosts[0]->proven_ms);
    assert_int_equal(p->n_warnings, 0);

    host_power_off(&c->hosts[0]);
    cloud_run(c, hf_ha_timing_find("default")->takeover_ms + 2000);
    for (unsigned n = 1; n <= 5; n++) {
        const LostInstance *i = of(p, n);
        int host = instance_host(c, n);
        assert_string_equal(host >= 0 ? c->hosts[host].uuid : "", i->to_host_uuid);
        assert_int_equal(i->outcome == OUTCOME(RESTARTS), host >= 0);
    }
    assert_true(p->waits > 0 && p->restarts > 2); /* else it shows little */
    free_message(p);
}

static void who_waits_is_told_why(void **state)
{
    struct cloud *c = *state;
    fill(c, 1, 2, 0, true);
    fill(c, 11, 4, 1, false);
    fill(c, 21, 3, 2, false);
    Plan *p = plan_of(c, 0, 1);
    assert_int_equal(p->restarts, 1);
    assert_int_equal(of(p, 2)->outcome, OUTCOME(WAITS));
    assert_string_equal(
        of(p, 2)->reason,
        "no host can take instance 'vm-2': host-1: it is the one that is lost; host-2: needs 2 GiB "
        "memory, 0 MiB free; host-3: needs 2 GiB memory, 0 MiB free");
    free_message(p);
}

static void two_hosts_at_once(void **state)
{
    struct cloud *c = *state;
    fill(c, 1, 1, 0, true);
    fill(c, 2, 1, 1, true);
    Plan *p = plan_of(c, 0, 2);
    assert_int_equal(p->n_hosts, 2);
    assert_int_equal(p->restarts, 2);
    assert_string_equal(of(p, 1)->to_host_name, "host-3");
    assert_string_equal(of(p, 2)->to_host_name, "host-3");
    assert_true(warns(p, "2 of 3 hosts would be lost at once"));
    free_message(p);
}

static void a_host_that_nothing_proves_down(void **state)
{
    struct cloud *c = *state;
    c->hosts[0].watchdog = "none";
    host_drop_stream(&c->hosts[0]);
    cloud_run(c, 2000);
    fill(c, 1, 1, 0, true);
    Plan *p = plan_of(c, 0, 1);
    assert_true(p->hosts[0]->needs_person);
    assert_int_equal(p->hosts[0]->proven_ms, 0);
    assert_int_equal(of(p, 1)->outcome, OUTCOME(RESTARTS)); /* after a person's word */
    assert_int_equal(of(p, 1)->ordered_ms, 0);
    assert_true(warns(p, "host 'host-1' has no watchdog and no power fencing: HA would hold for a person"));
    free_message(p);
    cloud_set_setting(c, "ha.enable", "false");
    p = plan_of(c, 0, 1);
    assert_int_equal(of(p, 1)->outcome, OUTCOME(STAYS_DOWN));
    assert_true(warns(p, "HA is switched off"));
    free_message(p);
}

static void unknown_hosts_are_refused(void **state)
{
    struct cloud *c = *state;
    char *nobody = "ffffffffffffffffffffffffffffffff";
    Plan *p = NULL;
    hf_status st = hf_ha_plan(leader_control(c)->controllers, &nobody, 1, &p);
    assert_int_equal(hf_status_code(st), HF_NOT_FOUND);
    hf_status_drop(st);
    st = hf_ha_plan(leader_control(c)->controllers, NULL, 0, &p);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);
    assert_null(p);
}

/* --- admission --- */

static char *capacity(struct cloud *c, bool *ret_ok)
{
    Holdfast__V1__Cluster *cl = cloud_get(c, HOLDFAST__V1__KIND__CLUSTER, CLUSTER);
    char *text = NULL;
    for (size_t k = 0; cl->status != NULL && k < cl->status->n_conditions; k++)
        if (strcmp(cl->status->conditions[k]->type, HF_CONDITION_HA_CAPACITY) == 0) {
            text = hf_strdup(cl->status->conditions[k]->message);
            *ret_ok = cl->status->conditions[k]->ok;
        }
    free_message(cl);
    return text;
}

static void assert_capacity(struct cloud *c, bool ok, const char *begin)
{
    bool is_ok = false;
    cloud_run(c, HF_ADMISSION_EVERY_MS + 500);
    char *text = capacity(c, &is_ok);
    if (text == NULL || strncmp(text, begin, strlen(begin)) != 0)
        fail_msg("the cluster says: %s", text != NULL ? text : "nothing");
    assert_int_equal(is_ok, ok);
    free(text);
}

static void the_cluster_says_whether_a_loss_can_be_absorbed(void **state)
{
    struct cloud *c = *state;
    assert_capacity(c, true, "the loss of any one host can be absorbed");
    fill(c, 1, 3, 0, true);
    fill(c, 11, 2, 1, true);
    fill(c, 21, 3, 2, false);
    assert_capacity(c, true, "the loss of any one host can be absorbed");
    put(c, 4, &(struct instance_wish){.host = c->hosts[0].uuid, .never_stop = true});
    assert_capacity(
        c, false,
        "the loss of host 'host-1' cannot be absorbed: 1 NeverStop instance with 2048 MiB memory would "
        "wait; no host can take instance 'vm-4': host-1: it is the one that is lost; host-2: needs");
    cloud_set_power(c, 21, HOLDFAST__V1__POWER_STATE__POWER_STOPPED, NULL);
    assert_capacity(c, true, "the loss of any one host can be absorbed");
    cloud_set_setting(c, "ha.admission.hostFailures", "2");
    assert_capacity(c, false, "the loss of hosts 'host-1' and 'host-");
    cloud_set_setting(c, "ha.admission.policy", "off");
    cloud_run(c, 5000);
    bool ok;
    assert_null(capacity(c, &ok));
}

/* Nothing changes: nothing is written, and nothing is looked at. */
static void a_cloud_at_rest_is_not_looked_at(void **state)
{
    struct cloud *c = *state;
    fill(c, 1, 2, 0, true);
    cloud_run(c, 10000);
    uint64_t revision = hf_store_revision(leader_store(c));
    int64_t due = leader_control(c)->controllers->admission.due_ms;
    cloud_run(c, 60000);
    assert_true(hf_store_revision(leader_store(c)) == revision);
    assert_true(leader_control(c)->controllers->admission.due_ms == due);
}

static enum hf_code admit(struct cloud *c, unsigned n, const char *part)
{
    Holdfast__V1__Instance *i = cloud_get(c, HOLDFAST__V1__KIND__INSTANCE, cloud_instance(n));
    i->spec->power = HOLDFAST__V1__POWER_STATE__POWER_RUNNING;
    hf_status st = hf_admission_admit(leader_control(c)->controllers, leader_store(c), i);
    enum hf_code code = hf_status_code(st);
    if (part != NULL && strstr(hf_status_message(st), part) == NULL)
        fail_msg("it says: %s", hf_status_message(st));
    hf_status_drop(st);
    free_message(i);
    return code;
}

static void what_could_not_be_absorbed_is_refused(void **state)
{
    struct cloud *c = *state;
    fill(c, 1, 3, 0, true);
    fill(c, 11, 3, 1, true);
    fill(c, 21, 2, 2, true); /* 8 of 12; the loss of any one leaves room for 8 */
    cloud_put_instance(c, 4, &(struct instance_wish){.never_stop = true, .stopped = true});
    cloud_put_instance(c, 5, &(struct instance_wish){.stopped = true, .memory_bytes = GIB});
    assert_int_equal(admit(c, 4, NULL), HF_OK); /* the policy is to warn */
    cloud_set_setting(c, "ha.admission.policy", "refuse");
    assert_int_equal(
        admit(c, 4, "with it running, the loss of host 'host-1' cannot be absorbed: 1 NeverStop"),
        HF_PRECONDITION);
    cloud_set_setting(c, "ha.enable", "false");
    assert_int_equal(admit(c, 4, NULL), HF_OK);
}

/* Where not every set of hosts can be looked at, the heaviest are. */
static void many_hosts_are_looked_at_heaviest_first(void **state)
{
    struct cloud *c = *state;
    fill(c, 1, 1, 1, true);
    struct hf_controllers *cs = leader_control(c)->controllers;
    struct hf_losses *l = hf_controllers_losses(cs);
    struct hf_admission a = hf_admission_judge(l, cs->facts, 1);
    assert_true(a.all && a.sets == 3 && a.failures == 1);
    hf_admission_done(&a);
    a = hf_admission_judge(l, cs->facts, 2);
    assert_true(a.all && a.sets == 3 && a.failures == 2);
    hf_admission_done(&a);
    a = hf_admission_judge(l, cs->facts, 8); /* more than there are: all of them */
    assert_true(a.all && a.sets == 1 && a.failures == 3);
    assert_int_equal(a.hosts[0].homeless, 1);
    hf_admission_done(&a);
    hf_losses_free(l);
    hf_controllers_drop_facts(cs);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_plan_is_what_happens),
        TEST(who_waits_is_told_why),
        TEST(two_hosts_at_once),
        TEST(a_host_that_nothing_proves_down),
        TEST(unknown_hosts_are_refused),
        TEST(the_cluster_says_whether_a_loss_can_be_absorbed),
        TEST(a_cloud_at_rest_is_not_looked_at),
        TEST(what_could_not_be_absorbed_is_refused),
        TEST(many_hosts_are_looked_at_heaviest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
