/* Images of an image server in another Ceph cluster through a whole control plane: who copies them, with
 * which key, what the others are told meanwhile, and what happens when the copying host is lost or cannot. */
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
#include "control/ceph_testing.h"
#include "control/conditions.h"
#include "control/controllers_state.h"
#include "control/image_copy.h"

/* A storage and, in another cluster, an image server with an image; no host says how a copy goes. */
static struct cloud *scene(struct played_ceph *f)
{
    struct cloud *c = cloud_ready(2);
    ceph_play(c, f);
    f->own_fsid = FAR_FSID;
    for (unsigned i = 0; i < 2; i++)
        snprintf(c->hosts[i].client_address, sizeof c->hosts[i].client_address, "10.0.0.%u", 11 + i);
    ceph_put_storage(c);
    ceph_attach(c, true);
    ceph_put_server(c);
    ceph_put_served(c);
    cloud_run(c, 20000);
    Holdfast__V1__Image *m = cloud_get(c, HOLDFAST__V1__KIND__IMAGE, SERVED);
    assert_int_equal(m->status->state, HOLDFAST__V1__IMAGE_STATUS__STATE__READY);
    free_message(m);
    for (unsigned i = 0; i < 2; i++)
        c->hosts[i].image_waits = c->hosts[i].hold_starts = true;
    return c;
}

static void put_instance(struct cloud *c, unsigned host)
{
    struct instance_wish wish = {.storage = STORAGE, .image = SERVED, .host = c->hosts[host].uuid};
    cloud_put_instance(c, 1, &wish);
    cloud_run(c, 15000);
    assert_int_equal(instance_host(c, 1), (int)host);
}

static bool assigned(struct cloud *c, unsigned host, const char *uuid, Holdfast__V1__Assignment **ret)
{
    struct hf_assignment_set set;
    hf_assignment_set_build(&set, leader_control(c)->controllers->world, leader_store(c), c->hosts[host].uuid,
                            host_epoch(c, host));
    const struct hf_assignment *a = hf_assignment_set_find(&set, false, uuid);
    *ret = a != NULL ? (Holdfast__V1__Assignment *)(void *)hf_assignment_message(a) : NULL;
    hf_assignment_set_done(&set);
    return *ret != NULL;
}

/* Which host copies, with a key that is there; -1: none. */
static int copier(struct cloud *c)
{
    int found = -1;
    for (unsigned i = 0; i < c->n_hosts; i++) {
        Holdfast__V1__Assignment *a;
        if (!assigned(c, i, SERVED, &a))
            continue;
        assert_int_equal(found, -1); /* one at a time */
        assert_string_equal(a->image->primary_storage_uuid, STORAGE);
        assert_string_equal(a->image->url, "");
        assert_string_equal(a->image->server_pool, "");
        if (a->image->server != NULL) {
            assert_string_equal(a->image->server->image_pool, SERVER_POOL);
            assert_string_equal(a->image->server->fsid, FAR_FSID);
            assert_non_null(strstr(a->image->server->user, c->hosts[i].uuid));
            assert_int_equal(strncmp(a->image->server->user, "reader-", 7), 0);
            found = (int)i;
        } else {
            assert_string_not_equal(a->image->waits, "");
        }
        free_message(a);
    }
    return found;
}

/* What the instance's host is told of its template, to be freed. */
static Holdfast__V1__Assignment *told(struct cloud *c)
{
    Holdfast__V1__Assignment *a;
    assert_true(assigned(c, (unsigned)instance_host(c, 1), cloud_instance(1), &a));
    return a;
}

static size_t keys(struct cloud *c)
{
    Holdfast__V1__ImageServer *s = ceph_server(c);
    size_t n = s->status->ceph->n_host_keys;
    free_message(s);
    return n;
}

static bool image_says(struct cloud *c, const char *part)
{
    Holdfast__V1__Image *m = cloud_get(c, HOLDFAST__V1__KIND__IMAGE, SERVED);
    const char *said =
        hf_condition_message(m->status->conditions, m->status->n_conditions, HF_IMAGE_COPY_CONDITION);
    bool says = said != NULL && strstr(said, part) != NULL;
    free_message(m);
    return says;
}

static void say_copied(struct cloud *c, int host, bool ready, const char *message)
{
    Holdfast__V1__ImageReport r = HOLDFAST__V1__IMAGE_REPORT__INIT;
    r.image_uuid = (char *)SERVED;
    r.primary_storage_uuid = (char *)STORAGE;
    r.ready = ready;
    r.message = (char *)message;
    host_report_image(&c->hosts[host], &r);
}

static size_t cached(struct cloud *c)
{
    Holdfast__V1__Image *m = cloud_get(c, HOLDFAST__V1__KIND__IMAGE, SERVED);
    size_t n = m->status->n_cached;
    free_message(m);
    return n;
}

