/* The table of all methods. A method of the schema that has no row here, or a row without a method, keeps a
 * node from starting (hf_api_check).
 */
#include <string.h>

#include "base/assert.h"
#include "control/api_handlers.h"
#include "control/api_rules.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "holdfast/v1/system.pb-c.h"

#define ROW(svc, method, handler, rules)                                                                     \
    {                                                                                                        \
        &holdfast__v1__##svc##__descriptor, method, hf_handle_##handler, rules                               \
    }

static const struct hf_api_method methods[] = {
    ROW(zone_service, "CreateZone", create, &hf_zone_rules),
    ROW(zone_service, "GetZone", get, &hf_zone_rules),
    ROW(zone_service, "ListZones", list, &hf_zone_rules),
    ROW(zone_service, "UpdateZone", update, &hf_zone_rules),
    ROW(zone_service, "DeleteZone", delete, &hf_zone_rules),

    ROW(cluster_service, "CreateCluster", create, &hf_cluster_rules),
    ROW(cluster_service, "GetCluster", get, &hf_cluster_rules),
    ROW(cluster_service, "ListClusters", list, &hf_cluster_rules),
    ROW(cluster_service, "UpdateCluster", update, &hf_cluster_rules),
    ROW(cluster_service, "DeleteCluster", delete, &hf_cluster_rules),
    ROW(cluster_service, "AttachPrimaryStorage", attach_primary_storage, &hf_cluster_rules),
    ROW(cluster_service, "DetachPrimaryStorage", detach_primary_storage, &hf_cluster_rules),
    ROW(cluster_service, "AttachL2Network", attach_l2_network, &hf_cluster_rules),
    ROW(cluster_service, "DetachL2Network", detach_l2_network, &hf_cluster_rules),

    ROW(host_service, "CreateHost", create_host, &hf_host_rules),
    ROW(host_service, "GetHost", get, &hf_host_rules),
    ROW(host_service, "ListHosts", list, &hf_host_rules),
    ROW(host_service, "UpdateHost", update, &hf_host_rules),
    ROW(host_service, "DeleteHost", delete, &hf_host_rules),
    ROW(host_service, "EnableHost", enable_host, &hf_host_rules),
    ROW(host_service, "DisableHost", disable_host, &hf_host_rules),
    ROW(host_service, "DrainHost", drain_host, &hf_host_rules),
    ROW(host_service, "EnterMaintenance", enter_maintenance, &hf_host_rules),
    ROW(host_service, "ShutDownHost", shut_down_host, &hf_host_rules),
    ROW(host_service, "UndrainHost", undrain_host, &hf_host_rules),
    ROW(host_service, "AddPowerDevice", add_power_device, &hf_host_rules),
    ROW(host_service, "RemovePowerDevice", remove_power_device, &hf_host_rules),
    ROW(host_service, "GetHostPower", get_host_power, NULL),
    ROW(host_service, "SetHostPower", set_host_power, NULL),
    ROW(host_service, "ListPendingHosts", list_pending_hosts, NULL),

    ROW(primary_storage_service, "CreatePrimaryStorage", create, &hf_primary_storage_rules),
    ROW(primary_storage_service, "GetPrimaryStorage", get, &hf_primary_storage_rules),
    ROW(primary_storage_service, "ListPrimaryStorages", list, &hf_primary_storage_rules),
    ROW(primary_storage_service, "UpdatePrimaryStorage", update, &hf_primary_storage_rules),
    ROW(primary_storage_service, "DeletePrimaryStorage", delete, &hf_primary_storage_rules),

    ROW(image_server_service, "CreateImageServer", create, &hf_image_server_rules),
    ROW(image_server_service, "GetImageServer", get, &hf_image_server_rules),
    ROW(image_server_service, "ListImageServers", list, &hf_image_server_rules),
    ROW(image_server_service, "UpdateImageServer", update, &hf_image_server_rules),
    ROW(image_server_service, "DeleteImageServer", delete, &hf_image_server_rules),

    ROW(image_service, "CreateImage", create_image, &hf_image_rules),
    ROW(image_service, "GetImage", get, &hf_image_rules),
    ROW(image_service, "ListImages", list, &hf_image_rules),
    ROW(image_service, "UpdateImage", update, &hf_image_rules),
    ROW(image_service, "DeleteImage", delete, &hf_image_rules),
    ROW(image_service, "BeginImageUpload", begin_image_upload, &hf_image_rules),
    ROW(image_service, "PutImageUpload", put_image_upload, &hf_image_rules),
    ROW(image_service, "FinishImageUpload", finish_image_upload, &hf_image_rules),

    ROW(volume_service, "CreateVolume", create, &hf_volume_rules),
    ROW(volume_service, "GetVolume", get, &hf_volume_rules),
    ROW(volume_service, "ListVolumes", list, &hf_volume_rules),
    ROW(volume_service, "UpdateVolume", update, &hf_volume_rules),
    ROW(volume_service, "DeleteVolume", delete_volume, &hf_volume_rules),
    ROW(volume_service, "AttachVolume", attach_volume, &hf_volume_rules),
    ROW(volume_service, "DetachVolume", detach_volume, &hf_volume_rules),
    ROW(volume_service, "ResizeVolume", resize_volume, &hf_volume_rules),
    ROW(volume_service, "SnapshotVolume", snapshot_volume, &hf_volume_rules),
    ROW(volume_service, "DeleteVolumeSnapshot", delete_volume_snapshot, &hf_volume_rules),
    ROW(volume_service, "RevertVolume", revert_volume, &hf_volume_rules),
    ROW(volume_service, "FlattenVolume", flatten_volume, &hf_volume_rules),

    ROW(l2_network_service, "CreateL2Network", create, &hf_l2_network_rules),
    ROW(l2_network_service, "GetL2Network", get, &hf_l2_network_rules),
    ROW(l2_network_service, "ListL2Networks", list, &hf_l2_network_rules),
    ROW(l2_network_service, "UpdateL2Network", update, &hf_l2_network_rules),
    ROW(l2_network_service, "DeleteL2Network", delete, &hf_l2_network_rules),

    ROW(l3_network_service, "CreateL3Network", create_l3_network, &hf_l3_network_rules),
    ROW(l3_network_service, "GetL3Network", get, &hf_l3_network_rules),
    ROW(l3_network_service, "ListL3Networks", list, &hf_l3_network_rules),
    ROW(l3_network_service, "UpdateL3Network", update, &hf_l3_network_rules),
    ROW(l3_network_service, "DeleteL3Network", delete, &hf_l3_network_rules),
    ROW(l3_network_service, "AddIpRange", add_ip_range, &hf_l3_network_rules),
    ROW(l3_network_service, "ListIpAddresses", list, &hf_ip_address_rules),

    ROW(instance_offering_service, "CreateInstanceOffering", create, &hf_instance_offering_rules),
    ROW(instance_offering_service, "GetInstanceOffering", get, &hf_instance_offering_rules),
    ROW(instance_offering_service, "ListInstanceOfferings", list, &hf_instance_offering_rules),
    ROW(instance_offering_service, "UpdateInstanceOffering", update, &hf_instance_offering_rules),
    ROW(instance_offering_service, "DeleteInstanceOffering", delete, &hf_instance_offering_rules),

    ROW(instance_service, "CreateInstance", create_instance, &hf_instance_rules),
    ROW(instance_service, "GetInstance", get, &hf_instance_rules),
    ROW(instance_service, "ListInstances", list, &hf_instance_rules),
    ROW(instance_service, "UpdateInstance", update, &hf_instance_rules),
    ROW(instance_service, "DeleteInstance", delete_instance, &hf_instance_rules),
    ROW(instance_service, "StartInstance", start_instance, &hf_instance_rules),
    ROW(instance_service, "StopInstance", stop_instance, &hf_instance_rules),
    ROW(instance_service, "RebootInstance", reboot_instance, &hf_instance_rules),
    ROW(instance_service, "PauseInstance", pause_instance, &hf_instance_rules),
    ROW(instance_service, "ResumeInstance", resume_instance, &hf_instance_rules),
    ROW(instance_service, "MigrateInstance", migrate_instance, &hf_instance_rules),

    ROW(affinity_group_service, "CreateAffinityGroup", create, &hf_affinity_group_rules),
    ROW(affinity_group_service, "GetAffinityGroup", get, &hf_affinity_group_rules),
    ROW(affinity_group_service, "ListAffinityGroups", list, &hf_affinity_group_rules),
    ROW(affinity_group_service, "UpdateAffinityGroup", update, &hf_affinity_group_rules),
    ROW(affinity_group_service, "DeleteAffinityGroup", delete, &hf_affinity_group_rules),

    ROW(operation_service, "GetOperation", get, &hf_operation_rules),
    ROW(operation_service, "ListOperations", list, &hf_operation_rules),
    ROW(operation_service, "WaitOperation", wait_operation, &hf_operation_rules),
    ROW(operation_service, "CancelOperation", cancel_operation, &hf_operation_rules),

    ROW(global_setting_service, "GetGlobalSetting", get, &hf_global_setting_rules),
    ROW(global_setting_service, "ListGlobalSettings", list, &hf_global_setting_rules),
    ROW(global_setting_service, "UpdateGlobalSetting", update, &hf_global_setting_rules),

    ROW(ha_service, "PlanHostLoss", plan_host_loss, NULL),
    ROW(ha_service, "ListFences", list, &hf_fence_rules),
    ROW(ha_service, "ListFailovers", list, &hf_failover_rules),
    ROW(ha_service, "ConfirmHostDown", confirm_host_down, &hf_fence_rules),
    ROW(ha_service, "GetTimeline", get_timeline, NULL),
    ROW(ha_service, "GetRecoveryTimes", get_recovery_times, NULL),
    ROW(ha_service, "DrillHost", drill_host, &hf_drill_rules),
    ROW(ha_service, "GetDrill", get, &hf_drill_rules),
    ROW(ha_service, "ListDrills", list, &hf_drill_rules),

    ROW(watch_service, "Watch", watch, NULL),

    ROW(control_service, "GetStatus", get_status, NULL),
    ROW(control_service, "AddControlNode", add_control_node, NULL),
    ROW(control_service, "RemoveControlNode", remove_control_node, NULL),
};

