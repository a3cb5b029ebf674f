// SPDX-License-Identifier: Apache-2.0
/// Reports for people.
#pragma once

#include "agent/replay/judge.hpp"
#include "agent/replay/replay.hpp"
#include "shared/base/short_text.hpp"

#include <string>

namespace lapwing::agent {

/// One line an anomaly, then a summary and the bad rows.
[[nodiscard]] std::string to_text(const ReplayReport& report);
/// How far the anomalies met the labels.
[[nodiscard]] std::string to_text(const Judgement& judgement);

/// As a person would say it: `3.5 h`.
[[nodiscard]] std::string short_span(double seconds);

}  // namespace lapwing::agent
