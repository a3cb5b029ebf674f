// SPDX-License-Identifier: Apache-2.0
#include "shared/base/ids.hpp"

#include <cassert>
#include <cstddef>
#include <cstdio>
#include <sys/random.h>

namespace lapwing {

std::uint64_t random_u64() {
  std::uint64_t value = 0;
  [[maybe_unused]] const auto got = getrandom(&value, sizeof value, 0);
  assert(got == sizeof value);  // up to 256 bytes never come short once the kernel is seeded
  return value;
}

std::string random_id() {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(random_u64()),
                static_cast<unsigned long long>(random_u64()));
  return {text, 32};
}

}  // namespace lapwing
