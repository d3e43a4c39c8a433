#include "hostd/keeper_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define CALL_MS     2
#define DEADLINE_MS 5000 /* of every call */

struct run {
    struct hf_keeper_run r;
    struct hf_uuid storages[HF_KEEPER_SIM_STORAGES_MAX];
    size_t n_storages;
};

struct connection {
    struct hf_keeper keeper;
    struct connection *next;
    struct hf_keeper_sim *sim;
    struct hf_sim_queue queue;
};

struct hf_keeper_sim {
    struct hf_env *env;
    struct hf_vm_machine *machine;
    struct hf_sim_faults faults;
    struct connection *connections;
    struct hf_uuid host;
    uint64_t epoch, max_term;
    const char *watchdog;
    bool closed, down;
    struct hf_keeper_storage storages[HF_KEEPER_SIM_STORAGES_MAX];
    size_t n_storages;
    struct run runs[HF_KEEPER_SIM_RUNS_MAX];
    size_t n_runs;
};

struct request {
    struct connection *c;
    enum hf_keeper_sim_op op;
    enum hf_sim_fault fault;
    struct hf_uuid subject;
    uint64_t epoch, number;
    struct hf_uuid storages[HF_KEEPER_SIM_STORAGES_MAX];
    size_t n_storages;
    int pid;
    unsigned how;
    bool starting, incoming, handed_over;
    hf_keeper_cb cb;
    hf_keeper_view_cb view_cb;
    void *arg;
};

static struct connection *of(struct hf_keeper *k)
{
    return hf_container_of(k, struct connection, keeper);
}

static void changed(struct hf_keeper_sim *k)
{
    for (struct connection *c = k->connections; c && !k->down; c = c->next)
        c->keeper.events.changed(c->keeper.events.arg);
}

static struct run *find(const struct hf_keeper_sim *k, const struct hf_uuid *instance, uint64_t run)
{
    for (size_t i = 0; i < k->n_runs; i++)
        if (k->runs[i].r.run == run && hf_uuid_equal(&k->runs[i].r.instance, instance))
            return (struct run *)&k->runs[i];
    return NULL;
}

static struct run *add_run(struct hf_keeper_sim *k, const struct hf_uuid *instance, uint64_t run)
{
    HF_ASSERT(k->n_runs < HF_KEEPER_SIM_RUNS_MAX);
    struct run *r = &k->runs[k->n_runs++];
    *r = (struct run){.r = {.instance = *instance, .run = run}};
    return r;
}

static struct hf_keeper_storage *storage(const struct hf_keeper_sim *k, const struct hf_uuid *uuid)
{
    for (size_t i = 0; i < k->n_storages; i++)
        if (hf_uuid_equal(&k->storages[i].uuid, uuid))
            return (struct hf_keeper_storage *)&k->storages[i];
    return NULL;
}

/* --- the requests --- */

static bool is_clean(const struct hf_keeper_sim *k)
{
    bool open = false;
    for (size_t i = 0; i < k->n_runs; i++)
        open |= k->runs[i].r.state != HF_RUN_TOMBSTONED;
    return !open && hf_vm_machine_count(k->machine) == 0;
}

static hf_status set_epoch(struct hf_keeper_sim *k, const struct request *q)
{
    if (!is_clean(k))
        return hf_error(HF_PRECONDITION, "not clean: a QEMU of an earlier life runs");
    if (q->epoch <= k->epoch)
        return hf_error(HF_PRECONDITION, "epoch %llu is not later than this one",
                        (unsigned long long)q->epoch);
    k->host = q->subject;
    k->epoch = q->epoch;
    k->closed = false;
    for (size_t i = 0; i < k->n_storages; i++) {
        k->storages[i].closed = false;
        k->storages[i].session = 1;
    }
    return HF_STATUS_OK;
}

static hf_status see_term(struct hf_keeper_sim *k, const struct request *q)
{
    if (q->number < k->max_term)
        return hf_error(HF_CONFLICT, "term %llu is lower than %llu", (unsigned long long)q->number,
                        (unsigned long long)k->max_term);
    k->max_term = q->number;
    return HF_STATUS_OK;
}

