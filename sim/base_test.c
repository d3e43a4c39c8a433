/* Virtual time, processes that are stopped or lost between two acts, and the network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sim/net.h"

#define MS HF_MS_NS

struct log {
    char text[512];
};

static void say(struct log *l, const char *word)
{
    size_t len = strlen(l->text);
    snprintf(l->text + len, sizeof l->text - len, "%s ", word);
}

/* --- time --- */

static struct log order;
static void say_a(void *arg)
{
    (void)arg;
    say(&order, "a");
}
static void say_b(void *arg)
{
    (void)arg;
    say(&order, "b");
}
static void say_dropped(void *arg)
{
    (void)arg;
    say(&order, "dropped");
}

static void events_run_in_order(void **state)
{
    (void)state;
    order.text[0] = 0;
    struct sim *s = sim_create(1);
    sim_at(s, 20, say_b, NULL, NULL);
    sim_at(s, 10, say_a, NULL, NULL);
    sim_at(s, 20, say_a, NULL, NULL);
    sim_at(s, 900, say_a, say_dropped, NULL);
    sim_run_until(s, 500);
    assert_int_equal(sim_now_ns(s), 500);
    sim_free(s);
    assert_string_equal(order.text, "a b a dropped ");
}

static void streams_of_random_numbers_are_apart(void **state)
{
    (void)state;
    struct sim_rng a = sim_rng_make(7, "net", 0), b = sim_rng_make(7, "net", 0),
                   c = sim_rng_make(7, "net", 1);
    uint64_t first = sim_rng_u64(&a);
    assert_true(first == sim_rng_u64(&b));
    assert_true(first != sim_rng_u64(&c));
    for (const char *other = "abcdefghijklmnopqrstuvwxyz"; *other; other++)
        for (const char *digit = "0123456789"; *digit; digit++) { /* names that differ in a few bits */
            char name[] = {*other, *digit, '\0'};
            struct sim_rng n2 = sim_rng_make(7, "n2", 1), r = sim_rng_make(7, name, 1);
            assert_true((sim_rng_u64(&n2) == sim_rng_u64(&r)) == (strcmp(name, "n2") == 0));
        }
    for (int i = 0; i < 1000; i++) {
        int64_t v = sim_rng_skewed(&a, 10, 1000);
        assert_true(v >= 10 && v <= 1000);
    }
}

/* --- processes --- */

struct actor {
    struct sim_proc proc;
    struct log log;
    struct hf_timer timer;
    unsigned crashed;
};

static void act_one(void *arg)
{
    say(arg, "one");
}
static void act_two(void *arg)
{
    say(arg, "two");
}
static void act_lost(void *arg)
{
    say(arg, "lost");
}

static void turn(void *arg)
{
    struct actor *a = arg;
    sim_proc_act(&a->proc, act_one, act_lost, &a->log);
    sim_proc_act(&a->proc, act_two, act_lost, &a->log);
}

static void stop_it(void *arg, struct sim_proc *p)
{
    (void)arg;
    sim_proc_stop(p);
}

static void crash_it(void *arg, struct sim_proc *p)
{
    (void)arg;
    sim_proc_crash(p);
}

static void on_crashed(void *arg)
{
    ((struct actor *)arg)->crashed++;
}

static struct actor *actor_new(struct sim *s)
{
    struct actor *a = HF_NEW(struct actor);
    sim_proc_init(&a->proc, s, "actor", 0);
    a->proc.crashed = on_crashed;
    a->proc.arg = a;
    sim_proc_start(&a->proc);
    return a;
}

static void actor_free(struct actor *a, struct sim *s)
{
    sim_proc_crash(&a->proc);
    sim_free(s);
    sim_proc_done(&a->proc);
    free(a);
}

static void a_stop_strikes_between_two_acts(void **state)
{
    (void)state;
    struct sim *s = sim_create(1);
    struct actor *a = actor_new(s);
    a->proc.fuse = 2;
    a->proc.on_fuse = stop_it;
    sim_proc_post(&a->proc, 10, turn, NULL, a);
    sim_proc_post(&a->proc, 20, act_one, NULL, &a->log);
    sim_run_until(s, 100);
    assert_string_equal(a->log.text, "one ");
    sim_proc_cont(&a->proc); /* first what was held back, then what came meanwhile */
    assert_string_equal(a->log.text, "one two one ");
    actor_free(a, s);
}

static void a_crash_drops_the_acts_that_follow(void **state)
{
    (void)state;
    struct sim *s = sim_create(1);
    struct actor *a = actor_new(s);
    a->proc.fuse = 2;
    a->proc.on_fuse = crash_it;
    sim_proc_post(&a->proc, 10, turn, NULL, a);
    sim_proc_post(&a->proc, 20, act_one, act_lost, &a->log);
    sim_run_until(s, 15);
    assert_int_equal(a->crashed, 1);
    assert_false(a->proc.up);
    sim_proc_start(&a->proc); /* another life: what was for the old one stays lost */
    sim_run_until(s, 100);
    assert_string_equal(a->log.text, "one lost lost ");
    actor_free(a, s);
}

