// SPDX-License-Identifier: Apache-2.0
/// Going on without a device that failed is a degraded mode: it is counted and told.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <string_view>

namespace lapwing::detect {

/// What is told of a detector that goes on with its CPU driver.
using DeviceWarning = void (*)(std::string_view kind, const Error& error);

/// Sets what is called once for each detector that lost its device; nullptr: nothing. It is called
/// from the thread that scores. Threads: any.
void on_device_failure(DeviceWarning warning) noexcept;

/// Detectors of this process that lost their device. Threads: any.
[[nodiscard]] std::uint64_t device_failures() noexcept;

/// For drivers: the device failed and the CPU takes over.
void report_device_failure(std::string_view kind, const Error& error) noexcept;

}  // namespace lapwing::detect
