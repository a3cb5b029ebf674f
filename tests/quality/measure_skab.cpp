// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/collections.hpp"
#include "tests/quality/measures.hpp"
#include "tests/quality/pages.hpp"
#include "tests/quality/report.hpp"
#include "tests/quality/run_group.hpp"
#include "tests/quality/skab_score.hpp"

#include <span>
#include <vector>

namespace lapwing::quality {
namespace {

/// Rows after the training ones, by whether an anomaly was open.
SkabScore judge(const Series& series, const Output& output) {
  std::vector<std::uint8_t> alarms;
  for (const auto& verdict : output.verdicts) alarms.push_back(verdict.anomalous ? 1 : 0);
  SkabScore score;
  score.add(std::span(series.labels).subspan(series.train_rows),
            std::span(alarms).subspan(series.train_rows));
  return score;
}

SkabScore pooled(std::span<const SkabScore> scores, std::span<const std::size_t> files) {
  SkabScore sum;
  for (const std::size_t file : files) sum.add(scores[file]);
  return sum;
}

}  // namespace

Result<void> measure_skab(const Options& options) {
  const auto list = read_skab(options.data);
  if (!list) return list.error();
  std::vector<SkabScore> scores(list->size());
  const auto done = try_each(list->size(), [&](std::size_t i) -> Result<void> {
    const auto& series = (*list)[i];
    if (series.rows() <= series.train_rows) return {};
    const auto run = run_group(series, options);
    if (!run) return run.error();
    write_pages(options, "skab", series, run->output, run->sensor);
    scores[i] = judge(series, run->output);
    return {};
  });
  if (!done) return done;
  figure_of_files(options, "skab.f1", scores.size(),
                  [&](auto files) { return pooled(scores, files).f1(); });
  figure_of_files(options, "skab.far", scores.size(),
                  [&](auto files) { return pooled(scores, files).far(); });
  for (std::size_t i = 0; options.per_file && i < scores.size(); ++i) {
    detail("%-60s F1 %.4f  FAR %.2f %%", (*list)[i].name.c_str(), scores[i].f1(), scores[i].far());
  }
  return {};
}

}  // namespace lapwing::quality
