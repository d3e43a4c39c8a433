/* A Ceph primary storage through a whole control plane (cloud_testing.h) with a cluster that a test plays:
 * pools and keys before any host is told, keys that come and go with the hosts, and what is said of a cluster
 * that fails. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "control/assignment_set.h"
#include "control/ceph_storage.h"
#include "control/ceph_testing.h"
#include "control/controllers_state.h"

typedef Holdfast__V1__PrimaryStorage Storage;

static size_t keys(struct cloud *c)
{
    Storage *s = ceph_storage(c);
    size_t n = s->status && s->status->ceph ? s->status->ceph->n_host_keys : 0;
    free_message(s);
    return n;
}

static bool says(struct cloud *c, const char *part)
{
    Storage *s = ceph_storage(c);
    bool found = false;
    for (size_t i = 0; s->status && i < s->status->n_conditions; i++)
        found |= strcmp(s->status->conditions[i]->type, "Ceph") == 0 &&
                 strstr(s->status->conditions[i]->message, part) != NULL;
    free_message(s);
    return found;
}

/* How the host is told of the storage now, to be freed; false: not at all. */
static bool told(struct cloud *c, unsigned host, Holdfast__V1__Assignment **ret)
{
    const struct hf_control *control = leader_control(c);
    struct hf_assignment_set set;
    hf_assignment_set_build(&set, control->controllers->world, leader_store(c), c->hosts[host].uuid, 1);
    const struct hf_assignment *a = hf_assignment_set_find(&set, false, STORAGE);
    *ret = a ? (Holdfast__V1__Assignment *)(void *)hf_assignment_message(a) : NULL;
    hf_assignment_set_done(&set);
    return *ret != NULL;
}

/* --- tests --- */

static void hosts_are_told_when_all_is_there(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(2);
    ceph_play(c, &f);
    f.fails = "no monitor answers";
    ceph_put_storage(c);
    ceph_attach(c, true);
    cloud_run(c, 3000);
    assert_true(says(c, "no monitor answers"));
    Holdfast__V1__Assignment *told_of;
    assert_false(told(c, 0, &told_of)); /* nothing to go to */
    assert_int_equal(f.at_once_max, 1);
    assert_true(f.asked <= 2); /* not again at once */

    f.fails = NULL;
    cloud_run(c, 10000);
    assert_false(says(c, ""));
    assert_int_equal(keys(c), 2);
    assert_true(told(c, 1, &told_of));
    const Holdfast__V1__StorageAssignment *a = told_of->storage;
    assert_string_equal(a->type, "Ceph");
    assert_true(a->heartbeat);
    assert_string_equal(a->ceph->fsid, FSID);
    assert_string_equal(a->ceph->root_pool, "mine");
    assert_string_equal(a->ceph->key, KEY);
    assert_non_null(strstr(a->ceph->user, c->hosts[1].uuid));
    free_message(told_of);
    cloud_free(c);
}

static void keys_go_with_the_hosts(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(2);
    ceph_play(c, &f);
    ceph_put_storage(c);
    cloud_run(c, 5000);
    assert_int_equal(keys(c), 0); /* no host uses it */
    ceph_attach(c, true);
    cloud_run(c, 15000);
    assert_int_equal(keys(c), 2);
    ceph_attach(c, false);
    cloud_run(c, 15000);
    assert_int_equal(keys(c), 0);
    assert_int_equal(f.revoked, 2);
    cloud_free(c);
}

static void a_new_leader_asks_anew(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(2);
    ceph_play(c, &f);
    ceph_put_storage(c);
    ceph_attach(c, true);
    cloud_run(c, 5000);
    unsigned before = f.asked;
    cloud_new_leader(c);
    cloud_run(c, 15000);
    assert_true(f.asked > before);
    assert_int_equal(keys(c), 2);
    cloud_free(c);
}

static void readers_see_no_key(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = cloud_ready(1);
    ceph_play(c, &f);
    ceph_put_storage(c);
    ceph_attach(c, true);
    cloud_run(c, 8000);
    Storage *s = ceph_storage(c);
    hf_ceph_keys_hide(s);
    assert_string_equal(s->spec->ceph->key, HF_CEPH_KEY_SHOWN);
    assert_string_equal(s->status->ceph->host_keys[0]->key, HF_CEPH_KEY_SHOWN);
    assert_true(hf_ceph_pool_is_made(s, s->spec->ceph->image_pool));
    assert_false(hf_ceph_pool_is_made(s, s->spec->ceph->root_pool));
    assert_false(hf_ceph_pool_is_made(s, "pri-c-" ZONE)); /* another storage's */
    free_message(s);
    cloud_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_told_when_all_is_there),
        cmocka_unit_test(keys_go_with_the_hosts),
        cmocka_unit_test(a_new_leader_asks_anew),
        cmocka_unit_test(readers_see_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
