// SPDX-License-Identifier: Apache-2.0
/// Counts this program's allocations; count_allocations.cpp replaces operator new.
#pragma once

#include <cstddef>

namespace lapwing::testing {

[[nodiscard]] std::size_t allocations_total() noexcept;

/// Allocations since it was made.
class AllocationCount {
 public:
  AllocationCount() : start_(allocations_total()) {}
  [[nodiscard]] std::size_t since_start() const noexcept { return allocations_total() - start_; }

 private:
  std::size_t start_;
};

}  // namespace lapwing::testing
