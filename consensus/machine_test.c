#include "consensus/testing.h"

#include "consensus/replica.h"

static int setup(void **state)
{
    struct hf_machine *m = HF_NEW(struct hf_machine);
    hf_machine_init(m, NULL, 0);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    hf_machine_done(*state);
    free(*state);
    return 0;
}

static struct hf_txn *request(const char *id, uint64_t hash, uint64_t n, const char *name, const char *text)
{
    struct hf_txn *t = hf_txn_create(id, hash);
    put_text(t, 1, n, name, text);
    hf_txn_answer_last_put(t);
    return t;
}

static void the_revision_grows_by_one_per_applied_transaction(void **state)
{
    struct hf_machine *m = *state;
    struct hf_txn *t = hf_txn_create(NULL, 0);
    put_text(t, 1, 1, "a", "1");
    put_text(t, 1, 2, "b", "2");
    assert_int_equal(apply_code(m, t), HF_OK);
    assert_int_equal(hf_store_revision(m->store), 1);
    struct hf_uuid one = uuid_n(1), two = uuid_n(2);
    assert_int_equal(hf_store_get(m->store, &one)->revision, 1);
    assert_int_equal(hf_store_get(m->store, &two)->revision, 1);

    t = hf_txn_create(NULL, 0); /* deleting what does not exist changes nothing */
    delete_n(t, 9);
    assert_int_equal(apply_code(m, t), HF_OK);
    assert_int_equal(hf_store_revision(m->store), 1);
    t = hf_txn_create(NULL, 0);
    delete_n(t, 1);
    assert_int_equal(apply_code(m, t), HF_OK);
    assert_int_equal(hf_store_revision(m->store), 2);
    assert_true(object_is(m->store, 1, NULL));
}

static void a_failed_check_applies_nothing(void **state)
{
    struct hf_machine *m = *state;
    assert_int_equal(put_one(m, 1, 1, "a", "old"), HF_OK);
    struct hf_txn *t = hf_txn_create("id", 1);
    put_text(t, 1, 2, "b", "new");
    check_revision(t, 1, 5);
    struct hf_txn_result res = apply_txn(m, t);
    struct hf_uuid one = uuid_n(1);
    assert_int_equal(res.code, HF_CONFLICT);
    assert_true(hf_uuid_equal(&res.subject, &one));
    assert_int_equal(res.revision, 1);
    assert_non_null(strstr(res.message, "'a'"));
    hf_result_done(&res);
    assert_true(object_is(m->store, 2, NULL));

    t = hf_txn_create("id",
                      1); /* refused requests are not remembered: repeated with a true check it applies */
    put_text(t, 1, 2, "b", "new");
    check_revision(t, 1, 1);
    check_revision(t, 2, 0);
    assert_int_equal(apply_code(m, t), HF_OK);

    t = hf_txn_create(NULL, 0);
    check_revision(t, 2, 0);
    assert_int_equal(apply_code(m, t), HF_CONFLICT);
    t = hf_txn_create(NULL, 0);
    check_revision(t, 77, 3);
    assert_int_equal(apply_code(m, t), HF_CONFLICT);
}

static void names_are_unique_within_a_kind(void **state)
{
    struct hf_machine *m = *state;
    assert_int_equal(put_one(m, 1, 1, "a", ""), HF_OK);
    assert_int_equal(put_one(m, 1, 2, "a", ""), HF_EXISTS);
    assert_int_equal(put_one(m, 2, 3, "a", ""), HF_OK);
    assert_int_equal(put_one(m, 1, 1, "a", "its own name"), HF_OK);
    assert_int_equal(put_one(m, 1, 1, "b", ""), HF_OK);
    assert_int_equal(put_one(m, 1, 2, "a", "free now"), HF_OK);
    assert_int_equal(put_one(m, 2, 1, "x", "another kind"), HF_INVALID);
}

