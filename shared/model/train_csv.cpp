// SPDX-License-Identifier: Apache-2.0
#include "shared/model/train_csv.hpp"

#include "shared/detect/kinds.hpp"
#include "shared/trust/token.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace lapwing::model {
namespace {

/// The rows that could be read.
struct Readable {
  std::vector<double> values;
  std::vector<Time> times;  ///< empty: the file has none
  std::vector<std::string> names;
};

Readable readable(csv::Rows rows) {
  Readable all;
  all.names = std::move(rows.names);
  const auto width = all.names.size();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    if (!rows.rows[i].readable) continue;
    if (!rows.times_made_up) all.times.push_back(rows.rows[i].time);
    std::copy_n(rows.numbers.begin() + static_cast<std::ptrdiff_t>(i * width), width,
                rows.numbers.begin() + static_cast<std::ptrdiff_t>(kept++ * width));
  }
  rows.numbers.resize(kept * width);
  all.values = std::move(rows.numbers);
  return all;
}

}  // namespace

Result<const detect::Kind*> trained_kind(const std::string& name) {
  const auto* kind = detect::find_kind(name, detect::Input::rows);
  if (kind != nullptr && kind->learning == detect::Learning::trained) return kind;
  std::string names;
  for (const auto& one : detect::kKinds) {
    if (one.learning != detect::Learning::trained) continue;
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  return Error{Errc::bad_config,
               "no detector \"" + name.substr(0, 64) + "\" is trained; there are: " + names};
}

Result<CsvTrained> train_csv(CsvTraining wanted) {
  const auto kind = trained_kind(wanted.detector);
  if (!kind) return kind.error();
  if (!wanted.text) {
    auto text = csv::read_text(wanted.reading);
    if (!text) return text.error();
    wanted.text = *std::move(text);
  }
  TrainRequest request{.kind = *kind,
                       .table = {},
                       .times = {},
                       .sensors = {},
                       .seed = wanted.seed,
                       .parameters = std::move(wanted.parameters),
                       .held_out_share = wanted.hold_out,
                       .alarms_per_week = wanted.alarms_per_week,
                       .tool = std::move(wanted.tool),
                       .progress = std::move(wanted.progress)};
  if (wanted.reading.file != "-") request.data_sha256 = trust::sha256_hex(*wanted.text);
  wanted.reading.keep_written = false;
  auto rows = csv::read_rows(wanted.reading, *std::exchange(wanted.text, std::nullopt));
  if (!rows) return rows.error();
  CsvTrained made;
  made.bad_total = rows->bad_total;
  if (!rows->bad.empty()) made.first_bad = rows->bad.front();
  const auto all = readable(*std::move(rows));
  for (const auto& name : all.names) request.sensors.push_back({.name = name});
  for (const auto& [sensor, unit] : wanted.units) {
    const auto named = std::ranges::find(request.sensors, sensor, &Sensor::name);
    if (named == request.sensors.end()) {
      return Error{Errc::bad_config,
                   "a unit is given for \"" + sensor + "\", which is no value column"};
    }
    named->unit = unit;
  }
  request.table = {.values = all.values, .width = all.names.size()};
  request.times = all.times;
  if (wanted.rows_read) wanted.rows_read(request.table.rows());
  auto trained = train(request);
  if (!trained) return trained.error();
  made.trained = *std::move(trained);
  return made;
}

}  // namespace lapwing::model
