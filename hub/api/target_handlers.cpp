// SPDX-License-Identifier: Apache-2.0
/// What devices are to run of models, and what they say of it.
#include "hub/api/answers.hpp"
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/store/models.hpp"
#include "hub/store/targets.hpp"

#include <array>
#include <cmath>
#include <limits>

namespace lapwing::hub {
namespace {

using http::Response;

/// In the order of wire::ModelStage, from 1.
constexpr std::array<std::string_view, 2> kStages{"shadow", "active"};

Json figure(double value) { return std::isnan(value) ? Json(nullptr) : Json(value); }

Json to_json(const wire::ModelStatistics& s) {
  return {{"since", to_rfc3339(s.since)},
          {"until", to_rfc3339(s.until)},
          {"rows", s.rows},
          {"alarms", s.alarms},
          {"anomalous_rows", s.anomalous_rows},
          {"rival_alarms", s.rival_alarms},
          {"rival_anomalous_rows", s.rival_anomalous_rows},
          {"agreement", figure(s.agreement)},
          {"psi", figure(s.psi)},
          {"cost_p99_s", figure(s.cost_p99)},
          {"rival_cost_p99_s", figure(s.rival_cost_p99)},
          {"not_a_number", s.not_a_number},
          {"memory_bytes", s.memory_bytes},
          {"quantiles", s.quantiles}};
}

Json report_json(const TargetRow& row) {
  if (!row.reported_at) return nullptr;
  const auto& report = row.report;
  return {{"version", report.version},         {"state", report.state},
          {"detail", report.detail},           {"offer", report.offer},
          {"rollout", report.rollout},         {"at", to_rfc3339(report.at)},
          {"keys_number", report.keys_number}, {"received_at", time_json(row.reported_at)}};
}

Json to_json(const TargetRow& row) {
  const auto& target = row.target;
  const bool wanted = row.offer != 0;
  return {{"device", target.key.device},
          {"model", target.model},
          {"number", wanted ? Json(target.number) : Json(nullptr)},
          {"stage",
           wanted ? Json(kStages.at(static_cast<std::size_t>(target.stage) - 1)) : Json(nullptr)},
          {"rollout", target.rollout},
          {"offer", row.offer},
          {"changed_at", wanted ? Json(to_rfc3339(row.changed_at)) : Json(nullptr)},
          {"assigned_until", time_json(row.until)},
          {"report", report_json(row)},
          {"statistics", row.statistics ? to_json(*row.statistics) : Json(nullptr)}};
}

Response page_of(const Desk& desk, const Call& call, const Targets::Filter& filter,
                 const PageRequest& page) {
  const auto rows = desk.parts.store.targets().list(call.token.tenant, filter, page);
  if (!rows) return refuse(call, rows.error());
  return fresh(call, dump(page_json(*rows, [](const TargetRow& row) { return to_json(row); })));
}

}  // namespace

Response list_targets(const Desk& desk, const Call& call) {
  Query query(call.request);
  Targets::Filter filter{.device = query.text("device").value_or(""),
                         .model = query.text("model").value_or(""),
                         .rollout = query.count("rollout", 0, std::numeric_limits<int>::max())};
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  return page_of(desk, call, filter, page);
}

Response list_device_models(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  return page_of(desk, call, {.device = call.request.parameter("device")}, page);
}

Response put_device_model(const Desk& desk, const Call& call) {
  Body body(call.request);
  const auto number = body.whole("number");
  const auto stage = body.text("stage");
  if (body.problem()) return refuse(call, *body.problem());
  const bool active = stage == kStages[1];
  if (!active && stage != kStages[0]) {
    return refuse(call, {Errc::bad_input, "\"stage\": shadow or active is wanted"});
  }
  if (number != 0 && !desk.options.can_assign) {
    return http::problem(409, "this hub has no key to sign offers with: see [models] signing_key",
                         call.request.path);
  }
  const auto model = call.request.parameter("model");
  auto& store = desk.parts.store;
  if (number != 0) {
    const auto version = store.models().version(call.token.tenant, model, number);
    if (!version) return refuse(call, version.error());
  }
  const std::array wanted{
      Target{.key = device_of(call),
             .model = model,
             .number = number,
             .stage = active ? wire::ModelStage::active : wire::ModelStage::shadow}};
  const auto at = now();
  if (auto done = store.targets().want(wanted, at); !done) return refuse(call, done.error());
  const auto noted = store.add_audit(
      {.tenant = call.token.tenant,
       .at = at,
       .actor = call.token.id,
       .action = "device.model",
       .subject = wanted[0].key.device,
       .detail = model + " " + (number == 0 ? "none" : std::to_string(number) + " " + stage)});
  if (!noted) return refuse(call, noted.error());
  const auto row = store.targets().get(wanted[0].key, model);
  if (!row) return refuse(call, row.error());
  return unkept(to_json(*row));
}

}  // namespace lapwing::hub
