// SPDX-License-Identifier: Apache-2.0
#include "hub/store/retention.hpp"

#include "shared/base/config.hpp"

namespace lapwing::hub {

Retention Retention::read(config::Section& section) {
  using std::chrono::hours;
  Retention keep;
  const auto age = [&](config::Key key, hours fallback) {
    return std::chrono::duration_cast<hours>(
        section.duration(key, fallback, hours(1), hours(24 * 3650)));
  };
  keep.history = age({"history", "how long score history is kept", "duration"}, keep.history);
  keep.anomalies =
      age({"anomalies", "how long closed anomalies are kept", "duration"}, keep.anomalies);
  keep.history_rows = static_cast<std::uint64_t>(
      section.integer({"history_rows", "score history points kept; the oldest go first", "rows"},
                      100'000'000, 10'000, 10'000'000'000));
  keep.feed_rows = static_cast<std::uint64_t>(section.integer(
      {"feed_rows", "newest steps of the live feed kept", "rows"}, 100'000, 1'000, 100'000'000));
  keep.ledger_rows_per_device = static_cast<std::uint64_t>(section.integer(
      {"ledger_rows_per_device", "keys and hashes of delivered records kept", "rows"}, 100'000, 0,
      1'000'000'000));
  keep.dead_letters_per_tenant = static_cast<std::uint64_t>(section.integer(
      {"dead_letters", "unreadable records kept per tenant", "rows"}, 10'000, 1, 1'000'000));
  return keep;
}

}  // namespace lapwing::hub