static void names_may_be_exchanged_and_freed_within_a_transaction(void **state)
{
    struct hf_machine *m = *state;
    put_one(m, 1, 1, "a", "");
    put_one(m, 1, 2, "b", "");
    struct hf_txn *t = hf_txn_create(NULL, 0);
    put_text(t, 1, 1, "b", "");
    put_text(t, 1, 2, "a", "");
    assert_int_equal(apply_code(m, t), HF_OK);
    struct hf_uuid one = uuid_n(1);
    assert_true(hf_uuid_equal(&hf_store_by_name(m->store, 1, "b")->uuid, &one));

    t = hf_txn_create(NULL, 0);
    delete_n(t, 1);
    put_text(t, 1, 3, "b", "");
    assert_int_equal(apply_code(m, t), HF_OK);

    t = hf_txn_create(NULL, 0);
    put_text(t, 1, 4, "c", "");
    put_text(t, 1, 5, "c", "");
    assert_int_equal(apply_code(m, t), HF_EXISTS);
    t = hf_txn_create(NULL, 0);
    put_text(t, 1, 2, "b", ""); /* b stays with 3 */
    put_text(t, 1, 3, "b", "");
    assert_int_equal(apply_code(m, t), HF_EXISTS);
    assert_int_equal(hf_store_count(m->store, 1), 2);
}

static void of_several_operations_on_an_object_the_last_counts(void **state)
{
    struct hf_machine *m = *state;
    struct hf_txn *t = hf_txn_create(NULL, 0);
    put_text(t, 1, 1, "a", "first");
    put_text(t, 1, 1, "z", "second");
    put_text(t, 1, 2, "b", "gone");
    delete_n(t, 2);
    assert_int_equal(apply_code(m, t), HF_OK);
    assert_true(object_is(m->store, 1, "second"));
    assert_true(object_is(m->store, 2, NULL));
    assert_null(hf_store_by_name(m->store, 1, "a"));
}

static void long_transactions_obey_the_same_rules(void **state)
{
    struct hf_machine *m = *state;
    enum { N = HF_TXN_OPS_MAX / 2 };
    char name[32];
    struct hf_txn *t = hf_txn_create(NULL, 0);
    for (uint64_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "n%llu", (unsigned long long)i);
        put_text(t, 1, i, name, "");
        snprintf(name, sizeof name, "m%llu", (unsigned long long)(i ^ 1));
        put_text(t, 1, i, name, "second");
    }
    assert_int_equal(apply_code(m, t), HF_OK);
    assert_int_equal(hf_store_count(m->store, 1), N);
    assert_null(hf_store_by_name(m->store, 1, "n5"));
    t = hf_txn_create(NULL, 0);
    for (uint64_t i = 0; i < N;
         i++) { /* each takes its neighbour's name, which is free when the neighbour has moved */
        snprintf(name, sizeof name, "m%llu", (unsigned long long)i);
        put_text(t, 1, i, name, "third");
    }
    assert_int_equal(apply_code(m, t), HF_OK);
    t = hf_txn_create(NULL, 0);
    for (uint64_t i = 0; i < 100; i++)
        put_text(t, 1, N + i, i == 99 ? "x7" : (snprintf(name, sizeof name, "x%d", (int)i), name), "");
    assert_int_equal(apply_code(m, t), HF_EXISTS);
    assert_int_equal(hf_store_count(m->store, 1), N);
}

static void a_repeated_request_gets_its_first_answer(void **state)
{
    struct hf_machine *m = *state;
    struct hf_txn_result res = apply_txn(m, request("id-1", 11, 1, "a", "first"));
    assert_int_equal(res.code, HF_OK);
    assert_false(res.repeated);
    assert_int_equal(res.revision, 1);
    hf_result_done(&res);
    assert_int_equal(put_one(m, 1, 1, "a", "changed since"), HF_OK);

    res = apply_txn(m, request("id-1", 11, 1, "a", "first"));
    assert_int_equal(res.code, HF_OK);
    assert_true(res.repeated);
    assert_int_equal(res.revision, 1);
    assert_int_equal(res.answer->len, 5);
    assert_memory_equal(res.answer->data, "first", 5);
    hf_result_done(&res);
    assert_int_equal(hf_store_revision(m->store), 2);
    assert_true(object_is(m->store, 1, "changed since"));

    res = apply_txn(m, request("id-1", 12, 1, "a", "other"));
    assert_int_equal(res.code, HF_INVALID);
    assert_non_null(strstr(res.message, "'id-1'"));
    hf_result_done(&res);
    assert_int_equal(hf_store_revision(m->store), 2);
}

