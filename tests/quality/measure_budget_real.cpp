// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/budget.hpp"
#include "tests/quality/collections.hpp"
#include "tests/quality/measures.hpp"
#include "tests/quality/report.hpp"
#include "tests/quality/run_stream.hpp"

#include <algorithm>
#include <vector>

namespace lapwing::quality {
namespace {

constexpr std::size_t kMargin = 144;  ///< rows around a label that are not called clean

/// Rows that are judged and not near a label.
std::vector<bool> clean_rows(const Series& series) {
  std::vector<bool> clean(series.rows(), true);
  const auto cover = [&](std::size_t first, std::size_t last) {
    const std::size_t end = std::min(last + kMargin + 1, clean.size());
    for (std::size_t i = first - std::min(first, kMargin); i < end; ++i) clean[i] = false;
  };
  for (const auto& [first, last] : series.windows) cover(first, last);
  for (std::size_t i = 0; i < series.labels.size(); ++i) {
    if (series.labels[i] != 0) cover(i, i);
  }
  std::fill_n(clean.begin(), std::min(clean.size(), std::max<std::size_t>(series.train_rows, 60)),
              false);
  return clean;
}

/// Median time between rows.
Micros usual_step(const Series& series) {
  std::vector<Micros> steps;
  for (std::size_t i = 1; i < series.rows(); ++i) {
    steps.push_back(series.times[i] - series.times[i - 1]);
  }
  std::ranges::nth_element(steps, steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2));
  return std::max(steps[steps.size() / 2], Micros(1));
}

BudgetCount run_real(const Options& options, const Series& series, std::size_t rate) {
  const auto clean = clean_rows(series);
  auto with_rate = options;
  with_rate.alarms_per_week = std::clamp(
      std::chrono::duration<double>(std::chrono::weeks(1)) /
          (std::chrono::duration<double>(usual_step(series)) * static_cast<double>(rate)),
      0.001, 10'000.0);
  const auto rows = static_cast<double>(std::ranges::count(clean, true));
  BudgetCount count{.asked = rows / static_cast<double>(rate)};
  for (const auto& opened : run_series(series, with_rate).opened) {
    if (clean[opened.row]) count.add(opened);
  }
  return count;
}

}  // namespace

Result<void> measure_budget_real(const Options& options) {
  std::vector<Series> list;
  for (auto read : {read_nab(options.data), read_tsb(options.data, "tsb-u")}) {
    if (!read && read.error().code != Errc::not_found) return read.error();
    if (read) std::ranges::move(*read, std::back_inserter(list));
  }
  if (list.empty()) return Error{Errc::not_found, "neither nab nor tsb-u is there"};
  BudgetCounts counts;
  for (auto& one : counts) one.resize(list.size());
  for_each(list.size() * kBudgetRates.size(), [&](std::size_t i) {
    counts[i % kBudgetRates.size()][i / kBudgetRates.size()] =
        run_real(options, list[i / kBudgetRates.size()], kBudgetRates[i % kBudgetRates.size()]);
  });
  print_budget(options, "budget.real", counts);
  for (std::size_t i = 0; options.per_file && i < list.size(); ++i) {
    detail("%-60s asked %.1f  unusual %.0f  checks %.0f", list[i].name.c_str(), counts[0][i].asked,
           counts[0][i].unusual, counts[0][i].other);
  }
  return {};
}

}  // namespace lapwing::quality
