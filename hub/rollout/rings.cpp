// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/rings.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace lapwing::hub::rollout {
namespace {

/// FNV-1a, then the finaliser of splitmix64: names that differ in their last digit lie far apart.
std::uint64_t place(std::uint64_t rollout, std::string_view device) {
  std::uint64_t hash = 0xCBF29CE484222325U ^ (rollout * 0x9E3779B97F4A7C15U);
  for (const unsigned char byte : device) hash = (hash ^ byte) * 0x100000001B3U;
  hash = (hash ^ (hash >> 30U)) * 0xBF58476D1CE4E5B9U;
  hash = (hash ^ (hash >> 27U)) * 0x94D049BB133111EBU;
  return hash ^ (hash >> 31U);
}

bool has(const Labels& labels, std::string_view label) {
  const auto equals = label.find('=');
  const auto at = labels.find(label.substr(0, equals));
  return at != labels.end() && at->second == label.substr(equals + 1);
}

}  // namespace

bool is_chosen(const Plan& plan, const Candidate& candidate) {
  return std::ranges::all_of(plan.labels, [&](const auto& wanted) {
    const auto at = candidate.labels.find(wanted.first);
    return at != candidate.labels.end() && at->second == wanted.second;
  });
}

std::vector<RolloutMember> fill_rings(const Plan& plan, std::uint64_t rollout,
                                      std::vector<Candidate> chosen) {
  std::ranges::sort(chosen, {}, [&](const Candidate& one) {
    return std::make_tuple(place(rollout, one.device), one.device);
  });
  const auto all = chosen.size();
  std::vector<RolloutMember> members;
  members.reserve(all);
  const auto take = [&](std::size_t ring, const Candidate& one) {
    members.push_back({.device = one.device, .ring = static_cast<std::uint32_t>(ring)});
  };
  for (std::size_t i = 0; i < plan.rings.size(); ++i) {
    const auto& ring = plan.rings[i];
    if (!ring.label.empty()) {
      const auto [first, last] = std::ranges::stable_partition(
          chosen, [&](const Candidate& one) { return !has(one.labels, ring.label); });
      for (auto it = first; it != last; ++it) take(i, *it);
      chosen.erase(first, last);
      continue;
    }
    // A part in a million is rounding, no device.
    const auto upto =
        static_cast<std::size_t>(std::ceil(ring.percent / 100 * static_cast<double>(all) - 1e-6));
    const auto wanted =
        std::max<std::size_t>(upto > members.size() ? upto - members.size() : 0, ring.devices_min);
    const auto taken = std::min(wanted, chosen.size());
    for (std::size_t k = 0; k < taken; ++k) take(i, chosen[k]);
    chosen.erase(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  std::ranges::sort(members, {}, &RolloutMember::device);
  return members;
}

}  // namespace lapwing::hub::rollout
