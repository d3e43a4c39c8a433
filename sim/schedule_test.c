#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/env.h"
#include "sim/schedule.h"

static char dir[] = "/tmp/hf-sim-schedule-XXXXXX", path[64];

static const struct sim_sizes sizes = {
    .nodes = 3,
    .hosts = 4,
    .instances = 8,
    .clients = 1,
    .shared_storages = 1,
    .fault_ns = 600 * HF_S_NS,
    .timing = "fast",
};

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/faults", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void assert_ok(hf_status st)
{
    if (!hf_ok(st))
        fail_msg("%s", hf_status_message(st));
}

static hf_status load(const char *text, struct sim_schedule *ret)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return sim_schedule_load(path, &sizes, ret);
}

static void assert_refused(const char *text, const char *expected)
{
    struct sim_schedule s;
    hf_status st = load(text, &s);
    assert_false(hf_ok(st));
    assert_int_equal(hf_status_code(st), HF_INVALID);
    if (!strstr(hf_status_message(st), expected))
        fail_msg("'%s' does not say '%s'", hf_status_message(st), expected);
    hf_status_drop(st);
}

static struct sim_profile profile(const char *name)
{
    struct sim_profile p;
    assert_ok(sim_profile_find(name, &p));
    return p;
}

static void assert_same(const struct sim_schedule *a, const struct sim_schedule *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        char x[200], y[200];
        sim_fault_print(&a->faults[i], x, sizeof x);
        sim_fault_print(&b->faults[i], y, sizeof y);
        assert_string_equal(x, y);
    }
}

static void same_seed_draws_the_same(void **state)
{
    (void)state;
    struct sim_profile p = profile("storm");
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_sizes z = sim_sizes_draw(seed, &p);
        struct sim_schedule a = sim_schedule_draw(seed, &p, &z), b = sim_schedule_draw(seed, &p, &z);
        assert_same(&a, &b);
        assert_true(a.n > 0);
        sim_schedule_done(&a);
        sim_schedule_done(&b);
    }
}

/* A world is drawn within the profile, and has room. */
static void sizes_stay_within_the_profile(void **state)
{
    (void)state;
    struct sim_profile p = profile("default");
    p.hosts = (struct sim_range){1, 6};
    p.instances = (struct sim_range){0, 500};
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct sim_sizes z = sim_sizes_draw(seed, &p);
        assert_in_range(z.nodes, p.nodes.low, p.nodes.high);
        assert_in_range(z.hosts, 1, 6);
        assert_true(z.instances <= sim_profile_room(z.hosts));
        assert_in_range(z.fault_ns, p.seconds.low * HF_S_NS, p.seconds.high * HF_S_NS);
        assert_true(z.settle_ns > p.settle_seconds * HF_S_NS);
    }
}

/* Every drawn fault can be written, read by a world of these sizes, and is the same again. */
static void what_is_drawn_reads_the_same(void **state)
{
    (void)state;
    struct sim_profile p = profile("storm");
    uint64_t seen = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_sizes z = sim_sizes_draw(seed, &p);
        struct sim_schedule drawn = sim_schedule_draw(seed, &p, &z), read;
        assert_ok(sim_schedule_save(path, "drawn", &drawn));
        assert_ok(sim_schedule_load(path, &z, &read));
        assert_same(&drawn, &read);
        for (size_t i = 0; i < drawn.n; i++) {
            seen |= 1ull << drawn.faults[i].kind;
            assert_memory_equal(&drawn.faults[i], &read.faults[i], sizeof read.faults[i]);
            assert_true(drawn.faults[i].at_ns + drawn.faults[i].for_ns <= z.fault_ns + HF_MS_NS);
        }
        sim_schedule_done(&drawn);
        sim_schedule_done(&read);
    }
    assert_int_equal(seen, (1ull << SIM_FAULT_KINDS) - 1);
}

static void rates_are_kept_on_average(void **state)
{
    (void)state;
    struct sim_profile p = profile("storm");
    p.faults[SIM_FAULT_HOST_POWER].on_ppm = 1000000;
    p.faults[SIM_FAULT_HOST_POWER].per_hour = 100;
    uint64_t struck = 0;
    struct sim_sizes hour = sizes;
    hour.fault_ns = 3600 * HF_S_NS;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct sim_schedule s = sim_schedule_draw(seed, &p, &hour);
        for (size_t i = 0; i < s.n; i++)
            struck += s.faults[i].kind == SIM_FAULT_HOST_POWER;
        sim_schedule_done(&s);
    }
    assert_in_range(struck, 85 * 200, 115 * 200);
}

