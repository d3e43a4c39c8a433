/* The way up, as a numbered story; each step may be repeated, and an error keeps it PREPARING with a
 * sentence.
 *
 *   1. every storage of its disks is assigned and answers
 *   2. the templates of its disks are in the cache of their storage
 *   3. its volumes exist
 *   4. its networks have a bridge, and DHCP knows its addresses
 *   5. the keeper permits the run (epoch open, leases fresh, no other run): it counts as running from here
 *   6. the hypervisor is told to start it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buggify.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "hostd/image_rec.h"
#include "holdfast/v1/instance.pb-c.h"
#include "hostd/instance_int.h"
#include "hostd/network_rec.h"
#include "hostd/storage_rec.h"

#define VOLUME_DEADLINE_MS 60000
#define STORAGE_WAIT_MS    20000 /* for one that is not good; two checks go by */
#define RECORDS_RECHECK_MS 10000 /* records tell when they change; this is for the case that nobody did */
#define PATH_LEN           4096

enum outcome { READY, WAITS };

static enum outcome wait_for_records(struct hf_instance_rec *r, const char *message, hf_status blocked)
{
    hf_instance_say(r, HOLDFAST__V1__INSTANCE_REPORT__STATE__PREPARING, message,
                    hf_ok(blocked) ? NULL : hf_status_message(blocked));
    hf_status_drop(blocked);
    r->waits_for_records = true;
    hf_instance_later(r, RECORDS_RECHECK_MS);
    return WAITS;
}

/* The storage of a disk; the assignment was checked when it came. */
static struct hf_storage_rec *storage_of(struct hf_instance_rec *r, const char *uuid_text)
{
    struct hf_uuid uuid;
    return hf_uuid_parse(uuid_text, &uuid) ? hf_storage_rec_find(r->host, &uuid) : NULL;
}

/* It could wait here for as long as the host's other instances live; elsewhere it can run. */
static void give_back(struct hf_instance_rec *r, const char *storage, const char *why)
{
    char *text = hf_printf("primary storage %s: %s", storage, why);
    hf_instance_end_run(r, false, HF_END_START_FAILED, text);
    free(text);
}

static enum outcome wait_for_storage(struct hf_instance_rec *r, const char *storage, const char *why)
{
    int64_t now = hf_env_now_ms(r->host->d.env);
    if (r->storage_wanted_ms == 0)
        r->storage_wanted_ms = now;
    if (now - r->storage_wanted_ms < STORAGE_WAIT_MS)
        return wait_for_records(r, NULL, hf_error(HF_UNAVAILABLE, "primary storage %s: %s", storage, why));
    give_back(r, storage, why);
    return WAITS;
}

static enum outcome storages_ready(struct hf_instance_rec *r)
{
    for (size_t i = 0; i < r->want->n_disks; i++) {
        const char *id = r->want->disks[i]->primary_storage_uuid, *why;
        struct hf_storage_rec *s = storage_of(r, id);
        if (!s)
            return wait_for_records(
                r, NULL, hf_error(HF_UNAVAILABLE, "primary storage %s is not assigned to this host", id));
        if (hf_storage_rec_closed(s)) {
            give_back(r, id, HF_STORAGE_CLOSED);
            return WAITS;
        }
        if (!hf_storage_rec_ok(s, &why))
            return wait_for_storage(r, id, why);
    }
    r->storage_wanted_ms = 0;
    return READY;
}

static enum outcome image_ready(struct hf_instance_rec *r, const Holdfast__V1__InstanceAssignment__Disk *d)
{
    struct hf_image_rec *image;
    bool error;
    hf_status st = hf_image_rec_want(r->host, d->template_, false, &image);
    if (!hf_ok(st))
        return wait_for_records(r, NULL, st);
    if (hf_image_rec_ready(image))
        return READY;
    const char *text = hf_image_rec_message(image, &error);
    return wait_for_records(r, error ? NULL : text,
                            error ? hf_error(HF_UNAVAILABLE, "image %s: %s", d->template_->uuid, text)
                                  : HF_STATUS_OK);
}

