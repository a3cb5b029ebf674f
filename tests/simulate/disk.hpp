// SPDX-License-Identifier: Apache-2.0
/// The model of an agent's disk: an outbox with a write-ahead log and the mark beside it, as
/// agent/outbox keeps them, and the ways in which both go bad.
#pragma once

#include "shared/sync/agent.hpp"
#include "shared/wire/messages.hpp"
#include "tests/simulate/random.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace lapwing::simulate {

/// What a record says; unique, and growing within one copy of a device.
using Content = std::uint64_t;
/// Never 0: that means "not known".
[[nodiscard]] std::uint64_t hash_of(Content content);

struct Position {
  std::uint64_t database = 0;
  std::uint64_t epoch = 0;
  std::uint64_t acked_seq = 0;
  std::uint64_t acked_hash = 0;
  std::uint64_t next_seq = 1;
  std::vector<wire::RegionMark> regions;  ///< who acknowledged what of the epoch
};
/// Keeps the highest for each region.
void remember(std::vector<wire::RegionMark>& marks, const wire::RegionMark& mark);

/// One transaction.
struct Change {
  std::vector<Content> records;
  std::uint64_t given_up = 0;  ///< numbers for records that are not stored
  std::uint64_t forget = 0;
  std::vector<wire::RegionMark> marks;  ///< by whose word
  std::optional<sync::AdoptEpoch> adopt;
  [[nodiscard]] bool empty() const {
    return records.empty() && given_up == 0 && forget == 0 && !adopt;
  }
};

class Disk {
 public:
  static constexpr std::size_t kRowsMax = 4000;  ///< the quota

  explicit Disk(std::uint64_t database) { position_.database = mark_.database = database; }

  [[nodiscard]] const Position& position() const { return position_; }
  /// The transaction is in the log. Returns what was dropped at the quota.
  std::vector<Content> apply(const Change& change);
  void write_mark() { mark_ = position_; }
  /// Numbers below it are promised: the mark knows them.
  [[nodiscard]] std::uint64_t promised() const { return mark_.next_seq; }
  /// As a start of the agent finds it: what the mark knows and the database does not has vanished.
  void open(bool mind_mark);
  /// Entries as OutboxReader gives them: what cannot be read is a loss entry over its range.
  [[nodiscard]] std::vector<wire::RecordEntry> read(std::uint64_t from, std::uint64_t before,
                                                    std::uint32_t records_max) const;
  [[nodiscard]] std::optional<std::uint64_t> hash_at(std::uint64_t seq) const;
  [[nodiscard]] sync::OwnRecord own_at(std::uint64_t seq) const;

  /// The newest commits are gone from the log. Returns the contents that are gone with them.
  std::vector<Content> undo(std::size_t commits);
  /// Some rows become unreadable. Returns their contents.
  std::vector<Content> spoil(Random& random);

 private:
  struct Row {
    Content content = 0;
    bool readable = true;
  };
  struct Loss {
    std::uint64_t last = 0;
    wire::LossReason reason = wire::LossReason::corrupt;
  };
  struct Undo {
    Position before;
    std::vector<std::pair<std::uint64_t, Row>> removed;
  };
  void forget_through(std::uint64_t seq, Undo& undo);

  Position position_;
  Position mark_;
  std::map<std::uint64_t, Row> rows_;
  std::map<std::uint64_t, Loss> losses_;  ///< by their first number; other holes are corrupt rows
  std::deque<Undo> log_;
};

}  // namespace lapwing::simulate
