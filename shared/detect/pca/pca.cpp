// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/pca/pca.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::detect {
namespace {

constexpr int kSweeps = 16;  // over the missing columns; each brings them nearer to rest
constexpr double kScoreMax = 1e30;

}  // namespace

bool Pca::Model::read(StateReader& reader, std::size_t width) {
  columns = Columns(width);
  reader(components, limit_within, limit_beside, columns);
  if (!reader.ok() || components < 1 || components > width) return false;
  variances.resize(components);
  // Before memory is taken for them, the loadings must be there.
  if (components * (width + 1) * sizeof(double) != reader.rest().size()) return false;
  loadings.resize(components * width);
  reader(variances, loadings);
  const auto positive = [](double v) { return v >= 1e-12 && v <= 1e30; };
  const auto cosine = [](double v) { return std::abs(v) <= 1.001; };
  return reader.ok() && reader.rest().empty() && columns.sound() && positive(limit_within) &&
         (limit_beside == 0 || positive(limit_beside)) &&
         std::ranges::all_of(variances, positive) && std::ranges::all_of(loadings, cosine);
}

Pca::Pca(Model model, std::span<const std::byte> bytes)
    : RowDetector(kPca, model.columns.width(), bytes),
      columns_(std::move(model.columns)),
      loadings_(std::move(model.loadings)),
      scaled_(columns_.width()),
      row_(columns_.width()),
      projected_(model.components) {
  const double rest = model.limit_beside > 0 ? 1 / model.limit_beside : 0;
  for (const double variance : model.variances) {
    weights_.push_back(1 / (variance * model.limit_within) - rest);
  }
  form_ = {.loadings = loadings_.data(),
           .weights = weights_.data(),
           .rest = rest,
           .components = weights_.size(),
           .width = columns_.width()};
  for (std::size_t c = 0; c < form_.width; ++c) stiffness_.push_back(pca::stiffness(form_, c));
}

std::size_t Pca::state_bytes() const noexcept {
  return sizeof(*this) + columns_.bytes() + scaled_.capacity() * sizeof(float) +
         (loadings_.capacity() + weights_.capacity() + stiffness_.capacity() + row_.capacity() +
          projected_.capacity()) *
             sizeof(double);
}

/// Gauss and Seidel on the columns that are missing (NaN in scaled_), from the training mean on.
void Pca::fill_missing() noexcept {
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t c = 0; c < form_.width; ++c) {
      if (!std::isnan(scaled_[c]) || stiffness_[c] <= 0) continue;
      const double step = -pca::pull(form_, row_.data(), projected_.data(), c) / stiffness_[c];
      row_[c] += step;
      for (std::size_t i = 0; i < form_.components; ++i) {
        projected_[i] += step * loadings_[i * form_.width + c];
      }
    }
  }
}

float Pca::score_row(std::span<const double> row, std::span<float> shares) noexcept {
  columns_.scale(row, scaled_);
  std::size_t missing = 0;
  for (std::size_t c = 0; c < scaled_.size(); ++c) {
    const bool absent = std::isnan(scaled_[c]);
    row_[c] = absent ? 0 : static_cast<double>(scaled_[c]);
    missing += absent ? 1 : 0;
  }
  if (missing == scaled_.size()) return 0;
  pca::project(form_, row_.data(), projected_.data());
  if (missing > 0) fill_missing();
  for (std::size_t c = 0; c < shares.size(); ++c) {
    if (std::isnan(scaled_[c]) || stiffness_[c] <= 0) continue;
    const double pull = pca::pull(form_, row_.data(), projected_.data(), c);
    shares[c] = static_cast<float>(pull * pull / stiffness_[c]);
  }
  const double index = pca::combined_index(form_, row_.data(), projected_.data());
  return static_cast<float>(std::min(std::sqrt(index), kScoreMax));
}

}  // namespace lapwing::detect
