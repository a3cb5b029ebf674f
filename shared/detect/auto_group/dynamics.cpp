// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_group/dynamics.hpp"

#include "shared/detect/auto_group/cholesky.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::detect::group {
namespace {

constexpr double kRidge = 10;
constexpr double kShrink = 0.05;  // of the covariance towards equal variances
constexpr double kVarianceMin = 1e-6;
constexpr float kPartPace = 1.0F / Dynamics::kMean;
constexpr float kDistanceMax = 1e12F;
constexpr int kImputeRounds = 8;
constexpr float kImputedMax = 10;  // standard deviations

/// out += factor * row
void add_scaled(float* __restrict__ out, const float* __restrict__ row, float factor,
                std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) out[i] += factor * row[i];
}

}  // namespace

Dynamics::Dynamics(std::size_t width, std::size_t rows)
    : members_(width),
      lags_(kLags * width),
      parts_(width),
      error_(width),
      product_(width),
      foretold_(width) {
  const std::size_t size = std::min(width, kBlock);
  const std::size_t count = (width + kBlock - 1) / kBlock;
  const std::size_t past = kLags * size;
  weights_.resize(count * past * size);
  precision_.resize(count * size * size);
  standard_.resize(rows * size);
  for (auto& one : gram_) one.resize(past * past);
  for (auto& one : cross_) one.resize(past * size);
  solution_.resize(past * size);
  factor_.resize(past * past);
  covariance_.resize(size * size);
  past_.resize(past + 2 * size);
}

/// The members are split evenly.
Dynamics::Block Dynamics::block(std::size_t at) noexcept {
  const std::size_t begin = members_count_ * at / blocks();
  const std::size_t size = members_count_ * (at + 1) / blocks() - begin;
  const std::size_t room = std::min(members_.size(), kBlock);
  return {begin, size, &weights_[at * kLags * room * room], &precision_[at * room * room]};
}

void Dynamics::learn(const Channels& channels, const History& history,
                     std::span<float> honest) noexcept {
  members_count_ = 0;
  for (std::size_t c = 0; c < members_.size(); ++c) {
    if (channels.analogue(c)) members_[members_count_++] = static_cast<std::uint16_t>(c);
  }
  std::ranges::fill(honest, 0.0F);
  const std::size_t rows = history.rows();
  if (!any() || rows < 2 * kLags + 2) {
    members_count_ = 0;
    return;
  }
  for (std::size_t b = 0; b < blocks(); ++b) {
    const Block one = block(b);
    for (std::size_t m = 0; m < one.size; ++m) {
      float last = 0;
      const std::size_t channel = members_[one.begin + m];
      for (std::size_t t = 0; t < rows; ++t) {
        last = channels.standard_or(channel, history.row(t)[channel], last);
        standard_[t * one.size + m] = last;
      }
    }
    learn_block(one, rows, honest);
  }
  // From single rows to means over the last ones, newest first so that none is used twice.
  for (std::size_t t = rows; t-- > 0;) {
    const std::size_t from = t + 1 >= kMean ? t + 1 - kMean : 0;
    float sum = 0;
    for (std::size_t i = from; i <= t; ++i) sum += honest[i];
    honest[t] = sum / static_cast<float>(t + 1 - from);
  }
}

/// Products of the three rows before with themselves and with the change, for each half.
void Dynamics::fill_grams(std::size_t size, std::size_t rows) noexcept {
  const std::size_t past = kLags * size;
  const std::size_t middle = kLags + (rows - kLags) / 2;
  for (std::size_t half = 0; half < 2; ++half) {
    std::ranges::fill(gram_[half], 0.0);
    std::ranges::fill(cross_[half], 0.0);
    const std::size_t end = half == 0 ? middle : rows;
    for (std::size_t t = half == 0 ? kLags : middle; t < end; ++t) {
      for (std::size_t i = 0; i < past; ++i) {
        past_[i] = static_cast<double>(standard_[(t - 1 - i / size) * size + i % size]);
      }
      for (std::size_t m = 0; m < size; ++m) {
        past_[past + m] = static_cast<double>(standard_[t * size + m]) - past_[m];
      }
      for (std::size_t i = 0; i < past; ++i) {
        const double x = past_[i];
        double* gram = &gram_[half][i * past];
        for (std::size_t j = 0; j <= i; ++j) gram[j] += x * past_[j];
        double* cross = &cross_[half][i * size];
        for (std::size_t m = 0; m < size; ++m) cross[m] += x * past_[past + m];
      }
    }
  }
}

