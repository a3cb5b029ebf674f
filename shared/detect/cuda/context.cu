// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/context.hpp"

#include <cuda_runtime.h>
#include <string>

namespace lapwing::detect {
namespace {

Result<void> checked(const char* what, cudaError_t code) {
  if (code == cudaSuccess) return {};
  return Error{Errc::no_device, std::string("CUDA: ") + what + ": " + cudaGetErrorString(code) +
                                    "; set device to cpu, or look at nvidia-smi"};
}

}  // namespace

bool built_with_cuda() noexcept { return true; }

Result<std::unique_ptr<CudaContext>> CudaContext::open() {
  int count = 0;
  if (auto fine = checked("no device", cudaGetDeviceCount(&count)); !fine) return fine.error();
  if (count == 0) return checked("no device", cudaErrorNoDevice).error();
  cudaStream_t stream = nullptr;
  // Not tied to the default stream, which would make others wait.
  const auto made =
      checked("make a stream", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  if (!made) return made.error();
  return std::unique_ptr<CudaContext>(new CudaContext(stream));
}

CudaContext::~CudaContext() { cudaStreamDestroy(static_cast<cudaStream_t>(stream_)); }

Result<void> CudaContext::copy_to_device(void* device, const void* host, std::size_t bytes) {
  return checked("copy to the device", cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice,
                                                       static_cast<cudaStream_t>(stream_)));
}

Result<void> CudaContext::copy_to_host(void* host, const void* device, std::size_t bytes) {
  return checked("copy from the device",
                 cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost,
                                 static_cast<cudaStream_t>(stream_)));
}

Result<void> CudaContext::launched() { return checked("launch", cudaGetLastError()); }

Result<void> CudaContext::synchronise() {
  return checked("wait", cudaStreamSynchronize(static_cast<cudaStream_t>(stream_)));
}

Result<CudaMemory> CudaMemory::allocate(std::size_t bytes) {
  void* at = nullptr;
  const auto done = checked("allocate", cudaMalloc(&at, bytes == 0 ? 1 : bytes));
  if (!done) return done.error();
  return CudaMemory(at);
}

CudaMemory& CudaMemory::operator=(CudaMemory&& other) noexcept {
  if (this != &other) {
    free();
    at_ = other.at_;
    other.at_ = nullptr;
  }
  return *this;
}

void CudaMemory::free() noexcept {
  if (at_ != nullptr) cudaFree(at_);
  at_ = nullptr;
}

}  // namespace lapwing::detect
