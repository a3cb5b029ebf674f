// SPDX-License-Identifier: Apache-2.0
/// Staged distributions of models: started, watched, held up and ended.
#include "hub/api/answers.hpp"
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/rollout/rings.hpp"
#include "hub/rollout/runner.hpp"
#include "hub/store/models.hpp"
#include "hub/store/rollouts.hpp"

#include <algorithm>

namespace lapwing::hub {
namespace {

using http::Response;
namespace ro = rollout;

/// Attempts to take a step that a person wants while the runner takes its own.
constexpr int kAttemptsMax = 5;

Json to_json(const RolloutRow& row) {
  const auto& state = row.state;
  const bool paused = state.phase == RolloutPhase::paused;
  auto plan = Json::parse(row.plan, nullptr, false);
  return {{"id", row.id},
          {"model", row.model},
          {"number", row.number},
          {"undo", row.undo},
          {"phase", ro::name_of(state.phase)},
          {"paused_in", paused ? Json(ro::name_of(state.resume)) : Json(nullptr)},
          {"ring", state.ring + 1},
          {"since", to_rfc3339(state.since)},
          {"ready_at", time_json(state.ready_at)},
          {"text", state.text},
          {"plan", plan.is_object() ? std::move(plan) : Json::object()},
          {"created_at", to_rfc3339(row.created_at)},
          {"created_by", row.actor},
          {"ended_at", time_json(row.ended_at)}};
}

/// Both versions are there, and the way back is one: another content, with a greater number.
Result<void> check_versions(const Desk& desk, const RolloutRow& wanted) {
  auto& models = desk.parts.store.models();
  const auto version = models.version(wanted.tenant, wanted.model, wanted.number);
  if (!version) return version.error();
  if (wanted.undo == 0) return {};
  if (wanted.undo <= wanted.number) {
    return Error{Errc::bad_input,
                 "\"undo\": a version above " + std::to_string(wanted.number) +
                     " is wanted, which devices take after it; `lapwing model sign --undo` makes "
                     "one; or 0, then devices run no version after a rollback"};
  }
  const auto undo = models.version(wanted.tenant, wanted.model, wanted.undo);
  if (!undo) return undo.error();
  if (undo->sha256 == version->sha256) {
    return Error{Errc::bad_input, "\"undo\": version " + std::to_string(wanted.undo) +
                                      " has the content of version " +
                                      std::to_string(wanted.number)};
  }
  return {};
}

/// Devices that took a later version refuse this one.
Result<void> check_is_newest(const Desk& desk, const RolloutRow& wanted) {
  const auto rows = desk.parts.store.rollouts().list(wanted.tenant, {.limit = 1'000, .cursor = {}});
  if (!rows) return rows.error();
  for (const auto& row : rows->items) {
    if (row.model != wanted.model) continue;
    const bool back = row.state.phase == RolloutPhase::rolled_back;
    const auto highest = back ? std::max(row.number, row.undo) : row.number;
    if (highest > wanted.number || (back && row.number == wanted.number)) {
      return Error{Errc::exists, "rollout " + std::to_string(row.id) + " brought version " +
                                     std::to_string(highest) + " of " + row.model +
                                     (back ? ", back from " + std::to_string(row.number) : "") +
                                     ": devices take greater ones only; sign this content anew"};
    }
  }
  return {};
}

ro::Candidate candidate(const DeviceRow& row) { return {row.device, row.labels}; }

/// Those that the plan names, or whose labels it names, or else that know of the model.
Result<std::vector<ro::Candidate>> choose(const Desk& desk, const RolloutRow& wanted,
                                          const ro::Plan& plan) {
  auto& store = desk.parts.store;
  std::vector<ro::Candidate> chosen;
  const auto take = [&](const DeviceRow& row) {
    if (!row.revoked_at && ro::is_chosen(plan, candidate(row))) chosen.push_back(candidate(row));
  };
  std::vector<std::string> names = plan.devices;
  PageRequest page{.limit = 1'000, .cursor = {}};
  if (names.empty() && plan.labels.empty() && !plan.all) {
    do {
      const auto rows = store.targets().list(
          wanted.tenant, {.device = {}, .model = wanted.model, .rollout = 0}, page);
      if (!rows) return rows.error();
      for (const auto& row : rows->items) names.push_back(row.target.key.device);
      page.cursor = rows->next_cursor.value_or("");
    } while (!page.cursor.empty() && names.size() <= Rollouts::kMembersMax);
    if (names.empty()) {
      return Error{Errc::bad_input,
                   "no device has told of model " + wanted.model +
                       ": name \"devices\" or \"labels\" in the plan, or say \"all\""};
    }
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  if (plan.devices.empty()) {
    DeviceFilter filter;
    for (const auto& [key, value] : plan.labels) filter.labels.push_back(key + "=" + value);
    do {
      const auto rows = store.devices(wanted.tenant, page, filter);
      if (!rows) return rows.error();
      for (const auto& row : rows->items) {
        if (names.empty() || std::ranges::binary_search(names, row.device)) take(row);
      }
      page.cursor = rows->next_cursor.value_or("");
    } while (!page.cursor.empty() && chosen.size() <= Rollouts::kMembersMax);
    return chosen;
  }
  for (const auto& name : names) {
    const auto row = store.device({wanted.tenant, name});
    if (!row) return row.error();
    take(*row);
  }
  return chosen;
}

Result<ro::Loaded> loaded(const Desk& desk, const Call& call) {
  auto& store = desk.parts.store;
  auto row = store.rollouts().get(call.token.tenant, id_of(call));
  if (!row) return row.error();
  return ro::load(store.rollouts(), store.targets(), *std::move(row));
}

/// A step that a person wants, on the newest state.
template <class Make>
Response change(const Desk& desk, const Call& call, const char* action, const Make& make) {
  auto& rollouts = desk.parts.store.rollouts();
  for (int i = 0; i < kAttemptsMax; ++i) {
    const auto row = rollouts.get(call.token.tenant, id_of(call));
    if (!row) return refuse(call, row.error());
    const auto step = make(*row);
    if (!step && step.error().code == Errc::denied) {
      return http::problem(409, step.error().context, call.request.path);
    }
    if (!step) return refuse(call, step.error());
    const auto done = rollouts.step(*step);
    if (!done) return refuse(call, done.error());
    if (!*done) continue;
    if (auto noted =
            audited(desk, call, action, "rollout " + std::to_string(row->id), step->state.text);
        !noted) {
      return refuse(call, noted.error());
    }
    const auto now_is = rollouts.get(call.token.tenant, row->id);
    return now_is ? unkept(to_json(*now_is)) : refuse(call, now_is.error());
  }
  return refuse(call, {Errc::io, "the rollout goes on faster than it can be changed; try again"});
}

}  // namespace

Response list_rollouts(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.rollouts().list(call.token.tenant, page);
  if (!rows) return refuse(call, rows.error());
  return unkept(page_json(*rows, [](const RolloutRow& row) { return to_json(row); }));
}

Response make_rollout(const Desk& desk, const Call& call) {
  if (!desk.options.can_assign) {
    return http::problem(409,
                         "this hub has no key to sign offers with: make one with `lapwing keys "
                         "new`, name it in a key list, and set [models] signing_key",
                         call.request.path);
  }
  Body body(call.request);
  RolloutRow wanted{.tenant = call.token.tenant,
                    .id = 0,
                    .model = body.text("model"),
                    .number = body.whole("number"),
                    .undo = body.whole("undo"),
                    .plan = {},
                    .state = {},
                    .actor = call.token.id,
                    .created_at = now(),
                    .ended_at = std::nullopt};
  const auto text = body.object("plan");
  if (body.problem()) return refuse(call, *body.problem());
  const auto plan = ro::read_plan(text);
  if (!plan) return refuse(call, plan.error());
  wanted.plan = ro::write_plan(*plan);
  if (auto good = check_versions(desk, wanted); !good) return refuse(call, good.error());
  if (auto good = check_is_newest(desk, wanted); !good) return refuse(call, good.error());
  auto chosen = choose(desk, wanted, *plan);
  if (!chosen) return refuse(call, chosen.error());
  const auto made = desk.parts.store.rollouts().add(
      wanted, [&](std::uint64_t id) { return ro::fill_rings(*plan, id, *std::move(chosen)); });
  if (!made) return refuse(call, made.error());
  const auto noted = audited(desk, call, "rollout.create", "rollout " + std::to_string(made->id),
                             "version " + std::to_string(made->number) + " of " + made->model +
                                 ", back to " + std::to_string(made->undo));
  if (!noted) return refuse(call, noted.error());
  auto response = unkept(to_json(*made), 201);
  response.headers.emplace_back("Location", "/api/v1/rollouts/" + std::to_string(made->id));
  return response;
}

Response get_rollout(const Desk& desk, const Call& call) {
  const auto whole = loaded(desk, call);
  if (!whole) return refuse(call, whole.error());
  const auto situation = whole->at(now());
  auto json = to_json(whole->rollout);
  json["figures"] = Json::parse(ro::figures_json(situation, ro::figure(situation)), nullptr, false);
  return unkept(json);
}

Response list_rollout_devices(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto stage = query.word("stage", ro::kStageNames);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  std::string after;
  if (!page.cursor.empty()) after = page.cursor;
  const auto whole = loaded(desk, call);
  if (!whole) return refuse(call, whole.error());
  const auto situation = whole->at(now());
  auto items = Json::array();
  Json next = nullptr;
  for (const auto& view : whole->views) {
    const auto is = ro::stage_of(situation, view);
    if (view.member.device <= after || (stage && static_cast<std::size_t>(is) != *stage)) continue;
    if (items.size() == std::clamp<std::size_t>(page.limit, 1, 1'000)) {
      next = items.back()["device"];
      break;
    }
    const bool said = view.target && view.target->reported_at;
    items.push_back({{"device", view.member.device},
                     {"ring", view.member.ring + 1},
                     {"stage", ro::name_of(is)},
                     {"wanted", view.target ? Json(view.target->target.number) : Json(nullptr)},
                     {"version", said ? Json(view.target->report.version) : Json(nullptr)},
                     {"state", said ? Json(view.target->report.state) : Json(nullptr)},
                     {"detail", said ? Json(view.target->report.detail) : Json(nullptr)},
                     {"reported_at", said ? time_json(view.target->reported_at) : Json(nullptr)}});
  }
  return unkept({{"items", std::move(items)}, {"next_cursor", std::move(next)}});
}

Response list_rollout_decisions(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.rollouts().decisions(call.token.tenant, id_of(call), page);
  if (!rows) return refuse(call, rows.error());
  return unkept(page_json(*rows, [](const auto& row) -> Json {
    auto figures = Json::parse(row.figures, nullptr, false);
    return {{"number", row.number},
            {"at", to_rfc3339(row.at)},
            {"actor", row.actor},
            {"action", row.action},
            {"text", row.text},
            {"figures", figures.is_object() ? std::move(figures) : Json::object()}};
  }));
}

Response pause_rollout(const Desk& desk, const Call& call) {
  return change(desk, call, "rollout.pause",
                [&](const RolloutRow& row) { return ro::pause(row, call.token.id, now()); });
}

Response resume_rollout(const Desk& desk, const Call& call) {
  return change(desk, call, "rollout.resume",
                [&](const RolloutRow& row) { return ro::resume(row, call.token.id, now()); });
}

Response abort_rollout(const Desk& desk, const Call& call) {
  Body body(call.request);
  const auto roll_back = body.truth("roll_back");
  if (body.problem()) return refuse(call, *body.problem());
  return change(desk, call, "rollout.abort", [&](const RolloutRow& row) {
    return ro::abort(row, roll_back, call.token.id, now());
  });
}

}  // namespace lapwing::hub