static void the_oldest_requests_are_forgotten_first(void **state)
{
    struct hf_machine *m = *state;
    char id[32];
    for (uint64_t i = 0; i <= HF_DEDUP_MAX; i++) {
        snprintf(id, sizeof id, "id-%llu", (unsigned long long)i);
        assert_int_equal(apply_code(m, request(id, i, 1, "a", "x")), HF_OK);
    }
    assert_int_equal(hf_dedup_count(m->dedup), HF_DEDUP_MAX);
    struct hf_txn_result res = apply_txn(m, request("id-1", 1, 1, "a", "x"));
    assert_true(res.repeated);
    hf_result_done(&res);
    res = apply_txn(m, request("id-0", 0, 1, "a", "x"));
    assert_false(res.repeated);
    hf_result_done(&res);
}

static void large_answers_are_forgotten_by_their_bytes(void **state)
{
    struct hf_machine *m = *state;
    char id[32], *text = hf_alloc(HF_OBJECT_MAX);
    memset(text, 'x', HF_OBJECT_MAX - 1);
    for (uint64_t i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "id-%llu", (unsigned long long)i);
        assert_int_equal(apply_code(m, request(id, i, 1, "a", text)), HF_OK);
    }
    assert_true(hf_dedup_bytes(m->dedup) <= HF_DEDUP_BYTES_MAX);
    assert_int_equal(hf_dedup_count(m->dedup), HF_DEDUP_BYTES_MAX / (HF_OBJECT_MAX - 1 + 5));
    assert_null(hf_dedup_find(m->dedup, "id-3", 4));
    assert_non_null(hf_dedup_find(m->dedup, "id-39", 5));
    free(text);
}

/* Refuses to change object 1's bytes unless object 2, after the transaction, says "yes". */
static bool ask_object_two(const struct hf_guard *g, const struct hf_guard_view *v, const struct hf_change *c,
                           char *why, size_t why_len)
{
    (void)g;
    struct hf_uuid one = uuid_n(1), two = uuid_n(2);
    if (!hf_uuid_equal(&c->uuid, &one) || c->before == NULL)
        return true;
    size_t len;
    const uint8_t *b = hf_guard_after(v, &two, &len);
    if (b != NULL && len == 3 && memcmp(b, "yes", 3) == 0)
        return true;
    snprintf(why, why_len, "object 2 does not say yes for '%s'", c->before->name);
    return false;
}

static void guards_see_the_state_after_the_transaction(void **state)
{
    (void)state;
    static const struct hf_guard guard = {.name = "test", .kinds = 1u << 1, .allow = ask_object_two};
    const struct hf_guard *const guards[] = {&guard};
    struct hf_machine m;
    hf_machine_init(&m, guards, 1);
    assert_int_equal(put_one(&m, 1, 1, "a", "old"), HF_OK);
    struct hf_txn *t = hf_txn_create(NULL, 0);
    put_text(t, 1, 1, "a", "new");
    struct hf_txn_result res = apply_txn(&m, t);
    assert_int_equal(res.code, HF_PRECONDITION);
    assert_string_equal(res.message, "object 2 does not say yes for 'a'");
    hf_result_done(&res);
    assert_true(object_is(m.store, 1, "old"));

    t = hf_txn_create(NULL, 0); /* in the same transaction */
    put_text(t, 1, 1, "a", "new");
    put_text(t, 2, 2, "b", "yes");
    assert_int_equal(apply_code(&m, t), HF_OK);
    assert_int_equal(put_one(&m, 1, 1, "a", "newer"), HF_OK); /* from the store */
    t = hf_txn_create(NULL, 0);                               /* and taken back */
    delete_n(t, 2);
    delete_n(t, 1);
    assert_int_equal(apply_code(&m, t), HF_PRECONDITION);
    assert_int_equal(put_one(&m, 2, 3, "c", "of a kind it does not guard"), HF_OK);
    hf_machine_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_revision_grows_by_one_per_applied_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_check_applies_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_unique_within_a_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(names_may_be_exchanged_and_freed_within_a_transaction, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(of_several_operations_on_an_object_the_last_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(long_transactions_obey_the_same_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(a_repeated_request_gets_its_first_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_requests_are_forgotten_first, setup, teardown),
        cmocka_unit_test_setup_teardown(large_answers_are_forgotten_by_their_bytes, setup, teardown),
        cmocka_unit_test(guards_see_the_state_after_the_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
