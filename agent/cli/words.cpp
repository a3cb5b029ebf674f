// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/words.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace lapwing::agent {

std::string_view word(wire::RecordClass record_class) {
  switch (record_class) {
    case wire::RecordClass::anomaly:
      return "anomaly";
    case wire::RecordClass::summary:
      return "summary";
    case wire::RecordClass::loss:
      return "loss";
    case wire::RecordClass::model_report:
      return "model_report";
  }
  return "unknown";
}

std::string_view word(wire::Phase phase) {
  return phase == wire::Phase::opened    ? "opened"
         : phase == wire::Phase::updated ? "updated"
                                         : "closed";
}

std::string_view word(wire::Severity severity) {
  return severity == wire::Severity::minor   ? "minor"
         : severity == wire::Severity::major ? "major"
                                             : "critical";
}

std::string_view word(wire::Reason reason) {
  switch (reason) {
    case wire::Reason::unusual:
      return "unusual";
    case wire::Reason::out_of_range:
      return "out_of_range";
    case wire::Reason::stuck:
      return "stuck";
    case wire::Reason::gap:
      return "gap";
    case wire::Reason::rate:
      return "rate";
    case wire::Reason::not_a_number:
      return "not_a_number";
    case wire::Reason::clock:
      return "clock";
  }
  return "unusual";
}

std::string_view word(wire::LossReason reason) {
  switch (reason) {
    case wire::LossReason::quota:
      return "quota";
    case wire::LossReason::corrupt:
      return "corrupt";
    case wire::LossReason::vanished:
      return "vanished";
    case wire::LossReason::poison:
      return "poison";
  }
  return "quota";
}

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

}  // namespace lapwing::agent
