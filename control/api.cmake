# The API of a control node: kinds and commands (shared with the controllers), the pure API core, its gRPC driver, holdfastd.
hf_library(hf_control_store
  SOURCES kinds.c command.c settings.c pb_list.c upload_record.c
  LINK hf_consensus hf_api hf_base)
# Power devices of hosts: for the API and the controllers; the driver runs their fence agents.
hf_library(hf_power SOURCES power_devices.c power_job.c power_ask.c LINK hf_control_store hf_ha)
# What a Ceph primary storage is told by its user.
hf_library(hf_ceph_storage SOURCES ceph_storage.c image_pairing.c LINK hf_api hf_storage_core hf_base)
hf_library(hf_ceph_child SOURCES ceph_child.c LINK hf_base_uv)
# What control nodes ask of a Ceph cluster, each time in a process of its own.
hf_library(hf_ceph_fence_plan SOURCES ceph_fence_plan.c LINK hf_storage_core hf_net_core PkgConfig::JANSSON)
hf_test(ceph_fence_plan_test SOURCES ceph_fence_plan_test.c LINK hf_ceph_fence_plan)
hf_program(hf-ceph INSTALL SOURCES hf_ceph.c ceph_prepare.c ceph_fence.c ceph_remove.c
  LINK hf_ceph_fence_plan hf_rbd_lib PkgConfig::JANSSON Threads::Threads)
# On a real cluster, which the script starts and ends.
foreach(test ceph_fence_real_test ceph_images_real_test ceph_mons_real_test)
  add_test(NAME ${test} COMMAND /usr/bin/python3 -B ${CMAKE_CURRENT_SOURCE_DIR}/${test}.py ${PROJECT_SOURCE_DIR}/lab $<TARGET_FILE:hf-ceph>)
  set_tests_properties(${test} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
# The files of images that are being uploaded.
hf_library(hf_upload_spool SOURCES upload_spool.c upload_disk.c upload_sweep.c LINK hf_control_store hf_base_uv PkgConfig::OPENSSL)
hf_test(upload_spool_test SOURCES upload_spool_test.c LINK hf_upload_spool)
hf_library(hf_fence_agents SOURCES fence_agents.c LINK hf_ha hf_base_uv)
hf_library(hf_control_api
  SOURCES api_call.c api_rooms.c api_methods.c api_standard.c api_list.c refs.c filter.c pb_path.c
    api_cluster.c api_host.c api_drain.c api_storage.c api_image_server.c api_image_upload.c api_volume.c api_volume_resize.c api_volume_work.c api_network.c api_address.c
    api_instance.c api_power.c api_host_power.c api_reach.c api_operation.c api_system.c api_watch.c api_history.c recovery_times.c
  LINK hf_ceph_storage hf_power hf_control_store hf_placement_guard hf_fence_object hf_drain_record hf_net_core hf_storage_core)
hf_library(hf_control_grpc
  SOURCES api_grpc.c
  LINK hf_control_api hf_rpc)
hf_program(holdfastd INSTALL
  SOURCES holdfastd.c daemon_options.c daemon_controllers.c
  LINK hf_ceph_child hf_upload_spool hf_fence_agents hf_control_grpc hf_control_api hf_host_link_grpc hf_controllers hf_placement_guard hf_raft_uv hf_rpc hf_base_uv hf_malloc)

foreach(test api_test api_kinds_test api_nodes_test api_upload_test)
  add_test(NAME ${test}
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/${test}.py $<TARGET_FILE:holdfastd> ${PROJECT_SOURCE_DIR}/api)
  set_tests_properties(${test} PROPERTIES TIMEOUT 300)
endforeach()
hf_test(power_devices_test SOURCES power_devices_test.c LINK hf_power hf_placement_guard)
hf_test(fence_agents_test SOURCES fence_agents_test.c LINK hf_fence_agents)
hf_test(fence_agents_real_test SOURCES fence_agents_real_test.c LINK hf_fence_agents)
hf_test(recovery_times_test SOURCES recovery_times_test.c LINK hf_control_api)
hf_test(api_history_test SOURCES api_history_test.c LINK hf_control_api hf_cloud_testing)
hf_test(filter_test SOURCES filter_test.c LINK hf_control_api)
hf_test(pb_path_test SOURCES pb_path_test.c LINK hf_control_api)
hf_test(api_core_test SOURCES api_core_test.c LINK hf_control_api hf_cloud_testing)
hf_test(api_volume_test SOURCES api_volume_test.c LINK hf_control_api hf_cloud_testing)
hf_test(api_image_server_test SOURCES api_image_server_test.c LINK hf_control_api hf_ceph_testing)
hf_test(api_host_test SOURCES api_host_test.c LINK hf_control_api hf_cloud_testing)
hf_test(drain_test SOURCES drain_test.c LINK hf_control_api hf_cloud_testing)
hf_test(api_host_power_test SOURCES api_host_power_test.c LINK hf_control_api hf_cloud_testing)
hf_test(settings_test SOURCES settings_test.c LINK hf_control_store hf_cloud_testing)
