/* The XML against golden files in testdata/. To renew them after a change that is meant: HF_GOLDEN_WRITE=1
 * domain_xml_test, then read the difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hostd/domain_xml.h"
#include "storage/primary.h"

static const struct hf_domain_xml_options tcg = {
    .emulator = "/usr/bin/qemu-system-x86_64", .cpu_mode = "none", .cache_mode = "none"};
static const struct hf_domain_xml_options kvm = {.kvm = true,
                                                 .emulator = "/usr/libexec/holdfast/gate",
                                                 .cpu_mode = "host-passthrough",
                                                 .cache_mode = "none"};

static const struct hf_vm_disk disks[] = {{"/mnt/pool/rootVolumes/a/vol-b/b.qcow2", "qcow2", NULL},
                                          {"/mnt/pool/d.qcow2", "qcow2", NULL}};
static const struct hf_vm_nic nics[] = {{"52:54:00:00:00:01", "br_eth1"}, {"52:54:00:00:00:02", "br_eth2"}};

static struct hf_vm_spec small_spec(void)
{
    struct hf_vm_spec s = {.epoch = 3,
                           .run = 7,
                           .title = "vm-1",
                           .cpus = 1,
                           .memory_bytes = 96u << 20,
                           .disks = disks,
                           .n_disks = 1,
                           .nics = nics,
                           .n_nics = 1,
                           .console_log = "/var/log/holdfast/vm-1.log"};
    assert_true(hf_uuid_parse("0123456789abcdef0123456789abcdef", &s.uuid));
    assert_true(hf_uuid_parse("fedcba9876543210fedcba9876543210", &s.host_uuid));
    return s;
}

/* Not inlined: gcc 12 takes what strstr() finds in the result for a pointer into this frame. */
__attribute__((noinline)) static char *build(const struct hf_vm_spec *s,
                                             const struct hf_domain_xml_options *o)
{
    char *xml = NULL;
    assert_true(hf_ok(hf_domain_xml_build(s, o, &xml)));
    return xml;
}

static void assert_golden(const char *path, char *xml)
{
    char golden[8192];
    if (getenv("HF_GOLDEN_WRITE")) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        assert_true(fputs(xml, out) >= 0);
        fclose(out);
    }
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    golden[fread(golden, 1, sizeof golden - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(xml, golden);
    free(xml);
}

/* With a key every MON is named, and libvirt is told which secret, never the key. */
static void disks_on_ceph(void **state)
{
    (void)state;
    char *monitors[] = {(char *)"10.0.0.5", (char *)"10.0.0.6:3300"};
    struct hf_rbd_access rbd = {.monitors = monitors,
                                .n_monitors = 2,
                                .user = "holdfast-1",
                                .key = "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="};
    assert_true(hf_uuid_parse("11111111222222223333333344444444", &rbd.secret));
    const struct hf_vm_disk on_ceph[] = {{"pri-v-r-1/b", "raw", &rbd}, {"/mnt/pool/d.qcow2", "qcow2", NULL}};
    struct hf_vm_spec s = small_spec();
    s.disks = on_ceph;
    s.n_disks = 2;
    assert_golden("testdata/domain-ceph.xml", build(&s, &tcg));
    rbd.user = "";
    rbd.key = "";
    char *open = build(&s, &tcg);
    assert_null(strstr(open, "<auth"));
    free(open);
}

static void small_guest_under_tcg(void **state)
{
    struct hf_vm_spec s = small_spec();
    (void)state;
    assert_golden("testdata/domain-tcg.xml", build(&s, &tcg));
}

static void larger_guest_under_kvm(void **state)
{
    struct hf_vm_spec s = small_spec();
    (void)state;
    s.cpus = 4;
    s.memory_bytes = 8ull << 30;
    s.n_disks = 2;
    s.n_nics = 2;
    s.console_log = NULL;
    s.title = NULL;
    assert_golden("testdata/domain-kvm.xml", build(&s, &kvm));
}

static void libvirt_chooses_the_cpu(void **state)
{
    struct hf_vm_spec s = small_spec();
    struct hf_domain_xml_options o = kvm;
    (void)state;
    o.cpu_mode = "none";
    char *xml = build(&s, &o);
    assert_null(strstr(xml, "<cpu"));
    free(xml);
}

static void escapes_what_people_write(void **state)
{
    struct hf_vm_spec s = small_spec();
    struct hf_vm_disk odd = {"/mnt/<a>&'b\" ü.qcow2", "qcow2", NULL};
    (void)state;
    s.title = "</title><devices/> & söhne";
    s.disks = &odd;
    assert_golden("testdata/domain-escaped.xml", build(&s, &tcg));
}

static void refuses_what_xml_cannot_carry(void **state)
{
    char *xml = NULL;
    struct hf_vm_spec s = small_spec();
    (void)state;
    s.title = "a\nb";
    hf_status st = hf_domain_xml_build(&s, &tcg, &xml);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    assert_string_equal(hf_status_message(st), "the title holds a control character");
    hf_status_drop(st);
    s.title = "\xff";
    st = hf_domain_xml_build(&s, &tcg, &xml);
    assert_string_equal(hf_status_message(st), "the title is not UTF-8");
    hf_status_drop(st);
    s = small_spec();
    s.cpus = 0;
    st = hf_domain_xml_build(&s, &tcg, &xml);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);
}

