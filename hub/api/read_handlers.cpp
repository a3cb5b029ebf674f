// SPDX-License-Identifier: Apache-2.0
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/api/rows_json.hpp"

#include <charconv>

namespace lapwing::hub {
namespace {

using http::Response;

/// `text` as a whole number; nullopt when it is anything else.
std::optional<std::uint64_t> parse(std::string_view text, int base) {
  std::uint64_t number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// A page of a list; `read` asks the store for it.
template <class Read>
Response list_page(const Call& call, const Read& read) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = read(page);
  return rows ? fresh(call, to_json(*rows)) : refuse(call, rows.error());
}

/// `local` stands for this region, which has no name of its own here.
std::optional<std::string> region_of(Query& query) {
  auto region = query.text("region");
  if (region == "local") region = "";
  return region;
}

/// Labels with commas between them; at most as many as a device may have, and one more.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (parts.size() <= kLabelsMax) {
    const auto comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

Response change_device(const Desk& desk, const Call& call, const char* action,
                       const Result<void>& done) {
  if (!done) return refuse(call, done.error());
  const auto noted = desk.parts.store.add_audit({.tenant = call.token.tenant,
                                                 .at = now(),
                                                 .actor = call.token.id,
                                                 .action = action,
                                                 .subject = call.request.parameter("device"),
                                                 .detail = ""});
  if (!noted) return refuse(call, noted.error());
  return {.status = 204};
}

}  // namespace

Response fresh(const Call& call, std::string body) {
  auto response = http::json_response(std::move(body));
  response.headers.emplace_back("Cache-Control", "private, no-cache");
  return with_etag(call.request, std::move(response));
}

Response list_devices(const Desk& desk, const Call& call) {
  Query query(call.request);
  DeviceFilter filter{.region = region_of(query), .labels = {}};
  if (const auto label = query.text("label")) filter.labels = split(*label);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  for (const auto& label : filter.labels) {
    if (const auto good = check_label(label); !good) return refuse(call, good.error());
  }
  const auto devices = desk.parts.store.devices(call.token.tenant, page, filter);
  return devices ? fresh(call, to_json(*devices)) : refuse(call, devices.error());
}

Response get_device(const Desk& desk, const Call& call) {
  const auto device = desk.parts.store.device(device_of(call));
  return device ? fresh(call, to_json(*device)) : refuse(call, device.error());
}

Response revoke_device(const Desk& desk, const Call& call) {
  return change_device(desk, call, "device.revoke",
                       desk.parts.store.revoke_device(device_of(call), now()));
}

Response release_device(const Desk& desk, const Call& call) {
  return change_device(desk, call, "device.release",
                       desk.parts.store.release_quarantine(device_of(call)));
}

Response label_device(const Desk& desk, const Call& call) {
  const auto json = Json::parse(call.request.body, nullptr, false);
  const Error wrong{Errc::bad_input, "the body is a JSON object of labels: {\"site\":\"a\"}"};
  if (!json.is_object()) return refuse(call, wrong);
  Labels labels;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return refuse(call, wrong);
    labels.emplace(key, value.get<std::string>());
  }
  if (const auto good = check_labels(labels); !good) return refuse(call, good.error());
  return change_device(desk, call, "device.label",
                       desk.parts.store.label_device(device_of(call), labels));
}

Response list_losses(const Desk& desk, const Call& call) {
  return list_page(call, [&](const PageRequest& page) {
    return desk.parts.store.losses(device_of(call), page);
  });
}

Response list_streams(const Desk& desk, const Call& call) {
  return list_page(call, [&](const PageRequest& page) {
    return desk.parts.store.streams(device_of(call), page);
  });
}

Response get_history(const Desk& desk, const Call& call) {
  Query query(call.request);
  const HistoryQuery wanted{.stream = query.required_text("stream"),
                            .watch = query.text("watch").value_or(""),
                            .from = query.time("from"),
                            .to = query.time("to"),
                            .limit = query.count("limit", 1'000, 10'000)};
  if (query.problem()) return refuse(call, *query.problem());
  const auto history = desk.parts.store.history(device_of(call), wanted);
  return history ? fresh(call, history_json(wanted.stream, *history))
                 : refuse(call, history.error());
}

Response list_anomalies(const Desk& desk, const Call& call) {
  Query query(call.request);
  AnomalyFilter filter{.device = query.text("device"), .stream = query.text("stream")};
  if (const auto state = query.word("state", kStates)) filter.open = *state == 0;
  if (const auto severity = query.word("severity", kSeverities)) {
    filter.severity = static_cast<wire::Severity>(*severity + 1);
  }
  if (const auto reason = query.word("reason", kReasons)) {
    filter.reason = static_cast<wire::Reason>(*reason + 1);
  }
  filter.region = region_of(query);
  filter.from = query.time("from");
  filter.to = query.time("to");
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto anomalies = desk.parts.store.anomalies(call.token.tenant, filter, page);
  return anomalies ? fresh(call, to_json(*anomalies)) : refuse(call, anomalies.error());
}

Response get_anomaly(const Desk& desk, const Call& call) {
  const auto id = parse(call.request.parameter("id"), 16);
  if (!id) {
    return refuse(call, {Errc::bad_input, "an anomaly's id is up to 16 hexadecimal digits"});
  }
  const auto anomaly = desk.parts.store.anomaly(device_of(call), *id);
  return anomaly ? fresh(call, to_json(*anomaly)) : refuse(call, anomaly.error());
}

Response list_audit(const Desk& desk, const Call& call) {
  return list_page(call, [&](const PageRequest& page) {
    return desk.parts.store.audit(call.token.tenant, page);
  });
}

Response list_dead_letters(const Desk& desk, const Call& call) {
  return list_page(call, [&](const PageRequest& page) {
    return desk.parts.store.dead_letters(call.token.tenant, page);
  });
}

Response follow_feed(const Desk& desk, const Call& call) {
  Query query(call.request);
  FeedPump::Wanted wanted{.tenant = call.token.tenant, .device = query.text("device")};
  if (const auto last = call.request.header("last-event-id"); last && !last->empty()) {
    wanted.after = parse(*last, 10);
    if (!wanted.after) {
      return refuse(call, {Errc::bad_input, "Last-Event-ID is the id of an event of this feed"});
    }
  }
  auto stream = desk.pump.subscribe(wanted);
  if (!stream) {
    auto response = refuse(call, stream.error());
    if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
    return response;
  }
  return {.stream = *std::move(stream)};
}

}  // namespace lapwing::hub
