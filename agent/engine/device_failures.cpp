// SPDX-License-Identifier: Apache-2.0
#include "agent/engine/device_failures.hpp"

#include "shared/base/log.hpp"
#include "shared/detect/cuda/fallback.hpp"

#include <string_view>

namespace lapwing::agent {
namespace {

void warn(std::string_view kind, const Error& error) {
  log::warn("a detector lost its CUDA device and goes on with the CPU",
            {{"detector", kind}, error});
}

}  // namespace

DeviceFailures::DeviceFailures(Metrics& metrics)
    : seen_(detect::device_failures()),
      counter_(metrics.counter("detector_device_failures_total",
                               "Detectors that lost their CUDA device and go on with the CPU")) {
  detect::on_device_failure(&warn);
}

DeviceFailures::~DeviceFailures() { detect::on_device_failure(nullptr); }

void DeviceFailures::look() {
  const std::uint64_t now = detect::device_failures();
  if (now == seen_) return;
  counter_.add(static_cast<double>(now - seen_));
  seen_ = now;
}

}  // namespace lapwing::agent