static void again(void *arg)
{
    struct actor *a = arg;
    say(&a->log, "tick");
    hf_timer_start(&a->proc.env, &a->timer, 100, again, a);
}

static void a_clock_runs_at_its_own_rate_and_counts_pauses(void **state)
{
    (void)state;
    struct sim *s = sim_create(1);
    struct actor *a = actor_new(s);
    sim_proc_set_rate(&a->proc, -500000); /* half as fast */
    hf_timer_start(&a->proc.env, &a->timer, 100, again, a);
    sim_run_until(s, 199 * MS);
    assert_string_equal(a->log.text, "");
    sim_run_until(s, 201 * MS);
    assert_string_equal(a->log.text, "tick ");
    sim_proc_stop(&a->proc);
    sim_run_until(s, 2000 * MS);
    assert_string_equal(a->log.text, "tick ");
    sim_proc_cont(&a->proc); /* late, once */
    assert_string_equal(a->log.text, "tick tick ");
    assert_int_equal(hf_env_now_ms(&a->proc.env), 2000);
    actor_free(a, s);
}

static void a_timer_without_delay_fires_in_a_later_turn(void **state)
{
    (void)state;
    struct sim *s = sim_create(1);
    struct actor *a = actor_new(s);
    hf_timer_start(&a->proc.env, &a->timer, 0, again, a);
    sim_run_until(s, 101 * MS);
    assert_string_equal(a->log.text, "tick tick ");
    actor_free(a, s);
}

/* --- the network --- */

struct party {
    struct sim_proc proc;
    struct sim_conn *conn;
    struct log log;
};

static void on_message(void *arg, struct hf_bytes *b)
{
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)b->len, (const char *)b->data);
    say(&((struct party *)arg)->log, word);
}

static void on_ended(void *arg, const struct sim_end_reason *why)
{
    struct party *p = arg;
    say(&p->log, why->code == HF_CANCELLED ? "closed" : why->code == HF_UNAVAILABLE ? "unavailable" : "?");
    p->conn = NULL;
}

static const struct sim_conn_ops conn_ops = {on_message, on_ended};

static void on_accept(void *arg, struct sim_conn *c, unsigned from, const char *service)
{
    struct party *p = arg;
    assert_int_equal(from, 0);
    assert_string_equal(service, "talk");
    p->conn = c;
    sim_conn_take(c, &conn_ops, p);
}

struct talk {
    struct sim *s;
    struct sim_net *net;
    struct party a, b;
    struct sim_listener listener;
};

static void send_word(struct party *p, const char *word)
{
    struct hf_bytes *b = hf_bytes_copy(word, strlen(word));
    sim_conn_send(p->conn, b);
    hf_bytes_unref(b);
}

static struct talk *talk_new(void)
{
    struct talk *t = HF_NEW(struct talk);
    t->s = sim_create(3);
    t->net = sim_net_create(t->s);
    sim_net_add(t->net, "a");
    sim_net_add(t->net, "b");
    sim_proc_init(&t->a.proc, t->s, "a", 0);
    sim_proc_init(&t->b.proc, t->s, "b", 1);
    sim_proc_start(&t->a.proc);
    sim_proc_start(&t->b.proc);
    t->listener = (struct sim_listener){&t->b.proc, on_accept, &t->b};
    sim_net_listen(t->net, 1, &t->listener);
    t->a.conn = sim_conn_dial(t->net, &t->a.proc, 0, 1, "talk", &conn_ops, &t->a);
    send_word(&t->a, "hello");
    return t;
}

static void talk_free(struct talk *t)
{
    sim_proc_crash(&t->a.proc);
    sim_proc_crash(&t->b.proc);
    sim_free(t->s);
    sim_net_free(t->net);
    free(t);
}

static void talk_until(struct talk *t, int64_t ms)
{
    sim_run_until(t->s, ms * MS);
}

static void messages_arrive_in_order_and_wait_for_a_cut_way(void **state)
{
    (void)state;
    struct talk *t = talk_new();
    for (int i = 0; i < 5; i++) {
        char word[8];
        snprintf(word, sizeof word, "%d", i);
        send_word(&t->a, word);
    }
    talk_until(t, 100);
    sim_net_way(t->net, 0, 1)->cut = true;
    send_word(&t->a, "late");
    talk_until(t, 1500);
    assert_string_equal(t->b.log.text, "hello 0 1 2 3 4 ");
    sim_net_way(t->net, 0, 1)->cut = false;
    talk_until(t, 2000);
    assert_string_equal(t->b.log.text, "hello 0 1 2 3 4 late ");
    sim_conn_close(t->a.conn, NULL);
    talk_until(t, 2100);
    assert_string_equal(t->b.log.text, "hello 0 1 2 3 4 late closed ");
    talk_free(t);
}