static enum outcome images_ready(struct hf_instance_rec *r)
{
    for (size_t i = 0; i < r->want->n_disks; i++)
        if (r->want->disks[i]->template_ && image_ready(r, r->want->disks[i]) == WAITS)
            return WAITS;
    return READY;
}

static void on_volume(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    if (!hf_instance_call_end(r))
        return;
    if (hf_ok(st)) {
        r->volumes_done++;
        hf_backoff_reset(&r->backoff);
        hf_instance_tick(r);
        return;
    }
    /* The cache was believed to have the template. */
    if (r->want && r->volumes_done < r->want->n_disks && hf_status_code(st) == HF_NOT_FOUND) {
        const Holdfast__V1__InstanceAssignment__Disk *d = r->want->disks[r->volumes_done];
        struct hf_image_rec *image;
        hf_status want =
            d->template_ ? hf_image_rec_want(r->host, d->template_, false, &image) : HF_STATUS_OK;
        if (d->template_ && hf_ok(want))
            hf_image_rec_invalidate(image);
        hf_status_drop(want);
    }
    hf_instance_blocked(r, hf_wrap(hf_status_copy(st), "make volume"));
}

static enum outcome volumes_ready(struct hf_instance_rec *r)
{
    if (r->volumes_done >= r->want->n_disks)
        return READY;
    const Holdfast__V1__InstanceAssignment__Disk *d = r->want->disks[r->volumes_done];
    struct hf_primary *p = hf_storage_rec_primary(storage_of(r, d->primary_storage_uuid));
    struct hf_uuid template_uuid;
    bool over = d->template_ && hf_uuid_parse(d->template_->uuid, &template_uuid);
    hf_instance_say(r, HOLDFAST__V1__INSTANCE_REPORT__STATE__PREPARING, "making volumes", NULL);
    hf_instance_call_begin(r);
    struct hf_volume_wish wish = {
        .template_uuid = over ? &template_uuid : NULL, .size_bytes = d->size_bytes, .made = d->made};
    p->ops->create_volume(p, d->install_path, &wish, VOLUME_DEADLINE_MS, on_volume, r);
    return WAITS;
}

static enum outcome networks_ready(struct hf_instance_rec *r)
{
    for (size_t i = 0; i < r->want->n_nics; i++) {
        const char *id = r->want->nics[i]->l3_uuid, *error;
        struct hf_uuid uuid;
        struct hf_network_rec *n = hf_uuid_parse(id, &uuid) ? hf_network_rec_find(r->host, &uuid) : NULL;
        if (!n)
            return wait_for_records(
                r, NULL, hf_error(HF_UNAVAILABLE, "L3 network %s is not assigned to this host", id));
        if (!hf_network_rec_ready(n, &error))
            return wait_for_records(r, error ? NULL : "preparing its networks",
                                    error ? hf_error(HF_UNAVAILABLE, "L3 network %s: %s", id, error)
                                          : HF_STATUS_OK);
    }
    return READY;
}

/* --- 5. permit --- */

static void on_permit(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    struct hf_host *h = r->host;
    if (!hf_instance_call_end(r))
        return;
    if (!hf_ok(st) || HF_BUGGIFY(PERMIT_ANSWER_LOST)) {
        hf_host_refresh(h); /* a time-out: the view tells whether the permit was given */
        if (r->permit == HF_PERMIT_NONE) {
            hf_instance_blocked(r, hf_wrap(hf_status_copy(st), "permit to run"));
        } else { /* asked for again: the gate has the last word */
            r->permit_kept = true;
            hf_instance_tick(r);
        }
        return;
    }
    if (r->permit == HF_PERMIT_NONE)
        r->permit = HF_PERMIT_PENDING;
    r->permit_kept = true;
    if (hf_instance_is_incoming(r))
        hf_instance_set_incoming(r);
    if (!r->start_error) /* else the pause before the next order goes on growing */
        hf_backoff_reset(&r->backoff);
    hf_instance_tick(r);
}

