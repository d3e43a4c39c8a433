if(TARGET hf_sim_workload AND TARGET hf_sim_host AND TARGET hf_sim_node AND TARGET hf_sim_checks)
  hf_library(hf_sim_world SOURCES world.c LINK hf_sim_workload hf_sim_faults hf_sim_host hf_sim_node
    hf_sim_checks hf_sim_base)
endif()
