// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/measures.hpp"
#include "tests/quality/pages.hpp"
#include "tests/quality/report.hpp"
#include "tests/quality/run_group.hpp"
#include "tests/quality/run_stream.hpp"
#include "tests/quality/vus_pr.hpp"

#include <string>
#include <vector>

namespace lapwing::quality {
namespace {

void report(const Options& options, const std::vector<Series>& list, const char* name,
            std::span<const double> values) {
  figure_mean(options, name, values);
  for (std::size_t i = 0; options.per_file && i < values.size(); ++i) {
    detail("%-60s %.4f", list[i].name.c_str(), values[i]);
  }
}

}  // namespace

Result<void> measure_tsb_u(const Options& options) {
  const auto list = read_tsb(options.data, "tsb-u");
  if (!list) return list.error();
  std::vector<double> values(list->size());
  for_each(list->size(), [&](std::size_t i) {
    const auto& series = (*list)[i];
    const auto output = run_series(series, options);
    write_pages(options, "tsb-u", series, output);
    values[i] = vus_pr(series.labels, output.scores(), series.vus_window);
  });
  report(options, *list, "tsb_u.vus_pr", values);
  return {};
}

Result<void> measure_tsb_m(const Options& options) {
  const auto list = read_tsb(options.data, "tsb-m");
  if (!list) return list.error();
  std::vector<double> values(list->size());
  const auto done = try_each(list->size(), [&](std::size_t i) -> Result<void> {
    const auto& series = (*list)[i];
    const auto run = run_group(series, options);
    if (!run) return run.error();
    write_pages(options, "tsb-m", series, run->output, run->sensor);
    values[i] = vus_pr(series.labels, run->output.scores(), series.vus_window);
    return {};
  });
  if (!done) return done;
  report(options, *list, "tsb_m.vus_pr", values);
  return {};
}

}  // namespace lapwing::quality