/// Solves for the change from the rows of the chosen halves, into solution_.
void Dynamics::fit(std::size_t size, bool first, bool second) noexcept {
  const std::size_t past = kLags * size;
  const double a = first ? 1 : 0;
  const double b = second ? 1 : 0;
  for (std::size_t i = 0; i < past * past; ++i) factor_[i] = a * gram_[0][i] + b * gram_[1][i];
  for (std::size_t i = 0; i < past; ++i) factor_[i * past + i] += kRidge;
  for (std::size_t i = 0; i < past * size; ++i) {
    solution_[i] = a * cross_[0][i] + b * cross_[1][i];
  }
  factorise(factor_.data(), past);
  solve(factor_.data(), past, solution_.data(), size);
}

/// What the model of the other half gets wrong in a row of the history.
void Dynamics::error_of(std::size_t size, std::size_t row, std::span<double> out) const noexcept {
  const std::size_t past = kLags * size;
  for (std::size_t m = 0; m < size; ++m) {
    out[m] = static_cast<double>(standard_[row * size + m]) -
             static_cast<double>(standard_[(row - 1) * size + m]);
  }
  for (std::size_t i = 0; i < past; ++i) {
    const auto x = static_cast<double>(standard_[(row - 1 - i / size) * size + i % size]);
    for (std::size_t m = 0; m < size; ++m) out[m] -= solution_[i * size + m] * x;
  }
}

void Dynamics::learn_block(const Block& block, std::size_t rows, std::span<float> honest) noexcept {
  const std::size_t size = block.size;
  const std::size_t past = kLags * size;
  const std::size_t middle = kLags + (rows - kLags) / 2;
  const std::span<double> error(&past_[past], size);
  const std::span<double> solved(&past_[past + size], size);
  fill_grams(size, rows);

  // Each half is judged by the model of the other.
  const auto judged_by = [&](std::size_t half) { fit(size, half == 1, half == 0); };
  const auto each_error = [&](auto&& use) {
    for (std::size_t half = 0; half < 2; ++half) {
      judged_by(half);
      for (std::size_t t = half == 0 ? kLags : middle; t < (half == 0 ? middle : rows); ++t) {
        error_of(size, t, error);
        use(t);
      }
    }
  };
  std::fill_n(covariance_.begin(), size * size, 0.0);
  each_error([&](std::size_t) {
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j <= i; ++j) covariance_[i * size + j] += error[i] * error[j];
    }
  });
  double trace = 0;
  const auto count = static_cast<double>(rows - kLags);
  for (std::size_t i = 0; i < size; ++i) trace += covariance_[i * size + i] / count;
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j <= i; ++j) covariance_[i * size + j] *= (1 - kShrink) / count;
    covariance_[i * size + i] += kShrink * trace / static_cast<double>(size) + kVarianceMin;
  }
  factorise(covariance_.data(), size);
  each_error([&](std::size_t t) {
    std::copy(error.begin(), error.end(), solved.begin());
    solve(covariance_.data(), size, solved.data(), 1);
    double sum = 0;
    for (std::size_t i = 0; i < size; ++i) sum += error[i] * solved[i];
    honest[t] += static_cast<float>(sum);
  });

  for (std::size_t m = 0; m < size; ++m) {
    std::ranges::fill(solved, 0.0);
    solved[m] = 1;
    solve(covariance_.data(), size, solved.data(), 1);
    for (std::size_t i = 0; i < size; ++i) {
      block.precision[m * size + i] = static_cast<float>(solved[i]);
    }
  }
  fit(size, true, true);
  for (std::size_t i = 0; i < past * size; ++i) {
    block.weights[i] = static_cast<float>(solution_[i]);
  }
}

void Dynamics::restart() noexcept {
  rows_ = 0;
  std::ranges::fill(lags_, 0.0F);
  std::ranges::fill(parts_, 0.0F);
  recent_.fill(0);
}