static void one_host_copies_while_it_is_needed(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = scene(&f);
    assert_int_equal(copier(c), -1); /* nobody needs it */
    assert_int_equal(keys(c), 0);
    put_instance(c, 0);
    int who = copier(c);
    assert_true(who >= 0);
    assert_int_equal(keys(c), 1);
    say_copied(c, who, false, "fetching the image: 42 % of 64 MiB");
    cloud_run(c, 8000);
    assert_true(
        image_says(c, "image server 'templates' to primary storage 'ceph': fetching the image: 42 %"));
    Holdfast__V1__Assignment *a = told(c);
    const Holdfast__V1__ImageAssignment *t = a->instance->disks[0]->template_;
    assert_true(who == 0 ? t->server != NULL : strstr(t->waits, "42 %") != NULL);
    free_message(a);

    cloud_new_leader(c);
    cloud_run(c, 15000);
    who = copier(c);
    assert_true(who >= 0);
    say_copied(c, who, true, "");
    cloud_run(c, 15000);
    assert_int_equal(cached(c), 1);
    assert_int_equal(copier(c), -1);
    assert_int_equal(keys(c), 0);
    assert_true(f.revoked > 0);
    assert_false(image_says(c, ""));
    a = told(c);
    t = a->instance->disks[0]->template_;
    assert_null(t->server);
    assert_string_equal(t->waits, "");
    free_message(a);
    cloud_free(c);
}

static void another_host_goes_on(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = scene(&f);
    put_instance(c, 0);
    int first = copier(c);
    assert_true(first >= 0);
    say_copied(c, first, false, "fetching the image: 42 % of 64 MiB");
    c->hosts[first].no_network = true;
    cloud_run(c, 20000);
    int second = copier(c);
    assert_int_equal(second, 1 - first);
    assert_int_equal(keys(c), 1); /* the lost one's is revoked */
    cloud_free(c);
}

/* The hosts take turns, and what is said names who cannot reach what. */
static void a_host_that_cannot_reach_the_server(void **state)
{
    (void)state;
    struct played_ceph f;
    char says[64];
    struct cloud *c = scene(&f);
    for (unsigned i = 0; i < 2; i++) {
        c->hosts[i].image_waits = false;
        c->hosts[i].image_error = "no monitor at 10.0.0.1 answers";
    }
    struct instance_wish wish = {.storage = STORAGE, .image = SERVED, .host = c->hosts[0].uuid};
    cloud_put_instance(c, 1, &wish);
    int first = -1;
    for (int i = 0; i < 60 && first < 0; i++) {
        cloud_run(c, 500);
        first = copier(c);
    }
    assert_true(first >= 0);
    cloud_run(c, 2000);
    snprintf(says, sizeof says, "host '%s' cannot copy it from image server", c->hosts[first].name);
    assert_true(image_says(c, says));
    assert_true(image_says(c, "no monitor at 10.0.0.1 answers"));
    c->hosts[1 - first].image_error = NULL;
    cloud_run(c, HF_IMAGE_COPY_HOST_MS + 20000);
    assert_int_equal(cached(c), 1);
    assert_int_equal(keys(c), 0);
    cloud_free(c);
}

/* Nobody waits for it any more; and a copy that was there and is gone is made again. */
static void a_copy_ends_and_begins_with_the_need(void **state)
{
    (void)state;
    struct played_ceph f;
    struct cloud *c = scene(&f);
    put_instance(c, 0);
    int who = copier(c);
    say_copied(c, who, true, "");
    cloud_run(c, 10000);
    assert_int_equal(cached(c), 1);
    Holdfast__V1__ImageReport r = HOLDFAST__V1__IMAGE_REPORT__INIT;
    r.image_uuid = (char *)SERVED;
    r.primary_storage_uuid = (char *)STORAGE;
    r.error = r.gone = true;
    r.message = (char *)"it is not there any more";
    host_report_image(&c->hosts[0], &r);
    cloud_run(c, 10000);
    assert_int_equal(cached(c), 0);
    assert_true(copier(c) >= 0);
    cloud_set_power(c, 1, HOLDFAST__V1__POWER_STATE__POWER_STOPPED, NULL);
    cloud_run(c, 15000);
    assert_int_equal(instance_host(c, 1), -1);
    assert_int_equal(copier(c), -1);
    assert_int_equal(keys(c), 0);
    cloud_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_host_copies_while_it_is_needed),
        cmocka_unit_test(another_host_goes_on),
        cmocka_unit_test(a_host_that_cannot_reach_the_server),
        cmocka_unit_test(a_copy_ends_and_begins_with_the_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
