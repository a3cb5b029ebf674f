// SPDX-License-Identifier: Apache-2.0
/// Records for outbox tests, and the account of what came out.
#pragma once

#include "agent/outbox/database.hpp"
#include "shared/wire/codec.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace lapwing::agent {

/// Its payload tells its number and is the same whatever its class.
inline OutboxRecord record(int number, wire::RecordClass c = wire::RecordClass::summary,
                           std::size_t bytes = 200) {
  char head[12];
  std::snprintf(head, sizeof head, "%08d", number);
  std::string payload(head);
  payload.resize(std::max(bytes, payload.size()), static_cast<char>('a' + number % 26));
  return {c, from_micros(number), std::move(payload)};
}

inline std::vector<OutboxRecord> record_range(int first, int count,
                                              wire::RecordClass c = wire::RecordClass::summary) {
  std::vector<OutboxRecord> records;
  for (int i = first; i < first + count; ++i) records.push_back(record(i, c));
  return records;
}

/// What was read: every number is a record or lost for a reason.
struct Account {
  std::map<std::uint64_t, std::string> records;  ///< seq -> payload
  std::uint64_t lost_quota = 0;
  std::uint64_t lost_corrupt = 0;
  std::uint64_t lost_vanished = 0;
  [[nodiscard]] std::uint64_t lost() const { return lost_quota + lost_corrupt + lost_vanished; }
};

/// Adds consecutive entries that begin at `next`; returns the seq after the last of them.
inline std::uint64_t add_entries(Account& account, std::span<const wire::RecordEntry> entries,
                                 std::uint64_t next) {
  for (const auto& entry : entries) {
    EXPECT_EQ(entry.seq, next);
    next = entry.seq_last + 1;
    if (entry.record_class != wire::RecordClass::loss) {
      EXPECT_EQ(entry.seq_last, entry.seq);
      account.records[entry.seq] = entry.payload;
      continue;
    }
    const auto body = wire::decode_record(entry.payload);
    const auto* loss = body ? std::get_if<wire::LossRecord>(&*body) : nullptr;
    EXPECT_NE(loss, nullptr);
    if (loss == nullptr) continue;
    EXPECT_EQ(loss->seq_first, entry.seq);
    EXPECT_EQ(loss->seq_last, entry.seq_last);
    const auto count = entry.seq_last - entry.seq + 1;
    (loss->reason == wire::LossReason::quota     ? account.lost_quota
     : loss->reason == wire::LossReason::corrupt ? account.lost_corrupt
                                                 : account.lost_vanished) += count;
  }
  return next;
}

}  // namespace lapwing::agent
