// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/row_scorer.cuh"
#include "shared/detect/one_class_svm/cuda.hpp"

namespace lapwing::detect::svm {
namespace {

struct Task {
  Support support;

  __device__ float operator()(std::size_t, const float* row) const {
    return score_row(support, row);
  }
};

class Scorer final : public CudaRowScorerOf<Task> {
 public:
  /// Synchronises.
  Result<void> load(const Support& support) {
    if (auto done = open(support.width); !done) return done;
    task_.support = support;
    const std::size_t numbers = std::size_t{support.count} * support.width;
    if (auto done = upload(task_.support.vectors, numbers); !done) return done;
    if (auto done = upload(task_.support.weights, support.count); !done) return done;
    return ready();
  }
};

}  // namespace

Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Support& support) {
  auto scorer = std::make_unique<Scorer>();
  if (auto done = scorer->load(support); !done) return done.error();
  return std::unique_ptr<CudaRowScorer>(std::move(scorer));
}

}  // namespace lapwing::detect::svm
