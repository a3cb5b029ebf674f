# SPDX-License-Identifier: Apache-2.0
# Every dependency is a Debian 12 package (ARCHITECTURE section 9); nothing is downloaded.

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PostgreSQL REQUIRED)  # libpq
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(simdjson REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(hwy REQUIRED)
find_package(eclipse-paho-mqtt-c REQUIRED)
find_package(PahoMqttCpp REQUIRED)  # tests/bench only: the bare subscriber to compare with
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(PkgConfig REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(rdkafka REQUIRED IMPORTED_TARGET rdkafka)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)
find_program(FLATC flatc REQUIRED)
find_path(FLATBUFFERS_INCLUDE flatbuffers/flatbuffers.h REQUIRED)
if(LAPWING_TESTS)
  find_package(GTest REQUIRED)
endif()

# Boost headers only, Asio without deprecated names.
add_library(lapwing_asio INTERFACE)
target_link_libraries(lapwing_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(lapwing_asio INTERFACE BOOST_ASIO_NO_DEPRECATED)
if(LAPWING_SANITIZE MATCHES "thread")
  # Asio's fences stand beside mutexes, which the sanitizer does follow; g++ warns of every fence.
  target_compile_options(lapwing_asio INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()
if(LAPWING_SANITIZE)
  # False alarm in Beast's parser, where the sanitizer's checks hide that an empty optional is empty (g++ 12).
  target_compile_options(lapwing_asio INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()
