/* Mutants and rare paths as everything that is shipped has them: compiled without HF_SIM, whatever the preset
 * says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buggify.h"
#include "base/mutant.h"

#define IS_NOTHING(name, ...) _Static_assert(!HF_MUTANT(name), #name " is a constant 0");
HF_MUTANTS(IS_NOTHING)
#define IS_NOWHERE(name, what) _Static_assert(!HF_BUGGIFY(name), #name " is a constant 0");
HF_BUGGIFY_POINTS(IS_NOWHERE)

static void nothing_of_it_is_there(void **state)
{
    (void)state;
    assert_false(HF_MUTANT(NO_KILL) || HF_BUGGIFY(WRITES_FULL)); /* the rest was said at compile time */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_of_it_is_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
