#include "control/host_loss.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/placement_guard.h"
#include "control/restart_input.h"

typedef Holdfast__V1__Instance Instance;

struct placed {
    const Instance *i;
    uint64_t epoch, run;
};

struct on_host {
    struct placed *items;
    size_t n, cap;
};

struct hf_losses {
    const struct hf_world *world;
    struct hf_facts *facts; /* a copy, with those placed that wait now */
    struct on_host *hosts;
    bool ha_enabled;
};

static void add_placed(struct hf_losses *l, size_t host, const Instance *i, uint64_t epoch, uint64_t run)
{
    struct on_host *h = &l->hosts[host];
    if (h->n == h->cap) {
        h->cap = h->cap > 0 ? h->cap * 2 : 16;
        h->items = hf_realloc_array(h->items, h->cap, sizeof *h->items);
    }
    h->items[h->n++] = (struct placed){.i = i, .epoch = epoch, .run = run};
}

static uint64_t epoch_of(const Holdfast__V1__Host *h)
{
    return h->status != NULL ? h->status->epoch : 0;
}

static void add_next_run(struct hf_losses *l, size_t host, const Instance *i)
{
    uint64_t run = i->placement != NULL ? i->placement->run : 0;
    add_placed(l, host, i, epoch_of(hf_facts_host(l->facts, host)), run + 1);
}

bool hf_losses_add(struct hf_losses *l, const Instance *i)
{
    const Holdfast__V1__Host *h;
    hf_status st = hf_facts_schedule(l->facts, i, &h);
    bool placed = hf_ok(st);
    if (placed)
        add_next_run(l, hf_facts_index(l->facts, h->meta->uuid), i);
    hf_status_drop(st);
    return placed;
}

static bool waits(const Instance *i)
{
    return i->spec->power == HOLDFAST__V1__POWER_STATE__POWER_RUNNING && !i->spec->deleting;
}

struct hf_losses *hf_losses_create(const struct hf_world *w, struct hf_facts *facts, bool ha_enabled,
                                   const char *(*planned)(void *arg, const struct hf_world_object *instance),
                                   void *arg)
{
    struct hf_losses *l = HF_NEW(struct hf_losses);
    *l = (struct hf_losses){.world = w, .facts = hf_facts_copy(facts), .ha_enabled = ha_enabled};
    l->hosts = hf_alloc_array(hf_facts_hosts(facts), sizeof *l->hosts);
    for (size_t k = 0; k < hf_world_count(w, HOLDFAST__V1__KIND__INSTANCE); k++) {
        const struct hf_world_object *o = hf_world_at(w, HOLDFAST__V1__KIND__INSTANCE, k);
        const Instance *i = (const Instance *)(const void *)o->message;
        bool open = hf_placement_open(i->placement);
        const char *uuid = open ? i->placement->host_uuid : planned(arg, o);
        size_t host = uuid != NULL ? hf_facts_index(facts, uuid) : HF_FACTS_NO_HOST;
        if (host != HF_FACTS_NO_HOST && open)
            add_placed(l, host, i, i->placement->epoch, i->placement->run);
        else if (host != HF_FACTS_NO_HOST)
            add_next_run(l, host, i);
        else if (waits(i))
            hf_losses_add(l, i);
    }
    return l;
}

void hf_losses_free(struct hf_losses *l)
{
    for (size_t k = 0; k < hf_facts_hosts(l->facts); k++)
        free(l->hosts[k].items);
    free(l->hosts);
    hf_facts_free(l->facts);
    free(l);
}

uint64_t hf_losses_memory(const struct hf_losses *l, size_t host)
{
    uint64_t bytes = 0;
    for (size_t k = 0; k < l->hosts[host].n; k++) {
        const Instance *i = l->hosts[host].items[k].i;
        if (i->spec->ha_level == HOLDFAST__V1__HA_LEVEL__NEVER_STOP && waits(i))
            bytes += i->spec->memory_bytes;
    }
    return bytes;
}

/* --- one loss --- */

struct loss {
    struct hf_restart_instance *inputs;
    struct hf_loss_step *steps; /* in the order of the inputs */
    size_t n;
};

static struct loss gather(struct hf_losses *l, const size_t *hosts, size_t n_hosts)
{
    struct loss r = {0};
    size_t all = 0;
    for (size_t h = 0; h < n_hosts; h++)
        all += l->hosts[hosts[h]].n;
    r.inputs = hf_alloc_array(all, sizeof *r.inputs);
    r.steps = hf_alloc_array(all, sizeof *r.steps);
    for (size_t h = 0; h < n_hosts; h++) {
        const char *uuid = hf_facts_host(l->facts, hosts[h])->meta->uuid;
        for (size_t k = 0; k < l->hosts[hosts[h]].n; k++) {
            const struct placed *p = &l->hosts[hosts[h]].items[k];
            r.inputs[r.n] = hf_restart_input(l->world, p->i, uuid, p->epoch, p->run);
            r.inputs[r.n].fenced = true;
            r.steps[r.n++] = (struct hf_loss_step){.instance = p->i, .from = hosts[h]};
        }
    }
    return r;
}

/* Those whose run is over take no room and stand in nobody's way any more. */
static void leave(struct hf_facts *f, const struct loss *r, const struct hf_restart_step *plan, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (plan[k].kind != HF_RESTART_WAIT)
            hf_facts_leave(f, r->steps[plan[k].instance].instance, r->steps[plan[k].instance].from);
}

static void place(struct hf_facts *f, struct hf_loss_step *s, size_t *sentences)
{
    s->to = hf_facts_schedule_again(f, s->instance, *sentences > 0 ? &s->why : NULL);
    s->outcome = s->to != NULL ? HF_LOSS_RESTARTS : HF_LOSS_WAITS;
    *sentences -= s->why != NULL;
}

size_t hf_losses_plan(struct hf_losses *l, const size_t *hosts, size_t n_hosts,
                      const struct hf_restart_evidence *evidence, size_t n_evidence, size_t sentences_max,
                      struct hf_loss_step **ret)
{
    struct loss r = gather(l, hosts, n_hosts);
    struct hf_restart_step *plan = hf_alloc_array(r.n, sizeof *plan);
    size_t n = hf_restart_plan(l->ha_enabled, evidence, n_evidence, r.inputs, r.n, plan);
    struct hf_facts *f = hf_facts_copy(l->facts);
    for (size_t h = 0; h < n_hosts; h++)
        hf_facts_lose(f, hosts[h]);
    leave(f, &r, plan, n);
    *ret = hf_alloc_array(n, sizeof **ret);
    for (size_t k = 0; k < n; k++) {
        struct hf_loss_step *s = &(*ret)[k];
        *s = r.steps[plan[k].instance];
        s->outcome = plan[k].kind == HF_RESTART_STOP ? HF_LOSS_STAYS_DOWN : HF_LOSS_WAITS;
        if (plan[k].kind == HF_RESTART_GO)
            place(f, s, &sentences_max);
        else
            s->why = hf_strdup(plan[k].text);
    }
    for (size_t k = 0; k < r.n; k++)
        hf_restart_input_done(&r.inputs[k]);
    hf_facts_free(f);
    free(plan);
    free(r.inputs);
    free(r.steps);
    return n;
}

void hf_loss_steps_free(struct hf_loss_step *steps, size_t n)
{
    for (size_t k = 0; k < n; k++)
        free(steps[k].why);
    free(steps);
}
