// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_rows/marginals.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lapwing::detect::rows {
namespace {

constexpr float kEmpty = 0.5F;     // rows counted in a bin that has none
constexpr float kOutsideMax = 50;  // nats for lying outside, at most
constexpr float kBinMin = 1e-6F;

}  // namespace

Marginals::Marginals(std::span<const float> rows, std::size_t width) : columns_(width) {
  for (std::size_t c = 0; c < width; ++c) {
    float low = std::numeric_limits<float>::max();
    float high = std::numeric_limits<float>::lowest();
    for (std::size_t at = c; at < rows.size(); at += width) {
      if (std::isnan(rows[at])) continue;
      low = std::min(low, rows[at]);
      high = std::max(high, rows[at]);
    }
    if (low > high) continue;  // all missing: every value is as rare as the next
    Column& column = columns_[c];
    column.low = low;
    column.bin = std::max((high - low) / static_cast<float>(kBins), kBinMin);
    std::array<float, kBins> counts{};
    for (std::size_t at = c; at < rows.size(); at += width) {
      if (std::isnan(rows[at])) continue;
      const auto bin = static_cast<std::size_t>((rows[at] - low) / column.bin);
      counts[std::min(bin, kBins - 1)] += 1;
    }
    const float most = std::ranges::max(counts);
    for (std::size_t i = 0; i < kBins; ++i) {
      column.rarity[i] = std::log(most / std::max(counts[i], kEmpty));
    }
  }
}

float Marginals::part(const Column& column, float value) noexcept {
  const float at = (value - column.low) / column.bin;
  const float last = static_cast<float>(kBins);
  const auto bin = static_cast<std::size_t>(std::clamp(at, 0.0F, last - 1));
  const float outside = std::max({-at, at - last, 0.0F});
  return column.rarity[bin] + std::min(outside, kOutsideMax);
}

double Marginals::rarity(std::span<const float> row) const noexcept {
  double sum = 0;
  std::size_t present = 0;
  for (std::size_t c = 0; c < row.size(); ++c) {
    if (std::isnan(row[c])) continue;
    sum += static_cast<double>(part(columns_[c], row[c]));
    ++present;
  }
  return present == 0 ? 0 : sum * static_cast<double>(row.size()) / static_cast<double>(present);
}

void Marginals::add_shares(std::span<const float> row, std::span<float> out) const noexcept {
  for (std::size_t c = 0; c < row.size(); ++c) {
    if (!std::isnan(row[c])) out[c] += part(columns_[c], row[c]);
  }
}

bool Marginals::sound() const noexcept {
  return std::ranges::all_of(columns_, [](const Column& column) {
    return std::isfinite(column.low) && column.bin >= kBinMin && std::isfinite(column.bin) &&
           std::ranges::all_of(column.rarity, [](float v) { return v >= 0 && v < 100; });
  });
}

}  // namespace lapwing::detect::rows
