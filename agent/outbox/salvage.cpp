// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/salvage.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::agent {
namespace {

constexpr std::uint64_t kChunkRows = 1000;
constexpr std::uint64_t kStrideMax = std::uint64_t{1} << 20;

StoredRow stored(const sqlite::Row& row) {
  return {row.count(0), static_cast<wire::RecordClass>(row.integer(1)), row.integer(2),
          static_cast<std::uint32_t>(row.integer(3)), row.text(4)};
}

}  // namespace

void salvage_rows(sqlite::Connection& db, std::uint64_t after, std::uint64_t before,
                  const std::function<void(const StoredRow&)>& take) {
  std::uint64_t taken = after;  // everything up to it was handed on or given up
  const auto hand_on = [&](const std::vector<StoredRow>& rows) {
    for (const StoredRow& row : rows) {
      if (row.seq <= taken || row.seq >= before) continue;  // a damaged key
      if (row.crc != row_checksum(row.seq, row.record_class, row.time_us, row.payload)) continue;
      taken = row.seq;
      take(row);
    }
  };
  std::vector<StoredRow> rows;
  const auto collect = [&rows](const sqlite::Row& row) { rows.push_back(stored(row)); };
  std::uint64_t next = after + 1;
  std::uint64_t stride = 0;  // above 0: the rows just before `next` could not be read
  while (next < before) {
    rows.clear();
    db.clear_failure();
    db.rows(
        "SELECT seq, class, time_us, crc, payload FROM records WHERE seq >= ? AND seq < ? ORDER BY "
        "seq LIMIT ?",
        collect, next, before, kChunkRows);
    const bool damaged = db.failed();
    auto forward = std::exchange(rows, {});
    if (stride > 0 && (!damaged || !forward.empty())) {
      // Readable again, maybe since some rows back: those are read from here towards the damage.
      db.clear_failure();
      db.rows(
          "SELECT seq, class, time_us, crc, payload FROM records WHERE seq > ? AND seq < ? ORDER "
          "BY seq DESC",
          collect, std::max(taken, next - std::min(next, stride + 1)), next);
      std::reverse(rows.begin(), rows.end());
      hand_on(rows);
      stride = 0;
    }
    hand_on(forward);
    if (!damaged && forward.size() < kChunkRows) return;
    if (!forward.empty()) {
      next = std::max(next, forward.back().seq) + 1;
      continue;
    }
    stride = stride == 0 ? 1 : std::min(stride * 2, kStrideMax);
    next += stride;
  }
}

std::vector<LossRange> salvage_losses(sqlite::Connection& db) {
  std::vector<LossRange> ranges;
  db.clear_failure();
  db.rows("SELECT seq_first, seq_last, reason FROM losses ORDER BY seq_first",
          [&](const sqlite::Row& row) {
            const LossRange range{row.count(0), row.count(1),
                                  static_cast<wire::LossReason>(row.integer(2))};
            const bool sound = range.seq_first <= range.seq_last && row.integer(2) >= 1 &&
                               row.integer(2) <= 3 &&
                               (ranges.empty() || ranges.back().seq_last < range.seq_first);
            if (sound) ranges.push_back(range);
          });
  return ranges;
}

std::optional<HighWaterMark> salvage_position(sqlite::Connection& db) {
  std::optional<HighWaterMark> position;
  db.clear_failure();
  db.rows(
      "SELECT database_id, epoch, acked_seq, acked_hash, next_seq, records, bytes, crc FROM "
      "position",
      [&](const sqlite::Row& row) {
        HighWaterMark found{row.text(0), row.count(1), row.count(2), row.count(3), row.count(4)};
        if (row.integer(7) == position_checksum(found, row.count(5), row.count(6))) {
          position = std::move(found);
        }
      });
  return position;
}

}  // namespace lapwing::agent
