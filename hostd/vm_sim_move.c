/* Live migration between two simulated machines, as libvirt does it: the target's QEMU is born waiting, the
 * state is under way for a while, then in one moment the guest is whole (and paused) there and gone here. An
 * end that is lost in between leaves the guest where it was. The hypervisor's daemon of the source carries it
 * on whoever asked. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "hostd/vm_sim_private.h"

#define STALLED_RETRY_MS 100 /* a frozen QEMU neither sends nor takes anything */

struct hf_sim_vm_move {
    struct hf_sim_vm_move *next;
    struct hf_vm_machine *source;
    char *address; /* of the target: its machine may lose its power meanwhile */
    struct hf_uuid uuid;
    uint64_t run, target_run;
    bool aborted;
    bool switches;            /* the source's guest is stopped for the hand-over */
    int64_t begun_ms, due_ms; /* due: the state has arrived */
    int64_t deadline_ms;      /* of the answer */
    struct hf_sim_vm_answer answer;
};

static struct hf_sim_vm_move *find_move(const struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct hf_sim_vm_move *x = m->moves;
    while (x && !hf_uuid_equal(&x->uuid, uuid))
        x = x->next;
    return x;
}

static struct hf_sim_vm *copy_of(struct hf_vm_machine *m, const struct hf_uuid *uuid, uint64_t run)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, uuid);
    return v && v->run == run && !v->killed ? v : NULL;
}

static void free_move(void *arg)
{
    struct hf_sim_vm_move *x = arg, **at = &x->source->moves;
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    free(x->address);
    free(x);
}

/* The machine at an address, if its hypervisor answers; else NULL. */
static struct hf_vm_machine *peer_at(const struct hf_vm_machine *m, const char *address)
{
    struct hf_vm_machine *p = m->find_peer ? m->find_peer(m->peers_arg, address) : NULL;
    return p && !p->down ? p : NULL;
}

static struct hf_sim_vm *target_copy(const struct hf_sim_vm_move *x)
{
    struct hf_vm_machine *target = peer_at(x->source, x->address);
    return target ? copy_of(target, &x->uuid, x->target_run) : NULL;
}

/* A source that was stopped for a hand-over that failed: half of them libvirt lets go on, the others stay
 * paused. */
static void give_up_switch(struct hf_sim_vm_move *x)
{
    struct hf_sim_vm *source = copy_of(x->source, &x->uuid, x->run);
    if (x->switches && source && source->pid % 2 == 0)
        hf_sim_vm_set_paused(x->source, source, false);
}

/* Takes st. */
static void end_move(struct hf_sim_vm_move *x, hf_status st)
{
    struct hf_sim_vm *left = target_copy(x);
    if (!hf_ok(st) && left && left->incoming)
        hf_sim_vm_kill(peer_at(x->source, x->address), left, HF_VM_GONE_DESTROYED);
    struct hf_sim_vm_answer a = x->answer;
    free_move(x);
    if (a.cb)
        a.cb(a.arg, st);
    hf_status_drop(st);
}

static void hand_over(struct hf_sim_vm_move *x, struct hf_sim_vm *source, struct hf_sim_vm *target)
{
    hf_sim_vm_set_paused(x->source, source, true);
    target->incoming = false;
    target->boots = source->boots;
    if (hf_sim_vm_kill(x->source, source, HF_VM_GONE_MIGRATED))
        end_move(x, HF_STATUS_OK);
    else
        end_move(x, hf_error(HF_TIMEOUT, "QEMU does not end"));
}

static void step(void *arg);

static void next_step(struct hf_sim_vm_move *x)
{
    int64_t now = hf_env_now_ms(x->source->env), at = x->due_ms > now ? x->due_ms : now + STALLED_RETRY_MS;
    if (x->answer.cb && x->deadline_ms < at)
        at = x->deadline_ms;
    hf_sim_later(&x->source->queue, (unsigned)(at - now), step, free_move, x);
}

/* Whoever asked waits no longer; it goes on. */
static void pass_deadline(struct hf_sim_vm_move *x)
{
    struct hf_sim_vm_answer a = x->answer;
    hf_status st = hf_error(HF_TIMEOUT, "the migration takes longer than its deadline");
    x->answer = (struct hf_sim_vm_answer){0};
    a.cb(a.arg, st);
    hf_status_drop(st);
}

/* QEMU stops the guest and waits for its writes. */
static bool is_drained(struct hf_sim_vm_move *x, struct hf_sim_vm *source)
{
    const struct hf_vm_machine *m = x->source;
    x->switches = true;
    hf_sim_vm_set_paused(x->source, source, true);
    return !m->watch.writes || !m->watch.writes(m->watch.arg, &x->uuid);
}

static void fail_move(struct hf_sim_vm_move *x, hf_status st)
{
    give_up_switch(x);
    end_move(x, st);
}

