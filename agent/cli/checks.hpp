// SPDX-License-Identifier: Apache-2.0
/// What `lapwing-agent doctor` looks at, one function a thing.
#pragma once

#include "agent/config.hpp"
#include "shared/base/time.hpp"
#include "shared/mqtt/client.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

enum class Grade : std::uint8_t { ok, warn, fail };

/// One line for people. `remedy` is empty when all is well.
struct Finding {
  Grade grade = Grade::ok;
  std::string subject;  ///< `disk`, `uplink certificate`
  std::string text;
  std::string remedy;
};
using Findings = std::vector<Finding>;

/// The clock is past what certificates need, and some time service keeps it.
[[nodiscard]] Findings check_clock(Time at);
/// The data folder can be written and has room; the outbox in it can be read.
[[nodiscard]] Findings check_data(const AgentConfig& config);
/// Certificate and key can be read and belong together, the authority signed it, it is valid and
/// for how long. Empty paths are skipped.
[[nodiscard]] Findings check_certificates(std::string_view subject, const mqtt::Tls& tls, Time at);
/// Connects once, as another client than the running agent, and disconnects.
/// Cost: blocks up to the connect timeout.
[[nodiscard]] Findings check_broker(std::string_view subject, mqtt::Options options);
/// A source's file or broker.
[[nodiscard]] Findings check_source(const SourceConfig& source, Time at);
/// The device's certificates, its name, and the broker of each hub.
[[nodiscard]] Findings check_hub(const UplinkConfig& uplink, Time at);
/// The status address can be listened at, or a running agent has it.
[[nodiscard]] Findings check_status(const StatusConfig& status);

}  // namespace lapwing::agent
