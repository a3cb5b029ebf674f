// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/endpoint_chooser.hpp"

#include <cassert>
#include <utility>

namespace lapwing::agent {
namespace {

constexpr std::uint32_t kStrikesMax = 4;  // 16 times as long

}  // namespace

EndpointChooser::EndpointChooser(const std::vector<std::uint32_t>& priorities,
                                 const ChooserLimits& limits, std::uint64_t seed, Ticks now)
    : limits_(limits), random_(seed), hubs_(priorities.size()), since_(now) {
  assert(!priorities.empty());
  std::vector<std::uint32_t> order = priorities;
  std::ranges::sort(order);
  order.erase(std::unique(order.begin(), order.end()), order.end());
  tiers_ = order.size();
  for (std::size_t i = 0; i < hubs_.size(); ++i) {
    hubs_[i].tier =
        static_cast<std::size_t>(std::ranges::lower_bound(order, priorities[i]) - order.begin());
  }
}

std::int64_t EndpointChooser::stage(Ticks now) const {
  return std::max<std::int64_t>(0, (now - since_) / limits_.failover_after);
}

EndpointChooser::Open EndpointChooser::open_at(Ticks now) const {
  const auto passed = static_cast<std::size_t>(stage(now));
  if (passed == 0) return {home_, home_};
  return {0, std::min(tiers_ - 1, home_ == 0 ? passed : home_ + passed - 1)};
}

/// When open_at() gives more than now.
std::optional<Ticks> EndpointChooser::next_opening() const {
  if (open_ == Open{0, tiers_ - 1}) return std::nullopt;
  const auto passed = static_cast<std::int64_t>(open_.last) - static_cast<std::int64_t>(home_) +
                      (home_ > 0 && open_.first == 0 ? 1 : 0);
  return since_ + limits_.failover_after * (passed + 1);
}

std::size_t EndpointChooser::hubs_open() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(hubs_, [this](const Hub& hub) { return open_.has(hub.tier); }));
}

/// When another open hub than the current one may be tried; nullopt: there is none.
std::optional<Ticks> EndpointChooser::other_rested_at() const {
  std::optional<Ticks> soonest;
  for (std::size_t i = 0; i < hubs_.size(); ++i) {
    if (i == current_ || !open_.has(hubs_[i].tier)) continue;
    soonest = std::min(soonest.value_or(Ticks::max()), hubs_[i].rests_until);
  }
  return soonest;
}

/// Time passed without a welcome: whether more tiers are open. Their hubs come next.
bool EndpointChooser::widen(Ticks now) {
  const Open wider = open_at(now);
  if (wider == open_) return false;
  const Open before = std::exchange(open_, wider);
  round_.clear();
  refill(before);
  again_ = false;
  return true;
}

/// All open hubs once: by priority, those of one priority in random order, but those of tiers in
/// `later` after the others.
void EndpointChooser::refill(const Open& later) {
  std::vector<std::size_t> hubs;
  for (std::size_t i = 0; i < hubs_.size(); ++i) {
    if (open_.has(hubs_[i].tier)) hubs.push_back(i);
  }
  std::ranges::shuffle(hubs, random_);
  std::ranges::stable_sort(hubs, [&](std::size_t a, std::size_t b) {
    const auto rank = [&](std::size_t hub) {
      return std::pair(later.has(hubs_[hub].tier), hubs_[hub].tier);
    };
    return rank(a) < rank(b);
  });
  round_.insert(round_.end(), hubs.begin(), hubs.end());
}

