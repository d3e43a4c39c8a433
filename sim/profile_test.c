#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/profile.h"

static char dir[] = "/tmp/hf-sim-profile-XXXXXX", path[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/mine.profile", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static hf_status load(const char *text, struct sim_profile *ret)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return sim_profile_load(path, ret);
}

/* The message ends with, or contains, what is expected. */
static void assert_refused(const char *text, const char *expected)
{
    struct sim_profile p;
    hf_status st = load(text, &p);
    assert_false(hf_ok(st));
    assert_int_equal(hf_status_code(st), HF_INVALID);
    if (!strstr(hf_status_message(st), expected))
        fail_msg("'%s' does not say '%s'", hf_status_message(st), expected);
    hf_status_drop(st);
}

static void assert_ok(hf_status st)
{
    if (!hf_ok(st))
        fail_msg("%s", hf_status_message(st));
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++) {
        enum sim_fault_kind back;
        assert_non_null(sim_fault_name((enum sim_fault_kind)k));
        assert_true(sim_fault_parse(sim_fault_name((enum sim_fault_kind)k), &back));
        assert_int_equal(back, k);
    }
}

static void built_in_profiles_are_good(void **state)
{
    (void)state;
    const char *name, *about;
    unsigned n = 0;
    for (; (name = sim_profile_name_at(n, &about)); n++) {
        struct sim_profile p;
        assert_ok(sim_profile_find(name, &p));
        assert_string_equal(p.name, name);
        assert_true(strlen(about) > 10);
        assert_ok(sim_profile_check(&p));
    }
    assert_true(n >= 4);
}

static void unknown_profile_names_the_known_ones(void **state)
{
    (void)state;
    struct sim_profile p;
    hf_status st = sim_profile_find("hurricane", &p);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    assert_non_null(strstr(hf_status_message(st), "default, calm, storm, speed"));
    hf_status_drop(st);
}

static void file_changes_what_it_names(void **state)
{
    (void)state;
    struct sim_profile p, d;
    assert_ok(sim_profile_find("default", &d));
    assert_ok(load("# mine\n"
                   "hosts = 4..7   # a few\n"
                   "nodes = 3\n\n"
                   "timing = fast\n"
                   "local = 12.5%\n"
                   "node-crash = off\n"
                   "net-poor = 40 per hour for 0.5..30 in 25%\n"
                   "host-power = 60 per hour for 2.25\n",
                   &p));
    assert_string_equal(p.name, "mine");
    assert_int_equal(p.hosts.low, 4);
    assert_int_equal(p.hosts.high, 7);
    assert_int_equal(p.nodes.low, 3);
    assert_int_equal(p.nodes.high, 3);
    assert_string_equal(p.timing, "fast");
    assert_int_equal(p.local_ppm, 125000);
    assert_int_equal(p.faults[SIM_FAULT_NODE_CRASH].on_ppm, 0);
    assert_int_equal(p.faults[SIM_FAULT_NET_POOR].per_hour, 40);
    assert_int_equal(p.faults[SIM_FAULT_NET_POOR].duration_ms.low, 500);
    assert_int_equal(p.faults[SIM_FAULT_NET_POOR].duration_ms.high, 30000);
    assert_int_equal(p.faults[SIM_FAULT_NET_POOR].on_ppm, 250000);
    assert_int_equal(p.faults[SIM_FAULT_HOST_POWER].on_ppm, 1000000);
    assert_int_equal(p.faults[SIM_FAULT_HOST_POWER].duration_ms.low, 2250);
    assert_int_equal(p.faults[SIM_FAULT_HOST_POWER].duration_ms.high, 2250);
    assert_int_equal(p.clients.high, d.clients.high);
}

static void what_is_saved_reads_the_same(void **state)
{
    (void)state;
    struct sim_profile p, back;
    assert_ok(sim_profile_find("storm", &p));
    p.at_once = 3;
    p.no_watchdog_ppm = 1;
    p.no_gate_ppm = 2;
    p.faults[SIM_FAULT_UNKILLABLE].duration_ms = (struct sim_range){1, 86400000};
    assert_ok(sim_profile_save(path, &p));
    assert_ok(sim_profile_load(path, &back));
    snprintf(back.name, sizeof back.name, "storm");
    assert_memory_equal(&p.faults, &back.faults, sizeof p.faults);
    assert_memory_equal(&p.nodes, &back.nodes, sizeof p.nodes);
    assert_int_equal(back.at_once, 3);
    assert_int_equal(back.no_watchdog_ppm, 1);
    assert_int_equal(back.no_gate_ppm, 2);
    assert_int_equal(back.rest_ms, p.rest_ms);
    assert_int_equal(back.settle_seconds, p.settle_seconds);
    assert_int_equal(back.request_ms, p.request_ms);
}

