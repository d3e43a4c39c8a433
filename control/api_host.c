/* Hosts: a daemon that dialled in is adopted, and its host enabled, disabled, deleted. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/api_handlers.h"
#include "control/api_operation.h"
#include "control/blocklist.h"
#include "control/fence_object.h"
#include "control/host_link.h"
#include "holdfast/v1/infra.pb-c.h"

typedef Holdfast__V1__Host Host;

/* --- adoption --- */

static hf_status management_ip_free(const struct hf_store *s, const char *ip)
{
    const struct hf_object *o = hf_store_next(s, HOLDFAST__V1__KIND__HOST, "");
    for (; o != NULL; o = hf_store_next(s, o->kind, o->name)) {
        Host *h = (Host *)hf_object_decode(o);
        bool same = h != NULL && strcmp(h->spec->management_ip, ip) == 0;
        if (h != NULL)
            holdfast__v1__host__free_unpacked(h, NULL);
        if (same)
            return hf_error(HF_EXISTS, "host '%s' has the management address %s already", o->name, ip);
    }
    return HF_STATUS_OK;
}

static hf_status create_host(struct hf_draft *d, ProtobufCMessage *m)
{
    Host *h = (Host *)m;
    HF_TRY(management_ip_free(d->store, h->spec->management_ip));
    h->status->state = HOLDFAST__V1__HOST_STATUS__STATE__CONNECTING;
    h->status->state_since_ms = d->wall_ms;
    return HF_STATUS_OK;
}

/* Once it is deleted it lives no later epoch that would show this one to be over: what nothing else proves
 * would stay on the blocklist for ever, and so would whoever gets its address next. */
static hf_status check_blocklists(struct hf_draft *d, const Host *h, const Holdfast__V1__Fence *f)
{
    for (size_t i = 0; i < f->n_blocklists; i++) {
        const Holdfast__V1__Fence__Blocklist *b = f->blocklists[i];
        ProtobufCMessage *ps =
            hf_object_find(d->store, HOLDFAST__V1__KIND__PRIMARY_STORAGE, b->primary_storage_uuid, NULL);
        bool stays = ps != NULL && b->state != HF_BLOCKLIST_STATE(REMOVED) &&
                     !hf_fence_covers(f, (char *const *)&b->primary_storage_uuid, 1);
        hf_status st = HF_STATUS_OK;
        if (stays)
            st = hf_error(
                HF_PRECONDITION,
                "the cluster of storage '%s' refuses it, and nothing but that proves its epoch %" PRIu64
                " over: make sure that it is off, say so with 'holdfast ha confirm-down --host %s "
                "--epoch %" PRIu64 " --statement \"…\"', and delete it then, so that its addresses "
                "are served again",
                hf_message_meta(ps)->name, f->epoch, h->meta->name, f->epoch);
        if (ps != NULL)
            protobuf_c_message_free_unpacked(ps, NULL);
        HF_TRY(st);
    }
    return HF_STATUS_OK;
}

/* The fence is what is left of the host: a keeper that comes back with this epoch is told to end it, and a
 * host of the same UUID that is added later lives under a higher number, so that no old record or mark is
 * about it. */
static hf_status fence_last_epoch(struct hf_draft *d, const Host *h)
{
    Holdfast__V1__Fence *f = hf_fence_find(d->store, h->meta->uuid, h->status->epoch);
    hf_status st = f != NULL ? check_blocklists(d, h, f) : HF_STATUS_OK;
    if (f == NULL) {
        f = hf_fence_new(hf_call_env(d->call), h->meta->uuid, h->status->epoch, "the host was deleted",
                         "operator");
        hf_txn_put_message(d->txn, hf_call_env(d->call), &f->base);
    }
    holdfast__v1__fence__free_unpacked(f, NULL);
    return st;
}

static hf_status delete_host(struct hf_draft *d, ProtobufCMessage *m)
{
    const Host *h = (const Host *)m;
    if (h->status != NULL && h->status->state == HOLDFAST__V1__HOST_STATUS__STATE__CONNECTED)
        return hf_error(HF_PRECONDITION, "it is connected; stop hostd on it first");
    return h->status != NULL && h->status->epoch > 0 ? fence_last_epoch(d, h) : HF_STATUS_OK;
}

static const char *const host_paths[] = {"spec.disabled", NULL};

const struct hf_kind_rules hf_host_rules = {.kind = HOLDFAST__V1__KIND__HOST,
                                            .mutable_paths = host_paths,
                                            .create = create_host,
                                            .remove = delete_host};

static hf_status find_daemon(const struct hf_api_call *c, const Host *h, struct hf_pending_host *ret)
{
    const struct hf_api_plugs *p = &c->api->plugs;
    const char *ip = h->spec->management_ip;
    if (h->meta->uuid[0] == '\0' && ip[0] == '\0')
        return hf_error(HF_INVALID, "name the daemon by spec.management_ip or meta.uuid");
    if (p->hosts != NULL && p->hosts->find_pending(p->hosts_arg, h->meta->uuid, ip, ret))
        return HF_STATUS_OK;
    return hf_error(HF_PRECONDITION,
                    "no host daemon waits with %s %s: start hostd there with --control and the API "
                    "addresses of the control nodes; ListPendingHosts shows those that wait",
                    h->meta->uuid[0] != '\0' ? "UUID" : "management address",
                    h->meta->uuid[0] != '\0' ? h->meta->uuid : ip);
}

