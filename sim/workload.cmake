hf_library(hf_sim_workload
  SOURCES workload.c client.c setup.c setup_steps.c request.c watcher.c
    user.c user_send.c user_instances.c user_volumes.c user_objects.c user_wrong.c
  LINK hf_sim_base hf_controllers hf_control_store hf_api)
hf_test(sim_client_test SOURCES client_test.c client.c LINK hf_sim_base hf_api)
if(TARGET hf_sim_checks)
  hf_test(sim_watcher_test
    SOURCES watcher_test.c watcher.c client.c
    LINK hf_sim_checks hf_sim_base hf_controllers hf_api)
  hf_test(sim_user_send_test
    SOURCES user_send_test.c user_send.c client.c request.c
    LINK hf_sim_checks hf_sim_base hf_control_store hf_api)
endif()
if(TARGET hf_sim_node AND TARGET hf_sim_host AND TARGET hf_sim_checks)
  hf_test(sim_workload_test SOURCES workload_test.c LINK hf_sim_workload hf_sim_node hf_sim_host hf_sim_checks)
endif()
