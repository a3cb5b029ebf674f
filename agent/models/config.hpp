// SPDX-License-Identifier: Apache-2.0
/// `[models]` of the agent's configuration.
#pragma once

#include "shared/base/time.hpp"

#include <filesystem>
#include <string>

namespace lapwing::config {
class Section;
}

namespace lapwing::agent {

/// Plain data.
struct ModelsConfig {
  std::filesystem::path keys_file;  ///< signed key list; default `keys.lwk` beside the certificate
  Micros confirm_after = std::chrono::minutes(10);  ///< [1 s, 7 d]
  Micros report_every = std::chrono::minutes(1);    ///< while on trial, [1 s, 1 h]
  std::string device_class;                         ///< empty: takes models for any class only

  /// `certificate` is the uplink's; empty without a hub.
  static ModelsConfig read(config::Section section, const std::filesystem::path& certificate);
};

}  // namespace lapwing::agent