static hf_status add_storage(struct hf_keeper_sim *k, const struct request *q)
{
    struct hf_keeper_storage *s = storage(k, &q->subject);
    if (s) {
        s->closed = s->closed && q->number <= s->session;
        s->session = q->number > s->session ? q->number : s->session;
        return HF_STATUS_OK;
    }
    if (k->n_storages == HF_KEEPER_SIM_STORAGES_MAX)
        return hf_error(HF_EXHAUSTED, "too many storages");
    k->storages[k->n_storages++] = (struct hf_keeper_storage){.uuid = q->subject, .session = q->number};
    return HF_STATUS_OK;
}

static hf_status remove_storage(struct hf_keeper_sim *k, const struct request *q)
{
    struct hf_keeper_storage *s = storage(k, &q->subject);
    if (s)
        *s = k->storages[--k->n_storages];
    return HF_STATUS_OK;
}

static hf_status begin_run(struct hf_keeper_sim *k, const struct request *q)
{
    struct run *r = find(k, &q->subject, q->number);
    if (q->epoch != k->epoch || k->closed)
        return hf_error(HF_PRECONDITION, "epoch %llu is not open", (unsigned long long)q->epoch);
    if (r && r->r.state == HF_RUN_TOMBSTONED)
        return hf_error(HF_PRECONDITION, "this run is over");
    for (size_t i = 0; i < k->n_runs; i++)
        if (hf_uuid_equal(&k->runs[i].r.instance, &q->subject) && k->runs[i].r.run != q->number &&
            k->runs[i].r.state != HF_RUN_TOMBSTONED)
            return hf_error(HF_PRECONDITION, "another run of the instance is not over");
    for (size_t i = 0; i < q->n_storages; i++) {
        struct hf_keeper_storage *s = storage(k, &q->storages[i]);
        if (!s || s->closed)
            return hf_error(HF_PRECONDITION, "the lease of a storage is not fresh");
    }
    if (!r)
        r = add_run(k, &q->subject, q->number);
    memcpy(r->storages, q->storages, sizeof r->storages);
    r->n_storages = q->n_storages;
    r->r.incoming = q->incoming;
    return HF_STATUS_OK;
}

static hf_status go_on(struct hf_keeper_sim *k, const struct request *q)
{
    struct run *r = find(k, &q->subject, q->number);
    if (!r || r->r.state == HF_RUN_TOMBSTONED || k->closed ||
        !hf_vm_machine_exists(k->machine, &q->subject, NULL, NULL))
        return hf_error(HF_PRECONDITION, "there is nothing of this run that could go on");
    for (size_t i = 0; i < r->n_storages; i++) {
        struct hf_keeper_storage *s = storage(k, &r->storages[i]);
        if (!s || s->closed)
            return hf_error(HF_PRECONDITION, "the lease of a storage is not fresh");
    }
    r->r.incoming = false;
    return HF_STATUS_OK;
}

static hf_status register_run(struct hf_keeper_sim *k, const struct request *q)
{
    struct run *r = find(k, &q->subject, q->number);
    if (!r || r->r.state == HF_RUN_TOMBSTONED)
        return hf_error(HF_PRECONDITION, "there is no permit for this run");
    r->r.state = HF_RUN_LIVE;
    r->r.pid = q->pid;
    return HF_STATUS_OK;
}

static hf_status end_run(struct hf_keeper_sim *k, const struct request *q)
{
    struct run *r = find(k, &q->subject, q->number);
    if (hf_vm_machine_exists(k->machine, &q->subject, NULL, NULL)) {
        if (!(q->how & HF_KEEPER_END_KILL))
            return hf_error(HF_PRECONDITION, "a process of the instance exists");
        if (!hf_vm_machine_kill(k->machine, &q->subject))
            return hf_error(HF_TIMEOUT, "its QEMU does not die");
    }
    if (!r)
        r = add_run(k, &q->subject, q->number);
    r->r.state = HF_RUN_TOMBSTONED;
    r->r.handed_over |= q->handed_over;
    return HF_STATUS_OK;
}

static hf_status end_epoch(struct hf_keeper_sim *k, const struct request *q)
{
    if (q->epoch != k->epoch)
        return hf_error(HF_PRECONDITION, "this is epoch %llu", (unsigned long long)k->epoch);
    k->closed = true;
    if (!hf_vm_machine_kill_all(k->machine))
        return hf_error(HF_TIMEOUT, "a QEMU does not die");
    bool pending = false;
    for (size_t i = 0; i < k->n_runs; i++) {
        if (q->starting && k->runs[i].r.state == HF_RUN_PENDING)
            pending = true;
        else
            k->runs[i].r.state = HF_RUN_TOMBSTONED;
    }
    return pending ? hf_error(HF_PRECONDITION, "a start is under way") : HF_STATUS_OK;
}

