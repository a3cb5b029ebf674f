// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/waiting.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lapwing::agent {
namespace {

bool is_summary(const OutboxRecord& record) {
  return record.record_class == wire::RecordClass::summary;
}

std::uint64_t cost(const OutboxRecord& record) {
  return OutboxDatabase::cost(record.payload.size());
}

/// What has still to go.
struct Over {
  std::size_t records = 0;
  std::uint64_t bytes = 0;
  [[nodiscard]] bool none() const { return records == 0 && bytes == 0; }
  void gone(const OutboxRecord& record) {
    records -= std::min<std::size_t>(records, 1);
    bytes -= std::min(bytes, cost(record));
  }
};

/// Takes out summaries, from the front or from the back, until nothing is over. How many.
std::size_t erase_summaries(std::vector<OutboxRecord>& records, Over& over, bool newest) {
  const std::size_t before = records.size();
  const auto give_up = [&](const OutboxRecord& record) {
    if (over.none() || !is_summary(record)) return false;
    over.gone(record);
    return true;
  };
  if (newest) {
    const auto kept = std::remove_if(records.rbegin(), records.rend(), give_up);
    records.erase(records.begin(), kept.base());
  } else {
    std::erase_if(records, give_up);
  }
  return before - records.size();
}

}  // namespace

void WaitingRecords::add(std::vector<OutboxRecord> records) {
  count(records);
  std::move(records.begin(), records.end(), std::back_inserter(records_));
}

std::uint64_t WaitingRecords::make_room(std::vector<OutboxRecord>& coming) {
  Over over{records_.size() + coming.size(), bytes_};
  for (const OutboxRecord& one : coming) over.bytes += cost(one);
  over.records -= std::min(over.records, most_.records);
  over.bytes -= std::min(over.bytes, most_.bytes);
  if (over.none()) return 0;
  const std::size_t came = coming.size();
  const bool newest = policy_ == AtBound::drop_newest;
  if (newest) erase_summaries(coming, over, true);
  Over more = over;  // more than needed: not again at every call
  if (over.records > 0) more.records = std::max(over.records, most_.records / 8);
  if (over.bytes > 0) more.bytes = std::max(over.bytes, most_.bytes / 8);
  const Over wanted = more;
  const std::size_t waited = erase_summaries(records_, more, newest);
  over.records -= std::min(over.records, wanted.records - more.records);
  over.bytes -= std::min(over.bytes, wanted.bytes - more.bytes);
  if (!newest) erase_summaries(coming, over, false);
  for (; !over.none() && !coming.empty(); coming.pop_back()) over.gone(coming.back());
  given_up_ += waited + (came - coming.size());
  if (waited > 0) count_anew();
  return waited;
}

WaitingRecords::Taken WaitingRecords::take() {
  bytes_ = 0;
  urgent_ = false;
  return {std::exchange(records_, {}), std::exchange(given_up_, 0)};
}

void WaitingRecords::put_back(Taken taken) {
  std::move(records_.begin(), records_.end(), std::back_inserter(taken.records));
  records_ = std::move(taken.records);
  given_up_ += taken.given_up;
  count_anew();
}

void WaitingRecords::count_anew() {
  bytes_ = 0;
  urgent_ = false;
  count(records_);
}

void WaitingRecords::count(const std::vector<OutboxRecord>& records) {
  for (const OutboxRecord& one : records) {
    bytes_ += cost(one);
    urgent_ = urgent_ || !is_summary(one);
  }
}

}  // namespace lapwing::agent
