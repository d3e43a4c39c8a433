#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ha/ha_timing.h"

/* The inequalities are static asserts; this holds the promises that people know by heart. */
static void test_promises(void **state)
{
    (void)state;
    assert_true(hf_ha_timing_find("fast")->takeover_ms <= 10000);
    assert_true(hf_ha_timing_find("default")->takeover_ms <= 24000);
    assert_true(hf_ha_timing_find("san")->lease_ms > 60000);
    assert_ptr_equal(hf_ha_timing_find(""), hf_ha_timing_find("default"));
    assert_null(hf_ha_timing_find("slow"));
    assert_null(hf_ha_timing_at(3));
}

static void test_derived(void **state)
{
    (void)state;
    const struct hf_ha_timing *t = hf_ha_timing_find("default");
    assert_int_equal(t->watchdog_worst_ms, 5500);
    assert_int_equal(t->fence_ms, 10500);
    assert_int_equal(t->silence_ms, 20190); /* 1.01 × (8000 + 2 × 5500) + 1000 */
    assert_int_equal(t->takeover_ms, 23890);
    /* T rounds up: a millisecond less would not cover the drift. */
    assert_int_equal(HF_HA_T(1001, 1000, 10000, 0), 3032);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_promises), cmocka_unit_test(test_derived)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
