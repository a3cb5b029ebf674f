// SPDX-License-Identifier: Apache-2.0
/// A region's database, which all its replicas share: transactions happen one after the other.
#pragma once

#include "shared/sync/hub.hpp"
#include "tests/simulate/disk.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lapwing::simulate {

/// What is kept of one device.
struct DeviceRows {
  struct Epoch {
    std::uint64_t base = 0;
    std::uint64_t watermark = 0;
    std::map<std::uint64_t, Content> rows;
    std::map<std::uint64_t, wire::LossReason> lost;
    std::uint64_t elsewhere = 0;  ///< numbers that other regions hold, as the hub counts them
    /// The key is accounted for: as a record or a loss.
    [[nodiscard]] bool has(std::uint64_t seq) const {
      return rows.contains(seq) || lost.contains(seq);
    }
  };

  sync::DeviceSyncState sync;
  bool online = false;
  std::map<std::uint64_t, Epoch> epochs;
  std::unordered_map<Content, std::uint32_t> stored;  ///< how often, over all epochs

  [[nodiscard]] std::optional<std::uint64_t> hash(std::uint64_t epoch, std::uint64_t seq) const;
  /// Everything up to `seq` of the epoch is here, as a record or a loss.
  [[nodiscard]] bool holds(std::uint64_t epoch, std::uint64_t seq) const;
  /// There is a record or a loss under the key.
  [[nodiscard]] bool has(std::uint64_t epoch, std::uint64_t seq) const;
  /// Keeps a decision of sync::on_hello.
  void save(const sync::DeviceSyncState& state);
  /// Stores an entry from `first_seq` on. Returns what is wrong with it; empty when all is well.
  /// `blindly`: without looking whether its key is there.
  [[nodiscard]] std::string put(std::uint64_t epoch, const wire::RecordEntry& entry,
                                std::uint64_t first_seq, bool blindly);
};

}  // namespace lapwing::simulate
