// SPDX-License-Identifier: Apache-2.0
/// Which device is in which ring.
#pragma once

#include "hub/rollout/plan.hpp"
#include "hub/store/labels.hpp"
#include "hub/store/rollouts.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub::rollout {

struct Candidate {
  std::string device;
  Labels labels;
};

/// Whether the plan's labels choose it. (Who is named is the caller's to fetch.)
[[nodiscard]] bool is_chosen(const Plan& plan, const Candidate& candidate);

/// Members by device. The order in which devices come into rings follows from the rollout's id and
/// the devices' names alone: the same ones give the same rings, another rollout begins with others.
/// Devices that no ring takes (labels only) are no members.
[[nodiscard]] std::vector<RolloutMember> fill_rings(const Plan& plan, std::uint64_t rollout,
                                                    std::vector<Candidate> chosen);

}  // namespace lapwing::hub::rollout
