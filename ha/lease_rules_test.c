/* The keeper's core as text: testdata/lease holds one file per case. A small host around it has disks that
 * answer, hang or fail, processes that die or do not, and a watchdog that counts; time moves by "at".
 * "lease_rules_test FILE" prints a file as the code would have it.
 *
 * Commands: profile, start, restart, lose-state, disk, mark, at, epoch, end-epoch, term, add, remove, begin,
 * born, register, die, stuck, unstuck, deaf, hears, gate, go-on, end, kill-run, pause-until, no-watchdog,
 * show, record. What the core notes, kills and answers is said with its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "ha/lease_rules.h"
#include "ha/scenario.h"

#define NAMES_MAX 32
#define DISKS_MAX 8
#define DISK_MS   10 /* a good write */

enum disk_mode { DISK_OK, DISK_HANG, DISK_FAIL };

struct disk {
    struct hf_uuid storage;
    enum disk_mode mode;
    uint64_t marked_epoch; /* 0: none */
    uint64_t write_epoch;
    bool writing;
    int64_t started_ms;
};

struct world {
    const struct hf_ha_timing *timing;
    struct hf_lease_rules *rules;
    struct hf_lease_effects out;
    struct hf_scenario *s;
    int64_t now_ms, wake_ms;
    bool surveying;
    uint64_t survey;
    struct disk disks[DISKS_MAX];
    size_t n_disks;
    struct {
        struct hf_uuid uuid;
        char name[32];
    } names[NAMES_MAX];
    size_t n_names;
    struct hf_lease_proc procs[NAMES_MAX];
    /* stuck: it does not die; deaf: it hangs in the kernel where no order to stop reaches it; told: its kill
     * has been said */
    bool stuck[NAMES_MAX], deaf[NAMES_MAX], told[NAMES_MAX];
    size_t n_procs;
    int next_pid;
    int64_t last_pet_ms;
    bool armed; /* a first pet came */
    bool reset, no_watchdog;
};

static void *create(void)
{
    struct world *w = HF_NEW(struct world);
    w->timing = hf_ha_timing_find("fast");
    w->next_pid = 100;
    return w;
}

static void destroy(void *world)
{
    struct world *w = world;
    hf_lease_rules_free(w->rules);
    free(w);
}

static struct hf_uuid uuid_of(struct world *w, const char *name)
{
    struct hf_uuid u = hf_uuid_of_text(name);
    for (size_t i = 0; i < w->n_names; i++) {
        if (hf_uuid_equal(&w->names[i].uuid, &u))
            return u;
    }
    HF_ASSERT(w->n_names < NAMES_MAX);
    w->names[w->n_names].uuid = u;
    snprintf(w->names[w->n_names++].name, sizeof w->names[0].name, "%s", name);
    return u;
}

static const char *name_of(const struct world *w, const struct hf_uuid *u)
{
    for (size_t i = 0; i < w->n_names; i++) {
        if (hf_uuid_equal(&w->names[i].uuid, u))
            return w->names[i].name;
    }
    return hf_uuid_is_zero(u) ? "unknown" : "?";
}

/* A sentence with the UUIDs in it replaced by their names. */
static char *with_names(const struct world *w, const char *text)
{
    char *out = hf_strdup(text);
    for (size_t i = 0; i < w->n_names; i++) {
        char hex[HF_UUID_STR], *at;
        hf_uuid_format(&w->names[i].uuid, hex);
        while ((at = strstr(out, hex)) != NULL) {
            char *next = hf_printf("%.*s%s%s", (int)(at - out), out, w->names[i].name, at + 32);
            free(out);
            out = next;
        }
    }
    return out;
}

static struct disk *disk_of(struct world *w, const struct hf_uuid *storage)
{
    for (size_t i = 0; i < w->n_disks; i++) {
        if (hf_uuid_equal(&w->disks[i].storage, storage))
            return &w->disks[i];
    }
    HF_ASSERT(w->n_disks < DISKS_MAX);
    w->disks[w->n_disks].storage = *storage;
    return &w->disks[w->n_disks++];
}

/* --- the host around the core --- */

