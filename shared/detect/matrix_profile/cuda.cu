// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/context.hpp"
#include "shared/detect/matrix_profile/cuda.hpp"

#include <cfloat>
#include <cuda_runtime.h>
#include <utility>
#include <vector>

namespace lapwing::detect::profile {
namespace {

constexpr unsigned kThreads = 128;
constexpr std::size_t kRows = 2048;  // a worker walks; then its covariance is computed anew

using Word = unsigned long long;  // what CUDA's atomics take

/// Raises each row's best. Records are rare, so the plain look before spares most atomics; a value
/// read too old only costs an atomic.
struct RaiseBest {
  Word* best;
  __device__ void operator()(std::size_t row, double correlation, std::size_t) const {
    if (!(correlation == correlation)) return;
    const Word word = ordered(correlation);
    if (word > *static_cast<volatile Word*>(best + row)) atomicMax(best + row, word);
  }
};

/// The first place that has the best: the same arithmetic gives the same bits again.
struct FindPlace {
  const Word* best;
  Word* where;
  __device__ void operator()(std::size_t row, double correlation, std::size_t later) const {
    if (!(correlation == correlation)) return;
    if (ordered(correlation) == best[row]) atomicMin(where + row, static_cast<Word>(later));
  }
};

/// One lag a thread: neighbours read neighbouring entries. One stretch of rows a block row.
template <class Found>
__global__ void walk(Tables tables, Found found) {
  const std::size_t lag = tables.nearest + std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::size_t from = std::size_t{blockIdx.y} * kRows;
  walk_diagonal(tables, lag, from, from + kRows, found);
}

class Driver final : public CudaSearch {
 public:
  ~Driver() override {
    // The memory goes before the stream; nothing may still use it.
    if (context_) static_cast<void>(context_->synchronise().has_value());
  }

  Result<void> open() {
    auto context = CudaContext::open();
    if (!context) return context.error();
    context_ = std::move(*context);
    return {};
  }

  /// Synchronises.
  Result<void> best_later(const Tables& tables, double* best, double* where) override {
    if (tables.count <= tables.nearest) {
      for (std::size_t i = 0; i < tables.count; ++i) best[i] = -DBL_MAX, where[i] = -1;
      return {};
    }
    Tables there = tables;
    const std::size_t count = tables.count;
    const std::size_t values = count + tables.window - 1;
    CudaMemory memory[5];
    if (auto d = upload(*context_, memory[0], there.values, values); !d) return d;
    if (auto d = upload(*context_, memory[1], there.means, count); !d) return d;
    if (auto d = upload(*context_, memory[2], there.change, count); !d) return d;
    if (auto d = upload(*context_, memory[3], there.sum, count); !d) return d;
    if (auto d = upload(*context_, memory[4], there.inverse, count); !d) return d;
    const std::vector<Word> lowest(count, ordered(-DBL_MAX));
    const std::vector<Word> nowhere(count, ~Word{0});
    const Word* bests = lowest.data();
    const Word* places = nowhere.data();
    CudaMemory best_memory;
    CudaMemory where_memory;
    if (auto d = upload(*context_, best_memory, bests, count); !d) return d;
    if (auto d = upload(*context_, where_memory, places, count); !d) return d;

    const std::size_t lags = count - tables.nearest;
    const dim3 blocks(static_cast<unsigned>((lags + kThreads - 1) / kThreads),
                      static_cast<unsigned>((count + kRows - 1) / kRows));
    const auto stream = static_cast<cudaStream_t>(context_->stream());
    walk<<<blocks, kThreads, 0, stream>>>(there, RaiseBest{best_memory.as<Word>()});
    if (auto d = context_->launched(); !d) return d;
    walk<<<blocks, kThreads, 0, stream>>>(
        there, FindPlace{best_memory.as<Word>(), where_memory.as<Word>()});
    if (auto d = context_->launched(); !d) return d;

    std::vector<Word> words(2 * count);
    const std::size_t bytes = count * sizeof(Word);
    if (auto d = context_->copy_to_host(words.data(), best_memory.as<void>(), bytes); !d) return d;
    if (auto d = context_->copy_to_host(words.data() + count, where_memory.as<void>(), bytes); !d) {
      return d;
    }
    if (auto d = context_->synchronise(); !d) return d;
    for (std::size_t i = 0; i < count; ++i) {
      const bool found = words[count + i] != ~Word{0};
      best[i] = unordered(words[i]);
      where[i] = found ? static_cast<double>(words[count + i]) : -1;
    }
    return {};
  }

 private:
  std::unique_ptr<CudaContext> context_;
};

}  // namespace

Result<std::unique_ptr<CudaSearch>> make_cuda_search() {
  auto driver = std::make_unique<Driver>();
  if (auto opened = driver->open(); !opened) return opened.error();
  return std::unique_ptr<CudaSearch>(std::move(driver));
}

}  // namespace lapwing::detect::profile
