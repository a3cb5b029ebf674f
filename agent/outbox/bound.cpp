// SPDX-License-Identifier: Apache-2.0
// What is stored, what is given up at the bound, and the account of it.
#include "agent/outbox/database.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::agent {

std::uint64_t OutboxDatabase::append(std::span<const OutboxRecord> records, const Bound& bound) {
  std::uint64_t refused = 0;
  std::uint64_t run = 0;  // of neighbours that are not stored
  for (const auto& record : records) {
    if (bound.policy == AtBound::drop_newest && record.record_class == wire::RecordClass::summary &&
        bytes_ + cost(record.payload.size()) > bound.bytes_max) {
      ++run;
      continue;
    }
    append_loss(run, wire::LossReason::quota);
    refused += std::exchange(run, 0);
    const std::uint64_t seq = position_.next_seq++;
    const std::int64_t time_us = to_micros(record.time);
    insert(seq, record.record_class, time_us,
           row_checksum(seq, record.record_class, time_us, record.payload), record.payload);
  }
  append_loss(run, wire::LossReason::quota);
  return refused + run;
}

void OutboxDatabase::append_loss(std::uint64_t count, wire::LossReason reason) {
  if (count == 0) return;
  lose({position_.next_seq, position_.next_seq + count - 1, reason});
  position_.next_seq += count;
}

void OutboxDatabase::lose(LossRange range) {
  // One row with those it touches, so that a long outage stays a few rows.
  const auto reason = static_cast<std::int64_t>(range.reason);
  const std::uint64_t begin = range.seq_last + 1;
  db_->rows(
      "SELECT seq_last FROM losses WHERE seq_first = ? AND reason = ?",
      [&](const sqlite::Row& row) { range.seq_last = row.count(0); }, begin, reason);
  if (range.seq_last >= begin) db_->run("DELETE FROM losses WHERE seq_first = ?", begin);
  const auto grown = db_->run(
      "UPDATE losses SET seq_last = ? WHERE seq_first = (SELECT max(seq_first) FROM losses WHERE "
      "seq_first < ?) AND seq_last = ? AND reason = ?",
      range.seq_last, range.seq_first, range.seq_first - 1, reason);
  if (grown == 0) {
    db_->run("INSERT OR REPLACE INTO losses VALUES (?, ?, ?)", range.seq_first, range.seq_last,
             reason);
  }
}

std::uint64_t OutboxDatabase::make_room(const Bound& bound) {
  if (bound.policy == AtBound::block) return 0;
  std::uint64_t dropped = drop(bound, /*summaries_only=*/true);
  if (bytes_ > bound.bytes_max) dropped += drop(bound, /*summaries_only=*/false);
  return dropped;
}

std::uint64_t OutboxDatabase::drop(const Bound& bound, bool summaries_only) {
  if (bytes_ <= bound.bytes_max) return 0;
  // A little more than needed, so that not every commit has to drop again.
  const std::uint64_t target = bound.bytes_max - bound.bytes_max / 64;
  std::vector<Dropped> rows = newest_or_oldest(bound.policy, summaries_only, bytes_ - target);
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.seq < b.seq; });
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t end = i + 1;
    while (end < rows.size() && rows[end].seq == rows[end - 1].seq + 1) ++end;
    lose({rows[i].seq, rows[end - 1].seq, wire::LossReason::quota});
    i = end;
  }
  for (const Dropped& row : rows) {
    db_->run("DELETE FROM records WHERE seq = ?", row.seq);
    bytes_ -= std::min(bytes_, row.bytes);
    --records_;
  }
  return rows.size();
}

/// The rows that go first, until `bytes` are reached.
std::vector<OutboxDatabase::Dropped> OutboxDatabase::newest_or_oldest(AtBound policy,
                                                                      bool summaries_only,
                                                                      std::uint64_t bytes) {
  constexpr std::uint64_t kRowsMax = 50'000;  // one call stays short
  constexpr auto kSummary = static_cast<std::int64_t>(wire::RecordClass::summary);
  std::vector<Dropped> rows;
  std::uint64_t found = 0;
  const auto take = [&](const sqlite::Row& row) {
    if (found >= bytes) return;
    rows.push_back({row.count(0), cost(row.count(1))});
    found += rows.back().bytes;
  };
  if (policy == AtBound::drop_newest) {
    db_->rows(summaries_only
                  ? "SELECT seq, length(payload) FROM records WHERE class = ? ORDER BY seq DESC "
                    "LIMIT ?"
                  : "SELECT seq, length(payload) FROM records WHERE class <> ? ORDER BY seq DESC "
                    "LIMIT ?",
              take, kSummary, kRowsMax);
  } else if (summaries_only) {
    db_->rows(
        "SELECT seq, length(payload) FROM records WHERE seq >= ? AND class = ? ORDER BY seq LIMIT "
        "?",
        take, no_summary_below_, kSummary, kRowsMax);
    no_summary_below_ = rows.empty() ? position_.next_seq : rows.back().seq + 1;
  } else {
    db_->rows("SELECT seq, length(payload) FROM records ORDER BY seq LIMIT ?", take, kRowsMax);
  }
  return rows;
}

}  // namespace lapwing::agent