static void both_ends_learn_of_a_way_that_stays_cut_in_one_direction(void **state)
{
    (void)state;
    struct talk *t = talk_new();
    talk_until(t, 100);
    sim_net_way(t->net, 1, 0)->cut = true;
    talk_until(t, 100 + SIM_KEEPALIVE_MS + 1000);
    assert_string_equal(t->a.log.text, "unavailable ");
    assert_string_equal(t->b.log.text, "hello unavailable ");
    talk_free(t);
}

static void a_process_that_dies_resets_its_connections(void **state)
{
    (void)state;
    struct talk *t = talk_new();
    talk_until(t, 100);
    sim_proc_crash(&t->b.proc);
    talk_until(t, 110);
    assert_string_equal(t->a.log.text, "unavailable ");
    t->a.conn = sim_conn_dial(t->net, &t->a.proc, 0, 1, "talk", &conn_ops, &t->a);
    talk_until(t, 120); /* nobody listens */
    assert_string_equal(t->a.log.text, "unavailable unavailable ");
    talk_free(t);
}

static void a_machine_without_power_says_nothing(void **state)
{
    (void)state;
    struct talk *t = talk_new();
    talk_until(t, 100);
    sim_net_set_power(t->net, 1, false);
    sim_proc_crash(&t->b.proc);
    talk_until(t, 2000);
    assert_string_equal(t->a.log.text, "");
    talk_until(t, 100 + SIM_KEEPALIVE_MS + 1000);
    assert_string_equal(t->a.log.text, "unavailable ");
    talk_free(t);
}

static void a_machine_that_is_back_soon_resets_what_it_has_forgotten(void **state)
{
    (void)state;
    struct talk *t = talk_new();
    talk_until(t, 100);
    sim_net_set_power(t->net, 1, false);
    sim_proc_crash(&t->b.proc);
    talk_until(t, 120);
    sim_net_set_power(t->net, 1, true);
    sim_proc_start(&t->b.proc);
    talk_until(t, 2000);
    assert_string_equal(t->a.log.text, "unavailable ");
    talk_free(t);
}

static void a_stopped_process_hears_it_all_when_it_goes_on(void **state)
{
    (void)state;
    struct talk *t = talk_new();
    talk_until(t, 100);
    sim_proc_stop(&t->b.proc);
    send_word(&t->a, "x");
    talk_until(t, 10000);
    assert_string_equal(t->a.log.text, "unavailable ");
    assert_string_equal(t->b.log.text, "hello ");
    sim_proc_cont(&t->b.proc);
    assert_string_equal(t->b.log.text, "hello x unavailable ");
    talk_free(t);
}

static void fly_in(void *arg)
{
    say(arg, "in");
}
static void fly_lost(void *arg)
{
    say(arg, "lost");
}
static void *fly_copy(void *arg)
{
    return arg;
}

static void datagrams_are_lost_and_doubled(void **state)
{
    (void)state;
    struct talk *t = talk_new();
    struct log l = {""};
    struct sim_datagram d = {fly_in, fly_lost, fly_copy, &l};
    sim_net_way(t->net, 0, 1)->duplicate_ppm = 1000000;
    sim_net_send(t->net, 0, 1, &t->b.proc, &d);
    talk_until(t, 50);
    assert_string_equal(l.text, "in in ");
    sim_net_way(t->net, 0, 1)->loss_ppm = 1000000;
    sim_net_send(t->net, 0, 1, &t->b.proc, &d);
    talk_until(t, 100);
    assert_string_equal(l.text, "in in lost ");
    talk_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_run_in_order),
        cmocka_unit_test(streams_of_random_numbers_are_apart),
        cmocka_unit_test(a_stop_strikes_between_two_acts),
        cmocka_unit_test(a_crash_drops_the_acts_that_follow),
        cmocka_unit_test(a_clock_runs_at_its_own_rate_and_counts_pauses),
        cmocka_unit_test(a_timer_without_delay_fires_in_a_later_turn),
        cmocka_unit_test(messages_arrive_in_order_and_wait_for_a_cut_way),
        cmocka_unit_test(both_ends_learn_of_a_way_that_stays_cut_in_one_direction),
        cmocka_unit_test(a_process_that_dies_resets_its_connections),
        cmocka_unit_test(a_machine_without_power_says_nothing),
        cmocka_unit_test(a_machine_that_is_back_soon_resets_what_it_has_forgotten),
        cmocka_unit_test(a_stopped_process_hears_it_all_when_it_goes_on),
        cmocka_unit_test(datagrams_are_lost_and_doubled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
