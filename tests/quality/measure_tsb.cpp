// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/measures.hpp"
#include "tests/quality/report.hpp"
#include "tests/quality/run_stream.hpp"
#include "tests/quality/vus_pr.hpp"

#include <vector>

namespace lapwing::quality {

Result<void> measure_tsb_u(const Options& options) {
  const auto list = read_tsb(options.data, "tsb-u");
  if (!list) return list.error();
  std::vector<double> values(list->size());
  for_each(list->size(), [&](std::size_t i) {
    const auto& series = (*list)[i];
    values[i] = vus_pr(series.labels, run_series(series, options).scores(), series.vus_window);
  });
  figure_mean(options, "tsb_u.vus_pr", values);
  for (std::size_t i = 0; options.per_file && i < values.size(); ++i) {
    detail("%-60s %.4f", (*list)[i].name.c_str(), values[i]);
  }
  return {};
}

}  // namespace lapwing::quality
