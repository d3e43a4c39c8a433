/* The driver of fence agents with agents of its own: shell scripts that answer, hang, flood, lie low or look
 * around. */
#include "control/fence_agents_testing.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>

#define SHORT_MS 500
#define LONG_MS  60000

static int setup(void **state)
{
    *state = bed_make(NULL);
    return 0;
}

static int teardown(void **state)
{
    bed_free(*state);
    return 0;
}

static void agent(struct bed *b, const char *name, const char *body)
{
    char *text = hf_printf("#!/bin/sh\ndir=%s\n%s\n", b->dir, body);
    write_file(b, name, text, 0755);
    free(text);
}

static void exit_codes_are_answers(void **state)
{
    struct bed *b = *state;
    agent(b, "fence_on", "exit 0");
    agent(b, "fence_off", "exit 2");
    agent(b, "fence_no",
          "echo 'one thing' >&2; echo '2026-11-23 08:56:21,973 ERROR: wrong password' >&2; echo >&2; exit 1");
    agent(b, "fence_dies", "kill -SEGV $$");
    assert_int_equal(ask(b, "fence_on", HF_POWER_STATUS, LONG_MS, NULL, 0).answer, HF_POWER_IS_ON);
    assert_int_equal(ask(b, "fence_off", HF_POWER_STATUS, LONG_MS, NULL, 0).answer, HF_POWER_IS_OFF);
    assert_int_equal(ask(b, "fence_on", HF_POWER_OFF, LONG_MS, NULL, 0).answer, HF_POWER_ACCEPTED);
    assert_int_equal(ask(b, "fence_off", HF_POWER_OFF, LONG_MS, NULL, 0).answer, HF_POWER_REFUSED);
    struct answer a = ask(b, "fence_no", HF_POWER_STATUS, LONG_MS, NULL, 0);
    assert_int_equal(a.answer, HF_POWER_REFUSED);
    assert_string_equal(a.text, "wrong password");
    a = ask(b, "fence_dies", HF_POWER_OFF, LONG_MS, NULL, 0);
    assert_int_equal(a.answer, HF_POWER_UNKNOWN); /* it may have happened */
    assert_non_null(strstr(a.text, "killed by signal 11"));
    a = ask(b, "fence_none", HF_POWER_STATUS, LONG_MS, NULL, 0);
    assert_int_equal(a.answer, HF_POWER_REFUSED);
    assert_non_null(strstr(a.text, "fence_none on this control node: no such file"));
}

/* Options come on standard input; nothing of them, and nothing of this process, is on the command line or in
 * the environment. */
static void options_come_by_stdin(void **state)
{
    struct bed *b = *state;
    setenv("HOLDFAST_SECRET", "of the daemon", 1);
    agent(b, "fence_look",
          "cat > $dir/in; env > $dir/env; tr '\\0' ' ' < /proc/$$/cmdline > $dir/cmd; ps -o pgid= -p $$ > "
          "$dir/pgid; "
          "echo $$ > $dir/pid; echo 'I was told s3cret!' >&2; exit 1");
    const struct hf_power_option options[] = {{"ip", "10.0.0.1", false}, {"password", "s3cret", true}};
    struct answer a = ask(b, "fence_look", HF_POWER_OFF, LONG_MS, options, 2);
    char *in = read_file(b, "in");
    assert_string_equal(in, "action=off\nip=10.0.0.1\npassword=s3cret\n");
    free(in);
    assert_false(file_says(b, "cmd", "s3cret"));
    assert_false(file_says(b, "env", "s3cret"));
    assert_false(file_says(b, "env", "HOLDFAST"));
    assert_true(file_says(b, "env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"));
    assert_string_equal(a.text, "I was told ******!"); /* not even when the agent repeats it */
    char *pid = read_file(b, "pid"), *pgid = read_file(b, "pgid");
    assert_int_equal(atoi(pid), atoi(pgid));
    free(pid);
    free(pgid);
}

