// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/cli/model_text.hpp"
#include "agent/cli/parameters.hpp"
#include "agent/cli/progress.hpp"
#include "agent/cli/spread_picture.hpp"
#include "agent/replay/read_rows.hpp"
#include "agent/replay/report.hpp"
#include "shared/base/files.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/model/train.hpp"
#include "shared/trust/token.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ostream>
#include <utility>
#include <vector>

namespace lapwing::agent {
namespace {

constexpr std::size_t kProgressSteps = 1000;

/// The rows that could be read.
struct TrainingRows {
  std::vector<double> values;
  std::vector<Time> times;  ///< empty: the file has none
};

TrainingRows readable(const Rows& rows) {
  TrainingRows all;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    if (!rows.rows[i].readable) continue;
    const auto numbers = rows.numbers_of(i);
    all.values.insert(all.values.end(), numbers.begin(), numbers.end());
    if (!rows.times_made_up) all.times.push_back(rows.rows[i].time);
  }
  return all;
}

Result<const detect::Kind*> kind_of(const std::string& name) {
  const auto* kind = detect::find_kind(name, detect::Input::rows);
  if (kind != nullptr && kind->learning == detect::Learning::trained) return kind;
  std::string names;
  for (const auto& one : detect::kKinds) {
    if (one.learning != detect::Learning::trained) continue;
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  return Error{Errc::bad_config, "no detector \"" + name + "\" is trained; there are: " + names};
}

/// `sensor=unit` each.
Result<void> name_units(const std::vector<std::string>& units,
                        std::vector<model::Sensor>& sensors) {
  for (const auto& one : units) {
    const auto equals = one.find('=');
    const auto named = std::ranges::find(sensors, one.substr(0, equals), &model::Sensor::name);
    if (equals == std::string::npos || named == sensors.end()) {
      return Error{Errc::bad_config,
                   "--unit " + one + ": SENSOR=UNIT is needed, of a value column"};
    }
    named->unit = one.substr(equals + 1);
  }
  return {};
}

Result<model::Trained> train_on(const TrainCommand& command, std::ostream& err, double& seconds) {
  const auto kind = kind_of(command.detector);
  if (!kind) return kind.error();
  auto parameters = read_parameters(command.set);
  if (!parameters) return parameters.error();
  const auto rows = read_rows(command.reading);
  if (!rows) return rows.error();
  const auto all = readable(*rows);
  model::TrainRequest request{.kind = *kind,
                              .table = {.values = all.values, .width = rows->width()},
                              .times = all.times,
                              .sensors = {},
                              .seed = command.seed,
                              .parameters = *std::move(parameters),
                              .held_out_share = command.hold_out,
                              .tool = "lapwing-agent " LAPWING_VERSION};
  for (const auto& name : rows->names) request.sensors.push_back({.name = name});
  if (auto named = name_units(command.units, request.sensors); !named) return named.error();
  if (command.reading.file != "-") {
    const auto bytes = read_file(command.reading.file, command.reading.file_bytes_max);
    if (!bytes) return bytes.error();
    request.data_sha256 = trust::sha256_hex(*bytes);
  }
  ProgressLine progress(err, errors_go_to_terminal());
  progress.begin("training " + command.detector);
  request.progress = [&](double done) {
    progress.show(static_cast<std::size_t>(done * static_cast<double>(kProgressSteps)),
                  kProgressSteps);
    return true;
  };
  const Ticks began = ticks_now();
  auto trained = model::train(request);
  seconds = std::chrono::duration<double>(ticks_now() - began).count();
  if (trained && rows->bad_total > 0) {
    err << "lapwing-agent: " << rows->bad_total << " rows of " << command.reading.file.string()
        << " could not be read in full; line " << rows->bad[0].line << ": " << rows->bad[0].what
        << '\n';
  }
  return trained;
}

}  // namespace

int run_train(const TrainCommand& command, std::ostream& out, std::ostream& err) {
  double seconds = 0;
  auto trained = train_on(command, err, seconds);
  const auto write = [&](const std::filesystem::path& path, const std::string& bytes) {
    if (!trained || path.empty()) return;
    auto written = write_file_atomic(path, bytes);
    if (!written) trained = within(path.string(), std::move(written).error());
  };
  if (trained) {
    write(command.out, trained->file);
    const auto title =
        command.detector + ", trained on " + command.reading.file.filename().string();
    if (trained) write(command.plot, draw_spread(trained->evaluation, title));
  }
  if (!trained) {
    err << "lapwing-agent: " << trained.error().context << '\n';
    return trained.error().code == Errc::bad_config ? kExitConfig : kExitFailed;
  }
  if (command.json) {
    auto json = to_json(trained->header);
    json["evaluation"] = to_json(trained->evaluation);
    json["seconds"] = seconds;
    json["file"] = command.out.string();
    json["sha256"] = trust::sha256_hex(trained->file);
    out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    return 0;
  }
  out << to_text(trained->header) << to_text(trained->evaluation) << "trained in "
      << short_number(seconds) << " s; model: " << command.out.string() << ", "
      << trained->file.size() << " bytes\n";
  if (!command.plot.empty()) out << "picture: " << command.plot.string() << '\n';
  return 0;
}

}  // namespace lapwing::agent
