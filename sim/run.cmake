# What a run is made from: profiles, schedules, traces. Pure, but for files that people name.
hf_library(hf_sim_schedule SOURCES profile.c profile_text.c schedule.c schedule_text.c fault_shape.c points.c text_lines.c
  trace.c shrink.c LINK hf_sim_base hf_ha hf_base)
hf_test(sim_profile_test SOURCES profile_test.c LINK hf_sim_schedule)
hf_test(sim_schedule_test SOURCES schedule_test.c LINK hf_sim_schedule)
hf_test(sim_shrink_test SOURCES shrink_test.c LINK hf_sim_schedule)

# The faults of a schedule in a world.
if(TARGET hf_sim_host AND TARGET hf_sim_node AND TARGET hf_sim_checks)
  hf_library(hf_sim_faults SOURCES schedule_arm.c fault_verbs.c fault_ways.c fault_health.c
    LINK hf_sim_schedule hf_sim_host hf_sim_node hf_sim_checks)
endif()

# On pretended parts: all of the world that faults reach.
hf_test(sim_schedule_arm_test SOURCES schedule_arm_test.c schedule_arm.c fault_verbs.c fault_ways.c fault_health.c
  LINK hf_sim_schedule hf_sim_base hf_api)

# The program, and the same one with worlds that only pretend, for its own tests.
set(run_sources main.c sim_options.c seed_list.c seeds.c failure.c report.c run_one.c)
if(TARGET hf_sim_world)
  hf_program(hf-sim SOURCES ${run_sources} LINK hf_sim_world hf_sim_faults hf_malloc)
endif()
add_executable(hf-sim-fake ${run_sources} fake_world.c)
target_link_libraries(hf-sim-fake PRIVATE hf_flags hf_sim_schedule)
add_test(NAME sim_run_test COMMAND /usr/bin/python3 -B ${CMAKE_CURRENT_SOURCE_DIR}/run_test.py $<TARGET_FILE:hf-sim-fake>)
