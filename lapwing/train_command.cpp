// SPDX-License-Identifier: Apache-2.0
#include "lapwing/registry_commands.hpp"
#include "lapwing/support.hpp"
#include "shared/base/files.hpp"

#include <chrono>
#include <cstdlib>
#include <ostream>
#include <thread>
#include <unistd.h>
#include <utility>

namespace lapwing::cli {
namespace {

constexpr std::size_t kCsvBytesMax = std::size_t{256} << 20U;
constexpr auto kAskEvery = std::chrono::milliseconds(300);
constexpr int kFailuresMax = 20;

/// `name=value` each.
Result<std::vector<std::pair<std::string, std::string>>> pairs_of(
    const char* option, const std::vector<std::string>& list) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& one : list) {
    const auto equals = one.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{Errc::bad_input, std::string(option) + " " + one + ": NAME=VALUE is needed"};
    }
    pairs.emplace_back(one.substr(0, equals), one.substr(equals + 1));
  }
  return pairs;
}

Result<Json> arguments_of(const TrainCommand& command) {
  Json wanted{{"detector", command.detector},
              {"seed", command.seed},
              {"hold_out", command.hold_out},
              {"alarms_per_week", command.alarms_per_week}};
  if (!command.name.empty()) wanted["name"] = command.name;
  if (!command.values.empty()) wanted["values"] = command.values;
  if (!command.time.empty()) wanted["time"] = command.time;
  if (!command.label.empty()) wanted["label"] = command.label;
  const auto units = pairs_of("--unit", command.units);
  if (!units) return units.error();
  for (const auto& [sensor, unit] : *units) wanted["units"][sensor] = unit;
  const auto set = pairs_of("--set", command.set);
  if (!set) return set.error();
  for (const auto& [name, value] : *set) {
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != '\0') {
      return Error{Errc::bad_input, "--set " + name + "=" + value + ": a number is needed"};
    }
    wanted["parameters"][name] = number;
  }
  return wanted;
}

/// The job as it is when it has ended.
Result<Json> wait_for(const Hub& hub, const std::string& job_at, std::ostream& err) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  std::string shown;
  for (int failures = 0;;) {
    const auto response = hub.get(job_at);
    const bool good = response && response->status == 200;
    const auto job = good ? Json::parse(response->body, nullptr, false) : Json();
    if (!good && ++failures > kFailuresMax) {
      return response ? Hub::refusal(*response) : Error(response.error());
    }
    if (good) {
      failures = 0;
      if (!job.is_object()) return Hub::not_a_hub();
      const auto state = text(job, "state");
      if (state != "queued" && state != "running") {
        if (terminal) err << "\r\033[K" << std::flush;
        return job;
      }
      auto line = state == "queued" ? "waiting for a worker" : printable(text(job, "text"));
      if (terminal && line != shown) err << "\r\033[K  " << line << std::flush;
      shown = std::move(line);
    }
    std::this_thread::sleep_for(kAskEvery);
  }
}

}  // namespace

int run_train(const TrainCommand& command, std::ostream& out, std::ostream& err) {
  auto wanted = arguments_of(command);
  if (!wanted) return fail(err, wanted.error());
  const auto bytes = read_file(command.file, kCsvBytesMax);
  if (!bytes) return fail(err, bytes.error());
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto id = upload(*hub, command.file.filename().string(), *bytes, err);
  if (!id) return fail(err, id.error());
  const auto upload_at = "/api/v1/uploads/" + std::to_string(*id);
  (*wanted)["upload"] = *id;
  const auto made = hub->post("/api/v1/jobs", Json{{"kind", "train"}, {"arguments", *wanted}}.dump(
                                                  -1, ' ', false, Json::error_handler_t::replace));
  if (!made || made->status != 201) {
    static_cast<void>(hub->del(upload_at));
    return fail(err, made ? Hub::refusal(*made) : made.error());
  }
  const auto row = Json::parse(made->body, nullptr, false);
  if (!row.is_object()) return fail(err, Hub::not_a_hub());
  const auto job_at = "/api/v1/jobs/" + number(row, "id");
  err << "job " << number(row, "id") << "; it goes on if this command ends\n";
  const auto job = wait_for(*hub, job_at, err);
  if (!job) return fail(err, job.error());
  static_cast<void>(hub->del(upload_at));
  if (text(*job, "state") != "done") {
    return fail(err, Error{Errc::io, "the job " + text(*job, "state") + ": " + text(*job, "text")});
  }
  const auto result = hub->get(job_at + "/result");
  if (!result) return fail(err, result.error());
  if (result->status != 200) return fail(err, Hub::refusal(*result));
  const auto told = Json::parse(result->body, nullptr, false);
  if (!told.is_object()) return fail(err, Hub::not_a_hub());
  if (command.json) {
    print_json(told, out);
    return 0;
  }
  const auto report = told.value("report", Json::object());
  out << "model file " << text(told, "sha256") << ", " << number(told, "length")
      << " bytes, trained on " << number(report, "trained_rows") << " rows, "
      << number(report, "held_out_rows") << " held out\n";
  return 0;
}

}  // namespace lapwing::cli
