#include "hostd/storage_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ID   "11111111111111111111111111111111"
#define CEPH_BASE "/run/holdfast"
#define BASE "/var/lib/holdfast/nfsprimarystorage"

static Holdfast__V1__StorageAssignment nfs(void)
{
    Holdfast__V1__StorageAssignment a = HOLDFAST__V1__STORAGE_ASSIGNMENT__INIT;
    a.uuid = (char *)ID;
    a.type = (char *)"NFS";
    a.url = (char *)"10.0.0.5:/export";
    a.mount_options = (char *)"hard,vers=4.2";
    a.network_cidr = (char *)"10.0.0.0/24";
    a.heartbeat = true;
    return a;
}

static struct hf_storage_place read_good(const Holdfast__V1__StorageAssignment *a)
{
    struct hf_storage_place p;
    hf_status st = hf_storage_place_read(a, &(struct hf_storage_bases){BASE, CEPH_BASE}, &p);
    assert_string_equal(hf_status_message(st), "ok");
    return p;
}

static void test_where_it_lies(void **state)
{
    (void)state;
    Holdfast__V1__StorageAssignment a = nfs();
    struct hf_storage_place p = read_good(&a);
    assert_string_equal(p.path, BASE "/" ID);
    assert_int_equal(p.prefix, 24);
    hf_storage_place_done(&p);
    a.type = (char *)"SharedMountPoint";
    a.path = (char *)"/mnt/shared";
    p = read_good(&a);
    assert_string_equal(p.path, "/mnt/shared");
    assert_false(p.nfs);
    hf_storage_place_done(&p);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct hf_storage_place p;
    static const struct {
        const char *url, *options, *cidr, *base, *says;
    } cases[] = {
        {"export", "", "", BASE, "no NFS export"},
        {"10.0.0.5:/e", "soft", "", BASE, "must be hard"},
        {"10.0.0.5:/e", "", "10.0.0.1/24", BASE, "10.0.0"},
        {"10.0.0.5:/e", "", "", NULL, "takes no NFS storages"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Holdfast__V1__StorageAssignment a = nfs();
        a.url = (char *)cases[i].url;
        a.mount_options = (char *)cases[i].options;
        a.network_cidr = (char *)cases[i].cidr;
        hf_status st = hf_storage_place_read(&a, &(struct hf_storage_bases){.mounts = cases[i].base}, &p);
        assert_non_null(strstr(hf_status_message(st), cases[i].says));
        assert_non_null(strstr(hf_status_message(st), ID));
        hf_status_drop(st);
    }
}

static void test_what_a_change_costs(void **state)
{
    (void)state;
    Holdfast__V1__StorageAssignment a = nfs(), b = nfs();
    struct hf_storage_place one = read_good(&a), other = read_good(&b);
    assert_true(hf_storage_place_same_way(&one, &other));
    hf_storage_place_done(&other);
    b.network_cidr = (char *)"";
    other = read_good(&b);
    assert_true(hf_storage_place_same_files(&one, &other));
    assert_false(hf_storage_place_same_way(&one, &other));
    hf_storage_place_done(&other);
    b.url = (char *)"10.0.0.6:/export";
    other = read_good(&b);
    assert_false(hf_storage_place_same_files(&one, &other));
    hf_storage_place_done(&other);
    hf_storage_place_done(&one);
}

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static void test_the_address(void **state)
{
    (void)state;
    Holdfast__V1__StorageAssignment a = nfs();
    struct hf_storage_place p = read_good(&a);
    struct hf_host_address all[20] = {{IP(127, 0, 0, 1), 8}, {IP(10, 0, 1, 7), 24}, {IP(10, 0, 0, 7), 24}};
    char address[16], problem[HF_STORAGE_PROBLEM_MAX];
    hf_storage_place_judge(&p, all, 2, address, problem);
    assert_string_equal(address, "");
    assert_non_null(strstr(problem, "no address in the storage network 10.0.0.0/24"));
    hf_storage_place_judge(&p, all, 3, address, problem);
    assert_string_equal(address, "10.0.0.7");
    assert_string_equal(problem, "");
    for (unsigned i = 3; i < 20; i++)
        all[i] = (struct hf_host_address){IP(10, 0, 0, 200u + i), 24};
    hf_storage_place_judge(&p, all, 20, address, problem);
    assert_string_equal(address, "");
    assert_non_null(strstr(problem, "has 18 addresses"));
    assert_non_null(strstr(problem, "10.0.0.7, 10.0.0.203"));
    hf_storage_place_done(&p);
    a.network_cidr = (char *)"";
    p = read_good(&a);
    hf_storage_place_judge(&p, all, 0, address, problem);
    assert_string_equal(problem, "");
    hf_storage_place_done(&p);
}

#define CEPH_KEY "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="

static void test_ceph(void **state)
{
    (void)state;
    char *monitors[] = {(char *)"10.0.0.5", (char *)"10.0.0.6:3300"};
    Holdfast__V1__CephAccess access = HOLDFAST__V1__CEPH_ACCESS__INIT, other_access;
    Holdfast__V1__StorageAssignment a = HOLDFAST__V1__STORAGE_ASSIGNMENT__INIT, b;
    a.uuid = (char *)ID;
    a.type = (char *)"Ceph";
    a.ceph = &access;
    a.heartbeat = true;
    access.monitors = monitors;
    access.n_monitors = 2;
    access.root_pool = (char *)"roots";
    access.user = (char *)"holdfast-1";
    access.key = (char *)CEPH_KEY;
    struct hf_storage_place one = read_good(&a), other;
    assert_string_equal(one.path, CEPH_BASE "/" ID ".rados");
    assert_string_equal(one.ceph->monitors[1], "10.0.0.6:3300");
    b = a;
    other_access = access;
    b.ceph = &other_access;
    other_access.n_monitors = 1; /* one MON less is another way to the same images */
    other = read_good(&b);
    assert_true(hf_storage_place_same_files(&one, &other));
    assert_false(hf_storage_place_same_way(&one, &other));
    hf_storage_place_done(&other);
    other_access = access;
    other_access.root_pool = (char *)"others";
    other = read_good(&b);
    assert_false(hf_storage_place_same_files(&one, &other));
    hf_storage_place_done(&other);
    hf_storage_place_done(&one);

    hf_status st = hf_storage_place_read(&a, &(struct hf_storage_bases){.mounts = BASE}, &one);
    assert_int_equal(hf_status_code(st), HF_UNIMPLEMENTED);
    hf_status_drop(st);
    a.ceph = NULL;
    st = hf_storage_place_read(&a, &(struct hf_storage_bases){.ceph = CEPH_BASE}, &one);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_it_lies),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_ceph),
        cmocka_unit_test(test_what_a_change_costs),
        cmocka_unit_test(test_the_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
