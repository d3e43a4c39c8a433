#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ha/observation_pb.h"

static void test_both_ways(void **state)
{
    (void)state;
    struct hf_lease_run runs[2] = {{.instance = hf_uuid_of_text("vm1"), .run = 4, .live = true},
                                   {.instance = hf_uuid_of_text("vm2"), .run = 9}};
    struct hf_observation o = {.storage = hf_uuid_of_text("s1"),
                               .host = hf_uuid_of_text("h1"),
                               .epoch = 3,
                               .sequence = 77,
                               .boot_id = "boot",
                               .unchanged_ms = 4100,
                               .samples_good = true,
                               .closed = true,
                               .killed = true,
                               .runs = runs,
                               .n_runs = 2};
    static struct hf_lease_run room[HF_LEASE_RECORD_RUNS_MAX];
    struct hf_observation back;
    Holdfast__V1__Observation *m = hf_observation_to_pb(&o);
    assert_true(hf_ok(hf_observation_from_pb(m, room, &back)));
    assert_true(hf_uuid_equal(&back.storage, &o.storage) && hf_uuid_equal(&back.host, &o.host));
    assert_int_equal(back.epoch, 3);
    assert_int_equal(back.sequence, 77);
    assert_string_equal(back.boot_id, "boot");
    assert_int_equal(back.unchanged_ms, 4100);
    assert_true(back.samples_good && back.closed && back.killed);
    assert_int_equal(back.n_runs, 2);
    assert_true(room[0].live && room[0].run == 4 && !room[1].live && room[1].run == 9);

    free(m->runs[1]->instance_uuid);
    m->runs[1]->instance_uuid = strdup("nonsense");
    hf_status st = hf_observation_from_pb(m, room, &back);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);
    holdfast__v1__observation__free_unpacked(m, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_ways)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
