# The controllers of a control node: the placement guard (pure, also in every follower), the controllers' pure core, and the
# gRPC driver of the hosts' streams.
hf_library(hf_placement_guard
  SOURCES placement_guard.c fence_guard.c migration_guard.c blocklist_guard.c blocklist.c guard_object.c storage_session.c power_evidence.c takeover.c
  LINK hf_control_store hf_consensus hf_api hf_base)
hf_library(hf_fence_object SOURCES fence_object.c timeline.c LINK hf_placement_guard hf_control_store)
hf_library(hf_drain_record SOURCES drain_record.c LINK hf_api hf_base)
hf_library(hf_controllers
  SOURCES controllers.c world.c edit.c uuid_map.c conditions.c
    host_link.c host_pending.c host_grant.c hosts_ops.c fence_confirm.c host_controller.c
    host_assignments.c assignment_set.c assignment_image.c host_facts.c affinity_facts.c scheduler.c restart_input.c host_loss.c admission.c admission_controller.c ha_plan.c
    instance_controller.c instance_start.c instance_step.c instance_delete.c migration_controller.c migration_step.c
    image_controller.c image_copy.c image_removal.c image_upload.c image_server_controller.c volume_controller.c volume_growth.c volume_work.c storage_controller.c ceph_controller.c
    operation_controller.c operation_verdict.c
    drain_controller.c drain_facts.c drain_plan.c
    ha_controller.c ha_fencing.c ha_restart.c failover.c ha_power.c ha_blocklist.c ha_unblock.c block_question.c ha_drill.c
  LINK hf_ceph_storage hf_power hf_placement_guard hf_fence_object hf_drain_record hf_control_store PkgConfig::JANSSON hf_ha hf_ha_pb hf_net_core PkgConfig::OPENSSL)
hf_library(hf_host_link_grpc SOURCES host_link_grpc.c upload_grpc.c LINK hf_controllers hf_rpc)

hf_test(placement_guard_test SOURCES placement_guard_test.c LINK hf_placement_guard)
hf_test(migration_guard_test SOURCES migration_guard_test.c LINK hf_placement_guard)
hf_test(blocklist_guard_test SOURCES blocklist_guard_test.c LINK hf_placement_guard)
hf_test(placement_guard_random_test SOURCES placement_guard_random_test.c LINK hf_placement_guard)
hf_library(hf_cloud_testing SOURCES cloud_testing.c cloud_instances.c fake_host.c fake_bmc.c fake_ceph.c LINK hf_controllers PkgConfig::CMOCKA)
hf_test(controllers_test SOURCES controllers_test.c LINK hf_cloud_testing)
hf_test(volume_test SOURCES volume_test.c LINK hf_cloud_testing)
hf_test(migration_test SOURCES migration_test.c LINK hf_cloud_testing)
hf_test(ha_controller_test SOURCES ha_controller_test.c LINK hf_cloud_testing)
hf_test(ha_power_test SOURCES ha_power_test.c LINK hf_cloud_testing)
hf_test(ha_blocklist_test SOURCES ha_blocklist_test.c LINK hf_cloud_testing)
hf_test(placement_test SOURCES placement_test.c LINK hf_cloud_testing)
hf_test(host_loss_test SOURCES host_loss_test.c LINK hf_cloud_testing)
hf_test(ha_drill_test SOURCES ha_drill_test.c LINK hf_cloud_testing)
hf_test(host_link_test SOURCES host_link_test.c LINK hf_cloud_testing)
hf_test(drain_plan_test SOURCES drain_plan_test.c LINK hf_controllers)
hf_test(scheduler_test SOURCES scheduler_test.c LINK hf_controllers)
hf_test(ha_chaos_test SOURCES ha_chaos_test.c LINK hf_cloud_testing)
hf_test(uuid_map_test SOURCES uuid_map_test.c LINK hf_controllers)
hf_test(instance_step_test SOURCES instance_step_test.c LINK hf_controllers)
hf_library(hf_ceph_testing SOURCES ceph_testing.c LINK hf_cloud_testing PkgConfig::JANSSON)
hf_test(ceph_controller_test SOURCES ceph_controller_test.c LINK hf_ceph_testing)
hf_test(image_server_test SOURCES image_server_test.c LINK hf_ceph_testing)
hf_test(image_copy_test SOURCES image_copy_test.c LINK hf_ceph_testing)
