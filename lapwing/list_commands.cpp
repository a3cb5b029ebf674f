// SPDX-License-Identifier: Apache-2.0
#include "lapwing/commands.hpp"
#include "lapwing/support.hpp"

#include <ostream>

namespace lapwing::cli {
namespace {

std::string range(const Json& item) {
  const auto lower = number(item, "lower");
  return lower == "-" ? "-" : lower + " .. " + number(item, "upper");
}

std::string labels(const Json& item) {
  const auto at = item.find("labels");
  std::string all;
  if (at == item.end() || !at->is_object()) return "-";
  for (const auto& [key, value] : at->items()) {
    if (value.is_string()) all += (all.empty() ? "" : " ") + key + "=" + value.get<std::string>();
  }
  return all.empty() ? "-" : all;
}

std::vector<std::string> device_row(const Json& d) {
  return {text(d, "device"),        text(d, "status"),           instant(d, "last_seen"),
          number(d, "streams"),     number(d, "anomalies_open"), number(d, "stored"),
          number(d, "outstanding"), number(d, "lost"),           labels(d),
          text(d, "agent_version")};
}

std::vector<std::string> stream_row(const Json& s) {
  return {text(s, "stream"),          text(s, "watch"), instant(s, "last_time"),
          number(s, "last_value"),    range(s),         number(s, "last_score"),
          number(s, "anomalies_open")};
}

}  // namespace

int run_devices(const ListCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  return print_list(hub->list("/api/v1/devices", {}, 0), command.json,
                    {{"DEVICE", false, 10},
                     {"STATUS", false, 0},
                     {"LAST SEEN (UTC)", false, 10},
                     {"STREAMS", true, 0},
                     {"OPEN", true, 0},
                     {"STORED", true, 0},
                     {"WAITING", true, 0},
                     {"LOST", true, 0},
                     {"LABELS", false, 6},
                     {"AGENT"}},
                    &device_row, out, err);
}

int run_streams(const ListCommand& command, std::ostream& out, std::ostream& err) {
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const auto target = "/api/v1/devices/" + http::percent_encode(command.device) + "/streams";
  return print_list(hub->list(target, {}, 0), command.json,
                    {{"STREAM", false, 16},
                     {"WATCH"},
                     {"LAST (UTC)", false, 10},
                     {"VALUE", true, 0},
                     {"EXPECTED"},
                     {"SCORE", true, 0},
                     {"OPEN", true, 0}},
                    &stream_row, out, err);
}

}  // namespace lapwing::cli
