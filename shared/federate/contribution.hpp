// SPDX-License-Identifier: Apache-2.0
/// What one device tells of its rows in one pass of a round, and its bytes.
#pragma once

#include "shared/base/result.hpp"
#include "shared/federate/moments.hpp"
#include "shared/federate/sketch.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::federate {

inline constexpr std::size_t kContributionBytesMax = std::size_t{1} << 20U;
/// A device with fewer rows tells nothing of them: a mean of few rows is nearly a row.
inline constexpr std::size_t kRowsMin = 64;

/// What is absent was not asked for. Only `samples` has rows in it.
struct Contribution {
  std::uint64_t rows = 0;
  std::optional<Moments> moments;
  std::vector<Sketch> sketches;       ///< a sensor each
  std::vector<Histogram> histograms;  ///< likewise
  std::vector<std::byte> forest;      ///< a model of `isolation_forest`
  std::vector<std::uint32_t> leaf_counts;
  std::optional<Sketch> within;  ///< T^2 under the candidate
  std::optional<Sketch> beside;  ///< Q likewise
  std::optional<Sketch> scores;  ///< under the candidate, or the device's own forest
  std::size_t width = 0;         ///< of the samples
  std::vector<double> samples;   ///< rows, row-major; NaN: missing
};

[[nodiscard]] std::string encode(const Contribution& contribution);
/// Whatever the bytes are, memory is bounded by kContributionBytesMax and what it holds can be what
/// rows give; a forest's bytes are verified where they are read. Errors: limit, corrupt,
/// unsupported (a newer version), bad_input (numbers that no rows give).
Result<Contribution> decode(std::string_view bytes);

}  // namespace lapwing::federate
