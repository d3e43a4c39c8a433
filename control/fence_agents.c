#include "control/fence_agents.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/mem.h"

#define LAST_WORDS_MS 200 /* for what an agent has written before it ended */
#define SECRET_MIN    3   /* shorter ones are not looked for in what it says */

struct agents;

/* What one stream of an agent said: its end. */
struct output {
    uv_pipe_t pipe;
    char text[HF_FENCE_AGENTS_OUTPUT_MAX + 1];
    size_t len;
    bool open; /* not at its end */
};

struct run {
    struct agents *agents;
    struct run *next; /* of all, oldest first */
    /* fixed */
    char *path;
    char *input; /* name=value lines */
    char **secrets;
    size_t n_secrets;
    enum hf_power_verb verb;
    unsigned timeout_ms;
    hf_power_answered answered; /* NULL: answered or cancelled */
    void *arg;
    /* volatile */
    bool started, closing;
    bool alive; /* its process was born and has not been reaped */
    int64_t exit_status;
    int signal;
    uv_process_t process;
    uv_pipe_t in;
    uv_write_t write;
    struct output out, err;
    uv_timer_t timer; /* deadline, then last words */
    unsigned handles; /* not closed yet */
};

struct agents {
    struct hf_power_runner runner;
    uv_loop_t *loop;
    char *directory;
    struct run *runs;
    uv_timer_t kick; /* starts what waits, outside of its caller */
    bool closing, kick_closed;
};

static struct agents *agents_of(struct hf_power_runner *r)
{
    return hf_container_of(r, struct agents, runner);
}

/* --- the end of a run --- */

static void agents_free_if_closed(struct agents *a)
{
    if (!a->closing || !a->kick_closed || a->runs != NULL)
        return;
    free(a->directory);
    free(a);
}

static void run_free(struct run *r)
{
    struct agents *a = r->agents;
    struct run **link = &a->runs;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    for (size_t i = 0; i < r->n_secrets; i++)
        free(r->secrets[i]);
    free(r->secrets);
    free(r->input);
    free(r->path);
    free(r);
    agents_free_if_closed(a);
}

static void handle_closed(uv_handle_t *h)
{
    struct run *r = h->data;
    if (--r->handles == 0)
        run_free(r);
}

static void close_handle(struct run *r, uv_handle_t *h)
{
    h->data = r;
    if (!uv_is_closing(h))
        uv_close(h, handle_closed);
}

/* Closes all of it; of a process that was killed and does not die as soon as it does, for somebody has to
 * reap it. */
static void run_close(struct run *r)
{
    if (r->closing)
        return;
    r->closing = true;
    if (!r->started) {
        run_free(r);
        return;
    }
    if (!r->alive || r->agents->closing)
        close_handle(r, (uv_handle_t *)&r->process);
    close_handle(r, (uv_handle_t *)&r->in);
    close_handle(r, (uv_handle_t *)&r->out.pipe);
    close_handle(r, (uv_handle_t *)&r->err.pipe);
    close_handle(r, (uv_handle_t *)&r->timer);
}

static void kill_group(const struct run *r)
{
    if (r->alive)
        kill(-r->process.pid, SIGKILL);
}

static void kick(struct agents *a);

static void answer(struct run *r, enum hf_power_answer what, const char *text)
{
    hf_power_answered answered = r->answered;
    r->answered = NULL;
    kick(r->agents); /* there is room for another one */
    if (answered != NULL)
        answered(r->arg, what, text);
}

/* --- what it said --- */

static void hide(char *text, const char *secret)
{
    size_t n = strlen(secret);
    for (char *at = text; n >= SECRET_MIN && (at = strstr(at, secret)) != NULL; at += n)
        memset(at, '*', n);
}

