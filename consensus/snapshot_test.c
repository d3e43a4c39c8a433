#include "consensus/testing.h"

#include "consensus/replica.h"
#include "consensus/snapshot.h"

static struct hf_bytes *flatten(const struct hf_machine *m)
{
    struct hf_snapshot s;
    hf_snapshot_take(m, &s);
    size_t len = 0;
    for (unsigned i = 0; i < s.n_bufs; i++)
        len += s.bufs[i].len;
    struct hf_bytes *b = hf_bytes_new(len);
    size_t at = 0;
    for (unsigned i = 0; i < s.n_bufs; i++) {
        memcpy(b->data + at, s.bufs[i].base, s.bufs[i].len);
        at += s.bufs[i].len;
    }
    hf_snapshot_release(&s);
    return b;
}

static void fill(struct hf_machine *m)
{
    char name[32], id[32];
    for (uint64_t i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "object-%llu", (unsigned long long)i);
        snprintf(id, sizeof id, "request-%llu", (unsigned long long)i);
        struct hf_txn *t = hf_txn_create(i % 2 == 0 ? id : NULL, i);
        put_text(t, (uint32_t)(i % 5), i, name, i % 7 == 0 ? "" : name);
        if (i % 4 == 0)
            hf_txn_answer_last_put(t);
        assert_int_equal(apply_code(m, t), HF_OK);
    }
    struct hf_txn *t = hf_txn_create(NULL, 0);
    delete_n(t, 13);
    assert_int_equal(apply_code(m, t), HF_OK);
}

static void a_restored_machine_is_the_same(void **state)
{
    (void)state;
    struct hf_machine a, b;
    hf_machine_init(&a, NULL, 0);
    hf_machine_init(&b, NULL, 0);
    fill(&a);
    put_one(&b, 1, 1000, "was here before", "");
    struct hf_bytes *bytes = flatten(&a);
    hf_status st = hf_snapshot_restore(&b, bytes->data, bytes->len);
    assert_true(hf_ok(st));

    assert_int_equal(hf_store_revision(b.store), hf_store_revision(a.store));
    assert_int_equal(hf_store_total(b.store), 499);
    assert_true(object_is(b.store, 1000, NULL));
    assert_true(object_is(b.store, 13, NULL));
    assert_true(object_is(b.store, 14, ""));
    assert_true(object_is(b.store, 15, "object-15"));
    struct hf_uuid u = uuid_n(15);
    assert_int_equal(hf_store_get(b.store, &u)->revision, 16);
    assert_ptr_equal(hf_store_by_name(b.store, 0, "object-15"), hf_store_get(b.store, &u));

    struct hf_bytes *again = flatten(&b);
    assert_int_equal(again->len, bytes->len);
    assert_memory_equal(again->data, bytes->data, bytes->len);
    hf_bytes_unref(again);
    hf_bytes_unref(bytes);
    hf_machine_done(&a);
    hf_machine_done(&b);
}

static void a_repeated_request_is_known_after_a_restore(void **state)
{
    (void)state;
    struct hf_machine a, b;
    hf_machine_init(&a, NULL, 0);
    hf_machine_init(&b, NULL, 0);
    fill(&a);
    struct hf_bytes *bytes = flatten(&a);
    hf_status st = hf_snapshot_restore(&b, bytes->data, bytes->len);
    assert_true(hf_ok(st));
    struct hf_txn *t = hf_txn_create("request-8", 8);
    put_text(t, 3, 8, "other", "other");
    struct hf_txn_result res = apply_txn(&b, t);
    assert_int_equal(res.code, HF_OK);
    assert_true(res.repeated);
    assert_int_equal(res.revision, 9);
    assert_memory_equal(res.answer->data, "object-8", 8);
    hf_result_done(&res);
    t = hf_txn_create("request-8", 9);
    put_text(t, 3, 8, "other", "other");
    assert_int_equal(apply_code(&b, t), HF_INVALID);
    hf_bytes_unref(bytes);
    hf_machine_done(&a);
    hf_machine_done(&b);
}

static void a_snapshot_keeps_the_state_of_its_moment(void **state)
{
    (void)state;
    struct hf_machine m;
    struct hf_snapshot s;
    hf_machine_init(&m, NULL, 0);
    put_one(&m, 1, 1, "a", "before");
    hf_snapshot_take(&m, &s);
    put_one(&m, 1, 1, "a", "after!");
    struct hf_txn *t = hf_txn_create(NULL, 0);
    delete_n(t, 1);
    assert_int_equal(apply_code(&m, t), HF_OK);
    bool found = false;
    for (unsigned i = 0; i < s.n_bufs; i++)
        found |= s.bufs[i].len == 6 && memcmp(s.bufs[i].base, "before", 6) == 0;
    assert_true(found);
    hf_snapshot_release(&s);
    hf_machine_done(&m);
}

static void damage_is_found_and_changes_nothing(void **state)
{
    (void)state;
    struct hf_machine a, b;
    hf_machine_init(&a, NULL, 0);
    hf_machine_init(&b, NULL, 0);
    fill(&a);
    put_one(&b, 1, 1000, "stays", "here");
    struct hf_bytes *bytes = flatten(&a);
    for (size_t i = 0; i < bytes->len - 4; i += i < 64 ? 1 : 97) {
        bytes->data[i] ^= 0x10;
        hf_status st = hf_snapshot_restore(&b, bytes->data, bytes->len);
        assert_int_equal(hf_status_code(st), HF_CORRUPT);
        hf_status_drop(st);
        bytes->data[i] ^= 0x10;
    }
    for (size_t len = 0; len < bytes->len; len += 61) {
        hf_status st = hf_snapshot_restore(&b, bytes->data, len);
        assert_int_equal(hf_status_code(st), HF_CORRUPT);
        hf_status_drop(st);
    }
    assert_true(object_is(b.store, 1000, "here"));
    hf_bytes_unref(bytes);
    hf_machine_done(&a);
    hf_machine_done(&b);
}

static void an_empty_machine_has_a_snapshot_too(void **state)
{
    (void)state;
    struct hf_machine m;
    hf_machine_init(&m, NULL, 0);
    struct hf_bytes *bytes = flatten(&m);
    hf_status st = hf_snapshot_restore(&m, bytes->data, bytes->len);
    assert_true(hf_ok(st));
    assert_int_equal(bytes->len % 8, 0);
    hf_bytes_unref(bytes);
    hf_machine_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restored_machine_is_the_same),
        cmocka_unit_test(a_repeated_request_is_known_after_a_restore),
        cmocka_unit_test(a_snapshot_keeps_the_state_of_its_moment),
        cmocka_unit_test(damage_is_found_and_changes_nothing),
        cmocka_unit_test(an_empty_machine_has_a_snapshot_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