static void reads_its_mark_back(void **state)
{
    struct hf_vm_spec s = small_spec();
    struct hf_domain_mark mark;
    (void)state;
    s.epoch = UINT64_MAX;
    char *xml = build(&s, &tcg);
    char *mark_xml = strstr(xml, "<holdfast:placement");
    assert_non_null(mark_xml);
    char *to = strstr(mark_xml, "</metadata>");
    assert_non_null(to);
    *to = '\0';
    assert_true(hf_domain_mark_parse(mark_xml, &mark));
    assert_true(mark.epoch == UINT64_MAX && mark.run == 7);
    assert_true(hf_uuid_equal(&mark.host_uuid, &s.host_uuid));
    free(xml);
}

static void knows_what_is_not_ours(void **state)
{
    static const char *const bad[] = {
        "",
        "<a/>",
        "<placement host='fedcba9876543210fedcba9876543210' epoch='3'/>",
        "<placement host='x' epoch='3' run='7'/>",
        "<placement host='fedcba9876543210fedcba9876543210' epoch='0' run='7'/>",
        "<placement host='fedcba9876543210fedcba9876543210' epoch='-3' run='7'/>",
        "<placement host='fedcba9876543210fedcba9876543210' epoch='3x' run='7'/>",
        "<p:placement xmlns:p='urn:other' host='fedcba9876543210fedcba9876543210' epoch='3' run='7'/>",
        "<placement host='fedcba9876543210fedcba9876543210' epoch='3' run='7'>",
    };
    struct hf_domain_mark mark;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hf_domain_mark_parse(bad[i], &mark));
}

static void gives_the_copy_a_mark_of_its_own(void **state)
{
    (void)state;
    struct hf_vm_spec spec = small_spec(), target = spec;
    struct hf_domain_mark mark = {.epoch = 12, .run = 1000};
    char *xml, *copy, *expected;
    assert_true(hf_uuid_parse("00000000000000000000000000000abc", &mark.host_uuid));
    target.host_uuid = mark.host_uuid;
    target.epoch = mark.epoch;
    target.run = mark.run;
    assert_true(hf_ok(hf_domain_xml_build(&spec, &tcg, &xml)));
    assert_true(hf_ok(hf_domain_xml_build(&target, &tcg, &expected)));
    assert_true(hf_ok(hf_domain_xml_remark(xml, &mark, &copy)));
    assert_string_equal(copy, expected);
    free(copy);
    free(xml);
    free(expected);
    hf_status st = hf_domain_xml_remark("<domain type='kvm'><name>other</name></domain>", &mark, &copy);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);
    st = hf_domain_xml_remark("no XML", &mark, &copy);
    assert_int_equal(hf_status_code(st), HF_INVALID);
    hf_status_drop(st);
}

static void knows_an_emulated_guest(void **state)
{
    (void)state;
    assert_true(hf_domain_xml_is_emulated("<domain type='qemu' id='3'><name>a</name></domain>"));
    assert_false(hf_domain_xml_is_emulated("<domain type='kvm'><name>qemu</name></domain>"));
    assert_false(hf_domain_xml_is_emulated("<domain/>"));
    assert_false(hf_domain_xml_is_emulated("no XML"));
}

/* The copy opens its disks on Ceph with the key of its own host. */
static void gives_the_copy_its_hosts_user(void **state)
{
    (void)state;
    char *monitors[] = {(char *)"10.0.0.5"}, *xml, *copy;
    struct hf_domain_mark mark = {.epoch = 12, .run = 1000};
    struct hf_rbd_access rbd = {.monitors = monitors,
                                .n_monitors = 1,
                                .user = "holdfast-fedcba9876543210fedcba9876543210-00000000000000000000000000000def",
                                .key = "AQDjKwRrMVMQLBAAdjUIjqw3S+wugzFZ/DzVlw=="};
    const struct hf_vm_disk disk = {"pri-v-r-1/b", "raw", &rbd};
    struct hf_vm_spec s = small_spec();
    s.disks = &disk;
    assert_true(hf_uuid_parse("00000000000000000000000000000abc", &mark.host_uuid));
    assert_true(hf_ok(hf_domain_xml_build(&s, &tcg, &xml)));
    assert_true(hf_ok(hf_domain_xml_remark(xml, &mark, &copy)));
    assert_non_null(strstr(copy, "<auth username=\"holdfast-00000000000000000000000000000abc-00000000000000000000000000000def\">"));
    assert_null(strstr(copy, "holdfast-fedcba"));
    free(xml);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_guest_under_tcg),         cmocka_unit_test(disks_on_ceph),
        cmocka_unit_test(gives_the_copy_its_hosts_user), cmocka_unit_test(larger_guest_under_kvm),
        cmocka_unit_test(libvirt_chooses_the_cpu),       cmocka_unit_test(escapes_what_people_write),
        cmocka_unit_test(refuses_what_xml_cannot_carry), cmocka_unit_test(reads_its_mark_back),
        cmocka_unit_test(knows_what_is_not_ours),        cmocka_unit_test(gives_the_copy_a_mark_of_its_own),
        cmocka_unit_test(knows_an_emulated_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
