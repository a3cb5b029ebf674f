// SPDX-License-Identifier: Apache-2.0
/// Settings that a hub may give a device while it runs (wire::Desired): the document's meaning.
#pragma once

#include "shared/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::wire {

/// What is absent stays as the device's own configuration says.
struct Settings {
  std::optional<std::uint64_t> pace_bytes_per_second;  ///< [0, 1 GiB]; 0: no limit
  std::optional<Micros> status_interval;               ///< `"30s"`, [1 s, 1 h]
  std::optional<std::string> log_level;                ///< debug, info, warn, error
  friend bool operator==(const Settings&, const Settings&) = default;
};

struct ReadSettings {
  Settings settings;    ///< what could be read
  std::string problem;  ///< the first thing that could not, with the remedy; empty: all was read
};

/// Reads a JSON object. A key that is not known is a problem, and no more: a device whose hub is
/// newer goes on with the rest.
[[nodiscard]] ReadSettings read_settings(std::string_view document);

}  // namespace lapwing::wire