/* Leases are asked of the storages that carry them; a LocalStorage dies with its host. */
static size_t leased_storages(struct hf_instance_rec *r, struct hf_uuid out[HF_INSTANCE_DISKS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < r->want->n_disks; i++) {
        const char *id = r->want->disks[i]->primary_storage_uuid;
        struct hf_storage_rec *s = storage_of(r, id);
        struct hf_uuid uuid;
        bool known = !s || !hf_storage_rec_heartbeat(s) || !hf_uuid_parse(id, &uuid);
        for (size_t k = 0; k < n && !known; k++)
            known = hf_uuid_equal(&out[k], &uuid);
        if (!known)
            out[n++] = uuid;
    }
    return n;
}

static void ask_permit(struct hf_instance_rec *r)
{
    struct hf_keeper *k = r->host->d.keeper;
    struct hf_uuid storages[HF_INSTANCE_DISKS_MAX];
    size_t n = leased_storages(r, storages);
    hf_instance_call_begin(r);
    if (hf_instance_is_incoming(r))
        k->ops->begin_incoming(k, &r->uuid, r->epoch, r->run, storages, n, r->host->o.gated, on_permit, r);
    else
        k->ops->begin_run(k, &r->uuid, r->epoch, r->run, storages, n, r->host->o.gated, on_permit, r);
}

void hf_instance_start_step(struct hf_instance_rec *r)
{
    if (!r->host->attach.synced) { /* its storages and networks may come after it */
        wait_for_records(r, "waiting for the rest of the assignments", HF_STATUS_OK);
        return;
    }
    /* The disks of one that migrates are there and in use. */
    bool fresh = !hf_instance_is_incoming(r);
    if (storages_ready(r) == WAITS || (fresh && (images_ready(r) == WAITS || volumes_ready(r) == WAITS)) ||
        networks_ready(r) == WAITS)
        return;
    ask_permit(r);
}

/* --- 6. start --- */

/* What the answer says about the order. */
static void take_start_answer(struct hf_instance_rec *r, hf_status st)
{
    r->unknown_since_ms = hf_env_now_ms(r->host->d.env);
    bool lost = hf_ok(st) && HF_BUGGIFY(START_ANSWER_LOST);
    if (hf_ok(st) && !lost) {
        hf_info("instance %s run %llu: started", r->id, (unsigned long long)r->run);
        r->start = HF_START_DONE;
        hf_backoff_reset(&r->backoff);
        return;
    }
    hf_warn("instance %s run %llu: start: %s", r->id, (unsigned long long)r->run, hf_status_message(st));
    free(r->start_error);
    r->start_error = hf_strdup(hf_status_message(st));
    r->permit_kept = false;
    lost |= hf_status_class(st) == HF_CLASS_UNKNOWN && !HF_MUTANT(LOST_START_FAILED);
    if (lost || hf_status_code(st) == HF_EXISTS)
        r->start = HF_START_UNKNOWN;
    else if (hf_status_code(st) != HF_UNAVAILABLE)
        r->start = HF_START_FAILED;
    else if (r->start !=
             HF_START_UNKNOWN) /* an earlier order may still be on its way; this one was not taken */
        r->start = HF_START_NOT_ASKED;
}

static void on_started(void *arg, hf_status st)
{
    struct hf_instance_rec *r = arg;
    struct hf_host *h = r->host;
    h->starts--;
    r->starting = false;
    if (hf_instance_call_end(r)) {
        take_start_answer(r, st);
        if (hf_status_code(st) == HF_UNAVAILABLE)
            hf_instance_blocked(r, hf_wrap(hf_status_copy(st), "start"));
        else
            hf_instance_look(r);
    }
    hf_attach_start_ended(h);
}

/* Strings of a start order. */
struct plan {
    struct hf_vm_disk disks[HF_INSTANCE_DISKS_MAX];
    char *paths[HF_INSTANCE_DISKS_MAX];
    struct hf_vm_nic nics[HF_INSTANCE_NICS_MAX];
    char bridges[HF_INSTANCE_NICS_MAX][HF_IFNAME_MAX];
    char console[PATH_LEN];
};

