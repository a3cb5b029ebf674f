// SPDX-License-Identifier: Apache-2.0
#include "lapwing/rollout_commands.hpp"

#include "lapwing/support.hpp"
#include "shared/base/config.hpp"
#include "shared/base/exit_codes.hpp"
#include "shared/base/files.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>
#include <unistd.h>

namespace lapwing::cli {
namespace {

constexpr std::size_t kPlanBytesMax = 1'000'000;
constexpr std::size_t kDecisionsShown = 10;
constexpr auto kLook = std::chrono::seconds(2);

std::string path_of(std::uint64_t id) { return "/api/v1/rollouts/" + std::to_string(id); }

Result<Json> asked(const Result<http::Response>& answer, unsigned good = 200) {
  if (!answer) return answer.error();
  if (answer->status != good) return Hub::refusal(*answer);
  auto json = Json::parse(answer->body, nullptr, false);
  if (!json.is_object()) return Hub::not_a_hub();
  return json;
}

/// Adds `key=value` texts to an object.
Result<Json> object_of(const std::vector<std::string>& labels) {
  auto json = Json::object();
  for (const auto& label : labels) {
    const auto equals = label.find('=');
    if (equals == std::string::npos) {
      return Error{Errc::bad_input, "label \"" + label + "\": key=value is wanted"};
    }
    json[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return json;
}

Result<Json> plan_of(const RolloutStart& command) {
  auto plan = Json::object();
  if (!command.plan.empty()) {
    const auto bytes = read_file(command.plan, kPlanBytesMax);
    if (!bytes) return bytes.error();
    plan = Json::parse(*bytes, nullptr, false);
    if (!plan.is_object()) {
      return Error{Errc::bad_input, command.plan.string() + ": a JSON object is wanted"};
    }
  }
  if (!command.devices.empty()) plan["devices"] = command.devices;
  if (!command.labels.empty()) {
    auto labels = object_of(command.labels);
    if (!labels) return labels.error();
    plan["labels"] = *std::move(labels);
  }
  if (command.all) plan["all"] = true;
  if (command.leave_out_offline) plan["leave_out_offline"] = true;
  for (const auto& [key, text] :
       {std::pair{"shadow_s", command.shadow}, {"soak_s", command.soak}}) {
    if (text.empty()) continue;
    const auto length = config::parse_duration(text);
    if (!length) return length.error();
    plan[key] = std::chrono::duration<double>(*length).count();
  }
  return plan;
}

std::vector<std::string> rollout_row(const Json& r) {
  return {text(r, "id"),    text(r, "model"), text(r, "number"),        text(r, "undo"),
          text(r, "phase"), text(r, "ring"),  instant(r, "created_at"), text(r, "text")};
}

std::vector<std::string> decision_row(const Json& d) {
  return {instant(d, "at"), text(d, "actor"), text(d, "action"), text(d, "text")};
}

bool has_ended(const Json& rollout) { return text(rollout, "ended_at") != "-"; }

}  // namespace

int run_rollout_start(const RolloutStart& command, std::ostream& out, std::ostream& err) {
  auto plan = plan_of(command);
  if (!plan) return fail(err, plan.error());
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const Json wanted{{"model", command.model},
                    {"number", command.number},
                    {"undo", command.undo},
                    {"plan", *std::move(plan)}};
  const auto made = asked(
      hub->post("/api/v1/rollouts", wanted.dump(-1, ' ', false, Json::error_handler_t::replace)),
      201);
  if (!made) return fail(err, made.error());
  if (command.json) {
    print_json(*made, out);
    return 0;
  }
  out << "rollout " << text(*made, "id") << " of version " << command.number << " of "
      << command.model << "; `lapwing rollout watch " << text(*made, "id") << "` shows it\n";
  return 0;
}

int run_rollout_list(bool json, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  return print_list(hub->list("/api/v1/rollouts", {}, 0), json,
                    {{"ID", true, 0},
                     {"MODEL", false, 8},
                     {"NUMBER", true, 0},
                     {"UNDO", true, 0},
                     {"PHASE", false, 0},
                     {"RING", true, 0},
                     {"BEGUN (UTC)", false, 0},
                     {"WHY", false, 20}},
                    &rollout_row, out, err);
}

int run_rollout_show(std::uint64_t id, bool json, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto rollout = asked(hub->get(path_of(id)));
  if (!rollout) return fail(err, rollout.error());
  if (json) {
    print_json(*rollout, out);
    return 0;
  }
  out << rollout_picture(*rollout, terminal_width()) << '\n';
  return print_list(
      hub->list(path_of(id) + "/decisions", {}, kDecisionsShown), false,
      {{"DECIDED (UTC)", false, 0}, {"BY", false, 8}, {"WHAT", false, 0}, {"WHY", false, 20}},
      &decision_row, out, err);
}

int run_rollout_watch(std::uint64_t id, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const bool in_place = isatty(STDOUT_FILENO) != 0;
  std::string last;
  for (;;) {
    const auto rollout = asked(hub->get(path_of(id)));
    if (!rollout && rollout.error().code != Errc::io) return fail(err, rollout.error());
    if (rollout) {
      const auto picture = rollout_picture(*rollout, terminal_width());
      if (in_place) {
        out << "\033[H\033[J" << picture << std::flush;
      } else if (picture != last) {
        out << picture << std::endl;
      }
      last = picture;
      if (has_ended(*rollout))
        return text(*rollout, "phase") == "done" ? 0 : int{lapwing::kExitFailed};
    } else {
      err << "lapwing: " << rollout.error().context << "; trying again" << std::endl;
    }
    if (!out) return 0;
    std::this_thread::sleep_for(kLook);
  }
}

int run_rollout_change(std::uint64_t id, const std::string& action, const std::string& body,
                       std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto changed = asked(hub->post(path_of(id) + "/" + action, body));
  if (!changed) return fail(err, changed.error());
  out << "rollout " << id << " is " << text(*changed, "phase") << '\n';
  return 0;
}

int run_label(const LabelCommand& command, std::ostream& out, std::ostream& err) {
  const auto labels = object_of(command.labels);
  if (!labels) return fail(err, labels.error());
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto done = hub->put("/api/v1/devices/" + http::percent_encode(command.device) + "/labels",
                             labels->dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!done) return fail(err, done.error());
  if (done->status != 204) return fail(err, Hub::refusal(*done));
  out << command.device << " has " << labels->size() << " labels\n";
  return 0;
}

void add_rollout_commands(CLI::App& app, int& exit_code) {
  auto* rollout = app.add_subcommand("rollout", "Bring a version to the fleet, ring by ring");
  rollout->require_subcommand(1);
  auto* start = rollout->add_subcommand("start", "Begin a rollout");
  const auto wanted = std::make_shared<RolloutStart>();
  start->add_option("model", wanted->model, "The model's name")->required();
  start->add_option("number", wanted->number, "The version")->required();
  start
      ->add_option("--undo", wanted->undo,
                   "The version to go back with (`model sign --undo`); 0: to none")
      ->required();
  start->add_option("--plan", wanted->plan, "A file: rings, times and gates as JSON");
  start->add_option("--device", wanted->devices, "This device; several times");
  start->add_option("--label", wanted->labels,
                    "Devices with this label (key=value); several times");
  start->add_flag("--all", wanted->all, "Every device, also those that have not told of the model");
  start->add_option("--shadow", wanted->shadow, "How long each ring is in shadow: 30m");
  start->add_option("--soak", wanted->soak, "How long each ring runs it before the next: 1h");
  start->add_flag("--leave-out-offline", wanted->leave_out_offline,
                  "Devices that are offline when their ring begins stay out");
  start->add_flag("--json", wanted->json, "As JSON");
  start->callback(
      [wanted, &exit_code] { exit_code = run_rollout_start(*wanted, std::cout, std::cerr); });

  const auto json = std::make_shared<bool>(false);
  auto* list = rollout->add_subcommand("list", "List rollouts, newest first");
  list->add_flag("--json", *json, "One JSON object per line");
  list->callback([json, &exit_code] { exit_code = run_rollout_list(*json, std::cout, std::cerr); });

  const auto id = std::make_shared<std::uint64_t>(0);
  auto* show = rollout->add_subcommand("show", "Rings, gates and decisions of a rollout");
  show->add_option("id", *id, "The rollout")->required();
  show->add_flag("--json", *json, "As JSON");
  show->callback(
      [id, json, &exit_code] { exit_code = run_rollout_show(*id, *json, std::cout, std::cerr); });
  auto* watch = rollout->add_subcommand("watch", "Watch its rings fill, until it has ended");
  watch->add_option("id", *id, "The rollout")->required();
  watch->callback([id, &exit_code] { exit_code = run_rollout_watch(*id, std::cout, std::cerr); });

  const auto change = [&](const char* action, const char* help) {
    auto* command = rollout->add_subcommand(action, help);
    command->add_option("id", *id, "The rollout")->required();
    return command;
  };
  for (const auto& [action, help] : {std::pair{"pause", "Take no further step"},
                                     {"resume", "Go on; the ring's time begins anew"}}) {
    change(action, help)->callback([id, action = std::string(action), &exit_code] {
      exit_code = run_rollout_change(*id, action, "", std::cout, std::cerr);
    });
  }
  const auto stay = std::make_shared<bool>(false);
  auto* abort = change("abort", "End it: devices it has touched go back");
  abort->add_flag("--stay", *stay, "Devices keep what they have");
  abort->callback([id, stay, &exit_code] {
    exit_code =
        run_rollout_change(*id, "abort", *stay ? R"({"roll_back":false})" : R"({"roll_back":true})",
                           std::cout, std::cerr);
  });

  auto* label = app.add_subcommand("label", "Replace the labels of a device");
  const auto labelled = std::make_shared<LabelCommand>();
  label->add_option("device", labelled->device, "The device")->required();
  label->add_option("labels", labelled->labels, "key=value; none: it has no labels any more");
  label->callback(
      [labelled, &exit_code] { exit_code = run_label(*labelled, std::cout, std::cerr); });
}

}  // namespace lapwing::cli
