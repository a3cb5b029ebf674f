// SPDX-License-Identifier: Apache-2.0
/// A CUDA device as drivers see it: one stream and memory. Names no CUDA type, so that any source
/// may include it; see README.md for how a kind gets a CUDA driver.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <memory>
#include <utility>

namespace lapwing::detect {

/// One stream of one device. Owns the stream; moves nowhere, so that buffers may point to it.
/// Threads: one object is used from one thread at a time.
class CudaContext {
 public:
  /// Errors: no_device (built without CUDA, no driver, or no device).
  static Result<std::unique_ptr<CudaContext>> open();
  ~CudaContext();
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  /// The stream all work goes to: a cudaStream_t.
  [[nodiscard]] void* stream() const noexcept { return stream_; }

  /// Both return before the work is done: the host's bytes must stay until synchronise(). Errors:
  /// no_device.
  Result<void> copy_to_device(void* device, const void* host, std::size_t bytes);
  Result<void> copy_to_host(void* host, const void* device, std::size_t bytes);
  /// What the launch just before says; returns before the work is done. Errors: no_device.
  Result<void> launched();
  /// Synchronises: waits until everything in the stream is done. Errors: no_device.
  Result<void> synchronise();

 private:
  explicit CudaContext(void* stream) : stream_(stream) {}
  void* stream_;
};

/// Plain device memory; freed when it ends, so end the work that uses it before.
class CudaMemory {
 public:
  CudaMemory() = default;
  /// Errors: no_device (also when its memory is full).
  static Result<CudaMemory> allocate(std::size_t bytes);
  ~CudaMemory() { free(); }
  CudaMemory(CudaMemory&& other) noexcept : at_(other.at_) { other.at_ = nullptr; }
  CudaMemory& operator=(CudaMemory&& other) noexcept;

  template <class T>
  [[nodiscard]] T* as() const noexcept {
    return static_cast<T*>(at_);
  }

 private:
  explicit CudaMemory(void* at) : at_(at) {}
  void free() noexcept;
  void* at_ = nullptr;
};

/// Makes `memory` hold `count` items. Errors: no_device (also when its memory is full).
template <class T>
Result<void> allocate(CudaMemory& memory, std::size_t count) {
  auto made = CudaMemory::allocate(count * sizeof(T));
  if (!made) return made.error();
  memory = std::move(*made);
  return {};
}

/// Makes `at`, an array of the host, one of the device that lives as long as `memory`. Returns
/// before the copy is done. Errors: no_device.
template <class T>
Result<void> upload(CudaContext& context, CudaMemory& memory, const T*& at, std::size_t count) {
  if (auto done = allocate<T>(memory, count); !done) return done;
  const T* host = std::exchange(at, memory.as<T>());
  return context.copy_to_device(memory.as<T>(), host, count * sizeof(T));
}

/// Whether this build has CUDA drivers.
[[nodiscard]] bool built_with_cuda() noexcept;

/// What stubs answer.
[[nodiscard]] Error built_without_cuda();

}  // namespace lapwing::detect
