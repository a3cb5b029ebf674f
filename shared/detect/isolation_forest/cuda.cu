// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/context.hpp"
#include "shared/detect/isolation_forest/cuda.hpp"

#include <cuda_runtime.h>
#include <utility>

namespace lapwing::detect::isolation_forest {
namespace {

using trees::kLanes;

constexpr unsigned kThreads = 128;

/// One row a thread: neighbours read the same trees, so their top levels come from the cache.
__global__ void sum_rows(Trees forest, const float* rows, std::size_t stride, std::size_t count,
                         std::uint32_t* sums) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) sums[i] = trees::walk_all(forest, rows + i * stride);
}

class Driver final : public CudaTrees {
 public:
  explicit Driver(std::size_t stride) : stride_(stride) {}
  ~Driver() override {
    // The memory goes before the stream; nothing may still use it.
    if (context_) static_cast<void>(context_->synchronise().has_value());
  }

  /// Synchronises.
  Result<void> open(const Trees& trees) {
    auto context = CudaContext::open();
    if (!context) return context.error();
    context_ = std::move(*context);
    const std::size_t groups = (trees.trees + kLanes - 1) / kLanes;
    const std::size_t words = (groups * kLanes) << (trees.depth + 1);
    const std::size_t planes =
        trees.coordinates > 1 ? (std::size_t{trees.trees} << trees.depth) * trees.coordinates : 0;
    trees_ = trees;
    if (auto done = upload(*context_, words_, trees_.words, words); !done) return done;
    if (auto done = upload(*context_, columns_, trees_.columns, planes); !done) return done;
    if (auto done = upload(*context_, weights_, trees_.weights, planes); !done) return done;
    if (auto done = allocate<float>(rows_, kRowsMax * stride_); !done) return done;
    if (auto done = allocate<std::uint32_t>(sums_, kRowsMax); !done) return done;
    return context_->synchronise();
  }

  Result<void> sum_paths(const float* rows, std::size_t count, std::uint32_t* sums) override {
    if (count == 0) return {};
    const std::size_t bytes = count * stride_ * sizeof(float);
    if (auto done = context_->copy_to_device(rows_.as<void>(), rows, bytes); !done) return done;
    const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
    sum_rows<<<blocks, kThreads, 0, static_cast<cudaStream_t>(context_->stream())>>>(
        trees_, rows_.as<float>(), stride_, count, sums_.as<std::uint32_t>());
    if (auto done = context_->launched(); !done) return done;
    auto copied = context_->copy_to_host(sums, sums_.as<void>(), count * sizeof(std::uint32_t));
    if (!copied) return copied;
    return context_->synchronise();
  }

 private:
  std::size_t stride_;
  std::unique_ptr<CudaContext> context_;  // before the memory: it ends last
  Trees trees_{};                         // pointers of the device
  CudaMemory words_;
  CudaMemory columns_;
  CudaMemory weights_;
  CudaMemory rows_;
  CudaMemory sums_;
};

}  // namespace

Result<std::unique_ptr<CudaTrees>> make_cuda_trees(const Trees& trees, std::size_t stride) {
  auto driver = std::make_unique<Driver>(stride);
  if (auto opened = driver->open(trees); !opened) return opened.error();
  return std::unique_ptr<CudaTrees>(std::move(driver));
}

}  // namespace lapwing::detect::isolation_forest
