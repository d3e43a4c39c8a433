# Planted bugs: none of them in what is shipped; found by the simulator in the preset "sim" (mutants.py).
if(HF_SIM)
  set(expected present)
  set(programs holdfastd hostd hf-lease)
else()
  set(expected absent)
  set(programs holdfastd hostd hf-lease holdfast)
endif()
set(files)
foreach(program ${programs})
  list(APPEND files $<TARGET_FILE:${program}>)
endforeach()
add_test(NAME shipped_test COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/shipped_test.py ${expected}
  ${PROJECT_SOURCE_DIR}/base/mutant.h ${files})
