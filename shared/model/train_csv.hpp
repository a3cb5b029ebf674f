// SPDX-License-Identifier: Apache-2.0
/// A model file out of a CSV file: what the agent's command and the hub's job have in common, so
/// that both give the same bytes.
#pragma once

#include "shared/base/result.hpp"
#include "shared/csv/read_rows.hpp"
#include "shared/detect/kind.hpp"
#include "shared/model/train.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace lapwing::model {

struct CsvTraining {
  csv::ReadOptions reading;         ///< `value_columns`: the sensors
  std::optional<std::string> text;  ///< the file's bytes, when they are here already
  std::string detector = "isolation_forest";
  std::map<std::string, std::string, std::less<>> units = {};  ///< by sensor
  std::map<std::string, double, std::less<>> parameters = {};
  std::uint64_t seed = 1;
  double hold_out = 0.2;
  double alarms_per_week = 1;  ///< for the evaluation
  std::string tool = {};       ///< who made it: all of the file that differs between programs
  detect::Progress progress = {};
  /// Told once, before training: the rows it trains on or holds out.
  std::function<void(std::uint64_t)> rows_read = {};
};

struct CsvTrained {
  Trained trained;
  std::uint64_t bad_total = 0;           ///< rows that could not be read in full
  std::optional<csv::BadRow> first_bad;  ///< of them
};

/// Rows that cannot be read at all are left out. Errors: those of csv::read_rows and train().
/// Cost: the text and its numbers are held in memory; the text goes before the training.
Result<CsvTrained> train_csv(CsvTraining wanted);

/// A kind of rows that is trained. bad_config: those there are are named.
Result<const detect::Kind*> trained_kind(const std::string& name);

}  // namespace lapwing::model
