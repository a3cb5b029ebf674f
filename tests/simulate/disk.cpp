// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/disk.hpp"

#include <algorithm>
#include <string>

namespace lapwing::simulate {
namespace {

constexpr std::size_t kLogCommits = 8;  // until a checkpoint

}  // namespace

std::uint64_t hash_of(Content content) {
  std::uint64_t v = content * 0x9E3779B97F4A7C15ULL;
  v ^= v >> 29;
  return v | 1;
}

void remember(std::vector<wire::RegionMark>& marks, const wire::RegionMark& mark) {
  const auto known = std::ranges::find(marks, mark.region, &wire::RegionMark::region);
  if (known == marks.end()) {
    marks.push_back(mark);
  } else {
    known->through = std::max(known->through, mark.through);
  }
}

std::vector<Content> Disk::apply(const Change& change) {
  Undo undo{.before = position_};
  for (const Content content : change.records) {
    rows_.emplace_hint(rows_.end(), position_.next_seq++, Row{content});
  }
  if (change.given_up > 0) {
    losses_[position_.next_seq] = {position_.next_seq + change.given_up - 1,
                                   wire::LossReason::quota};
    position_.next_seq += change.given_up;
  }
  if (change.adopt) {
    position_.epoch = change.adopt->epoch;
    position_.regions = {{change.adopt->region, change.adopt->watermark}};
    forget_through(change.adopt->watermark, undo);
  }
  forget_through(change.forget, undo);
  for (const auto& mark : change.marks) remember(position_.regions, mark);
  std::vector<Content> dropped;
  while (rows_.size() > kRowsMax) {
    const auto oldest = rows_.begin();
    losses_[oldest->first] = {oldest->first, wire::LossReason::quota};
    dropped.push_back(oldest->second.content);
    undo.removed.emplace_back(*oldest);
    rows_.erase(oldest);
  }
  log_.push_back(std::move(undo));
  if (log_.size() > kLogCommits) log_.pop_front();
  return dropped;
}

void Disk::forget_through(std::uint64_t seq, Undo& undo) {
  if (seq <= position_.acked_seq || seq >= position_.next_seq) return;
  position_.acked_hash = hash_at(seq).value_or(0);
  position_.acked_seq = seq;
  const auto end = rows_.upper_bound(seq);
  for (auto row = rows_.begin(); row != end; ++row) undo.removed.emplace_back(*row);
  rows_.erase(rows_.begin(), end);
  std::erase_if(losses_, [seq](const auto& loss) { return loss.second.last <= seq; });
}

void Disk::open(bool mind_mark) {
  if (mind_mark && mark_.database == position_.database && mark_.next_seq > position_.next_seq) {
    losses_[position_.next_seq] = {mark_.next_seq - 1, wire::LossReason::vanished};
    position_.next_seq = mark_.next_seq;
    if (mark_.acked_seq > position_.acked_seq) {
      position_.acked_seq = mark_.acked_seq;
      position_.acked_hash = mark_.acked_hash;
    }
    if (mark_.epoch > position_.epoch) position_.regions.clear();
    if (mark_.epoch >= position_.epoch) {
      for (const auto& mark : mark_.regions) remember(position_.regions, mark);
    }
    position_.epoch = std::max(position_.epoch, mark_.epoch);
  }
  log_.clear();
  write_mark();
}

std::vector<wire::RecordEntry> Disk::read(std::uint64_t from, std::uint64_t before,
                                          std::uint32_t records_max) const {
  std::vector<wire::RecordEntry> entries;
  std::uint64_t next = from;
  const auto lose_until = [&](std::uint64_t end) {
    while (next < end) {
      std::uint64_t last = end - 1;
      auto reason = wire::LossReason::corrupt;
      auto known = losses_.upper_bound(next);
      if (known != losses_.begin() && std::prev(known)->second.last >= next) {
        const Loss& loss = std::prev(known)->second;
        last = std::min(last, loss.last);
        reason = loss.reason;
      } else if (known != losses_.end()) {
        last = std::min(last, known->first - 1);
      }
      entries.push_back(
          {next, last, wire::RecordClass::loss, std::to_string(static_cast<int>(reason))});
      next = last + 1;
    }
  };
  auto row = rows_.lower_bound(from);
  for (std::uint32_t count = 0; count < records_max && next < before; ++count) {
    while (row != rows_.end() && !row->second.readable) ++row;
    const std::uint64_t end = row == rows_.end() ? before : std::min(before, row->first);
    lose_until(end);
    if (end == before) break;
    entries.push_back(
        {next, next, wire::RecordClass::summary, std::to_string(row->second.content)});
    ++next;
    ++row;
  }
  return entries;
}

std::optional<std::uint64_t> Disk::hash_at(std::uint64_t seq) const {
  const auto row = rows_.find(seq);
  if (row == rows_.end() || !row->second.readable) return std::nullopt;
  return hash_of(row->second.content);
}

sync::OwnRecord Disk::own_at(std::uint64_t seq) const {
  using State = sync::OwnRecord::State;
  if (const auto hash = hash_at(seq)) return {.state = State::readable, .hash = *hash};
  const auto entries = read(seq, seq + 1, 1);
  if (entries.empty() ||
      entries[0].payload != std::to_string(static_cast<int>(wire::LossReason::quota))) {
    return {.state = State::damaged};
  }
  sync::OwnRecord own{.state = State::given_up};
  for (auto row = rows_.lower_bound(seq); row != rows_.begin();) {
    if ((--row)->first <= position_.acked_seq) break;
    if (!row->second.readable) continue;
    own.below_seq = row->first;
    own.below_hash = hash_of(row->second.content);
    break;
  }
  return own;
}

std::vector<Content> Disk::undo(std::size_t commits) {
  std::vector<Content> gone;
  for (; commits > 0 && !log_.empty(); --commits) {
    Undo& undo = log_.back();
    for (auto row = rows_.lower_bound(undo.before.next_seq); row != rows_.end();) {
      gone.push_back(row->second.content);
      row = rows_.erase(row);
    }
    for (const auto& removed : undo.removed) {
      if (removed.first < undo.before.next_seq) rows_.insert(removed);
    }
    std::erase_if(losses_, [&](const auto& loss) {
      return loss.first >= undo.before.next_seq || rows_.contains(loss.first);
    });
    position_ = undo.before;
    log_.pop_back();
  }
  return gone;
}

std::vector<Content> Disk::spoil(Random& random) {
  std::vector<Content> gone;
  if (rows_.empty()) return gone;
  auto row = rows_.lower_bound(position_.acked_seq + 1 + random.below(rows_.size()));
  for (auto left = 1 + random.below(30); left > 0 && row != rows_.end(); --left, ++row) {
    if (row->second.readable) gone.push_back(row->second.content);
    row->second.readable = false;
  }
  return gone;
}

}  // namespace lapwing::simulate
