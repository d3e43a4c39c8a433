/* A watcher against a scripted node: what a good stream tells agrees with the lists, and what a bad one
 * leaves out, repeats or tells twice is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/system.pb-c.h"
#include "sim/watcher.h"

#define MINUTE (60 * HF_S_NS)
#define A      "0000000000000000000000000000000a"
#define B      "0000000000000000000000000000000b"

struct sim_api_call {
    struct fixture *f;
    const char *service;
    const struct sim_api_call_ops *ops;
    void *arg;
};

struct event {
    const char *uuid; /* NULL: a mark */
    uint64_t revision;
    bool deleted;
};

struct fixture {
    struct sim_world w;
    struct sim_watcher *watcher;
    const struct event *events; /* of the stream; ends with revision 0 */
    const char *zone;           /* the one that is listed; NULL: none */
    uint64_t zone_revision, list_revision;
};

static struct fixture *fixture;

const char *sim_node_address(const struct sim_node *n)
{
    (void)n;
    return "";
}

static void end_well(struct sim_api_call *c)
{
    struct sim_api_call call = *c;
    free(c);
    call.ops->ended(call.arg, &(struct sim_end_reason){.code = HF_OK});
}

static void list_zones(struct sim_api_call *c)
{
    const struct fixture *f = c->f;
    Holdfast__V1__Meta meta = HOLDFAST__V1__META__INIT;
    Holdfast__V1__Zone zone = HOLDFAST__V1__ZONE__INIT, *list[] = {&zone};
    Holdfast__V1__ListZonesResponse r = HOLDFAST__V1__LIST_ZONES_RESPONSE__INIT;
    meta.uuid = (char *)f->zone;
    meta.revision = f->zone_revision;
    zone.meta = &meta;
    r.zones = list;
    r.n_zones = f->zone != NULL;
    r.revision = f->list_revision;
    c->ops->message(c->arg, &r.base);
    end_well(c);
}

static void list_no_instances(struct sim_api_call *c)
{
    Holdfast__V1__ListInstancesResponse r = HOLDFAST__V1__LIST_INSTANCES_RESPONSE__INIT;
    r.revision = c->f->list_revision;
    c->ops->message(c->arg, &r.base);
    end_well(c);
}

static void tell(struct sim_api_call *c)
{
    for (const struct event *e = c->f->events; e->revision != 0; e++) {
        Holdfast__V1__WatchEvent m = HOLDFAST__V1__WATCH_EVENT__INIT;
        m.revision = e->revision;
        m.caught_up = e->uuid == NULL;
        m.kind = m.caught_up ? HOLDFAST__V1__KIND__KIND_UNSPECIFIED : HOLDFAST__V1__KIND__ZONE;
        m.uuid = (char *)(m.caught_up ? "" : e->uuid);
        m.deleted = e->deleted;
        c->ops->message(c->arg, &m.base);
    }
}

static void answer(void *arg)
{
    struct sim_api_call *c = arg;
    if (strcmp(c->service, "Watch") == 0)
        tell(c); /* and stays open */
    else if (strcmp(c->service, "Zone") == 0)
        list_zones(c);
    else
        list_no_instances(c);
}

struct sim_api_call *sim_api_call(struct sim_world *w, struct sim_proc *from, unsigned from_place,
                                  unsigned node, const char *service, const char *method,
                                  const ProtobufCMessage *request, int64_t deadline_ms,
                                  const struct sim_api_call_ops *ops, void *arg)
{
    (void)w;
    (void)from_place;
    (void)node;
    (void)method;
    (void)request;
    (void)deadline_ms;
    struct sim_api_call *c = HF_NEW(struct sim_api_call);
    *c = (struct sim_api_call){fixture, service, ops, arg};
    sim_proc_post(from, HF_MS_NS, answer, NULL, c);
    return c;
}

void sim_api_cancel(struct sim_api_call *c)
{
    free(c);
}

