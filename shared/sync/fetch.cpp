// SPDX-License-Identifier: Apache-2.0
#include "shared/sync/fetch.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

namespace lapwing::sync {
namespace {

Micros random_within(std::mt19937_64& random, Micros top) {
  return Micros(std::uniform_int_distribution<std::int64_t>(0, top.count())(random));
}

}  // namespace

Fetcher::Fetcher(std::string sha256, std::uint64_t total, std::uint64_t have,
                 const FetchLimits& limits, std::uint64_t seed)
    : sha256_(std::move(sha256)),
      total_(total),
      limits_(limits),
      random_(seed),
      have_(std::min(have, total)),
      budget_(limits.first_bytes) {}

std::uint32_t Fetcher::piece_bytes() const noexcept {
  // Two at least are under way, so that the link does not stand still between them.
  const auto share = static_cast<std::uint32_t>(budget_ / 2);
  return std::clamp(std::bit_floor(share), limits_.piece_bytes_min, limits_.piece_bytes_max);
}

FetchActions Fetcher::connected(Ticks now) {
  FetchActions actions;
  connected_ = true;
  resting_ = false;
  timeouts_ = 0;
  under_way_.clear();
  given_up_.clear();
  // It may be another link.
  budget_ = limits_.first_bytes;
  doubling_ = true;
  quickest_.reset();
  slowest_ = Micros(0);
  if (done()) {
    actions.emplace_back(FetchDone{});
  } else {
    send_more(actions, now);
  }
  return actions;
}

FetchActions Fetcher::disconnected() {
  connected_ = false;
  under_way_.clear();
  return {};
}

FetchActions Fetcher::chunk(const wire::Chunk& chunk, Ticks now) {
  FetchActions actions;
  if (!connected_ || done() || chunk.sha256 != sha256_) {
    ++ignored_;
    return actions;
  }
  const auto asked = under_way_.find(chunk.offset);
  if (!chunk.problem.empty()) {
    if (asked == under_way_.end()) {
      ++ignored_;  // of an earlier question
    } else {
      rest(actions, chunk.problem, now);
    }
    return actions;
  }
  const std::uint64_t end = chunk.offset + chunk.bytes.size();
  const bool fits = chunk.total == total_ && chunk.bytes.size() <= wire::kModelBlockBytes &&
                    chunk.offset < total_ && end <= total_;
  const bool wanted = asked != under_way_.end() && chunk.bytes.size() <= asked->second.length;
  const bool next = chunk.offset <= have_ && end > have_;  // also a late one
  if (!fits || !(wanted || next)) {
    ++ignored_;
    return actions;
  }
  if (wanted) {
    measure(asked->second, now);
    under_way_.erase(asked);
  } else if (const auto late = given_up_.find(chunk.offset); late != given_up_.end()) {
    // It was asked for too early again: answers take so long.
    slowest_ = std::max(slowest_, std::chrono::duration_cast<Micros>(now - late->second));
    given_up_.erase(late);
  }
  if (keep(actions, chunk.offset, chunk.bytes)) {
    timeouts_ = 0;
    rests_ = 0;
    resting_ = false;
  }
  if (done()) {
    under_way_.clear();
    actions.emplace_back(FetchDone{});
  } else {
    send_more(actions, now);
  }
  return actions;
}

/// Hands on what follows without a gap, and keeps the rest until the gap is filled. False: all of
/// it was here already.
bool Fetcher::keep(FetchActions& actions, std::uint64_t offset, std::string_view bytes) {
  const std::uint64_t before = have_;
  const auto take = [&](std::uint64_t at, std::string_view more) {
    if (at + more.size() <= have_) return;
    more.remove_prefix(have_ - at);
    actions.emplace_back(KeepBytes{have_, std::string(more)});
    have_ += more.size();
  };
  if (offset > have_) {
    waiting_.insert_or_assign(offset, std::string(bytes));
    return true;
  }
  take(offset, bytes);
  while (!waiting_.empty() && waiting_.begin()->first <= have_) {
    const auto first = waiting_.extract(waiting_.begin());
    take(first.key(), first.mapped());
  }
  std::erase_if(under_way_,
                [this](const auto& one) { return one.first + one.second.length <= have_; });
  return have_ > before;
}

FetchActions Fetcher::timer(Ticks now) {
  FetchActions actions;
  if (!connected_ || done()) return actions;
  if (resting_) {
    if (now < rest_until_) {
      arm(actions);
      return actions;
    }
    resting_ = false;
    timeouts_ = 0;
    send_more(actions, now);
    return actions;
  }
  const std::size_t before = under_way_.size();
  std::optional<Ticks> newest;
  std::erase_if(under_way_, [&](const auto& one) {
    const bool late = now >= one.second.deadline;
    if (late) {
      newest = std::max(newest.value_or(one.second.sent), one.second.sent);
      if (given_up_.size() >= kGivenUpMax) given_up_.erase(given_up_.begin());
      given_up_[one.first] = one.second.sent;
    }
    return late;
  });
  if (under_way_.size() < before) {
    timeouts_total_ += before - under_way_.size();
    if (*newest >= shrunk_at_) shrink(now);
    if (++timeouts_ > limits_.timeouts_max) {
      rest(actions, "the hub does not answer", now);
      return actions;
    }
  }
  send_more(actions, now);
  return actions;
}

/// The first bytes that are neither here nor under way, within one block.
std::optional<std::pair<std::uint64_t, std::uint32_t>> Fetcher::next_piece() const {
  std::uint64_t at = have_;
  std::uint64_t until = total_;
  auto asked = under_way_.begin();
  auto here = waiting_.begin();
  // Both lists are ordered and short: step over what covers `at`, stop at what lies behind it.
  for (bool moved = true; moved;) {
    moved = false;
    while (asked != under_way_.end() && asked->first <= at) {
      at = std::max(at, asked->first + asked->second.length);
      ++asked;
      moved = true;
    }
    while (here != waiting_.end() && here->first <= at) {
      at = std::max<std::uint64_t>(at, here->first + here->second.size());
      ++here;
      moved = true;
    }
  }
  if (at >= total_) return std::nullopt;
  if (asked != under_way_.end()) until = std::min(until, asked->first);
  if (here != waiting_.end()) until = std::min(until, here->first);
  until = std::min(until, (at / wire::kModelBlockBytes + 1) * wire::kModelBlockBytes);
  const auto length = std::min<std::uint64_t>(until - at, piece_bytes());
  return std::pair(at, static_cast<std::uint32_t>(length));
}

void Fetcher::send_more(FetchActions& actions, Ticks now) {
  if (!connected_ || resting_) return;
  std::uint64_t bytes = 0;
  for (const auto& [offset, piece] : under_way_) bytes += piece.length;
  while (under_way_.size() + waiting_.size() < limits_.pieces_max) {
    const auto piece = next_piece();
    if (!piece || (bytes > 0 && bytes + piece->second > budget_)) break;
    bytes += piece->second;
    ++requests_;
    under_way_[piece->first] = {piece->second, now, now + timeout(), under_way_.empty()};
    actions.emplace_back(SendFetch{piece->first, piece->second});
  }
  arm(actions);
}

void Fetcher::arm(FetchActions& actions) {
  if (resting_) {
    actions.emplace_back(ArmFetch{rest_until_});
    return;
  }
  Ticks first = Ticks::max();
  for (const auto& [offset, piece] : under_way_) first = std::min(first, piece.deadline);
  if (first != Ticks::max()) actions.emplace_back(ArmFetch{first});
}

/// The budget follows how long an answer waited behind others, as congestion controls that watch
/// the delay do (Vegas: Brakmo et al., SIGCOMM 1994; LEDBAT: RFC 6817).
void Fetcher::measure(const UnderWay& piece, Ticks now) {
  const auto took = std::chrono::duration_cast<Micros>(now - piece.sent);
  slowest_ = std::max(took, slowest_ - slowest_ / 8);
  // With the smallest piece alone nothing of ours waits: in time that is believed, whatever the
  // link was before.
  const bool bare = piece.alone && budget_ < 2 * std::uint64_t{limits_.piece_bytes_min};
  if (!quickest_ || took < *quickest_) quickest_ = took;
  if (bare) *quickest_ += (took - *quickest_) / 8;
  const Micros waited = took - *quickest_;
  if (waited > limits_.queue_max / 8) doubling_ = false;
  if (waited > limits_.queue_max) {
    if (piece.sent >= shrunk_at_) {
      budget_ = std::max<std::uint64_t>(limits_.piece_bytes_min, budget_ * 3 / 4);
      shrunk_at_ = now;
    }
  } else if (waited <= limits_.queue_max / 2) {
    const std::uint64_t most = limits_.pieces_max * std::uint64_t{limits_.piece_bytes_max};
    const std::uint64_t more =
        doubling_ ? piece.length : std::uint64_t{piece.length} * piece_bytes() / budget_ + 1;
    budget_ = std::min(most, budget_ + more);
  }
}

/// Nothing came in time: half as much under way.
void Fetcher::shrink(Ticks now) {
  budget_ = std::max<std::uint64_t>(limits_.piece_bytes_min, budget_ / 2);
  doubling_ = false;
  shrunk_at_ = now;
}

void Fetcher::rest(FetchActions& actions, std::string reason, Ticks now) {
  under_way_.clear();
  const Micros top =
      std::min(limits_.rest_max, limits_.rest * (std::int64_t{1} << std::min(rests_, 16U)));
  ++rests_;
  const Micros within = top / 2 + random_within(random_, top / 2);
  resting_ = true;
  rest_until_ = now + within;
  actions.emplace_back(FetchRests{std::move(reason), within});
  arm(actions);
}

/// At least three times what answers took lately, so that a slow link is not asked twice; growing
/// with every timeout in a row, with jitter.
Micros Fetcher::timeout() {
  const Micros base = slowest_ == Micros(0) ? limits_.first_timeout
                                            : std::max(limits_.answer_timeout, 3 * slowest_);
  const Micros top =
      std::min(limits_.answer_timeout_max, base * (std::int64_t{1} << std::min(timeouts_, 16U)));
  return top + random_within(random_, top / 4);
}

}  // namespace lapwing::sync
