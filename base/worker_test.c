#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

#include "base/mem.h"
#include "base/worker.h"

/* What hangs waits here until the test lets it go. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;
static unsigned ended; /* structs freed */

struct call {
    struct hf_job job;
    int in, out;
    int *ret_out;
    enum hf_code *ret_code;
    unsigned notes;
    unsigned *ret_notes;
};

struct fixture {
    uv_loop_t loop;
    struct hf_env *env;
    struct hf_worker *worker;
    unsigned answers;
};

static struct fixture *fx;

static void hold(bool value)
{
    pthread_mutex_lock(&lock);
    held = value;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void work_double(struct hf_job *job)
{
    struct call *c = hf_container_of(job, struct call, job);
    c->out = 2 * c->in;
}

static void work_hang(struct hf_job *job)
{
    pthread_mutex_lock(&lock);
    while (held)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    work_double(job);
}

static void work_until_expired(struct hf_job *job)
{
    struct call *c = hf_container_of(job, struct call, job);
    while (!hf_job_expired(job))
        uv_sleep(1);
    c->out = (int)hf_job_left_ms(job);
}

static void work_notify(struct hf_job *job)
{
    for (int i = 0; i < 1000; i++)
        hf_job_notify(job);
    work_double(job);
}

static void on_done(struct hf_job *job, hf_status st)
{
    struct call *c = hf_container_of(job, struct call, job);
    *c->ret_code = hf_status_code(st);
    if (hf_ok(st))
        *c->ret_out = c->out;
    if (c->ret_notes)
        *c->ret_notes = c->notes;
    fx->answers++;
}

static void on_note(struct hf_job *job)
{
    hf_container_of(job, struct call, job)->notes++;
}

static void on_end(struct hf_job *job)
{
    pthread_mutex_lock(&lock);
    ended++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    free(hf_container_of(job, struct call, job));
}

static struct call *call_new(void (*work)(struct hf_job *), int in, int *out, enum hf_code *code)
{
    struct call *c = HF_NEW(struct call);
    c->job = (struct hf_job){.work = work, .done = on_done, .note = on_note, .end = on_end};
    c->in = in;
    c->ret_out = out;
    c->ret_code = code;
    *code = HF_INTERNAL;
    return c;
}

static void run_until_answers(unsigned n)
{
    while (fx->answers < n)
        uv_run(&fx->loop, UV_RUN_ONCE);
}

static void wait_ended(unsigned n)
{
    pthread_mutex_lock(&lock);
    while (ended < n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static int set_up(void **state)
{
    fx = HF_NEW(struct fixture);
    held = false;
    ended = 0;
    uv_loop_init(&fx->loop);
    fx->env = hf_env_uv_create(&fx->loop);
    *state = fx;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hf_env_uv_close(fx->env);
    uv_run(&fx->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fx->loop), 0);
    free(fx);
    return 0;
}

static void mark(void *arg)
{
    *(bool *)arg = true;
}

static void close_worker(void)
{
    bool closed = false;
    hf_worker_close(fx->worker, mark, &closed);
    while (!closed)
        uv_run(&fx->loop, UV_RUN_ONCE);
}

static void answers_each_job_once(void **state)
{
    enum { N = 50 };
    int out[N];
    enum hf_code code[N];
    (void)state;
    fx->worker = hf_worker_create(fx->env, "test", 3, N);
    for (int i = 0; i < N; i++)
        hf_worker_submit(fx->worker, &call_new(work_double, i, &out[i], &code[i])->job, 60000);
    assert_int_equal(fx->answers, 0);
    run_until_answers(N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(code[i], HF_OK);
        assert_int_equal(out[i], 2 * i);
    }
    wait_ended(N);
    close_worker();
}

static void a_hang_is_a_timeout_and_others_go_on(void **state)
{
    int out[2];
    enum hf_code code[2];
    (void)state;
    fx->worker = hf_worker_create(fx->env, "test", 2, 4);
    hold(true);
    hf_worker_submit(fx->worker, &call_new(work_hang, 1, &out[0], &code[0])->job, 20);
    hf_worker_submit(fx->worker, &call_new(work_double, 2, &out[1], &code[1])->job, 60000);
    run_until_answers(2);
    assert_int_equal(code[0], HF_TIMEOUT);
    assert_int_equal(code[1], HF_OK);
    assert_int_equal(out[1], 4);
    hold(false);
    close_worker();
    wait_ended(2);
}

static void what_never_started_is_unavailable(void **state)
{
    int out;
    enum hf_code hung, waited, refused;
    (void)state;
    fx->worker = hf_worker_create(fx->env, "test", 1, 1);
    hold(true);
    hf_worker_submit(fx->worker, &call_new(work_hang, 1, &out, &hung)->job, 20);
    run_until_answers(1);
    hf_worker_submit(fx->worker, &call_new(work_double, 1, &out, &waited)->job, 20);
    hf_worker_submit(fx->worker, &call_new(work_double, 1, &out, &refused)->job, 60000);
    run_until_answers(3);
    assert_int_equal(hung, HF_TIMEOUT);
    assert_int_equal(waited, HF_UNAVAILABLE);
    assert_int_equal(refused, HF_UNAVAILABLE);
    hold(false);
    close_worker();
    wait_ended(3);
}

static void work_hears_of_its_deadline(void **state)
{
    int out;
    enum hf_code code;
    (void)state;
    fx->worker = hf_worker_create(fx->env, "test", 1, 1);
    hf_worker_submit(fx->worker, &call_new(work_until_expired, 1, &out, &code)->job, 10);
    run_until_answers(1);
    assert_int_equal(code, HF_TIMEOUT);
    close_worker();
    wait_ended(1);
}

static void notes_come_before_the_answer(void **state)
{
    int out;
    enum hf_code code;
    unsigned notes = 0;
    struct call *c = call_new(work_notify, 4, &out, &code);
    (void)state;
    fx->worker = hf_worker_create(fx->env, "test", 1, 1);
    c->ret_notes = &notes;
    hf_worker_submit(fx->worker, &c->job, 60000);
    run_until_answers(1);
    assert_int_equal(code, HF_OK);
    assert_true(notes >= 1 && notes <= 1000);
    close_worker();
    wait_ended(1);
}

static void close_answers_what_is_under_way(void **state)
{
    int out[2];
    enum hf_code code[2];
    (void)state;
    fx->worker = hf_worker_create(fx->env, "test", 1, 4);
    hold(true);
    hf_worker_submit(fx->worker, &call_new(work_hang, 1, &out[0], &code[0])->job, 60000);
    hf_worker_submit(fx->worker, &call_new(work_double, 2, &out[1], &code[1])->job, 60000);
    hold(false);
    close_worker();
    assert_int_equal(fx->answers, 2);
    assert_int_equal(code[0], HF_OK);
    assert_int_equal(code[1], HF_OK);
    wait_ended(2);
}

static void a_thread_may_come_back_after_the_end(void **state)
{
    int out;
    enum hf_code code;
    (void)state;
    fx->worker = hf_worker_create(fx->env, "test", 1, 4);
    hold(true);
    hf_worker_submit(fx->worker, &call_new(work_hang, 1, &out, &code)->job, 10);
    close_worker();
    assert_int_equal(code, HF_TIMEOUT);
    assert_int_equal(ended, 0);
    hold(false);
    wait_ended(1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_each_job_once),
        TEST(a_hang_is_a_timeout_and_others_go_on),
        TEST(what_never_started_is_unavailable),
        TEST(work_hears_of_its_deadline),
        TEST(notes_come_before_the_answer),
        TEST(close_answers_what_is_under_way),
        TEST(a_thread_may_come_back_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
