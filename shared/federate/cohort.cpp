// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/cohort.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <utility>

namespace lapwing::federate {
namespace {

constexpr double kNormal = 1.4826;     // of a median distance, in deviations of the normal
constexpr double kFloor = 0.1;         // of what one device's rows vary
constexpr double kCorrelation = 0.05;  // floor, of Fisher's z
constexpr double kFewest = 1e-6;       // of the median deviation: a sensor that hardly moves

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// How far each value is from their median, in robust deviations of at least `floor`.
std::vector<double> distances(const std::vector<double>& values, double floor) {
  const double centre = median(values);
  std::vector<double> off;
  for (const double v : values) off.push_back(std::abs(v - centre));
  const double unit = std::max(kNormal * median(off), floor);
  for (double& d : off) d /= unit;
  return off;
}

/// The farthest that a member was found, and in what.
struct Worst {
  double distance = 0;
  std::string what;

  void take(double other, const std::string& name) {
    if (other > distance) *this = {other, name};
  }
};

using All = std::span<const Member>;

const Moments& moments(const Member& member) { return *member.contribution->moments; }

void judge_sensor(All members, std::size_t c, std::vector<Worst>& worst) {
  std::vector<double> means;
  std::vector<double> deviations;
  for (const auto& one : members) {
    means.push_back(moments(one).mean(c));
    deviations.push_back(moments(one).deviation(c));
  }
  const double typical = median(deviations);
  const double centre = median(means);
  const double least = 1e-9 * (std::abs(centre) + 1e-9);
  const std::string name = "sensor " + std::to_string(c + 1);
  const auto level = distances(means, std::max(kFloor * typical, least));
  for (std::size_t i = 0; i < members.size(); ++i) worst[i].take(level[i], "the mean of " + name);
  if (typical <= least) return;
  for (double& d : deviations) d = std::log(std::max(d, kFewest * typical));
  const auto spread = distances(deviations, kFloor);
  for (std::size_t i = 0; i < members.size(); ++i) {
    worst[i].take(spread[i], "the deviation of " + name);
  }
}

/// Fisher's z of the correlation; 0 where one of them does not vary.
double together(const Moments& m, std::size_t first, std::size_t second) {
  const double size = m.deviation(first) * m.deviation(second);
  if (!(size > 0)) return 0;
  return std::atanh(std::clamp(m.covariance(first, second) / size, -0.999, 0.999));
}

void judge_relations(All members, std::vector<Worst>& worst) {
  const std::size_t width = moments(members[0]).width();
  if (width < 2) return;
  std::vector<double> off(members.size());
  std::vector<double> z(members.size());
  for (std::size_t second = 1; second < width; ++second) {
    for (std::size_t first = 0; first < second; ++first) {
      for (std::size_t i = 0; i < members.size(); ++i) {
        z[i] = together(moments(members[i]), first, second);
      }
      const double centre = median(z);
      for (std::size_t i = 0; i < members.size(); ++i) off[i] += std::abs(z[i] - centre);
    }
  }
  const double pairs = static_cast<double>(width * (width - 1)) / 2;
  for (double& d : off) d /= pairs;
  const double centre = median(off);
  const auto far = distances(off, kCorrelation);
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (off[i] > centre) worst[i].take(far[i], "how its sensors go together");
  }
}

void judge_scores(All members, std::vector<Worst>& worst) {
  for (const auto& [share, name] :
       {std::pair{0.5, "its median score"}, std::pair{0.95, "its 95 % quantile of scores"}}) {
    std::vector<double> logs;
    for (const auto& one : members) {
      logs.push_back(std::log(std::max(one.contribution->scores->quantile(share), 1e-9)));
    }
    const auto far = distances(logs, kFloor);
    for (std::size_t i = 0; i < members.size(); ++i) worst[i].take(far[i], name);
  }
}

template <class Has>
bool all_have(All members, Has has) {
  return std::ranges::all_of(members, [&](const Member& one) { return has(*one.contribution); });
}

std::vector<Worst> find_worst(All members) {
  std::vector<Worst> worst(members.size());
  if (all_have(members, [](const auto& c) { return c.moments.has_value(); })) {
    for (std::size_t c = 0; c < moments(members[0]).width(); ++c) judge_sensor(members, c, worst);
    judge_relations(members, worst);
  }
  if (all_have(members, [](const auto& c) { return c.scores && c.scores->count() > 0; })) {
    judge_scores(members, worst);
  }
  return worst;
}

Error too_few(std::size_t there, std::size_t wanted) {
  return {Errc::bad_input, std::to_string(there) + " devices, where at least " +
                               std::to_string(wanted) + " are to hide each other's rows"};
}

}  // namespace

