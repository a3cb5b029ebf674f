// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/pca/pca.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::detect {

bool Pca::Model::read(StateReader& reader, std::size_t width) {
  columns = Columns(width);
  std::uint32_t count = 0;
  reader(count, limit_within, limit_beside, columns);
  if (!reader.ok() || count < 1 || count > width) return false;
  // Before memory is taken for them, the components must be there.
  if ((count * (width + 1) + width) * sizeof(double) != reader.rest().size()) return false;
  components.resize(count, width);
  reader(components);
  const auto limit = [](double v) { return v >= pca::kVarianceMin && v <= 1e30; };
  return reader.ok() && columns.sound() && components.sound() && limit(limit_within) &&
         (limit_beside == 0 || limit(limit_beside));
}

Pca::Pca(Model model, std::span<const std::byte> bytes)
    : RowDetector(kPca, model.columns.width(), bytes),
      columns_(std::move(model.columns)),
      plane_(std::move(model.components), model.limit_within, model.limit_beside),
      scaled_(columns_.width()) {}

std::size_t Pca::state_bytes() const noexcept {
  return sizeof(*this) + columns_.bytes() + plane_.bytes() + scaled_.capacity() * sizeof(float);
}

float Pca::score_row(std::span<const double> row, std::span<float> shares) noexcept {
  columns_.scale(row, scaled_);
  if (std::ranges::all_of(scaled_, [](float v) { return std::isnan(v); })) return 0;
  const double index = plane_.index(scaled_);
  if (!shares.empty()) plane_.add_shares(shares);
  return static_cast<float>(std::sqrt(index));
}

}  // namespace lapwing::detect
