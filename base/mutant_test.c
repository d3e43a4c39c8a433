/* Mutants and rare paths as the simulator has them: compiled with HF_SIM, whatever the preset says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/buggify.h"
#include "base/mutant.h"

static void one_mutant_at_a_time(void **state)
{
    (void)state;
    assert_false(HF_MUTANT(NO_KILL));
    assert_true(hf_mutant_choose("NO_KILL"));
    assert_true(HF_MUTANT(NO_KILL));
    assert_true(hf_mutant_choose("KILL_UNVERIFIED"));
    assert_false(HF_MUTANT(NO_KILL));
    assert_true(HF_MUTANT(KILL_UNVERIFIED));
    assert_false(hf_mutant_choose("NO_SUCH_THING"));
    assert_true(HF_MUTANT(KILL_UNVERIFIED));
    assert_true(hf_mutant_choose("none"));
    assert_false(HF_MUTANT(KILL_UNVERIFIED));
}

static void every_mutant_can_be_chosen_and_says_what_it_breaks(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct hf_mutant_info *m; (m = hf_mutant_at(n)) != NULL; n++) {
        assert_true(hf_mutant_choose(m->name));
        assert_int_equal(hf_mutant_active, n + 1);
        assert_true(m->rule[0] != '\0');
        assert_int_equal(m->how[strlen(m->how) - 1], '.');
    }
    assert_int_equal(n, HF_MUTANTS_END - 1);
    assert_true(hf_mutant_choose("none"));
}

struct draws {
    enum hf_buggify_point asked;
    unsigned n;
    bool answer;
};

static bool draw(void *arg, enum hf_buggify_point p)
{
    struct draws *d = arg;
    d->asked = p;
    d->n++;
    return d->answer;
}

static void a_point_is_taken_when_it_is_on_and_drawn(void **state)
{
    (void)state;
    struct draws d = {.answer = true};
    hf_buggify_hook(draw, &d);
    assert_false(HF_BUGGIFY(WRITES_FULL));
    assert_int_equal(d.n, 0);
    hf_buggify_set(HF_BUGGIFY_WRITES_FULL, true);
    assert_true(HF_BUGGIFY(WRITES_FULL));
    assert_int_equal(d.asked, HF_BUGGIFY_WRITES_FULL);
    assert_false(HF_BUGGIFY(ENTRY_OF_ONE));
    d.answer = false;
    assert_false(HF_BUGGIFY(WRITES_FULL));
    assert_int_equal(hf_buggify_taken(HF_BUGGIFY_WRITES_FULL), 1);
    hf_buggify_reset();
    assert_false(HF_BUGGIFY(WRITES_FULL));
    assert_int_equal(d.n, 2);
    assert_int_equal(hf_buggify_taken(HF_BUGGIFY_WRITES_FULL), 0);
}

static void points_have_names(void **state)
{
    (void)state;
    enum hf_buggify_point p = HF_BUGGIFY_POINTS_END;
    for (size_t i = 0; i < HF_BUGGIFY_POINTS_END; i++) {
        assert_true(hf_buggify_find(hf_buggify_at(i)->name, &p));
        assert_int_equal(p, i);
    }
    assert_null(hf_buggify_at(HF_BUGGIFY_POINTS_END));
    assert_false(hf_buggify_find("NO_SUCH_PLACE", &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_mutant_at_a_time),
        cmocka_unit_test(every_mutant_can_be_chosen_and_says_what_it_breaks),
        cmocka_unit_test(a_point_is_taken_when_it_is_on_and_drawn),
        cmocka_unit_test(points_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
