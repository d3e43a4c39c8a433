/* The map against an array, under random sets and removals: open addressing is wrong most easily where
 * entries move up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/uuid_map.h"

#define KEYS  300
#define STEPS 200000

static struct hf_uuid key(unsigned n)
{
    struct hf_uuid u = {{0}};
    u.b[0] = (uint8_t)n; /* few different bytes: many collisions */
    u.b[1] = (uint8_t)(n >> 8);
    return u;
}

static void it_holds_what_was_set_and_nothing_else(void **state)
{
    (void)state;
    struct hf_uuid_map m = {0};
    static int values[KEYS];
    bool in[KEYS] = {false};
    size_t len = 0;
    uint64_t seed = 1;
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        unsigned n = (unsigned)(seed >> 33) % KEYS;
        struct hf_uuid u = key(n);
        assert_ptr_equal(hf_uuid_map_get(&m, &u), in[n] ? &values[n] : NULL);
        if (seed >> 62 != 0) {
            hf_uuid_map_set(&m, &u, &values[n]);
            len += !in[n];
            in[n] = true;
        } else {
            assert_ptr_equal(hf_uuid_map_remove(&m, &u), in[n] ? &values[n] : NULL);
            len -= in[n];
            in[n] = false;
        }
        assert_int_equal(m.len, len);
    }
    for (unsigned n = 0; n < KEYS; n++) {
        struct hf_uuid u = key(n);
        assert_ptr_equal(hf_uuid_map_get(&m, &u), in[n] ? &values[n] : NULL);
    }
    hf_uuid_map_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_holds_what_was_set_and_nothing_else)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