static void kill_procs(struct world *w, const struct hf_uuid *instance)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->n_procs; i++) {
        if (!hf_uuid_equal(&w->procs[i].instance, instance) || w->stuck[i]) {
            w->stuck[kept] = w->stuck[i];
            w->deaf[kept] = w->deaf[i];
            w->told[kept] = w->told[i];
            w->procs[kept++] = w->procs[i];
        }
    }
    w->n_procs = kept;
}

/* Said once per process: a kill is repeated until the process is gone. */
static void say_kill(struct world *w, const struct hf_uuid *instance)
{
    for (size_t i = 0; i < w->n_procs; i++) {
        if (!w->told[i] && hf_uuid_equal(&w->procs[i].instance, instance)) {
            hf_scenario_say(w->s, "%lld kill %s", (long long)w->now_ms, name_of(w, instance));
            w->told[i] = true;
        }
    }
}

/* Said once per process that it changes. */
static void stop_procs(struct world *w, const struct hf_lease_effect *e, bool stop)
{
    if (!stop && w->now_ms >= (int64_t)e->number)
        return;
    for (size_t i = 0; i < w->n_procs; i++) {
        if (!hf_uuid_equal(&w->procs[i].instance, &e->subject) || w->deaf[i] || w->procs[i].stopped == stop)
            continue;
        w->procs[i].stopped = stop;
        if (stop)
            hf_scenario_say(w->s, "%lld freeze %s", (long long)w->now_ms, name_of(w, &e->subject));
        else
            hf_scenario_say(w->s, "%lld thaw %s if before %lld", (long long)w->now_ms,
                            name_of(w, &e->subject), (long long)e->number);
    }
}

static void carry_out(struct world *w, const struct hf_lease_effect *e)
{
    char *text = with_names(w, e->text);
    struct disk *d;
    switch (e->kind) {
    case HF_LEASE_RENEW:
        d = disk_of(w, &e->subject);
        HF_ASSERT(!d->writing); /* rule 8: one write in flight */
        d->writing = true;
        d->write_epoch = hf_lease_rules_state(w->rules)->epoch;
        d->started_ms = w->now_ms;
        break;
    case HF_LEASE_KILL:
        say_kill(w, &e->subject);
        kill_procs(w, &e->subject);
        break;
    case HF_LEASE_FREEZE:
        stop_procs(w, e, true);
        break;
    case HF_LEASE_THAW:
        stop_procs(w, e, false);
        break;
    case HF_LEASE_SURVEY:
        w->surveying = true;
        w->survey = e->number;
        break;
    case HF_LEASE_PET:
        w->armed = !w->no_watchdog;
        w->last_pet_ms = w->now_ms;
        break;
    case HF_LEASE_REPLY:
        hf_scenario_say(w->s, "%lld answer %s: %s", (long long)w->now_ms, hf_code_text(e->code), text);
        break;
    case HF_LEASE_NOTE:
        hf_scenario_say(w->s, "%lld %s", (long long)w->now_ms, text);
        break;
    case HF_LEASE_WATCH:
        hf_scenario_say(w->s, "%lld watch process %llu of %s", (long long)w->now_ms,
                        (unsigned long long)e->number, name_of(w, &e->subject));
        break;
    case HF_LEASE_PERSIST:
    case HF_LEASE_CHANGED:
        break;
    }
    free(text);
}

static void step(struct world *w, const struct hf_lease_event *e)
{
    hf_lease_rules_step(w->rules, e, w->now_ms, &w->out);
    w->wake_ms = w->out.wake_ms;
    struct hf_lease_effects *now = hf_alloc(sizeof *now);
    memcpy(now, &w->out, sizeof *now);
    for (size_t i = 0; i < now->n; i++) {
        HF_ASSERT(now->list[i].kind != HF_LEASE_PERSIST || i == 0);
        carry_out(w, &now->list[i]);
    }
    free(now);
}

static void tick(struct world *w)
{
    struct hf_lease_event e = {.kind = HF_LEASE_TICK};
    step(w, &e);
}

