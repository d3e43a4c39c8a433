#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "control/kinds.h"
#include "control/pb_list.h"
#include "control/pb_path.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/network.pb-c.h"

typedef Holdfast__V1__L3Network L3;

static struct hf_pb_path resolve(const char *text)
{
    struct hf_pb_path p;
    assert_true(hf_pb_path_resolve(&holdfast__v1__l3_network__descriptor, text, strlen(text), &p));
    return p;
}

static void test_resolve(void **state)
{
    (void)state;
    struct hf_pb_path p = resolve("spec.ip_ranges.start_ip");
    assert_int_equal(p.n, 3);
    assert_string_equal(hf_pb_path_last(&p)->name, "start_ip");
    assert_int_equal(resolve("meta").n, 1);
    static const char *const bad[] = {"",           ".",           "meta.",     ".meta",
                                      "meta..name", "meta.name.x", "spec.cpus", "Meta"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hf_pb_path_resolve(&holdfast__v1__l3_network__descriptor, bad[i], strlen(bad[i]), &p));
}

static L3 *new_l3(const char *name, size_t n_dns)
{
    L3 *l3 = HF_NEW(L3);
    holdfast__v1__l3_network__init(l3);
    struct hf_pb_path meta = resolve("meta"), spec = resolve("spec");
    hf_pb_submessage(&l3->base, meta.fields[0]);
    hf_pb_set(&l3->meta->name, name);
    if (n_dns > 0)
        hf_pb_submessage(&l3->base, spec.fields[0]);
    for (size_t i = 0; i < n_dns; i++)
        hf_pb_list_add(&l3->spec->dns, &l3->spec->n_dns, "8.8.8.8");
    return l3;
}

/* An update moves fields from the request into the object, and back again, so that it can be built once more.
 */
static void test_swap(void **state)
{
    (void)state;
    L3 *a = new_l3("a", 3), *b = new_l3("b", 0);
    struct hf_pb_path dns = resolve("spec.dns"), name = resolve("meta.name");
    hf_pb_path_swap(&dns, &a->base, &b->base); /* b has no spec: it is made */
    hf_pb_path_swap(&name, &a->base, &b->base);
    assert_int_equal(a->spec->n_dns, 0);
    assert_int_equal(b->spec->n_dns, 3);
    assert_string_equal(a->meta->name, "b");
    hf_pb_path_swap(&dns, &a->base, &b->base);
    hf_pb_path_swap(&name, &a->base, &b->base);
    assert_int_equal(a->spec->n_dns, 3);
    assert_string_equal(a->meta->name, "a");
    assert_string_equal(b->meta->name, "b");
    holdfast__v1__l3_network__free_unpacked(a, NULL);
    holdfast__v1__l3_network__free_unpacked(b, NULL);
}

static void test_is_set(void **state)
{
    (void)state;
    L3 *a = new_l3("a", 1), *b = new_l3("", 0);
    static const char *const paths[] = {"meta.name", "spec.dns", "spec"};
    for (size_t i = 0; i < 3; i++) {
        struct hf_pb_path p = resolve(paths[i]);
        assert_true(hf_pb_path_is_set(&p, &a->base));
        assert_false(hf_pb_path_is_set(&p, &b->base));
    }
    holdfast__v1__l3_network__free_unpacked(a, NULL);
    holdfast__v1__l3_network__free_unpacked(b, NULL);
}

static void test_lists(void **state)
{
    (void)state;
    char **list = NULL;
    size_t n = 0;
    hf_pb_list_add(&list, &n, "a");
    hf_pb_list_add(&list, &n, "b");
    hf_pb_list_add(&list, &n, "a");
    assert_true(hf_pb_list_has(list, n, "b"));
    hf_pb_list_remove(&list, &n, "a");
    assert_int_equal(n, 1);
    assert_string_equal(list[0], "b");
    hf_pb_list_clear(&list, &n);
    assert_null(list);
    assert_false(hf_pb_list_has(list, n, "b"));
}

static void test_kinds(void **state)
{
    (void)state;
    size_t n = 0;
    for (uint32_t k = 0; k < HF_KIND_MAX; k++) {
        const struct hf_kind *kind = hf_kind_of(k);
        if (kind == NULL)
            continue;
        n++;
        assert_int_equal(kind->kind, k);
        assert_ptr_equal(hf_kind_of_message(kind->message), kind);
        assert_int_equal(kind->message->fields[0].id, 1);
        assert_ptr_equal(kind->message->fields[0].descriptor, &holdfast__v1__meta__descriptor);
    }
    assert_int_equal(n + 1,
                     holdfast__v1__kind__descriptor.n_values); /* every kind of the schema but UNSPECIFIED */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve), cmocka_unit_test(test_swap),  cmocka_unit_test(test_is_set),
        cmocka_unit_test(test_lists),   cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
