/* The table of settings, and how the leader seeds the store. */
#include "control/cloud_testing.h"
#include "control/settings.h"

static void test_every_default_is_valid(void **state)
{
    (void)state;
    static const char *const names[] = {"ha.enable",
                                        "ha.massLossShare",
                                        "vm.cpuOverProvisioning",
                                        "vm.cacheMode",
                                        "vm.cpuMode",
                                        "vm.stopGrace",
                                        "host.reservedMemory",
                                        "primaryStorage.reservedCapacity",
                                        "localStorage.liveMigration",
                                        "session.timeout",
                                        "deletion.policy",
                                        "operation.retention"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct hf_setting *s = hf_setting_find(names[i]);
        assert_non_null(s);
        assert_true(hf_ok(hf_setting_check(s, s->default_value)));
    }
    assert_null(hf_setting_find("ha"));
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool good;
    } cases[] = {
        {"ha.enable", "false", true},
        {"ha.enable", "", false},
        {"ha.enable", "TRUE", false},
        {"vm.stopGrace", "1", true},
        {"vm.stopGrace", "0", false},
        {"vm.stopGrace", "3601", false},
        {"vm.stopGrace", "5s", false},
        {"vm.stopGrace", " 5", false},
        {"vm.stopGrace", "+5", false},
        {"vm.stopGrace", "99999999999999999999", false},
        {"host.reservedMemory", "512M", true},
        {"host.reservedMemory", "1G", true},
        {"host.reservedMemory", "0", true},
        {"host.reservedMemory", "-1G", false},
        {"host.reservedMemory", "1GB", false},
        {"host.reservedMemory", "9999999999999T", false},
        {"vm.cpuMode", "host-model", true},
        {"vm.cpuMode", "host", false},
        {"vm.cpuMode", "", false},
        {"vm.cpuMode", "none|host-model", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hf_status st = hf_setting_check(hf_setting_find(cases[i].name), cases[i].value);
        if (hf_ok(st) != cases[i].good)
            fail_msg("%s = '%s'", cases[i].name, cases[i].value);
        hf_status_drop(st);
    }
}

static void test_the_leader_seeds_the_store_once(void **state)
{
    (void)state;
    struct cloud *c = cloud_create(0, 1);
    const struct hf_store *s = leader_store(c);
    assert_true(hf_setting_bool(s, "ha.enable")); /* the default, before there is any object */
    assert_int_equal(hf_setting_int(s, "host.reservedMemory"), GIB);
    hf_settings_seed(leader_control(c));
    cloud_run(c, 500);
    size_t n = count_kind(c, HOLDFAST__V1__KIND__GLOBAL_SETTING);
    assert_true(n > 10);
    char *id = hf_cluster_id(leader_store(c));
    assert_int_equal(strlen(id), 32);

    cloud_new_leader(c);
    hf_settings_seed(leader_control(c));
    cloud_run(c, 500);
    char *still = hf_cluster_id(leader_store(c));
    assert_string_equal(still, id);
    assert_int_equal(count_kind(c, HOLDFAST__V1__KIND__GLOBAL_SETTING), n);
    free(id);
    free(still);

    cloud_set_setting(c, "host.reservedMemory", "3G");
    assert_int_equal(hf_setting_int(leader_store(c), "host.reservedMemory"), 3 * GIB);
    cloud_set_setting(c, "host.reservedMemory", "of another version"); /* does not fit: the default holds */
    assert_int_equal(hf_setting_int(leader_store(c), "host.reservedMemory"), GIB);
    cloud_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_default_is_valid),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_the_leader_seeds_the_store_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