/* Its last line that is not empty, printable, without the time that agents write before an error. */
static const char *last_line(struct output *o)
{
    while (o->len > 0 && strchr("\r\n\t ", o->text[o->len - 1]) != NULL)
        o->text[--o->len] = '\0';
    char *line = strrchr(o->text, '\n');
    line = line != NULL ? line + 1 : o->text;
    for (char *p = line; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
            *p = '?';
    const char *error = strstr(line, "ERROR: ");
    return error != NULL ? error + strlen("ERROR: ") : line;
}

static void write_reason(struct run *r, char *text, size_t len)
{
    for (size_t i = 0; i < r->n_secrets; i++) {
        hide(r->out.text, r->secrets[i]);
        hide(r->err.text, r->secrets[i]);
    }
    const char *line = last_line(&r->err);
    if (line[0] == '\0')
        line = last_line(&r->out);
    if (line[0] != '\0')
        snprintf(text, len, "%s", line);
    else if (r->signal != 0)
        snprintf(text, len, "the agent was killed by signal %d", r->signal);
    else
        snprintf(text, len, "the agent ended with exit code %lld", (long long)r->exit_status);
}

static void finish(struct run *r)
{
    char text[HF_POWER_TEXT_MAX];
    enum hf_power_answer what =
        r->signal != 0 ? HF_POWER_UNKNOWN : hf_power_answer_of(r->verb, (int)r->exit_status);
    write_reason(r, text, sizeof text);
    run_close(r);
    answer(r, what, text);
}

static void last_words_over(uv_timer_t *t)
{
    finish(t->data);
}

static void on_agent_exit(uv_process_t *p, int64_t exit_status, int signal)
{
    struct run *r = p->data;
    r->alive = false;
    r->exit_status = exit_status;
    r->signal = signal;
    kill(-p->pid, SIGKILL); /* what it has left behind */
    if (r->closing)
        close_handle(r, (uv_handle_t *)p);
    else if (!r->out.open && !r->err.open)
        finish(r);
    else
        uv_timer_start(&r->timer, last_words_over, LAST_WORDS_MS, 0);
}

static void deadline(uv_timer_t *t)
{
    struct run *r = t->data;
    char text[HF_POWER_TEXT_MAX];
    kill_group(r);
    snprintf(text, sizeof text, "no answer within %u s", r->timeout_ms / 1000);
    run_close(r);
    answer(r, HF_POWER_UNKNOWN, text);
}

/* --- streams --- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    static char room[4096]; /* of the loop's thread: read and copied at once */
    (void)h;
    (void)suggested;
    *buf = uv_buf_init(room, sizeof room);
}

static void keep(struct output *o, const char *bytes, size_t n)
{
    if (n > HF_FENCE_AGENTS_OUTPUT_MAX) {
        bytes += n - HF_FENCE_AGENTS_OUTPUT_MAX;
        n = HF_FENCE_AGENTS_OUTPUT_MAX;
    }
    if (o->len + n > HF_FENCE_AGENTS_OUTPUT_MAX) {
        size_t drop = o->len + n - HF_FENCE_AGENTS_OUTPUT_MAX;
        memmove(o->text, o->text + drop, o->len - drop);
        o->len -= drop;
    }
    for (size_t i = 0; i < n; i++)
        o->text[o->len++] = bytes[i] != '\0' ? bytes[i] : '?';
    o->text[o->len] = '\0';
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct run *r = s->data;
    struct output *o = s == (uv_stream_t *)&r->out.pipe ? &r->out : &r->err;
    if (n > 0)
        keep(o, buf->base, (size_t)n);
    if (n >= 0)
        return;
    o->open = false;
    uv_read_stop(s);
    if (!r->alive && !r->out.open && !r->err.open && !r->closing)
        finish(r);
}

static void on_written(uv_write_t *w, int status)
{
    struct run *r = w->data;
    (void)status; /* an agent that reads nothing says so by its exit code */
    close_handle(r, (uv_handle_t *)&r->in);
}

/* --- the start --- */

static void init_handles(struct run *r)
{
    uv_loop_t *loop = r->agents->loop;
    uv_pipe_init(loop, &r->in, 0);
    uv_pipe_init(loop, &r->out.pipe, 0);
    uv_pipe_init(loop, &r->err.pipe, 0);
    uv_timer_init(loop, &r->timer);
    r->process.data = r->in.data = r->out.pipe.data = r->err.pipe.data = r->timer.data = r->write.data = r;
    r->handles = 5;
    r->started = true;
}

static int spawn(struct run *r)
{
    static char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C",
                                        (char *)"HOME=/", NULL};
    char *args[] = {r->path, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&r->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&r->out.pipe},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&r->err.pipe},
    };
    uv_process_options_t o = {.exit_cb = on_agent_exit,
                              .file = r->path,
                              .args = args,
                              .env = (char **)environment,
                              .flags = UV_PROCESS_DETACHED,
                              .stdio_count = 3,
                              .stdio = stdio};
    return uv_spawn(r->agents->loop, &r->process, &o);
}

