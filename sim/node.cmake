hf_library(hf_sim_node
  SOURCES raft_disk.c raft_message.c raft_writer.c raft_io.c node.c node_hosts.c node_api.c
  LINK hf_sim_base hf_sim_checks hf_control_api hf_controllers hf_placement_guard hf_control_store hf_ha hf_consensus)

hf_test(sim_node_test SOURCES node_test.c LINK hf_sim_node)
hf_test(sim_node_chaos_test SOURCES node_chaos_test.c LINK hf_sim_node)
