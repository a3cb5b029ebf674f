// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/measures.hpp"
#include "tests/quality/report.hpp"
#include "tests/quality/run_stream.hpp"
#include "tests/quality/synthetic/stream.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

namespace lapwing::quality {
namespace {

/// One alarm is asked for in so many readings.
constexpr std::array<std::size_t, 2> kRates{2016, 10'080};
constexpr double kAskedJudged = 10;  ///< a stream's own ratio means something from here on
constexpr std::size_t kSeeds = 24;   ///< streams a family
constexpr std::array<std::size_t, 3> kWarmups{500, 1000, 2000};
constexpr std::array<std::size_t, 4> kLengths{20'160, 40'320, 60'480, 100'800};
constexpr std::size_t kMargin = 144;  ///< rows around a label that are not called clean

/// Alarms of one stream at one rate.
struct Count {
  double asked = 0;
  double unusual = 0;  ///< anomalies of the detector
  double other = 0;    ///< of the quality checks

  [[nodiscard]] double ratio() const { return (unusual + other) / asked; }
  [[nodiscard]] bool judged() const { return asked >= kAskedJudged - 1e-9; }
  [[nodiscard]] bool in_band() const { return ratio() >= 0.5 && ratio() <= 1.5; }
  void add(const Count& count) {
    asked += count.asked;
    unusual += count.unusual;
    other += count.other;
  }
};

Count pooled(std::span<const Count> counts, std::span<const std::size_t> files) {
  Count sum;
  for (const std::size_t file : files) sum.add(counts[file]);
  return sum;
}

double in_band(std::span<const Count> counts, std::span<const std::size_t> files) {
  double judged = 0;
  double good = 0;
  for (const std::size_t file : files) {
    if (!counts[file].judged()) continue;
    judged += 1;
    good += counts[file].in_band() ? 1 : 0;
  }
  return good / judged;
}

/// Counts the alarms in the rows that `clean` takes.
template <class Clean>
Count count(const Output& output, double asked, const Clean& clean) {
  Count result{.asked = asked};
  for (const auto& opened : output.opened) {
    if (!clean(opened.row)) continue;
    (opened.reason == wire::Reason::unusual ? result.unusual : result.other) += 1;
  }
  return result;
}

void print(const Options& options, const std::string& prefix, const std::string& suffix,
           std::span<const Count> counts) {
  figure_of_files(options, prefix + ".ratio" + suffix, counts.size(),
                  [&](auto files) { return pooled(counts, files).ratio(); });
  if (std::ranges::none_of(counts, &Count::judged)) return;
  figure_of_files(options, prefix + ".in_band" + suffix, counts.size(),
                  [&](auto files) { return in_band(counts, files); });
}

void print_rates(const Options& options, const std::string& prefix,
                 const std::array<std::vector<Count>, kRates.size()>& counts) {
  std::vector<Count> all;
  for (std::size_t r = 0; r < kRates.size(); ++r) {
    Count sum;
    for (const auto& one : counts[r]) sum.add(one);
    print(options, prefix, "." + std::to_string(kRates[r]), counts[r]);
    detail(
        "%zu streams, %zu with 10 alarms asked or more; %.0f asked, %.0f unusual, %.0f of the "
        "checks",
        counts[r].size(),
        static_cast<std::size_t>(std::ranges::count_if(counts[r], &Count::judged)), sum.asked,
        sum.unusual, sum.other);
    all.insert(all.end(), counts[r].begin(), counts[r].end());
  }
  print(options, prefix, "", all);
}

/// The synthetic stream `seed` of a family: at the higher rate lengths differ, at the lower one all
/// are as long as ten alarms need.
Count run_synthetic(const Options& options, synthetic::Normal normal, std::size_t seed,
                    std::size_t rate) {
  const std::size_t warmup = kWarmups[seed % kWarmups.size()];
  const std::size_t judged = rate == kRates[0] ? kLengths[seed % kLengths.size()] : kLengths.back();
  auto watch = watch_of(options, warmup);
  watch.alarms_per_week = static_cast<double>(synthetic::kWeek) / static_cast<double>(rate);
  const auto samples = synthetic::make_stream(
      {.normal = normal, .seed = seed, .readings = warmup + judged, .offset = 0});
  return count(run_stream(samples, watch), static_cast<double>(judged) / static_cast<double>(rate),
               [](std::size_t) { return true; });
}

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
Micros interval_of(const Series& series) {
  std::vector<Micros> steps;
  for (std::size_t i = 1; i < series.rows(); ++i) {
    steps.push_back(series.times[i] - series.times[i - 1]);
  }
  std::ranges::nth_element(steps, steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2));
  return std::max(steps[steps.size() / 2], Micros(1));
}

Count run_real(const Options& options, const Series& series, std::size_t rate) {
  const auto clean = clean_rows(series);
  auto with_rate = options;
  with_rate.alarms_per_week = std::clamp(
      std::chrono::duration<double>(std::chrono::weeks(1)) /
          (std::chrono::duration<double>(interval_of(series)) * static_cast<double>(rate)),
      0.001, 10'000.0);
  const auto rows = static_cast<double>(std::ranges::count(clean, true));
  return count(run_series(series, with_rate), rows / static_cast<double>(rate),
               [&](std::size_t row) { return clean[row]; });
}

}  // namespace

Result<void> measure_budget(const Options& options) {
  constexpr std::size_t kStreams = std::size(synthetic::kNormals) * kSeeds;
  std::array<std::vector<Count>, kRates.size()> counts;
  for (auto& list : counts) list.resize(kStreams);
  for_each(kStreams * kRates.size(), [&](std::size_t i) {
    const std::size_t stream = i / kRates.size();
    const std::size_t rate = i % kRates.size();
    counts[rate][stream] =
        run_synthetic(options, synthetic::kNormals[stream / kSeeds], stream % kSeeds, kRates[rate]);
  });
  print_rates(options, "budget", counts);
  for (std::size_t f = 0; options.per_file && f < std::size(synthetic::kNormals); ++f) {
    for (std::size_t r = 0; r < kRates.size(); ++r) {
      const auto family = std::span(counts[r]).subspan(f * kSeeds, kSeeds);
      Count sum;
      for (const auto& one : family) sum.add(one);
      detail(
          "%-16s 1 in %-6zu ratio %.3f  in band %2td of %td  unusual %.0f  checks %.0f",
          std::string(name(synthetic::kNormals[f])).c_str(), kRates[r], sum.ratio(),
          std::ranges::count_if(family, [](const Count& c) { return c.judged() && c.in_band(); }),
          std::ranges::count_if(family, &Count::judged), sum.unusual, sum.other);
    }
  }
  return {};
}

Result<void> measure_budget_real(const Options& options) {
  std::vector<Series> list;
  for (auto read : {read_nab(options.data), read_tsb(options.data, "tsb-u")}) {
    if (!read && read.error().code != Errc::not_found) return read.error();
    if (read) std::ranges::move(*read, std::back_inserter(list));
  }
  if (list.empty()) return Error{Errc::not_found, "neither nab nor tsb-u is there"};
  std::array<std::vector<Count>, kRates.size()> counts;
  for (auto& one : counts) one.resize(list.size());
  for_each(list.size() * kRates.size(), [&](std::size_t i) {
    counts[i % kRates.size()][i / kRates.size()] =
        run_real(options, list[i / kRates.size()], kRates[i % kRates.size()]);
  });
  print_rates(options, "budget.real", counts);
  for (std::size_t i = 0; options.per_file && i < list.size(); ++i) {
    detail("%-60s asked %.1f  unusual %.0f  checks %.0f", list[i].name.c_str(), counts[0][i].asked,
           counts[0][i].unusual, counts[0][i].other);
  }
  return {};
}

}  // namespace lapwing::quality
