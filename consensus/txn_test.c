#include "consensus/testing.h"

static struct hf_op ops[HF_TXN_OPS_MAX];

static struct hf_txn *sample(void)
{
    struct hf_txn *t = hf_txn_create("request-1", 42);
    check_revision(t, 1, 7);
    put_text(t, 10, 2, "web1", "first");
    put_text(t, 9, 3, "disk-of-web1", "");
    hf_txn_answer_last_put(t);
    delete_n(t, 4);
    return t;
}

static void a_transaction_reads_back_as_it_was_written(void **state)
{
    (void)state;
    struct hf_txn *t = sample();
    struct hf_txn_view v;
    size_t len, used;
    const uint8_t *p = hf_txn_encoded(t, &len);
    assert_true(hf_txn_decode(p, len, &v, ops, &used));
    assert_int_equal(used, len);
    assert_int_equal(len % 8, 0);
    assert_string_equal(v.request_id, "request-1");
    assert_int_equal(v.request_hash, 42);
    assert_int_equal(v.n_ops, 4);
    assert_int_equal(v.answer, 3);
    assert_int_equal(ops[0].type, HF_OP_CHECK);
    assert_int_equal(ops[0].revision, 7);
    assert_int_equal(ops[1].type, HF_OP_PUT);
    assert_int_equal(ops[1].kind, 10);
    assert_string_equal(ops[1].name, "web1");
    assert_int_equal(ops[1].data_len, 5);
    assert_memory_equal(ops[1].data, "first", 5);
    assert_int_equal(ops[2].data_len, 0);
    assert_int_equal(ops[3].type, HF_OP_DELETE);
    struct hf_uuid four = uuid_n(4);
    assert_true(hf_uuid_equal(&ops[3].uuid, &four));
    hf_txn_free(t);
}

static void empty_means_nothing_to_change(void **state)
{
    (void)state;
    struct hf_txn *t = hf_txn_create(NULL, 0);
    assert_true(hf_txn_empty(t));
    check_revision(t, 1, 0);
    assert_true(hf_txn_empty(t));
    delete_n(t, 1);
    assert_false(hf_txn_empty(t));
    hf_txn_free(t);
}

static void what_is_too_large_is_invalid_with_a_sentence(void **state)
{
    (void)state;
    char long_text[HF_NAME_MAX + 2];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;

    struct hf_txn *t = hf_txn_create(long_text, 0);
    assert_non_null(strstr(hf_txn_invalid(t), "request id"));
    hf_txn_free(t);

    t = hf_txn_create(NULL, 0);
    put_text(t, 1, 1, long_text, "");
    assert_non_null(strstr(hf_txn_invalid(t), "name"));
    put_text(t, 1, 1, "", "");
    hf_txn_free(t);

    t = hf_txn_create(NULL, 0);
    struct hf_bytes *big = hf_bytes_new(HF_OBJECT_MAX + 1);
    struct hf_uuid u = uuid_n(1);
    hf_txn_put_bytes(t, 1, &u, "big", big);
    assert_non_null(strstr(hf_txn_invalid(t), "'big'"));
    assert_false(hf_txn_empty(t));
    hf_bytes_unref(big);
    hf_txn_free(t);

    t = hf_txn_create(NULL, 0);
    big = hf_bytes_new(HF_OBJECT_MAX);
    for (uint64_t i = 0; i < 4; i++) {
        u = uuid_n(i);
        hf_txn_put_bytes(t, 1, &u, "big", big);
    }
    assert_non_null(strstr(hf_txn_invalid(t), "bytes"));
    hf_bytes_unref(big);
    hf_txn_free(t);

    t = hf_txn_create(NULL, 0);
    for (uint64_t i = 0; i <= HF_TXN_OPS_MAX; i++)
        delete_n(t, i);
    assert_non_null(strstr(hf_txn_invalid(t), "operations"));
    hf_txn_free(t);
}

