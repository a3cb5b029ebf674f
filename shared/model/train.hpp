// SPDX-License-Identifier: Apache-2.0
/// A model file out of a table.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/kind.hpp"
#include "shared/model/alarms.hpp"
#include "shared/model/header.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lapwing::model {

/// Plain data; `table` and `times` are borrowed for the call.
struct TrainRequest {
  const detect::Kind* kind = nullptr;  ///< Learning::trained
  detect::Table table;                 ///< oldest row first
  std::span<const Time> times = {};    ///< of the rows; empty: they have none
  std::vector<Sensor> sensors;         ///< names and units, one a column; the rest is measured
  std::uint64_t seed = 1;
  std::map<std::string, double, std::less<>> parameters = {};
  double held_out_share = 0.2;  ///< of the rows, the newest: not trained on, [0, 0.9]
  double alarms_per_week = 1;   ///< for the evaluation
  std::string data_sha256 = {};
  std::string tool = {};
  detect::Progress progress = {};
};

/// What a model says of rows.
struct Evaluation {
  std::uint64_t trained_rows = 0;
  std::uint64_t held_out_rows = 0;  ///< 0: too few for it, the training rows calibrate
  Calibration trained;
  std::optional<Calibration> held_out;
  /// Share of the held-out rows that score above 99 % of the training rows: .01 where both are of a
  /// kind; far more where the model does not fit what came later.
  double held_out_above = 0;
  std::optional<Alarms> alarms;  ///< absent: none held out, or the rows have no times
};

struct Trained {
  std::string file;  ///< the model file's bytes
  Header header;
  Evaluation evaluation;
};

/// Fewer held-out rows calibrate nothing.
inline constexpr std::size_t kHeldOutRowsMin = 50;

/// The same request gives the same bytes. Errors: bad_config (settings, names), bad_input (too few
/// rows, no column that varies), shutting_down (cancelled), limit.
Result<Trained> train(const TrainRequest& request);

/// The shares that a calibration tells, those beyond what its rows can tell aside.
[[nodiscard]] std::span<const double> spread_shares() noexcept;
/// How the scores are spread, up to the share that so many rows can tell, and the greatest.
/// `scores` are finite and not empty.
[[nodiscard]] Calibration spread_of(std::vector<float> scores, bool held_out);

}  // namespace lapwing::model
