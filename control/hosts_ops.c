/* What the API sees of the hosts' streams and fences, see struct hf_api_hosts_ops. */
#include "control/controllers.h"
#include "control/admission_controller.h"
#include "control/fence_confirm.h"
#include "control/ha_plan.h"
#include "control/ha_drill.h"
#include "control/instance_controller.h"
#include "control/migration_controller.h"

static bool pending(void *arg, size_t i, struct hf_pending_host *ret)
{
    const struct hf_control *c = arg;
    return hf_host_link_pending(c->host_link, i, ret);
}

static bool find_pending(void *arg, const char *uuid, const char *management_ip, struct hf_pending_host *ret)
{
    const struct hf_control *c = arg;
    return hf_host_link_find_pending(c->host_link, uuid, management_ip, ret);
}

static hf_status confirm_down(void *arg, const struct hf_store *s, struct hf_txn *t, const char *host_uuid,
                              uint64_t epoch, const char *statement)
{
    return hf_fence_confirm_down(arg, s, t, host_uuid, epoch, statement);
}

static bool in_contact(void *arg, const char *host_uuid)
{
    const struct hf_control *c = arg;
    struct hf_host_contact contact;
    return hf_host_link_contact(c->host_link, host_uuid, &contact) && contact.attached && contact.fresh;
}

static hf_status drill(void *arg, const struct hf_store *s, struct hf_txn *t, const char *host_uuid,
                       bool force)
{
    return hf_drill_order(arg, s, t, host_uuid, force);
}

static hf_status migrate(void *arg, Holdfast__V1__Instance *i, const char *host_uuid, const void *call)
{
    const struct hf_control *c = arg;
    const Holdfast__V1__Host *h;
    HF_TRY(hf_migration_choose(c->controllers, i, host_uuid, &h));
    struct hf_world_object *o =
        hf_world_find(c->controllers->world, HOLDFAST__V1__KIND__INSTANCE, i->meta->uuid);
    if (o != NULL)
        HF_TRY(hf_instance_keep_room(o, h->meta->uuid, call));
    hf_migration_open_intent(i, h->meta->uuid, h->status->epoch, hf_env_wall_ms(c->env));
    return HF_STATUS_OK;
}

static void migrate_over(void *arg, const void *call)
{
    const struct hf_control *c = arg;
    if (c->controllers != NULL)
        hf_instance_give_up_room(c->controllers, call);
}

static hf_status admit(void *arg, const struct hf_store *s, const Holdfast__V1__Instance *i)
{
    const struct hf_control *c = arg;
    return c->controllers != NULL ? hf_admission_admit(c->controllers, s, i) : HF_STATUS_OK;
}

static hf_status plan_loss(void *arg, char *const *host_uuids, size_t n,
                           Holdfast__V1__PlanHostLossResponse **ret)
{
    const struct hf_control *c = arg;
    if (c->controllers == NULL)
        return hf_error(HF_UNAVAILABLE, "this node runs without controllers");
    return hf_ha_plan(c->controllers, host_uuids, n, ret);
}

const struct hf_api_hosts_ops hf_hosts_ops = {
    .pending = pending,
    .find_pending = find_pending,
    .confirm_down = confirm_down,
    .admit = admit,
    .plan_loss = plan_loss,
    .contact = in_contact,
    .drill = drill,
    .migrate = migrate,
    .migrate_over = migrate_over,
};
