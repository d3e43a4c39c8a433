/* hf-lab-keeper: asks a host's keeper by hand, for tests that need no hostd.
 *
 *   hf-lab-keeper view                                     what it holds, as JSON
 *   hf-lab-keeper begin INSTANCE EPOCH RUN STORAGE…        a permit
 *   hf-lab-keeper register INSTANCE RUN PID                its process
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ha/keeper_wire.h"
#include "hostd/keeper_client.h"

#define PATIENCE_MS 10000

struct question {
    struct hf_keeper *keeper;
    int argc;
    char **argv;
    int exit_code;
};

static struct hf_uuid uuid_of(const char *text)
{
    struct hf_uuid u;
    if (!hf_uuid_parse(text, &u)) {
        fprintf(stderr, "hf-lab-keeper: '%s' is no UUID\n", text);
        exit(2);
    }
    return u;
}

/* The answer is out; nothing is worth closing. */
static void end(int exit_code)
{
    fflush(stdout);
    _exit(exit_code);
}

static void on_answer(void *arg, hf_status st)
{
    (void)arg;
    puts(hf_status_message(st));
    end(hf_ok(st) ? 0 : 1);
}

static json_t *storages_of(const struct hf_keeper_view *v)
{
    char id[HF_UUID_STR];
    json_t *list = json_array();
    for (size_t i = 0; i < v->n_storages; i++) {
        const struct hf_keeper_storage *s = &v->storages[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:b, s:b, s:I}", "uuid", hf_uuid_format(&s->uuid, id),
                                        "age_ms", (json_int_t)s->age_ms, "closed", s->closed, "suspended",
                                        s->suspended, "session", (json_int_t)s->session));
    }
    return list;
}

static json_t *runs_of(const struct hf_keeper_view *v)
{
    static const char *const states[] = {"pending", "live", "over"};
    char id[HF_UUID_STR];
    json_t *list = json_array();
    for (size_t i = 0; i < v->n_runs; i++) {
        const struct hf_keeper_run *r = &v->runs[i];
        json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:b, s:i}", "instance",
                                              hf_uuid_format(&r->instance, id), "run", (json_int_t)r->run,
                                              "state", states[r->state], "frozen", r->frozen, "pid", r->pid));
    }
    return list;
}

static void on_view(void *arg, hf_status st, const struct hf_keeper_view *v)
{
    (void)arg;
    if (!hf_ok(st)) {
        puts(hf_status_message(st));
        end(1);
    }
    json_t *out =
        json_pack("{s:I, s:b, s:b, s:o, s:o}", "epoch", (json_int_t)v->epoch, "epoch_closed", v->epoch_closed,
                  "clean", v->clean, "storages", storages_of(v), "runs", runs_of(v));
    json_dumpf(out, stdout, JSON_COMPACT);
    putchar('\n');
    end(0);
}

static void begin_run(struct question *q)
{
    struct hf_uuid instance = uuid_of(q->argv[2]), storages[HF_KEEPER_STORAGES_MAX];
    size_t n = 0;
    for (int i = 5; i < q->argc && n < HF_KEEPER_STORAGES_MAX; i++)
        storages[n++] = uuid_of(q->argv[i]);
    q->keeper->ops->begin_run(q->keeper, &instance, strtoull(q->argv[3], NULL, 10),
                              strtoull(q->argv[4], NULL, 10), storages, n, false, on_answer, NULL);
}

static void ask(struct question *q)
{
    const char *verb = q->argc > 1 ? q->argv[1] : "";
    if (strcmp(verb, "view") == 0) {
        q->keeper->ops->view(q->keeper, on_view, NULL);
    } else if (strcmp(verb, "begin") == 0 && q->argc > 5) {
        begin_run(q);
    } else if (strcmp(verb, "register") == 0 && q->argc == 5) {
        struct hf_uuid instance = uuid_of(q->argv[2]);
        q->keeper->ops->register_run(q->keeper, &instance, strtoull(q->argv[3], NULL, 10), atoi(q->argv[4]),
                                     on_answer, NULL);
    } else {
        fprintf(stderr,
                "hf-lab-keeper view | begin INSTANCE EPOCH RUN STORAGE… | register INSTANCE RUN PID\n");
        end(2);
    }
}

static void on_connection(void *arg, bool up)
{
    if (up)
        ask(arg);
}

static void impatient(uv_timer_t *t)
{
    (void)t;
    fprintf(stderr, "hf-lab-keeper: the keeper does not answer\n");
    end(1);
}

int main(int argc, char **argv)
{
    struct question q = {.argc = argc, .argv = argv};
    struct hf_keeper_events events = {.connection = on_connection, .arg = &q};
    uv_loop_t loop;
    uv_timer_t patience;
    HF_ASSERT(uv_loop_init(&loop) == 0 && uv_timer_init(&loop, &patience) == 0);
    uv_timer_start(&patience, impatient, PATIENCE_MS, 0);
    hf_status st =
        hf_keeper_client_create(&loop, hf_env_uv_create(&loop), HF_KEEPER_SOCKET, &events, &q.keeper);
    if (!hf_ok(st)) {
        fprintf(stderr, "hf-lab-keeper: %s\n", hf_status_message(st));
        return 1;
    }
    return uv_run(&loop, UV_RUN_DEFAULT);
}
