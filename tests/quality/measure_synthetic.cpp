// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/collections.hpp"
#include "tests/quality/measures.hpp"
#include "tests/quality/pages.hpp"
#include "tests/quality/report.hpp"
#include "tests/quality/run_stream.hpp"
#include "tests/quality/synthetic/random.hpp"
#include "tests/quality/synthetic/stream.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::quality {
namespace {

constexpr std::size_t kStreamsEach = 10;  ///< streams a family and fault
constexpr std::size_t kAllowance = 12;    ///< rows after the fault in which it may still be told

/// Rows from the fault's first reading to the alarm; none when it was missed.
using Delay = std::optional<double>;

/// The stream as one with labels.
Series labelled(const synthetic::StreamSpec& spec, const std::vector<detect::Sample>& samples) {
  Series series;
  series.name = std::string(name(spec.fault)) + "/" + std::string(name(spec.normal));
  series.sensors = {"value"};
  const Time from = samples.front().time + static_cast<std::int64_t>(spec.fault_at) * spec.interval;
  const Time to = from + static_cast<std::int64_t>(spec.fault_rows) * spec.interval;
  for (const auto& sample : samples) {
    series.times.push_back(sample.time);
    series.values.push_back(sample.value);
    series.labels.push_back(sample.time >= from && sample.time < to ? 1 : 0);
  }
  return series;
}

/// The fault comes one to three weeks after the warm-up.
Delay run_one(const Options& options, synthetic::Normal normal, synthetic::Fault fault,
              std::size_t seed) {
  const std::size_t warmup = detect::WatchConfig{}.warmup;
  synthetic::StreamSpec spec{.normal = normal, .fault = fault, .seed = 7000 + seed, .offset = 0};
  synthetic::choose_strength(spec);
  spec.fault_at =
      warmup + synthetic::Random(spec.seed).whole(synthetic::kWeek, 3 * synthetic::kWeek);
  spec.readings = spec.fault_at + spec.fault_rows + kAllowance;
  const auto samples = synthetic::make_stream(spec);
  const auto output = run_stream(samples, watch_of(options, warmup));
  if (seed == 0) write_pages(options, "synthetic", labelled(spec, samples), output);
  const Time from = samples.front().time + static_cast<std::int64_t>(spec.fault_at) * spec.interval;
  for (const auto& opened : output.opened) {
    const Time at = samples[opened.row].time;
    if (at >= from) return static_cast<double>((at - from) / spec.interval);
  }
  return std::nullopt;
}

double recall(std::span<const Delay> delays, std::span<const std::size_t> files) {
  double found = 0;
  for (const std::size_t file : files) found += delays[file] ? 1 : 0;
  return found / static_cast<double>(files.size());
}

/// Median of those that were found; NaN when none was.
double delay(std::span<const Delay> delays, std::span<const std::size_t> files) {
  std::vector<double> found;
  for (const std::size_t file : files) {
    if (delays[file]) found.push_back(*delays[file]);
  }
  if (found.empty()) return std::nan("");
  const auto middle = found.begin() + static_cast<std::ptrdiff_t>(found.size() / 2);
  std::ranges::nth_element(found, middle);
  return *middle;
}

}  // namespace

Result<void> measure_synthetic(const Options& options) {
  for (const auto fault : synthetic::kFaults) {
    std::vector<synthetic::Normal> normals;
    std::ranges::copy_if(synthetic::kNormals, std::back_inserter(normals),
                         [&](auto normal) { return shows(fault, normal); });
    // As many streams for a fault that few families show.
    const std::size_t seeds = kStreamsEach * std::size(synthetic::kNormals) / normals.size();
    std::vector<Delay> delays(normals.size() * seeds);
    for_each(delays.size(), [&](std::size_t i) {
      delays[i] = run_one(options, normals[i / seeds], fault, i % seeds);
    });
    const std::string prefix = "synthetic." + std::string(name(fault));
    figure_of_files(options, prefix + ".recall", delays.size(),
                    [&](auto files) { return recall(delays, files); });
    figure_of_files(options, prefix + ".delay", delays.size(),
                    [&](auto files) { return delay(delays, files); });
    for (std::size_t f = 0; options.per_file && f < normals.size(); ++f) {
      const auto family = std::span(delays).subspan(f * seeds, seeds);
      detail("%-16s %td of %zu found", std::string(name(normals[f])).c_str(),
             std::ranges::count_if(family, [](const Delay& d) { return d.has_value(); }), seeds);
    }
  }
  return {};
}

}  // namespace lapwing::quality
