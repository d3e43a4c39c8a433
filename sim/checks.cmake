# The invariants: facts in, violations out. They read the stored objects, and share nothing else with the code under test.
hf_library(hf_sim_checks
  SOURCES checks.c check_copies.c check_kills.c check_gate.c check_never_stop.c check_replicas.c check_store.c check_fences.c
    check_placements.c check_affinity.c check_priorities.c check_blocklists.c check_operations.c check_history.c check_converges.c
  LINK hf_controllers hf_ha hf_api hf_base)

foreach(test checks check_gate check_never_stop check_placements check_priorities check_blocklists check_migrations check_store)
  hf_test(sim_${test}_test SOURCES ${test}_test.c LINK hf_sim_checks)
endforeach()
hf_test(sim_check_history_test SOURCES check_history_test.c LINK hf_sim_checks hf_sim_base)