static hf_status adopt(struct hf_draft *d, Host *h)
{
    struct hf_pending_host p;
    struct hf_uuid uuid;
    HF_TRY(find_daemon(d->call, h, &p));
    if (!hf_uuid_parse(p.uuid, &uuid))
        return hf_error(HF_PRECONDITION, "the daemon says that its UUID is '%s', which is none", p.uuid);
    const struct hf_object *taken = hf_store_get(d->store, &uuid);
    if (taken != NULL)
        return hf_error(HF_EXISTS, "the daemon is added already, as %s '%s'",
                        hf_kind_of(taken->kind)->singular, taken->name);
    if (h->spec->management_ip[0] == '\0')
        hf_pb_set(&h->spec->management_ip, p.management_ip);
    if (h->spec->key_sha256.data == NULL) {
        h->spec->key_sha256.data = hf_alloc(32);
        h->spec->key_sha256.len = 32;
    }
    memcpy(h->spec->key_sha256.data, p.key_sha256, 32);
    return hf_draft_create(d, &hf_host_rules, &uuid, &h->base);
}

static hf_status build_create_host(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    struct hf_api_call *c = arg;
    struct hf_draft d = hf_draft_begin(c, s, t);
    Host *h = (Host *)hf_request_object(c->request);
    HF_TRY(hf_wrap(adopt(&d, h), "add host '%s'", h->meta->name));
    struct hf_operation_target target = {HOLDFAST__V1__KIND__HOST, h->meta->uuid, h->meta->name, 0};
    hf_draft_operation(&d, 0, "CreateHost", &target, "waiting for the host to attach", false);
    return HF_STATUS_OK;
}

void hf_handle_create_host(struct hf_api_call *c)
{
    Host *h = (Host *)hf_request_object(c->request);
    if (h == NULL || h->meta == NULL || h->spec == NULL)
        hf_call_end(c, hf_error(HF_INVALID, "add host: the request has no host with meta and spec"));
    else if (h->spec->drain != NULL)
        hf_call_end(c, hf_error(HF_INVALID, "add host '%s': spec.drain is set by DrainHost and its like",
                                h->meta->name));
    else if (h->spec->key_sha256.len != 0)
        hf_call_end(c, hf_error(HF_INVALID, "add host '%s': spec.key_sha256 is the daemon's, leave it empty",
                                h->meta->name));
    else if (h->spec->n_power_fencing != 0)
        hf_call_end(c, hf_error(HF_INVALID,
                                "add host '%s': its power devices are added one by one, with AddPowerDevice",
                                h->meta->name));
    else
        hf_call_write(c, HF_ROOM_ADD, build_create_host);
}

/* --- enable and disable --- */

static hf_status build_enable(struct hf_api_call *c, const struct hf_store *s, struct hf_txn *t, bool enable)
{
    struct hf_draft d = hf_draft_begin(c, s, t);
    const Holdfast__V1__HostVerbRequest *r = (const Holdfast__V1__HostVerbRequest *)c->request;
    hf_status st = HF_STATUS_OK;
    Host *h = (Host *)hf_lookup_message(s, HOLDFAST__V1__KIND__HOST, r->uuid, "", &st);
    if (h == NULL)
        return hf_wrap(st, "%s host", enable ? "enable" : "disable");
    h->spec->disabled = !enable;
    hf_draft_put_answer(&d, &h->base);
    holdfast__v1__host__free_unpacked(h, NULL);
    return HF_STATUS_OK;
}

static hf_status build_enable_host(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    return build_enable(arg, s, t, true);
}

static hf_status build_disable_host(void *arg, const struct hf_store *s, struct hf_txn *t)
{
    return build_enable(arg, s, t, false);
}

void hf_handle_enable_host(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_enable_host);
}

void hf_handle_disable_host(struct hf_api_call *c)
{
    hf_call_write(c, HF_ROOM_ADD, build_disable_host);
}

/* --- those that wait --- */

#define PENDING_MAX 1000 /* shown */

static void list_pending_now(struct hf_api_call *c)
{
    const struct hf_api_plugs *p = &c->api->plugs;
    Holdfast__V1__PendingHost *hosts = hf_alloc_array(PENDING_MAX, sizeof *hosts);
    Holdfast__V1__PendingHost **list = hf_alloc_array(PENDING_MAX, sizeof *list);
    struct hf_pending_host ph;
    size_t n = 0;
    while (n < PENDING_MAX && p->hosts != NULL && p->hosts->pending(p->hosts_arg, n, &ph)) {
        holdfast__v1__pending_host__init(&hosts[n]);
        hosts[n].uuid = (char *)ph.uuid;
        hosts[n].management_ip = (char *)ph.management_ip;
        hosts[n].hostname = (char *)ph.hostname;
        hosts[n].since_ms = ph.since_ms;
        list[n] = &hosts[n];
        n++;
    }
    Holdfast__V1__ListPendingHostsResponse answer = HOLDFAST__V1__LIST_PENDING_HOSTS_RESPONSE__INIT;
    answer.hosts = list;
    answer.n_hosts = n;
    hf_call_answer(c, &answer.base);
    free(list);
    free(hosts);
}

void hf_handle_list_pending_hosts(struct hf_api_call *c)
{
    hf_call_read(c, false, list_pending_now); /* only the leader has the streams */
}
