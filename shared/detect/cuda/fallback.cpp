// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/fallback.hpp"

#include <atomic>

namespace lapwing::detect {
namespace {
std::atomic<DeviceWarning> warn{nullptr};
std::atomic<std::uint64_t> failures{0};
}  // namespace

void on_device_failure(DeviceWarning warning) noexcept { warn.store(warning); }

std::uint64_t device_failures() noexcept { return failures.load(); }

void report_device_failure(std::string_view kind, const Error& error) noexcept {
  failures.fetch_add(1);
  if (const DeviceWarning warning = warn.load()) warning(kind, error);
}

}  // namespace lapwing::detect
