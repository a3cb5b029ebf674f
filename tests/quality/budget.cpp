// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/budget.hpp"

#include "tests/quality/report.hpp"

#include <algorithm>
#include <span>

namespace lapwing::quality {
namespace {

BudgetCount pooled(std::span<const BudgetCount> counts, std::span<const std::size_t> files) {
  BudgetCount sum;
  for (const std::size_t file : files) sum.add(counts[file]);
  return sum;
}

double in_band(std::span<const BudgetCount> counts, std::span<const std::size_t> files) {
  double judged = 0;
  double good = 0;
  for (const std::size_t file : files) {
    if (!counts[file].judged()) continue;
    judged += 1;
    good += counts[file].in_band() ? 1 : 0;
  }
  return good / judged;
}

void print(const Options& options, const std::string& prefix, const std::string& suffix,
           std::span<const BudgetCount> counts) {
  figure_of_files(options, prefix + ".ratio" + suffix, counts.size(),
                  [&](auto files) { return pooled(counts, files).ratio(); });
  if (std::ranges::none_of(counts, &BudgetCount::judged)) return;
  figure_of_files(options, prefix + ".in_band" + suffix, counts.size(),
                  [&](auto files) { return in_band(counts, files); });
}

}  // namespace

void BudgetCount::add(const Opened& opened) {
  (opened.reason == wire::Reason::unusual ? unusual : other) += 1;
}

void BudgetCount::add(const BudgetCount& count) {
  asked += count.asked;
  unusual += count.unusual;
  other += count.other;
}

void print_budget(const Options& options, const std::string& prefix, const BudgetCounts& counts) {
  std::vector<BudgetCount> all;
  for (std::size_t r = 0; r < kBudgetRates.size(); ++r) {
    BudgetCount sum;
    for (const auto& one : counts[r]) sum.add(one);
    print(options, prefix, "." + std::to_string(kBudgetRates[r]), counts[r]);
    detail(
        "%zu streams, %zu with 10 alarms asked or more; %.0f asked, %.0f unusual, %.0f of the "
        "checks",
        counts[r].size(),
        static_cast<std::size_t>(std::ranges::count_if(counts[r], &BudgetCount::judged)), sum.asked,
        sum.unusual, sum.other);
    all.insert(all.end(), counts[r].begin(), counts[r].end());
  }
  print(options, prefix, "", all);
}

}  // namespace lapwing::quality
