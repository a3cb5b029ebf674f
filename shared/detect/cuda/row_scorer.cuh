// SPDX-License-Identifier: Apache-2.0
/// The part of CudaRowScorer that kinds share: one row a thread, by the kind's task.
#pragma once

#include "shared/detect/cuda/context.hpp"
#include "shared/detect/cuda/row_scorer.hpp"

#include <cstddef>
#include <cuda_runtime.h>
#include <memory>
#include <utility>
#include <vector>

namespace lapwing::detect {

/// `task(i, row)` is the score of one row; i tells the workers of one launch apart.
template <class Task>
__global__ void score_rows(Task task, const float* rows, std::size_t width, std::size_t count,
                           float* raw) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) raw[i] = task(i, rows + i * width);
}

/// Derive, and set task_ to what upload() gives. Task: a plain struct of device pointers and
/// numbers with a `__device__ float operator()(std::size_t, const float*) const`.
template <class Task>
class CudaRowScorerOf : public CudaRowScorer {
 public:
  ~CudaRowScorerOf() override {
    // The memory goes before the stream; nothing may still use it.
    if (context_) static_cast<void>(context_->synchronise().has_value());
  }

  Result<void> score(const float* rows, std::size_t count, float* raw) final {
    if (count == 0) return {};
    const std::size_t bytes = count * width_ * sizeof(float);
    if (auto done = context_->copy_to_device(rows_, rows, bytes); !done) return done;
    const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
    score_rows<<<blocks, kThreads, 0, static_cast<cudaStream_t>(context_->stream())>>>(
        task_, rows_, width_, count, raw_);
    if (auto done = context_->launched(); !done) return done;
    if (auto done = context_->copy_to_host(raw, raw_, count * sizeof(float)); !done) return done;
    return context_->synchronise();
  }

 protected:
  static constexpr unsigned kThreads = 128;

  /// The stream, and room for rows and scores. Returns before the work is done.
  Result<void> open(std::size_t width) {
    auto context = CudaContext::open();
    if (!context) return context.error();
    context_ = std::move(*context);
    width_ = width;
    if (auto done = allocate(rows_, kRowsMax * width); !done) return done;
    return allocate(raw_, kRowsMax);
  }

  /// Memory of the device that lives as long as the scorer.
  template <class T>
  Result<void> allocate(T*& at, std::size_t count) {
    auto done = detect::allocate<T>(memory_.emplace_back(), count);
    at = memory_.back().template as<T>();
    return done;
  }

  /// As lapwing::detect::upload(), into memory that lives as long as the scorer.
  template <class T>
  Result<void> upload(const T*& at, std::size_t count) {
    return detect::upload(*context_, memory_.emplace_back(), at, count);
  }

  /// Synchronises: what was uploaded may go from the host.
  Result<void> ready() { return context_->synchronise(); }

  Task task_{};

 private:
  std::unique_ptr<CudaContext> context_;  // before the memory: it ends last
  std::vector<CudaMemory> memory_;
  std::size_t width_ = 0;
  float* rows_ = nullptr;
  float* raw_ = nullptr;
};

}  // namespace lapwing::detect
