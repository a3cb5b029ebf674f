// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/one_class_svm/solve.hpp"

#include "shared/detect/one_class_svm/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>

namespace lapwing::detect::svm {
namespace {

constexpr double kTolerance = 1e-3;
constexpr std::size_t kCacheBytes = std::size_t{256} << 20;
constexpr std::size_t kPairsPerRow = 200;  // far more than were ever needed
constexpr std::size_t kAskEvery = 512;
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

/// Rows of the kernel matrix, computed when first asked for; the oldest makes room.
class KernelCache {
 public:
  KernelCache(const neighbours::PackedRows& rows, double gamma)
      : rows_(rows),
        gamma_(static_cast<float>(gamma)),
        weights_(rows.padded()),
        columns_(rows.width()),
        query_(rows.width()),
        slot_of_(rows.count(), kNone) {
    std::iota(columns_.begin(), columns_.end(), 0U);
    const std::size_t slots =
        std::clamp<std::size_t>(kCacheBytes / (rows.padded() * sizeof(float)), 2, rows.count());
    row_in_.assign(slots, kNone);
    values_.resize(slots * rows.padded());
  }

  /// Valid until the next call but one.
  const float* row(std::size_t at) {
    if (slot_of_[at] != kNone) return slot(slot_of_[at]);
    const auto taken = static_cast<std::uint32_t>(next_);
    next_ = (next_ + 1) % row_in_.size();
    if (row_in_[taken] != kNone) slot_of_[row_in_[taken]] = kNone;
    row_in_[taken] = static_cast<std::uint32_t>(at);
    slot_of_[at] = taken;
    for (std::size_t c = 0; c < query_.size(); ++c) query_[c] = rows_.column(c)[at];
    neighbours::squared_distances(rows_, query_.data(), columns_, slot(taken));
    weigh_kernels(slot(taken), weights_.data(), rows_.padded(), gamma_, 0);
    return slot(taken);
  }

 private:
  float* slot(std::size_t at) { return &values_[at * rows_.padded()]; }

  const neighbours::PackedRows& rows_;
  float gamma_;
  std::vector<float> weights_;  // zeros: the sum is not wanted here
  std::vector<std::uint32_t> columns_;
  std::vector<float> query_;
  std::vector<std::uint32_t> slot_of_;
  std::vector<std::uint32_t> row_in_;
  std::vector<float> values_;
  std::size_t next_ = 0;
};

struct Problem {
  KernelCache kernel;
  std::vector<double> alphas;
  std::vector<double> gradients;  ///< K alphas
};

void start(Problem& problem, double total) {
  for (std::size_t i = 0; i < problem.alphas.size() && total > 0; ++i, total -= 1) {
    problem.alphas[i] = std::min(total, 1.0);
    const float* row = problem.kernel.row(i);
    for (std::size_t k = 0; k < problem.gradients.size(); ++k) {
      problem.gradients[k] += problem.alphas[i] * static_cast<double>(row[k]);
    }
  }
}

/// The row whose weight should grow most; none only when all are at their limit.
std::size_t choose_up(const Problem& problem) {
  std::size_t up = problem.alphas.size();
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < problem.alphas.size(); ++i) {
    if (problem.alphas[i] < 1 && problem.gradients[i] < least) {
      least = problem.gradients[i];
      up = i;
    }
  }
  return up;
}

struct Pair {
  std::size_t down = 0;
  double difference = 0;  ///< of the gradients
  double curvature = 1;
  double worst = 0;  ///< largest difference, of any row that could give
};

/// The row to take weight from: the one with which the objective falls most.
Pair choose_down(const Problem& problem, std::size_t up, const float* kernel_up) {
  Pair pair;
  double best = 0;
  const double from = problem.gradients[up];
  for (std::size_t j = 0; j < problem.alphas.size(); ++j) {
    if (problem.alphas[j] <= 0) continue;
    const double difference = problem.gradients[j] - from;
    if (difference <= 0) continue;
    pair.worst = std::max(pair.worst, difference);
    const double curvature = std::max(2 - 2 * static_cast<double>(kernel_up[j]), 1e-12);
    const double gain = difference * difference / curvature;
    if (gain > best) {
      best = gain;
      pair.down = j;
      pair.difference = difference;
      pair.curvature = curvature;
    }
  }
  return pair;
}

/// The gradient that rows between the limits share; between the two sides where there are none.
double border(const Problem& problem) {
  double sum = 0;
  std::size_t free = 0;
  double low = -std::numeric_limits<double>::infinity();  // of rows at 1
  double high = std::numeric_limits<double>::infinity();  // of rows at 0
  for (std::size_t i = 0; i < problem.alphas.size(); ++i) {
    const double gradient = problem.gradients[i];
    if (problem.alphas[i] >= 1) {
      low = std::max(low, gradient);
    } else if (problem.alphas[i] <= 0) {
      high = std::min(high, gradient);
    } else {
      sum += gradient;
      ++free;
    }
  }
  if (free > 0) return sum / static_cast<double>(free);
  return std::isfinite(low) && std::isfinite(high) ? (low + high) / 2 : std::min(low, high);
}

}  // namespace

std::optional<Solution> solve(const neighbours::PackedRows& rows, double nu, double gamma,
                              const std::function<bool()>& go_on) {
  const std::size_t n = rows.count();
  Problem problem{KernelCache(rows, gamma), std::vector<double>(n), std::vector<double>(n)};
  start(problem, nu * static_cast<double>(n));
  for (std::size_t step = 0; step < kPairsPerRow * n; ++step) {
    if (step % kAskEvery == 0 && !go_on()) return std::nullopt;
    const std::size_t up = choose_up(problem);
    if (up == n) break;
    const float* kernel_up = problem.kernel.row(up);
    const Pair pair = choose_down(problem, up, kernel_up);
    if (pair.worst < kTolerance) break;
    const float* kernel_down = problem.kernel.row(pair.down);
    double& gains = problem.alphas[up];
    double& gives = problem.alphas[pair.down];
    const double room = 1 - gains;
    const double moved = std::min({pair.difference / pair.curvature, room, gives});
    gains = moved == room ? 1 : gains + moved;  // exactly at the limit, or it is chosen again
    gives -= moved;
    for (std::size_t k = 0; k < n; ++k) {
      problem.gradients[k] += moved * static_cast<double>(kernel_up[k] - kernel_down[k]);
    }
  }
  Solution solution{std::vector<float>(n), border(problem)};
  std::ranges::transform(problem.alphas, solution.alphas.begin(),
                         [](double a) { return static_cast<float>(a); });
  return solution;
}

}  // namespace lapwing::detect::svm
