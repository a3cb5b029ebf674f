// SPDX-License-Identifier: Apache-2.0
/// `pca`: how far a row lies within and beside the plane that the training rows lie in.
#pragma once

#include "shared/detect/columns.hpp"
#include "shared/detect/pca/components.hpp"
#include "shared/detect/pca/kind.hpp"
#include "shared/detect/pca/plane.hpp"
#include "shared/detect/row_detector.hpp"
#include "shared/detect/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Hotelling's T^2 within the principal components and the squared prediction error Q beside them
/// (Jackson and Mudholkar 1979), each over its 99 % quantile in training; score: the root of their
/// sum (combined index, Yue and Qin 2001), so about 1 to 1.4 at the edge of what is normal.
///
/// Contributions are reconstruction-based (Alcala and Qin 2009): how much the index falls when one
/// column is set to the value that suits the others best. Missing columns are set to that value.
class Pca final : public RowDetector {
 public:
  struct Model {
    Columns columns;
    double limit_within = 1;  ///< 99 % quantile of T^2
    double limit_beside = 1;  ///< of Q; 0: the components hold everything
    pca::Components components;

    void write(StateWriter& writer) const {
      writer(static_cast<std::uint32_t>(components.count()), limit_within, limit_beside, columns,
             components);
    }
    [[nodiscard]] bool read(StateReader& reader, std::size_t width);
  };
  Pca(Model model, std::span<const std::byte> bytes);

  [[nodiscard]] std::size_t state_bytes() const noexcept override;

 private:
  float score_row(std::span<const double> row, std::span<float> shares) noexcept override;

  Columns columns_;
  pca::Plane plane_;
  std::vector<float> scaled_;
};

namespace pca {
/// Of the frame that a model is.
[[nodiscard]] inline std::uint64_t model_tag(std::size_t width) {
  return frame_tag("pca model", 1, width);
}
}  // namespace pca

}  // namespace lapwing::detect
