// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/merge_parts.hpp"

#include "shared/model/train.hpp"

#include <cmath>

namespace lapwing::federate {

Result<Used> use(const Plan& plan, std::span<const Member> members,
                 const std::function<bool(const Contribution&)>& has) {
  std::vector<Member> whole;
  Used used;
  for (const auto& one : members) {
    if (one.contribution->rows >= kRowsMin && has(*one.contribution)) {
      whole.push_back(one);
    } else {
      used.left.push_back({one.device, "it does not hold what was asked for"});
    }
  }
  auto cohort = judge(whole, plan.rules);
  if (!cohort) return cohort.error();
  for (std::size_t i = 0; i < cohort->kept.size(); ++i) {
    const auto& one = whole[cohort->kept[i]];
    used.contributions.push_back(one.contribution);
    used.devices.push_back(one.device);
    used.factors.push_back(cohort->factors[i]);
    used.weights.push_back(static_cast<double>(one.contribution->rows) * cohort->factors[i]);
  }
  used.left.insert(used.left.end(), cohort->left.begin(), cohort->left.end());
  return used;
}

model::Header header_of(const Plan& plan, const Moments& all, std::size_t devices) {
  model::Header header;
  header.kind = to_string(plan.kind);
  header.sensors = plan.sensors;
  const double rows = all.rows() + all.empty_rows();
  for (std::size_t c = 0; c < header.sensors.size(); ++c) {
    auto& sensor = header.sensors[c];
    sensor.mean = all.mean(c);
    sensor.deviation = all.deviation(c);
    sensor.least = all.least(c);
    sensor.greatest = all.greatest(c);
    sensor.missing_share = std::max(0.0, 1 - all.count(c) / rows);
  }
  header.parameters = plan.parameters;
  header.calibration = {.rows = 0, .held_out = false, .shares = {1}, .scores = {1}};
  header.lineage = {.data_sha256 = {},
                    .rows = static_cast<std::uint64_t>(std::llround(rows)),
                    .span = std::nullopt,
                    .seed = plan.seed,
                    .tool = "federated over " + std::to_string(devices) + " devices; " + plan.tool};
  return header;
}

model::Calibration calibration_of(const Sketch& scores) {
  model::Calibration spread{.rows = static_cast<std::uint64_t>(std::llround(scores.count())),
                            .held_out = false,
                            .shares = {},
                            .scores = {}};
  for (const double share : model::spread_shares()) {
    if ((1 - share) * scores.count() < 1) break;
    spread.shares.push_back(share);
    spread.scores.push_back(static_cast<float>(scores.quantile(share)));
  }
  spread.shares.push_back(1);
  spread.scores.push_back(static_cast<float>(scores.quantile(1)));
  return spread;
}

}  // namespace lapwing::federate
