// SPDX-License-Identifier: Apache-2.0
/// A device's sync state as one text column, the same in every engine.
#pragma once

#include "shared/base/result.hpp"
#include "shared/sync/hub.hpp"

#include <string>
#include <string_view>

namespace lapwing::hub {

[[nodiscard]] std::string sync_text(const sync::DeviceSyncState& state);
/// Empty text is the state before the first hello. corrupt: not what sync_text wrote.
[[nodiscard]] Result<sync::DeviceSyncState> sync_from(std::string_view text);

}  // namespace lapwing::hub