#define METHODS_N (sizeof methods / sizeof methods[0])

static const ProtobufCServiceDescriptor *const services[] = {
    &holdfast__v1__zone_service__descriptor,         &holdfast__v1__cluster_service__descriptor,
    &holdfast__v1__host_service__descriptor,         &holdfast__v1__primary_storage_service__descriptor,
    &holdfast__v1__image_server_service__descriptor, &holdfast__v1__image_service__descriptor,
    &holdfast__v1__volume_service__descriptor,       &holdfast__v1__l2_network_service__descriptor,
    &holdfast__v1__l3_network_service__descriptor,   &holdfast__v1__instance_offering_service__descriptor,
    &holdfast__v1__instance_service__descriptor,     &holdfast__v1__affinity_group_service__descriptor,
    &holdfast__v1__operation_service__descriptor,    &holdfast__v1__global_setting_service__descriptor,
    &holdfast__v1__ha_service__descriptor,           &holdfast__v1__watch_service__descriptor,
    &holdfast__v1__control_service__descriptor,
};

#define SERVICES_N (sizeof services / sizeof services[0])

const struct hf_api_method *hf_api_method(size_t i)
{
    return i < METHODS_N ? &methods[i] : NULL;
}

const ProtobufCServiceDescriptor *hf_api_method_service(const struct hf_api_method *m)
{
    return m->service;
}

