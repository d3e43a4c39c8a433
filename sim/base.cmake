hf_library(hf_sim_base SOURCES sim.c proc.c net.c LINK hf_base)
hf_test(sim_base_test SOURCES base_test.c LINK hf_sim_base)
