/* Power devices through the API: added, removed, asked, switched; what readers see of secrets. */
#include "control/api_testing.h"
#include "control/fake_bmc.h"
#include "control/placement_guard.h"

#define KIND(name) HOLDFAST__V1__KIND__##name

typedef Holdfast__V1__Host Host;
typedef Holdfast__V1__HostPower HostPower;

struct scene {
    struct api_world *w;
    struct bmcs *bmcs;
};

static int setup(void **state)
{
    struct scene *s = HF_NEW(struct scene);
    s->w = world_create(3);
    s->bmcs = bmcs_create(s->w->cloud);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    world_free(s->w);
    free(s->bmcs);
    free(s);
    return 0;
}

static char *host_1(const struct scene *s)
{
    return s->w->cloud->hosts[0].uuid;
}

static enum hf_code add(struct scene *s, Holdfast__V1__PowerDevice *take_d, struct answer *a)
{
    Holdfast__V1__AddPowerDeviceRequest r = HOLDFAST__V1__ADD_POWER_DEVICE_REQUEST__INIT;
    r.host_uuid = host_1(s);
    r.device = take_d;
    call_leader(s->w, "Host", "AddPowerDevice", &r.base, a);
    if (take_d != NULL)
        holdfast__v1__power_device__free_unpacked(take_d, NULL);
    return a->code;
}

static void added(struct scene *s, const char *name, uint32_t level)
{
    struct answer a;
    assert_int_equal(add(s, bmc_device(name, level), &a), HF_OK);
    answer_done(&a);
}

static enum hf_code remove_device(struct scene *s, const char *name)
{
    struct answer a;
    Holdfast__V1__RemovePowerDeviceRequest r = HOLDFAST__V1__REMOVE_POWER_DEVICE_REQUEST__INIT;
    r.host_uuid = host_1(s);
    r.name = (char *)name;
    call_leader(s->w, "Host", "RemovePowerDevice", &r.base, &a);
    answer_done(&a);
    return a.code;
}

static void assert_hidden(const Host *h)
{
    assert_int_equal(h->spec->n_power_fencing, 1);
    assert_string_equal(h->spec->power_fencing[0]->options[0]->value, "bmc");
    assert_string_equal(h->spec->power_fencing[0]->secrets[0]->name, "password");
    assert_string_equal(h->spec->power_fencing[0]->secrets[0]->value, "set");
}

static void readers_see_no_secret(void **state)
{
    struct scene *s = *state;
    struct answer a;
    assert_int_equal(add(s, bmc_device("bmc", 1), &a), HF_OK);
    assert_hidden((Host *)a.last); /* not even the one who set it */
    answer_done(&a);

    Holdfast__V1__GetRequest get = HOLDFAST__V1__GET_REQUEST__INIT;
    get.uuid = host_1(s);
    assert_int_equal(call_leader(s->w, "Host", "GetHost", &get.base, &a), HF_OK);
    assert_hidden((Host *)a.last);
    answer_done(&a);

    static const struct {
        const char *filter;
        size_t found;
    } lists[] = {{"spec.power_fencing.name = \"bmc\"", 1},
                 {"spec.power_fencing.secrets.value = \"" BMC_PASSWORD "\"", 0},
                 {"spec.power_fencing.secrets.value = \"set\"", 1}};
    for (size_t i = 0; i < 3; i++) {
        Holdfast__V1__ListRequest list = HOLDFAST__V1__LIST_REQUEST__INIT;
        list.filter = (char *)lists[i].filter;
        assert_int_equal(call_leader(s->w, "Host", "ListHosts", &list.base, &a), HF_OK);
        Holdfast__V1__ListHostsResponse *hosts = (Holdfast__V1__ListHostsResponse *)a.last;
        assert_int_equal(hosts->n_hosts, lists[i].found);
        if (hosts->n_hosts > 0)
            assert_hidden(hosts->hosts[0]);
        answer_done(&a);
    }

    Holdfast__V1__HostVerbRequest disable = HOLDFAST__V1__HOST_VERB_REQUEST__INIT; /* other writes keep it */
    disable.uuid = host_1(s);
    assert_int_equal(call_leader(s->w, "Host", "DisableHost", &disable.base, &a), HF_OK);
    assert_hidden((Host *)a.last);
    answer_done(&a);
    Host *h = cloud_get(s->w->cloud, KIND(HOST), host_1(s));
    assert_string_equal(h->spec->power_fencing[0]->secrets[0]->value, BMC_PASSWORD);
    free_message(h);
}