static void calm_strikes_one_host_at_a_time(void **state)
{
    (void)state;
    struct sim_profile p = profile("calm");
    size_t n = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_sizes z = sim_sizes_draw(seed, &p);
        struct sim_schedule s = sim_schedule_draw(seed, &p, &z);
        for (size_t i = 0; i < s.n; i++) {
            assert_int_equal(s.faults[i].kind, SIM_FAULT_HOST_POWER);
            if (i > 0)
                assert_true(s.faults[i].at_ns >=
                            s.faults[i - 1].at_ns + s.faults[i - 1].for_ns + p.rest_ms * HF_MS_NS);
        }
        n += s.n;
        sim_schedule_done(&s);
    }
    assert_true(n > 50);
}

static void at_once_bounds_what_holds(void **state)
{
    (void)state;
    struct sim_profile p = profile("storm");
    p.at_once = 3;
    p.rest_ms = 0;
    struct sim_schedule s = sim_schedule_draw(1, &p, &sizes);
    assert_true(s.n > 10);
    for (size_t i = 0; i < s.n; i++) {
        unsigned hold = 0;
        for (size_t k = 0; k < i; k++)
            hold += s.faults[k].at_ns + s.faults[k].for_ns > s.faults[i].at_ns;
        assert_true(hold < 3);
    }
    sim_schedule_done(&s);
}

static void switching_a_kind_off_moves_no_other(void **state)
{
    (void)state;
    struct sim_profile p = profile("storm"), q;
    p.faults[SIM_FAULT_HOST_POWER].on_ppm = 1000000;
    q = p;
    q.faults[SIM_FAULT_HOST_POWER].on_ppm = 0;
    struct sim_schedule a = sim_schedule_draw(7, &p, &sizes), b = sim_schedule_draw(7, &q, &sizes);
    size_t kept = 0;
    for (size_t i = 0; i < a.n; i++)
        if (a.faults[i].kind != SIM_FAULT_HOST_POWER)
            a.faults[kept++] = a.faults[i];
    assert_true(kept > 0 && kept < a.n);
    a.n = kept;
    assert_same(&a, &b);
    sim_schedule_done(&a);
    sim_schedule_done(&b);
}

/* Seeds draw the same on every machine and with every compiler: what these drew once is known. A change of
 * what is drawn on purpose changes the number. */
static void seeds_draw_what_they_drew_elsewhere(void **state)
{
    (void)state;
    struct sim_profile p = profile("default");
    for (unsigned k = 0; k < SIM_FAULT_KINDS; k++) {
        p.faults[k].on_ppm = 900000;
        p.faults[k].per_hour = 50;
        p.faults[k].duration_ms = (struct sim_range){100, 60000};
    }
    p.faults[SIM_FAULT_BUGGIFY].on_ppm = 0; /* its points come and go */
    uint32_t crc = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct sim_schedule s = sim_schedule_draw(seed, &p, &sizes);
        for (size_t i = 0; i < s.n; i++) {
            char line[200];
            sim_fault_print(&s.faults[i], line, sizeof line);
            crc = hf_crc32c(crc, line, strlen(line));
        }
        sim_schedule_done(&s);
    }
    assert_int_equal(crc, 0x7248070du);
}

static void one_host_and_no_shared_storage(void **state)
{
    (void)state;
    struct sim_profile p = profile("storm");
    struct sim_sizes small = {.nodes = 1, .hosts = 1, .fault_ns = 600 * HF_S_NS, .timing = "fast"};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_schedule s = sim_schedule_draw(seed, &p, &small), read;
        assert_ok(sim_schedule_save(path, "", &s));
        assert_ok(sim_schedule_load(path, &small, &read));
        sim_schedule_done(&s);
        sim_schedule_done(&read);
    }
}

static void lines_are_as_documented(void **state)
{
    (void)state;
    struct sim_schedule s;
    assert_ok(load("# by hand\n"
                   "12.345678 host-power h3 for 40.000\n"
                   "13 net-one-way h1 n2 for 5.5\n"
                   "14.0 at-act h2/keeper act 3 crash\n"
                   "14.0 at-act n1 for 2 stop act 7\n"
                   "15 node-pause leader for 2\n"
                   "16 libvirt-call h1 start lost-answer times 2 for 9\n"
                   "17 wall-jump h1 ms -5000\n"
                   "18 leader-change\n"
                   "19 storage-hang h1 local cut for 0.001\n",
                   &s));
    assert_int_equal(s.n, 9);
    char line[200];
    sim_fault_print(&s.faults[2], line, sizeof line);
    assert_string_equal(line, "    14.000000  at-act        h2/keeper crash act 3");
    assert_int_equal(s.faults[0].at_ns, 12345678000);
    assert_int_equal(s.faults[0].for_ns, 40 * HF_S_NS);
    assert_string_equal(s.faults[1].other, "n2");
    assert_int_equal(s.faults[3].number, 7);
    assert_int_equal(s.faults[3].for_ns, 2 * HF_S_NS);
    assert_string_equal(s.faults[5].other, "start");
    assert_string_equal(s.faults[5].word, "lost-answer");
    assert_int_equal(s.faults[6].number, -5000);
    assert_int_equal(s.faults[8].for_ns, HF_MS_NS);
    sim_schedule_done(&s);
}