const char *hf_api_method_name(const struct hf_api_method *m)
{
    return m->name;
}

const struct hf_api_method *hf_api_method_find(const char *service, const char *method)
{
    for (size_t i = 0; i < METHODS_N; i++)
        if (strcmp(methods[i].service->name, service) == 0 && strcmp(methods[i].name, method) == 0)
            return &methods[i];
    return NULL;
}

/* --- the check at start-up --- */

static bool field_is(const ProtobufCMessageDescriptor *d, unsigned i, uint32_t id, const char *name,
                     ProtobufCType type)
{
    return i < d->n_fields && d->fields[i].id == id && d->fields[i].type == type &&
           (name == NULL || strcmp(d->fields[i].name, name) == 0);
}

/* The shapes that the generic handlers rely on. */
static bool shape_fits(const struct hf_api_method *m, const ProtobufCMethodDescriptor *d)
{
    if (m->handle == hf_handle_get)
        return d->input == &holdfast__v1__get_request__descriptor &&
               d->output == hf_kind_of(m->rules->kind)->message;
    if (m->handle == hf_handle_list)
        return d->input == &holdfast__v1__list_request__descriptor &&
               field_is(d->output, 0, 1, NULL, PROTOBUF_C_TYPE_MESSAGE) &&
               d->output->fields[0].descriptor == hf_kind_of(m->rules->kind)->message &&
               field_is(d->output, 1, 2, "next_page_token", PROTOBUF_C_TYPE_STRING) &&
               field_is(d->output, 2, 3, "revision", PROTOBUF_C_TYPE_UINT64);
    if (m->handle == hf_handle_delete)
        return d->input == &holdfast__v1__delete_request__descriptor &&
               d->output == &holdfast__v1__empty__descriptor;
    if (strncmp(m->name, "Create", 6) != 0 && m->handle != hf_handle_update)
        return true;
    return field_is(d->input, 0, 1, "request_id", PROTOBUF_C_TYPE_STRING) &&
           field_is(d->input, 1, 2, NULL, PROTOBUF_C_TYPE_MESSAGE) &&
           d->input->fields[1].descriptor == hf_kind_of(m->rules->kind)->message &&
           (m->handle != hf_handle_update ||
            field_is(d->input, 2, 3, "update_mask", PROTOBUF_C_TYPE_MESSAGE));
}

static hf_status check_row(const struct hf_api_method *m)
{
    const ProtobufCMethodDescriptor *d =
        protobuf_c_service_descriptor_get_method_by_name(m->service, m->name);
    if (d == NULL)
        return hf_error(HF_INTERNAL, "the API table has a handler for %s/%s, which is not in the schema",
                        m->service->name, m->name);
    if (!shape_fits(m, d))
        return hf_error(HF_INTERNAL, "the messages of %s/%s do not fit its handler", m->service->name,
                        m->name);
    return HF_STATUS_OK;
}

hf_status hf_api_check(void)
{
    for (size_t i = 0; i < METHODS_N; i++)
        HF_TRY(check_row(&methods[i]));
    for (size_t s = 0; s < SERVICES_N; s++)
        for (unsigned i = 0; i < services[s]->n_methods; i++)
            if (hf_api_method_find(services[s]->name, services[s]->methods[i].name) == NULL)
                return hf_error(HF_INTERNAL, "%s/%s has no handler", services[s]->name,
                                services[s]->methods[i].name);
    return HF_STATUS_OK;
}
