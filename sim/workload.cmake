hf_library(hf_sim_workload
  SOURCES workload.c client.c setup.c request.c user.c user_send.c user_instances.c user_objects.c user_wrong.c
  LINK hf_sim_base hf_control_store hf_api)
hf_test(sim_client_test SOURCES client_test.c client.c LINK hf_sim_base hf_api)
