// SPDX-License-Identifier: Apache-2.0
#include "lapwing/commands.hpp"

#include "lapwing/hub.hpp"
#include "lapwing/settings.hpp"
#include "lapwing/table.hpp"
#include "shared/base/backoff.hpp"
#include "shared/base/config.hpp"
#include "shared/base/files.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/time.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <optional>
#include <thread>

namespace lapwing::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kTokenBytesMax = 4'096;

int fail(std::ostream& err, const Error& error) {
  err << "lapwing: " << printable(error.context) << '\n';
  const bool usage = error.code == Errc::bad_input;
  return usage ? kExitUsage : kExitFailed;
}

Result<Hub> connect() {
  const auto file = settings_file();
  if (!file) return file.error();
  auto settings = load_settings(*file);
  if (!settings) return settings.error();
  return Hub::make(*std::move(settings));
}

std::string text(const Json& item, const char* key) {
  const auto at = item.find(key);
  if (at == item.end() || at->is_null()) return "-";
  if (at->is_string()) return at->get<std::string>();
  return at->dump();
}

/// Enough digits for people.
std::string number(const Json& item, const char* key) {
  const auto at = item.find(key);
  if (at == item.end() || !at->is_number()) return "-";
  if (at->is_number_integer()) return at->dump();
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "%.4g", at->get<double>());
  return digits.data();
}

/// `2026-11-24 08:43:46` of an RFC 3339 time.
std::string instant(const Json& item, const char* key) {
  auto time = text(item, key);
  if (time.size() < 19) return time;
  time.resize(19);
  time[10] = ' ';
  return time;
}

std::string range(const Json& item) {
  const auto lower = number(item, "lower");
  return lower == "-" ? "-" : lower + " .. " + number(item, "upper");
}

void print_json(const Json& item, std::ostream& out) {
  out << item.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

using Row = std::vector<std::string> (*)(const Json&);

int print_list(const Result<std::vector<Json>>& items, const ListCommand& command,
               std::vector<Column> columns, Row row, std::ostream& out, std::ostream& err) {
  if (!items) return fail(err, items.error());
  if (command.json) {
    for (const auto& item : *items) print_json(item, out);
    return 0;
  }
  Table table(std::move(columns));
  for (const auto& item : *items) table.add(row(item));
  out << table.text(terminal_width());
  return 0;
}

std::vector<std::string> device_row(const Json& d) {
  return {text(d, "device"),        text(d, "status"),           instant(d, "last_seen"),
          number(d, "streams"),     number(d, "anomalies_open"), number(d, "stored"),
          number(d, "outstanding"), number(d, "lost"),           text(d, "agent_version")};
}

std::vector<std::string> stream_row(const Json& s) {
  return {text(s, "stream"),          text(s, "watch"), instant(s, "last_time"),
          number(s, "last_value"),    range(s),         number(s, "last_score"),
          number(s, "anomalies_open")};
}

std::vector<std::string> anomaly_row(const Json& a) {
  return {instant(a, "onset"), text(a, "device"), text(a, "stream"),       text(a, "severity"),
          text(a, "state"),    text(a, "reason"), number(a, "peak_score"), text(a, "text")};
}

std::vector<Column> anomaly_columns() {
  return {{"ONSET (UTC)", false, 0}, {"DEVICE"},          {"STREAM", false, 12},
          {"SEVERITY", false, 0},    {"STATE", false, 0}, {"REASON", false, 0},
          {"SCORE", true, 0},        {"WHAT", false, 12}};
}

/// RFC 3339, or how long ago.
Result<std::string> since_time(const std::string& since) {
  if (since.empty()) return std::string();
  if (const auto time = from_rfc3339(since)) return to_rfc3339(*time);
  if (const auto ago = config::parse_duration(since)) return to_rfc3339(now() - *ago);
  return Error{Errc::bad_input, "--since \"" + since +
                                    "\": a time as 2026-11-24T08:00:00Z or a duration as 2h is "
                                    "wanted"};
}

/// Prints the steps of the feed that the filters let through.
class Follower {
 public:
  Follower(const Hub& hub, const ListCommand& command, std::ostream& out, std::ostream& err)
      : hub_(hub), command_(command), out_(out), err_(err) {}

  /// Ends only when the hub refuses.
  int run(std::string position) {
    last_id_ = std::move(position);
    Backoff wait(std::chrono::milliseconds(500), std::chrono::seconds(15), random_u64());
    for (;;) {
      std::optional<Error> refused;
      const auto followed =
          hub_.follow(command_.device, last_id_,
                      {.on_event = [this](const http::Event& event) { return take(event); },
                       .on_open = [&] { wait.reset(); },
                       .on_refused = [&](const http::Response& r) { refused = Hub::refusal(r); }});
      if (refused && refused->code != Errc::io) return fail(err_, *refused);
      if (!followed && followed.error().code == Errc::denied) return fail(err_, followed.error());
      if (!out_) return 0;
      err_ << "lapwing: "
           << (refused     ? refused->context
               : !followed ? followed.error().context
                           : std::string("the hub ended the feed"))
           << "; trying again" << std::endl;
      std::this_thread::sleep_for(wait.next());
    }
  }

 private:
  bool take(const http::Event& event) {
    if (!event.id.empty()) last_id_ = event.id;
    if (event.name == "gap") {
      err_ << "lapwing: some steps were missed: the hub no longer keeps them" << std::endl;
    }
    if (event.name != "anomaly") return true;
    const auto item = Json::parse(event.data, nullptr, false);
    if (!item.is_object() || !wanted(item)) return true;
    if (command_.json) {
      print_json(item, out_);
    } else {
      Table line({{"", false, 0},
                  {""},
                  {"", false, 12},
                  {"", false, 0},
                  {"", false, 0},
                  {"", false, 0},
                  {"", true, 0},
                  {"", false, 12}});
      auto cells = anomaly_row(item);
      cells[4] = text(item, "phase");
      line.add(std::move(cells));
      const auto both = line.text(terminal_width());
      out_ << both.substr(both.find('\n') + 1);
    }
    out_.flush();
    return static_cast<bool>(out_);
  }

  bool wanted(const Json& item) const {
    return (command_.severity.empty() || text(item, "severity") == command_.severity) &&
           (command_.state.empty() || text(item, "state") == command_.state);
  }

  const Hub& hub_;
  const ListCommand& command_;
  std::ostream& out_;
  std::ostream& err_;
  std::string last_id_;
};

Result<Secret<std::string>> find_token(const LoginCommand& command) {
  std::string token = command.token;
  if (command.token_file == "-") {
    std::getline(std::cin, token);
  } else if (!command.token_file.empty()) {
    auto read = read_file(command.token_file, kTokenBytesMax);
    if (!read) return read.error();
    token = *std::move(read);
  }
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  if (token.empty()) {
    return Error{Errc::bad_input,
                 "no token given; use --token, --token-file FILE or --token-file -"};
  }
  return Secret<std::string>(std::move(token));
}

}  // namespace