static hf_status apply(struct hf_keeper_sim *k, const struct request *q)
{
    static hf_status (*const table[])(struct hf_keeper_sim *, const struct request *) = {
        [HF_KEEPER_SIM_SET_EPOCH] = set_epoch,
        [HF_KEEPER_SIM_SEE_TERM] = see_term,
        [HF_KEEPER_SIM_ADD_STORAGE] = add_storage,
        [HF_KEEPER_SIM_REMOVE_STORAGE] = remove_storage,
        [HF_KEEPER_SIM_BEGIN_RUN] = begin_run,
        [HF_KEEPER_SIM_REGISTER_RUN] = register_run,
        [HF_KEEPER_SIM_END_RUN] = end_run,
        [HF_KEEPER_SIM_END_EPOCH] = end_epoch,
        [HF_KEEPER_SIM_GO_ON] = go_on,
    };
    if (k->down)
        return hf_error(HF_UNAVAILABLE, "the keeper is not there");
    if (q->op == HF_KEEPER_SIM_VIEW)
        return HF_STATUS_OK;
    hf_status st = table[q->op](k, q);
    if (hf_ok(st))
        changed(k);
    return st;
}

/* --- answers --- */

static void answer_view(struct hf_keeper_sim *k, const struct request *q, hf_status st)
{
    struct hf_keeper_run *runs = hf_alloc_array(k->n_runs + 1, sizeof *runs);
    for (size_t i = 0; i < k->n_runs; i++)
        runs[i] = k->runs[i].r;
    struct hf_keeper_view v = {
        .boot_id = "simulated-boot",
        .host_uuid = k->host,
        .epoch = k->epoch,
        .epoch_closed = k->closed,
        .clean = is_clean(k),
        .max_term = k->max_term,
        .watchdog = k->watchdog,
        .profile = "default",
        .storages = k->storages,
        .n_storages = k->n_storages,
        .runs = runs,
        .n_runs = k->n_runs,
    };
    q->view_cb(q->arg, st, hf_ok(st) ? &v : NULL);
    free(runs);
}

static void answer(void *arg)
{
    struct request *q = arg;
    struct hf_keeper_sim *k = q->c->sim;
    hf_status st = HF_STATUS_OK;
    if (q->fault == HF_SIM_GOOD || q->fault == HF_SIM_LOST_ANSWER || q->fault == HF_SIM_LATE)
        st = apply(k, q);
    if (q->fault != HF_SIM_GOOD) {
        hf_status_drop(st);
        st = hf_sim_fault_status(&k->faults, q->op, q->fault);
    }
    if (q->op == HF_KEEPER_SIM_VIEW)
        answer_view(k, q, st);
    else
        q->cb(q->arg, st);
    hf_status_drop(st);
    free(q);
}

static void ask(struct hf_keeper *keeper, struct request request)
{
    struct connection *c = of(keeper);
    struct request *q = HF_NEW(struct request);
    *q = request;
    q->c = c;
    q->fault = hf_sim_take_fault(&c->sim->faults, q->op);
    bool quick = q->fault == HF_SIM_GOOD || q->fault == HF_SIM_FAILS;
    hf_sim_later(&c->queue, quick ? CALL_MS : DEADLINE_MS, answer, free, q);
}

/* --- the vtable --- */

static void k_view(struct hf_keeper *k, hf_keeper_view_cb cb, void *arg)
{
    ask(k, (struct request){.op = HF_KEEPER_SIM_VIEW, .view_cb = cb, .arg = arg});
}

static void k_set_epoch(struct hf_keeper *k, const struct hf_uuid *host, const struct hf_uuid *cluster,
                        uint64_t epoch, const char *profile, hf_keeper_cb cb, void *arg)
{
    (void)profile; /* it has one for all its life */
    (void)cluster; /* it writes no records */
    ask(k, (struct request){
               .op = HF_KEEPER_SIM_SET_EPOCH, .subject = *host, .epoch = epoch, .cb = cb, .arg = arg});
}

