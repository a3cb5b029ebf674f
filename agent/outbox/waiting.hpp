// SPDX-License-Identifier: Apache-2.0
/// Records on their way into the outbox's database, in order. What is in here is at risk: it is
/// gone when the process is killed.
#pragma once

#include "agent/outbox/config.hpp"
#include "agent/outbox/database.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lapwing::agent {

/// Threads: one object is used from one thread at a time.
class WaitingRecords {
 public:
  struct Room {
    std::size_t records = 0;
    std::uint64_t bytes = 0;
  };
  /// `most` may be exceeded by what is added at once.
  WaitingRecords(Room most, AtBound policy) : most_(most), policy_(policy) {}

  [[nodiscard]] bool empty() const noexcept { return records_.empty() && given_up_ == 0; }
  [[nodiscard]] bool full() const noexcept {
    return records_.size() >= most_.records || bytes_ >= most_.bytes;
  }
  [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }
  /// Of their payloads and the rows they become.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  /// One of them is no summary: it is not to wait for long.
  [[nodiscard]] bool urgent() const noexcept { return urgent_; }

  void add(std::vector<OutboxRecord> records);
  /// Where they do not fit, gives up what the policy says, of what waits and of `coming`. How many
  /// of what waits; `coming` is shorter afterwards.
  std::uint64_t make_room(std::vector<OutboxRecord>& coming);

  struct Taken {
    std::vector<OutboxRecord> records;
    std::uint64_t given_up = 0;  ///< numbers for records that are not stored
  };
  Taken take();
  /// What could not be stored goes back to the front.
  void put_back(Taken taken);

 private:
  void count_anew();
  void count(const std::vector<OutboxRecord>& records);

  const Room most_;
  const AtBound policy_;
  std::vector<OutboxRecord> records_;
  std::uint64_t given_up_ = 0;
  std::uint64_t bytes_ = 0;
  bool urgent_ = false;
};

}  // namespace lapwing::agent
