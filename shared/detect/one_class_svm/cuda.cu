// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/row_scorer.cuh"
#include "shared/detect/one_class_svm/cuda.hpp"

namespace lapwing::detect::svm {
namespace {

struct SupportTask {
  Support support;

  __device__ float operator()(std::size_t, const float* row) const {
    return score_row(support, row);
  }
};

class SupportScorer final : public CudaRowScorerOf<SupportTask> {
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

struct FeatureTask {
  Features features;
  float* queries = nullptr;  ///< a row for every worker

  __device__ float operator()(std::size_t i, const float* row) const {
    return score_row(features, row, queries + i * features.width);
  }
};

class FeatureScorer final : public CudaRowScorerOf<FeatureTask> {
 public:
  /// Synchronises.
  Result<void> load(const Features& features) {
    if (auto done = open(features.width); !done) return done;
    task_.features = features;
    const std::size_t numbers = std::size_t{features.count} * features.width;
    if (auto done = upload(task_.features.directions, numbers); !done) return done;
    if (auto done = upload(task_.features.phases, features.count); !done) return done;
    if (auto done = upload(task_.features.amplitudes, features.count); !done) return done;
    if (auto done = allocate(task_.queries, kRowsMax * features.width); !done) return done;
    return ready();
  }
};

template <class Scorer, class Model>
Result<std::unique_ptr<CudaRowScorer>> load(const Model& model) {
  auto scorer = std::make_unique<Scorer>();
  if (auto done = scorer->load(model); !done) return done.error();
  return std::unique_ptr<CudaRowScorer>(std::move(scorer));
}

}  // namespace

Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Support& support) {
  return load<SupportScorer>(support);
}

Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Features& features) {
  return load<FeatureScorer>(features);
}

}  // namespace lapwing::detect::svm
