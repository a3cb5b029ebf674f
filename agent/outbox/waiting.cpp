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

/// Takes out at most `wanted` summaries, from the front or from the back. How many.
std::size_t erase_summaries(std::vector<OutboxRecord>& records, std::size_t wanted, bool newest) {
  std::size_t left = wanted;
  const auto give_up = [&](const OutboxRecord& record) {
    if (left == 0 || !is_summary(record)) return false;
    --left;
    return true;
  };
  if (newest) {
    const auto kept = std::remove_if(records.rbegin(), records.rend(), give_up);
    records.erase(records.begin(), kept.base());
  } else {
    std::erase_if(records, give_up);
  }
  return wanted - left;
}

}  // namespace

void WaitingRecords::add(std::vector<OutboxRecord> records) {
  for (const OutboxRecord& one : records) {
    bytes_ += one.payload.size() + OutboxDatabase::kRowBytes;
    urgent_ = urgent_ || !is_summary(one);
  }
  std::move(records.begin(), records.end(), std::back_inserter(records_));
}

std::uint64_t WaitingRecords::make_room(std::vector<OutboxRecord>& coming) {
  if (records_.size() + coming.size() <= records_max_) return 0;
  std::size_t over = records_.size() + coming.size() - records_max_;
  const std::size_t came = coming.size();
  const bool newest = policy_ == AtBound::drop_newest;
  if (newest) over -= erase_summaries(coming, over, true);
  // More than needed: not again at every call.
  const std::size_t wanted = over == 0 ? 0 : std::max(over, records_max_ / 8);
  const std::size_t waited = erase_summaries(records_, wanted, newest);
  over -= std::min(over, waited);
  if (!newest) over -= erase_summaries(coming, over, false);
  coming.resize(coming.size() - std::min(over, coming.size()));
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
  for (const OutboxRecord& one : records_) {
    bytes_ += one.payload.size() + OutboxDatabase::kRowBytes;
    urgent_ = urgent_ || !is_summary(one);
  }
}

}  // namespace lapwing::agent
