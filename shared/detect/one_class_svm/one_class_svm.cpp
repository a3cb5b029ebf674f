// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/one_class_svm/one_class_svm.hpp"

#include "shared/detect/one_class_svm/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

namespace lapwing::detect {

bool OneClassSvm::Model::read(StateReader& reader, std::size_t width) {
  columns = Columns(width);
  reader(count, gamma, rho, columns);
  // Before memory is taken for them, the vectors must be there.
  if (!reader.ok() || count > reader.rest().size() / ((width + 1) * sizeof(float))) return false;
  vectors.resize(count * width);
  weights.resize(count);
  reader(vectors, weights);
  const auto near = [](float v) { return std::abs(v) <= Columns::kFarthest; };  // not for NaN
  const auto weight = [](float v) { return v > 0 && v <= 1.001F; };
  return reader.ok() && count > 0 && columns.sound() && gamma > 0 && gamma <= 1e12 && rho > 0 &&
         rho <= 1.001 && std::ranges::all_of(vectors, near) && std::ranges::all_of(weights, weight);
}

svm::Support OneClassSvm::Model::task() const noexcept {
  return {.vectors = vectors.data(),
          .weights = weights.data(),
          .gamma = static_cast<float>(gamma),
          .count = count,
          .width = static_cast<std::uint32_t>(columns.width())};
}

OneClassSvm::OneClassSvm(const Model& model, std::span<const std::byte> bytes,
                         std::unique_ptr<RowsOnDevice> device)
    : RowDetector(kOneClassSvm, model.columns.width(), bytes, std::move(device)),
      columns_(model.columns),
      vectors_(model.vectors, model.columns.width()),
      weights_(model.weights),
      gamma_(static_cast<float>(model.gamma)),
      threshold_(static_cast<float>(-std::log(model.rho))),
      query_(model.columns.width()),
      present_(model.columns.width()),
      kernels_(vectors_.padded()) {
  weights_.resize(vectors_.padded());
}

std::size_t OneClassSvm::state_bytes() const noexcept {
  return sizeof(*this) + columns_.bytes() + vectors_.bytes() + device_bytes() +
         (weights_.capacity() + query_.capacity() + kernels_.capacity()) * sizeof(float) +
         present_.capacity() * sizeof(std::uint32_t);
}

float OneClassSvm::score_row(std::span<const double> row, std::span<float> shares) noexcept {
  columns_.scale(row, query_);
  std::size_t present = 0;
  for (std::size_t c = 0; c < query_.size(); ++c) {
    present_[present] = static_cast<std::uint32_t>(c);
    present += std::isnan(query_[c]) ? 0 : 1;
  }
  if (present == 0) return 0;
  const float gamma = gamma_ * (static_cast<float>(query_.size()) / static_cast<float>(present));
  const float nearest = neighbours::squared_distances(
      vectors_, query_.data(), std::span(present_).first(present), kernels_.data());
  const float sum =
      svm::weigh_kernels(kernels_.data(), weights_.data(), kernels_.size(), gamma, nearest);
  if (!shares.empty()) add_shares(sum, shares);
  return svm::negative_log_kernel(nearest, sum, gamma);
}

void OneClassSvm::add_shares(float sum, std::span<float> shares) const noexcept {
  for (std::size_t c = 0; c < shares.size(); ++c) {
    if (std::isnan(query_[c])) continue;
    const float* column = vectors_.column(c);
    for (std::size_t i = 0; i < vectors_.count(); ++i) {
      const float off = query_[c] - column[i];
      shares[c] += weights_[i] * kernels_[i] / sum * off * off;
    }
  }
}

}  // namespace lapwing::detect
