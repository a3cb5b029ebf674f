// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/budget.hpp"
#include "tests/quality/measures.hpp"
#include "tests/quality/report.hpp"
#include "tests/quality/run_stream.hpp"
#include "tests/quality/synthetic/stream.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>

namespace lapwing::quality {
namespace {

constexpr std::size_t kStreamsAFamily = 24;                     ///< streams a family
constexpr std::array<std::size_t, 3> kWarmups{240, 500, 2000};  ///< the first is the default
constexpr std::array<std::size_t, 4> kLengths{20'160, 40'320, 60'480, 100'800};

/// The synthetic stream `seed` of a family: at the higher rate lengths differ, at the lower one all
/// are as long as ten alarms need.
BudgetCount run_synthetic(const Options& options, synthetic::Normal normal, std::size_t seed,
                          std::size_t rate) {
  const std::size_t warmup = kWarmups[seed % kWarmups.size()];
  const std::size_t judged =
      rate == kBudgetRates[0] ? kLengths[seed % kLengths.size()] : kLengths.back();
  auto watch = watch_of(options, warmup);
  watch.alarms_per_week = static_cast<double>(synthetic::kWeek) / static_cast<double>(rate);
  const auto samples = synthetic::make_stream(
      {.normal = normal, .seed = seed, .readings = warmup + judged, .offset = 0});
  BudgetCount count{.asked = static_cast<double>(judged) / static_cast<double>(rate)};
  for (const auto& opened : run_stream(samples, watch).opened) count.add(opened);
  return count;
}

}  // namespace

Result<void> measure_budget(const Options& options) {
  constexpr std::size_t kStreams = std::size(synthetic::kNormals) * kStreamsAFamily;
  BudgetCounts counts;
  for (auto& list : counts) list.resize(kStreams);
  for_each(kStreams * kBudgetRates.size(), [&](std::size_t i) {
    const std::size_t stream = i / kBudgetRates.size();
    const std::size_t rate = i % kBudgetRates.size();
    counts[rate][stream] = run_synthetic(options, synthetic::kNormals[stream / kStreamsAFamily],
                                         stream % kStreamsAFamily, kBudgetRates[rate]);
  });
  print_budget(options, "budget", counts);
  for (std::size_t f = 0; options.per_file && f < std::size(synthetic::kNormals); ++f) {
    for (std::size_t r = 0; r < kBudgetRates.size(); ++r) {
      const auto family = std::span(counts[r]).subspan(f * kStreamsAFamily, kStreamsAFamily);
      BudgetCount sum;
      for (const auto& one : family) sum.add(one);
      detail("%-16s 1 in %-6zu ratio %.3f  in band %2td of %td  unusual %.0f  checks %.0f",
             std::string(name(synthetic::kNormals[f])).c_str(), kBudgetRates[r], sum.ratio(),
             std::ranges::count_if(family,
                                   [](const BudgetCount& c) { return c.judged() && c.in_band(); }),
             std::ranges::count_if(family, &BudgetCount::judged), sum.unusual, sum.other);
    }
  }
  return {};
}

}  // namespace lapwing::quality
