// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/store.hpp"

#include <algorithm>

namespace lapwing::simulate {

std::optional<std::uint64_t> DeviceRows::hash(std::uint64_t epoch, std::uint64_t seq) const {
  const auto found = epochs.find(epoch);
  if (found == epochs.end()) return std::nullopt;
  const auto row = found->second.rows.find(seq);
  if (row == found->second.rows.end()) return std::nullopt;
  return hash_of(row->second);
}

bool DeviceRows::holds(std::uint64_t epoch, std::uint64_t seq) const {
  const auto found = epochs.find(epoch);
  return found != epochs.end() && seq <= found->second.watermark;
}

bool DeviceRows::has(std::uint64_t epoch, std::uint64_t seq) const {
  const auto found = epochs.find(epoch);
  return found != epochs.end() && found->second.has(seq);
}

void DeviceRows::save(const sync::DeviceSyncState& state) {
  if (state.epoch != sync.epoch) {
    epochs.try_emplace(state.epoch, Epoch{.base = state.base, .watermark = state.watermark});
  }
  sync = state;
  if (state.epoch > 0) epochs[state.epoch].watermark = state.watermark;
}

std::string DeviceRows::put(std::uint64_t epoch, const wire::RecordEntry& entry,
                            std::uint64_t first_seq, bool blindly) {
  Epoch& kept = epochs[epoch];
  if (entry.record_class == wire::RecordClass::loss) {
    const auto reason = static_cast<wire::LossReason>(std::stoi(entry.payload));
    for (auto seq = std::max(entry.seq, first_seq); seq <= entry.seq_last; ++seq) {
      if (!kept.rows.contains(seq)) kept.lost.try_emplace(seq, reason);
    }
    return {};
  }
  const Content content = std::stoull(entry.payload);
  const auto [row, fresh] = kept.rows.try_emplace(entry.seq, content);
  if (row->second != content) {
    return "two records under one key: epoch " + std::to_string(epoch) + " seq " +
           std::to_string(entry.seq);
  }
  if (fresh || blindly) ++stored[content];
  // A live copy may come before the hub hears that the row has gone bad since.
  if (fresh) kept.lost.erase(entry.seq);
  return {};
}

}  // namespace lapwing::simulate