static void the_longest_names_and_ids_pass(void **state)
{
    (void)state;
    char name[HF_NAME_MAX + 1], id[HF_REQUEST_ID_MAX + 1];
    memset(name, 'n', HF_NAME_MAX);
    name[HF_NAME_MAX] = 0;
    memset(id, 'i', HF_REQUEST_ID_MAX);
    id[HF_REQUEST_ID_MAX] = 0;
    struct hf_txn *t = hf_txn_create(id, 1);
    put_text(t, HF_KIND_MAX - 1, 1, name, "x");
    size_t len, used;
    struct hf_txn_view v;
    const uint8_t *p = hf_txn_encoded(t, &len);
    assert_true(hf_txn_decode(p, len, &v, ops, &used));
    assert_int_equal(v.request_id_len, HF_REQUEST_ID_MAX);
    assert_string_equal(ops[0].name, name);
    hf_txn_free(t);
}

static void a_cut_transaction_is_refused_at_every_length(void **state)
{
    (void)state;
    struct hf_txn *t = sample();
    size_t len, used;
    const uint8_t *p = hf_txn_encoded(t, &len);
    for (size_t n = 0; n < len; n++) {
        struct hf_txn_view v;
        uint8_t *cut = hf_alloc(n + 1); /* its own memory, so that the sanitizer sees a read beyond */
        memcpy(cut, p, n);
        assert_false(hf_txn_decode(cut, n, &v, ops, &used));
        free(cut);
    }
    hf_txn_free(t);
}

/* xorshift64: the same bytes in every run. */
static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* What decodes must keep to the limits and point into the bytes; what does not must be refused without harm.
 */
static void damaged_bytes_never_do_harm(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    struct hf_txn *t = sample();
    size_t len;
    const uint8_t *p = hf_txn_encoded(t, &len);
    unsigned accepted = 0;
    for (int round = 0; round < 200000; round++) {
        uint8_t *copy = hf_alloc(len);
        memcpy(copy, p, len);
        for (uint64_t flips = next_random(&seed) % 4 + 1; flips > 0; flips--)
            copy[next_random(&seed) % len] ^= (uint8_t)(1u << next_random(&seed) % 8);
        struct hf_txn_view v;
        size_t used;
        if (hf_txn_decode(copy, len, &v, ops, &used)) {
            accepted++;
            assert_true(used <= len && v.n_ops <= HF_TXN_OPS_MAX && v.answer <= v.n_ops);
            for (uint32_t i = 0; i < v.n_ops; i++) {
                if (ops[i].type != HF_OP_PUT)
                    continue;
                assert_true(ops[i].kind < HF_KIND_MAX && strlen(ops[i].name) <= HF_NAME_MAX);
                assert_true(ops[i].data >= copy && ops[i].data + ops[i].data_len <= copy + used);
            }
        }
        free(copy);
    }
    assert_true(accepted > 0); /* a flipped bit of content is still a transaction */
    hf_txn_free(t);
}

static void an_entry_header_is_checked(void **state)
{
    (void)state;
    uint8_t b[HF_ENTRY_HEADER];
    struct hf_entry_header h = {.n = 3, .origin = 0x1122334455667788, .sequence = 9}, back;
    hf_entry_header_encode(&h, b);
    assert_true(hf_entry_header_decode(b, sizeof b, &back));
    assert_int_equal(back.n, 3);
    assert_int_equal(back.origin, h.origin);
    assert_int_equal(back.sequence, 9);
    assert_false(hf_entry_header_decode(b, sizeof b - 8, &back));
    b[0] ^= 1;
    assert_false(hf_entry_header_decode(b, sizeof b, &back));
    h.n = HF_ENTRY_TXNS_MAX + 1;
    hf_entry_header_encode(&h, b);
    assert_false(hf_entry_header_decode(b, sizeof b, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_reads_back_as_it_was_written),
        cmocka_unit_test(empty_means_nothing_to_change),
        cmocka_unit_test(what_is_too_large_is_invalid_with_a_sentence),
        cmocka_unit_test(the_longest_names_and_ids_pass),
        cmocka_unit_test(a_cut_transaction_is_refused_at_every_length),
        cmocka_unit_test(damaged_bytes_never_do_harm),
        cmocka_unit_test(an_entry_header_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
