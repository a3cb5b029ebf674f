// SPDX-License-Identifier: Apache-2.0
#include "agent/status/status.hpp"

#include "shared/base/config.hpp"
#include "shared/base/metrics.hpp"
#include "shared/http/server.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace lapwing::agent {
namespace {

using nlohmann::json;

constexpr std::size_t kLimitDefault = 100;
constexpr std::size_t kLimitMax = 1000;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json time_of(Time time) { return time == Time{} ? json(nullptr) : json(to_rfc3339(time)); }

/// `?limit=`; 0: it is not a number from 1 to kLimitMax.
std::size_t limit_of(const http::Request& request) {
  const auto text = request.query_value("limit");
  if (!text) return kLimitDefault;
  std::size_t limit = 0;
  const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), limit);
  const bool good = failed == std::errc() && end == text->data() + text->size();
  return good && limit <= kLimitMax ? limit : 0;
}

http::Response bad_limit() {
  return http::problem(400, "limit must be a whole number from 1 to " + std::to_string(kLimitMax));
}

json to_json(const UplinkStatus::Download& file) {
  const auto left = file.left ? json(std::chrono::duration<double>(*file.left).count()) : json();
  return {{"sha256", file.sha256}, {"bytes", file.bytes},
          {"total", file.total},   {"bytes_per_second", file.bytes_per_second},
          {"left_seconds", left},  {"problem", file.problem}};
}

json to_json(const ModelSlotStatus& slot) {
  if (slot.version == 0) return nullptr;
  return {{"version", slot.version}, {"since", time_of(slot.since)}};
}

json to_json(const ModelsStatus& models) {
  json items = json::array();
  for (const auto& one : models.models) {
    items.push_back({{"model", one.model},
                     {"state", one.state},
                     {"version", one.version},
                     {"detail", one.detail},
                     {"active", to_json(one.active)},
                     {"confirmed", one.confirmed},
                     {"shadow", to_json(one.shadow)},
                     {"previous", to_json(one.previous)}});
  }
  return {{"keys_number", models.keys_number},
          {"frozen", models.frozen},
          {"problem", models.problem},
          {"items", std::move(items)}};
}

json to_json(const AgentStatus& status) {
  json sources = json::array();
  for (const auto& source : status.sources) {
    sources.push_back({{"name", source.name},
                       {"kind", source.kind},
                       {"connected", source.connected},
                       {"problem", source.problem},
                       {"messages", source.messages}});
  }
  const auto& outbox = status.outbox;
  const auto& uplink = status.uplink;
  return {{"name", status.name},
          {"version", status.version},
          {"started", time_of(status.started)},
          {"streams", status.streams},
          {"streams_max", status.streams_max},
          {"readings_total", status.readings_total},
          {"refused_total", status.refused_total},
          {"anomalies_open", status.anomalies_open},
          {"quarantined_total", status.quarantined_total},
          {"sources", std::move(sources)},
          {"models", to_json(status.models)},
          {"outbox",
           {{"writable", outbox.writable},
            {"problem", outbox.problem},
            {"records", outbox.records},
            {"bytes", outbox.bytes},
            {"bytes_max", outbox.bytes_max},
            {"waiting", outbox.waiting},
            {"records_at_risk", outbox.at_risk},
            {"next_seq", outbox.next_seq},
            {"acked_seq", outbox.acked_seq},
            {"dropped_total", outbox.dropped_total}}},
          {"uplink",
           {{"enabled", uplink.enabled},
            {"connected", uplink.connected},
            {"state", uplink.state},
            {"problem", uplink.problem},
            {"epoch", uplink.epoch},
            {"watermark", uplink.watermark},
            {"hub", uplink.hub},
            {"region", uplink.region},
            {"why", uplink.why},
            {"hub_changes", uplink.hub_changes},
            {"certificate",
             {{"expires", time_of(uplink.certificate_expires)},
              {"renewal", time_of(uplink.certificate_renewal)},
              {"problem", uplink.certificate_problem}}},
            {"model_file", uplink.download ? to_json(*uplink.download) : json()}}}};
}

json to_json(const StreamStatus& stream) {
  json tags = json::object();
  for (const auto& tag : stream.tags) tags[tag.key] = tag.value;
  return {{"stream", stream.stream},
          {"watch", stream.watch},
          {"detector", stream.detector},
          {"readings", stream.readings},
          {"last_time", time_of(stream.last_time)},
          {"last_value", number(stream.last_value)},
          {"last_score", number(stream.last_score)},
          {"expected", number(stream.band.expected)},
          {"lower", number(stream.band.lower)},
          {"upper", number(stream.band.upper)},
          {"anomaly_open", stream.anomaly_open},
          {"tags", std::move(tags)}};
}

http::Response ready(StatusView& view) {
  const auto reasons = view.not_ready();
  return http::json_response(dump({{"ready", reasons.empty()}, {"reasons", reasons}}),
                             reasons.empty() ? 200 : 503);
}

http::Response streams(StatusView& view, const http::Request& request) {
  const std::size_t limit = limit_of(request);
  if (limit == 0) return bad_limit();
  auto page = view.streams(limit, request.query_value("cursor").value_or(""));
  if (!page) return http::problem(page.error(), request.path);
  json items = json::array();
  for (const auto& stream : page->items) items.push_back(to_json(stream));
  return http::json_response(
      dump({{"items", std::move(items)},
            {"next_cursor", page->next_cursor ? json(*page->next_cursor) : json(nullptr)}}));
}

