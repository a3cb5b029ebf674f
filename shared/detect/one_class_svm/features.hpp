// SPDX-License-Identifier: Apache-2.0
/// `one_class_svm` with random features in the place of support vectors.
#pragma once

#include "shared/detect/columns.hpp"
#include "shared/detect/neighbours/distances.hpp"
#include "shared/detect/one_class_svm/feature_task.hpp"
#include "shared/detect/one_class_svm/one_class_svm.hpp"
#include "shared/detect/row_detector.hpp"
#include "shared/detect/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::detect {

/// The kernel sum of a solved model as a sum of random cosines (Rahimi and Recht 2007): a row costs
/// the same however many support vectors there are.
///
/// Score: -log of the mean kernel, which is known to about 1/sqrt(features) only: rows whose kernel
/// cannot be told from none all come to the same end. Missing columns count as the mean.
/// Contributions: how much the score falls with the column at its mean.
class FeatureSvm final : public RowDetector {
 public:
  struct Model {
    Columns columns;
    std::uint32_t count = 0;        ///< features, a multiple of PackedRows::kAtOnce
    std::vector<float> directions;  ///< count * width
    std::vector<float> phases;
    std::vector<float> amplitudes;

    void write(StateWriter& writer) const {
      writer(count, columns, directions, phases, amplitudes);
    }
    [[nodiscard]] bool read(StateReader& reader, std::size_t width);
    /// As drivers take it; borrows the arrays.
    [[nodiscard]] svm::Features task() const noexcept;
  };
  /// `device` may be null: the CPU alone.
  FeatureSvm(const Model& model, std::span<const std::byte> bytes,
             std::unique_ptr<RowsOnDevice> device);

  /// Draws `features` (rounded up to a multiple of 64) and sums the support vectors up in them.
  static Model replace(const OneClassSvm::Model& exact, std::size_t features, std::uint64_t seed);

  [[nodiscard]] std::size_t state_bytes() const noexcept override;

 private:
  float score_row(std::span<const double> row, std::span<float> shares) noexcept override;
  [[nodiscard]] float score_scaled() noexcept;

  Columns columns_;
  neighbours::PackedRows directions_;
  std::vector<float> phases_;
  std::vector<float> amplitudes_;
  std::vector<float> query_;
  float least_;  ///< mean kernel that can be told from none
};

}  // namespace lapwing::detect
