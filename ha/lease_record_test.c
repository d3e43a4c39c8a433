#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "ha/lease_record.h"

static struct hf_lease_record *sample(uint64_t epoch, uint64_t sequence)
{
    struct hf_lease_record *r = HF_NEW(struct hf_lease_record);
    r->cluster = hf_uuid_of_text("cluster");
    r->host = hf_uuid_of_text("host");
    strcpy(r->boot_id, "0bff123d-da10-43bf-b152-3e553d1cd1db");
    r->epoch = epoch;
    r->sequence = sequence;
    r->closed = true;
    r->killed = true;
    r->n_runs = 2;
    r->runs[0] =
        (struct hf_lease_run){.instance = hf_uuid_of_text("vm1"), .run = 7, .live = true, .incoming = true};
    r->runs[1] = (struct hf_lease_run){.instance = hf_uuid_of_text("vm2"), .run = UINT64_MAX};
    return r;
}

static enum hf_lease_decode decode(const uint8_t *slot, struct hf_lease_record *ret)
{
    struct hf_uuid cluster = hf_uuid_of_text("cluster"), host = hf_uuid_of_text("host");
    return hf_lease_record_decode(slot, HF_LEASE_SLOT_BYTES, &cluster, &host, ret);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct hf_lease_record *r = sample(3, 99), *back = HF_NEW(struct hf_lease_record);
    uint8_t *slot = hf_alloc(HF_LEASE_SLOT_BYTES);
    hf_lease_record_encode(r, slot);
    assert_int_equal(decode(slot, back), HF_LEASE_GOOD);
    assert_memory_equal(back, r, sizeof *r);
    /* A full record as well. */
    for (r->n_runs = 0; r->n_runs < HF_LEASE_RECORD_RUNS_MAX; r->n_runs++)
        r->runs[r->n_runs] =
            (struct hf_lease_run){.instance = r->host, .run = r->n_runs + 1, .live = r->n_runs % 2};
    hf_lease_record_encode(r, slot);
    assert_int_equal(decode(slot, back), HF_LEASE_GOOD);
    assert_memory_equal(back, r, sizeof *r);
    free(r);
    free(back);
    free(slot);
}

static void test_errors_told_apart(void **state)
{
    (void)state;
    struct hf_lease_record *r = sample(3, 99), *back = HF_NEW(struct hf_lease_record);
    uint8_t *slot = hf_alloc(HF_LEASE_SLOT_BYTES);
    struct hf_uuid cluster = hf_uuid_of_text("cluster"), host = hf_uuid_of_text("host"),
                   other = hf_uuid_of_text("x");
    assert_int_equal(decode(slot, back), HF_LEASE_EMPTY);
    hf_lease_record_encode(r, slot);
    assert_int_equal(hf_lease_record_decode(slot, HF_LEASE_SLOT_BYTES, &other, &host, back),
                     HF_LEASE_OTHER_CLUSTER);
    assert_int_equal(hf_lease_record_decode(slot, HF_LEASE_SLOT_BYTES, &cluster, &other, back),
                     HF_LEASE_OTHER_HOST);
    assert_int_equal(hf_lease_record_decode(slot, HF_LEASE_SLOT_BYTES, NULL, &host, back), HF_LEASE_GOOD);
    assert_int_equal(hf_lease_record_decode(slot, HF_LEASE_SLOT_BYTES - 1, &cluster, &host, back),
                     HF_LEASE_TORN);
    assert_int_equal(hf_lease_record_decode(slot, 0, &cluster, &host, back), HF_LEASE_EMPTY);
    slot[0] ^= 1;
    assert_int_equal(decode(slot, back), HF_LEASE_NOT_A_RECORD);
    slot[0] ^= 1;
    memset(slot + 8192, 0xee, 4096); /* one block of another write */
    assert_int_equal(decode(slot, back), HF_LEASE_TORN);
    free(r);
    free(back);
    free(slot);
}

/* A newer version keeps magic, version and checksum in their places. */
static void test_newer_version(void **state)
{
    (void)state;
    struct hf_lease_record *r = sample(3, 99), *back = HF_NEW(struct hf_lease_record);
    uint8_t *slot = hf_alloc(HF_LEASE_SLOT_BYTES);
    hf_lease_record_encode(r, slot);
    slot[8] = 2;
    memset(slot + 12, 0, 4);
    uint32_t crc = hf_crc32c(0, slot, HF_LEASE_SLOT_BYTES);
    for (int i = 0; i < 4; i++)
        slot[12 + i] = (uint8_t)(crc >> (8 * i));
    assert_int_equal(decode(slot, back), HF_LEASE_NEWER_VERSION);
    free(r);
    free(back);
    free(slot);
}

