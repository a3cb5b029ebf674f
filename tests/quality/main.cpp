// SPDX-License-Identifier: Apache-2.0
/// Measures the detectors on benchmark collections; one line a figure.
#include "shared/detect/pipeline.hpp"
#include "tests/quality/collections.hpp"
#include "tests/quality/nab_score.hpp"
#include "tests/quality/vus_pr.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>

namespace lapwing::quality {
namespace {

struct Options {
  std::filesystem::path data;
  std::vector<std::string> only;
  std::string detector = "auto";
  double alarms_per_week = 1;
  bool per_file = false;
  std::filesystem::path out;  ///< scores of every row as CSV; empty: not written
};

/// What `replay` writes of a stream.
struct Output {
  std::vector<float> scores;          ///< above 1: anomalous
  std::vector<float> anomaly_scores;  ///< at an alarm's onset its score, else 0
};

/// One sensor of a series through the pipeline, as replay does it.
Output run_stream(const Series& series, const Options& options) {
  detect::WatchConfig watch;
  watch.detector = options.detector;
  watch.alarms_per_week = options.alarms_per_week;
  watch.warmup =
      static_cast<std::uint32_t>(std::clamp<std::size_t>(series.train_rows, 60, 100'000));
  watch.accept_after = std::chrono::hours(24 * 90);
  const auto pipeline = detect::Pipeline::make(watch, 1).value();
  Output out;
  std::vector<detect::Event> events;
  Time now = series.times.front();
  for (std::size_t i = 0; i < series.rows(); ++i) {
    const detect::Sample sample{series.times[i], series.values[i]};
    now = std::max(now, sample.time);
    detect::Verdict verdict;
    pipeline->push({&sample, 1}, now, events, {&verdict, 1});
    const bool opened = std::ranges::any_of(
        events, [](const detect::Event& event) { return event.phase == wire::Phase::opened; });
    out.scores.push_back(verdict.score);
    out.anomaly_scores.push_back(opened ? std::max(verdict.score, 1.0F) : 0.0F);
    events.clear();
  }
  return out;
}

/// `row,score,anomaly_score` of a series into OUT/COLLECTION/NAME.csv, to be looked at.
void write_scores(const Options& options, const char* collection, const Series& series,
                  const Output& output) {
  if (options.out.empty()) return;
  const auto file = options.out / collection / (series.name + ".csv");
  std::filesystem::create_directories(file.parent_path());
  std::ofstream csv(file);
  csv << "timestamp,score,anomaly_score\n";
  for (std::size_t i = 0; i < output.scores.size(); ++i) {
    csv << to_rfc3339(series.times[i]) << ',' << output.scores[i] << ',' << output.anomaly_scores[i]
        << '\n';
  }
}

/// Calls `work(i)` for every i below `count`, on every core.
void for_each(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < std::max(1U, std::thread::hardware_concurrency()); ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    });
  }
}

void figure(std::string_view name, double value) {
  std::printf("%-28s %.4f\n", std::string(name).c_str(), value);
}

Result<void> measure_nab(const Options& options) {
  const auto list = read_nab(options.data);
  if (!list) return list.error();
  std::vector<NabFile> files(list->size());
  for_each(list->size(), [&](std::size_t i) {
    auto output = run_stream((*list)[i], options);
    write_scores(options, "nab", (*list)[i], output);
    files[i] = {std::move(output.anomaly_scores), (*list)[i].windows};
  });
  const auto standard = nab_score(files, kNabStandard);
  figure("nab.standard", standard.score);
  figure("nab.standard.threshold", standard.threshold);
  figure("nab.low_fp", nab_score(files, kNabLowFp).score);
  figure("nab.low_fn", nab_score(files, kNabLowFn).score);
  const auto fixed = nab_score(files, kNabStandard, 1.0);
  figure("nab.fixed", fixed.score);
  std::printf("%-28s %zu of %zu windows hit, %zu false alarms\n", "nab.fixed", fixed.windows_hit,
              fixed.windows, fixed.false_rows);
  for (std::size_t i = 0; options.per_file && i < files.size(); ++i) {
    const auto one = nab_score({&files[i], 1}, kNabStandard, 1.0);
    std::printf("  %-60s %zu of %zu hit, %zu false\n", (*list)[i].name.c_str(), one.windows_hit,
                one.windows, one.false_rows);
  }
  return {};
}

Result<void> measure_tsb_u(const Options& options) {
  const auto list = read_tsb(options.data, "tsb-u");
  if (!list) return list.error();
  std::vector<double> values(list->size());
  for_each(list->size(), [&](std::size_t i) {
    const auto& series = (*list)[i];
    const auto output = run_stream(series, options);
    write_scores(options, "tsb-u", series, output);
    values[i] = vus_pr(series.labels, output.scores, series.vus_window);
  });
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += values[i];
    if (options.per_file) std::printf("  %-60s %.4f\n", (*list)[i].name.c_str(), values[i]);
  }
  figure("tsb_u.vus_pr", sum / static_cast<double>(values.size()));
  return {};
}

struct Measure {
  const char* name;
  Result<void> (*run)(const Options&);
};
constexpr Measure kMeasures[] = {{"nab", &measure_nab}, {"tsb_u", &measure_tsb_u}};

int run(const Options& options) {
  int code = 0;
  for (const auto& measure : kMeasures) {
    if (!options.only.empty() &&
        std::ranges::find(options.only, measure.name) == options.only.end()) {
      continue;
    }
    const auto done = measure.run(options);
    if (done) continue;
    const bool absent = done.error().code == Errc::not_found;
    std::cout << measure.name << ": " << (absent ? "skipped: " : "failed: ") << done.error().context
              << '\n';
    if (!absent) code = 1;
  }
  return code;
}

}  // namespace
}  // namespace lapwing::quality

int main(int argc, char** argv) {
  CLI::App app("Measures Lapwing's detectors on benchmark collections");
  lapwing::quality::Options options;
  app.add_option("--data", options.data, "Folder with nab/, tsb-u/, ...")->required();
  app.add_option("--only", options.only, "These collections only: nab, tsb_u");
  app.add_option("--detector", options.detector, "Kind for streams")->capture_default_str();
  app.add_option("--alarms-per-week", options.alarms_per_week)->capture_default_str();
  app.add_option("--out", options.out, "Folder for the scores of every row, as CSV");
  app.add_flag("--per-file", options.per_file, "A line a file too");
  CLI11_PARSE(app, argc, argv);
  return lapwing::quality::run(options);
}
