# The host daemon: a core that links nothing of the outside, simulated drivers behind the same vtables, the program.
hf_library(hf_hostd_core
  SOURCES host_core.c host_attach.c host_assign.c instance_rec.c instance_start.c instance_run.c instance_stop.c
          storage_rec.c image_rec.c volume_rec.c network_rec.c
  LINK hf_ha_pb hf_ha hf_storage_core hf_net_core hf_base hf_api)

hf_library(hf_hostd_sim SOURCES vm_sim.c keeper_sim.c LINK hf_base_sim hf_storage_sim hf_net_sim)

if(TARGET hf_ha_pb)
  hf_library(hf_hostd_fixture SOURCES host_fixture.c LINK hf_hostd_core hf_hostd_sim PkgConfig::CMOCKA)
  hf_test(host_attach_test SOURCES host_attach_test.c LINK hf_hostd_fixture)
  hf_test(host_instance_test SOURCES host_instance_test.c LINK hf_hostd_fixture)
  hf_test(host_records_test SOURCES host_records_test.c LINK hf_hostd_fixture)
endif()
