/* Whom a fence refuses, worked out from what clusters print: testdata/ceph has Ceph 16's words as they were
 * recorded, and those of Ceph 18 where they differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/ceph_fence_plan.h"

static json_t *load(const char *file)
{
    char path[128];
    json_error_t error;
    snprintf(path, sizeof path, "testdata/ceph/%s", file);
    json_t *root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

static void daemons(struct hf_ceph_fence_plan *p, const char *command, const char *file)
{
    json_t *dump = load(file);
    hf_ceph_fence_plan_daemons(p, command, dump);
    json_decref(dump);
}

static void ok(hf_status st)
{
    assert_string_equal(hf_status_message(st), "ok");
    hf_status_drop(st);
}

static void refused(hf_status st, enum hf_code code, const char *names)
{
    assert_int_equal(hf_status_code(st), code);
    assert_non_null(strstr(hf_status_message(st), names));
    hf_status_drop(st);
}

/* entries: with a space between them; shared: "" or with whom. */
static void expect(const struct hf_ceph_fence_plan *p, const char *entries, const char *shared)
{
    char text[1024] = "", with[HF_CEPH_SHARED_MAX];
    json_t *list = hf_ceph_fence_plan_entries(p), *at;
    size_t i;
    json_array_foreach(list, i, at)
    {
        strcat(text, i > 0 ? " " : "");
        strcat(text, json_string_value(at));
    }
    json_decref(list);
    assert_string_equal(text, entries);
    hf_ceph_fence_plan_shared(p, with, sizeof with);
    assert_string_equal(with, shared);
}

static void whole_addresses(void **state)
{
    struct hf_ceph_fence_plan p;
    (void)state;
    hf_ceph_fence_plan_init(&p);
    daemons(&p, "osd dump", "osd_dump_16.json");
    daemons(&p, "mon dump", "mon_dump_16.json");
    daemons(&p, "mgr dump", "mgr_dump_16.json");
    daemons(&p, "mgr metadata", "mgr_metadata_16.json");
    hf_ceph_fence_plan_self(&p, "10.0.0.2:0/77");
    ok(hf_ceph_fence_plan_other(&p, "10.0.0.6"));
    ok(hf_ceph_fence_plan_host(&p, "10.0.0.5"));
    ok(hf_ceph_fence_plan_host(&p, "10.0.0.5"));
    ok(hf_ceph_fence_plan_host_list(&p, "[v2:10.0.0.7:0/12,v1:10.0.0.7:0/12]")); /* the keeper's */
    ok(hf_ceph_fence_plan_watcher(&p, "10.0.0.5:0/123"));
    ok(hf_ceph_fence_plan_watcher(&p, "10.0.0.9:0/55")); /* it moved since it said where it is */
    ok(hf_ceph_fence_plan_watcher(&p, "10.0.0.6:0/8"));  /* the other end of a migration */
    expect(&p, "10.0.0.5:0/0 10.0.0.7:0/0 10.0.0.9:0/0", "");
    hf_ceph_fence_plan_done(&p);
}

