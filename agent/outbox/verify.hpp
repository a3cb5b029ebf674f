// SPDX-License-Identifier: Apache-2.0
/// Whether an outbox's files are sound, for people who ask.
#pragma once

#include "agent/outbox/high_water_mark.hpp"
#include "shared/base/result.hpp"
#include "shared/wire/messages.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::agent {

struct OutboxCheck {
  HighWaterMark position;
  std::uint64_t records = 0;                       ///< that wait and can be read
  std::map<wire::LossReason, std::uint64_t> lost;  ///< told as losses, or to be told
  std::vector<std::string> problems;               ///< for people; empty: all is sound
  [[nodiscard]] bool sound() const { return problems.empty(); }
};

/// Reads every page, every waiting row and the mark of the outbox in `folder`, which may be in use.
/// `progress`: numbers seen, numbers in all. Errors: io, denied, not_found. A damaged file is no
/// error: it is in `problems`.
Result<OutboxCheck> verify_outbox(
    const std::filesystem::path& folder,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace lapwing::agent
