// SPDX-License-Identifier: Apache-2.0
/// The tables that are partitioned by the hub's time, a day each.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/postgres/connection.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

inline constexpr std::int64_t kDayUs = 86'400'000'000;
/// Days since 1970, as partitions are named by.
[[nodiscard]] constexpr std::int64_t day_of(Time at) noexcept {
  return std::chrono::floor<std::chrono::days>(at).time_since_epoch().count();
}

/// Threads: may be used from any.
class Partitions {
 public:
  /// A connection of its own: what it makes is there at once, also for transactions under way.
  explicit Partitions(std::unique_ptr<postgres::Connection> connection)
      : db_(std::move(connection)) {}

  /// The day's partitions are there when it returns.
  Result<void> ensure(std::int64_t day);

  struct Partition {
    std::string name;
    std::int64_t day = 0;
    std::uint64_t bytes = 0;  ///< without indexes
    bool half_gone = false;   ///< taking it off was begun and not ended
  };
  /// Those of `table`, oldest first.
  Result<std::vector<Partition>> list(std::string_view table);
  /// Takes them off `table` and drops them; transactions under way go on. io: somebody reads one
  /// for longer than the connection waits for locks; what is left is for the next call.
  Result<void> drop(std::string_view table, std::span<const Partition> partitions);

 private:
  Result<void> make(std::int64_t day);

  std::mutex mutex_;
  std::unique_ptr<postgres::Connection> db_;
  std::set<std::int64_t> made_;
};

}  // namespace lapwing::hub