static void step(void *arg)
{
    struct hf_sim_vm_move *x = arg;
    int64_t now = hf_env_now_ms(x->source->env);
    if (x->answer.cb && now >= x->deadline_ms)
        pass_deadline(x);
    if (now < x->due_ms && !x->aborted) {
        next_step(x);
        return;
    }
    struct hf_sim_vm *source = copy_of(x->source, &x->uuid, x->run), *target = target_copy(x);
    if (x->aborted)
        fail_move(x, hf_error(HF_CANCELLED, "the migration was called off"));
    else if (!source || (source->paused && !x->switches))
        fail_move(x, hf_error(HF_PRECONDITION, "the domain does not run any more"));
    else if (x->source->down || !target)
        fail_move(x, hf_error(HF_UNAVAILABLE, "the connection to the target broke"));
    else if (source->frozen || target->frozen || target->phase != HF_VM_SIM_QEMU || !is_drained(x, source))
        next_step(x);
    else
        hand_over(x, source, target);
}

static hf_status prepare(struct hf_vm_machine *m, const struct hf_vm_migration *o)
{
    struct hf_sim_vm *v = hf_sim_vm_find(m, &o->uuid);
    struct hf_vm_machine *target = peer_at(m, o->target_address);
    if (!v || v->run != o->run)
        return hf_error(HF_NOT_FOUND, "there is no such domain");
    if (v->paused || v->killed || find_move(m, &o->uuid))
        return hf_error(HF_PRECONDITION, "the domain is not in a state to migrate");
    if (!target)
        return hf_error(HF_UNAVAILABLE, "no hypervisor answers at %s", o->target_address);
    if (hf_sim_vm_find(target, &o->uuid))
        return hf_error(HF_PRECONDITION, "the target has a domain of this UUID");
    if (target->admit && !target->admit(target->admit_arg, &o->uuid, o->target_run, true))
        return hf_error(HF_PRECONDITION, "process exited: the target's keeper refuses the start");
    struct hf_sim_vm *copy = HF_NEW(struct hf_sim_vm);
    copy->uuid = o->uuid;
    copy->epoch = o->target_epoch;
    copy->run = o->target_run;
    copy->paused = copy->incoming = true;
    copy->disks = hf_alloc_array(v->n_disks, sizeof *copy->disks);
    copy->n_disks = v->n_disks;
    for (size_t i = 0; i < v->n_disks; i++)
        copy->disks[i] = hf_strdup(v->disks[i]);
    hf_sim_vm_add(target, copy);
    return HF_STATUS_OK;
}

hf_status hf_sim_vm_move_begin(struct hf_vm_machine *m, const struct hf_vm_migration *o,
                               const struct hf_sim_vm_answer *answer, unsigned deadline_ms)
{
    int64_t now = hf_env_now_ms(m->env);
    HF_TRY(prepare(m, o));
    struct hf_sim_vm_move *x = HF_NEW(struct hf_sim_vm_move);
    *x = (struct hf_sim_vm_move){.next = m->moves,
                                 .source = m,
                                 .address = hf_strdup(o->target_address),
                                 .uuid = o->uuid,
                                 .run = o->run,
                                 .target_run = o->target_run,
                                 .begun_ms = now,
                                 .due_ms = now + m->move_ms,
                                 .deadline_ms = now + deadline_ms};
    if (answer)
        x->answer = *answer;
    m->moves = x;
    next_step(x);
    return HF_STATUS_OK;
}

hf_status hf_sim_vm_move_abort(struct hf_vm_machine *m, const struct hf_uuid *uuid)
{
    struct hf_sim_vm_move *x = find_move(m, uuid);
    if (!x)
        return HF_STATUS_OK;
    x->aborted = true;
    return hf_error(HF_UNAVAILABLE, "the migration ends");
}

void hf_sim_vm_move_progress(struct hf_vm_machine *m, const struct hf_uuid *uuid, struct hf_vm_progress *ret)
{
    const struct hf_sim_vm_move *x = find_move(m, uuid);
    *ret = (struct hf_vm_progress){0};
    if (x)
        *ret = (struct hf_vm_progress){(uint64_t)(hf_env_now_ms(m->env) - x->begun_ms), m->move_ms};
}

void hf_sim_vm_moves_forget(struct hf_vm_machine *m, const struct hf_sim_vm_connection *c, bool tell)
{
    for (struct hf_sim_vm_move *x = m->moves; x; x = x->next) {
        struct hf_sim_vm_answer a = x->answer;
        if (a.c != c)
            continue;
        x->answer = (struct hf_sim_vm_answer){0};
        if (!tell)
            continue;
        hf_status st = hf_error(HF_CANCELLED, "its connection ends");
        a.cb(a.arg, st);
        hf_status_drop(st);
    }
}

void hf_vm_machine_set_peers(struct hf_vm_machine *m,
                             struct hf_vm_machine *(*find)(void *arg, const char *address), void *arg)
{
    m->find_peer = find;
    m->peers_arg = arg;
}

void hf_vm_machine_set_admit(struct hf_vm_machine *m,
                             bool (*admit)(void *arg, const struct hf_uuid *uuid, uint64_t run,
                                           bool incoming),
                             void *arg)
{
    m->admit = admit;
    m->admit_arg = arg;
}

void hf_vm_machine_set_move_ms(struct hf_vm_machine *m, unsigned ms)
{
    m->move_ms = ms;
}