static void malformed_lines_are_named(void **state)
{
    (void)state;
    assert_refused("1 host-power h1 for 4\nhello\n", "faults:2: this is no fault");
    assert_refused("soon host-power h1 for 4\n", "'soon' is no time in seconds");
    assert_refused("-1 host-power h1 for 4\n", "'-1' is no time in seconds");
    assert_refused("1.1234567 host-power h1 for 4\n", "is no time in seconds");
    assert_refused("1 flood h1 for 4\n", "there is no kind of fault 'flood'");
    assert_refused("1 host-power for 4\n", "it does not say whom: a host (h1 …) is missing");
    assert_refused("1 host-power h1\n", "it does not say how long");
    assert_refused("1 host-power h1 for\n", "nothing stands after 'for'");
    assert_refused("1 host-power h1 for ever\n", "'ever' after 'for' is no number of seconds");
    assert_refused("1 host-power h1 for 0\n", "'0' after 'for' is no number of seconds");
    assert_refused("1 host-power h1 h2 for 4\n", "'h2' is not expected here: nothing is");
    assert_refused("1 hostd-crash h1 for 4\n", "this kind has no duration");
    assert_refused("1 at-act h1/keeper act 0 crash\n", "'act' needs a number from 1");
    assert_refused("1 at-act h1/keeper crash\n", "'act' needs a number from 1");
    assert_refused("1 at-act h1/keeper act 3\n", "a word is missing: crash");
    assert_refused("1 at-act h1/keeper act 3 crash for 4\n", "a crash has no duration");
    assert_refused("1 at-act h1/keeper act x crash\n", "'x' after 'act' is no whole number");
    assert_refused("1 net-one-way h1 for 4\n", "a host or a control node (h1 …, n1 …, leader) is missing");
    assert_refused("2 host-power h1 for 4\n1 host-power h1 for 4\n",
                   "faults:2: it begins before the line above");
    assert_refused("601 host-power h1 for 4\n", "it begins after the 600 s in which there are faults");
}

static void subjects_must_exist(void **state)
{
    (void)state;
    assert_refused("1 host-power h5 for 4\n",
                   "there is no 'h5' in this world of 3 nodes, 4 hosts, 1 shared storages");
    assert_refused("1 node-power n4 for 4\n", "there is no 'n4' in this world");
    assert_refused("1 storage-out shared2 hang for 4\n", "there is no 'shared2' in this world");
    assert_refused("1 at-act h9/keeper act 1 crash\n", "there is no 'h9/keeper' in this world");
    assert_refused("1 host-power n1 for 4\n", "'n1' is not expected here: a host (h1 …) is");
    assert_refused("1 host-power h0 for 4\n", "'h0' is not expected here");
    assert_refused("1 host-power h1/keeper for 4\n", "'h1/keeper' is not expected here");
    assert_refused("1 at-act h1/qemu act 1 crash\n", "'h1/qemu' is not expected here");
    assert_refused("1 buggify NO_SUCH_POINT for 4\n",
                   "'NO_SUCH_POINT' is not expected here: a point of base/buggify.h");
    assert_refused("1 libvirt-call h1 launch fails times 1 for 4\n", "'launch' is not expected here: a call");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_draws_the_same),
        cmocka_unit_test(sizes_stay_within_the_profile),
        cmocka_unit_test(what_is_drawn_reads_the_same),
        cmocka_unit_test(rates_are_kept_on_average),
        cmocka_unit_test(calm_strikes_one_host_at_a_time),
        cmocka_unit_test(at_once_bounds_what_holds),
        cmocka_unit_test(switching_a_kind_off_moves_no_other),
        cmocka_unit_test(seeds_draw_what_they_drew_elsewhere),
        cmocka_unit_test(one_host_and_no_shared_storage),
        cmocka_unit_test(lines_are_as_documented),
        cmocka_unit_test(malformed_lines_are_named),
        cmocka_unit_test(subjects_must_exist),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