static void test_two_slots(void **state)
{
    (void)state;
    struct hf_uuid cluster = hf_uuid_of_text("cluster"), host = hf_uuid_of_text("host");
    struct hf_lease_record *even = sample(3, 98), *odd = sample(3, 99),
                           *back = HF_NEW(struct hf_lease_record);
    uint8_t *file = hf_alloc(HF_LEASE_FILE_BYTES), *first = file, *second = file + HF_LEASE_SLOT_BYTES;
    hf_lease_record_encode(even, first);
    assert_int_equal(hf_lease_file_decode(file, HF_LEASE_SLOT_BYTES, &cluster, &host, back), HF_LEASE_GOOD);
    hf_lease_record_encode(odd, second);
    assert_int_equal(hf_lease_file_decode(file, HF_LEASE_FILE_BYTES, &cluster, &host, back), HF_LEASE_GOOD);
    assert_int_equal(back->sequence, 99);
    even->epoch = 4; /* the next epoch is newer whatever its sequence */
    even->sequence = 2;
    hf_lease_record_encode(even, first);
    assert_int_equal(hf_lease_file_decode(file, HF_LEASE_FILE_BYTES, &cluster, &host, back), HF_LEASE_GOOD);
    assert_int_equal(back->epoch, 4);
    first[5000] ^= 1; /* power was cut in the middle of that write: the other slot stands */
    assert_int_equal(hf_lease_file_decode(file, HF_LEASE_FILE_BYTES, &cluster, &host, back), HF_LEASE_GOOD);
    assert_int_equal(back->sequence, 99);
    second[5000] ^= 1;
    assert_int_equal(hf_lease_file_decode(file, HF_LEASE_FILE_BYTES, &cluster, &host, back), HF_LEASE_TORN);
    odd->host = hf_uuid_of_text("x"); /* a file that another host writes as well proves nothing */
    hf_lease_record_encode(odd, second);
    assert_int_equal(hf_lease_file_decode(file, HF_LEASE_FILE_BYTES, &cluster, &host, back),
                     HF_LEASE_OTHER_HOST);
    free(even);
    free(odd);
    free(back);
    free(file);
}

/* Whatever lies in the file: no crash, and nothing changed by one bit passes as good. */
static void test_fuzz(void **state)
{
    (void)state;
    struct hf_lease_record *r = sample(3, 99), *back = HF_NEW(struct hf_lease_record);
    uint8_t *slot = hf_alloc(HF_LEASE_SLOT_BYTES);
    uint64_t seed = 88172645463325252u;
    hf_lease_record_encode(r, slot);
    for (int i = 0; i < 3000; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        size_t at = seed % HF_LEASE_SLOT_BYTES;
        uint8_t bit = (uint8_t)(1u << (seed >> 40) % 8);
        slot[at] ^= bit;
        assert_int_not_equal(decode(slot, back), HF_LEASE_GOOD);
        slot[at] ^= bit;
    }
    for (int i = 0; i < 200; i++) { /* a good checksum over noise */
        for (size_t k = 16; k < 600; k++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            slot[k] = (uint8_t)seed;
        }
        memset(slot + 12, 0, 4);
        uint32_t crc = hf_crc32c(0, slot, HF_LEASE_SLOT_BYTES);
        for (int k = 0; k < 4; k++)
            slot[12 + k] = (uint8_t)(crc >> (8 * k));
        struct hf_uuid host;
        memcpy(host.b, slot + 32, 16);
        assert_int_not_equal(hf_lease_record_decode(slot, HF_LEASE_SLOT_BYTES, NULL, &host, back),
                             HF_LEASE_TORN);
    }
    assert_int_equal(hf_crc32c(0, "123456789", 9), 0xe3069283);
    free(r);
    free(back);
    free(slot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_errors_told_apart),
        cmocka_unit_test(test_newer_version), cmocka_unit_test(test_two_slots),
        cmocka_unit_test(test_fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
