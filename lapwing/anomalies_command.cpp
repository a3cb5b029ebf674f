// SPDX-License-Identifier: Apache-2.0
#include "lapwing/commands.hpp"
#include "lapwing/support.hpp"
#include "shared/base/backoff.hpp"
#include "shared/base/config.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/time.hpp"

#include <algorithm>
#include <optional>
#include <ostream>
#include <thread>

namespace lapwing::cli {
namespace {

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

}  // namespace

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
  const int code = print_list(items, command.json, anomaly_columns(), &anomaly_row, out, err);
  if (code != 0 || !command.follow) return code;
  out.flush();
  return Follower(*hub, command, out, err).run(position);
}

}  // namespace lapwing::cli