/* Each daemon's address keeps its host's from being refused as a whole; its clients are still refused. */
static void shared_with_daemons(void **state)
{
    static const struct {
        const char *command, *file, *address, *with;
    } cases[] = {
        {"osd dump", "osd_dump_16.json", "10.0.0.254", "osd.0 at 10.0.0.254"},
        {"mon dump", "mon_dump_16.json", "10.0.0.254", "mon.a at 10.0.0.254"},
        {"mgr dump", "mgr_dump_16.json", "10.0.0.254", "mgr.x at 10.0.0.254"},
        {"mgr metadata", "mgr_metadata_16.json", "10.0.0.254", "mgr.x at 10.0.0.254"},
        {"mds metadata", "mgr_metadata_16.json", "10.0.0.254", "mds.x at 10.0.0.254"},
        {"osd dump", "osd_dump_18.json", "10.0.0.21", "osd.0 at 10.0.0.21"},
        {"osd dump", "osd_dump_18.json", "10.1.0.21", "osd.0 at 10.1.0.21"},
        {"mgr dump", "mgr_dump_18.json", "10.0.0.11", "mgr.a.kqzwpt at 10.0.0.11"},
        {"mgr dump", "mgr_dump_18.json", "10.0.0.12", "mgr.a.kqzwpt at 10.0.0.12"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_ceph_fence_plan p;
        char watcher[64], entries[128];
        hf_ceph_fence_plan_init(&p);
        daemons(&p, cases[i].command, cases[i].file);
        ok(hf_ceph_fence_plan_host(&p, cases[i].address));
        expect(&p, "", cases[i].with);
        snprintf(watcher, sizeof watcher, "%s:0/31", cases[i].address);
        ok(hf_ceph_fence_plan_watcher(&p, watcher));
        ok(hf_ceph_fence_plan_host(&p, "10.9.9.9"));
        snprintf(entries, sizeof entries, "%s 10.9.9.9:0/0", watcher);
        expect(&p, entries, cases[i].with);
        hf_ceph_fence_plan_done(&p);
    }
}

static void shared_with_a_host_or_with_us(void **state)
{
    struct hf_ceph_fence_plan p;
    (void)state;
    hf_ceph_fence_plan_init(&p);
    hf_ceph_fence_plan_self(&p, "[v2:10.0.0.2:0/77,v1:10.0.0.2:0/77]");
    ok(hf_ceph_fence_plan_other(&p, "10.0.0.6"));
    ok(hf_ceph_fence_plan_host(&p, "10.0.0.6")); /* two hosts behind one address */
    ok(hf_ceph_fence_plan_watcher(&p, "10.0.0.6:0/8"));
    ok(hf_ceph_fence_plan_watcher(&p, "10.0.0.2:0/9"));
    expect(&p, "10.0.0.6:0/8 10.0.0.2:0/9", "another host or control node at 10.0.0.6");
    assert_int_equal(hf_ceph_fence_entry_s("10.0.0.6:0/8"), HF_CEPH_CLIENT_REFUSED_S);
    assert_true(hf_ceph_fence_entry_s("10.0.0.6:0/0") > 9u * 365 * 86400);
    hf_ceph_fence_plan_done(&p);
    hf_ceph_fence_plan_init(&p);
    hf_ceph_fence_plan_self(&p, "10.0.0.2:0/77");
    ok(hf_ceph_fence_plan_host(&p, "10.0.0.2:0/9"));
    expect(&p, "10.0.0.2:0/9", "this control node at 10.0.0.2");
    hf_ceph_fence_plan_done(&p);
    hf_ceph_fence_plan_init(&p);
    hf_ceph_fence_plan_self(&p, "10.0.0.2:0/77"); /* we live with another host, which has the volume by now */
    ok(hf_ceph_fence_plan_other(&p, "10.0.0.2"));
    ok(hf_ceph_fence_plan_host(&p, "10.0.0.5"));
    ok(hf_ceph_fence_plan_watcher(&p, "10.0.0.2:0/9"));
    expect(&p, "10.0.0.5:0/0", "");
    hf_ceph_fence_plan_done(&p);
}

static void what_cannot_be(void **state)
{
    struct hf_ceph_fence_plan p;
    char text[HF_CEPH_ENTRY_MAX];
    (void)state;
    hf_ceph_fence_plan_init(&p);
    daemons(&p, "osd dump", "osd_dump_18.json"); /* has a daemon on IPv6, and one that never was up */
    refused(hf_ceph_fence_plan_host(&p, "fd00::5"), HF_INVALID, "fd00::5");
    refused(hf_ceph_fence_plan_other(&p, "?"), HF_INVALID, "?");
    refused(hf_ceph_fence_plan_host_list(&p, "-"), HF_INVALID, "-");
    refused(hf_ceph_fence_plan_watcher(&p, "[fd00::5]:0/1"), HF_UNAVAILABLE, "fd00::5");
    expect(&p, "", "");
    for (unsigned i = 0; i < HF_CEPH_ENTRIES_MAX; i++)
        ok(hf_ceph_fence_plan_host(
            &p, hf_ceph_client_format(&(struct hf_ceph_client){.ip = 0x0b000001 + i}, text)));
    refused(hf_ceph_fence_plan_host(&p, "10.0.0.5"), HF_EXHAUSTED, "more than 256");
    hf_ceph_fence_plan_done(&p);
}

static void the_list(void **state)
{
    uint64_t epoch = 0;
    json_t *old = load("osd_dump_16.json"), *new_ = load("osd_dump_18.json"), *no = load("mon_dump_16.json");
    json_t *both = json_pack("[s, s]", "10.0.0.1:0/0", "10.0.0.1:0/123"),
           *more = json_pack("[s]", "10.0.0.1:0/124"),
           *typed = json_pack("[s, s]", "10.0.0.31:0/0", "10.0.0.32:0/4294967295"), *none = json_array();
    (void)state;
    ok(hf_ceph_blocklist_has(old, both, &epoch));
    assert_int_equal(epoch, 15);
    ok(hf_ceph_blocklist_has(new_, typed, &epoch));
    assert_int_equal(epoch, 311);
    ok(hf_ceph_blocklist_lacks(old, more, &epoch));
    ok(hf_ceph_blocklist_has(old, none, &epoch));
    refused(hf_ceph_blocklist_has(old, more, &epoch), HF_UNAVAILABLE, "does not list '10.0.0.1:0/124'");
    refused(hf_ceph_blocklist_lacks(old, both, &epoch), HF_UNAVAILABLE, "still lists '10.0.0.1:0/0'");
    refused(hf_ceph_blocklist_lacks(new_, typed, &epoch), HF_UNAVAILABLE, "still lists '10.0.0.31:0/0'");
    refused(hf_ceph_blocklist_has(no, both, &epoch), HF_INTERNAL, "Ceph 16");
    json_decref(old);
    json_decref(new_);
    json_decref(no);
    json_decref(both);
    json_decref(more);
    json_decref(typed);
    json_decref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_addresses),
        cmocka_unit_test(shared_with_daemons),
        cmocka_unit_test(shared_with_a_host_or_with_us),
        cmocka_unit_test(what_cannot_be),
        cmocka_unit_test(the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