static void answer_survey(struct world *w)
{
    while (w->surveying) {
        struct hf_lease_event e = {.kind = HF_LEASE_SURVEYED,
                                   .survey = w->survey,
                                   .ok = true,
                                   .procs = w->procs,
                                   .n_procs = w->n_procs};
        w->surveying = false;
        step(w, &e);
    }
}

static int64_t disk_due(const struct disk *d)
{
    return d->writing && d->mode != DISK_HANG ? d->started_ms + DISK_MS : INT64_MAX;
}

static void answer_disk(struct world *w, struct disk *d)
{
    struct hf_lease_event e = {.kind = HF_LEASE_RENEWED,
                               .storage = d->storage,
                               .ok = d->mode == DISK_OK,
                               .marked = d->marked_epoch == d->write_epoch,
                               .text = "input/output error"};
    d->writing = false;
    step(w, &e);
}

static int64_t watchdog_due(const struct world *w)
{
    return w->armed && !w->reset ? w->last_pet_ms + w->timing->watchdog_timeout_ms : INT64_MAX;
}

/* true: the watchdog fires by then, and the host is no more. */
static bool watchdog_fires(struct world *w, int64_t by_ms)
{
    int64_t due = watchdog_due(w);
    if (!w->reset && due <= by_ms) {
        w->reset = true;
        hf_scenario_say(w->s, "%lld WATCHDOG RESETS THE HOST", (long long)due);
    }
    return w->reset;
}

/* What is due next, and by which disk (NULL: the core's own time). */
static int64_t next_due(struct world *w, struct disk **ret_disk)
{
    int64_t due = w->wake_ms;
    *ret_disk = NULL;
    for (size_t i = 0; i < w->n_disks; i++) {
        if (disk_due(&w->disks[i]) <= due) {
            due = disk_due(&w->disks[i]);
            *ret_disk = &w->disks[i];
        }
    }
    return due;
}

/* Lets everything happen that is due until then. */
static void advance(struct world *w, int64_t until_ms)
{
    while (!w->reset) {
        struct disk *disk;
        answer_survey(w);
        int64_t due = next_due(w, &disk);
        if (due > until_ms || watchdog_fires(w, due - 1))
            break;
        if (due > w->now_ms)
            w->now_ms = due;
        if (disk)
            answer_disk(w, disk);
        else
            tick(w);
    }
    watchdog_fires(w, until_ms);
    w->now_ms = until_ms;
}

/* --- commands --- */

static void request(struct world *w, const struct hf_keeper_request *q)
{
    struct hf_lease_event e = {.kind = HF_LEASE_REQUESTED, .token = 1, .request = q};
    step(w, &e);
    answer_survey(w);
}

static bool do_request(struct world *w, char **words, size_t n)
{
    static const struct {
        const char *word;
        enum hf_keeper_op op;
    } ops[] = {{"epoch", HF_KEEPER_SET_EPOCH},
               {"end-epoch", HF_KEEPER_END_EPOCH},
               {"term", HF_KEEPER_SEE_TERM},
               {"add", HF_KEEPER_ADD_STORAGE},
               {"remove", HF_KEEPER_REMOVE_STORAGE},
               {"begin", HF_KEEPER_BEGIN_RUN},
               {"register", HF_KEEPER_REGISTER_RUN},
               {"end", HF_KEEPER_END_RUN},
               {"kill-run", HF_KEEPER_END_RUN},
               {"ended-orderly", HF_KEEPER_END_RUN},
               {"gate", HF_KEEPER_GATE},
               {"go-on", HF_KEEPER_GO_ON}};
    struct hf_keeper_request q = {.head.op = 0};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(words[0], ops[i].word) == 0)
            q.head.op = (uint16_t)ops[i].op;
    }
    if (q.head.op == 0 || n < 2)
        return false;
    q.kill = strcmp(words[0], "kill-run") == 0;
    q.orderly = strcmp(words[0], "ended-orderly") == 0;
    q.gated = hf_scenario_has(words, n, "gated");
    q.incoming = hf_scenario_has(words, n, "incoming");
    q.pid = (int32_t)hf_scenario_number(words, n, "pid", w->next_pid);
    q.epoch = (uint64_t)hf_scenario_number(words, n, "epoch", 1);
    q.number = (uint64_t)hf_scenario_number(words, n, "run", 1);
    if (q.head.op == HF_KEEPER_SET_EPOCH || q.head.op == HF_KEEPER_END_EPOCH)
        q.epoch = strtoull(words[1], NULL, 10);
    else if (q.head.op == HF_KEEPER_SEE_TERM)
        q.number = strtoull(words[1], NULL, 10);
    else
        q.subject = uuid_of(w, words[1]);
    if (q.head.op == HF_KEEPER_ADD_STORAGE)
        q.number = (uint64_t)hf_scenario_number(words, n, "session", 1);
    if (q.head.op == HF_KEEPER_SET_EPOCH) {
        q.subject = uuid_of(w, "host");
        snprintf(q.dir, sizeof q.dir, "%s", n == 4 && strcmp(words[2], "by") == 0 ? words[3] : "");
    } else {
        snprintf(q.dir, sizeof q.dir, "/mnt/%s", words[1]);
    }
    q.starting = strcmp(words[n - 1], "starting") == 0;
    for (size_t i = 2; i + 1 < n; i++) {
        if (strcmp(words[i], "needs") == 0)
            q.storages[q.n_storages++] = uuid_of(w, words[i + 1]);
    }
    request(w, &q);
    return true;
}

