// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/isolation_forest/isolation_forest.hpp"

#include "shared/detect/cuda/fallback.hpp"
#include "shared/detect/trees/share.hpp"
#include "shared/detect/trees/walk.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::detect {

using isolation_forest::CudaTrees;
using isolation_forest::Forest;
using trees::kBlockRows;
using trees::row_stride;

IsolationForest::IsolationForest(Forest forest, std::span<const std::byte> model,
                                 std::unique_ptr<CudaTrees> cuda)
    : TrainedDetector(kIsolationForest.name, model),
      forest_(std::move(forest)),
      cuda_(std::move(cuda)),
      stride_(row_stride(forest_.width())) {
  const std::size_t rows = cuda_ ? CudaTrees::kRowsMax : kBlockRows;
  rows_.resize(rows * stride_);
  sums_.resize(rows);
}

Result<void> IsolationForest::score(const Batch& batch, Scores out) {
  const std::size_t width = forest_.width();
  if (auto fine = check_shapes(kIsolationForest.name, width, batch, out); !fine) return fine;
  const std::size_t rows = out.raw.size();
  for (std::size_t first = 0; first < rows; first += sums_.size()) {
    const std::size_t count = std::min(sums_.size(), rows - first);
    for (std::size_t i = 0; i < count; ++i) {
      forest_.scale(batch.values.subspan((first + i) * width, width), &rows_[i * stride_]);
    }
    sum_paths(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = batch.values.subspan((first + i) * width, width);
      const bool missing = std::ranges::all_of(row, [](double value) { return std::isnan(value); });
      out.raw[first + i] = missing ? 0.0F : forest_.score(sums_[i]);
      if (!out.contributions.empty()) {
        trees::share_out(forest_.view(), std::span(&rows_[i * stride_], width),
                         out.contributions.subspan((first + i) * width, width));
      }
    }
  }
  std::ranges::fill(out.bands, Band{});
  std::ranges::fill(out.causes, Cause::none);
  return {};
}

/// All drivers give the same sums, so any may take over from another at any row.
void IsolationForest::sum_paths(std::size_t count) noexcept {
  if (cuda_ && count >= CudaTrees::kRowsWorth) {
    const auto done = cuda_->sum_paths(rows_.data(), count, sums_.data());
    if (done) return;
    cuda_.reset();
    report_device_failure(kIsolationForest.name, done.error());
  }
  for (std::size_t i = 0; i < count; i += kBlockRows) {
    trees::walk_rows(forest_.view(), &rows_[i * stride_], stride_, std::min(kBlockRows, count - i),
                     &sums_[i], nullptr);
  }
}

std::size_t IsolationForest::state_bytes() const noexcept {
  return sizeof(*this) + forest_.bytes() + rows_.capacity() * sizeof(float) +
         sums_.capacity() * sizeof(std::uint32_t);
}

Result<std::unique_ptr<Detector>> make_isolation_forest(const Settings& settings,
                                                        const Context& context) {
  if (auto fine = check_settings(kIsolationForest, settings); !fine) return fine.error();
  auto forest = Forest::read(context.model);
  if (!forest) return forest.error();
  if (forest->width() != settings.width) {
    return Error{Errc::unsupported, "isolation_forest: the model takes rows of width " +
                                        std::to_string(forest->width()) + ", not " +
                                        std::to_string(settings.width)};
  }
  std::unique_ptr<CudaTrees> cuda;
  if (settings.device == Device::cuda) {
    auto made = isolation_forest::make_cuda_trees(forest->view(), row_stride(settings.width));
    if (!made) return within("isolation_forest", made.error());
    cuda = std::move(*made);
  }
  return std::unique_ptr<Detector>(
      std::make_unique<IsolationForest>(std::move(*forest), context.model, std::move(cuda)));
}

}  // namespace lapwing::detect
