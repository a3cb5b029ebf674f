// SPDX-License-Identifier: Apache-2.0
/// `one_class_svm`: support vectors of the training rows, with a radial kernel.
#pragma once

#include "shared/detect/columns.hpp"
#include "shared/detect/neighbours/distances.hpp"
#include "shared/detect/one_class_svm/kind.hpp"
#include "shared/detect/one_class_svm/task.hpp"
#include "shared/detect/row_detector.hpp"
#include "shared/detect/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::detect {

/// One-class support vector machine (Schoelkopf, Platt, Shawe-Taylor, Smola and Williamson 2001).
///
/// Score: -log of the mean kernel, sum(alpha k) / sum(alpha): the decision function in another
/// scale, which keeps telling far rows apart where the function itself has come to its end.
/// Missing columns are left out and the distance scaled up for them.
class OneClassSvm final : public RowDetector {
 public:
  struct Model {
    Columns columns;
    std::uint32_t count = 0;     ///< support vectors
    double gamma = 0;            ///< for scaled columns
    double rho = 0;              ///< mean kernel on the border, sum(alpha k) / sum(alpha)
    std::vector<float> vectors;  ///< scaled, row-major
    std::vector<float> weights;  ///< alpha / sum(alpha)

    void write(StateWriter& writer) const { writer(count, gamma, rho, columns, vectors, weights); }
    [[nodiscard]] bool read(StateReader& reader, std::size_t width);
    /// As drivers take it; borrows the arrays.
    [[nodiscard]] svm::Support task() const noexcept;
  };
  /// `device` may be null: the CPU alone.
  OneClassSvm(const Model& model, std::span<const std::byte> bytes,
              std::unique_ptr<RowsOnDevice> device);

  /// The raw score on the border of the region; about nu of the training rows score more.
  [[nodiscard]] float threshold() const noexcept { return threshold_; }
  [[nodiscard]] std::size_t state_bytes() const noexcept override;

 private:
  float score_row(std::span<const double> row, std::span<float> shares) noexcept override;
  /// Shares: the mean of gamma off^2 over the support vectors, each by its part in the kernel sum.
  void add_shares(float sum, std::span<float> shares) const noexcept;

  Columns columns_;
  neighbours::PackedRows vectors_;
  std::vector<float> weights_;  ///< padded as vectors_
  float gamma_;
  float threshold_;
  std::vector<float> query_;
  std::vector<std::uint32_t> present_;  ///< columns of the row at hand, the first few
  std::vector<float> kernels_;          ///< scratch, padded as vectors_
};

}  // namespace lapwing::detect
