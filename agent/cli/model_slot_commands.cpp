// SPDX-License-Identifier: Apache-2.0
// `model list`, `verify`, `rollback` and `trust`: the models of an agent, which may run meanwhile.
#include "agent/cli/commands.hpp"
#include "agent/cli/outbox_folder.hpp"
#include "agent/config.hpp"
#include "agent/models/slots.hpp"
#include "shared/base/files.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <ostream>
#include <system_error>
#include <thread>

namespace lapwing::agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr Micros kWait = std::chrono::seconds(10);  // for a running agent to grant a wish
constexpr Micros kLook = std::chrono::milliseconds(50);

struct Place {
  fs::path models;
  fs::path data_dir;
  int exit_code = 0;
};

Place find_models(const ModelSlotsCommand& command, std::ostream& err) {
  fs::path data_dir = command.data_dir;
  if (data_dir.empty()) {
    const auto loaded = load_config(command.config);
    for (const auto& problem : loaded.problems) err << problem.text() << '\n';
    if (!loaded.problems.empty()) return {.exit_code = kExitConfig};
    data_dir = loaded.config.data_dir;
  }
  return {.models = data_dir / "models", .data_dir = data_dir};
}

struct Row {
  const char* slot;
  const HeldModel* held;
};

std::vector<Row> rows_of(const ActivationState& state) {
  std::vector<Row> rows;
  const auto add = [&](const char* slot, const std::optional<HeldModel>& held) {
    if (held) rows.push_back({slot, &*held});
  };
  add(state.confirmed ? "active" : "active, on trial", state.active);
  add("shadow", state.shadow);
  add("previous", state.previous);
  return rows;
}

/// A running agent holds the lock of its data.
bool runs(const fs::path& data_dir) {
  const auto lock = FileLock::take(data_dir / "agent.lock");
  return !lock && lock.error().code == Errc::exists;
}

/// Returns when a running agent has done what the file asks for.
int await_done(const fs::path& data_dir, const fs::path& wish, std::ostream& out,
               std::ostream& err) {
  if (!runs(data_dir)) {
    out << "the agent does not run: it is done when it starts\n";
    return 0;
  }
  const Ticks until = ticks_now() + kWait;
  std::error_code ignored;
  while (fs::exists(wish, ignored)) {
    if (ticks_now() > until) {
      err << "lapwing-agent: the agent has not done it yet; see its log\n";
      return kExitFailed;
    }
    std::this_thread::sleep_for(kLook);
  }
  out << "done\n";
  return 0;
}

}  // namespace

int run_model_list(const ModelSlotsCommand& command, std::ostream& out, std::ostream& err) {
  const auto place = find_models(command, err);
  if (place.exit_code != 0) return place.exit_code;
  json items = json::array();
  for (const std::string& name : ModelSlots::names(place.models)) {
    std::string problem;
    const auto state = ModelSlots(place.models / name).read(problem);
    if (command.json) {
      json slots = json::array();
      for (const auto& row : rows_of(state)) {
        slots.push_back({{"slot", row.slot},
                         {"version", row.held->version.number},
                         {"sha256", row.held->version.sha256},
                         {"since", to_rfc3339(row.held->since)}});
      }
      items.push_back({{"model", name},
                       {"state", state.told},
                       {"version", state.told_version},
                       {"detail", state.told_detail},
                       {"offer", state.offer},
                       {"problem", problem},
                       {"slots", std::move(slots)}});
      continue;
    }
    out << name << ": " << (state.told.empty() ? "nothing was offered yet" : state.told);
    if (state.told_version != 0) out << " version " << state.told_version;
    if (!state.told_detail.empty()) out << " (" << state.told_detail << ')';
    out << '\n';
    if (!problem.empty()) out << "  problem: " << problem << '\n';
    for (const auto& row : rows_of(state)) {
      out << "  " << row.slot << ": version " << row.held->version.number << " since "
          << to_rfc3339(row.held->since) << ", SHA-256 " << row.held->version.sha256.substr(0, 16)
          << "...\n";
    }
  }
  if (command.json) {
    out << json{{"models", std::move(items)}}.dump(2, ' ', false, json::error_handler_t::replace)
        << '\n';
  }
  return 0;
}

int run_model_verify(const ModelSlotsCommand& command, std::ostream& out, std::ostream& err) {
  const auto place = find_models(command, err);
  if (place.exit_code != 0) return place.exit_code;
  bool sound = true;
  bool any = false;
  for (const std::string& name : ModelSlots::names(place.models)) {
    if (!command.model.empty() && name != command.model) continue;
    any = true;
    ModelSlots slots(place.models / name);
    std::string problem;
    const auto state = slots.read(problem);
    if (!problem.empty()) {
      out << name << ": " << problem << '\n';
      sound = false;
    }
    for (const auto& row : rows_of(state)) {
      const auto opened = slots.open(name, row.held->version);
      out << name << ' ' << row.held->version.number << " (" << row.slot
          << "): " << (opened ? "sound" : opened.error().context) << '\n';
      sound = sound && opened;
    }
  }
  if (!any && !command.model.empty()) {
    err << "lapwing-agent: no model is called \"" << command.model << "\" here\n";
    return kExitFailed;
  }
  return sound ? 0 : kExitFailed;
}

int run_model_rollback(const ModelSlotsCommand& command, std::ostream& out, std::ostream& err) {
  const auto place = find_models(command, err);
  if (place.exit_code != 0) return place.exit_code;
  ModelSlots slots(place.models / command.model);
  std::string problem;
  const auto state = slots.read(problem);
  if (!state.active) {
    err << "lapwing-agent: no version of \"" << command.model
        << "\" is active here: there is nothing to go back from\n";
    return kExitFailed;
  }
  out << command.model << ": from version " << state.active->version.number << " back to "
      << (state.previous ? "version " + std::to_string(state.previous->version.number)
                         : "the group's own detector")
      << '\n';
  if (auto asked = slots.ask_rollback(); !asked) return failed(asked.error(), err);
  return await_done(place.data_dir, slots.folder() / "rollback", out, err);
}

int run_model_trust(const ModelSlotsCommand& command, std::ostream& out, std::ostream& err) {
  const auto place = find_models(command, err);
  if (place.exit_code != 0) return place.exit_code;
  const fs::path wish = place.models / "trust";
  std::error_code ignored;
  fs::create_directories(place.models, ignored);
  if (auto asked = write_file_atomic(wish, "", 0600); !asked) return failed(asked.error(), err);
  return await_done(place.data_dir, wish, out, err);
}

}  // namespace lapwing::agent
