#include "consensus/testing.h"

#include "consensus/replica.h"

struct log {
    struct hf_machine *m;
    char text[4096];
    int closed;
    int events;
    struct hf_watch *to_close; /* by the first event */
};

static int setup(void **state)
{
    struct hf_machine *m = HF_NEW(struct hf_machine);
    hf_machine_init(m, NULL, 0);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    hf_machine_done(*state);
    free(*state);
    return 0;
}

static void on_event(void *arg, const struct hf_watch_event *e)
{
    struct log *l = arg;
    l->events++;
    size_t n = strlen(l->text);
    if (n + 64 < sizeof l->text)
        snprintf(l->text + n, sizeof l->text - n, "%llu%s%s ", (unsigned long long)e->revision,
                 e->bytes == NULL ? "-" : "+", e->name);
    if (l->to_close != NULL) {
        hf_watch_close(l->to_close);
        l->to_close = NULL;
    }
}

static void on_closed(void *arg)
{
    ((struct log *)arg)->closed++;
}

static struct hf_watch *watch(struct hf_machine *m, struct log *l, uint64_t from, uint64_t kinds)
{
    struct hf_watch *w = NULL;
    hf_status st = hf_history_watch(m->history, from, kinds, on_event, on_closed, l, &w);
    assert_true(hf_ok(st));
    return w;
}

static void deliver(struct hf_machine *m)
{
    while (hf_history_deliver(m->history, hf_store_revision(m->store)))
        ;
}

static void delete_one(struct hf_machine *m, uint64_t n)
{
    struct hf_txn *t = hf_txn_create(NULL, 0);
    delete_n(t, n);
    assert_int_equal(apply_code(m, t), HF_OK);
}

static void a_watch_hears_the_history_then_what_comes(void **state)
{
    struct hf_machine *m = *state;
    struct log l = {0};
    put_one(m, 1, 1, "a", "");
    put_one(m, 1, 2, "b", "");
    put_one(m, 1, 1, "a2", "");
    struct hf_watch *w = watch(m, &l, 1, 0);
    assert_string_equal(l.text, ""); /* not before a later turn */
    assert_true(hf_history_pending(m->history));
    deliver(m);
    assert_string_equal(l.text, "2+b 3+a2 ");
    assert_int_equal(hf_watch_position(w), 3);
    delete_one(m, 2);
    deliver(m);
    deliver(m);
    assert_string_equal(l.text, "2+b 3+a2 4-b ");
    assert_int_equal(hf_watch_position(w), 4);
    hf_watch_close(w);
    put_one(m, 1, 3, "c", "");
    deliver(m);
    assert_string_equal(l.text, "2+b 3+a2 4-b ");
}

static void kinds_are_filtered_and_the_position_moves_on(void **state)
{
    struct hf_machine *m = *state;
    struct log l = {0};
    struct hf_watch *w = watch(m, &l, 0, 1u << 2);
    put_one(m, 1, 1, "a", "");
    put_one(m, 2, 2, "b", "");
    put_one(m, 1, 3, "c", "");
    deliver(m);
    assert_string_equal(l.text, "2+b ");
    assert_int_equal(hf_watch_position(w), 3);
    hf_watch_close(w);
}

static void a_watch_from_the_future_hears_nothing_older(void **state)
{
    struct hf_machine *m = *state;
    struct log l = {0};
    put_one(m, 1, 1, "a", "");
    struct hf_watch *w = watch(m, &l, 2, 0); /* this replica lags behind the one that was listed */
    put_one(m, 1, 2, "b", "");
    put_one(m, 1, 3, "c", "");
    deliver(m);
    assert_string_equal(l.text, "3+c ");
    hf_watch_close(w);
}

