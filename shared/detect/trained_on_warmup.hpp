// SPDX-License-Identifier: Apache-2.0
/// Kinds of trained detectors put to use on a live group, without a model made elsewhere.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/auto_group/history.hpp"
#include "shared/detect/detector.hpp"
#include "shared/detect/kind.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Keeps the last rows, as many as the warm-up (at most 8 MiB or 256 rows), trains a model of its
/// kind on them in the row that ends the warm-up, and scores with it from then on. What is normal
/// stays as it was until accept_new_normal(), which trains on the last rows anew. Rows that cannot
/// be trained on (no column varies) are another warm-up.
///
/// Cost: the kind's own, and a copy of the row; the training is done within one row (its time is in
/// the kind's README, for as many rows). It allocates then, and at no other time.
class TrainedOnWarmup final : public Detector {
 public:
  /// `kind` has Learning::trained and outlives the detector; check_settings() passed.
  TrainedOnWarmup(const Kind& kind, const Settings& settings);

  Result<void> score(const Batch& batch, Scores out) override;
  [[nodiscard]] std::size_t warmup_rows() const noexcept override { return settings_.warmup; }
  [[nodiscard]] bool warm() const noexcept override { return detector_ != nullptr; }
  void accept_new_normal() noexcept override;
  [[nodiscard]] std::size_t state_bytes() const noexcept override;
  void snapshot(std::vector<std::byte>& out) const override;
  Result<void> restore(std::span<const std::byte> bytes) override;

 private:
  void train() noexcept;
  void begin_anew() noexcept;
  [[nodiscard]] std::uint64_t tag() const noexcept;

  const Kind* kind_;
  Settings settings_;
  group::History history_;
  std::uint64_t rows_ = 0;        ///< since the last attempt to train
  std::vector<std::byte> model_;  ///< empty: still warming up
  std::unique_ptr<Detector> detector_;
};

/// A detector for readings as they come: of an online kind as it is, of a trained one as above.
/// Errors: as MakeDetector.
Result<std::unique_ptr<Detector>> make_live(const Kind& kind, const Settings& settings);

}  // namespace lapwing::detect
