/* Cutting power as text: testdata/power holds one file per case. "power_fence_test FILE" prints a file as the
 * code would have it.
 *
 * Commands: device NAME LEVEL sets the scene; begin starts; at T moves time; says DEVICE
 * off|on|accepted|refused|unknown [TEXT] answers what was run last for it; doubt TEXT; show. What it runs,
 * and that it is off, is said with its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "ha/power_fence.h"
#include "ha/scenario.h"

struct world {
    struct hf_power_fence f;
    int64_t now_ms;
    bool begun, told_off;
};

static void *create(void)
{
    struct world *w = HF_NEW(struct world);
    hf_power_fence_init(&w->f, 0);
    return w;
}

/* Runs what is due until it waits for an answer or for time. */
static void run(struct world *w, struct hf_scenario *s)
{
    struct hf_power_run r;
    long long now = w->now_ms;
    while (hf_power_fence_next(&w->f, w->now_ms, &r))
        hf_scenario_say(s, "%lld: run %s of %s", now, hf_power_verb_text(r.verb),
                        w->f.devices[r.device].name);
    if (hf_power_fence_is_off(&w->f) && !w->told_off)
        hf_scenario_say(s, "%lld: off since %lld", now, (long long)w->f.off_ms);
    w->told_off = hf_power_fence_is_off(&w->f);
}

/* To T, with everything that falls due on the way. */
static void move_to(struct world *w, struct hf_scenario *s, int64_t to_ms)
{
    int64_t due;
    while (w->begun && (due = hf_power_fence_due(&w->f)) <= to_ms) {
        w->now_ms = due > w->now_ms ? due : w->now_ms;
        run(w, s);
    }
    w->now_ms = to_ms;
}

static bool answer(struct world *w, struct hf_scenario *s, char **words, size_t n)
{
    static const struct {
        const char *word;
        enum hf_power_answer answer;
    } answers[] = {{"off", HF_POWER_IS_OFF},
                   {"on", HF_POWER_IS_ON},
                   {"accepted", HF_POWER_ACCEPTED},
                   {"refused", HF_POWER_REFUSED},
                   {"unknown", HF_POWER_UNKNOWN}};
    for (size_t i = 0; i < w->f.n_devices; i++)
        for (size_t k = 0; k < sizeof answers / sizeof answers[0]; k++)
            if (n > 2 && strcmp(w->f.devices[i].name, words[1]) == 0 &&
                strcmp(answers[k].word, words[2]) == 0 && w->f.devices[i].running) {
                hf_power_fence_answer(&w->f, i, answers[k].answer, n > 3 ? words[3] : "", w->now_ms);
                run(w, s);
                return true;
            }
    return false;
}

static void show(struct world *w, struct hf_scenario *s)
{
    char text[HF_POWER_TEXT_MAX];
    hf_power_fence_say(&w->f, w->now_ms, text, sizeof text);
    hf_scenario_say(s, "%s%s", hf_power_fence_in_trouble(&w->f) ? "TROUBLE: " : "", text);
}

static bool command(void *world, struct hf_scenario *s, char **words, size_t n)
{
    struct world *w = world;
    if (strcmp(words[0], "device") == 0 && n == 3)
        hf_power_fence_add(&w->f, words[1], (unsigned)atoi(words[2]));
    else if (strcmp(words[0], "begin") == 0)
        w->begun = true, run(w, s);
    else if (strcmp(words[0], "at") == 0 && n == 2)
        move_to(w, s, atoll(words[1]));
    else if (strcmp(words[0], "doubt") == 0 && n == 2)
        hf_power_fence_doubt(&w->f, words[1], w->now_ms), run(w, s);
    else if (strcmp(words[0], "show") == 0)
        show(w, s);
    else
        return strcmp(words[0], "says") == 0 && answer(w, s, words, n);
    return true;
}

static void test_scenarios(void **state)
{
    (void)state;
    assert_int_equal(hf_scenario_run_folder("testdata/power", 10, create, command, free), 0);
}

