// SPDX-License-Identifier: Apache-2.0
#include "lapwing/round_commands.hpp"

#include "lapwing/support.hpp"
#include "shared/base/files.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace lapwing::cli {
namespace {

constexpr std::size_t kOrderBytesMax = std::size_t{256} << 10U;

Result<Json> round_of(const Result<http::Response>& response, unsigned status) {
  if (!response) return response.error();
  if (response->status != status) return Hub::refusal(*response);
  auto json = Json::parse(response->body, nullptr, false);
  if (!json.is_object()) return Hub::not_a_hub();
  return json;
}

std::string round_at(std::uint64_t id) { return "/api/v1/rounds/" + std::to_string(id); }

std::vector<std::string> round_row(const Json& r) {
  return {number(r, "id"),
          text(r, "name"),
          text(r, "kind"),
          text(r, "state"),
          number(r, "pass") + "/" + number(r, "passes"),
          instant(r, "deadline"),
          text(r, "text")};
}

std::vector<std::string> round_device_row(const Json& d) {
  return {text(d, "device"), text(d, "state"), number(d, "rows"), number(d, "bytes"),
          text(d, "text")};
}

void print_round(const Json& round, std::ostream& out) {
  out << "round " << number(round, "id") << ", " << text(round, "name") << ": "
      << text(round, "kind") << ", " << text(round, "state") << ", pass " << number(round, "pass")
      << " of " << number(round, "passes") << '\n';
  if (text(round, "text") != "-") out << text(round, "text") << '\n';
  if (round["model_sha256"].is_string()) {
    out << "model file " << text(round, "model_sha256") << " (lapwing model pull)\n";
  }
  for (const auto& pass : round["report"]) {
    out << "pass " << number(pass, "pass") << ": " << number(pass, "devices") << " devices, "
        << number(pass, "rows") << " rows, " << number(pass, "bytes_so_far")
        << " bytes so far, at most " << number(pass, "bytes_so_far_most") << " of one\n";
  }
}

int one_round(const Result<Json>& round, bool json, std::ostream& out, std::ostream& err) {
  if (!round) return fail(err, round.error());
  if (json) {
    print_json(*round, out);
  } else {
    print_round(*round, out);
  }
  return 0;
}

}  // namespace

int run_round_start(const RoundCommand& command, std::ostream& out, std::ostream& err) {
  auto order = read_file(command.file, kOrderBytesMax);
  if (!order) return fail(err, order.error());
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto made = round_of(hub->post("/api/v1/rounds", *std::move(order)), 201);
  return one_round(made, command.json, out, err);
}

int run_round_list(const RoundCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  return print_list(hub->list("/api/v1/rounds", {}, 0), command.json,
                    {{"ROUND", true, 0},
                     {"NAME", false, 12},
                     {"KIND"},
                     {"STATE"},
                     {"PASS"},
                     {"DEADLINE (UTC)", false, 10},
                     {"TEXT", false, 20}},
                    &round_row, out, err);
}

int run_round_show(const RoundCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto round = round_of(hub->get(round_at(command.id)), 200);
  if (const int code = one_round(round, command.json, out, err); code != 0) return code;
  return print_list(hub->list(round_at(command.id) + "/devices", {}, 0), command.json,
                    {{"DEVICE", false, 12},
                     {"STATE"},
                     {"ROWS", true, 0},
                     {"BYTES", true, 0},
                     {"TEXT", false, 20}},
                    &round_device_row, out, err);
}

int run_round_cancel(const RoundCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  return one_round(round_of(hub->del(round_at(command.id)), 200), command.json, out, err);
}

void add_round_commands(CLI::App& app, int& exit_code) {
  auto* round = app.add_subcommand("round", "Learn from devices without their rows");
  round->require_subcommand(1);
  using Run = int (*)(const RoundCommand&, std::ostream&, std::ostream&);
  const auto add = [&](const char* name, const char* help, Run run) {
    auto* command = round->add_subcommand(name, help);
    const auto options = std::make_shared<RoundCommand>();
    command->add_flag("--json", options->json, "As JSON, one object a line");
    command->callback(
        [options, run, &exit_code] { exit_code = run(*options, std::cout, std::cerr); });
    return std::pair(command, options);
  };
  const auto [start, order] = add("start", "Ask devices", &run_round_start);
  start->add_option("file", order->file, "What is wanted: a JSON object, see docs/federated.md")
      ->required();
  add("list", "List rounds, newest first", &run_round_list);
  const auto [show, shown] =
      add("show", "What came of a round, and of each device", &run_round_show);
  show->add_option("round", shown->id, "Its number")->required();
  const auto [cancel, ended] =
      add("cancel", "End a round; what devices told goes", &run_round_cancel);
  cancel->add_option("round", ended->id, "Its number")->required();
}

}  // namespace lapwing::cli
