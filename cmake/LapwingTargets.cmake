# SPDX-License-Identifier: Apache-2.0
# One function per kind of target; every flag lives in the interface target lapwing_settings.

add_library(lapwing_settings INTERFACE)
target_compile_features(lapwing_settings INTERFACE cxx_std_20)
target_include_directories(lapwing_settings INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
# `options` for C++, and for the C++ inside CUDA sources.
function(lapwing_settings_options)
  target_compile_options(lapwing_settings INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${ARGN}>")
  list(JOIN ARGN "," listed)
  target_compile_options(lapwing_settings INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${listed}>")
endfunction()
lapwing_settings_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
  -fno-omit-frame-pointer -fstack-protector-strong -ffp-contract=off)
target_compile_options(lapwing_settings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wpedantic> $<$<COMPILE_LANGUAGE:CXX>:-Wconversion>  # not what nvcc generates
  $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false>)  # as -ffp-contract=off: CPU and GPU give the same bits
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms on std::string (GCC PR 105651); the last three where its header is precompiled.
  lapwing_settings_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # A tenth of its time goes into collecting garbage; so it does not begin before 400 MB.
  target_compile_options(lapwing_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:--param=ggc-min-heapsize=400000>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(lapwing_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wthread-safety>)
endif()
if(LAPWING_WERROR)
  lapwing_settings_options(-Werror)
endif()
if(LAPWING_SANITIZE)
  string(REPLACE "," ";-fsanitize=" sanitizers "-fsanitize=${LAPWING_SANITIZE}")
  lapwing_settings_options(${sanitizers} -g1 -fno-sanitize-recover=all)
  target_link_options(lapwing_settings INTERFACE -fsanitize=${LAPWING_SANITIZE})
  if(LAPWING_FUZZ)
    lapwing_settings_options(-fsanitize=fuzzer-no-link -fno-sanitize=function)  # clang 14 cannot split those as coroutines
  endif()
else()
  target_compile_definitions(lapwing_settings INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
  target_link_options(lapwing_settings INTERFACE -Wl,-z,relro,-z,now -Wl,--gc-sections)
  lapwing_settings_options(-ffunction-sections -fdata-sections)
endif()

set(LAPWING_TEST_SECONDS 300)
if(LAPWING_SANITIZE)
  set(LAPWING_TEST_SECONDS 900)
endif()
# The tests themselves need not be fast: half as long to compile.
add_library(lapwing_test_settings INTERFACE)
target_link_libraries(lapwing_test_settings INTERFACE lapwing_settings)
target_compile_options(lapwing_test_settings INTERFACE -O0 -U_FORTIFY_SOURCE)

set(LAPWING_OPTIMIZED $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>:-O3>)
if(LAPWING_SANITIZE)
  set(LAPWING_OPTIMIZED $<$<COMPILE_LANGUAGE:CXX>:-O1>)  # with asan all else is -O0: compiling takes longer than testing
endif()
include(LapwingPrecompiled)

# Several sources of a target are compiled as one, so that what they all include is read, and what they all use is
# generated, once: half the time of a build. Names in unnamed namespaces are one target's, then, not one source's.
option(LAPWING_UNITY "Compile several sources of a target as one" ON)
set(CMAKE_UNITY_BUILD ${LAPWING_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
if(LAPWING_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  lapwing_settings_options(-Wno-subobject-linkage)  # takes such sources for headers
endif()

# lapwing_add_library(NAME [OPTIMIZED] SOURCES... HEADERS... PUBLIC... PRIVATE...): target lapwing_NAME, alias
# lapwing::NAME. OPTIMIZED: it is on the path of every reading and gets more of the compiler's time.
# Headers form a file set, so that `all_verify_interface_header_sets` compiles each of them alone.
function(lapwing_add_library name)
  cmake_parse_arguments(ARG "OPTIMIZED" "" "SOURCES;HEADERS;PUBLIC;PRIVATE" ${ARGN})
  add_library(lapwing_${name} STATIC)
  add_library(lapwing::${name} ALIAS lapwing_${name})
  target_sources(lapwing_${name} PRIVATE ${ARG_SOURCES}
    PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
  set_target_properties(lapwing_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  target_link_libraries(lapwing_${name} PUBLIC lapwing_settings ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  if(ARG_OPTIMIZED)
    target_compile_options(lapwing_${name} PRIVATE ${LAPWING_OPTIMIZED})
    lapwing_use_precompiled(lapwing_${name} lapwing_precompiled_optimized)
  else()
    lapwing_use_precompiled(lapwing_${name} lapwing_precompiled)
  endif()
endfunction()

# lapwing_add_cuda(NAME CUDA STUB): the source with the CUDA driver in builds with CUDA, else its stub.
function(lapwing_add_cuda name cuda stub)
  if(LAPWING_WITH_CUDA)
    target_sources(lapwing_${name} PRIVATE ${cuda})
  else()
    target_sources(lapwing_${name} PRIVATE ${stub})
  endif()
endfunction()

# lapwing_add_program(NAME SOURCES... PRIVATE...): an executable that is installed.
function(lapwing_add_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE lapwing_settings ${ARG_PRIVATE})
  lapwing_use_precompiled(${name} lapwing_precompiled)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

# lapwing_add_test(NAME SOURCES... DEPS... LABELS unit|contract|integration [COST SECONDS]): one GoogleTest program, one
# ctest entry. Of those that run side by side the ones of greatest cost begin first.
function(lapwing_add_test name)
  cmake_parse_arguments(ARG "" "COST" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_LABELS MATCHES "^(unit|contract|integration)$")
    message(FATAL_ERROR "${name}: LABELS must be unit, contract or integration: tests/run.sh runs no other")
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE lapwing_test_settings ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  lapwing_use_precompiled(${name} lapwing_precompiled_tests)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${LAPWING_TEST_SECONDS})
  if(ARG_COST)
    set_tests_properties(${name} PROPERTIES COST ${ARG_COST})
  endif()
endfunction()
