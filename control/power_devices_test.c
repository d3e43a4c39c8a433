/* What a power device may be, what readers see of it, and when its word is evidence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "control/power_devices.h"
#include "control/power_evidence.h"

typedef Holdfast__V1__PowerDevice Device;
typedef Holdfast__V1__PowerDevice__Option Option;

static Device *device(const char *name, const char *agent, uint32_t level)
{
    Device *d = HF_NEW(Device);
    holdfast__v1__power_device__init(d);
    hf_pb_set(&d->name, name);
    hf_pb_set(&d->agent, agent);
    d->level = level;
    return d;
}

static Option *option(const char *name, const char *value)
{
    Option *o = HF_NEW(Option);
    holdfast__v1__power_device__option__init(o);
    hf_pb_set(&o->name, name);
    hf_pb_set(&o->value, value);
    return o;
}

static void add(Option ***list, size_t *n, Option *o)
{
    *list = hf_realloc_array(*list, *n + 1, sizeof **list);
    (*list)[(*n)++] = o;
}

static enum hf_code check(Device *take_d)
{
    hf_status st = hf_power_device_check(take_d);
    enum hf_code code = hf_status_code(st);
    hf_status_drop(st);
    holdfast__v1__power_device__free_unpacked(take_d, NULL);
    return code;
}

static enum hf_code check_option(const char *name, const char *value)
{
    Device *d = device("bmc", "fence_ipmilan", 1);
    add(&d->options, &d->n_options, option(name, value));
    return check(d);
}

static void agents_are_bare_names(void **state)
{
    (void)state;
    assert_int_equal(check(device("bmc", "fence_ipmilan", 1)), HF_OK);
    static const char *const wrong[] = {
        "",          "fence_",    "ipmitool",      "/usr/sbin/fence_ipmilan", "fence_../sh",
        "fence_x/y", "fence_a b", "Fence_ipmilan", "fence_x;reboot"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(check(device("bmc", wrong[i], 1)), HF_INVALID);
    assert_int_equal(check(device("", "fence_x", 1)), HF_INVALID);
    assert_int_equal(check(device("a b", "fence_x", 1)), HF_INVALID);
    assert_int_equal(check(device("bmc", "fence_x", 0)), HF_INVALID);
    assert_int_equal(check(device("bmc", "fence_x", 9)), HF_INVALID);
}

static void options_run_and_write_nothing(void **state)
{
    (void)state;
    assert_int_equal(check_option("ip", "10.0.0.1"), HF_OK);
    assert_int_equal(check_option("lanplus", "1"), HF_OK);
    static const char *const wrong[] = {
        "action",     "option", "password_script", "passwd_script", "ipmitool_path", "sudo_path",
        "debug_file", "debug",  "verbose",         "ssh_options",   "method",        "",
        "IP",         "ip=x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(check_option(wrong[i], "x"), HF_INVALID);
    assert_int_equal(check_option("ip", "10.0.0.1\naction=on"), HF_INVALID);
    assert_int_equal(check_option("ip", "10.0.0.1\r"), HF_INVALID);

    Device *twice = device("bmc", "fence_x", 1);
    add(&twice->options, &twice->n_options, option("password", "a"));
    add(&twice->secrets, &twice->n_secrets, option("password", "b"));
    assert_int_equal(check(twice), HF_INVALID);
    Device *many = device("bmc", "fence_x", 1);
    for (int i = 0; i <= HF_POWER_OPTIONS_MAX; i++) {
        char *name = hf_printf("o%d", i);
        add(&many->options, &many->n_options, option(name, "x"));
        free(name);
    }
    assert_int_equal(check(many), HF_INVALID);
}

static void readers_see_no_secret(void **state)
{
    (void)state;
    Holdfast__V1__Host h = HOLDFAST__V1__HOST__INIT;
    Holdfast__V1__HostSpec spec = HOLDFAST__V1__HOST_SPEC__INIT;
    Device *d = device("bmc", "fence_x", 1);
    h.spec = &spec;
    spec.n_power_fencing = 1;
    spec.power_fencing = &d;
    add(&d->options, &d->n_options, option("ip", "10.0.0.1"));
    add(&d->secrets, &d->n_secrets, option("password", "s3cret"));
    struct hf_power_option room[HF_POWER_OPTIONS_MAX];
    struct hf_power_order o = hf_power_order_of(d, HF_POWER_OFF, room);
    assert_int_equal(o.n_options, 2);
    assert_string_equal(o.options[1].value, "s3cret");
    assert_true(o.options[1].secret && !o.options[0].secret);
    assert_int_equal(o.timeout_ms, HF_POWER_TIMEOUT_S * 1000);
    hf_power_devices_hide(&h);
    assert_string_equal(d->options[0]->value, "10.0.0.1");
    assert_string_equal(d->secrets[0]->name, "password");
    assert_string_equal(d->secrets[0]->value, HF_POWER_SECRET_SHOWN);
    holdfast__v1__power_device__free_unpacked(d, NULL);
}

/* --- evidence --- */

