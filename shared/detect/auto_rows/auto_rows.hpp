// SPDX-License-Identifier: Apache-2.0
/// `auto` for rows: four views of a row, each made comparable by its rank in training.
#pragma once

#include "shared/detect/auto_rows/forest.hpp"
#include "shared/detect/auto_rows/kind.hpp"
#include "shared/detect/auto_rows/marginals.hpp"
#include "shared/detect/auto_rows/sample.hpp"
#include "shared/detect/auto_rows/surprise.hpp"
#include "shared/detect/columns.hpp"
#include "shared/detect/pca/plane.hpp"
#include "shared/detect/row_detector.hpp"
#include "shared/detect/snapshot.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Views, of robustly scaled columns: the distance to a sample of the training rows, the density
/// of random cuts, the rarity of each column by itself, and the residual of the principal
/// components. Score: the weighted mean of their surprises, in nats; the raw score of a row is the
/// same in whatever company it is scored.
///
/// Contributions: those of distance, rarity and residual, each by its part of the score; the cuts
/// tell no columns. Missing columns are left out, or count as the median for the cuts.
class AutoRows final : public RowDetector {
 public:
  enum View : std::uint8_t { distance, density, rarity, residual };
  static constexpr std::size_t kViews = 4;
  /// Distance weighs twice: it is the view that fails least often. The others, which each see
  /// what distance does not, together outweigh it when they agree.
  static constexpr std::array<double, kViews> kWeights = {1, 0.5, 0.5, 0.5};

  struct Model {
    Columns columns;
    std::uint32_t sample_rows = 0;
    std::vector<float> sample;  ///< scaled, row-major
    rows::Forest forest;
    rows::Marginals marginals;
    pca::Components components;
    std::array<rows::Surprise, kViews> surprises;

    void write(StateWriter& writer) const;
    [[nodiscard]] bool read(StateReader& reader, std::size_t width);
  };
  AutoRows(Model model, std::span<const std::byte> bytes);

  /// The views of a row before they are made comparable.
  std::array<double, kViews> views(std::span<const double> row) noexcept;
  [[nodiscard]] std::size_t state_bytes() const noexcept override;

 private:
  float score_row(std::span<const double> row, std::span<float> shares) noexcept override;
  void add_shares(const std::array<double, kViews>& parts, std::span<float> shares) noexcept;

  Columns columns_;
  rows::Sample sample_;
  rows::Forest forest_;
  rows::Marginals marginals_;
  pca::Plane plane_;
  std::array<rows::Surprise, kViews> surprises_;
  std::vector<float> scaled_;
  std::vector<float> filled_;  ///< scaled, 0 where missing
  std::vector<float> part_;    ///< one view's contributions
};

}  // namespace lapwing::detect
