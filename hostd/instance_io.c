/* A guest that QEMU has stopped because a disk of it failed goes on when its storages answer again, as long
 * as this run may run and can write:
 *
 * 1. each of its storages was good at the last check and is not closed, and the keeper does not have it
 *    stand still for a lease in doubt;
 * 2. where a cluster can refuse single clients, each disk is still open here: a client that is refused once
 *    never writes again, so that its guest would only stop at its next write. Where the cluster says that it
 *    refuses it, and the instance is one that starts again, the run is ended; a question without an answer
 *    ends nothing;
 * 3. it is resumed. One that stops again soon waits longer each time.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "hostd/instance_int.h"
#include "hostd/storage_rec.h"

#define LOOK_MS          2000 /* at what is known here of storages and leases */
#define WAIT_FIRST_MS    1000
#define WAIT_MAX_MS      60000
#define CALM_MS          60000 /* one that ran for so long is a new case */
#define HELD_DEADLINE_MS 20000

#define STATE(x) HOLDFAST__V1__INSTANCE_REPORT__STATE__##x

/* Takes st: what it waits for. */
static void say(struct hf_instance_rec *r, hf_status st)
{
    char *text = hf_printf("a disk failed, and QEMU has stopped the guest: %s", hf_status_message(st));
    hf_status_drop(st);
    hf_instance_say(r, STATE(PAUSED), NULL, text);
    free(text);
}

/* Takes st. */
static void wait_longer(struct hf_instance_rec *r, hf_status st)
{
    say(r, st);
    hf_instance_later(r, hf_backoff_next(&r->io_backoff, r->host->d.env, WAIT_FIRST_MS, WAIT_MAX_MS));
}

static hf_status check_storage(struct hf_instance_rec *r, const char *id)
{
    struct hf_uuid uuid;
    const char *why;
    struct hf_storage_rec *s = hf_uuid_parse(id, &uuid) ? hf_storage_rec_find(r->host, &uuid) : NULL;
    if (!s)
        return hf_error(HF_UNAVAILABLE, "primary storage %s is not assigned to this host", id);
    if (hf_storage_rec_closed(s))
        return hf_error(HF_UNAVAILABLE, "primary storage %s: %s", id, HF_STORAGE_CLOSED);
    if (!hf_storage_rec_ok(s, &why))
        return hf_error(HF_UNAVAILABLE, "primary storage %s: %s", id, why);
    return HF_STATUS_OK;
}

static hf_status check_lease(const struct hf_instance_rec *r)
{
    const struct hf_host_view *v = &r->host->view;
    for (size_t i = 0; i < v->n_runs; i++)
        if (v->runs[i].run == r->run && hf_uuid_equal(&v->runs[i].instance, &r->uuid) && !v->runs[i].frozen)
            return HF_STATUS_OK;
    return hf_error(HF_UNAVAILABLE, "the keeper lets nothing of it run: a lease that it needs is in doubt");
}

static hf_status check(struct hf_instance_rec *r)
{
    for (size_t i = 0; i < r->want->n_disks; i++)
        HF_TRY(check_storage(r, r->want->disks[i]->primary_storage_uuid));
    return check_lease(r);
}

static void on_resumed(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    r->io_resumed_ms = hf_env_now_ms(r->host->d.env);
    if (hf_ok(st))
        hf_info("instance %s run %llu: goes on, its storages answer again", r->id,
                (unsigned long long)r->run);
    else
        wait_longer(r, hf_status_copy(st));
    hf_instance_look(r);
}

static void on_held(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    if (hf_status_code(st) == HF_PRECONDITION && r->want && r->want->end_when_refused) {
        r->io_refused = true;
        say(r, hf_status_copy(st));
        hf_instance_tick(r); /* what is wanted may be another thing by now */
        return;
    }
    if (!hf_ok(st)) {
        r->io_held = 0;
        wait_longer(r, hf_status_copy(st));
        return;
    }
    r->io_held++;
    hf_instance_tick(r);
}

/* True: the answer is awaited. */
static bool ask_held(struct hf_instance_rec *r)
{
    struct hf_uuid uuid;
    for (; r->io_held < r->want->n_disks; r->io_held++) {
        const Holdfast__V1__InstanceAssignment__Disk *d = r->want->disks[r->io_held];
        struct hf_storage_rec *s =
            hf_uuid_parse(d->primary_storage_uuid, &uuid) ? hf_storage_rec_find(r->host, &uuid) : NULL;
        struct hf_primary *p = s ? hf_storage_rec_primary(s) : NULL;
        if (!p || !p->ops->held)
            continue;
        hf_instance_call_begin(r);
        p->ops->held(p, d->install_path, HELD_DEADLINE_MS, on_held, r);
        return true;
    }
    return false;
}

void hf_instance_io_step(struct hf_instance_rec *r)
{
    struct hf_hypervisor *hv = r->host->d.hypervisor;
    int64_t now = hf_env_now_ms(r->host->d.env);
    bool again = r->io_resumed_ms != 0 && now - r->io_resumed_ms <= CALM_MS;
    if (r->io_resumed_ms != 0 && !again)
        hf_backoff_reset(&r->io_backoff);
    r->io_resumed_ms = 0;
    bool refused = r->io_refused;
    r->io_refused = false;
    hf_status st = check(r);
    if (!hf_ok(st)) {
        r->io_held = 0;
        say(r, st);
        hf_instance_later(r, LOOK_MS);
        return;
    }
    if (again) {
        wait_longer(r, hf_error(HF_UNAVAILABLE, "it failed again soon after it had gone on"));
        return;
    }
    if (refused) {
        hf_instance_end_run(r, true, HF_END_REFUSED, r->blocked);
        return;
    }
    if (ask_held(r))
        return;
    r->io_held = 0;
    hf_instance_call_begin(r);
    hv->ops->resume(hv, &r->uuid, HF_INSTANCE_ORDER_DEADLINE_MS, on_resumed, r);
}