std::size_t EndpointChooser::next(Ticks now) {
  try_began_ = now;
  refused_ = false;
  leaving_ = false;
  if (phase_ == Phase::pinned) return current_;
  if (returning_ && !return_begun_) {
    return_begun_ = true;
    return current_ = *returning_;
  }
  widen(now);
  if (std::exchange(again_, false)) return current_;
  std::optional<std::size_t> chosen;
  for (std::size_t tries = 0; tries < 2 && !chosen; ++tries) {
    if (round_.empty()) refill({tiers_, tiers_});
    while (!round_.empty() && !chosen) {
      const std::size_t hub = round_.front();
      round_.pop_front();
      if (hubs_[hub].rests_until <= now) chosen = hub;
    }
  }
  if (!chosen) {  // all of them refuse: the one that may be asked again first
    for (std::size_t i = 0; i < hubs_.size(); ++i) {
      if (!open_.has(hubs_[i].tier)) continue;
      if (!chosen || hubs_[i].rests_until < hubs_[*chosen].rests_until) chosen = i;
    }
  }
  return current_ = *chosen;
}

void EndpointChooser::seek(Ticks now) {
  phase_ = Phase::seeking;
  since_ = now;
  open_ = open_at(now);
  round_.clear();
  probing_.reset();
  for (Hub& hub : hubs_) hub.good_since.reset();
}

/// It did not serve: back to where the device came from, and longer until the next return.
void EndpointChooser::end_return() {
  returning_.reset();
  return_begun_ = false;
  strikes_ = std::min(strikes_ + 1, kStrikesMax);
  if (held_) current_ = *held_;
  again_ = true;
}

void EndpointChooser::lost(Ticks now) {
  try_began_.reset();
  refused_ = false;
  if (phase_ == Phase::pinned) return;
  if (phase_ == Phase::held) {
    if (returned_at_ && now - *returned_at_ >= steady_for()) {
      strikes_ = 0;
      returned_at_.reset();
    }
    seek(now);
    again_ = true;
  } else if (returning_ && return_begun_) {
    end_return();
  }
}

void EndpointChooser::welcomed(Ticks now) {
  Hub& hub = hubs_[current_];
  if (phase_ == Phase::held) return;
  try_began_.reset();
  hub.rests_until = {};
  if (held_ && *held_ != current_) {
    ++changes_;
    const std::size_t before = hubs_[*held_].tier;
    if (hub.tier > before && std::exchange(returned_at_, std::nullopt)) {
      strikes_ = std::min(strikes_ + 1, kStrikesMax);  // it did not last
    } else if (hub.tier < before) {
      returned_at_ = now;
    }
  }
  phase_ = Phase::held;
  held_ = current_;
  home_ = hub.tier;
  returning_.reset();
  return_begun_ = false;
  refused_ = false;
  next_probe_ = now + spread(limits_.probe_every());
}

void EndpointChooser::refused(Ticks now) {
  hubs_[current_].rests_until = now + limits_.refused_rest;
  try_began_.reset();
  if (phase_ != Phase::seeking) seek(now);
  leave_ = returning_.has_value();
  refused_ = !leave_;
  if (leave_) {
    end_return();
  } else {
    again_ = false;
  }
}

void EndpointChooser::quarantined() {
  phase_ = Phase::pinned;
  try_began_.reset();
  returning_.reset();
  return_begun_ = false;
  refused_ = false;
}

/// Between a move and the attempt that follows it there is nothing to decide.
EndpointChooser::Turn EndpointChooser::look(Ticks now) {
  if (phase_ == Phase::pinned || hubs_.size() == 1 || leaving_) return Turn::stay;
  const Turn turn = phase_ == Phase::held ? look_for_better(now) : judge_try(now);
  leaving_ = turn == Turn::move;
  return turn;
}

EndpointChooser::Turn EndpointChooser::judge_try(Ticks now) {
  if (std::exchange(leave_, false)) return Turn::move;
  const bool tries = try_began_.has_value();
  if (returning_) {
    if (!return_begun_ || !tries || now - *try_began_ < limits_.try_for()) return Turn::stay;
    end_return();
    return Turn::move;
  }
  if (widen(now)) return Turn::move;
  if (refused_) {
    const auto other = other_rested_at();
    return other && *other <= now ? Turn::move : Turn::stay;
  }
  if (tries && hubs_open() > 1 && now - *try_began_ >= limits_.try_for()) return Turn::move;
  return Turn::stay;
}

