#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "echo.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "rpc/pbjson.h"

static hf_status read_as(const ProtobufCMessageDescriptor *d, const char *text, ProtobufCMessage **ret)
{
    json_error_t e;
    json_t *j = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (!j)
        fail_msg("%s: %s", text, e.text);
    hf_status st = hf_pb_from_json(d, j, ret);
    json_decref(j);
    return st;
}

/* Reads text as a Kinds and writes it again. */
static void assert_becomes(const char *text, const char *expected)
{
    ProtobufCMessage *m;
    hf_status st = read_as(&holdfast__rpctest__kinds__descriptor, text, &m);
    if (!hf_ok(st))
        fail_msg("%s: %s", text, hf_status_message(st));
    json_t *j = hf_pb_to_json(m);
    char *got = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(got, expected);
    free(got);
    json_decref(j);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void assert_refused(const char *text, const char *message)
{
    ProtobufCMessage *m;
    hf_status st = read_as(&holdfast__rpctest__kinds__descriptor, text, &m);
    if (hf_ok(st))
        fail_msg("%s was taken", text);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    assert_string_equal(hf_status_message(st), message);
    hf_status_drop(st);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_becomes("{}", "{}");
    assert_becomes("{\"i32\":-5,\"s32\":\"7\",\"sf32\":2147483647,\"u32\":4294967295,\"f32\":1.0}",
                   "{\"f32\":1,\"i32\":-5,\"s32\":7,\"sf32\":2147483647,\"u32\":4294967295}");
    assert_becomes("{\"i64\":\"-9223372036854775808\",\"u64\":\"18446744073709551615\"}",
                   "{\"i64\":\"-9223372036854775808\",\"u64\":\"18446744073709551615\"}");
    assert_becomes("{\"i64\":5,\"u64\":6}", "{\"i64\":\"5\",\"u64\":\"6\"}");
    assert_becomes("{\"real\":0.5,\"wideReal\":-1.25}", "{\"real\":0.5,\"wideReal\":-1.25}");
    assert_becomes("{\"wideReal\":\"-Infinity\"}", "{\"wideReal\":\"-Infinity\"}");
    assert_becomes("{\"i32\":0,\"flag\":false,\"real\":0}", "{}");
    assert_becomes("{\"i32\":null,\"inner\":null,\"texts\":null}", "{}");
}

static void test_wrong_numbers(void **state)
{
    (void)state;
    assert_refused("{\"i32\":2147483648}", "i32: number out of range");
    assert_refused("{\"u32\":-1}", "u32: number out of range");
    assert_refused("{\"u64\":-1}", "u64: number out of range");
    assert_refused("{\"u64\":\"18446744073709551616\"}", "u64: number out of range");
    assert_refused("{\"i64\":\"9223372036854775808\"}", "i64: number out of range");
    assert_refused("{\"i32\":\"12x\"}", "i32: not a number");
    assert_refused("{\"i32\":\"\"}", "i32: not a whole number");
    assert_refused("{\"i32\":1.5}", "i32: not a whole number");
    assert_refused("{\"i32\":true}", "i32: not a whole number");
    assert_refused("{\"real\":\"x\"}", "real: not a number");
    assert_refused("{\"flag\":1}", "flag: not true or false");
}

static void test_text_enum_bytes(void **state)
{
    (void)state;
    assert_becomes("{\"flag\":true,\"color\":\"DARK_BLUE\",\"someText\":\"\xc3\xbc\",\"raw\":\"AAEC/w==\"}",
                   "{\"color\":\"DARK_BLUE\",\"flag\":true,\"raw\":\"AAEC/w==\",\"someText\":\"\xc3\xbc\"}");
    assert_becomes("{\"some_text\":\"snake\"}", "{\"someText\":\"snake\"}");
    assert_becomes("{\"raw\":\"_-8\"}", "{\"raw\":\"/+8=\"}");
    assert_becomes("{\"color\":2}", "{\"color\":\"DARK_BLUE\"}");
    assert_becomes("{\"color\":9}", "{\"color\":9}");
    assert_refused("{\"color\":\"PINK\"}", "color: 'PINK' is not one of holdfast.rpctest.Color");
    assert_refused("{\"raw\":\"A\"}", "raw: not base64");
    assert_refused("{\"raw\":\"A*==\"}", "raw: not base64");
    assert_refused("{\"raw\":5}", "raw: not a string of base64");
    assert_refused("{\"someText\":5}", "someText: not a string");
    assert_refused("{\"someText\":\"a\\u0000b\"}", "someText: a string must not contain a zero byte");
}

static void test_nested(void **state)
{
    (void)state;
    assert_becomes("{\"inner\":{\"name\":\"a\",\"numbers\":[1,\"2\"]},\"inners\":[{},{\"name\":\"b\"}],"
                   "\"texts\":[\"x\",\"\"],\"colors\":[\"RED\",2]}",
                   "{\"colors\":[\"RED\",\"DARK_BLUE\"],\"inner\":{\"name\":\"a\",\"numbers\":[1,2]},"
                   "\"inners\":[{},{\"name\":\"b\"}],\"texts\":[\"x\",\"\"]}");
    assert_becomes("{\"labels\":{\"a\":\"1\",\"b\":\"\"},\"byNumber\":{\"-7\":{\"name\":\"x\"}}}",
                   "{\"byNumber\":{\"-7\":{\"name\":\"x\"}},\"labels\":{\"a\":\"1\",\"b\":\"\"}}");
    assert_refused("[]", "not an object");
    assert_refused("{\"inner\":5}", "inner: not an object");
    assert_refused("{\"inner\":{\"numbers\":[1,2,\"x\"]}}", "inner.numbers[2]: not a number");
    assert_refused("{\"inners\":[{},{\"nam\":1}]}", "inners[1].nam: Inner has no such field");
    assert_refused("{\"texts\":\"x\"}", "texts: not a list");
    assert_refused("{\"texts\":[\"x\",null]}", "texts[1]: not a string");
    assert_refused("{\"labels\":[]}", "labels: not an object");
    assert_refused("{\"labels\":{\"a\":1}}", "labels.a.value: not a string");
    assert_refused("{\"byNumber\":{\"x\":{}}}", "byNumber.x.key: not a number");
    assert_refused("{\"nope\":1}", "nope: Kinds has no such field");
}

static void test_oneof(void **state)
{
    (void)state;
    assert_becomes("{\"choiceText\":\"\"}", "{\"choiceText\":\"\"}");
    assert_becomes("{\"choiceNumber\":0}", "{\"choiceNumber\":0}");
    assert_becomes("{\"choiceInner\":{\"name\":\"i\"}}", "{\"choiceInner\":{\"name\":\"i\"}}");
    assert_refused("{\"choiceText\":\"a\",\"choiceNumber\":1}",
                   "choiceNumber: another field of the same choice is set, too");
    assert_refused("{\"choiceInner\":7}", "choiceInner: not an object");
    assert_refused("{\"choiceText\":7}", "choiceText: not a string");
}

static void test_field_mask(void **state)
{
    (void)state;
    ProtobufCMessage *m;
    assert_true(hf_ok(read_as(&holdfast__v1__update_cluster_request__descriptor,
                              "{\"updateMask\":\"meta.name,spec.primaryStorageUuids\"}", &m)));
    const Google__Protobuf__FieldMask *mask = ((Holdfast__V1__UpdateClusterRequest *)m)->update_mask;
    assert_int_equal(mask->n_paths, 2);
    assert_string_equal(mask->paths[0], "meta.name");
    assert_string_equal(mask->paths[1], "spec.primary_storage_uuids");
    json_t *j = hf_pb_to_json(m);
    assert_string_equal(json_string_value(json_object_get(j, "updateMask")),
                        "meta.name,spec.primaryStorageUuids");
    json_decref(j);
    protobuf_c_message_free_unpacked(m, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),         cmocka_unit_test(test_wrong_numbers),
        cmocka_unit_test(test_text_enum_bytes), cmocka_unit_test(test_nested),
        cmocka_unit_test(test_oneof),           cmocka_unit_test(test_field_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
