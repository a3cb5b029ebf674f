# SPDX-License-Identifier: Apache-2.0
# Much of a build is reading the same headers again: those of the standard library, and of GoogleTest. They are
# precompiled once for the libraries and programs, once for the tests; sources include what they use all the same,
# and -DLAPWING_PRECOMPILED=OFF shows whether they do. A header's optimization level comes with it and rules the
# source (g++ 12), so what is optimized otherwise has headers of its own.
option(LAPWING_PRECOMPILED "Precompile the headers that nearly every source includes" ON)

set(LAPWING_STANDARD_HEADERS <algorithm> <array> <atomic> <charconv> <chrono> <cmath> <condition_variable> <cstddef>
  <cstdint> <cstring> <filesystem> <functional> <limits> <map> <memory> <mutex> <numeric> <optional> <ostream> <set>
  <span> <sstream> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>)

# lapwing_add_precompiled(NAME LINK... HEADERS... OPTIONS...): target NAME, from which lapwing_use_precompiled() takes
# the headers.
function(lapwing_add_precompiled name)
  cmake_parse_arguments(ARG "" "" "LINK;HEADERS;OPTIONS" ${ARGN})
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled/${name}.cpp CONTENT "// Holds precompiled headers.\n")
  add_library(${name} OBJECT ${PROJECT_BINARY_DIR}/precompiled/${name}.cpp)
  target_link_libraries(${name} PRIVATE lapwing_settings ${ARG_LINK})
  target_compile_options(${name} PRIVATE ${ARG_OPTIONS})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
endfunction()

function(lapwing_use_precompiled target name)
  if(LAPWING_PRECOMPILED)
    target_precompile_headers(${target} REUSE_FROM ${name})
  endif()
endfunction()

if(LAPWING_PRECOMPILED)
  lapwing_add_precompiled(lapwing_precompiled HEADERS ${LAPWING_STANDARD_HEADERS})
  lapwing_add_precompiled(lapwing_precompiled_optimized OPTIONS ${LAPWING_OPTIMIZED}
    HEADERS ${LAPWING_STANDARD_HEADERS})
  if(LAPWING_TESTS)
    lapwing_add_precompiled(lapwing_precompiled_tests LINK lapwing_test_settings GTest::gmock
      HEADERS ${LAPWING_STANDARD_HEADERS} <gmock/gmock.h> <gtest/gtest.h>)
  endif()
endif()
