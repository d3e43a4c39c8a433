#include "control/host_assignments.h"

#include <stdlib.h>
#include <string.h>

#include "base/buggify.h"
#include "base/mem.h"
#include "control/assignment_set.h"

struct attached_host {
    struct attached_host *next;
    char uuid[HF_UUID_STR];
    uint64_t epoch;
    bool marked; /* it may have to know more, or less */
    bool synced; /* the full set was sent */
    struct hf_assignment_set sent;
};

struct hf_host_assignments {
    struct hf_control *control;
    struct hf_world *world;
    struct attached_host *hosts;
};

struct hf_host_assignments *hf_host_assignments_create(struct hf_control *c, struct hf_world *w)
{
    struct hf_host_assignments *a = HF_NEW(struct hf_host_assignments);
    a->control = c;
    a->world = w;
    return a;
}

void hf_host_assignments_detached(struct hf_host_assignments *a, const char *host_uuid)
{
    for (struct attached_host **at = &a->hosts; *at != NULL; at = &(*at)->next) {
        struct attached_host *h = *at;
        if (strcmp(h->uuid, host_uuid) != 0)
            continue;
        *at = h->next;
        hf_assignment_set_done(&h->sent);
        free(h);
        return;
    }
}

void hf_host_assignments_clear(struct hf_host_assignments *a)
{
    while (a->hosts != NULL)
        hf_host_assignments_detached(a, a->hosts->uuid);
}

void hf_host_assignments_free(struct hf_host_assignments *a)
{
    hf_host_assignments_clear(a);
    free(a);
}

void hf_host_assignments_attached(struct hf_host_assignments *a, const char *host_uuid, uint64_t epoch)
{
    hf_host_assignments_detached(a, host_uuid);
    struct attached_host *h = HF_NEW(struct attached_host);
    snprintf(h->uuid, sizeof h->uuid, "%s", host_uuid);
    h->epoch = epoch;
    h->next = a->hosts;
    a->hosts = h;
    h->marked = true;
}

void hf_host_assignments_mark(struct hf_host_assignments *a, const char *host_uuid)
{
    for (struct attached_host *h = a->hosts; h != NULL; h = h->next)
        h->marked |= host_uuid == NULL || strcmp(h->uuid, host_uuid) == 0;
}

static bool send_one(struct hf_host_assignments *a, const struct attached_host *h,
                     const struct hf_assignment *one)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    ProtobufCMessage *body = hf_assignment_message(one);
    if (one->observe) {
        m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_OBSERVE;
        m.observe = (Holdfast__V1__Observe *)(void *)body;
    } else {
        m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_ASSIGN;
        m.assign = (Holdfast__V1__Assignment *)(void *)body;
    }
    bool sent = hf_host_link_send(a->control->host_link, h->uuid, &m);
    protobuf_c_message_free_unpacked(body, NULL);
    return sent;
}

static bool send_gone(struct hf_host_assignments *a, const struct attached_host *h,
                      const struct hf_assignment *one)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Unassign u = HOLDFAST__V1__UNASSIGN__INIT;
    Holdfast__V1__Observe none = HOLDFAST__V1__OBSERVE__INIT;
    if (one->observe) {
        none.primary_storage_uuid = (char *)one->uuid;
        m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_OBSERVE;
        m.observe = &none;
    } else {
        u.kind = (Holdfast__V1__Kind)one->kind;
        u.uuid = (char *)one->uuid;
        m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_UNASSIGN;
        m.unassign = &u;
    }
    return hf_host_link_send(a->control->host_link, h->uuid, &m);
}

static bool send_synced(struct hf_host_assignments *a, const struct attached_host *h)
{
    Holdfast__V1__ControlMessage m = HOLDFAST__V1__CONTROL_MESSAGE__INIT;
    Holdfast__V1__Synced synced = HOLDFAST__V1__SYNCED__INIT;
    m.body_case = HOLDFAST__V1__CONTROL_MESSAGE__BODY_SYNCED;
    m.synced = &synced;
    return hf_host_link_send(a->control->host_link, h->uuid, &m);
}

static void sync_host(struct hf_host_assignments *a, struct attached_host *h)
{
    struct hf_assignment_set now;
    hf_assignment_set_build(&now, a->world, hf_control_store(a->control), h->uuid, h->epoch);
    /* What is gone goes last to come first: an instance leaves before its network and storage do. */
    for (size_t i = h->sent.n; i-- > 0;)
        if (hf_assignment_set_find(&now, h->sent.items[i].observe, h->sent.items[i].uuid) == NULL)
            send_gone(a, h, &h->sent.items[i]);
    for (size_t i = 0; i < now.n; i++) {
        const struct hf_assignment *old =
            hf_assignment_set_find(&h->sent, now.items[i].observe, now.items[i].uuid);
        if (old == NULL || !hf_assignment_same(old, &now.items[i]) || HF_BUGGIFY(ASSIGN_AGAIN))
            send_one(a, h, &now.items[i]);
    }
    if (!h->synced)
        h->synced = send_synced(a, h);
    hf_assignment_set_done(&h->sent);
    h->sent = now;
}

void hf_host_assignments_sync(struct hf_host_assignments *a)
{
    for (struct attached_host *h = a->hosts; h != NULL; h = h->next) {
        if (!h->marked)
            continue;
        h->marked = false;
        sync_host(a, h);
    }
}
