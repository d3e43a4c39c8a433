# The keeper: a small program of its own. What it drives stands in files of its own; what it decides is hf_ha.
hf_library(hf_fence_mark_file SOURCES storage_file.c fence_mark_file.c fence_mark_write.c LINK hf_ha)
hf_test(fence_mark_file_test SOURCES fence_mark_file_test.c LINK hf_fence_mark_file)

hf_library(hf_guest_args SOURCES guest_args.c guest_args_gate.c LINK hf_base)
hf_library(hf_keeper_drivers SOURCES keeper_inbox.c keeper_disk.c keeper_procs.c keeper_scan.c keeper_store.c
  keeper_holder.c keeper_watchdog.c keeper_server.c LINK hf_fence_mark_file hf_guest_args hf_ha hf_helper Threads::Threads)
hf_program(hf-lease INSTALL SOURCES hf_lease.c LINK hf_keeper_drivers)
target_link_options(hf-lease PRIVATE -Wl,--as-needed -Wl,-Map=${CMAKE_CURRENT_BINARY_DIR}/hf-lease.map)
add_test(NAME keeper_size_test COMMAND /usr/bin/python3 -B ${CMAKE_CURRENT_SOURCE_DIR}/keeper_size_test.py ${PROJECT_SOURCE_DIR}
  ${CMAKE_CURRENT_BINARY_DIR}/hf-lease.map $<TARGET_FILE:hf-lease>)
# What speaks to RADOS for the keeper.
hf_program(hf-rados-lease INSTALL SOURCES hf_rados_lease.c LINK hf_rados hf_ha hf_helper hf_base)

# The gate: what libvirt starts in QEMU's place.
set(HF_QEMU_PATH /usr/bin/qemu-system-x86_64 CACHE FILEPATH "the QEMU behind the gate")
hf_program(hf-qemu INSTALL SOURCES hf_qemu.c LINK hf_guest_args hf_base)
target_compile_definitions(hf-qemu PRIVATE HF_QEMU_PATH="${HF_QEMU_PATH}")
target_link_options(hf-qemu PRIVATE -Wl,--as-needed)

# hostd's side.
hf_library(hf_keeper_calls SOURCES keeper_calls.c keeper_view.c LINK hf_ha hf_base PkgConfig::UV)
hf_library(hf_keeper_client SOURCES keeper_client.c LINK hf_keeper_calls hf_base_uv)
hf_library(hf_lease_reader SOURCES lease_reader.c lease_store.c LINK hf_fence_mark_file hf_rados hf_ha hf_base_uv)

# Tests with real processes, in namespaces of their own (root; skipped without).
hf_library(hf_keeper_ns SOURCES keeper_ns.c LINK hf_base Threads::Threads)
hf_test(keeper_scan_test SOURCES keeper_scan_test.c LINK hf_keeper_drivers hf_keeper_ns)
hf_test(hf_lease_test SOURCES hf_lease_test.c LINK hf_keeper_client hf_fence_mark_file hf_keeper_ns)
# A gate whose QEMU is the test itself, which then plays a guest.
add_executable(hf_qemu_of_test hf_qemu.c)
target_link_libraries(hf_qemu_of_test PRIVATE hf_flags hf_guest_args hf_base)
target_compile_definitions(hf_qemu_of_test PRIVATE HF_QEMU_PATH="$<TARGET_FILE:hf_lease_test>" HF_QEMU_GATE="/mnt/run/gate.sock")
target_compile_definitions(hf_lease_test PRIVATE HF_LEASE_PATH="$<TARGET_FILE:hf-lease>" HF_GATE_PATH="$<TARGET_FILE:hf_qemu_of_test>")
add_dependencies(hf_lease_test hf-lease hf_qemu_of_test)
# The leak check of the sanitizers does not work in a PID namespace of its own.
set_tests_properties(keeper_scan_test hf_lease_test PROPERTIES SKIP_RETURN_CODE 77 ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
hf_test(lease_reader_test SOURCES lease_reader_test.c LINK hf_lease_reader hf_fence_mark_file)
