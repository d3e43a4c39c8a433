/* Simulated hosts under a scripted leader: they attach, run guests, and are lost in every way there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/host_fixture.h"

#define START_MS 20000 /* an image is fetched, volumes are made, QEMU starts */

static void an_instance_runs_and_writes(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(1, 2, "default");
    fixture_add(f, 0, false);
    fixture_add(f, 0, true);
    assert_true(fixture_settle(f, START_MS));
    assert_true(sim_host_attached(f->w.hosts[0]));
    assert_int_equal(sim_host_guests(f->w.hosts[0]), 2);
    uint64_t before = f->checks.writes;
    fixture_run(f, 10000);
    assert_in_range(f->checks.writes - before, 90, 110);
    assert_in_range(f->members[1].unchanged_ms, 0, 1500); /* h1's record moves */
    assert_int_equal(f->checks.kills[SIM_KILLED_BY_KEEPER], 0);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_runs_and_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