static void k_see_term(struct hf_keeper *k, uint64_t term, hf_keeper_cb cb, void *arg)
{
    ask(k, (struct request){.op = HF_KEEPER_SIM_SEE_TERM, .number = term, .cb = cb, .arg = arg});
}

static void k_add_storage(struct hf_keeper *k, const struct hf_uuid *s, const char *dir, uint64_t session,
                          hf_keeper_cb cb, void *arg)
{
    HF_ASSERT(dir[0] == '/');
    ask(k, (struct request){
               .op = HF_KEEPER_SIM_ADD_STORAGE, .subject = *s, .number = session, .cb = cb, .arg = arg});
}

static void k_remove_storage(struct hf_keeper *k, const struct hf_uuid *s, hf_keeper_cb cb, void *arg)
{
    ask(k, (struct request){.op = HF_KEEPER_SIM_REMOVE_STORAGE, .subject = *s, .cb = cb, .arg = arg});
}

static void ask_permit(struct hf_keeper *k, struct request q, const struct hf_uuid *storages,
                       size_t n_storages)
{
    HF_ASSERT(n_storages <= HF_KEEPER_SIM_STORAGES_MAX);
    if (n_storages)
        memcpy(q.storages, storages, n_storages * sizeof *storages);
    q.n_storages = n_storages;
    q.op = HF_KEEPER_SIM_BEGIN_RUN;
    ask(k, q);
}

static void k_begin_run(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t epoch, uint64_t run,
                        const struct hf_uuid *storages, size_t n_storages, bool gated, hf_keeper_cb cb,
                        void *arg)
{
    (void)gated; /* births are not asked about here */
    ask_permit(k, (struct request){.subject = *instance, .epoch = epoch, .number = run, .cb = cb, .arg = arg},
               storages, n_storages);
}

static void k_begin_incoming(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t epoch,
                             uint64_t run, const struct hf_uuid *storages, size_t n_storages, bool gated,
                             hf_keeper_cb cb, void *arg)
{
    (void)gated;
    ask_permit(
        k,
        (struct request){
            .subject = *instance, .epoch = epoch, .number = run, .incoming = true, .cb = cb, .arg = arg},
        storages, n_storages);
}

static void k_go_on(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, hf_keeper_cb cb,
                    void *arg)
{
    ask(k, (struct request){
               .op = HF_KEEPER_SIM_GO_ON, .subject = *instance, .number = run, .cb = cb, .arg = arg});
}

static void k_register_run(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, int pid,
                           hf_keeper_cb cb, void *arg)
{
    ask(k, (struct request){.op = HF_KEEPER_SIM_REGISTER_RUN,
                            .subject = *instance,
                            .number = run,
                            .pid = pid,
                            .cb = cb,
                            .arg = arg});
}

static void k_end_run(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, unsigned how,
                      hf_keeper_cb cb, void *arg)
{
    ask(k, (struct request){.op = HF_KEEPER_SIM_END_RUN,
                            .subject = *instance,
                            .number = run,
                            .how = how,
                            .cb = cb,
                            .arg = arg});
}

static void k_hand_over(struct hf_keeper *k, const struct hf_uuid *instance, uint64_t run, hf_keeper_cb cb,
                        void *arg)
{
    ask(k, (struct request){.op = HF_KEEPER_SIM_END_RUN,
                            .subject = *instance,
                            .number = run,
                            .how = HF_KEEPER_END_KILL,
                            .handed_over = true,
                            .cb = cb,
                            .arg = arg});
}

static void k_end_epoch(struct hf_keeper *k, uint64_t epoch, bool starting, hf_keeper_cb cb, void *arg)
{
    ask(k, (struct request){
               .op = HF_KEEPER_SIM_END_EPOCH, .epoch = epoch, .starting = starting, .cb = cb, .arg = arg});
}

static const struct hf_keeper_ops keeper_ops = {
    k_view,         k_set_epoch, k_see_term,  k_add_storage,    k_remove_storage, k_begin_run,
    k_register_run, k_end_run,   k_end_epoch, k_begin_incoming, k_hand_over,      k_go_on};

struct hf_keeper *hf_keeper_sim_connect(struct hf_keeper_sim *k, const struct hf_keeper_events *events)
{
    struct connection *c = HF_NEW(struct connection);
    c->keeper.ops = &keeper_ops;
    c->keeper.events = *events;
    c->sim = k;
    c->queue.env = k->env;
    c->next = k->connections;
    k->connections = c;
    return &c->keeper;
}

