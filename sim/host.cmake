# Simulated storages and hosts: the cores of hostd and of the keeper with simulated drivers.
hf_library(hf_sim_storage SOURCES storage.c storage_io.c storage_record.c ceph.c LINK hf_sim_base hf_storage_sim hf_ha hf_base)
hf_library(hf_sim_host
  SOURCES host.c host_guest.c host_watchdog.c host_libvirt.c host_keeper.c host_keeper_procs.c host_keeper_link.c host_gate.c host_daemon.c host_reader.c power.c ceph_runner.c ceph_verbs.c
  LINK hf_sim_storage hf_ceph_fence_plan PkgConfig::JANSSON hf_hostd_core hf_hostd_sim hf_keeper_calls hf_ha)

# They bring a leader and checks of their own.
hf_library(hf_sim_host_fixture SOURCES host_fixture.c LINK hf_sim_host hf_api)
hf_test(sim_host_test SOURCES host_test.c LINK hf_sim_host_fixture)
if(TARGET hf_sim_checks)
  hf_test(sim_storage_test SOURCES storage_test.c LINK hf_sim_storage hf_sim_checks)
  hf_test(sim_ceph_test SOURCES ceph_test.c LINK hf_sim_storage hf_sim_checks)
  hf_test(sim_ceph_runner_test SOURCES ceph_runner_test.c LINK hf_sim_host hf_sim_node hf_sim_checks)
endif()
