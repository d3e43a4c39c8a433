#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "ha/keeper_state.h"

#define BOOT "0bff123d-da10-43bf-b152-3e553d1cd1db"

static void test_round_trip(void **state)
{
    (void)state;
    struct hf_keeper_state *s = HF_NEW(struct hf_keeper_state), *back = HF_NEW(struct hf_keeper_state);
    uint8_t *file = hf_alloc(HF_KEEPER_STATE_BYTES);
    s->host = hf_uuid_of_text("host");
    s->epoch = 4;
    s->n_runs = 1;
    s->runs[0] = (struct hf_keeper_state_run){.instance = hf_uuid_of_text("vm1"), .run = 9, .live = 1};
    hf_keeper_state_encode(s, BOOT, file);
    assert_true(hf_keeper_state_decode(file, HF_KEEPER_STATE_BYTES, BOOT, back, NULL));
    assert_memory_equal(back, s, sizeof *s);
    free(s);
    free(back);
    free(file);
}

/* A state that is not whole and of this boot is none: the keeper then kills everything of ours. */
static void test_refused(void **state)
{
    (void)state;
    struct hf_keeper_state *s = HF_NEW(struct hf_keeper_state), *back = HF_NEW(struct hf_keeper_state);
    uint8_t *file = hf_alloc(HF_KEEPER_STATE_BYTES);
    const char *why;
    hf_keeper_state_encode(s, BOOT, file);
    assert_false(hf_keeper_state_decode(file, HF_KEEPER_STATE_BYTES - 1, BOOT, back, &why));
    assert_string_equal(why, "it has another length");
    assert_false(hf_keeper_state_decode(file, HF_KEEPER_STATE_BYTES, "1" BOOT, back, &why));
    assert_string_equal(why, "it is of an earlier boot");
    file[HF_KEEPER_STATE_BYTES / 2] ^= 1;
    assert_false(hf_keeper_state_decode(file, HF_KEEPER_STATE_BYTES, BOOT, back, &why));
    assert_string_equal(why, "its checksum does not fit");
    s->n_runs = HF_KEEPER_RUNS_MAX + 1;
    hf_keeper_state_encode(s, BOOT, file);
    assert_false(hf_keeper_state_decode(file, HF_KEEPER_STATE_BYTES, BOOT, back, &why));
    assert_string_equal(why, "its counts are out of range");
    file[0] = 0;
    assert_false(hf_keeper_state_decode(file, HF_KEEPER_STATE_BYTES, BOOT, back, &why));
    assert_string_equal(why, "it is not a keeper's state");
    free(s);
    free(back);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
