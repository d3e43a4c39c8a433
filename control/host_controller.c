/* The state of a host as seen: its stream and its fence tell. Connected is set by the grant of its epoch
 * (host_grant.c), too. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/conditions.h"
#include "control/controllers_state.h"
#include "control/drain_controller.h"
#include "control/drain_record.h"
#include "control/ha_controller.h"
#include "control/placement_guard.h"
#include "control/storage_controller.h"

#define CONDITION_NETWORK "StorageNetwork"

#define STATE(name) HOLDFAST__V1__HOST_STATUS__STATE__##name

typedef Holdfast__V1__HostStatus__State state_t;

/* A stream that was lost a moment ago may be back in the next: until the contact time-out, nothing is said.
 */
static state_t state_now(const struct hf_controllers *c, const Holdfast__V1__Host *h)
{
    uint64_t epoch = h->status != NULL ? h->status->epoch : 0;
    if (epoch == 0)
        return STATE(CONNECTING);
    struct hf_uuid fence = hf_fence_uuid(h->meta->uuid, epoch);
    if (hf_world_find_uuid(c->world, HOLDFAST__V1__KIND__FENCE, &fence) != NULL)
        return STATE(FENCED);
    struct hf_host_contact contact;
    if (hf_host_link_contact(c->control->host_link, h->meta->uuid, &contact) && contact.fresh &&
        contact.epoch == epoch)
        return STATE(CONNECTED);
    return hf_ha_contact_lost(c, h) ? STATE(DISCONNECTED) : h->status->state;
}

/* Which of a host's addresses its storages go by. */
static void note_network(struct hf_controllers *c, struct hf_world_object *o, const Holdfast__V1__Host *h)
{
    char *problem = hf_storage_network_problem(c, h);
    const char *said =
        hf_condition_message(h->status->conditions, h->status->n_conditions, CONDITION_NETWORK);
    if (problem != NULL && strcmp(problem, said != NULL ? said : "") != 0) {
        struct hf_edit *e =
            hf_edit_create(&c->editor, "note the storage network of host '%s'", h->meta->name);
        Holdfast__V1__HostStatus *st = ((Holdfast__V1__Host *)hf_edit_change(e, o))->status;
        if (problem[0] != '\0')
            hf_condition_set(&st->conditions, &st->n_conditions, CONDITION_NETWORK, false, problem,
                             hf_controllers_wall_ms(c));
        else
            hf_condition_clear(&st->conditions, &st->n_conditions, CONDITION_NETWORK);
        hf_edit_commit(e, NULL, NULL);
    }
    free(problem);
}

static void note_state(struct hf_controllers *c, struct hf_world_object *o)
{
    const Holdfast__V1__Host *h = (const Holdfast__V1__Host *)(void *)o->message;
    state_t now = state_now(c, h);
    if (h->status == NULL)
        return;
    if (h->status->state == now) {
        note_network(c, o, h);
        return;
    }
    if (now == STATE(DISCONNECTED) && !hf_drain_may_be_silent(h))
        hf_warn("host '%s': no contact", h->meta->name);
    struct hf_edit *e = hf_edit_create(&c->editor, "note the state of host '%s'", h->meta->name);
    Holdfast__V1__Host *changed = hf_edit_change(e, o);
    changed->status->state = now;
    changed->status->state_since_ms = hf_controllers_wall_ms(c);
    hf_edit_commit(e, NULL, NULL);
}

void hf_host_reconcile(struct hf_controllers *c, struct hf_world_object *o)
{
    note_state(c, o);
    hf_drain_reconcile(c, o); /* nothing while that is being committed: it is looked at again then */
}