/* The loop reaps it when it has died. */
static bool is_gone(struct bed *b, const char *name)
{
    char *pid = read_file(b, name);
    int n = atoi(pid);
    free(pid);
    assert_true(n > 1);
    for (int i = 0; i < 500; i++) {
        uv_run(&b->loop, UV_RUN_NOWAIT);
        if (kill(n, 0) != 0 && errno == ESRCH)
            return true;
        usleep(10000);
    }
    return false;
}

/* Killed at its deadline with everything that it has started; whether it happened is unknown. */
static void a_hanging_agent_ends_at_its_deadline(void **state)
{
    struct bed *b = *state;
    agent(b, "fence_hang", "sleep 1000 & echo $! > $dir/child; echo $$ > $dir/pid; wait");
    int64_t began = clock_ms();
    struct answer a = ask(b, "fence_hang", HF_POWER_OFF, SHORT_MS, NULL, 0);
    assert_true(clock_ms() - began >= SHORT_MS);
    assert_int_equal(a.answer, HF_POWER_UNKNOWN);
    assert_true(is_gone(b, "child"));
    assert_true(is_gone(b, "pid"));
    assert_int_equal(a.times, 1);
}

/* One that leaves something behind that keeps its streams open is answered all the same, and that is ended.
 */
static void what_an_agent_leaves_behind_is_ended(void **state)
{
    struct bed *b = *state;
    agent(b, "fence_leaves", "sleep 1000 & echo $! > $dir/child; echo done >&2; exit 2");
    struct answer a = ask(b, "fence_leaves", HF_POWER_STATUS, LONG_MS, NULL, 0);
    assert_int_equal(a.answer, HF_POWER_IS_OFF);
    assert_true(is_gone(b, "child"));
}

static void a_cancelled_agent_is_ended_and_says_nothing(void **state)
{
    struct bed *b = *state;
    struct answer a = {0}, never = {0};
    agent(b, "fence_hang", "echo $$ > $dir/pid; sleep 1000");
    struct hf_power_order o = {"fence_hang", HF_POWER_OFF, NULL, 0, LONG_MS};
    void *unborn = b->runner->ops->run(b->runner, &o, take_answer, &never);
    b->runner->ops->cancel(b->runner, unborn); /* before it began */
    void *run = b->runner->ops->run(b->runner, &o, take_answer, &a);
    while (!file_says(b, "pid", "\n"))
        uv_run(&b->loop, UV_RUN_NOWAIT);
    b->runner->ops->cancel(b->runner, run);
    for (int i = 0; i < 50; i++) {
        uv_run(&b->loop, UV_RUN_NOWAIT);
        usleep(2000);
    }
    assert_true(is_gone(b, "pid"));
    assert_int_equal(a.times + never.times, 0);
}

static void a_flood_is_cut_to_its_end(void **state)
{
    struct bed *b = *state;
    agent(b, "fence_flood",
          "i=0; while [ $i -lt 3000 ]; do echo \"line $i of a talkative agent\"; i=$((i+1)); done >&2; "
          "echo 'the last line' >&2; exit 1");
    struct answer a = ask(b, "fence_flood", HF_POWER_STATUS, LONG_MS, NULL, 0);
    assert_int_equal(a.answer, HF_POWER_REFUSED);
    assert_string_equal(a.text, "the last line");
}

