#include "consensus/testing.h"

#include "base/crc32c.h"
#include "holdfast/v1/infra.pb-c.h"

static struct hf_bytes *text_bytes(const char *text)
{
    return hf_bytes_copy(text, strlen(text));
}

static void put(struct hf_store *s, uint32_t kind, uint64_t n, const char *name, uint64_t revision)
{
    struct hf_uuid u = uuid_n(n);
    hf_store_put(s, kind, &u, name, text_bytes(name), revision);
}

static void objects_are_found_by_uuid_kind_and_name(void **state)
{
    (void)state;
    struct hf_store *s = hf_store_create();
    put(s, 1, 1, "a", 5);
    put(s, 2, 2, "a", 6);
    struct hf_uuid one = uuid_n(1), three = uuid_n(3);
    const struct hf_object *o = hf_store_get(s, &one);
    assert_non_null(o);
    assert_string_equal(o->name, "a");
    assert_int_equal(o->revision, 5);
    assert_null(hf_store_get(s, &three));
    assert_null(hf_store_get_kind(s, 2, &one));
    assert_ptr_equal(hf_store_get_kind(s, 1, &one), o);
    assert_ptr_equal(hf_store_by_name(s, 1, "a"), o);
    assert_null(hf_store_by_name(s, 1, "b"));
    assert_int_equal(hf_store_count(s, 1), 1);
    assert_int_equal(hf_store_count(s, 3), 0);
    hf_store_free(s);
}

/* Puts, renames and removes many objects and compares with a plain array after each step. */
static void the_index_by_name_agrees_with_a_plain_list(void **state)
{
    (void)state;
    enum { N = 300, STEPS = 3000 };
    struct hf_store *s = hf_store_create();
    char names[N][16] = {{0}};
    uint64_t seed = 7;
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t n = (seed >> 33) % N;
        struct hf_uuid u = uuid_n(n);
        const struct hf_object *o = hf_store_get(s, &u);
        assert_true((o != NULL) == (names[n][0] != 0));
        if (o != NULL && (seed >> 20) % 3 == 0) {
            hf_store_remove(s, o);
            names[n][0] = 0;
            continue;
        }
        if (o != NULL)
            hf_store_unname(s, o);
        snprintf(names[n], sizeof names[n], "%x-%d", (unsigned)(seed >> 52), step);
        put(s, 4, n, names[n], (uint64_t)step);
    }
    size_t seen = 0, expected = 0;
    const char *last = NULL;
    for (const struct hf_object *o = hf_store_next(s, 4, NULL); o != NULL; o = hf_store_next(s, 4, o->name)) {
        assert_true(last == NULL || strcmp(last, o->name) < 0);
        last = o->name;
        seen++;
    }
    for (int i = 0; i < N; i++)
        expected += names[i][0] != 0;
    for (int i = 0; i < N; i++)
        assert_true(names[i][0] == 0 || hf_store_by_name(s, 4, names[i]) != NULL);
    assert_int_equal(seen, expected);
    assert_int_equal(hf_store_count(s, 4), expected);
    assert_int_equal(hf_store_total(s), expected);
    hf_store_free(s);
}

static void pages_follow_the_bytes_of_the_names(void **state)
{
    (void)state;
    struct hf_store *s = hf_store_create();
    const char *names[] = {"B", "a", "a-b", "ab", "b", "\xc3\xa4"};
    for (uint64_t i = 0; i < 6; i++)
        put(s, 1, i, names[5 - i], i);
    const struct hf_object *o = hf_store_next(s, 1, "");
    for (int i = 0; i < 6; i++) {
        assert_non_null(o);
        assert_string_equal(o->name, names[i]);
        o = hf_store_next(s, 1, o->name);
    }
    assert_null(o);
    assert_string_equal(hf_store_next(s, 1, "a-")->name, "a-b"); /* a page may begin at a name that is gone */
    assert_null(hf_store_next(s, 2, NULL));
    hf_store_free(s);
}

static void bytes_live_as_long_as_somebody_holds_them(void **state)
{
    (void)state;
    struct hf_store *s = hf_store_create();
    put(s, 1, 1, "held", 1);
    struct hf_uuid one = uuid_n(1);
    struct hf_bytes *held = hf_bytes_ref(hf_store_get(s, &one)->bytes);
    hf_store_remove(s, hf_store_get(s, &one));
    assert_memory_equal(held->data, "held", 4);
    assert_int_equal(hf_store_total_bytes(s), 0);
    hf_bytes_unref(held);
    hf_store_free(s);
}

static void readers_see_the_revision_and_all_else(void **state)
{
    (void)state;
    const uint64_t revisions[] = {1, 127, 128, 1 << 20, UINT64_MAX};
    const size_t name_lens[] = {4, 199}; /* meta's length in one byte and in two */
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT;
    Holdfast__V1__ZoneSpec spec = HOLDFAST__V1__ZONE_SPEC__INIT;
    char name[200];
    meta.name = name;
    meta.created_at_ms = 1700000000000;
    zone.meta = &meta;
    zone.spec = &spec;
    for (size_t i = 0; i < 2 * sizeof revisions / sizeof *revisions; i++) {
        memset(name, 'n', sizeof name);
        name[name_lens[i % 2]] = '\0';
        struct hf_bytes *stored = hf_bytes_new(holdfast__v1__zone__get_packed_size(&zone));
        holdfast__v1__zone__pack(&zone, stored->data);
        struct hf_bytes *b = hf_object_with_revision(stored, revisions[i / 2]);
        Holdfast__V1__Zone *back = holdfast__v1__zone__unpack(NULL, b->len, b->data);
        assert_non_null(back);
        assert_true(back->meta->revision == revisions[i / 2]);
        assert_true(back->meta->created_at_ms == meta.created_at_ms);
        assert_string_equal(back->meta->name, name);
        assert_non_null(back->spec);
        holdfast__v1__zone__free_unpacked(back, NULL);
        hf_bytes_unref(stored);
        hf_bytes_unref(b);
    }
    struct hf_bytes *empty = hf_bytes_new(0), *b = hf_object_with_revision(empty, 7);
    Holdfast__V1__Zone *back = holdfast__v1__zone__unpack(NULL, b->len, b->data);
    assert_true(back->meta->revision == 7);
    holdfast__v1__zone__free_unpacked(back, NULL);
    hf_bytes_unref(empty);
    hf_bytes_unref(b);
}

static void the_checksum_is_crc32c(void **state)
{
    (void)state;
    assert_int_equal(hf_crc32c(0, "123456789", 9), 0xe3069283u); /* RFC 3720's check value */
    uint32_t parts = hf_crc32c(hf_crc32c(0, "1234", 4), "56789", 5);
    assert_int_equal(parts, 0xe3069283u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_found_by_uuid_kind_and_name),
        cmocka_unit_test(the_index_by_name_agrees_with_a_plain_list),
        cmocka_unit_test(pages_follow_the_bytes_of_the_names),
        cmocka_unit_test(bytes_live_as_long_as_somebody_holds_them),
        cmocka_unit_test(readers_see_the_revision_and_all_else),
        cmocka_unit_test(the_checksum_is_crc32c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
