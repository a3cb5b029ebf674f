// SPDX-License-Identifier: Apache-2.0
/// How badly the sensors' own past foretells them together.
#pragma once

#include "shared/detect/auto_group/channels.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::group {

/// Vector autoregression of order 3 for the changes from row to row, a ridge keeping it near
/// "nothing changes", and the squared Mahalanobis distance of what it got wrong (Hotelling, 1947),
/// averaged over the last 20 rows.
///
/// The covariance is that of errors on the half of the warm-up that was not learnt from, so a
/// direction in which the model does not generalise counts less. Analogue sensors only; more than
/// 64 are modelled in blocks of at most 64 in their order, so cost and memory grow with the number
/// of sensors and not with its square.
///
/// Cost: n * n * 2 multiplications a row for n sensors of a block; 16 n * n bytes.
class Dynamics {
 public:
  static constexpr std::size_t kLags = 3;
  static constexpr std::size_t kBlock = 64;
  static constexpr std::size_t kMean = 20;  ///< rows

  /// `rows` to learn from.
  Dynamics(std::size_t width, std::size_t rows);

  /// To `honest` goes, for each row, the mean distance under the model of the other half.
  void learn(const Channels& channels, const History& history, std::span<float> honest) noexcept;
  /// Forgets the rows pushed, not what was learnt.
  void restart() noexcept;
  /// Takes the next row. The errors of sensors of weight 0 are those that the others' make likely,
  /// so that the distance is the one of the others alone; a missing reading takes its place in the
  /// past by them.
  void push(const Channels& channels) noexcept;

  /// There are at least two analogue sensors: the model says something.
  [[nodiscard]] bool any() const noexcept { return members_count_ >= 2; }
  [[nodiscard]] float distance() const noexcept;
  /// Adds `share` to `out`, split among the sensors by their part in the distance.
  void contribute(float share, std::span<float> out) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

  template <class A>
  void fields(A& archive) {
    archive(members_count_, members_, rows_, lags_, weights_, precision_, recent_, parts_);
  }
  [[nodiscard]] bool plausible() const noexcept;

 private:
  struct Block {
    std::size_t begin;  ///< in members_
    std::size_t size;
    float* weights;    ///< [lag * size][size]
    float* precision;  ///< [size][size]
  };
  [[nodiscard]] std::size_t blocks() const noexcept {
    return (members_count_ + kBlock - 1) / kBlock;
  }
  Block block(std::size_t at) noexcept;
  void foretell(const Block& block, const Channels& channels) noexcept;
  void impute(const Block& block, const Channels& channels) noexcept;
  void learn_block(const Block& block, std::size_t rows, std::span<float> honest) noexcept;
  void fill_grams(std::size_t size, std::size_t rows) noexcept;
  void fit(std::size_t size, bool first, bool second) noexcept;
  void error_of(std::size_t size, std::size_t row, std::span<double> out) const noexcept;

  std::uint32_t members_count_ = 0;
  std::vector<std::uint16_t> members_;  ///< the analogue sensors
  std::uint64_t rows_ = 0;
  std::vector<float> lags_;  ///< [lag][member], a ring
  std::vector<float> weights_;
  std::vector<float> precision_;
  std::array<float, kMean> recent_{};
  std::vector<float> parts_;  ///< [member]: its share of the distance, slowly averaged

  std::vector<float> error_;     ///< [member]
  std::vector<float> product_;   ///< [member]
  std::vector<float> foretold_;  ///< [member]
  // Only used while learning.
  std::vector<float> standard_;               ///< [row][member of the block]
  std::array<std::vector<double>, 2> gram_;   ///< of each half
  std::array<std::vector<double>, 2> cross_;  ///< of each half
  std::vector<double> factor_;
  std::vector<double> solution_;
  std::vector<double> covariance_;
  mutable std::vector<double> past_;
};

}  // namespace lapwing::detect::group