static hf_status plan_disks(struct hf_instance_rec *r, struct plan *p)
{
    for (size_t i = 0; i < r->want->n_disks; i++) {
        const Holdfast__V1__InstanceAssignment__Disk *d = r->want->disks[i];
        struct hf_storage_rec *s = storage_of(r, d->primary_storage_uuid);
        struct hf_primary *primary = s ? hf_storage_rec_primary(s) : NULL;
        if (!primary)
            return hf_error(HF_UNAVAILABLE, "primary storage %s is not assigned to this host",
                            d->primary_storage_uuid);
        p->paths[i] = hf_alloc(PATH_LEN);
        if (!primary->ops->absolute(primary, d->install_path, p->paths[i], PATH_LEN))
            return hf_error(HF_INVALID, "the path '%s' leads out of primary storage %s", d->install_path,
                            d->primary_storage_uuid);
        const struct hf_rbd_access *rbd = primary->ops->rbd ? primary->ops->rbd(primary) : NULL;
        p->disks[i] = (struct hf_vm_disk){p->paths[i], rbd ? "raw" : "qcow2", rbd};
    }
    return HF_STATUS_OK;
}

static hf_status plan_nics(struct hf_instance_rec *r, struct plan *p)
{
    for (size_t i = 0; i < r->want->n_nics; i++) {
        const Holdfast__V1__InstanceAssignment__Nic *nic = r->want->nics[i];
        struct hf_uuid uuid;
        struct hf_network_rec *n =
            hf_uuid_parse(nic->l3_uuid, &uuid) ? hf_network_rec_find(r->host, &uuid) : NULL;
        if (!n)
            return hf_error(HF_UNAVAILABLE, "L3 network %s is not assigned to this host", nic->l3_uuid);
        p->nics[i] = (struct hf_vm_nic){nic->mac, hf_network_rec_bridge(n, p->bridges[i])};
    }
    return HF_STATUS_OK;
}

static void start_with(struct hf_instance_rec *r, struct plan *p)
{
    struct hf_host *h = r->host;
    struct hf_vm_spec spec = {
        .uuid = r->uuid,
        .host_uuid = h->o.uuid,
        .epoch = r->epoch,
        .run = r->run,
        .title = r->want->name,
        .cpus = r->want->cpus,
        .memory_bytes = r->want->memory_bytes,
        .disks = p->disks,
        .n_disks = r->want->n_disks,
        .nics = p->nics,
        .n_nics = r->want->n_nics,
    };
    if (h->o.console_dir) {
        snprintf(p->console, sizeof p->console, "%s/%s.log", h->o.console_dir, r->id);
        spec.console_log = p->console;
    }
    hf_instance_say(r, HOLDFAST__V1__INSTANCE_REPORT__STATE__STARTING, "starting", NULL);
    r->reboot_done = hf_instance_reboots_wanted(r->want); /* a guest that boots now has done them all */
    r->reboot_baseline = true;
    r->gone_hint = r->gone_heard = false;
    r->starting = true;
    h->starts++;
    hf_instance_call_begin(r);
    h->d.hypervisor->ops->start(h->d.hypervisor, &spec, HF_INSTANCE_START_DEADLINE_MS, on_started, r);
}

void hf_instance_order_start(struct hf_instance_rec *r)
{
    if (!r->permit_kept) {
        ask_permit(r);
        return;
    }
    struct plan *p = HF_NEW(struct plan);
    hf_status st = plan_disks(r, p);
    if (hf_ok(st))
        st = plan_nics(r, p);
    if (hf_ok(st))
        start_with(r, p);
    else
        hf_instance_blocked(r, hf_wrap(st, "start"));
    for (size_t i = 0; i < HF_INSTANCE_DISKS_MAX; i++)
        free(p->paths[i]);
    free(p);
}
