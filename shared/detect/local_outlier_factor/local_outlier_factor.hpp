// SPDX-License-Identifier: Apache-2.0
/// `local_outlier_factor`: how much sparser a row's surroundings are than its neighbours'.
#pragma once

#include "shared/detect/local_outlier_factor/kind.hpp"
#include "shared/detect/neighbours/reference.hpp"
#include "shared/detect/row_detector.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::detect {

/// The local outlier factor of Breunig, Kriegel, Ng and Sander 2000: about 1 inside a region of
/// even density, more outside. Reference rows keep their factors whatever is scored (novelty); a
/// row that is a reference row itself gets the factor it has among them, as scikit-learn's fit
/// gives. Missing columns are left out and distances scaled up for them.
class LocalOutlierFactor final : public RowDetector {
 public:
  struct Model {
    neighbours::Reference reference;
    std::vector<float> kth_distances;  ///< of the reference rows
    std::vector<float> densities;      ///< likewise

    void write(StateWriter& writer) const;
    [[nodiscard]] bool read(StateReader& reader, std::size_t width);
  };
  /// `device` may be null: the CPU alone.
  LocalOutlierFactor(Model model, std::span<const std::byte> bytes,
                     std::unique_ptr<RowsOnDevice> device);

  [[nodiscard]] std::size_t state_bytes() const noexcept override;

 private:
  float score_row(std::span<const double> row, std::span<float> shares) noexcept override;

  neighbours::Neighbours neighbours_;
  std::vector<float> kth_distances_;
  std::vector<float> densities_;
};

}  // namespace lapwing::detect