int run_login(const LoginCommand& command, std::ostream& out, std::ostream& err) {
  const auto file = settings_file();
  if (!file) return fail(err, file.error());
  auto token = find_token(command);
  if (!token) return fail(err, token.error());
  std::error_code ec;
  Settings settings{.hub = command.hub,
                    .ca_file = command.ca_file.empty()
                                   ? command.ca_file
                                   : std::filesystem::absolute(command.ca_file, ec),
                    .token = *std::move(token)};
  const auto hub = Hub::make(settings);
  if (!hub) return fail(err, hub.error());
  // Any answer but a refusal of the token proves it: a token may lack the scope to read.
  const auto tried = hub->get("/api/v1/devices?limit=1");
  if (!tried) return fail(err, tried.error());
  if (tried->status != 200 && tried->status != 403) return fail(err, Hub::refusal(*tried));
  if (const auto saved = save_settings(*file, settings); !saved) return fail(err, saved.error());
  out << "logged in to " << settings.hub << "; kept in " << file->string() << '\n';
  if (tried->status == 403) err << "lapwing: note: this token may not read\n";
  return 0;
}

int run_devices(const ListCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  return print_list(hub->list("/api/v1/devices", {}, 0), command,
                    {{"DEVICE", false, 10},
                     {"STATUS", false, 0},
                     {"LAST SEEN (UTC)", false, 10},
                     {"STREAMS", true, 0},
                     {"OPEN", true, 0},
                     {"STORED", true, 0},
                     {"WAITING", true, 0},
                     {"LOST", true, 0},
                     {"AGENT"}},
                    &device_row, out, err);
}

int run_streams(const ListCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto target = "/api/v1/devices/" + http::percent_encode(command.device) + "/streams";
  return print_list(hub->list(target, {}, 0), command,
                    {{"STREAM", false, 16},
                     {"WATCH"},
                     {"LAST (UTC)", false, 10},
                     {"VALUE", true, 0},
                     {"EXPECTED"},
                     {"SCORE", true, 0},
                     {"OPEN", true, 0}},
                    &stream_row, out, err);
}

int run_anomalies(const ListCommand& command, std::ostream& out, std::ostream& err) {
  const auto since = since_time(command.since);
  if (!since) return fail(err, since.error());
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  std::string position;
  if (command.follow) {  // before the list: what arrives in between is shown by the feed
    const auto at = hub->feed_position(command.device);
    if (!at) return fail(err, at.error());
    position = *at;
  }
  auto items = hub->list("/api/v1/anomalies",
                         {{"device", command.device},
                          {"state", command.state},
                          {"severity", command.severity},
                          {"from", *since}},
                         command.limit);
  if (items && command.follow) std::ranges::reverse(*items);  // the newest next to what follows
  const int code = print_list(items, command, anomaly_columns(), &anomaly_row, out, err);
  if (code != 0 || !command.follow) return code;
  out.flush();
  return Follower(*hub, command, out, err).run(position);
}

}  // namespace lapwing::cli
