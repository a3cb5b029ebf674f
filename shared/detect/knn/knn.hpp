// SPDX-License-Identifier: Apache-2.0
/// `knn`: mean distance to the nearest rows of the training table.
#pragma once

#include "shared/detect/knn/kind.hpp"
#include "shared/detect/neighbours/reference.hpp"
#include "shared/detect/row_detector.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace lapwing::detect {

/// Score: mean distance to the k nearest reference rows (Ramaswamy, Rastogi and Shim 2000;
/// Angiulli and Pizzuti 2002), in scaled columns. A row that is a reference row itself is not its
/// own neighbour. Missing columns are left out and the distance scaled up for them.
class Knn final : public RowDetector {
 public:
  /// `device` may be null: the CPU alone.
  Knn(const neighbours::Reference& reference, std::span<const std::byte> model,
      std::unique_ptr<RowsOnDevice> device)
      : RowDetector(kKnn, reference.columns.width(), model, std::move(device)),
        neighbours_(reference) {}

  [[nodiscard]] std::size_t state_bytes() const noexcept override {
    return sizeof(*this) + neighbours_.bytes() + device_bytes();
  }

 private:
  float score_row(std::span<const double> row, std::span<float> shares) noexcept override;

  neighbours::Neighbours neighbours_;
};

}  // namespace lapwing::detect