static void exit_codes(void **state)
{
    (void)state;
    assert_int_equal(hf_power_answer_of(HF_POWER_STATUS, 0), HF_POWER_IS_ON);
    assert_int_equal(hf_power_answer_of(HF_POWER_STATUS, 2), HF_POWER_IS_OFF);
    assert_int_equal(hf_power_answer_of(HF_POWER_STATUS, 1), HF_POWER_REFUSED);
    assert_int_equal(hf_power_answer_of(HF_POWER_STATUS, 127), HF_POWER_REFUSED);
    assert_int_equal(hf_power_answer_of(HF_POWER_OFF, 0), HF_POWER_ACCEPTED);
    assert_int_equal(hf_power_answer_of(HF_POWER_OFF, 2), HF_POWER_REFUSED);
    assert_int_equal(hf_power_answer_of(HF_POWER_ON, 0), HF_POWER_ACCEPTED);
}

/* Devices that answer anything, in any order: it never says off unless a whole level said so to one round of
 * status that began after the last "off" was answered, and it never stops trying. */
static void any_answers(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2000; seed++) {
        struct hf_power_fence f;
        unsigned rnd = seed * 2654435761u, devices = 1 + seed % 4;
        int64_t now = 0;
        hf_power_fence_init(&f, 0);
        for (unsigned i = 0; i < devices; i++)
            hf_power_fence_add(&f, "d", 1 + (rnd >> i) % 2);
        enum hf_power_verb verbs[HF_POWER_DEVICES_MAX];
        bool open[HF_POWER_DEVICES_MAX] = {false}, off[HF_POWER_DEVICES_MAX] = {false};
        for (unsigned step = 0; step < 300 && !hf_power_fence_is_off(&f); step++) {
            struct hf_power_run r;
            while (hf_power_fence_next(&f, now, &r)) {
                verbs[r.device] = r.verb;
                assert_false(open[r.device]);
                open[r.device] = true;
                off[r.device] = false;
                assert_int_equal(f.devices[r.device].level, f.level);
            }
            rnd = rnd * 1664525u + 1013904223u;
            size_t i = (rnd >> 16) % devices;
            if (!open[i]) {
                bool any = false;
                for (unsigned k = 0; k < devices; k++)
                    any |= open[k];
                assert_true(any || hf_power_fence_due(&f) < INT64_MAX);
                now = any ? now + 1 : hf_power_fence_due(&f);
                continue;
            }
            unsigned pick = (rnd >> 8) % 4;
            enum hf_power_answer a = pick == 0                  ? HF_POWER_REFUSED
                                     : pick == 1                ? HF_POWER_UNKNOWN
                                     : verbs[i] == HF_POWER_OFF ? HF_POWER_ACCEPTED
                                     : pick == 2                ? HF_POWER_IS_ON
                                                                : HF_POWER_IS_OFF;
            open[i] = false;
            off[i] = a == HF_POWER_IS_OFF;
            hf_power_fence_answer(&f, i, a, "why", now);
        }
        for (unsigned i = 0; i < devices && hf_power_fence_is_off(&f); i++)
            assert_true(f.devices[i].level != f.level || off[i]);
    }
}

static void pauses_grow_to_a_bound(void **state)
{
    (void)state;
    struct hf_power_fence f;
    struct hf_power_run r;
    int64_t now = 0, longest = 0;
    hf_power_fence_init(&f, 0);
    hf_power_fence_add(&f, "bmc", 1);
    for (unsigned i = 0; i < 40; i++) {
        assert_true(hf_power_fence_next(&f, now, &r));
        hf_power_fence_answer(&f, 0, HF_POWER_REFUSED, "no", now);
        int64_t due = hf_power_fence_due(&f);
        longest = due - now > longest ? due - now : longest;
        now = due;
    }
    assert_int_equal(longest, HF_POWER_PAUSE_MAX_MS);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        struct world *world = create();
        bool ok = hf_scenario_run(argv[1], command, world, true);
        free(world);
        return ok ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scenarios), cmocka_unit_test(exit_codes),
                                       cmocka_unit_test(any_answers),
                                       cmocka_unit_test(pauses_grow_to_a_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
