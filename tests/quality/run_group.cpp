// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/run_group.hpp"

#include "shared/detect/kinds.hpp"

#include <algorithm>

namespace lapwing::quality {

Result<std::vector<float>> run_group(const Series& series, const Options& options) {
  const auto* kind = detect::find_kind(options.group_detector, detect::Input::group);
  if (kind == nullptr) {
    return Error{Errc::not_found, "no kind \"" + options.group_detector + "\" for groups"};
  }
  const auto warmup = std::clamp<std::size_t>(series.train_rows, 24, 100'000);
  const auto detector =
      kind->make({.width = series.width(), .warmup = static_cast<std::uint32_t>(warmup)}, {});
  if (!detector) return within(series.name, detector.error());
  std::vector<float> raw(series.rows());
  const auto done = (*detector)->score(
      {.values = series.values, .times = series.times, .width = series.width()}, {.raw = raw});
  if (!done) return within(series.name, done.error());
  return raw;
}

}  // namespace lapwing::quality
