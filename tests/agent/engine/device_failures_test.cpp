// SPDX-License-Identifier: Apache-2.0
#include "agent/engine/device_failures.hpp"

#include "shared/detect/cuda/fallback.hpp"

#include <gtest/gtest.h>

#include <string>

namespace lapwing::agent {
namespace {

constexpr auto kName = "lapwing_detector_device_failures_total";

TEST(DeviceFailures, AreCountedAndWarnedOfOnceEach) {
  detect::report_device_failure("knn", {Errc::no_device, "before anyone looked"});
  Metrics metrics;
  DeviceFailures failures(metrics);
  failures.look();
  EXPECT_NE(metrics.text().find(std::string(kName) + " 0\n"), std::string::npos)
      << "known to Prometheus before the first: " << metrics.text();
  ::testing::internal::CaptureStderr();
  detect::report_device_failure("isolation_forest", {Errc::no_device, "fell off the bus"});
  detect::report_device_failure("knn", {Errc::no_device, "no memory"});
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("level=warn"), std::string::npos) << log;
  EXPECT_NE(log.find("detector=isolation_forest error=\"fell off the bus\""), std::string::npos)
      << log;
  EXPECT_NE(log.find("detector=knn error=\"no memory\""), std::string::npos) << log;
  failures.look();
  failures.look();
  EXPECT_NE(metrics.text().find(std::string(kName) + " 2\n"), std::string::npos) << metrics.text();
}

TEST(DeviceFailures, NobodyIsToldAfterwards) {
  Metrics metrics;
  { const DeviceFailures failures(metrics); }
  ::testing::internal::CaptureStderr();
  detect::report_device_failure("knn", {Errc::no_device, "no memory"});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace lapwing::agent