http::Response quarantine(StatusView& view, const http::Request& request) {
  const std::size_t limit = limit_of(request);
  if (limit == 0) return bad_limit();
  json items = json::array();
  for (const auto& entry : view.quarantine(limit)) {
    items.push_back({{"source", entry.source},
                     {"topic", entry.topic},
                     {"reason", to_string(entry.reason)},
                     {"detail", entry.detail},
                     {"count", entry.count},
                     {"first", time_of(entry.first)},
                     {"last", time_of(entry.last)},
                     {"payload_start", entry.payload},
                     {"payload_bytes", entry.payload_bytes}});
  }
  return http::json_response(dump({{"items", std::move(items)}, {"next_cursor", nullptr}}));
}

/// A browser's page cannot send this type elsewhere without asking first.
bool is_json(const http::Request& request) {
  return request.header("content-type").value_or("").starts_with("application/json");
}

http::Response feedback(StatusView& view, bool loopback, const http::Request& request) {
  const auto refuse = [&](Errc code, std::string why) {
    return http::problem(Error{code, std::move(why)}, request.path);
  };
  if (!loopback) {
    return refuse(Errc::denied, "feedback is taken on loopback only: set [status] listen");
  }
  if (!is_json(request)) return refuse(Errc::bad_input, "Content-Type: application/json is needed");
  const json body = json::parse(request.body, nullptr, false);
  const auto text_of = [&](const char* key) {
    return body.is_object() && body.contains(key) && body[key].is_string()
               ? body[key].get<std::string>()
               : std::string();
  };
  const std::string stream = text_of("stream");
  const auto says = detect::feedback_from(text_of("says"));
  if (stream.empty() || !says) {
    return refuse(
        Errc::bad_input,
        R"(a body like {"stream": "plant/flow", "says": "real"} is needed; says is one of )"
        "real, false, normal");
  }
  if (const auto taken = view.take(stream, *says); !taken) {
    return http::problem(taken.error(), request.path);
  }
  return http::json_response(R"({"taken":true})");
}

}  // namespace

StatusConfig StatusConfig::read(config::Section& section) {
  StatusConfig c;
  c.enabled = section.flag({"enabled", "serve health, metrics and status over HTTP"}, c.enabled);
  const std::string listen =
      section.text({"listen", "IP address and port; without credentials, so keep it on loopback"},
                   c.address + ":" + std::to_string(c.port));
  const std::size_t colon = listen.rfind(':');
  unsigned port = 0;
  bool good = colon != std::string::npos && colon > 0;
  if (good) {
    const char* end = listen.data() + listen.size();
    const auto [at, failed] = std::from_chars(listen.data() + colon + 1, end, port);
    good = failed == std::errc() && at == end && port <= 65535;
  }
  if (!good) {
    section.problem("listen",
                    "is \"" + listen + "\"; allowed: ADDRESS:PORT, such as 127.0.0.1:9273");
    return c;
  }
  c.address = listen.substr(0, colon);
  if (c.address.front() == '[' && c.address.back() == ']') {
    c.address = c.address.substr(1, c.address.size() - 2);
  }
  c.port = static_cast<std::uint16_t>(port);
  return c;
}

class StatusServer::Impl {
 public:
  explicit Impl(std::unique_ptr<http::Server> server) : server_(std::move(server)) {}
  std::unique_ptr<http::Server> server_;
};

StatusServer::StatusServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StatusServer::~StatusServer() = default;

Result<std::unique_ptr<StatusServer>> StatusServer::start(const StatusConfig& config,
                                                          StatusView& view, Metrics& metrics) {
  using http::Method;
  const bool loopback = config.address == "::1" || config.address.starts_with("127.");
  http::Router router;
  router.add(Method::get, "/health/live",
             [](const http::Request&) { return http::json_response(R"({"live":true})"); });
  router.add(Method::get, "/health/ready", [&view](const http::Request&) { return ready(view); });
  router.add(Method::get, "/metrics", [&metrics](const http::Request&) {
    auto response = http::text_response(metrics.text());
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    return response;
  });
  router.add(Method::get, "/api/v1/status", [&view](const http::Request&) {
    return http::json_response(dump(to_json(view.status())));
  });
  router.add(Method::get, "/api/v1/streams",
             [&view](const http::Request& request) { return streams(view, request); });
  router.add(Method::get, "/api/v1/quarantine",
             [&view](const http::Request& request) { return quarantine(view, request); });
  router.add(Method::post, "/api/v1/feedback", [&view, loopback](const http::Request& request) {
    return feedback(view, loopback, request);
  });
  http::ServerOptions options{
      .address = config.address, .port = config.port, .local_names_only = loopback};
  options.limits.connections = 32;
  options.limits.event_streams = 0;
  auto server = http::Server::start(std::move(options), std::move(router));
  if (!server) return within("status", std::move(server).error());
  return std::unique_ptr<StatusServer>(
      new StatusServer(std::make_unique<Impl>(std::move(*server))));
}

void StatusServer::stop() { impl_->server_->stop(); }
std::uint16_t StatusServer::port() const noexcept { return impl_->server_->port(); }

}  // namespace lapwing::agent