/// The standard scores that the rows before announce.
void Dynamics::foretell(const Block& block, const Channels& channels) noexcept {
  const std::size_t width = members_.size();
  const auto before = [&](std::size_t lag) {
    return &lags_[(rows_ + 2 * kLags - 1 - lag) % kLags * width + block.begin];
  };
  float* foretold = &foretold_[block.begin];
  std::copy_n(before(0), block.size, foretold);
  for (std::size_t lag = 0; lag < kLags; ++lag) {
    const float* past = before(lag);
    for (std::size_t i = 0; i < block.size; ++i) {
      const float* weights = &block.weights[(lag * block.size + i) * block.size];
      add_scaled(foretold, weights, past[i], block.size);
    }
  }
  for (std::size_t m = block.begin; m < block.begin + block.size; ++m) {
    const bool counts = channels.weights()[members_[m]] > 0;
    error_[m] = counts ? channels.standard()[members_[m]] - foretold_[m] : 0;
  }
}

/// What the errors of the sensors that count make likely for the others: a few rounds of
/// Gauss-Seidel on the rows of the precision that belong to those. One round is exact for one.
void Dynamics::impute(const Block& block, const Channels& channels) noexcept {
  const float* error = &error_[block.begin];
  for (int round = 0; round < kImputeRounds; ++round) {
    bool any = false;
    for (std::size_t i = 0; i < block.size; ++i) {
      const std::size_t m = block.begin + i;
      if (channels.weights()[members_[m]] > 0) continue;
      const float* row = &block.precision[i * block.size];
      float sum = -row[i] * error[i];
      for (std::size_t k = 0; k < block.size; ++k) sum += row[k] * error[k];
      error_[m] = row[i] > 0 ? -sum / row[i] : 0;
      any = true;
    }
    if (!any) return;
  }
}

void Dynamics::push(const Channels& channels) noexcept {
  if (!any()) return;
  float total = 0;
  for (std::size_t b = 0; b < blocks(); ++b) {
    const Block one = block(b);
    foretell(one, channels);
    impute(one, channels);
    float* product = &product_[one.begin];
    std::fill_n(product, one.size, 0.0F);
    for (std::size_t i = 0; i < one.size; ++i) {
      add_scaled(product, &one.precision[i * one.size], error_[one.begin + i], one.size);
    }
    for (std::size_t m = 0; m < one.size; ++m) total += error_[one.begin + m] * product[m];
  }
  const bool known = rows_ >= kLags;
  recent_[rows_ % kMean] = known ? std::clamp(total, 0.0F, kDistanceMax) : 0;
  float* now = &lags_[rows_ % kLags * members_.size()];
  for (std::size_t m = 0; m < members_count_; ++m) {
    const float part = known ? std::clamp(error_[m] * product_[m], 0.0F, kDistanceMax) : 0;
    parts_[m] += kPartPace * (part - parts_[m]);
    now[m] = channels.missing(members_[m])
                 ? std::clamp(foretold_[m] + error_[m], -kImputedMax, kImputedMax)
                 : channels.standard()[members_[m]];
  }
  ++rows_;
}

float Dynamics::distance() const noexcept {
  float sum = 0;
  for (const float one : recent_) sum += one;
  return sum / kMean;
}

void Dynamics::contribute(float share, std::span<float> out) const noexcept {
  float sum = 0;
  for (std::size_t m = 0; m < members_count_; ++m) sum += parts_[m];
  if (sum <= 0) return;
  for (std::size_t m = 0; m < members_count_; ++m) out[members_[m]] += share * parts_[m] / sum;
}

std::size_t Dynamics::bytes() const noexcept {
  const std::size_t floats = lags_.size() + weights_.size() + precision_.size() + parts_.size() +
                             error_.size() + product_.size() + foretold_.size() + standard_.size();
  const std::size_t doubles = 2 * (gram_[0].size() + cross_[0].size()) + solution_.size() +
                              factor_.size() + covariance_.size() + past_.size();
  return floats * sizeof(float) + doubles * sizeof(double) +
         members_.size() * sizeof(std::uint16_t);
}

bool Dynamics::plausible() const noexcept {
  if (members_count_ > members_.size()) return false;
  for (std::size_t m = 0; m < members_count_; ++m) {
    if (members_[m] >= members_.size()) return false;
  }
  const auto finite = [](float v) { return std::isfinite(v); };
  return std::ranges::all_of(lags_, finite) && std::ranges::all_of(weights_, finite) &&
         std::ranges::all_of(precision_, finite) && std::ranges::all_of(recent_, finite) &&
         std::ranges::all_of(parts_, finite);
}

}  // namespace lapwing::detect::group