static void watched(struct answer *a, const ProtobufCMessage *m)
{
    const Holdfast__V1__WatchEvent *e = (const Holdfast__V1__WatchEvent *)(const void *)m;
    unsigned *seen = a->arg;
    if (e->kind != KIND(HOST) || e->object.len == 0)
        return;
    Host *h = holdfast__v1__host__unpack(NULL, e->object.len, e->object.data);
    if (h->spec->n_power_fencing > 0) {
        assert_hidden(h);
        ++*seen;
    }
    holdfast__v1__host__free_unpacked(h, NULL);
}

static void watchers_see_no_secret(void **state)
{
    struct scene *s = *state;
    unsigned seen = 0;
    Holdfast__V1__WatchRequest r = HOLDFAST__V1__WATCH_REQUEST__INIT;
    struct answer a = {.on_message = watched, .arg = &seen}, later = a;
    call_start(s->w, 1, "Watch", "Watch", &r.base, -1, &a); /* a follower: change by change */
    cloud_run(s->w->cloud, 100);
    added(s, "bmc", 1);
    cloud_run(s->w->cloud, 1000);
    assert_true(seen > 0);
    seen = 0;
    call_start(s->w, 2, "Watch", "Watch", &r.base, -1, &later); /* as a snapshot */
    cloud_run(s->w->cloud, 1000);
    assert_true(seen > 0);
    hf_api_call_cancel(a.call);
    hf_api_call_cancel(later.call);
    answer_done(&a);
    answer_done(&later);
}

static void wrong_devices_are_refused(void **state)
{
    struct scene *s = *state;
    struct answer a;
    add(s, NULL, &a);
    assert_says(&a, HF_INVALID, "no device");
    Holdfast__V1__PowerDevice *d = bmc_device("bmc", 1);
    hf_pb_set(&d->agent, "/bin/sh");
    add(s, d, &a);
    assert_says(&a, HF_INVALID,
                "add power device 'bmc' to host 'host-1': agent: '/bin/sh' is not the name of a fence agent");
    added(s, "bmc", 1);
    add(s, bmc_device("bmc", 2), &a);
    assert_says(&a, HF_EXISTS, "one of this name");
    for (unsigned i = 1; i < HF_POWER_DEVICES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "strip-%u", i);
        added(s, name, 2);
    }
    add(s, bmc_device("one-more", 2), &a);
    assert_says(&a, HF_EXHAUSTED, "no more are possible");
    assert_int_equal(remove_device(s, "nobody"), HF_NOT_FOUND);
    assert_int_equal(remove_device(s, "bmc"), HF_OK);
    assert_int_equal(remove_device(s, "bmc"), HF_NOT_FOUND);
    added(s, "one-more", 2);
}

static enum hf_code get_power(struct scene *s, struct answer *a)
{
    Holdfast__V1__HostVerbRequest r = HOLDFAST__V1__HOST_VERB_REQUEST__INIT;
    r.uuid = host_1(s);
    return call_leader(s->w, "Host", "GetHostPower", &r.base, a);
}

static enum hf_code set_power(struct scene *s, bool on, bool force, struct answer *a)
{
    Holdfast__V1__SetHostPowerRequest r = HOLDFAST__V1__SET_HOST_POWER_REQUEST__INIT;
    r.uuid = host_1(s);
    r.on = on;
    r.force = force;
    return call_leader(s->w, "Host", "SetHostPower", &r.base, a);
}

static void power_is(struct answer *a, const char *state)
{
    assert_int_equal(a->code, HF_OK);
    assert_string_equal(((HostPower *)a->last)->state, state);
    answer_done(a);
}

static void devices_are_asked(void **state)
{
    struct scene *s = *state;
    struct answer a;
    get_power(s, &a);
    assert_says(&a, HF_PRECONDITION, "it has no power devices");
    added(s, "bmc", 1);
    added(s, "pdu", 2);
    get_power(s, &a);
    power_is(&a, "on");
    s->bmcs->bmc = BMC_REFUSES;
    get_power(s, &a);
    HostPower *p = (HostPower *)a.last;
    assert_int_equal(p->n_devices, 2);
    assert_string_equal(p->devices[0]->state, "unknown");
    assert_string_equal(p->devices[0]->message, "wrong password");
    assert_string_equal(p->devices[1]->state, "on");
    power_is(&a, "on");
    s->bmcs->pdu = BMC_HANGS;
    get_power(s, &a);
    power_is(&a, "unknown");
    s->bmcs->bmc = BMC_WORKS;
    host_power_off(&s->w->cloud->hosts[0]);
    get_power(s, &a);
    power_is(&a, "off"); /* one level says so */
}