static bool do_show(struct world *w)
{
    _Alignas(8) static uint8_t buf[HF_KEEPER_PACKET_MAX];
    struct hf_keeper_wire_view *v = (void *)buf;
    static const char *const states[] = {"pending", "live", "tombstone"};
    hf_lease_rules_view(w->rules, w->now_ms, v);
    const struct hf_keeper_wire_storage *storage = (const void *)(v + 1);
    const struct hf_keeper_wire_run *run = (const void *)(storage + v->n_storages);
    hf_scenario_say(w->s, "epoch %llu%s%s", (unsigned long long)v->epoch, v->epoch_closed ? " closed" : "",
                    v->clean ? " clean" : "");
    for (uint32_t i = 0; i < v->n_storages; i++) {
        char age[32] = "never renewed";
        if (storage[i].age_ms != INT64_MAX)
            snprintf(age, sizeof age, "age %lld", (long long)storage[i].age_ms);
        hf_scenario_say(w->s, "storage %s %s%s%s", name_of(w, &storage[i].uuid), age,
                        storage[i].closed ? " closed" : "", storage[i].suspended ? " suspended" : "");
    }
    for (uint32_t i = 0; i < v->n_runs; i++)
        hf_scenario_say(w->s, "run %s/%llu %s%s%s", name_of(w, &run[i].instance),
                        (unsigned long long)run[i].run, states[run[i].state], run[i].frozen ? " frozen" : "",
                        run[i].incoming ? " incoming" : "");
    return true;
}

static bool do_record(struct world *w, const char *name)
{
    struct hf_lease_record *r = HF_NEW(struct hf_lease_record);
    struct hf_uuid u = uuid_of(w, name);
    hf_lease_rules_record(w->rules, &u, 1, r);
    char session[32] = "";
    if (r->session == HF_LEASE_ALL_SESSIONS)
        snprintf(session, sizeof session, " all sessions");
    else if (r->session != 1)
        snprintf(session, sizeof session, " session %llu", (unsigned long long)r->session);
    hf_scenario_say(w->s, "record on %s: epoch %llu%s%s%s", name, (unsigned long long)r->epoch, session,
                    r->closed ? " closed" : "", r->killed ? " killed" : "");
    for (size_t i = 0; i < r->n_runs; i++)
        hf_scenario_say(w->s, "record run %s/%llu %s%s", name_of(w, &r->runs[i].instance),
                        (unsigned long long)r->runs[i].run, r->runs[i].live ? "live" : "tombstone",
                        r->runs[i].incoming ? " incoming" : "");
    free(r);
    return true;
}