Result<Cohort> judge(std::span<const Member> members, const CohortRules& rules) {
  const std::size_t least = std::max(rules.devices_min, kCohortMin);
  if (members.size() < least) return too_few(members.size(), least);
  const auto n = static_cast<double>(members.size());
  const double limit = rules.far * (1 + 5 / n);
  Cohort cohort;
  std::vector<double> weights;
  const auto worst = find_worst(members);
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (worst[i].distance <= limit) {
      cohort.kept.push_back(i);
      weights.push_back(static_cast<double>(members[i].contribution->rows));
      continue;
    }
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), " is %.1f deviations off; %.1f are taken",
                  worst[i].distance, limit);
    cohort.left.push_back({members[i].device, worst[i].what + text.data()});
  }
  if (3 * cohort.left.size() > members.size()) {
    return Error{Errc::bad_input, std::to_string(cohort.left.size()) + " of " +
                                      std::to_string(members.size()) +
                                      " devices are far from the others: they are not of one "
                                      "kind; choose them by label, first " +
                                      cohort.left.front().device + ": " + cohort.left.front().why};
  }
  if (cohort.kept.size() < least) return too_few(cohort.kept.size(), least);
  const auto cut = capped(weights, rules.share_max);
  for (std::size_t i = 0; i < weights.size(); ++i) cohort.factors.push_back(cut[i] / weights[i]);
  return cohort;
}

std::vector<double> capped(std::vector<double> weights, double share_max) {
  const auto n = static_cast<double>(weights.size());
  if (share_max * n <= 1) {
    return std::vector<double>(weights.size(), *std::ranges::min_element(weights));
  }
  auto sorted = weights;
  std::ranges::sort(sorted, std::greater<>());
  double rest = std::accumulate(sorted.begin(), sorted.end(), 0.0);
  double most = sorted[0];
  // With the k largest cut to `most`: most = share_max * (k * most + the rest).
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    if (sorted[k] <= share_max * (static_cast<double>(k) * sorted[k] + rest)) {
      most = k == 0 ? sorted[0] : share_max * rest / (1 - share_max * static_cast<double>(k));
      break;
    }
    rest -= sorted[k];
  }
  for (double& weight : weights) weight = std::min(weight, most);
  return weights;
}

std::vector<std::uint32_t> apportion(std::span<const double> weights,
                                     std::span<const std::uint32_t> most, std::uint32_t total) {
  std::vector<std::uint32_t> given(weights.size());
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::pair<double, std::size_t>> owed;
  std::uint32_t left = total;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double exact = weights[i] / sum * total;
    given[i] = std::min({static_cast<std::uint32_t>(exact), most[i], left});
    left -= given[i];
    owed.emplace_back(exact - given[i], i);
  }
  std::ranges::stable_sort(owed, std::greater<>(), &std::pair<double, std::size_t>::first);
  for (bool more = true; left > 0 && more;) {
    more = false;
    for (const auto& [part, i] : owed) {
      if (left == 0) break;
      if (given[i] >= most[i]) continue;
      ++given[i];
      --left;
      more = true;
    }
  }
  return given;
}

}  // namespace lapwing::federate
