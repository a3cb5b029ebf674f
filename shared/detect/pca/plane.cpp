// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/pca/plane.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::detect::pca {
namespace {

constexpr int kSweeps = 16;  // over the missing columns; each brings them nearer to rest
constexpr double kIndexMax = 1e30;
constexpr double kShareMax = 1e30;

}  // namespace

Plane::Plane(Components components, double limit_within, double limit_beside)
    : components_(std::move(components)),
      row_(components_.centre.size()),
      projected_(components_.count()),
      missing_(components_.centre.size()) {
  const double rest = limit_beside > 0 ? 1 / limit_beside : 0;
  for (const double variance : components_.variances) {
    weights_.push_back((limit_within > 0 ? 1 / (variance * limit_within) : 0) - rest);
  }
  form_ = {.loadings = components_.loadings.data(),
           .weights = weights_.data(),
           .rest = rest,
           .components = weights_.size(),
           .width = row_.size()};
  for (std::size_t c = 0; c < form_.width; ++c) stiffness_.push_back(stiffness(form_, c));
}

double Plane::index(std::span<const float> row) noexcept {
  missing_count_ = 0;
  for (std::size_t c = 0; c < row_.size(); ++c) {
    const bool absent = std::isnan(row[c]);
    row_[c] = absent ? 0 : static_cast<double>(row[c]) - components_.centre[c];
    missing_[missing_count_] = c;
    missing_count_ += absent ? 1 : 0;
  }
  project(form_, row_.data(), projected_.data());
  if (missing_count_ > 0) fill_missing();
  const double index = combined_index(form_, row_.data(), projected_.data());
  return index < kIndexMax ? index : kIndexMax;
}

void Plane::fill_missing() noexcept {
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (const std::size_t c : std::span(missing_).first(missing_count_)) {
      if (stiffness_[c] <= 0) continue;
      const double step = -pull(form_, row_.data(), projected_.data(), c) / stiffness_[c];
      row_[c] += step;
      for (std::size_t i = 0; i < form_.components; ++i) {
        projected_[i] += step * form_.loadings[i * form_.width + c];
      }
    }
  }
}

void Plane::add_shares(std::span<float> out) const noexcept {
  std::size_t next = 0;  // of missing_
  for (std::size_t c = 0; c < form_.width; ++c) {
    if (next < missing_count_ && missing_[next] == c) {
      ++next;
    } else if (stiffness_[c] > 0) {
      const double pulled = pull(form_, row_.data(), projected_.data(), c);
      out[c] += static_cast<float>(std::min(pulled * pulled / stiffness_[c], kShareMax));
    }
  }
}

std::size_t Plane::bytes() const noexcept {
  return sizeof(*this) +
         (components_.centre.capacity() + components_.variances.capacity() +
          components_.loadings.capacity() + weights_.capacity() + stiffness_.capacity() +
          row_.capacity() + projected_.capacity()) *
             sizeof(double) +
         missing_.capacity() * sizeof(std::size_t);
}

}  // namespace lapwing::detect::pca
