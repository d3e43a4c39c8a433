/* Power fencing through a whole control plane with scripted hosts and power devices (cloud_testing.h), in
 * virtual time. Profile "default": L+K 10.5 s, T 20.2 s, a look behind "off" 5.5 s. That no instance ever
 * runs twice is checked at every step.
 */
#include "control/fake_bmc.h"
#include "control/fence_object.h"
#include "ha/ha_timing.h"

#define STATE(name) HOLDFAST__V1__INSTANCE_STATUS__STATE__##name
#define KIND(name)  HOLDFAST__V1__KIND__##name

/* --- the scene --- */

struct scene {
    struct cloud *cloud;
    struct bmcs *bmcs;
};

static void add_device(struct scene *s, const char *name, uint32_t level)
{
    Holdfast__V1__Host *h = cloud_get(s->cloud, KIND(HOST), s->cloud->hosts[0].uuid);
    size_t n = h->spec->n_power_fencing;
    h->spec->power_fencing = hf_realloc_array(h->spec->power_fencing, n + 1, sizeof *h->spec->power_fencing);
    h->spec->power_fencing[h->spec->n_power_fencing++] = bmc_device(name, level);
    assert_int_equal(cloud_put(s->cloud, &h->base), HF_OK);
    free_message(h);
}

/* vm-1 (NeverStop) on host-1, which has no watchdog and a BMC. */
static int setup(void **state)
{
    struct scene *s = HF_NEW(struct scene);
    s->cloud = cloud_ready(3);
    s->bmcs = bmcs_create(s->cloud);
    s->cloud->hosts[0].watchdog = "none";
    host_drop_stream(&s->cloud->hosts[0]);
    cloud_run(s->cloud, 2000);
    add_device(s, "bmc", 1);
    cloud_create_instance(s->cloud, 1, true);
    assert_true(wait_state(s->cloud, 1, STATE(RUNNING), 5000));
    assert_int_equal(instance_host(s->cloud, 1), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    assert_false(s->bmcs->off_before_fence);
    cloud_free(s->cloud); /* its jobs give up what still runs */
    free(s->bmcs);
    free(s);
    return 0;
}

static bool host_says(struct cloud *c, const char *part)
{
    bool says = false;
    Holdfast__V1__Host *h = cloud_get(c, KIND(HOST), c->hosts[0].uuid);
    for (size_t i = 0; i < h->status->n_conditions; i++) {
        says |= strstr(h->status->conditions[i]->message, part) != NULL;
        if (!says)
            print_message("host says: %s\n", h->status->conditions[i]->message);
    }
    free_message(h);
    return says;
}

/* The whole host stands still and would go on if somebody woke it: nothing but its power proves anything. */
static void freeze(struct cloud *c)
{
    host_hang(&c->hosts[0]);
    c->hosts[0].silent_since_ms = INT64_MAX / 2; /* nothing resets it */
}

static const Holdfast__V1__Evidence *power_evidence(struct cloud *c, Holdfast__V1__Fence **ret_fence)
{
    *ret_fence = hf_fence_find(leader_store(c), c->hosts[0].uuid, 1);
    assert_non_null(*ret_fence);
    for (size_t i = 0; i < (*ret_fence)->n_evidence; i++)
        if ((*ret_fence)->evidence[i]->kind == HOLDFAST__V1__EVIDENCE__KIND__POWER_OFF)
            return (*ret_fence)->evidence[i];
    return NULL;
}

/* Until vm-1 runs elsewhere, at most ms. */
static bool wait_moved(struct cloud *c, int64_t ms)
{
    for (int64_t end = c->clock_ms + ms; c->clock_ms < end;) {
        cloud_run(c, 50);
        if (instance_run(c, 1) == 2 && instance_state(c, 1) == STATE(RUNNING))
            return instance_host(c, 1) > 0;
    }
    return false;
}

/* --- tests --- */

static void a_frozen_host_without_a_watchdog_is_cut_off(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    const struct hf_ha_timing *t = hf_ha_timing_find("default");
    int64_t frozen = c->clock_ms;
    freeze(c);
    assert_true(wait_moved(c, 60000));
    assert_true(c->clock_ms - frozen >= t->fence_ms + t->power_look_ms);
    assert_true(c->clock_ms - frozen < 30000);
    assert_int_equal(instance_run(c, 1), 2);
    assert_int_not_equal(instance_host(c, 1), 0);
    assert_int_equal(s->bmcs->offs, 1);

    Holdfast__V1__Fence *f;
    const Holdfast__V1__Evidence *e = power_evidence(c, &f);
    assert_non_null(e);
    assert_true(e->silent_ms >= t->power_look_ms && e->required_ms == t->power_look_ms);
    assert_int_equal(e->n_power, 1);
    assert_string_equal(e->power[0]->device, "bmc");
    assert_string_equal(e->power[0]->agent, "fence_x");
    assert_string_equal(e->power[0]->status, "off");
    assert_true(e->power[0]->asked_at_ms > f->meta->created_at_ms &&
                e->power[0]->answered_at_ms > e->power[0]->asked_at_ms);
    assert_true(e->recorded_at_ms >= e->power[0]->answered_at_ms + t->power_look_ms);
    free_message(f);
    unsigned orders = s->bmcs->orders;
    cloud_run(c, 60000);
    assert_int_equal(s->bmcs->orders, orders); /* it is proven: nobody asks any more */
}

static void a_host_that_is_off_is_not_switched_off(void **state)
{
    struct scene *s = *state;
    host_power_off(&s->cloud->hosts[0]);
    assert_true(wait_moved(s->cloud, 60000));
    assert_int_equal(s->bmcs->offs, 0);
}

static void accepted_is_not_off(void **state)
{
    struct scene *s = *state;
    s->bmcs->bmc = BMC_KEEPS_ON;
    freeze(s->cloud);
    cloud_run(s->cloud, 60000);
    assert_int_equal(instance_run(s->cloud, 1), 1);
    assert_true(host_says(s->cloud, "'bmc': stays on"));
    s->bmcs->bmc = BMC_WORKS; /* it is tried for ever */
    assert_true(wait_moved(s->cloud, 90000));
    assert_int_equal(instance_run(s->cloud, 1), 2);
}

/* The host was only slow and goes on; its device says that it is off. */
static void a_device_that_lies_proves_nothing(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    s->bmcs->bmc = BMC_LIES;
    freeze(c);
    cloud_run(c, 13000);
    assert_true(is_fenced(c, 0, 1));
    c->hosts[0].silent = false;
    c->hosts[0].no_network = true; /* only its record shows that it lives */
    cloud_run(c, 1500);
    for (unsigned n = 0; n < 40 && instance_run(c, 1) == 1; n++)
        cloud_run(c, 500);
    Holdfast__V1__Fence *f;
    assert_null(power_evidence(c, &f)); /* what frees it is its own word, behind the mark */
    free_message(f);
}

static void a_wrong_password_is_said_and_the_second_level_helps(void **state)
{
    struct scene *s = *state;
    s->bmcs->bmc = BMC_REFUSES;
    freeze(s->cloud);
    cloud_run(s->cloud, 30000);
    assert_int_equal(instance_run(s->cloud, 1), 1);
    assert_true(host_says(s->cloud, "'bmc': wrong password"));
    add_device(s, "pdu", 2); /* an operator adds a way out while it is needed */
    assert_true(wait_moved(s->cloud, 40000));
    Holdfast__V1__Fence *f;
    const Holdfast__V1__Evidence *e = power_evidence(s->cloud, &f);
    assert_non_null(e);
    assert_string_equal(e->power[0]->device, "pdu");
    free_message(f);
}

static void two_supplies_must_both_be_off(void **state)
{
    struct scene *s = *state;
    add_device(s, "pdu", 1);
    s->bmcs->pdu = BMC_KEEPS_ON;
    freeze(s->cloud);
    cloud_run(s->cloud, 60000);
    assert_int_equal(instance_run(s->cloud, 1), 1);
    s->bmcs->pdu = BMC_WORKS;
    assert_true(wait_moved(s->cloud, 90000));
    Holdfast__V1__Fence *f;
    const Holdfast__V1__Evidence *e = power_evidence(s->cloud, &f);
    assert_int_equal(e->n_power, 2);
    free_message(f);
}

/* Power is gone for the host and its BMC: the device hangs, the lease is proof enough. */
static void a_dead_bmc_does_not_block_the_lease(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    c->hosts[0].watchdog = "hardware";
    host_drop_stream(&c->hosts[0]);
    cloud_run(c, 3000);
    s->bmcs->bmc = BMC_HANGS;
    int64_t cut = c->clock_ms;
    host_power_off(&c->hosts[0]);
    assert_true(wait_moved(c, 60000));
    assert_true(c->clock_ms - cut < hf_ha_timing_find("default")->takeover_ms + START_MS + 1000);
    cloud_run(c, 1000);
    assert_int_equal(s->bmcs->cancelled, 1); /* the agent that still hung */
    Holdfast__V1__Fence *f;
    assert_null(power_evidence(c, &f));
    free_message(f);
}

static void settings_say_when(void **state)
{
    struct scene *s = *state;
    cloud_set_setting(s->cloud, "ha.powerFencing", "never");
    freeze(s->cloud);
    cloud_run(s->cloud, 60000);
    assert_int_equal(s->bmcs->orders, 0);
    assert_true(host_says(s->cloud, "no hardware watchdog"));
    cloud_set_setting(s->cloud, "ha.powerFencing", "without-watchdog");
    assert_true(wait_moved(s->cloud, 30000));
}

static void many_hosts_lost_at_once_keep_their_power(void **state)
{
    struct scene *s = *state;
    freeze(s->cloud);
    host_power_off(&s->cloud->hosts[1]);
    cloud_run(s->cloud, 60000);
    assert_int_equal(s->bmcs->orders, 0);
    assert_int_equal(instance_run(s->cloud, 1), 1);
}

/* A change of leaders: the old one's agents end, the new one asks anew; one copy, one proof. */
static void a_new_leader_asks_anew(void **state)
{
    struct scene *s = *state;
    s->bmcs->bmc = BMC_HANGS;
    freeze(s->cloud);
    cloud_run(s->cloud, 14000);
    assert_true(s->bmcs->orders > 0);
    s->bmcs->bmc = BMC_WORKS;
    cloud_new_leader(s->cloud);
    assert_true(wait_moved(s->cloud, 60000));
    assert_int_equal(instance_run(s->cloud, 1), 2);
    assert_int_equal(s->bmcs->offs, 1);
}

/* The host comes back in the moment before it would be switched off: it is in contact, and is left alone. */
static void a_host_in_contact_keeps_its_power(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->cloud;
    s->bmcs->bmc = BMC_REFUSES;
    freeze(c);
    cloud_run(c, 14000);
    assert_true(is_fenced(c, 0, 1));
    c->hosts[0].silent = false;
    cloud_run(c, 3000);
    s->bmcs->bmc = BMC_WORKS;
    cloud_run(c, 60000);
    assert_int_equal(s->bmcs->offs, 0);
    assert_int_equal(host_epoch(c, 0), 2); /* it has ended its epoch by itself */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_frozen_host_without_a_watchdog_is_cut_off),
        TEST(a_host_that_is_off_is_not_switched_off),
        TEST(accepted_is_not_off),
        TEST(a_device_that_lies_proves_nothing),
        TEST(a_wrong_password_is_said_and_the_second_level_helps),
        TEST(two_supplies_must_both_be_off),
        TEST(a_dead_bmc_does_not_block_the_lease),
        TEST(settings_say_when),
        TEST(many_hosts_lost_at_once_keep_their_power),
        TEST(a_new_leader_asks_anew),
        TEST(a_host_in_contact_keeps_its_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
