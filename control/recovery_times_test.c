#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/recovery_times.h"

static void add(struct hf_recovery_times *t, const char *profile, const char *evidence, int64_t took_ms,
                const char *outcome)
{
    Holdfast__V1__Failover f = HOLDFAST__V1__FAILOVER__INIT;
    f.profile = (char *)profile;
    f.evidence = (char *)evidence;
    f.outcome = (char *)outcome;
    f.lost_at_ms = 1000;
    f.running_at_ms = 1000 + took_ms;
    hf_recovery_times_add(t, &f);
}

static void rows_by_profile_and_evidence(void **state)
{
    (void)state;
    Holdfast__V1__RecoveryTimes answer;
    struct hf_recovery_times *t = hf_recovery_times_create();
    for (int64_t ms = 200; ms >= 1; ms--)
        add(t, "fast", "silence", ms, "restarted");
    add(t, "default", "silence", 20000, "restarted");
    add(t, "fast", "closed and killed", 5000, "restarted");
    hf_recovery_times_answer(t, &answer);
    assert_int_equal(answer.n_rows, 3);
    assert_string_equal(answer.rows[0]->profile, "default");
    assert_string_equal(answer.rows[1]->evidence, "closed and killed");
    assert_int_equal(answer.rows[1]->p50_ms, 5000);
    const Holdfast__V1__RecoveryTimes__Row *r = answer.rows[2];
    assert_int_equal(r->n, 200);
    assert_int_equal(r->p50_ms, 100);
    assert_int_equal(r->p99_ms, 198);
    assert_int_equal(r->max_ms, 200);
    hf_recovery_times_free(t);
}

static void only_restarts_count(void **state)
{
    (void)state;
    Holdfast__V1__RecoveryTimes answer;
    struct hf_recovery_times *t = hf_recovery_times_create();
    add(t, "fast", "silence", 100, "waiting: starts");
    add(t, "fast", "silence", 100, "stopped with its host");
    add(t, "fast", "silence", -500, "restarted"); /* clocks of two leaders */
    hf_recovery_times_answer(t, &answer);
    assert_int_equal(answer.n_rows, 0);
    hf_recovery_times_free(t);
}

static void more_rows_than_fit_are_left_out(void **state)
{
    (void)state;
    Holdfast__V1__RecoveryTimes answer;
    struct hf_recovery_times *t = hf_recovery_times_create();
    char profile[2] = "";
    for (int i = 1; i < HF_RECOVERY_ROWS_MAX + 10; i++) {
        profile[0] = (char)i;
        add(t, profile, "silence", 1, "restarted");
    }
    hf_recovery_times_answer(t, &answer);
    assert_int_equal(answer.n_rows, HF_RECOVERY_ROWS_MAX);
    hf_recovery_times_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_by_profile_and_evidence),
        cmocka_unit_test(only_restarts_count),
        cmocka_unit_test(more_rows_than_fit_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