static void a_host_in_use_is_drained_first(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->w->cloud;
    struct answer a;
    added(s, "bmc", 1);
    cloud_create_instance(c, 1, false);
    assert_true(wait_state(c, 1, HOLDFAST__V1__INSTANCE_STATUS__STATE__RUNNING, 5000));
    assert_int_equal(instance_host(c, 1), 0);
    set_power(s, false, false, &a);
    assert_says(&a, HF_PRECONDITION,
                "it is in contact and 1 instance runs there: drain it first, or give --force");
    assert_int_equal(s->bmcs->offs, 0);
    set_power(s, false, true, &a);
    power_is(&a, "off");
    assert_false(c->hosts[0].up);
    set_power(s, true, false, &a);
    power_is(&a, "on");
    assert_true(c->hosts[0].up);
}

static void off_that_does_not_work_says_so(void **state)
{
    struct scene *s = *state;
    struct answer a;
    added(s, "bmc", 1);
    s->bmcs->bmc = BMC_KEEPS_ON;
    set_power(s, false, false, &a);
    power_is(&a, "on");
    s->bmcs->bmc = BMC_REFUSES;
    set_power(s, false, false, &a);
    assert_string_equal(((HostPower *)a.last)->devices[0]->message, "wrong password");
    power_is(&a, "unknown");
    set_power(s, true, false, &a);
    power_is(&a, "unknown");
}

/* It stays off until its last life is proven over. */
static void a_fenced_host_stays_off(void **state)
{
    struct scene *s = *state;
    struct cloud *c = s->w->cloud;
    struct answer a;
    c->hosts[0].watchdog = "none";
    host_drop_stream(&c->hosts[0]);
    cloud_run(c, 2000);
    host_power_off(&c->hosts[0]);
    cloud_run(c, 20000);
    assert_true(is_fenced(c, 0, 1));
    cloud_set_setting(c, "ha.powerFencing", "never");
    added(s, "bmc", 1);
    set_power(s, true, false, &a);
    assert_says(&a, HF_PRECONDITION, "epoch 1 is fenced and not proven over yet");
    cloud_set_setting(c, "ha.powerFencing", "always");
    cloud_run(c, 20000);
    set_power(s, true, false, &a);
    power_is(&a, "on");
    cloud_run(c, 10000);
    assert_int_equal(host_epoch(c, 0), 2);
}

/* A caller that goes away ends its agents; a follower points to the leader. */
static void callers_that_go_and_nodes_that_follow(void **state)
{
    struct scene *s = *state;
    struct answer a = {0}, b = {0}, other = {0};
    added(s, "bmc", 1);
    s->bmcs->bmc = BMC_HANGS;
    Holdfast__V1__HostVerbRequest get = HOLDFAST__V1__HOST_VERB_REQUEST__INIT;
    Holdfast__V1__SetHostPowerRequest set = HOLDFAST__V1__SET_HOST_POWER_REQUEST__INIT;
    get.uuid = set.uuid = host_1(s);
    call_start(s->w, s->w->cloud->leader, "Host", "GetHostPower", &get.base, -1, &a);
    call_start(s->w, s->w->cloud->leader, "Host", "SetHostPower", &set.base, -1, &b);
    cloud_run(s->w->cloud, 1000);
    assert_int_equal(s->bmcs->orders, 2);
    hf_api_call_cancel(a.call);
    hf_api_call_cancel(b.call);
    assert_int_equal(s->bmcs->cancelled, 2);
    call_start(s->w, 1, "Host", "GetHostPower", &get.base, -1, &other);
    call_finish(s->w, &other);
    assert_int_equal(other.code, HF_NOT_LEADER);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(readers_see_no_secret),          TEST(watchers_see_no_secret),
        TEST(wrong_devices_are_refused),      TEST(devices_are_asked),
        TEST(a_host_in_use_is_drained_first), TEST(off_that_does_not_work_says_so),
        TEST(a_fenced_host_stays_off),        TEST(callers_that_go_and_nodes_that_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