/* --- the tests --- */

/* What the checks say after some minutes; "" for nothing. */
struct verdict {
    char text[400];
    uint64_t compared;
};

static struct verdict run(const struct event *events, const char *zone, uint64_t zone_revision,
                          uint64_t list_revision)
{
    struct fixture f = {
        .events = events, .zone = zone, .zone_revision = zone_revision, .list_revision = list_revision};
    struct verdict ret = {.text = ""};
    const struct sim_violation *v;
    fixture = &f;
    f.w.sim = sim_create(1);
    f.w.net = sim_net_create(f.w.sim);
    f.w.sizes.nodes = 1;
    f.w.checks = sim_checks_create(hf_ha_timing_find("default"), NULL, NULL);
    f.watcher = sim_watcher_create(&f.w);
    sim_watcher_begin(f.watcher);
    sim_run_until(f.w.sim, 5 * MINUTE);
    if (sim_checks_violations(f.w.checks, &v) > 0)
        snprintf(ret.text, sizeof ret.text, "%s", v[0].text);
    ret.compared = sim_watcher_compared(f.watcher);
    sim_watcher_stop(f.watcher);
    sim_free(f.w.sim);
    sim_watcher_free(f.watcher);
    sim_net_free(f.w.net);
    sim_checks_free(f.w.checks);
    return ret;
}

static void assert_found(const struct verdict *v, const char *words)
{
    if (strstr(v->text, words) == NULL)
        fail_msg("the checks say '%s', not '%s'", v->text, words);
}

static void a_good_stream_agrees_with_the_lists(void **state)
{
    (void)state;
    const struct event events[] = {
        {A, 3, false}, {NULL, 5, false}, {B, 6, false}, {B, 7, false}, {A, 7, true}, {NULL, 9, false}, {0}};
    struct verdict v = run(events, B, 7, 8);
    assert_string_equal(v.text, "");
    assert_true(v.compared > 1);
}

static void a_list_beyond_the_stream_waits(void **state)
{
    (void)state;
    const struct event events[] = {{A, 3, false}, {NULL, 5, false}, {0}};
    struct verdict v = run(events, A, 6, 6);
    assert_string_equal(v.text, "");
    assert_int_equal(v.compared, 0);
}

static void what_a_stream_leaves_out_is_found(void **state)
{
    (void)state;
    const struct event created[] = {{NULL, 5, false}, {NULL, 9, false}, {0}};
    struct verdict v = run(created, A, 7, 9);
    assert_found(&v, "has never told of what is there: object " A);
    const struct event changed[] = {{A, 3, false}, {NULL, 5, false}, {NULL, 9, false}, {0}};
    v = run(changed, A, 7, 9);
    assert_found(&v, "has not told of a change: object " A);
    v = run(changed, NULL, 0, 9);
    assert_found(&v, "has not told of a deletion: object " A);
    const struct event deleted[] = {{A, 3, false}, {NULL, 5, false}, {A, 6, true}, {NULL, 9, false}, {0}};
    v = run(deleted, A, 7, 9);
    assert_found(&v, "has told of the deletion of what is there: object " A);
}

static void a_stream_that_goes_back_is_found(void **state)
{
    (void)state;
    const struct event repeated[] = {{NULL, 5, false}, {A, 6, false}, {NULL, 7, false}, {A, 7, false}, {0}};
    struct verdict v = run(repeated, NULL, 0, 1);
    assert_found(&v, "tells what it had told: object " A);
    const struct event back[] = {{NULL, 5, false}, {NULL, 4, false}, {0}};
    v = run(back, NULL, 0, 1);
    assert_found(&v, "marks a revision that it had passed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_stream_agrees_with_the_lists),
        cmocka_unit_test(a_list_beyond_the_stream_waits),
        cmocka_unit_test(what_a_stream_leaves_out_is_found),
        cmocka_unit_test(a_stream_that_goes_back_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
