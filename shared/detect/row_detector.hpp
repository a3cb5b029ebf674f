// SPDX-License-Identifier: Apache-2.0
/// What trained detectors of rows have in common: one row at a time, always warm, and nothing to
/// remember but the model.
#pragma once

#include "shared/detect/detector.hpp"
#include "shared/detect/kind.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lapwing::detect {

/// A snapshot is an empty frame that names the model, so that it restores on the same one only.
class RowDetector : public Detector {
 public:
  Result<void> score(const Batch& batch, Scores out) final;
  [[nodiscard]] std::size_t warmup_rows() const noexcept final { return 0; }
  [[nodiscard]] bool warm() const noexcept final { return true; }
  void snapshot(std::vector<std::byte>& out) const final;
  Result<void> restore(std::span<const std::byte> bytes) final;

 protected:
  /// `kind` outlives the detector (it is one of kKinds).
  RowDetector(const Kind& kind, std::size_t width, std::span<const std::byte> model);

  /// The raw score of one row of the detector's width, finite and >= 0; 0 when all is missing.
  /// `shares` is empty, or as wide: then it takes what each column adds, >= 0, of any sum.
  virtual float score_row(std::span<const double> row, std::span<float> shares) noexcept = 0;

 private:
  std::string_view kind_;
  std::size_t width_;
  std::uint64_t tag_;
};

/// What every training begins with. Errors: bad_config, shutting_down (cancelled), no_device.
Result<void> begin_training(const Kind& kind, const Table& table, const Settings& settings,
                            const Progress& progress);

/// Errors: shutting_down when `progress` says so.
Result<void> report_progress(const Kind& kind, const Progress& progress, double done);

/// Names the kind whose model is refused. Errors: corrupt.
Error corrupt_model(const Kind& kind);

/// Weights >= 0 made to add up to 1; equal ones where all are 0.
void to_shares(std::span<float> weights) noexcept;

}  // namespace lapwing::detect
