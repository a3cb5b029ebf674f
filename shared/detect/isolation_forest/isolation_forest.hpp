// SPDX-License-Identifier: Apache-2.0
/// `isolation_forest`: how few random splits set a row apart (Liu, Ting and Zhou 2008).
#pragma once

#include "shared/detect/isolation_forest/cuda.hpp"
#include "shared/detect/isolation_forest/forest.hpp"
#include "shared/detect/isolation_forest/kind.hpp"
#include "shared/detect/trained.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Raw score: 2^(-mean path length / expected path length), (0, 1]; above about .6 is strange. A
/// missing value counts as the column's median, a row without any value scores 0.
class IsolationForest final : public TrainedDetector {
 public:
  /// `cuda` may be null: the CPU alone.
  IsolationForest(isolation_forest::Forest forest, std::span<const std::byte> model,
                  std::unique_ptr<isolation_forest::CudaTrees> cuda);

  Result<void> score(const Batch& batch, Scores out) override;
  [[nodiscard]] std::size_t state_bytes() const noexcept override;

 private:
  void sum_paths(std::size_t count) noexcept;

  isolation_forest::Forest forest_;
  std::unique_ptr<isolation_forest::CudaTrees> cuda_;
  std::size_t stride_;
  std::vector<float> rows_;  ///< a block of scaled rows
  std::vector<std::uint32_t> sums_;
};

}  // namespace lapwing::detect
