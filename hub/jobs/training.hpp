// SPDX-License-Identifier: Apache-2.0
/// The job `train`: a model file out of an upload or of stored history, kept with its evaluation.
#pragma once

#include "hub/jobs/kinds.hpp"
#include "hub/store/models.hpp"
#include "shared/model/train_csv.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// Which rows of the store to train on: of each device one column a stream, the means of its
/// summaries over `every`.
struct StoredRows {
  static constexpr std::size_t kDevicesMax = 64;
  static constexpr std::size_t kCellsMax = 8'000'000;  ///< rows times streams

  std::vector<std::string> devices;
  /// Whole names, or the last level of them, which devices have in common.
  std::vector<std::string> streams;
  std::optional<Time> from;  ///< inclusive, by the summaries' begin
  std::optional<Time> to;    ///< exclusive
  Micros every = std::chrono::minutes(1);
};

/// What the arguments of a job ask for.
struct TrainingOrder {
  std::uint64_t upload = 0;          ///< 0: stored rows
  std::optional<StoredRows> stored;  ///< absent: the upload
  std::string name;                  ///< for people; empty: the upload's
  model::CsvTraining training;       ///< without its text
};
/// bad_input: the key and the remedy.
Result<TrainingOrder> read_training(std::string_view arguments);

/// The rows as CSV: `timestamp` and a column a stream, oldest first; what a stream has not of an
/// interval is empty. `go_on`, asked between reads, may stop it. Errors: not_found, bad_input (a
/// stream's name fits several), limit, io.
Result<std::string> stored_csv(Store& store, std::string_view tenant, const StoredRows& rows,
                               const std::function<Result<void>(std::uint64_t points)>& go_on);

/// Trains and keeps the file: `told` as for take_model_file(), without report and picture, which
/// are made here. The same order and bytes give the same file as `lapwing-agent train`, but for the
/// tool's name. Errors: those of model::train_csv and take_model_file.
struct TrainingDone {
  ModelFileRow file;
  model::CsvTrained made;  ///< without the file's bytes
};
Result<TrainingDone> train_and_keep(Store& store, model::CsvTraining training, ModelFileRow told,
                                    const std::string& name);

// --- the kind of job ---------------------------------------------------------------------------
/// Arguments: `upload` (a number), or `devices` and `streams` (lists) with `from`, `to` (RFC 3339)
/// and `every` (a duration); `name`, `detector`, `values` (a list of columns), `time`, `label`
/// (columns), `units` and `parameters` (objects by sensor and by name), `seed`, `hold_out`,
/// `alarms_per_week`.
Result<void> check_training(std::string_view arguments);
/// A worker that died is followed by another, from the beginning: the bytes are the same.
Result<void> run_training(JobRun& run);

}  // namespace lapwing::hub
