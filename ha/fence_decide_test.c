/* What holds for every view, beside the cases of ha_scenarios_test.c: no plan is longer than its room, and
 * what holds some hosts keeps no other from its due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "ha/fence_decide.h"

#define HOSTS    100
#define STORAGES 4
#define VIEWS    50000

struct scene {
    struct hf_fence_host hosts[HOSTS];
    struct hf_fence_storage storages[HOSTS][STORAGES];
    struct hf_fence_view view;
    uint32_t random;
};

static uint32_t draw(struct scene *s, uint32_t below)
{
    s->random = s->random * 1664525u + 1013904223u;
    return (s->random >> 8) % below;
}

static struct scene *scene_create(size_t n_hosts, uint32_t seed)
{
    struct scene *s = HF_NEW(struct scene);
    s->random = seed;
    for (size_t i = 0; i < n_hosts; i++) {
        s->hosts[i].name = "host";
        s->hosts[i].epoch = 1;
        s->hosts[i].timing = hf_ha_timing_find("default");
        s->hosts[i].storages = s->storages[i];
        for (size_t k = 0; k < STORAGES; k++)
            s->storages[i][k].name = "storage";
    }
    s->view = (struct hf_fence_view){
        .settings = {.ha_enabled = true, .mass_share = 50}, .hosts = s->hosts, .n_hosts = n_hosts};
    return s;
}

static void draw_storage(struct scene *s, struct hf_fence_storage *storage)
{
    storage->proven = draw(s, 4) == 0;
    storage->in_use = draw(s, 2) == 0;
    storage->sign.state = (enum hf_sign_state)draw(s, HF_SIGN_MOVING + 1);
    storage->sign.closed_and_killed = draw(s, 4) == 0;
    storage->sign.unchanged_ms = draw(s, 60000);
    storage->sign.marked_ms = (int64_t)draw(s, 60000) - 1;
    if (draw(s, 4) == 0)
        snprintf(storage->sign.mark_error, sizeof storage->sign.mark_error, "read-only");
}

static void draw_host(struct scene *s, size_t i)
{
    struct hf_fence_host *h = &s->hosts[i];
    h->watchdog = (enum hf_watchdog)draw(s, 3);
    h->at_rest = draw(s, 6) == 0;
    h->contact = draw(s, 4) == 0;
    h->lost_ms = draw(s, 60000);
    h->closed_and_killed = draw(s, 6) == 0;
    h->fenced = draw(s, 2) == 0;
    h->fenced_ms = draw(s, 60000);
    h->operator_word = draw(s, 6) == 0 ? "seen" : NULL;
    h->power = (struct hf_fence_power){.devices = draw(s, 2) == 0,
                                       .off = draw(s, 2) == 0,
                                       .off_ms = draw(s, 60000),
                                       .trouble = draw(s, 2) == 0,
                                       .state = draw(s, 2) == 0 ? "asked" : NULL,
                                       .who = "'bmc'"};
    h->n_storages = draw(s, STORAGES + 1);
    for (size_t k = 0; k < h->n_storages; k++)
        draw_storage(s, &s->storages[i][k]);
}

static void no_plan_is_longer_than_its_room(void **state)
{
    (void)state;
    size_t longest = 0;
    for (uint32_t seed = 1; seed <= VIEWS; seed++) {
        struct scene *s = scene_create(1, seed);
        s->view.settings.by_power = (enum hf_fence_by_power)draw(s, 3);
        s->view.settings.ha_enabled = draw(s, 4) != 0;
        draw_host(s, 0);
        size_t room = hf_fence_room(&s->view), more = room + 8;
        struct hf_fence_action *list = hf_alloc_array(more, sizeof *list);
        size_t n = hf_fence_decide(&s->view, list, more);
        assert_true(n <= room);
        longest = n > longest ? n : longest;
        free(list);
        free(s);
    }
    assert_int_equal(longest, STORAGES + 2); /* no more room than is needed */
}

static void what_holds_many_hosts_keeps_no_other_from_its_due(void **state)
{
    (void)state;
    struct scene *s = scene_create(HOSTS, 1);
    for (size_t i = 0; i < HOSTS; i++) { /* fenced, and nobody can read any of their storages */
        s->hosts[i].fenced = true;
        s->hosts[i].n_storages = STORAGES;
        for (size_t k = 0; k < STORAGES; k++)
            s->storages[i][k].in_use = true;
    }
    s->hosts[HOSTS - 1].operator_word = "switched off";
    size_t room = hf_fence_room(&s->view);
    struct hf_fence_action *list = hf_alloc_array(room, sizeof *list);
    size_t n = hf_fence_decide(&s->view, list, room);
    assert_true(n >= HOSTS);
    assert_int_equal(list[n - 1].kind, HF_FENCE_EVIDENCE);
    assert_int_equal(list[n - 1].host, HOSTS - 1);
    free(list);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_plan_is_longer_than_its_room),
        cmocka_unit_test(what_holds_many_hosts_keeps_no_other_from_its_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
