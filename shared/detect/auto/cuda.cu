// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/cuda.hpp"
#include "shared/detect/cuda/context.hpp"

#include <cuda_runtime.h>
#include <utility>

namespace lapwing::detect::codebooks {
namespace {

constexpr unsigned kWarp = 32;
constexpr unsigned kThreads = 128;

/// One window a warp: its threads read neighbouring codes, and the same query.
__global__ void find_nearest(Books books, Windows windows, std::size_t count, Nearest* found) {
  const std::size_t window = (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
  if (window >= count) return;
  Nearest best = nearest_of(books, windows, window, threadIdx.x % kWarp, kWarp);
  for (unsigned apart = kWarp / 2; apart > 0; apart /= 2) {
    const Nearest other{__shfl_xor_sync(~0U, best.centroid, apart),
                        __shfl_xor_sync(~0U, best.square, apart)};
    best = nearer(best, other);
  }
  if (threadIdx.x % kWarp == 0) found[window] = best;
}

class Driver final : public CudaCodebooks {
 public:
  ~Driver() override {
    // The memory goes before the stream; nothing may still use it.
    if (context_) static_cast<void>(context_->synchronise().has_value());
  }

  Result<void> open(std::size_t streams, std::uint32_t count, std::uint32_t dimensions) {
    auto context = CudaContext::open();
    if (!context) return context.error();
    context_ = std::move(*context);
    count_ = count;
    dimensions_ = dimensions;
    if (auto d = allocate<std::int8_t>(codes_, streams * count * dimensions); !d) return d;
    if (auto d = allocate<float>(scales_, streams * count); !d) return d;
    if (auto d = allocate<std::uint32_t>(used_, streams); !d) return d;
    if (auto d = allocate<std::int16_t>(queries_, kWindowsMax * dimensions); !d) return d;
    if (auto d = allocate<float>(query_scales_, kWindowsMax); !d) return d;
    if (auto d = allocate<std::uint32_t>(streams_, kWindowsMax); !d) return d;
    return allocate<Nearest>(found_, kWindowsMax);
  }

  /// Synchronises.
  Result<void> load(const Books& books, std::size_t first, std::size_t streams) override {
    if (streams == 0) return {};
    const std::size_t codes = std::size_t{count_} * dimensions_;
    if (auto d = copy(codes_, books.codes, first * codes, streams * codes); !d) return d;
    if (auto d = copy(scales_, books.scales, first * count_, streams * count_); !d) return d;
    if (auto d = copy(used_, books.used, first, streams); !d) return d;
    return context_->synchronise();
  }

  /// Synchronises.
  Result<void> find(const Windows& windows, std::size_t count, Nearest* found) override {
    if (count == 0) return {};
    if (auto d = copy(queries_, windows.queries, 0, count * dimensions_); !d) return d;
    if (auto d = copy(query_scales_, windows.scales, 0, count); !d) return d;
    if (auto d = copy(streams_, windows.streams, 0, count); !d) return d;
    const auto blocks = static_cast<unsigned>((count * kWarp + kThreads - 1) / kThreads);
    find_nearest<<<blocks, kThreads, 0, static_cast<cudaStream_t>(context_->stream())>>>(
        {codes_.as<std::int8_t>(), scales_.as<float>(), used_.as<std::uint32_t>(), count_,
         dimensions_},
        {queries_.as<std::int16_t>(), query_scales_.as<float>(), streams_.as<std::uint32_t>()},
        count, found_.as<Nearest>());
    if (auto d = context_->launched(); !d) return d;
    if (auto d = context_->copy_to_host(found, found_.as<void>(), count * sizeof(Nearest)); !d) {
      return d;
    }
    return context_->synchronise();
  }

 private:
  /// Items from `first` on, to the same place. Returns before the copy is done.
  template <class T>
  Result<void> copy(const CudaMemory& memory, const T* host, std::size_t first, std::size_t count) {
    return context_->copy_to_device(memory.as<T>() + first, host + first, count * sizeof(T));
  }

  std::unique_ptr<CudaContext> context_;  // before the memory: it ends last
  std::uint32_t count_ = 0;
  std::uint32_t dimensions_ = 0;
  CudaMemory codes_;
  CudaMemory scales_;
  CudaMemory used_;
  CudaMemory queries_;
  CudaMemory query_scales_;
  CudaMemory streams_;
  CudaMemory found_;
};

}  // namespace

Result<std::unique_ptr<CudaCodebooks>> make_cuda_codebooks(std::size_t streams, std::uint32_t count,
                                                           std::uint32_t dimensions) {
  auto driver = std::make_unique<Driver>();
  if (auto opened = driver->open(streams, count, dimensions); !opened) return opened.error();
  return std::unique_ptr<CudaCodebooks>(std::move(driver));
}

}  // namespace lapwing::detect::codebooks