struct claim {
    Holdfast__V1__Host host;
    Holdfast__V1__HostSpec spec;
    Device *devices[3];
    Holdfast__V1__Evidence evidence;
    Holdfast__V1__PowerAnswer answers[3], *list[3];
};

/* Two supplies at level 1 and a strip at level 2; both supplies say off. */
static void make_claim(struct claim *c)
{
    holdfast__v1__host__init(&c->host);
    holdfast__v1__host_spec__init(&c->spec);
    holdfast__v1__evidence__init(&c->evidence);
    c->host.spec = &c->spec;
    c->spec.n_power_fencing = 3;
    c->spec.power_fencing = c->devices;
    c->devices[0] = device("a", "fence_apc", 1);
    c->devices[1] = device("b", "fence_apc", 1);
    c->devices[2] = device("strip", "fence_raritan", 2);
    c->evidence.silent_ms = 6000;
    c->evidence.required_ms = 5500;
    c->evidence.n_power = 2;
    c->evidence.power = c->list;
    for (size_t i = 0; i < 3; i++) {
        holdfast__v1__power_answer__init(&c->answers[i]);
        c->list[i] = &c->answers[i];
        c->answers[i].device = c->devices[i]->name;
        c->answers[i].agent = c->devices[i]->agent;
        c->answers[i].level = c->devices[i]->level;
        c->answers[i].status = (char *)"off";
    }
}

static void end_claim(struct claim *c)
{
    for (size_t i = 0; i < 3; i++)
        holdfast__v1__power_device__free_unpacked(c->devices[i], NULL);
}

static bool counts(const struct claim *c, bool fenced_before)
{
    char why[128] = "";
    const char *problem = hf_power_evidence_problem(&c->evidence, &c->host, fenced_before, why, sizeof why);
    assert_true((problem == NULL) == (why[0] == '\0'));
    return problem == NULL;
}

static void a_whole_level_says_off(void **state)
{
    (void)state;
    struct claim c;
    make_claim(&c);
    assert_true(counts(&c, true));
    assert_false(counts(&c, false)); /* fenced in the same transaction: it was cut before */
    c.evidence.silent_ms = 5499;
    assert_false(counts(&c, true));
    c.evidence.silent_ms = 0;
    c.evidence.required_ms = 0;
    assert_false(counts(&c, true));
    c.evidence.silent_ms = c.evidence.required_ms = 5500;
    c.evidence.n_power = 1; /* one of two supplies */
    assert_false(counts(&c, true));
    c.evidence.n_power = 2;
    c.answers[1].status = (char *)"on";
    assert_false(counts(&c, true));
    c.answers[1].status = (char *)"off";
    c.answers[1].agent = (char *)"fence_ipmilan"; /* another device of that name, before */
    assert_false(counts(&c, true));
    c.answers[1].agent = c.devices[1]->agent;
    c.answers[0].level = 2;
    assert_false(counts(&c, true));
    c.list[0] = &c.answers[2]; /* the strip alone is a whole level */
    c.evidence.n_power = 1;
    assert_true(counts(&c, true));
    c.evidence.n_power = 0;
    assert_false(counts(&c, true));
    c.evidence.n_power = 1;
    c.spec.n_power_fencing = 0; /* it has no power devices */
    assert_false(counts(&c, true));
    end_claim(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agents_are_bare_names), cmocka_unit_test(options_run_and_write_nothing),
        cmocka_unit_test(readers_see_no_secret), cmocka_unit_test(a_whole_level_says_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
