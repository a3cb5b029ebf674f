// SPDX-License-Identifier: Apache-2.0
/// Inside of hub/cli: the hub that a configuration file describes.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"

#include <filesystem>
#include <memory>

namespace lapwing::hub {

/// `[hub] data_dir`. Errors: bad_config (the file cannot be read).
Result<std::filesystem::path> configured_folder(const std::filesystem::path& config);

/// Its store. It must exist: a token in a new, empty store by a mistyped path would be of no use.
/// Errors: bad_config, exists (SQLite, and the hub is running).
Result<std::unique_ptr<Store>> configured_store(const std::filesystem::path& config);

}  // namespace lapwing::hub
