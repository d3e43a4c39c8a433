# The host daemon: a core that links nothing of the outside, simulated drivers behind the same vtables, the program.
hf_library(hf_hostd_core
  SOURCES host_core.c host_attach.c host_leave.c host_assign.c instance_rec.c instance_assign.c instance_start.c instance_run.c
    instance_grow.c instance_io.c instance_move.c instance_stop.c
          storage_rec.c storage_lease.c storage_place.c peer_values.c image_rec.c volume_rec.c volume_rec_work.c network_rec.c
  LINK hf_ha_pb hf_ha hf_storage_core hf_net_core hf_base hf_api)

hf_test(storage_place_test SOURCES storage_place_test.c LINK hf_hostd_core)

hf_library(hf_hostd_sim SOURCES vm_sim.c vm_sim_qemu.c vm_sim_gate.c vm_sim_move.c keeper_sim.c
  LINK hf_base_sim hf_storage_sim hf_net_sim)

hf_library(hf_hostd_fixture SOURCES host_fixture.c LINK hf_hostd_core hf_hostd_sim PkgConfig::CMOCKA)
hf_test(host_attach_test SOURCES host_attach_test.c LINK hf_hostd_fixture)
hf_test(host_instance_test SOURCES host_instance_test.c LINK hf_hostd_fixture)
hf_test(host_running_test SOURCES host_running_test.c LINK hf_hostd_fixture)
hf_test(host_leave_test SOURCES host_leave_test.c LINK hf_hostd_fixture)
hf_test(host_migration_test SOURCES host_migration_test.c LINK hf_hostd_fixture)
hf_test(host_chaos_test SOURCES host_chaos_test.c LINK hf_hostd_fixture)
hf_test(host_records_test SOURCES host_records_test.c LINK hf_hostd_fixture)

hf_library(hf_identity SOURCES identity.c LINK hf_ha hf_base)
hf_test(identity_test SOURCES identity_test.c LINK hf_identity)

hf_library(hf_daemon_lock SOURCES daemon_lock.c shut_down_call.c LINK hf_base)
hf_test(daemon_lock_test SOURCES daemon_lock_test.c LINK hf_daemon_lock)

hf_library(hf_hostd_options SOURCES hostd_options.c LINK hf_storage_core hf_api hf_base)
hf_test(hostd_options_test SOURCES hostd_options_test.c LINK hf_hostd_options)

hf_library(hf_control_link SOURCES control_link.c LINK hf_hostd_core hf_rpc)
hf_test(control_link_test SOURCES control_link_test.c LINK hf_control_link hf_hostd_sim hf_base_uv)

hf_library(hf_upload_reader SOURCES upload_reader.c LINK hf_rpc hf_storage)
hf_test(upload_reader_test SOURCES upload_reader_test.c LINK hf_upload_reader)

if(TARGET hf_accel)
  hf_program(hostd INSTALL SOURCES hostd.c host_addresses.c LINK hf_hostd_options hf_daemon_lock hf_hostd_core hf_control_link hf_upload_reader hf_identity hf_vm_libvirt
    hf_keeper_client hf_lease_reader hf_storage hf_primary_rbd hf_net hf_accel hf_rpc hf_base_uv)
endif()
