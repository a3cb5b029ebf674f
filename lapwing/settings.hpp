// SPDX-License-Identifier: Apache-2.0
/// What `lapwing login` remembers: which hub, whom to trust, the token.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"

#include <filesystem>
#include <string>

namespace lapwing::cli {

struct Settings {
  std::string hub;                ///< `https://hub.example:8443`
  std::filesystem::path ca_file;  ///< absolute; empty: the system's authorities
  Secret<std::string> token;
};

/// `$LAPWING_CONFIG`, else `$XDG_CONFIG_HOME/lapwing/config.toml`, else
/// `~/.config/lapwing/config.toml`. Errors: bad_config (none of them set).
Result<std::filesystem::path> settings_file();
/// Errors: not_found (not logged in), bad_config (every problem named).
Result<Settings> load_settings(const std::filesystem::path& file);
/// Mode 0600, its folder 0700. Errors: as write_file_atomic.
Result<void> save_settings(const std::filesystem::path& file, const Settings& settings);

}  // namespace lapwing::cli