EndpointChooser::Turn EndpointChooser::look_for_better(Ticks now) {
  if (home_ == 0 || probing_) return Turn::stay;
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < hubs_.size(); ++i) {
    const Hub& hub = hubs_[i];
    if (hub.tier >= home_ || !hub.good_since || now < hub.go_back_at) continue;
    if (!best || hub.tier < hubs_[*best].tier) best = i;
  }
  if (best) {
    seek(now);
    returning_ = best;
    return_begun_ = false;
    return Turn::move;
  }
  if (now < next_probe_) return Turn::stay;
  for (std::size_t i = 1; i <= hubs_.size(); ++i) {
    const std::size_t hub = (probed_last_ + i) % hubs_.size();
    if (hubs_[hub].tier >= home_ || hubs_[hub].rests_until > now) continue;
    probing_ = probed_last_ = hub;
    return Turn::probe;
  }
  next_probe_ = now + spread(limits_.probe_every());  // all of them refuse this device
  return Turn::stay;
}

void EndpointChooser::probed(std::size_t hub, bool reachable, Ticks now) {
  if (phase_ != Phase::held || probing_ != hub) return;  // of an earlier stay
  probing_.reset();
  next_probe_ = now + spread(limits_.probe_every());
  Hub& one = hubs_[hub];
  if (!reachable) {
    one.good_since.reset();
  } else if (!one.good_since) {
    one.good_since = now;
    const auto herd = limits_.failback_after.count();
    one.go_back_at =
        now + steady_for() + Micros(std::uniform_int_distribution<std::int64_t>(0, herd)(random_));
  }
}

Ticks EndpointChooser::wake_at() const {
  Ticks at = Ticks::max();
  if (phase_ == Phase::pinned || hubs_.size() == 1 || leaving_) return at;
  if (phase_ == Phase::held) {
    if (home_ == 0 || probing_) return at;
    at = next_probe_;
    for (const Hub& hub : hubs_) {
      if (hub.tier < home_ && hub.good_since) at = std::min(at, hub.go_back_at);
    }
    return at;
  }
  if (leave_) return since_;
  if (try_began_ && (hubs_open() > 1 || returning_)) at = *try_began_ + limits_.try_for();
  if (returning_) return at;
  if (const auto opening = next_opening()) at = std::min(at, *opening);
  if (refused_) at = std::min(at, other_rested_at().value_or(Ticks::max()));
  return at;
}

EndpointChooser::Why EndpointChooser::why() const {
  if (hubs_.size() == 1) return Why::only;
  if (phase_ == Phase::pinned) return Why::quarantined;
  const std::size_t tier = hubs_[current_].tier;
  const bool refuses = std::ranges::any_of(
      hubs_, [&](const Hub& hub) { return hub.tier < tier && hub.rests_until != Ticks{}; });
  if (refuses) return Why::refused;
  if (returning_ || (returned_at_ && phase_ == Phase::held)) return Why::returned;
  return tier == 0 ? Why::first : Why::failed_over;
}

std::string_view to_string(EndpointChooser::Why why) {
  switch (why) {
    case EndpointChooser::Why::only:
      return "it is the only one";
    case EndpointChooser::Why::first:
      return "none is better";
    case EndpointChooser::Why::failed_over:
      return "no better one welcomed this device";
    case EndpointChooser::Why::returned:
      return "it is the better one, and steady again";
    case EndpointChooser::Why::refused:
      return "a better one refuses this device";
    case EndpointChooser::Why::quarantined:
      return "it has quarantined this device, which stays until it is released";
  }
  return "";
}

/// About so long, give or take a quarter.
Micros EndpointChooser::spread(Micros around) {
  const auto part = around.count() / 4;
  return around + Micros(std::uniform_int_distribution<std::int64_t>(-part, part)(random_));
}

}  // namespace lapwing::agent
