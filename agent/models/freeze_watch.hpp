// SPDX-License-Identifier: Apache-2.0
/// Tells when nobody has said for long what to run: the hub is away, or somebody holds it back.
#pragma once

#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <optional>
#include <string>
#include <utility>

namespace lapwing::agent {

/// Threads: one at a time.
class FreezeWatch {
 public:
  /// `database_id`: of the outbox; it makes the alarm's id the device's own.
  explicit FreezeWatch(std::string database_id) : database_id_(std::move(database_id)) {}

  /// `until`: the end of the newest assignment while it is over and a version runs; absent
  /// otherwise. The alarm's step, when it begins or ends.
  std::optional<wire::AnomalyRecord> look(std::optional<Time> until, Time now);
  [[nodiscard]] bool frozen() const noexcept { return since_.has_value(); }

 private:
  [[nodiscard]] wire::AnomalyRecord alarm(wire::Phase phase, Time now) const;

  std::string database_id_;
  std::optional<Time> since_;
};

}  // namespace lapwing::agent
