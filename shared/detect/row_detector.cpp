// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/row_detector.hpp"

#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <limits>
#include <string>

namespace lapwing::detect {

RowDetector::RowDetector(const Kind& kind, std::size_t width, std::span<const std::byte> model)
    : kind_(kind.name), width_(width), tag_(frame_tag(kind.name, 1, crc32(model))) {}

Result<void> RowDetector::score(const Batch& batch, Scores out) {
  if (auto fine = check_shapes(kind_, width_, batch, out); !fine) return fine;
  std::ranges::fill(out.bands, Band{});
  std::ranges::fill(out.causes, Cause::none);
  for (std::size_t i = 0; i < out.raw.size(); ++i) {
    const auto row = batch.values.subspan(i * width_, width_);
    if (out.contributions.empty()) {
      out.raw[i] = score_row(row, {});
    } else {
      const auto shares = out.contributions.subspan(i * width_, width_);
      std::ranges::fill(shares, 0.0F);
      out.raw[i] = score_row(row, shares);
      to_shares(shares);
    }
  }
  return {};
}

void RowDetector::snapshot(std::vector<std::byte>& out) const {
  end_frame(out, begin_frame(out, tag_));
}

Result<void> RowDetector::restore(std::span<const std::byte> bytes) {
  const auto content = open_frame(bytes, tag_);
  if (!content) return content.error();
  if (!content->empty()) return Error{Errc::corrupt, "a trained detector has no state"};
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

void to_shares(std::span<float> weights) noexcept {
  double sum = 0;
  for (float& weight : weights) {
    weight = std::min(weight, std::numeric_limits<float>::max());
    sum += static_cast<double>(weight);
  }
  for (float& weight : weights) {
    weight = sum > 0 ? static_cast<float>(static_cast<double>(weight) / sum)
                     : 1.0F / static_cast<float>(weights.size());
  }
}

}  // namespace lapwing::detect
