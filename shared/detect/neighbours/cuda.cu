// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/row_scorer.cuh"
#include "shared/detect/neighbours/cuda.hpp"

namespace lapwing::detect::neighbours {
namespace {

struct Task {
  Model model;
  float* squared = nullptr;  ///< neighbours + 1 for every worker
  std::uint32_t* rows = nullptr;

  __device__ float operator()(std::size_t i, const float* row) const {
    const std::size_t at = i * (model.neighbours + 1);
    return score_row(model, row, squared + at, rows + at);
  }
};

class Scorer final : public CudaRowScorerOf<Task> {
 public:
  /// Synchronises.
  Result<void> load(const Model& model) {
    if (auto done = open(model.width); !done) return done;
    task_.model = model;
    Model& here = task_.model;
    const std::size_t numbers = std::size_t{model.count} * model.width;
    if (auto done = upload(here.rows, numbers); !done) return done;
    if (model.kth_distances != nullptr) {
      if (auto done = upload(here.kth_distances, model.count); !done) return done;
      if (auto done = upload(here.densities, model.count); !done) return done;
    }
    const std::size_t kept = kRowsMax * (std::size_t{model.neighbours} + 1);
    if (auto done = allocate(task_.squared, kept); !done) return done;
    if (auto done = allocate(task_.rows, kept); !done) return done;
    return ready();
  }
};

}  // namespace

Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Model& model) {
  auto scorer = std::make_unique<Scorer>();
  if (auto done = scorer->load(model); !done) return done.error();
  return std::unique_ptr<CudaRowScorer>(std::move(scorer));
}

}  // namespace lapwing::detect::neighbours
