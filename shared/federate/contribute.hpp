// SPDX-License-Identifier: Apache-2.0
/// What a round asks of a device, and the device's answer from rows it keeps.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/kind.hpp"
#include "shared/federate/contribution.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lapwing::federate {

/// What comes of a round.
enum class Kind : std::uint8_t {
  pca = 1,               ///< a model of `pca`
  isolation_forest = 2,  ///< one of `isolation_forest`
  samples = 3,           ///< rows, for a training at the hub
};
[[nodiscard]] std::string_view to_string(Kind kind) noexcept;
/// Errors: bad_input, with what is known.
Result<Kind> parse_kind(std::string_view name);

/// Passes of a round, each over the devices:
///
/// | pass | `pca` | `isolation_forest` | `samples` |
/// | 1 | moments | moments, trees of its own forest, how they score its rows | rows |
/// | 2 | spread of T^2, of Q and of each sensor | rows in each leaf, spread of each sensor | |
/// | 3 | spread of the scores | spread of the scores | |
///
/// From the second on a device is given the candidate, the model as it is so far.
[[nodiscard]] std::uint32_t passes(Kind kind) noexcept;

/// Plain data; `candidate` is borrowed.
struct Task {
  Kind kind = Kind::pca;
  std::uint32_t pass = 1;
  std::uint64_t seed = 1;
  std::uint32_t trees = 25;       ///< of a device's forest, [1, 100]
  std::uint32_t sample = 256;     ///< rows a tree, [8, 256]
  std::uint32_t bins = 16;        ///< of a sensor's histogram, [1, 64]
  std::uint32_t rows_max = 1024;  ///< samples, [64, 4096]
  std::string_view candidate;     ///< model file
};

/// From the device's rows. The same rows and task give the same bytes. Errors: bad_input (fewer
/// than kRowsMin rows, no column that varies, a candidate for other rows), bad_config (a task that
/// no round gives), limit (more sensors than kWidthMax), and those of Model::read().
Result<Contribution> contribute(const Task& task, const detect::Table& table);

}  // namespace lapwing::federate
