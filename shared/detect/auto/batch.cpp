// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/batch.hpp"

#include "shared/detect/auto/nearest.hpp"
#include "shared/detect/cuda/fallback.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>

namespace lapwing::detect {
namespace {

using codebooks::CudaCodebooks;

Error no_stream(std::size_t stream, std::size_t streams) {
  return {Errc::bad_shape, "codebook batch: stream " + std::to_string(stream) + " of " +
                               std::to_string(streams) + "; make it larger"};
}

}  // namespace

Result<CodebookBatch> CodebookBatch::make(std::size_t streams, std::size_t count,
                                          std::size_t dimensions, Device device) {
  if (count == 0 || count % 32 != 0 || dimensions == 0 || dimensions > kDimensionsMax ||
      streams > std::numeric_limits<std::uint32_t>::max()) {
    return Error{Errc::bad_shape, "codebook batch: " + std::to_string(count) + " centroids of " +
                                      std::to_string(dimensions) +
                                      " codes; give a multiple of 32, and at most " +
                                      std::to_string(kDimensionsMax)};
  }
  std::unique_ptr<CudaCodebooks> driver;
  if (device == Device::cuda) {
    auto made = codebooks::make_cuda_codebooks(streams, static_cast<std::uint32_t>(count),
                                               static_cast<std::uint32_t>(dimensions));
    if (!made) return within("codebook batch", made.error());
    driver = std::move(*made);
  }
  return CodebookBatch(streams, count, dimensions, std::move(driver));
}

CodebookBatch::CodebookBatch(std::size_t streams, std::size_t count, std::size_t dimensions,
                             std::unique_ptr<CudaCodebooks> device)
    : count_(count),
      dimensions_(dimensions),
      device_(std::move(device)),
      codes_(streams * count * dimensions),
      scales_(streams * count),
      used_(streams),
      changed_to_(streams) {}

Result<void> CodebookBatch::put(std::size_t stream, std::span<const std::int8_t> codes,
                                std::span<const float> scales, std::size_t used) {
  if (stream >= used_.size()) return no_stream(stream, used_.size());
  if (codes.size() != count_ * dimensions_ || scales.size() != count_ || used > count_) {
    return Error{Errc::bad_shape, "codebook batch: the codebook of stream " +
                                      std::to_string(stream) + " has another shape"};
  }
  std::ranges::copy(codes, &codes_[stream * codes.size()]);
  std::ranges::copy(scales, &scales_[stream * count_]);
  used_[stream] = static_cast<std::uint32_t>(used);
  const bool none = changed_from_ == changed_to_;
  changed_from_ = none ? stream : std::min(changed_from_, stream);
  changed_to_ = none ? stream + 1 : std::max(changed_to_, stream + 1);
  return {};
}

Result<void> CodebookBatch::ask(std::size_t stream, const CodedWindow& window) {
  if (stream >= used_.size()) return no_stream(stream, used_.size());
  queries_.insert(queries_.end(), window.query.begin(), window.query.begin() + dimensions_);
  query_scales_.push_back(window.query_scale);
  streams_.push_back(static_cast<std::uint32_t>(stream));
  return {};
}

Result<void> CodebookBatch::find(std::span<Nearest> found) {
  if (found.size() != asked()) {
    return Error{Errc::bad_shape, "codebook batch: room for " + std::to_string(found.size()) +
                                      " results, but " + std::to_string(asked()) +
                                      " windows were asked for"};
  }
  bool done = false;
  if (device_ && asked() >= CudaCodebooks::kWindowsWorth) {
    const auto on_device = find_on_device(found);
    done = on_device.has_value();
    if (!done) {
      device_.reset();
      report_device_failure("auto", on_device.error());
    }
  }
  for (std::size_t i = 0; i < found.size() && !done; ++i) found[i] = find_here(i);
  queries_.clear();
  query_scales_.clear();
  streams_.clear();
  return {};
}

Result<void> CodebookBatch::find_on_device(std::span<Nearest> found) {
  if (changed_from_ < changed_to_) {
    if (auto done = device_->load(books(), changed_from_, changed_to_ - changed_from_); !done) {
      return done;
    }
    changed_from_ = changed_to_ = 0;
  }
  for (std::size_t first = 0; first < found.size(); first += CudaCodebooks::kWindowsMax) {
    const std::size_t count = std::min(CudaCodebooks::kWindowsMax, found.size() - first);
    const codebooks::Windows windows{.queries = &queries_[first * dimensions_],
                                     .scales = &query_scales_[first],
                                     .streams = &streams_[first]};
    if (auto done = device_->find(windows, count, &found[first]); !done) return done;
  }
  return {};
}

Nearest CodebookBatch::find_here(std::size_t window) const noexcept {
  const std::size_t stream = streams_[window];
  if (used_[stream] == 0) return {0, codebooks::kFar};
  return nearest_centroid(&codes_[stream * count_ * dimensions_],
                          std::span(scales_).subspan(stream * count_, count_), used_[stream],
                          std::span(queries_).subspan(window * dimensions_, dimensions_),
                          query_scales_[window]);
}

codebooks::Books CodebookBatch::books() const noexcept {
  return {.codes = codes_.data(),
          .scales = scales_.data(),
          .used = used_.data(),
          .count = static_cast<std::uint32_t>(count_),
          .dimensions = static_cast<std::uint32_t>(dimensions_)};
}

}  // namespace lapwing::detect