static void an_agent_that_reads_nothing(void **state)
{
    struct bed *b = *state;
    char big[4000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    struct hf_power_option options[HF_POWER_OPTIONS_MAX];
    for (size_t i = 0; i < HF_POWER_OPTIONS_MAX; i++)
        options[i] = (struct hf_power_option){"data", big, false};
    agent(b, "fence_deaf", "exec < /dev/null; exit 2");
    assert_int_equal(ask(b, "fence_deaf", HF_POWER_STATUS, LONG_MS, options, HF_POWER_OPTIONS_MAX).answer,
                     HF_POWER_IS_OFF);
}

/* Hanging ones take their places only until their deadline: all the others come through. */
static void few_run_at_once(void **state)
{
    struct bed *b = *state;
    enum { N = 3 * HF_FENCE_AGENTS_AT_ONCE };
    struct answer answers[N] = {{0}};
    agent(
        b, "fence_slow",
        "mkdir $dir/run.$$; ls -d $dir/run.* | wc -l >> $dir/counts; sleep 0.05; rmdir $dir/run.$$; exit 2");
    agent(b, "fence_hang", "sleep 1000");
    for (size_t i = 0; i < N; i++) {
        struct hf_power_order o = {i < HF_FENCE_AGENTS_AT_ONCE ? "fence_hang" : "fence_slow", HF_POWER_STATUS,
                                   NULL, 0, i < HF_FENCE_AGENTS_AT_ONCE ? SHORT_MS : LONG_MS};
        b->runner->ops->run(b->runner, &o, take_answer, &answers[i]);
    }
    for (size_t left = N; left > 0;) {
        uv_run(&b->loop, UV_RUN_ONCE);
        left = N;
        for (size_t i = 0; i < N; i++)
            left -= answers[i].times == 1;
    }
    for (size_t i = 0; i < N; i++)
        assert_int_equal(answers[i].answer, i < HF_FENCE_AGENTS_AT_ONCE ? HF_POWER_UNKNOWN : HF_POWER_IS_OFF);
    char *counts = read_file(b, "counts");
    for (char *rest = counts, *line; (line = strsep(&rest, "\n")) != NULL;)
        assert_true(atoi(line) <= HF_FENCE_AGENTS_AT_ONCE);
    free(counts);
}

static void more_than_can_wait_are_refused(void **state)
{
    struct bed *b = *state;
    enum { N = HF_FENCE_AGENTS_WAITING_MAX + 10 };
    static struct answer answers[N];
    agent(b, "fence_off", "exit 2");
    struct hf_power_order o = {"fence_off", HF_POWER_STATUS, NULL, 0, LONG_MS};
    void *runs[N];
    for (size_t i = 0; i < N; i++)
        runs[i] = b->runner->ops->run(b->runner, &o, take_answer, &answers[i]);
    while (answers[N - 1].times == 0)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(answers[N - 1].answer, HF_POWER_REFUSED);
    for (size_t i = 0; i < N; i++)
        if (answers[i].times == 0)
            b->runner->ops->cancel(b->runner, runs[i]);
}

/* Ending the daemon ends its agents. */
static void closing_ends_what_runs(void **state)
{
    (void)state;
    struct bed *b = bed_make(NULL);
    struct answer a = {0};
    agent(b, "fence_hang", "echo $$ > /tmp/hf-agents-closing.pid; sleep 1000");
    struct hf_power_order o = {"fence_hang", HF_POWER_OFF, NULL, 0, LONG_MS};
    unlink("/tmp/hf-agents-closing.pid");
    b->runner->ops->run(b->runner, &o, take_answer, &a);
    int pid = 0;
    while (pid == 0) {
        uv_run(&b->loop, UV_RUN_NOWAIT);
        FILE *f = fopen("/tmp/hf-agents-closing.pid", "r");
        if (f != NULL && fscanf(f, "%d", &pid) != 1)
            pid = 0;
        if (f != NULL)
            fclose(f);
    }
    bed_free(b);
    unlink("/tmp/hf-agents-closing.pid");
    assert_int_equal(a.times, 0);
    bool ended = false;
    for (int i = 0; i < 500 && !ended; i++) {
        char path[64], state_char = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        FILE *f = fopen(path, "r");
        ended = f == NULL || (fscanf(f, "%*d %*s %c", &state_char) == 1 && state_char == 'Z');
        if (f != NULL)
            fclose(f);
        usleep(10000);
    }
    assert_true(ended);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(exit_codes_are_answers),
        TEST(options_come_by_stdin),
        TEST(a_hanging_agent_ends_at_its_deadline),
        TEST(what_an_agent_leaves_behind_is_ended),
        TEST(a_cancelled_agent_is_ended_and_says_nothing),
        TEST(a_flood_is_cut_to_its_end),
        TEST(an_agent_that_reads_nothing),
        TEST(few_run_at_once),
        TEST(more_than_can_wait_are_refused),
        cmocka_unit_test(closing_ends_what_runs),
    };
    signal(SIGPIPE, SIG_IGN); /* as holdfastd does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
