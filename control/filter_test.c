#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/mem.h"
#include "control/filter.h"
#include "holdfast/v1/instance.pb-c.h"

typedef Holdfast__V1__Instance Instance;

/* An instance with a bit of everything that a filter may ask for. */
static Instance *sample(void)
{
    static Holdfast__V1__Meta meta;
    static Holdfast__V1__InstanceSpec spec;
    static Holdfast__V1__InstanceStatus status;
    static Holdfast__V1__Nic nics[2];
    static Holdfast__V1__Nic *nic_list[] = {&nics[0], &nics[1]};
    static char *volumes[] = {"v1", "v2"};
    static Instance i;
    holdfast__v1__meta__init(&meta);
    holdfast__v1__instance_spec__init(&spec);
    holdfast__v1__instance_status__init(&status);
    holdfast__v1__nic__init(&nics[0]);
    holdfast__v1__nic__init(&nics[1]);
    holdfast__v1__instance__init(&i);
    meta.name = "web \"1\"";
    meta.description = "http://example/x";
    meta.revision = 1ull << 63;
    meta.created_at_ms = -5;
    spec.cpus = 4;
    spec.deleting = true;
    spec.ha_level = HOLDFAST__V1__HA_LEVEL__NEVER_STOP;
    spec.nics = nic_list;
    spec.n_nics = 2;
    spec.data_volume_uuids = volumes;
    spec.n_data_volume_uuids = 2;
    nics[0].ip = "10.0.0.1";
    nics[1].ip = "10.0.0.2";
    status.state = HOLDFAST__V1__INSTANCE_STATUS__STATE__RUNNING;
    i.meta = &meta;
    i.spec = &spec;
    i.status = &status;
    return &i;
}

static bool matches(const char *text)
{
    struct hf_filter *f = NULL;
    hf_status st = hf_filter_parse(&holdfast__v1__instance__descriptor, text, &f);
    if (!hf_ok(st))
        fail_msg("%s: %s", text, hf_status_message(st));
    bool yes = hf_filter_matches(f, &sample()->base);
    hf_filter_free(f);
    return yes;
}

static void test_matches(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "",
        "   ",
        "meta.name = \"web \\\"1\\\"\"",
        "meta.name:web",
        "meta.description = http://example/x",
        "meta.name != other",
        "meta.revision > 9223372036854775807",
        "meta.created_at_ms < 0 AND meta.created_at_ms >= -5",
        "spec.cpus=4",
        "spec.cpus>=4 AND spec.cpus<=4 AND spec.cpus<5 AND spec.cpus>3",
        "spec.deleting = true",
        "spec.force_stop = false",
        "spec.ha_level = NEVER_STOP",
        "status.state != STOPPED",
        "spec.nics.ip = 10.0.0.2",
        "spec.data_volume_uuids:v2",
        "spec.nics:*",
        "placement.run != 3",
        "(status.state = RUNNING) AND (spec.cpus = 4 AND (meta.name:web))",
    };
    static const char *const no[] = {
        "meta.name = web",
        "spec.cpus = 5",
        "spec.cpus < 4",
        "spec.deleting = false",
        "spec.ha_level = HA_NONE",
        "status.state = STOPPED",
        "spec.nics.ip = 10.0.0.3",
        "spec.nics.ip != 10.0.0.2",
        "spec.data_volume_uuids:v",
        "placement:*",
        "placement.run = 0",
        "spec.host_uuid:*",
        "spec.cpus = 4 AND spec.cpus = 5",
    };
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!matches(yes[i]))
            fail_msg("should match: %s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (matches(no[i]))
            fail_msg("should not match: %s", no[i]);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"nonsense = 1", "no field 'nonsense'"},
        {"meta.name.x = 1", "no field 'meta.name.x'"},
        {"spec.cpus", "expected one of"},
        {"spec.cpus ~ 4", "expected one of"},
        {"spec.cpus = ", "expected a value"},
        {"spec.cpus = four", "a number"},
        {"spec.cpus = -4", "a number"},
        {"spec.cpus = 4x", "a number"},
        {"spec.deleting = yes", "true or false"},
        {"spec.ha_level = ALWAYS", "names of its enum"},
        {"status.state > RUNNING", "= or != only"},
        {"spec = 1", "asked with :* only"},
        {"meta.name = \"open", "no end"},
        {"(meta.name = a", "expected )"},
        {"meta.name = a)", "expected AND"},
        {"meta.name = a OR meta.name = b", "expected AND"},
        {"AND", "no field"},
        {"meta.name = a AND", "expected a field"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hf_filter *f = NULL;
        hf_status st = hf_filter_parse(&holdfast__v1__instance__descriptor, bad[i].text, &f);
        assert_int_equal(hf_status_code(st), HF_INVALID);
        if (strstr(hf_status_message(st), bad[i].words) == NULL)
            fail_msg("%s: %s", bad[i].text, hf_status_message(st));
        hf_status_drop(st);
    }
}

static hf_status parse(const char *text)
{
    struct hf_filter *f = NULL;
    hf_status st = hf_filter_parse(&holdfast__v1__instance__descriptor, text, &f);
    if (hf_ok(st))
        hf_filter_free(f);
    return st;
}

static void test_limits(void **state)
{
    (void)state;
    char *text = hf_alloc(HF_FILTER_LEN_MAX + 2);
    memset(text, ' ', HF_FILTER_LEN_MAX + 1);
    memcpy(text, "spec.cpus=4", 11);
    hf_status st = parse(text);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);

    text[0] = '\0';
    for (int i = 0; i <= HF_FILTER_TERMS_MAX; i++) {
        strcat(text, i == 0 ? "spec.cpus=4" : " AND spec.cpus=4");
        st = parse(text);
        assert_int_equal(hf_status_code(st), i < HF_FILTER_TERMS_MAX ? HF_OK : HF_INVALID);
        hf_status_drop(st);
    }
    memset(text, '(', 100);
    text[100] = '\0';
    st = parse(text);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);
    free(text);
}

/* Random pieces of filters, the same in every run: whatever comes, an answer and no memory error. */
static void test_random_texts(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "spec.cpus", "meta.name", "status.state", "spec.nics.ip", "=",       "!=", "<", ":", "*", "(",
        ")",         "AND",       "\"",           "\\",           "RUNNING", "4",  " ", "-", ".", "\xff\xfe",
        ":/",        "x",         "true",         "placement:*"};
    struct hf_env *env = hf_env_manual_create(1);
    unsigned parsed = 0;
    for (int round = 0; round < 20000; round++) {
        char text[256] = "";
        uint8_t n, pick;
        hf_env_random(env, &n, 1);
        for (int i = 0; i < n % 12; i++) {
            hf_env_random(env, &pick, 1);
            strcat(text, pieces[pick % (sizeof pieces / sizeof pieces[0])]);
        }
        struct hf_filter *f = NULL;
        hf_status st = hf_filter_parse(&holdfast__v1__instance__descriptor, text, &f);
        if (hf_ok(st)) {
            parsed++;
            hf_filter_matches(f, &sample()->base);
            hf_filter_free(f);
        } else {
            assert_int_equal(hf_status_code(st), HF_INVALID);
        }
        hf_status_drop(st);
    }
    assert_true(parsed > 100);
    hf_env_manual_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_random_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