static bool do_disk(struct world *w, char **words, size_t n)
{
    if (n != 3)
        return false;
    struct hf_uuid u = uuid_of(w, words[1]);
    disk_of(w, &u)->mode = strcmp(words[2], "hang") == 0   ? DISK_HANG
                           : strcmp(words[2], "fail") == 0 ? DISK_FAIL
                                                           : DISK_OK;
    return true;
}

/* mark STORAGE: somebody fences the present epoch there */
static bool do_mark(struct world *w, const char *name)
{
    struct hf_uuid u = uuid_of(w, name);
    disk_of(w, &u)->marked_epoch = hf_lease_rules_state(w->rules)->epoch;
    return true;
}

static bool do_process(struct world *w, char **words, size_t n)
{
    if (n != 2)
        return false;
    struct hf_uuid u = uuid_of(w, words[1]);
    if (strcmp(words[0], "born") == 0) {
        w->stuck[w->n_procs] = w->deaf[w->n_procs] = w->told[w->n_procs] = false;
        w->procs[w->n_procs++] = (struct hf_lease_proc){.instance = u, .pid = w->next_pid++};
        return true;
    }
    for (size_t i = 0; i < w->n_procs; i++) {
        bool deafness = strcmp(words[0], "deaf") == 0 || strcmp(words[0], "hears") == 0;
        if (hf_uuid_equal(&w->procs[i].instance, &u) && deafness)
            w->deaf[i] = strcmp(words[0], "deaf") == 0;
        else if (hf_uuid_equal(&w->procs[i].instance, &u))
            w->stuck[i] = strcmp(words[0], "stuck") == 0;
    }
    if (strcmp(words[0], "die") == 0)
        kill_procs(w, &u);
    return true;
}

/* start: a first keeper without a state; restart: a new one with the state of the last; lose-state: a new one
 * without. */
static bool do_start(struct world *w, const char *how)
{
    struct hf_keeper_state *state = NULL;
    if (strcmp(how, "restart") == 0) {
        state = HF_NEW(struct hf_keeper_state);
        *state = *hf_lease_rules_state(w->rules);
    }
    hf_lease_rules_free(w->rules);
    for (size_t i = 0; i < w->n_disks; i++)
        w->disks[i].writing = false;
    w->surveying = false;
    w->rules = hf_lease_rules_create(w->timing, "boot", state, w->now_ms);
    free(state);
    tick(w);
    answer_survey(w);
    return true;
}

static bool command(void *world, struct hf_scenario *s, char **words, size_t n)
{
    struct world *w = world;
    const char *c = words[0];
    w->s = s;
    if (strcmp(c, "profile") == 0)
        return n == 2 && (w->timing = hf_ha_timing_find(words[1])) != NULL;
    if (strcmp(c, "start") == 0 || strcmp(c, "restart") == 0 || strcmp(c, "lose-state") == 0)
        return do_start(w, c);
    if (strcmp(c, "at") == 0 && n == 2) {
        advance(w, strtoll(words[1], NULL, 10));
        return true;
    }
    /* The keeper stands still (stopped, not scheduled) until then, and with it the answers; the watchdog does
     * not. */
    if (strcmp(c, "pause-until") == 0 && n == 2) {
        w->now_ms = strtoll(words[1], NULL, 10);
        watchdog_fires(w, w->now_ms);
        return true;
    }
    if (strcmp(c, "no-watchdog") == 0) {
        w->no_watchdog = true;
        return true;
    }
    if (strcmp(c, "mark") == 0)
        return n == 2 && do_mark(w, words[1]);
    if (strcmp(c, "disk") == 0)
        return do_disk(w, words, n);
    if (strcmp(c, "born") == 0 || strcmp(c, "die") == 0 || strcmp(c, "stuck") == 0 ||
        strcmp(c, "unstuck") == 0 || strcmp(c, "deaf") == 0 || strcmp(c, "hears") == 0)
        return do_process(w, words, n);
    if (strcmp(c, "show") == 0)
        return do_show(w);
    if (strcmp(c, "record") == 0)
        return n == 2 && do_record(w, words[1]);
    return do_request(w, words, n);
}

