// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/one_class_svm/features.hpp"

#include "shared/detect/one_class_svm/kernel.hpp"
#include "shared/detect/random.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace lapwing::detect {
namespace {

constexpr double kNoise = 3;  // deviations of a far row's sum that cannot be told from nothing

}  // namespace

bool FeatureSvm::Model::read(StateReader& reader, std::size_t width) {
  columns = Columns(width);
  reader(count, columns);
  // Before memory is taken for them, the features must be there.
  const bool whole = count > 0 && count % neighbours::PackedRows::kAtOnce == 0;
  if (!reader.ok() || !whole || count > reader.rest().size() / ((width + 2) * sizeof(float))) {
    return false;
  }
  directions.resize(count * width);
  phases.resize(count);
  amplitudes.resize(count);
  reader(directions, phases, amplitudes);
  const auto small = [](float v) { return std::abs(v) <= 1e7F; };  // not for NaN
  return reader.ok() && columns.sound() && std::ranges::all_of(directions, small) &&
         std::ranges::all_of(phases, small) && std::ranges::all_of(amplitudes, small);
}

FeatureSvm::Model FeatureSvm::replace(const OneClassSvm::Model& exact, std::size_t features,
                                      std::uint64_t seed) {
  constexpr std::size_t kAtOnce = neighbours::PackedRows::kAtOnce;
  const std::size_t width = exact.columns.width();
  const std::size_t count = (features + kAtOnce - 1) / kAtOnce * kAtOnce;
  Random random(seed);
  Model model{.columns = exact.columns, .count = static_cast<std::uint32_t>(count)};
  for (std::size_t i = 0; i < count * width; ++i) {
    model.directions.push_back(static_cast<float>(std::sqrt(2 * exact.gamma) * random.normal()));
  }
  for (std::size_t j = 0; j < count; ++j) {
    const double phase = 2 * std::numbers::pi * random.uniform();
    double sum = 0;
    for (std::size_t i = 0; i < exact.weights.size(); ++i) {
      double angle = phase;
      for (std::size_t c = 0; c < width; ++c) {
        angle += static_cast<double>(model.directions[j * width + c]) *
                 static_cast<double>(exact.vectors[i * width + c]);
      }
      sum += static_cast<double>(exact.weights[i]) * std::cos(angle);
    }
    model.phases.push_back(static_cast<float>(phase));
    model.amplitudes.push_back(static_cast<float>(2 * sum / static_cast<double>(count)));
  }
  return model;
}

svm::Features FeatureSvm::Model::task() const noexcept {
  // Far from everything the cosines are as good as drawn anew: each of mean square 1/2.
  double squares = 0;
  for (const float a : amplitudes) squares += static_cast<double>(a) * static_cast<double>(a);
  return {.directions = directions.data(),
          .phases = phases.data(),
          .amplitudes = amplitudes.data(),
          .least = static_cast<float>(std::clamp(kNoise * std::sqrt(squares / 2), 1e-6, 1.0)),
          .count = count,
          .width = static_cast<std::uint32_t>(columns.width())};
}

FeatureSvm::FeatureSvm(const Model& model, std::span<const std::byte> bytes,
                       std::unique_ptr<RowsOnDevice> device)
    : RowDetector(kOneClassSvm, model.columns.width(), bytes, std::move(device)),
      columns_(model.columns),
      directions_(model.directions, model.columns.width()),
      phases_(model.phases),
      amplitudes_(model.amplitudes),
      query_(model.columns.width()),
      least_(model.task().least) {}

std::size_t FeatureSvm::state_bytes() const noexcept {
  return sizeof(*this) + columns_.bytes() + directions_.bytes() + device_bytes() +
         (phases_.capacity() + amplitudes_.capacity() + query_.capacity()) * sizeof(float);
}

float FeatureSvm::score_scaled() noexcept {
  const float mean =
      svm::sum_cosines(directions_, query_.data(), phases_.data(), amplitudes_.data());
  return svm::negative_log_mean(mean, least_);
}

float FeatureSvm::score_row(std::span<const double> row, std::span<float> shares) noexcept {
  columns_.scale(row, query_);
  if (std::ranges::all_of(query_, [](float v) { return std::isnan(v); })) return 0;
  std::ranges::transform(query_, query_.begin(), svm::within_reach);
  const float score = score_scaled();
  for (std::size_t c = 0; c < shares.size(); ++c) {
    if (std::isnan(row[c])) continue;
    const float kept = std::exchange(query_[c], 0.0F);
    shares[c] = std::max(score - score_scaled(), 0.0F);
    query_[c] = kept;
  }
  return score;
}

}  // namespace lapwing::detect