static void a_callback_may_close_any_watch(void **state)
{
    struct hf_machine *m = *state;
    struct log l = {0}, l2 = {0};
    put_one(m, 1, 1, "a", "");
    put_one(m, 1, 2, "b", "");
    l.to_close = watch(m, &l, 0, 0);
    struct hf_watch *w2 = watch(m, &l2, 0, 0);
    l2.to_close = watch(m, &l, 0, 0);
    deliver(m);
    assert_string_equal(l2.text, "1+a 2+b ");
    assert_true(l.events <= 3); /* its own after the first event; the other at the latest when l2 began */
    hf_watch_close(w2);
}

static void a_lost_history_is_out_of_range(void **state)
{
    struct hf_machine *m = *state;
    struct log l = {0};
    for (uint64_t i = 0; i < HF_HISTORY_MAX + 10; i++)
        put_one(m, 1, 1, "a", "x");
    struct hf_watch *w = NULL;
    hf_status st = hf_history_watch(m->history, 9, 0, on_event, on_closed, &l, &w);
    assert_int_equal(hf_status_code(st), HF_OUT_OF_RANGE);
    hf_status_drop(st);
    w = watch(m, &l, 10, 0);
    deliver(m);
    assert_int_equal(l.events, HF_HISTORY_MAX);
    hf_watch_close(w);
}

static void large_objects_shorten_the_history(void **state)
{
    struct hf_machine *m = *state;
    char *text = hf_alloc(HF_OBJECT_MAX);
    struct log l = {0};
    memset(text, 'x', HF_OBJECT_MAX - 1);
    for (uint64_t i = 0; i < 40; i++)
        put_one(m, 1, 1, "a", text);
    struct hf_watch *w = NULL;
    hf_status st = hf_history_watch(m->history, 1, 0, on_event, on_closed, &l, &w);
    assert_int_equal(hf_status_code(st), HF_OUT_OF_RANGE);
    hf_status_drop(st);
    free(text);
}

static void a_watch_that_is_overtaken_ends(void **state)
{
    struct hf_machine *m = *state;
    struct log l = {0};
    put_one(m, 1, 1, "a", "x");
    struct hf_watch *w = watch(m, &l, 0, 0);
    for (uint64_t i = 0; i < HF_HISTORY_MAX; i++)
        put_one(m, 1, 1, "a", "x");
    deliver(m);
    assert_int_equal(l.events, 0);
    assert_int_equal(l.closed, 1);
    deliver(m);
    assert_int_equal(l.closed, 1);
    hf_watch_close(w);
}

static void a_restored_snapshot_ends_all_watches(void **state)
{
    struct hf_machine *m = *state;
    struct log l = {0};
    struct hf_watch *w = watch(m, &l, 0, 0);
    put_one(m, 1, 1, "a", "x");
    hf_history_restart(m->history, 5);
    deliver(m);
    assert_int_equal(l.closed, 1);
    assert_int_equal(l.events, 0);
    hf_watch_close(w);
    hf_status st = hf_history_watch(m->history, 4, 0, on_event, on_closed, &l, &w);
    assert_int_equal(hf_status_code(st), HF_OUT_OF_RANGE);
    hf_status_drop(st);
    w = watch(m, &l, 5, 0);
    hf_watch_close(w);
}

static void a_witness_hears_at_once(void **state)
{
    struct hf_machine *m = *state;
    struct log l = {0};
    hf_history_witness(m->history, &(struct hf_replica_witness){on_event, on_closed, &l});
    put_one(m, 1, 1, "a", "");
    assert_string_equal(l.text, "1+a "); /* in the turn that applies it */
    delete_one(m, 1);
    assert_string_equal(l.text, "1+a 2-a ");
    hf_history_restart(m->history, 5);
    assert_int_equal(l.closed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_watch_hears_the_history_then_what_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(kinds_are_filtered_and_the_position_moves_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watch_from_the_future_hears_nothing_older, setup, teardown),
        cmocka_unit_test_setup_teardown(a_callback_may_close_any_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_history_is_out_of_range, setup, teardown),
        cmocka_unit_test_setup_teardown(large_objects_shorten_the_history, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watch_that_is_overtaken_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restored_snapshot_ends_all_watches, setup, teardown),
        cmocka_unit_test_setup_teardown(a_witness_hears_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
