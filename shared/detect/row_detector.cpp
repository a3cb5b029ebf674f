// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/row_detector.hpp"

#include <algorithm>
#include <limits>
#include <string>

namespace lapwing::detect {

Result<void> RowDetector::score(const Batch& batch, Scores out) {
  if (auto fine = check_shapes(kind_, width_, batch, out); !fine) return fine;
  std::ranges::fill(out.bands, Band{});
  std::ranges::fill(out.causes, Cause::none);
  if (device_ && out.contributions.empty() && device_->score(batch.values, out.raw)) return {};
  for (std::size_t i = 0; i < out.raw.size(); ++i) {
    const auto row = batch.values.subspan(i * width_, width_);
    if (out.contributions.empty()) {
      out.raw[i] = score_row(row, {});
    } else {
      const auto shares = out.contributions.subspan(i * width_, width_);
      std::ranges::fill(shares, 0.0F);
      out.raw[i] = score_row(row, shares);
      for (float& share : shares) share = std::min(share, std::numeric_limits<float>::max());
      to_shares(shares);
    }
  }
  return {};
}

Result<void> begin_training(const Kind& kind, const Table& table, const Settings& settings,
                            const Progress& progress) {
  if (auto fine = check_settings(kind, settings); !fine) return fine;
  if (table.width != settings.width || table.values.size() % table.width != 0) {
    return Error{Errc::bad_config, "detector " + std::string(kind.name) +
                                       ": the table and the settings differ in width"};
  }
  return report_progress(kind, progress, 0);
}

Result<void> report_progress(const Kind& kind, const Progress& progress, double done) {
  if (!progress || progress(done)) return {};
  return Error{Errc::shutting_down, "training " + std::string(kind.name) + " was cancelled"};
}

Error corrupt_model(const Kind& kind) {
  return {Errc::corrupt, "model of detector " + std::string(kind.name) + ": impossible values"};
}

}  // namespace lapwing::detect
