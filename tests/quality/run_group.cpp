// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/run_group.hpp"

#include "shared/detect/kinds.hpp"

#include <algorithm>
#include <span>
#include <vector>

namespace lapwing::quality {

Result<GroupOutput> run_group(const Series& series, const Options& options) {
  const auto* kind = detect::find_kind(options.group_detector, detect::Input::group);
  if (kind == nullptr) {
    return Error{Errc::not_found, "no kind \"" + options.group_detector + "\" for groups"};
  }
  const auto warmup = std::clamp<std::size_t>(series.train_rows, 24, 100'000);
  const auto detector =
      kind->make({.width = series.width(), .warmup = static_cast<std::uint32_t>(warmup)}, {});
  if (!detector) return within(series.name, detector.error());
  std::vector<float> raw(series.rows());
  std::vector<float> contributions(series.values.size());
  const auto done =
      (*detector)->score({.values = series.values, .times = series.times, .width = series.width()},
                         {.raw = raw, .contributions = contributions});
  if (!done) return within(series.name, done.error());
  GroupOutput result;
  result.output.verdicts.resize(series.rows());
  for (std::size_t i = 0; i < raw.size(); ++i) result.output.verdicts[i].score = raw[i];
  const auto highest = static_cast<std::size_t>(std::ranges::max_element(raw) - raw.begin());
  const auto parts = std::span(contributions).subspan(highest * series.width(), series.width());
  result.sensor = static_cast<std::size_t>(std::ranges::max_element(parts) - parts.begin());
  return result;
}

}  // namespace lapwing::quality