void hf_keeper_sim_disconnect(struct hf_keeper *keeper)
{
    struct connection *c = of(keeper), **at = &c->sim->connections;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    hf_sim_queue_done(&c->queue);
    free(c);
}

/* --- the process --- */

struct hf_keeper_sim *hf_keeper_sim_create(struct hf_env *env, struct hf_vm_machine *m)
{
    struct hf_keeper_sim *k = HF_NEW(struct hf_keeper_sim);
    k->env = env;
    k->machine = m;
    k->watchdog = "none";
    return k;
}

void hf_keeper_sim_free(struct hf_keeper_sim *k)
{
    HF_ASSERT(k->connections == NULL);
    free(k);
}

struct hf_sim_faults *hf_keeper_sim_faults(struct hf_keeper_sim *k)
{
    return &k->faults;
}

void hf_keeper_sim_set_watchdog(struct hf_keeper_sim *k, const char *kind)
{
    k->watchdog = kind;
}

void hf_keeper_sim_set_down(struct hf_keeper_sim *k, bool down)
{
    if (k->down == down)
        return;
    k->down = down;
    for (struct connection *c = k->connections; c; c = c->next)
        c->keeper.events.connection(c->keeper.events.arg, !down);
}

void hf_keeper_sim_freeze(struct hf_keeper_sim *k, bool frozen)
{
    for (size_t i = 0; i < k->n_runs; i++) {
        k->runs[i].r.frozen = frozen;
        hf_vm_machine_freeze(k->machine, &k->runs[i].r.instance, frozen);
    }
    changed(k);
}

void hf_keeper_sim_lose_leases(struct hf_keeper_sim *k)
{
    k->closed = true;
    for (size_t i = 0; i < k->n_storages; i++)
        k->storages[i].closed = true;
    if (hf_vm_machine_kill_all(k->machine))
        for (size_t i = 0; i < k->n_runs; i++)
            k->runs[i].r.state = HF_RUN_TOMBSTONED;
    changed(k);
}

void hf_keeper_sim_close_storage(struct hf_keeper_sim *k, const struct hf_uuid *uuid)
{
    struct hf_keeper_storage *s = storage(k, uuid);
    HF_ASSERT(s);
    s->closed = true;
    for (size_t i = 0; i < k->n_runs; i++)
        for (size_t j = 0; j < k->runs[i].n_storages; j++)
            if (hf_uuid_equal(&k->runs[i].storages[j], uuid) &&
                hf_vm_machine_kill(k->machine, &k->runs[i].r.instance))
                k->runs[i].r.state = HF_RUN_TOMBSTONED;
    changed(k);
}

void hf_keeper_sim_forget(struct hf_keeper_sim *k, const struct hf_uuid *instance)
{
    size_t kept = 0;
    for (size_t i = 0; i < k->n_runs; i++)
        if (!hf_uuid_equal(&k->runs[i].r.instance, instance) || k->runs[i].r.state != HF_RUN_PENDING)
            k->runs[kept++] = k->runs[i];
    k->n_runs = kept;
    changed(k);
}

void hf_keeper_sim_let_in(struct hf_keeper_sim *k, const struct hf_uuid *instance)
{
    for (size_t i = 0; i < k->n_runs; i++)
        if (hf_uuid_equal(&k->runs[i].r.instance, instance) && k->runs[i].r.state == HF_RUN_PENDING)
            k->runs[i].r.state = HF_RUN_LIVE;
    changed(k);
}

uint64_t hf_keeper_sim_epoch(const struct hf_keeper_sim *k)
{
    return k->epoch;
}

uint64_t hf_keeper_sim_term(const struct hf_keeper_sim *k)
{
    return k->max_term;
}

bool hf_keeper_sim_run_state(const struct hf_keeper_sim *k, const struct hf_uuid *instance, uint64_t run,
                             enum hf_keeper_run_state *ret)
{
    struct run *r = find(k, instance, run);
    if (r)
        *ret = r->r.state;
    return r != NULL;
}

bool hf_keeper_sim_has_storage(const struct hf_keeper_sim *k, const struct hf_uuid *uuid)
{
    return storage(k, uuid) != NULL;
}
