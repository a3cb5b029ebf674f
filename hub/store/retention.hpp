// SPDX-License-Identifier: Apache-2.0
/// How much a store keeps, whichever engine it is.
#pragma once

#include <chrono>
#include <cstdint>

namespace lapwing::config {
class Section;
}

namespace lapwing::hub {

/// `[store]` of hub.toml: how much is kept. What is older or beyond the bound goes at the next
/// trim.
struct Retention {
  std::chrono::hours history{24 * 30};       ///< age of history points by `begin`, [1 h, 10 y]
  std::uint64_t history_rows = 100'000'000;  ///< over all; the oldest go first, [1e4, 1e10]
  std::chrono::hours anomalies{24 * 365};  ///< age of closed anomalies by last update, [1 h, 10 y]
  std::uint64_t feed_rows = 100'000;       ///< newest feed rows over all tenants, [1000, 1e8]
  /// Keys and hashes of stored records, newest by seq per device and epoch, [0, 1e9]. Below the
  /// watermark they serve audits only: exactly-once does not depend on them.
  std::uint64_t ledger_rows_per_device = 100'000;
  std::uint64_t dead_letters_per_tenant = 10'000;  ///< newest, [1, 1e6]

  static Retention read(config::Section& section);
};

}  // namespace lapwing::hub
