// SPDX-License-Identifier: Apache-2.0
/// Random identifiers from the kernel's generator.
#pragma once

#include <cstdint>
#include <string>

namespace lapwing {

/// 128 random bits as 32 lower-case hex digits: database, instance and connection ids.
[[nodiscard]] std::string random_id();
[[nodiscard]] std::uint64_t random_u64();

}  // namespace lapwing
