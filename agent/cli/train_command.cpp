// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/cli/progress.hpp"
#include "shared/base/files.hpp"
#include "shared/base/short_text.hpp"
#include "shared/model/parameters.hpp"
#include "shared/model/picture.hpp"
#include "shared/model/text.hpp"
#include "shared/model/train_csv.hpp"
#include "shared/trust/token.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <ostream>
#include <utility>
#include <vector>

namespace lapwing::agent {
namespace {

constexpr std::size_t kProgressSteps = 1000;

/// `sensor=unit` each.
Result<std::map<std::string, std::string, std::less<>>> read_units(
    const std::vector<std::string>& list) {
  std::map<std::string, std::string, std::less<>> units;
  for (const auto& one : list) {
    const auto equals = one.find('=');
    if (equals == std::string::npos) {
      return Error{Errc::bad_config,
                   "--unit " + one + ": SENSOR=UNIT is needed, of a value column"};
    }
    units[one.substr(0, equals)] = one.substr(equals + 1);
  }
  return units;
}

Result<model::Trained> train_on(const TrainCommand& command, std::ostream& err, double& seconds) {
  auto parameters = model::read_parameters(command.set);
  if (!parameters) return parameters.error();
  auto units = read_units(command.units);
  if (!units) return units.error();
  ProgressLine progress(err, errors_go_to_terminal());
  Ticks began = ticks_now();
  auto made = model::train_csv({.reading = command.reading,
                                .text = std::nullopt,
                                .detector = command.detector,
                                .units = *std::move(units),
                                .parameters = *std::move(parameters),
                                .seed = command.seed,
                                .hold_out = command.hold_out,
                                .tool = "lapwing-agent " LAPWING_VERSION,
                                .progress =
                                    [&](double done) {
                                      constexpr auto kSteps = static_cast<double>(kProgressSteps);
                                      progress.show(static_cast<std::size_t>(done * kSteps),
                                                    kProgressSteps);
                                      return true;
                                    },
                                .rows_read =
                                    [&](std::uint64_t) {
                                      began = ticks_now();
                                      progress.begin("training " + command.detector);
                                    }});
  if (!made) return made.error();
  seconds = std::chrono::duration<double>(ticks_now() - began).count();
  if (made->bad_total > 0) {
    err << "lapwing-agent: " << made->bad_total << " rows of " << command.reading.file.string()
        << " could not be read in full; line " << made->first_bad->line << ": "
        << made->first_bad->what << '\n';
  }
  return std::move(made->trained);
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