static void malformed_lines_are_named(void **state)
{
    (void)state;
    assert_refused("nodes = 3\nhosts 5\n", "mine.profile:2: 'hosts 5' is no 'name = value'");
    assert_refused("hosts =\n", "mine.profile:1: this is no 'name = value'");
    assert_refused("hots = 5\n", "there is no 'hots'");
    assert_refused("hosts = five\n", "hosts: 'five' is neither a number nor a range");
    assert_refused("hosts = 3...5\n", "'3...5' is neither a number nor a range");
    assert_refused("hosts = 3 5\n", "hosts: '5' is more than one value");
    assert_refused("hosts = 3\nhosts = 4\n", "mine.profile:2: hosts is named a second time");
    assert_refused("local = 5\n", "'5' is no chance");
    assert_refused("local = 101%\n", "'101%' is no chance");
    assert_refused("settle_seconds = -1\n", "'-1' is no whole number");
    assert_refused("host-power = often\n", "host-power: say 'off', or");
    assert_refused("host-power = 3 per minute\n", "host-power: say 'off', or");
    assert_refused("host-power = 3 per hour for\n", "nothing stands after 'for'");
    assert_refused("host-power = 3 per hour by 5\n", "'by' is not expected here");
    assert_refused("host-power = 3601 per hour\n", "'3601' is no whole number from 0 to 3600");
    assert_refused("host-power = 3 per hour for 1.2345\n", "'1.2345' is neither");
    assert_refused("hosts = 99999999999999999999\n", "is neither a number nor a range");
}

static void impossible_worlds_are_refused(void **state)
{
    (void)state;
    assert_refused("nodes = 0\n", "without a control node");
    assert_refused("hosts = 0..4\n", "without a host");
    assert_refused("shared_storages = 0\n", "there is no storage");
    assert_refused("hosts = 3\ninstances = 49\n",
                   "there is no room: 49 instances or more, but 3 hosts hold 48");
    assert_refused("hosts = 5..3\n", "hosts: 5..3 is empty");
    assert_refused("hosts = 65\n", "hosts: 65..65 reaches beyond 1..64");
    assert_refused("nodes = 6\n", "nodes: 6..6 reaches beyond 1..5");
    assert_refused("seconds = 0\n", "seconds: 0..0 reaches beyond");
    assert_refused("timing = slow\n", "timing: there is no 'slow'");
    assert_refused("at_once = 65\n", "at_once: 65..65 reaches beyond 0..64");
    assert_refused("request_ms = 0\n", "request_ms: 0..0 reaches beyond");
}

static void no_text_is_refused(void **state)
{
    (void)state;
    char line[700];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    assert_refused(line, "the line is longer than");
    struct sim_profile p;
    hf_status st = sim_profile_load("/nowhere/at.all", &p);
    assert_non_null(strstr(hf_status_message(st), "cannot read '/nowhere/at.all'"));
    hf_status_drop(st);
}

static void unwritable_file_is_named(void **state)
{
    (void)state;
    struct sim_profile p;
    assert_ok(sim_profile_find("calm", &p));
    hf_status st = sim_profile_save("/nowhere/at.all", &p);
    assert_non_null(strstr(hf_status_message(st), "cannot write '/nowhere/at.all'"));
    hf_status_drop(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_a_name),
        cmocka_unit_test(built_in_profiles_are_good),
        cmocka_unit_test(unknown_profile_names_the_known_ones),
        cmocka_unit_test(file_changes_what_it_names),
        cmocka_unit_test(what_is_saved_reads_the_same),
        cmocka_unit_test(malformed_lines_are_named),
        cmocka_unit_test(impossible_worlds_are_refused),
        cmocka_unit_test(no_text_is_refused),
        cmocka_unit_test(unwritable_file_is_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
