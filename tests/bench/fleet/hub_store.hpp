// SPDX-License-Identifier: Apache-2.0
/// The store of a hub, reached as the hub itself does.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"

#include <filesystem>
#include <memory>

namespace lapwing::fleet {

/// As HUB_DIR/hub.toml says. Errors: exists (SQLite, and its hub is running), bad_config, io.
Result<std::unique_ptr<hub::Store>> open_hub_store(const std::filesystem::path& hub_dir);

}  // namespace lapwing::fleet
