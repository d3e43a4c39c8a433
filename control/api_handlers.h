/* The handlers of the table that are not standard methods, in the files named beside them. */
#ifndef HF_CONTROL_API_HANDLERS_H
#define HF_CONTROL_API_HANDLERS_H

#include "control/api_call.h"

/* api_cluster.c */
void hf_handle_attach_primary_storage(struct hf_api_call *c);
void hf_handle_detach_primary_storage(struct hf_api_call *c);
void hf_handle_attach_l2_network(struct hf_api_call *c);
void hf_handle_detach_l2_network(struct hf_api_call *c);

/* api_host.c */
void hf_handle_create_host(struct hf_api_call *c);
void hf_handle_enable_host(struct hf_api_call *c);
void hf_handle_disable_host(struct hf_api_call *c);
void hf_handle_list_pending_hosts(struct hf_api_call *c);

/* api_drain.c */
void hf_handle_drain_host(struct hf_api_call *c);
void hf_handle_enter_maintenance(struct hf_api_call *c);
void hf_handle_shut_down_host(struct hf_api_call *c);
void hf_handle_undrain_host(struct hf_api_call *c);

/* api_host_power.c */
void hf_handle_add_power_device(struct hf_api_call *c);
void hf_handle_remove_power_device(struct hf_api_call *c);
void hf_handle_get_host_power(struct hf_api_call *c);
void hf_handle_set_host_power(struct hf_api_call *c);

/* api_storage.c, api_volume.c */
void hf_handle_create_image(struct hf_api_call *c);
void hf_handle_delete_volume(struct hf_api_call *c);
void hf_handle_attach_volume(struct hf_api_call *c);
void hf_handle_detach_volume(struct hf_api_call *c);

/* api_image_upload.c */
void hf_handle_begin_image_upload(struct hf_api_call *c);
void hf_handle_put_image_upload(struct hf_api_call *c);
void hf_handle_finish_image_upload(struct hf_api_call *c);

/* api_volume_resize.c */
void hf_handle_resize_volume(struct hf_api_call *c);

/* api_volume_work.c */
void hf_handle_snapshot_volume(struct hf_api_call *c);
void hf_handle_delete_volume_snapshot(struct hf_api_call *c);
void hf_handle_revert_volume(struct hf_api_call *c);
void hf_handle_flatten_volume(struct hf_api_call *c);

/* api_network.c */
void hf_handle_create_l3_network(struct hf_api_call *c);
void hf_handle_add_ip_range(struct hf_api_call *c);

/* api_instance.c, api_power.c */
void hf_handle_create_instance(struct hf_api_call *c);
void hf_handle_delete_instance(struct hf_api_call *c);
void hf_handle_start_instance(struct hf_api_call *c);
void hf_handle_stop_instance(struct hf_api_call *c);
void hf_handle_reboot_instance(struct hf_api_call *c);
void hf_handle_pause_instance(struct hf_api_call *c);
void hf_handle_resume_instance(struct hf_api_call *c);
void hf_handle_migrate_instance(struct hf_api_call *c);

/* api_operation.c */
void hf_handle_wait_operation(struct hf_api_call *c);
void hf_handle_cancel_operation(struct hf_api_call *c);

/* api_history.c */
void hf_handle_get_timeline(struct hf_api_call *c);
void hf_handle_get_recovery_times(struct hf_api_call *c);
void hf_handle_drill_host(struct hf_api_call *c);

/* api_system.c, api_watch.c */
void hf_handle_plan_host_loss(struct hf_api_call *c);
void hf_handle_confirm_host_down(struct hf_api_call *c);
void hf_handle_watch(struct hf_api_call *c);
void hf_handle_get_status(struct hf_api_call *c);
void hf_handle_add_control_node(struct hf_api_call *c);
void hf_handle_remove_control_node(struct hf_api_call *c);

#endif
