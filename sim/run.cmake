# What a run is made from: profiles, schedules, traces. Pure, but for files that people name.
hf_library(hf_sim_schedule SOURCES profile.c profile_text.c schedule.c schedule_text.c fault_shape.c points.c text_lines.c
  trace.c shrink.c LINK hf_sim_base hf_ha hf_base)
hf_test(sim_profile_test SOURCES profile_test.c LINK hf_sim_schedule)
hf_test(sim_schedule_test SOURCES schedule_test.c LINK hf_sim_schedule)
hf_test(sim_shrink_test SOURCES shrink_test.c LINK hf_sim_schedule)