static void start(struct run *r)
{
    char text[HF_POWER_TEXT_MAX];
    init_handles(r);
    int rc = spawn(r);
    r->process.data = r;
    if (rc != 0) {
        snprintf(text, sizeof text, "run %.120s on this control node: %s", r->path, uv_strerror(rc));
        run_close(r);
        answer(r, HF_POWER_REFUSED, text);
        return;
    }
    r->alive = true;
    r->out.open = uv_read_start((uv_stream_t *)&r->out.pipe, on_alloc, on_read) == 0;
    r->err.open = uv_read_start((uv_stream_t *)&r->err.pipe, on_alloc, on_read) == 0;
    uv_buf_t input = uv_buf_init(r->input, (unsigned)strlen(r->input));
    uv_write(&r->write, (uv_stream_t *)&r->in, &input, 1, on_written);
    uv_timer_start(&r->timer, deadline, r->timeout_ms, 0);
}

/* The first that cannot even wait is refused. */
static struct run *first_too_many(const struct agents *a)
{
    size_t waiting = 0;
    for (struct run *r = a->runs; r != NULL; r = r->next)
        if (!r->started && ++waiting > HF_FENCE_AGENTS_WAITING_MAX)
            return r;
    return NULL;
}

static void start_waiting(uv_timer_t *t)
{
    struct agents *a = t->data;
    struct run *too_many = first_too_many(a);
    size_t running = 0;
    if (too_many != NULL) {
        hf_power_answered answered = too_many->answered;
        void *arg = too_many->arg;
        run_close(too_many);
        kick(a);
        answered(arg, HF_POWER_REFUSED, "too many fence agents wait on this control node");
        return;
    }
    for (struct run *r = a->runs; r != NULL; r = r->next)
        running += r->started && r->answered != NULL;
    for (struct run *r = a->runs; r != NULL && running < HF_FENCE_AGENTS_AT_ONCE; r = r->next)
        if (!r->started) {
            start(r);
            if (r->answered == NULL) { /* it could not start: the list may have changed */
                kick(a);
                return;
            }
            running++;
        }
}

static void kick(struct agents *a)
{
    if (!a->closing)
        uv_timer_start(&a->kick, start_waiting, 0, 0);
}

static char *input_of(const struct hf_power_order *o)
{
    char *input = hf_printf("action=%s\n", hf_power_verb_text(o->verb));
    for (size_t i = 0; i < o->n_options; i++) {
        char *longer = hf_printf("%s%s=%s\n", input, o->options[i].name, o->options[i].value);
        free(input);
        input = longer;
    }
    return input;
}

static void *agents_run(struct hf_power_runner *runner, const struct hf_power_order *o,
                        hf_power_answered answered, void *arg)
{
    struct agents *a = agents_of(runner);
    struct run *r = HF_NEW(struct run), **link = &a->runs;
    r->agents = a;
    r->path = hf_printf("%s/%s", a->directory, o->agent);
    r->input = input_of(o);
    r->secrets = hf_alloc_array(o->n_options, sizeof *r->secrets);
    for (size_t i = 0; i < o->n_options; i++)
        if (o->options[i].secret)
            r->secrets[r->n_secrets++] = hf_strdup(o->options[i].value);
    r->verb = o->verb;
    r->timeout_ms = o->timeout_ms;
    r->answered = answered;
    r->arg = arg;
    while (*link != NULL)
        link = &(*link)->next;
    *link = r;
    kick(a);
    return r;
}

static void agents_cancel(struct hf_power_runner *runner, void *run)
{
    struct run *r = run;
    (void)runner;
    HF_ASSERT(r->answered != NULL);
    r->answered = NULL;
    kick(r->agents);
    kill_group(r);
    run_close(r);
}

static const struct hf_power_runner_ops ops = {agents_run, agents_cancel};

struct hf_power_runner *hf_fence_agents_create(struct uv_loop_s *loop, const char *directory)
{
    struct agents *a = HF_NEW(struct agents);
    a->runner.ops = &ops;
    a->loop = loop;
    a->directory = hf_strdup(directory);
    uv_timer_init(loop, &a->kick);
    a->kick.data = a;
    return &a->runner;
}

static void kick_closed(uv_handle_t *h)
{
    struct agents *a = h->data;
    a->kick_closed = true;
    agents_free_if_closed(a);
}

void hf_fence_agents_close(struct hf_power_runner *runner)
{
    struct agents *a = agents_of(runner);
    a->closing = true;
    for (struct run *r = a->runs, *next; r != NULL; r = next) {
        next = r->next;
        r->answered = NULL;
        kill_group(r);
        if (r->closing && r->alive)
            close_handle(r, (uv_handle_t *)&r->process);
        run_close(r);
    }
    uv_close((uv_handle_t *)&a->kick, kick_closed);
}
