/* Rule 13 on the observer's side: from the end of the first read of a value to the start of the last, in good
 * samples only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "ha/sampler.h"

struct fixture {
    struct hf_sampler *s;
    struct hf_uuid peer;
    uint64_t own; /* sequence of the own record */
    const struct hf_observation *seen;
};

static int setup(void **state)
{
    struct fixture *f = HF_NEW(struct fixture);
    struct hf_uuid storage = hf_uuid_of_text("s1");
    f->peer = hf_uuid_of_text("h1");
    f->s = hf_sampler_create(&storage, hf_ha_timing_find("fast"));
    hf_sampler_set_peers(f->s, &f->peer, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    hf_sampler_free(f->s);
    free(f);
    return 0;
}

static void digest(struct hf_sampler_read *r, uint64_t sequence)
{
    struct hf_lease_record *rec = HF_NEW(struct hf_lease_record);
    uint8_t *slot = hf_alloc(HF_LEASE_SLOT_BYTES);
    rec->host = r->host;
    rec->epoch = 3;
    rec->sequence = sequence;
    rec->n_runs = 1;
    rec->runs[0] = (struct hf_lease_run){.instance = hf_uuid_of_text("vm1"), .run = 4, .live = true};
    hf_lease_record_encode(rec, slot);
    hf_sampler_digest(slot, HF_LEASE_SLOT_BYTES, NULL, r);
    free(rec);
    free(slot);
}

/* One sample whose peer read lasts from start to end; sequence 0: the read fails. The own record moves if
 * moves. */
static const struct hf_observation *sample(struct fixture *f, int64_t start, int64_t end, uint64_t sequence,
                                           bool moves)
{
    struct hf_sampler_read own = {.host = hf_uuid_of_text("me"), .start_ms = start, .end_ms = start};
    struct hf_sampler_read read = {.host = f->peer, .start_ms = start, .end_ms = end};
    size_t n;
    f->own += moves;
    digest(&own, f->own);
    if (sequence > 0)
        digest(&read, sequence);
    else
        snprintf(read.error, sizeof read.error, "read: input/output error");
    f->seen = hf_sampler_sample(f->s, &own, &read, 1, &n);
    assert_int_equal(n, 1);
    free(own.runs);
    free(read.runs);
    return f->seen;
}

static void test_from_end_of_first_to_start_of_last(void **state)
{
    struct fixture *f = *state;
    sample(f, 0, 0, 7, true); /* the own record is not known to move before the second sample */
    assert_false(f->seen->samples_good);
    assert_string_equal(f->seen->error, "the observer's own record has not been seen to move yet");
    sample(f, 500, 900, 7, true);
    assert_true(f->seen->samples_good);
    assert_int_equal(f->seen->unchanged_ms, 0);
    sample(f, 1000, 1400, 7, true);
    assert_int_equal(f->seen->unchanged_ms, 100);
    sample(f, 2000, 2001, 7, true);
    assert_int_equal(f->seen->unchanged_ms, 1100);
    assert_int_equal(f->seen->epoch, 3);
    assert_int_equal(f->seen->sequence, 7);
    assert_int_equal(f->seen->n_runs, 1);
    assert_int_equal(f->seen->runs[0].run, 4);
    sample(f, 2500, 2600, 8, true); /* any change is a sign of life */
    assert_int_equal(f->seen->unchanged_ms, 0);
    assert_int_equal(f->seen->sequence, 8);
    sample(f, 3000, 3001, 8, true);
    assert_int_equal(f->seen->unchanged_ms, 400);
}

/* C2: a read that hung for long returned a young value; counting from its start would make it look old. */
static void test_hung_read(void **state)
{
    struct fixture *f = *state;
    sample(f, 0, 0, 6, true);
    sample(f, 500, 20500, 7, true);
    sample(f, 20600, 20601, 7, true);
    assert_false(f->seen->samples_good); /* and such a pause ends every count anyway */
    sample(f, 21000, 21001, 7, true);
    sample(f, 21500, 21501, 7, true);
    assert_int_equal(f->seen->unchanged_ms, 499);
}

static void test_failed_read_starts_again(void **state)
{
    struct fixture *f = *state;
    sample(f, 0, 0, 7, true);
    sample(f, 500, 500, 7, true);
    sample(f, 1000, 1000, 7, true);
    assert_int_equal(f->seen->unchanged_ms, 500);
    sample(f, 1500, 1500, 0, true);
    assert_false(f->seen->samples_good);
    assert_string_equal(f->seen->error, "read: input/output error");
    sample(f, 2000, 2000, 7, true);
    assert_int_equal(f->seen->unchanged_ms, 0);
}

/* The observer's own write fails: its record stands still for longer than a renewal may take. */
static void test_own_record_stops(void **state)
{
    struct fixture *f = *state;
    int64_t fresh = hf_ha_timing_find("fast")->own_fresh_ms, t;
    sample(f, 0, 0, 7, true);
    sample(f, 500, 500, 7, true);
    for (t = 1000; t - 500 <= fresh; t += 500) {
        sample(f, t, t, 7, false);
        assert_true(f->seen->samples_good);
    }
    sample(f, t, t, 7, false);
    assert_false(f->seen->samples_good);
    assert_string_equal(f->seen->error, "the observer's own record has stopped moving");
    sample(f, t + 500, t + 500, 7, true);
    assert_true(f->seen->samples_good);
    assert_int_equal(f->seen->unchanged_ms, 0);
}

/* The storage is not mounted: the observer's own record is missing as well, so a missing peer says nothing.
 */
static void test_own_record_missing(void **state)
{
    struct fixture *f = *state;
    struct hf_sampler_read own = {.host = hf_uuid_of_text("me"), .start_ms = 1000, .end_ms = 1000};
    struct hf_sampler_read read = {.host = f->peer, .start_ms = 1000, .end_ms = 1000};
    size_t n;
    sample(f, 0, 0, 7, true);
    sample(f, 500, 500, 7, true);
    hf_sampler_digest((const uint8_t *)"", 0, NULL, &own);
    hf_sampler_digest((const uint8_t *)"", 0, NULL, &read);
    const struct hf_observation *o = hf_sampler_sample(f->s, &own, &read, 1, &n);
    assert_false(o->samples_good);
    assert_string_equal(o->error, "the observer has no record of its own there");
}

static void test_failed_sample(void **state)
{
    struct fixture *f = *state;
    size_t n;
    sample(f, 0, 0, 7, true);
    sample(f, 500, 500, 7, true);
    const struct hf_observation *o = hf_sampler_failed(f->s, "reading hangs", &n);
    assert_int_equal(n, 1);
    assert_false(o->samples_good);
    assert_string_equal(o->error, "reading hangs");
    assert_int_equal(o->unchanged_ms, 0);
    sample(f, 1000, 1000, 7, true);
    assert_int_equal(f->seen->unchanged_ms, 0);
}

/* A file in which no record of this host stands is a failed read: no silence is counted from it, whatever its
 * bytes do. */
static void test_what_is_no_record(void **state)
{
    struct fixture *f = *state;
    struct hf_uuid us = hf_uuid_of_text("cluster"), them = hf_uuid_of_text("another");
    struct hf_lease_record *rec = HF_NEW(struct hf_lease_record);
    uint8_t *file = hf_alloc(HF_LEASE_FILE_BYTES);
    const char *says[4] = {NULL};
    for (int bad = 0; bad < 4; bad++) {
        struct hf_sampler_read read = {.host = f->peer};
        *rec = (struct hf_lease_record){.cluster = bad == 0 ? them : us,
                                        .host = bad == 1 ? hf_uuid_of_text("h9") : f->peer,
                                        .epoch = 3,
                                        .sequence = 7,
                                        .closed = true,
                                        .killed = true};
        memset(file, 0, HF_LEASE_FILE_BYTES);
        hf_lease_record_encode(rec, file);
        if (bad == 2)
            file[5000] ^= 1; /* torn */
        if (bad == 3)
            file[0] ^= 1; /* something else altogether */
        hf_sampler_digest(file, HF_LEASE_FILE_BYTES, &us, &read);
        assert_int_not_equal(read.decode, HF_LEASE_GOOD);
        assert_string_not_equal(read.error, "");
        assert_int_equal(read.epoch, 0);
        assert_false(read.closed || read.killed);
        for (int k = 0; k < bad; k++)
            assert_string_not_equal(hf_lease_decode_text(read.decode), says[k]);
        says[bad] = hf_lease_decode_text(read.decode);
        free(read.runs);
    }
    free(file);
    free(rec);
}

static void test_peers(void **state)
{
    struct fixture *f = *state;
    struct hf_uuid both[2] = {hf_uuid_of_text("h2"), f->peer};
    sample(f, 0, 0, 7, true);
    sample(f, 500, 500, 7, true);
    hf_sampler_set_peers(f->s, both, 2); /* h1 keeps its count, of h2 nothing is known */
    struct hf_sampler_read own = {.host = hf_uuid_of_text("me"), .start_ms = 1000, .end_ms = 1000};
    struct hf_sampler_read reads[2] = {{.host = f->peer, .start_ms = 1000, .end_ms = 1000},
                                       {.host = both[0], .start_ms = 1000, .end_ms = 1000}};
    size_t n;
    digest(&own, ++f->own);
    digest(&reads[0], 7);
    hf_sampler_digest((const uint8_t *)"", 0, NULL, &reads[1]); /* it has no file */
    const struct hf_observation *o = hf_sampler_sample(f->s, &own, reads, 2, &n);
    assert_int_equal(n, 2);
    assert_true(o[0].samples_good);
    assert_int_equal(o[0].epoch, 0);
    assert_int_equal(o[1].unchanged_ms, 500);
    free(own.runs);
    hf_sampler_set_peers(f->s, NULL, 0);
    hf_sampler_failed(f->s, "x", &n);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_from_end_of_first_to_start_of_last, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hung_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_read_starts_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_record_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_record_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_sample, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