/* The most that one step can ask for: after a pause every lease of a full host is lost at once. */
static void test_everything_lost_at_once(void **state)
{
    (void)state;
    static struct hf_keeper_state s;
    static struct hf_lease_effects out;
    const struct hf_ha_timing *t = hf_ha_timing_find("fast");
    s.epoch = 1;
    s.n_storages = HF_KEEPER_STORAGES_MAX;
    s.n_runs = HF_KEEPER_RUNS_MAX;
    for (uint32_t i = 0; i < s.n_storages; i++)
        s.storages[i] = (struct hf_keeper_state_storage){.uuid = {{0xa0, (uint8_t)i}}, .dir = "/mnt"};
    for (uint32_t i = 0; i < s.n_runs; i++) {
        s.runs[i].instance = (struct hf_uuid){{0xb0, (uint8_t)i, (uint8_t)(i >> 8)}};
        s.runs[i].run = s.runs[i].live = 1;
        s.runs[i].n_storages = HF_KEEPER_STORAGES_MAX;
        for (uint32_t k = 0; k < HF_KEEPER_STORAGES_MAX; k++)
            s.runs[i].storages[k] = s.storages[k].uuid;
    }
    struct hf_lease_rules *r = hf_lease_rules_create(t, "boot", &s, 0);
    struct hf_lease_event tick = {.kind = HF_LEASE_TICK};
    hf_lease_rules_step(r, &tick, t->kill_ms, &out);
    size_t kills = 0;
    for (size_t i = 0; i < out.n; i++)
        kills += out.list[i].kind == HF_LEASE_KILL;
    assert_int_equal(kills, HF_KEEPER_RUNS_MAX);
    hf_lease_rules_free(r);
}

static void request_of(struct hf_lease_rules *r, const struct hf_keeper_request *q,
                       struct hf_lease_effects *out)
{
    struct hf_lease_event e = {.kind = HF_LEASE_REQUESTED, .token = 1, .request = q};
    hf_lease_rules_step(r, &e, 0, out);
}

static void survey_sees_nothing(struct hf_lease_rules *r, uint64_t survey, struct hf_lease_effects *out)
{
    struct hf_lease_event e = {.kind = HF_LEASE_SURVEYED, .survey = survey, .ok = true};
    hf_lease_rules_step(r, &e, 0, out);
}

/* A look that began before the gate said yes proves nothing of the process that came through it. */
static void test_gate_during_a_survey(void **state)
{
    (void)state;
    static struct hf_keeper_state s;
    static struct hf_lease_effects out;
    const struct hf_keeper_state *now;
    s.epoch = 1;
    s.n_runs = 1;
    s.runs[0] = (struct hf_keeper_state_run){.instance = {{0xb0}}, .run = 4, .gated = 1};
    struct hf_lease_rules *r = hf_lease_rules_create(hf_ha_timing_find("fast"), "boot", &s, 0);
    struct hf_lease_event tick = {.kind = HF_LEASE_TICK};
    struct hf_keeper_request gate = {
        .head.op = HF_KEEPER_GATE, .subject = s.runs[0].instance, .number = 4, .pid = 100};
    struct hf_keeper_request end = {.head.op = HF_KEEPER_END_EPOCH, .epoch = 1};
    now = hf_lease_rules_state(r);
    hf_lease_rules_step(r, &tick, 0, &out); /* survey 1 begins */
    request_of(r, &gate, &out);
    assert_int_equal(now->runs[0].live, 1);
    request_of(r, &end, &out);
    survey_sees_nothing(r, 1, &out);
    assert_int_equal(now->n_runs, 1);
    survey_sees_nothing(r, 2, &out);
    assert_int_equal(now->n_runs, 0);
    hf_lease_rules_free(r);
}

static void test_scenarios(void **state)
{
    (void)state;
    assert_int_equal(hf_scenario_run_folder("testdata/lease", 20, create, command, destroy), 0);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        void *world = create();
        bool ok = hf_scenario_run(argv[1], command, world, true);
        destroy(world);
        return ok ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scenarios),
                                       cmocka_unit_test(test_everything_lost_at_once),
                                       cmocka_unit_test(test_gate_during_a_survey)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
