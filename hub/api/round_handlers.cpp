// SPDX-License-Identifier: Apache-2.0
/// Federated rounds: started, watched, cancelled.
#include "hub/api/answers.hpp"
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/jobs/round_plan.hpp"
#include "hub/store/rounds.hpp"
#include "shared/release/documents.hpp"

#include <algorithm>
#include <array>

namespace lapwing::hub {
namespace {

using http::Response;

constexpr std::array<std::string_view, 5> kRoundStates{"gathering", "merging", "done", "failed",
                                                       "cancelled"};
constexpr std::array<std::string_view, 4> kMemberStates{"waiting", "told", "refused", "left_out"};

Json round_json(const RoundRow& row) {
  auto plan = Json::parse(row.plan, nullptr, false);
  auto report = Json::parse(row.report.empty() ? "[]" : row.report, nullptr, false);
  const auto kind = federate::parse_kind(row.kind);
  return {{"id", row.id},
          {"name", row.name},
          {"kind", row.kind},
          {"model", row.model.empty() ? Json(nullptr) : Json(row.model)},
          {"state", kRoundStates.at(static_cast<std::size_t>(row.state) - 1)},
          {"pass", row.pass},
          {"passes", kind ? federate::passes(*kind) : 0},
          {"deadline", to_rfc3339(row.deadline)},
          {"devices_min", row.devices_min},
          {"enough", row.enough},
          {"text", row.text},
          {"model_sha256",
           row.state == RoundState::done && !row.result.empty() ? Json(row.result) : Json(nullptr)},
          {"job", row.job == 0 ? Json(nullptr) : Json(row.job)},
          {"report", report.is_array() ? std::move(report) : Json::array()},
          {"plan", plan.is_object() ? std::move(plan) : Json::object()},
          {"created_at", to_rfc3339(row.created_at)},
          {"created_by", row.actor},
          {"ended_at", time_json(row.ended_at)}};
}

/// Those that are named, or all; of them those that have the labels.
Result<std::vector<std::string>> chosen(const Desk& desk, const Call& call,
                                        const RoundOrder& order) {
  const auto wanted = [&](const DeviceRow& row) {
    return !row.revoked_at && std::ranges::all_of(order.labels, [&](const auto& label) {
      const auto at = row.labels.find(label.first);
      return at != row.labels.end() && at->second == label.second;
    });
  };
  std::vector<std::string> names;
  if (!order.devices.empty()) {
    for (const auto& name : order.devices) {
      const auto row = desk.parts.store.device({call.token.tenant, name});
      if (!row) return Error{Errc::bad_input, "\"devices\": there is no device " + name};
      if (wanted(*row)) names.push_back(name);
    }
    return names;
  }
  PageRequest page{.limit = 1000, .cursor = {}};
  for (;;) {
    const auto rows = desk.parts.store.devices(call.token.tenant, page, {});
    if (!rows) return rows.error();
    for (const auto& row : rows->items) {
      if (wanted(row)) names.push_back(row.device);
    }
    if (!rows->next_cursor || names.size() > Rounds::kMembersMax) return names;
    page.cursor = *rows->next_cursor;
  }
}

}  // namespace

Response list_rounds(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.rounds().list(call.token.tenant, page);
  if (!rows) return refuse(call, rows.error());
  return unkept(page_json(*rows, [](const auto& row) { return round_json(row); }));
}

Response start_round(const Desk& desk, const Call& call) {
  auto order = read_round_order(call.request.body);
  if (!order) return refuse(call, order.error());
  const auto devices = chosen(desk, call, *order);
  if (!devices) return refuse(call, devices.error());
  const auto least = order->plan.rules.devices_min;
  if (devices->size() < least) {
    return refuse(call, {Errc::bad_input, std::to_string(devices->size()) +
                                              " devices are chosen; devices_min is " +
                                              std::to_string(least)});
  }
  const auto at = now();
  const auto made = desk.parts.store.rounds().add(
      {.tenant = call.token.tenant,
       .name = order->name,
       .model = order->model,
       .kind = std::string(federate::to_string(order->plan.kind)),
       .schema = release::schema_digest(order->plan.sensors),
       .plan = to_json(*order),
       .pass_length = order->pass_length,
       .deadline = at + order->pass_length,
       .devices_min = least,
       .enough = order->enough == 0 ? devices->size() : std::max(order->enough, least),
       .actor = call.token.id,
       .created_at = at},
      *devices);
  if (!made) return refuse(call, made.error());
  if (auto noted =
          audited(desk, call, "round.start", "round " + std::to_string(made->id), made->name);
      !noted) {
    return refuse(call, noted.error());
  }
  auto response = unkept(round_json(*made), 201);
  response.headers.emplace_back("Location", "/api/v1/rounds/" + std::to_string(made->id));
  return response;
}

Response get_round(const Desk& desk, const Call& call) {
  const auto row = desk.parts.store.rounds().get(call.token.tenant, id_of(call));
  return row ? unkept(round_json(*row)) : refuse(call, row.error());
}

Response cancel_round(const Desk& desk, const Call& call) {
  const auto row = desk.parts.store.rounds().cancel(call.token.tenant, id_of(call), now());
  if (!row) return refuse(call, row.error());
  if (auto noted = audited(desk, call, "round.cancel", "round " + std::to_string(row->id), "");
      !noted) {
    return refuse(call, noted.error());
  }
  return unkept(round_json(*row));
}

Response list_round_devices(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.rounds().members(call.token.tenant, id_of(call), page);
  if (!rows) return refuse(call, rows.error());
  return unkept(page_json(*rows, [](const auto& row) -> Json {
    return {{"device", row.device},
            {"state", kMemberStates.at(static_cast<std::size_t>(row.state) - 1)},
            {"asked_at", time_json(row.asked_at)},
            {"rows", row.rows},
            {"bytes", row.bytes},
            {"text", row.text}};
  }));
}

}  // namespace lapwing::hub
