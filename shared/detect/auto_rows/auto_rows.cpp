// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_rows/auto_rows.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace lapwing::detect {

void AutoRows::Model::write(StateWriter& writer) const {
  writer(sample_rows, static_cast<std::uint32_t>(forest.nodes()),
         static_cast<std::uint32_t>(components.count()));
  writer(columns, sample, forest, marginals, components, surprises);
}

bool AutoRows::Model::read(StateReader& reader, std::size_t width) {
  std::uint32_t nodes = 0;
  std::uint32_t count = 0;
  reader(sample_rows, nodes, count);
  // Before memory is taken for them, the parts must be there.
  const std::size_t least = sample_rows * width * sizeof(float) + nodes * rows::Forest::kNodeBytes +
                            count * width * sizeof(double);
  if (!reader.ok() || sample_rows < 2 || count > width || least > reader.rest().size()) {
    return false;
  }
  columns = Columns(width);
  sample.resize(sample_rows * width);
  forest.resize(nodes);
  marginals = rows::Marginals(width);
  components.resize(count, width);
  reader(columns, sample, forest, marginals, components, surprises);
  const auto near = [](float v) { return std::abs(v) <= Columns::kFarthest; };  // not for NaN
  return reader.ok() && columns.sound() && std::ranges::all_of(sample, near) &&
         forest.sound(width) && marginals.sound() && components.sound() &&
         std::ranges::all_of(surprises, &rows::Surprise::sound);
}

AutoRows::AutoRows(Model model, std::span<const std::byte> bytes)
    : RowDetector(kAutoRows, model.columns.width(), bytes),
      columns_(std::move(model.columns)),
      sample_(model.sample, columns_.width()),
      forest_(std::move(model.forest)),
      marginals_(std::move(model.marginals)),
      plane_(std::move(model.components), 0, 1),
      surprises_(model.surprises),
      scaled_(columns_.width()),
      filled_(columns_.width()),
      part_(columns_.width()) {}

std::size_t AutoRows::state_bytes() const noexcept {
  return sizeof(*this) + columns_.bytes() + sample_.bytes() + forest_.bytes() + marginals_.bytes() +
         plane_.bytes() +
         (scaled_.capacity() + filled_.capacity() + part_.capacity()) * sizeof(float);
}

std::array<double, AutoRows::kViews> AutoRows::views(std::span<const double> row) noexcept {
  columns_.scale(row, scaled_);
  std::ranges::transform(scaled_, filled_.begin(), [](float v) { return std::isnan(v) ? 0 : v; });
  std::array<double, kViews> views{};
  views[distance] = sample_.distance(scaled_);
  views[density] = forest_.sparsity(filled_);
  views[rarity] = marginals_.rarity(scaled_);
  views[residual] = std::sqrt(plane_.index(scaled_));
  return views;
}

float AutoRows::score_row(std::span<const double> row, std::span<float> shares) noexcept {
  if (std::ranges::all_of(row, [](double v) { return std::isnan(v); })) return 0;
  constexpr double kTotal = std::accumulate(kWeights.begin(), kWeights.end(), 0.0);
  std::array<double, kViews> parts = views(row);
  for (std::size_t i = 0; i < kViews; ++i) {
    parts[i] = kWeights[i] / kTotal * surprises_[i].of(parts[i]);
  }
  if (!shares.empty()) add_shares(parts, shares);
  return static_cast<float>(std::accumulate(parts.begin(), parts.end(), 0.0));
}

void AutoRows::add_shares(const std::array<double, kViews>& parts,
                          std::span<float> shares) noexcept {
  const auto add = [&](View view, const auto& fill) {
    std::ranges::fill(part_, 0.0F);
    fill(part_);
    if (std::ranges::max(part_) <= 0) return;
    to_shares(part_);
    for (std::size_t c = 0; c < shares.size(); ++c) {
      shares[c] += static_cast<float>(parts[view]) * part_[c];
    }
  };
  add(distance, [this](std::span<float> out) { sample_.add_shares(scaled_, out); });
  add(rarity, [this](std::span<float> out) { marginals_.add_shares(scaled_, out); });
  add(residual, [this](std::span<float> out) { plane_.add_shares(out); });
}

}  // namespace lapwing::detect
