# Dependencies, warnings, and the three kinds of target that every folder has: a core, its drivers, its tests.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
# Debian 12's own libraft (0.15) loses acknowledged entries: consensus/ keeps the two programs that show it.
pkg_check_modules(RAFT REQUIRED IMPORTED_TARGET raft>=0.22.1)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(LIBVIRT REQUIRED IMPORTED_TARGET libvirt)
pkg_check_modules(LIBXML2 REQUIRED IMPORTED_TARGET libxml-2.0)
pkg_check_modules(LIBNL REQUIRED IMPORTED_TARGET libnl-3.0 libnl-route-3.0)
pkg_check_modules(NFTABLES REQUIRED IMPORTED_TARGET libnftables)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
find_library(HF_RADOS rados REQUIRED) # they come without pkg-config files
find_library(HF_RBD rbd REQUIRED)
pkg_check_modules(JEMALLOC IMPORTED_TARGET jemalloc) # optional, see hf_malloc in base/

option(HF_ASAN "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(HF_TSAN "ThreadSanitizer" OFF)
option(HF_SIM "For the simulator: compile in rare legal paths (base/buggify.h) and planted bugs (base/mutant.h)" OFF)

add_library(hf_flags INTERFACE)
target_compile_definitions(hf_flags INTERFACE _GNU_SOURCE HF_VERSION="${PROJECT_VERSION}")
target_compile_options(hf_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
  -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror=implicit-function-declaration
  -Werror=incompatible-pointer-types -fno-strict-aliasing -fstack-protector-strong)
target_include_directories(hf_flags INTERFACE ${PROJECT_SOURCE_DIR})
if(HF_SIM)
  add_compile_definitions(HF_SIM)
endif()
if(HF_ASAN)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()
if(HF_TSAN)
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
endif()

# hf_library(name SOURCES … LINK …): a static library. A core's LINK names other cores and nothing that touches the outside.
function(hf_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC hf_flags ${A_LINK})
endfunction()

# hf_program(name [INSTALL] SOURCES … LINK …): a binary in build/bin; INSTALL: users get it.
function(hf_program name)
  cmake_parse_arguments(A "INSTALL" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE hf_flags ${A_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  if(A_INSTALL)
    install(TARGETS ${name} RUNTIME)
  endif()
endfunction()

# hf_test(name SOURCES … LINK …): a cmocka program, run by ctest from its source folder (testdata/ is beside it).
function(hf_test name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE hf_flags PkgConfig::CMOCKA ${A_LINK})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()
