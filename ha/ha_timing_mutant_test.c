/* Each mutant of the timing breaks what its name says, and nothing of what checks go by. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/mutant.h"
#include "ha/ha_timing_mutant.h"

static void without_a_mutant_the_header_holds(void **state)
{
    (void)state;
    assert_ptr_equal(hf_ha_timing_find("default"), hf_ha_timing_sound("default"));
    assert_ptr_equal(hf_ha_timing_find(""), hf_ha_timing_sound(""));
    assert_null(hf_ha_timing_sound("slow"));
    assert_true(hf_mutant_choose("KILL_UNVERIFIED"));
    assert_memory_equal(hf_ha_timing_find("san"), hf_ha_timing_sound("san"), sizeof(struct hf_ha_timing));
    assert_true(hf_mutant_choose("none"));
}

static void each_breaks_its_inequality(void **state)
{
    (void)state;
    for (size_t i = 0; hf_mutant_at(i) != NULL; i++) {
        const struct hf_mutant_info *m = hf_mutant_at(i);
        if (strcmp(m->rule, "timing") != 0)
            continue;
        assert_true(hf_mutant_choose(m->name));
        for (unsigned k = 0; hf_ha_timing_at(k) != NULL; k++) {
            const struct hf_ha_timing *sound = hf_ha_timing_at(k), *t = hf_ha_timing_find(sound->profile);
            int64_t w = t->watchdog_worst_ms, l = t->lease_ms;
            bool holds = t->renew_ms + t->io_timeout_ms < l / 2 && t->pet_ms < w / 2 &&
                         t->kill_ms + t->verify_ms < w - t->pet_ms && t->contact_ms < t->fence_ms &&
                         t->fence_ms == l + sound->kill_ms && t->fence_ms < t->silence_ms &&
                         t->silence_ms >= HF_HA_T(l, w, t->drift_ppm, t->guest_write_ms) &&
                         t->takeover_ms <= sound->takeover_ms;
            if (holds)
                fail_msg("%s changes nothing that matters in profile %s", m->name, t->profile);
            assert_string_equal(sound->profile, hf_ha_timing_sound(sound->profile)->profile);
            assert_int_equal(hf_ha_timing_sound(sound->profile)->silence_ms, sound->silence_ms);
        }
    }
    assert_true(hf_mutant_choose("none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_mutant_the_header_holds),
        cmocka_unit_test(each_breaks_its_inequality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
