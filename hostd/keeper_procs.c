#include "hostd/keeper_procs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/keeper_scan.h"

/* What a good order does is seen by the survey right behind it. */
#define SETTLE_US 20000

struct hf_keeper_procs {
    /* fixed */
    struct hf_keeper_inbox *inbox;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* between loop and thread, under the lock */
    struct order {
        enum hf_lease_effect_kind order;
        struct hf_uuid instance;
        int64_t until_ms;
    } orders[HF_LEASE_PROCS_MAX];
    size_t n_orders;
    struct watch {
        struct hf_uuid instance;
        int pid;
    } watches[HF_KEEPER_RUNS_MAX];
    size_t n_watches;
    uint64_t survey; /* number asked for; 0: none */
    /* the thread's */
    struct hf_keeper_scan scan;
};

static struct hf_keeper_letter *survey_letter(struct hf_keeper_procs *p, uint64_t number, hf_status st)
{
    const struct hf_keeper_scan *s = &p->scan;
    struct hf_keeper_letter *letter = hf_keeper_letter(HF_LEASE_SURVEYED, st, s->n_known);
    letter->event.survey = number;
    for (size_t i = 0; i < s->n_known; i++)
        letter->procs[i] = (struct hf_lease_proc){
            .instance = s->known[i].instance, .pid = s->known[i].pid, .stopped = s->known[i].stopped};
    return letter;
}

static void obey(struct hf_keeper_procs *p, const struct order *orders, size_t n_orders)
{
    for (size_t i = 0; i < n_orders; i++) {
        const struct order *o = &orders[i];
        if (o->order == HF_LEASE_KILL)
            hf_keeper_scan_kill(&p->scan, &o->instance);
        else if (o->order == HF_LEASE_FREEZE)
            hf_keeper_scan_freeze(&p->scan, &o->instance);
        else if (hf_keeper_now_ms() < o->until_ms)
            hf_keeper_scan_thaw(&p->scan, &o->instance);
    }
}

/* First those that are known: looking for others takes time, and reading of a process that hangs may hang. */
static void carry_out(struct hf_keeper_procs *p, const struct order *orders, size_t n_orders, uint64_t survey)
{
    if (n_orders > 0) {
        obey(p, orders, n_orders);
        hf_status_drop(
            hf_keeper_scan_update(&p->scan)); /* what it found before an error is killed all the same */
        obey(p, orders, n_orders);
        usleep(SETTLE_US);
    }
    if (survey > 0) {
        hf_status st = hf_keeper_scan_update(&p->scan);
        hf_keeper_inbox_post(p->inbox, survey_letter(p, survey, st));
    }
}

static void *procs_main(void *arg)
{
    struct hf_keeper_procs *p = arg;
    static struct order orders[HF_LEASE_PROCS_MAX];
    static struct watch watches[HF_KEEPER_RUNS_MAX];
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (p->n_orders == 0 && p->n_watches == 0 && p->survey == 0)
            pthread_cond_wait(&p->wake, &p->lock);
        size_t n_orders = p->n_orders;
        uint64_t survey = p->survey;
        memcpy(orders, p->orders, n_orders * sizeof orders[0]);
        p->n_orders = 0;
        size_t n_watches = p->n_watches;
        memcpy(watches, p->watches, n_watches * sizeof watches[0]);
        p->n_watches = 0;
        p->survey = 0;
        pthread_mutex_unlock(&p->lock);
        for (size_t i = 0; i < n_watches; i++)
            hf_keeper_scan_watch(&p->scan, &watches[i].instance, watches[i].pid);
        carry_out(p, orders, n_orders, survey);
    }
    return NULL;
}

struct hf_keeper_procs *hf_keeper_procs_create(struct hf_keeper_inbox *inbox)
{
    struct hf_keeper_procs *p = HF_NEW(struct hf_keeper_procs);
    p->inbox = inbox;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    hf_keeper_thread_start(procs_main, p);
    return p;
}

void hf_keeper_procs_order(struct hf_keeper_procs *p, enum hf_lease_effect_kind order,
                           const struct hf_uuid *instance, int64_t until_ms)
{
    pthread_mutex_lock(&p->lock);
    size_t i = 0;
    while (i < p->n_orders && !hf_uuid_equal(&p->orders[i].instance, instance))
        i++;
    /* A full list drops this one: the rules ask again until they see it obeyed. */
    bool kept = i < p->n_orders && p->orders[i].order == HF_LEASE_KILL;
    if (!kept && i < HF_LEASE_PROCS_MAX)
        p->orders[i] = (struct order){.order = order, .instance = *instance, .until_ms = until_ms};
    if (i == p->n_orders && i < HF_LEASE_PROCS_MAX)
        p->n_orders++;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void hf_keeper_procs_watch(struct hf_keeper_procs *p, const struct hf_uuid *instance, int pid)
{
    pthread_mutex_lock(&p->lock);
    size_t i = 0;
    while (i < p->n_watches && !hf_uuid_equal(&p->watches[i].instance, instance))
        i++;
    HF_ASSERT(i < HF_KEEPER_RUNS_MAX); /* one process per run comes through the gate */
    p->watches[i] = (struct watch){.instance = *instance, .pid = pid};
    if (i == p->n_watches)
        p->n_watches++;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void hf_keeper_procs_survey(struct hf_keeper_procs *p, uint64_t number)
{
    pthread_mutex_lock(&p->lock);
    HF_ASSERT(p->survey == 0 && number > 0);
    p->survey = number;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}
