// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/isolation_forest/forest.hpp"

#include "shared/detect/isolation_forest/kind.hpp"
#include "shared/detect/snapshot.hpp"
#include "shared/detect/trees/walk.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace lapwing::detect::isolation_forest {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr double kValueMax = 1e300;  // differences of such values are still finite
constexpr double kScaledMax = 1e30;  // far outside of training, and below kEnded

std::uint64_t tag() { return frame_tag(kIsolationForest.name, kVersion); }

bool allowed(std::uint32_t value, const Parameter& range) {
  return value >= range.min && value <= range.max;
}

}  // namespace

double expected_path(std::size_t rows) noexcept {
  if (rows < 2) return 0;
  if (rows == 2) return 1;
  const auto n = static_cast<double>(rows);
  return 2 * (std::log(n - 1) + std::numbers::egamma) - 2 * (n - 1) / n;
}

Forest::Forest(std::uint32_t width, std::uint32_t trees, std::uint32_t sample,
               std::uint32_t extension)
    : width_(width),
      trees_(trees),
      sample_(sample),
      coordinates_(extension + 1),
      depth_(std::max(trees::kDepthMin, static_cast<std::uint32_t>(std::bit_width(sample - 1)))),
      mask_(coordinates_ > 1 ? 0 : std::bit_ceil(width) - 1),
      factor_(static_cast<float>(-1 / (expected_path(sample) * trees * kUnit))),
      columns_(width),
      words_((std::size_t{trees + kLanes - 1} / kLanes * kLanes) << (depth_ + 1)) {
  if (coordinates_ > 1) {
    plane_columns_.resize((std::size_t{trees} << depth_) * coordinates_);
    plane_weights_.resize(plane_columns_.size());
  }
}

std::size_t Forest::bytes() const noexcept {
  return columns_.capacity() * sizeof(Column) + words_.capacity() * sizeof(std::uint32_t) +
         plane_columns_.capacity() * sizeof(std::uint16_t) +
         plane_weights_.capacity() * sizeof(float);
}

std::span<std::uint16_t> Forest::plane_columns(std::uint32_t tree, std::uint32_t node) noexcept {
  return std::span(plane_columns_).subspan(plane_at(tree, node), coordinates_);
}

std::span<float> Forest::plane_weights(std::uint32_t tree, std::uint32_t node) noexcept {
  return std::span(plane_weights_).subspan(plane_at(tree, node), coordinates_);
}

void Forest::scale(std::span<const double> row, float* out) const noexcept {
  for (std::size_t i = 0; i < row.size(); ++i) {
    const double value = std::min(std::max(row[i], -kValueMax), kValueMax);
    const double scaled = (value - columns_[i].centre) * columns_[i].factor;
    const double cut = std::min(std::max(scaled, -kScaledMax), kScaledMax);
    out[i] = std::isnan(row[i]) ? 0.0F : static_cast<float>(cut);
  }
}

float Forest::score(std::uint32_t path_sum) const noexcept {
  return std::exp2(static_cast<float>(path_sum) * factor_);
}

Trees Forest::view() const noexcept {
  return {.words = words_.data(),
          .columns = plane_columns_.data(),
          .weights = plane_weights_.data(),
          .trees = trees_,
          .depth = depth_,
          .column_mask = mask_,
          .coordinates = coordinates_};
}

std::vector<std::byte> Forest::write() const {
  std::vector<std::byte> out;
  out.reserve(bytes() + 64);
  const std::size_t begun = begin_frame(out, tag());
  StateWriter writer(out);
  writer(width_, trees_, sample_, coordinates_, columns_);
  for (std::uint32_t tree = 0; tree < trees_; ++tree) {
    for (std::uint32_t node = 1; node < 2U << depth_; ++node) writer(words_[word_at(tree, node)]);
  }
  writer(plane_columns_, plane_weights_);
  end_frame(out, begun);
  return out;
}

Result<Forest> Forest::read(std::span<const std::byte> bytes) {
  const auto content = open_frame(bytes, tag());
  if (!content) return within("isolation_forest: model", content.error());
  const Error impossible{Errc::corrupt, "isolation_forest: the model holds impossible values"};
  StateReader reader(*content);
  std::uint32_t width = 0;
  std::uint32_t trees = 0;
  std::uint32_t sample = 0;
  std::uint32_t coordinates = 0;
  reader(width, trees, sample, coordinates);
  const auto& [trees_range, sample_range, extension_range] = kIsolationForestParameters;
  const bool shaped = reader.ok() && width >= 1 && width <= 4096 && allowed(trees, trees_range) &&
                      sample >= 2 && sample <= sample_range.max && coordinates >= 1 &&
                      allowed(coordinates - 1, extension_range) && coordinates <= width;
  if (!shaped) return impossible;
  // Its size follows from the shape, so that a small file cannot ask for much memory.
  const auto depth = std::max<std::size_t>(trees::kDepthMin, std::bit_width(sample - 1));
  std::size_t due =
      width * 2 * sizeof(double) + trees * ((std::size_t{2} << depth) - 1) * sizeof(std::uint32_t);
  if (coordinates > 1) {
    due += (std::size_t{trees} << depth) * coordinates * (sizeof(std::uint16_t) + sizeof(float));
  }
  if (reader.rest().size() != due) return impossible;

  Forest forest(width, trees, sample, coordinates - 1);
  reader(forest.columns_);
  for (std::uint32_t tree = 0; tree < trees; ++tree) {
    for (std::uint32_t node = 1; node < 2U << forest.depth_; ++node)
      reader(forest.word(tree, node));
  }
  reader(forest.plane_columns_, forest.plane_weights_);
  if (!reader.ok() || !reader.rest().empty() || !forest.sound()) return impossible;
  return forest;
}

bool Forest::sound() const noexcept {
  for (const Column& column : columns_) {
    if (!std::isfinite(column.centre) || !std::isfinite(column.factor)) return false;
  }
  const double longest = (depth_ + expected_path(sample_) + 1) * kUnit;
  const std::uint32_t leaves = 1U << depth_;
  for (std::uint32_t tree = 0; tree < trees_; ++tree) {
    for (std::uint32_t node = 1; node < leaves; ++node) {
      if ((words_[word_at(tree, node)] & mask_) >= width_) return false;
    }
    for (std::uint32_t node = leaves; node < 2 * leaves; ++node) {
      if (words_[word_at(tree, node)] > longest) return false;
    }
  }
  return std::ranges::all_of(plane_columns_, [this](std::uint16_t at) { return at < width_; }) &&
         std::ranges::all_of(plane_weights_, [](float weight) { return std::isfinite(weight); });
}

}  // namespace lapwing::detect::isolation_forest
