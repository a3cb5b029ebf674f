// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_rollouts.hpp"

#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"
#include "hub/store/sql_commands.hpp"
#include "hub/store/sql_targets.hpp"

#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::string_view kEnded = "(5, 6, 8)";
static_assert(has_ended(RolloutPhase{5}) && has_ended(RolloutPhase{6}) &&
              has_ended(RolloutPhase{8}) && !has_ended(RolloutPhase{7}));

constexpr std::string_view kRolloutColumns =
    "SELECT t.tenant, o.id, o.model, o.number, o.undo, o.plan, o.phase, o.resume, o.ring, o.since,"
    " o.judged_from, o.ready_at, o.baseline_rows, o.baseline_alarms, o.baseline_cost, o.text,"
    " o.revision, o.actor, o.created_at, o.ended_at FROM rollouts o"
    " JOIN tenants t ON t.tenant_no = o.tenant_no ";

RolloutRow rollout_row(const sql::Row& row) {
  return {.tenant = row.text(0),
          .id = row.count(1),
          .model = row.text(2),
          .number = row.count(3),
          .undo = row.count(4),
          .plan = row.text(5),
          .state = {.phase = static_cast<RolloutPhase>(row.integer(6)),
                    .resume = static_cast<RolloutPhase>(row.integer(7)),
                    .ring = static_cast<std::uint32_t>(row.integer(8)),
                    .since = from_micros(row.integer(9)),
                    .judged_from = from_micros(row.integer(10)),
                    .ready_at = reads::instant(row, 11),
                    .baseline = {.rows = row.count(12),
                                 .alarms = row.count(13),
                                 .cost_p99 = row.number(14)},
                    .text = row.text(15)},
          .revision = row.count(16),
          .actor = row.text(17),
          .created_at = from_micros(row.integer(18)),
          .ended_at = reads::instant(row, 19)};
}

Error no_rollout(std::uint64_t id) {
  return {Errc::not_found, "there is no rollout " + std::to_string(id)};
}

Result<RolloutRow> read_rollout(sql::Connection& db, std::string_view tenant, std::uint64_t id) {
  std::optional<RolloutRow> found;
  db.rows(
      std::string(kRolloutColumns) + "WHERE o.id = ? AND t.tenant = ?",
      [&](const sql::Row& row) { found = rollout_row(row); }, id, tenant);
  if (db.failed()) return db.failure();
  if (!found) return no_rollout(id);
  return *std::move(found);
}

/// Whether there is room for one more, of that model too.
Result<void> check_room(sql::Connection& db, std::optional<std::int64_t> tenant_no,
                        const std::string& model) {
  std::size_t open = 0;
  std::optional<std::uint64_t> same;
  db.rows(
      "SELECT id, model FROM rollouts WHERE tenant_no = ? AND phase NOT IN (5, 6, 8)",
      [&](const sql::Row& row) {
        ++open;
        if (row.view(1) == model) same = row.count(0);
      },
      tenant_no);
  if (db.failed()) return db.failure();
  if (same) {
    return Error{Errc::exists, "rollout " + std::to_string(*same) + " of " + model +
                                   " has not ended: wait for it, or abort it"};
  }
  if (open >= Rollouts::kOpenMax) {
    return Error{Errc::limit, std::to_string(Rollouts::kOpenMax) + " rollouts have not ended"};
  }
  return {};
}

/// The oldest beyond kEndedMax go, with what belongs to them.
void drop_oldest(sql::Connection& db, std::optional<std::int64_t> tenant_no) {
  std::vector<std::uint64_t> old;
  db.rows(
      "SELECT id FROM rollouts WHERE tenant_no = ? AND phase IN (5, 6, 8) ORDER BY id DESC"
      " LIMIT 10 OFFSET ?",
      [&](const sql::Row& row) { old.push_back(row.count(0)); }, tenant_no, Rollouts::kEndedMax);
  for (const auto id : old) {
    db.run("DELETE FROM rollout_members WHERE rollout = ?", id);
    db.run("DELETE FROM rollout_decisions WHERE rollout = ?", id);
    db.run("DELETE FROM rollouts WHERE id = ?", id);
  }
}

Result<void> add_members(sql::Connection& db, std::optional<std::int64_t> tenant_no,
                         std::uint64_t id, const std::vector<RolloutMember>& members) {
  if (members.empty()) return Error{Errc::bad_input, "the plan chooses no device"};
  if (members.size() > Rollouts::kMembersMax) {
    return Error{Errc::limit, std::to_string(members.size()) + " devices: a rollout has at most " +
                                  std::to_string(Rollouts::kMembersMax)};
  }
  std::unordered_map<std::string, std::int64_t> numbers;
  db.rows(
      "SELECT device, device_no FROM devices WHERE tenant_no = ?",
      [&](const sql::Row& row) { numbers.emplace(row.text(0), row.integer(1)); }, tenant_no);
  for (const auto& member : members) {
    const auto at = numbers.find(member.device);
    if (at == numbers.end()) {
      if (db.failed()) return db.failure();
      return Error{Errc::bad_input, "there is no device " + member.device};
    }
    db.post("INSERT INTO rollout_members(rollout, device_no, ring, left_out) VALUES(?,?,?,?)", id,
            at->second, member.ring, member.left_out ? 1 : 0);
  }
  return {};
}

Result<void> add_decision(sql::Connection& db, const RolloutStep& step) {
  const auto& decision = *step.decision;
  std::uint64_t number = 0;
  db.rows(
      "UPDATE rollouts SET decisions = decisions + 1 WHERE id = ? RETURNING decisions",
      [&](const sql::Row& row) { number = row.count(0); }, step.id);
  if (db.failed()) return db.failure();
  const bool by_hub = decision.actor == Rollouts::kHubActor;
  if (number > Rollouts::kDecisionsMax - (by_hub ? 0 : Rollouts::kDecisionsReserved)) {
    return Error{Errc::limit, "rollout " + std::to_string(step.id) +
                                  " has seen too many decisions; abort it, or start another"};
  }
  db.run("INSERT INTO rollout_decisions VALUES(?,?,?,?,?,?,?)", step.id, number, to_micros(step.at),
         decision.actor, decision.action, decision.text, decision.figures);
  return {};
}

}  // namespace

Result<RolloutRow> SqlRollouts::add(const RolloutRow& row, const Order& order) {
  return access_.change([&](sql::Connection& db) -> Result<RolloutRow> {
    const auto tenant_no = make_tenant(db, row.tenant);
    if (auto room = check_room(db, tenant_no, row.model); !room) return room.error();
    drop_oldest(db, tenant_no);
    std::uint64_t id = 0;
    db.run("INSERT INTO meta(key, value) VALUES('rollout', 0) ON CONFLICT(key) DO NOTHING");
    db.rows("UPDATE meta SET value = value + 1 WHERE key = 'rollout' RETURNING value",
            [&](const sql::Row& found) { id = found.count(0); });
    const auto since = to_micros(row.created_at);
    db.run(
        "INSERT INTO rollouts(id, tenant_no, model, number, undo, plan, phase, resume, ring, since,"
        " judged_from, text, actor, created_at) VALUES(?,?,?,?,?,?,1,1,0,?,?,?,?,?)",
        id, tenant_no, row.model, row.number, row.undo, row.plan, since, since, row.state.text,
        row.actor, since);
    if (db.failed()) return db.failure();
    if (auto added = add_members(db, tenant_no, id, order(id)); !added) return added.error();
    return read_rollout(db, row.tenant, id);
  });
}

Result<RolloutRow> SqlRollouts::get(std::string_view tenant, std::uint64_t id) {
  return access_.read([&](sql::Connection& db) { return read_rollout(db, tenant, id); });
}

Result<Page<RolloutRow>> SqlRollouts::list(std::string_view tenant, const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<RolloutRow>> {
    const auto before = reads::number_cursor(page, reads::kLast);
    if (!before) return before.error();
    Page<RolloutRow> out;
    const auto rows = reads::page_rows(page);
    db.rows(
        std::string(kRolloutColumns) +
            "WHERE o.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
            " AND o.id < ? ORDER BY o.id DESC LIMIT ?",
        [&](const sql::Row& row) { out.items.push_back(rollout_row(row)); }, tenant, *before,
        rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows,
                      [](const RolloutRow& o) { return make_cursor({std::to_string(o.id)}); });
    return out;
  });
}

Result<std::vector<RolloutRow>> SqlRollouts::open(std::size_t limit) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<RolloutRow>> {
    std::vector<RolloutRow> found;
    db.rows(
        std::string(kRolloutColumns) + "WHERE o.phase IN (1, 2, 3, 7) ORDER BY o.id LIMIT ?",
        [&](const sql::Row& row) { found.push_back(rollout_row(row)); }, limit);
    if (db.failed()) return db.failure();
    return found;
  });
}

Result<Page<RolloutMember>> SqlRollouts::members(std::string_view tenant, std::uint64_t id,
                                                 const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<RolloutMember>> {
    if (auto known = read_rollout(db, tenant, id); !known) return known.error();
    std::string after;
    if (!page.cursor.empty()) {
      auto parts = read_cursor(page.cursor, 1);
      if (!parts) return parts.error();
      after = std::move((*parts)[0]);
    }
    Page<RolloutMember> out;
    const auto rows = reads::page_rows(page);
    db.rows(
        "SELECT d.device, m.ring, m.left_out, d.online FROM devices d JOIN rollout_members m"
        " ON m.device_no = d.device_no AND m.rollout = ?"
        " WHERE d.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND d.device > ?"
        " ORDER BY d.device LIMIT ?",
        [&](const sql::Row& row) {
          out.items.push_back({.device = row.text(0),
                               .ring = static_cast<std::uint32_t>(row.integer(1)),
                               .left_out = row.integer(2) != 0,
                               .online = row.integer(3) != 0});
        },
        id, tenant, after, rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows, [](const RolloutMember& m) { return make_cursor({m.device}); });
    return out;
  });
}

Result<Page<RolloutDecision>> SqlRollouts::decisions(std::string_view tenant, std::uint64_t id,
                                                     const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<RolloutDecision>> {
    if (auto known = read_rollout(db, tenant, id); !known) return known.error();
    const auto before = reads::number_cursor(page, reads::kLast);
    if (!before) return before.error();
    Page<RolloutDecision> out;
    const auto rows = reads::page_rows(page);
    db.rows(
        "SELECT number, at, actor, action, text, figures FROM rollout_decisions"
        " WHERE rollout = ? AND number < ? ORDER BY number DESC LIMIT ?",
        [&](const sql::Row& row) {
          out.items.push_back({.number = row.count(0),
                               .at = from_micros(row.integer(1)),
                               .actor = row.text(2),
                               .action = row.text(3),
                               .text = row.text(4),
                               .figures = row.text(5)});
        },
        id, *before, rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows, [](const RolloutDecision& d) {
      return make_cursor({std::to_string(d.number)});
    });
    return out;
  });
}

Result<bool> SqlRollouts::step(const RolloutStep& step) {
  auto done = access_.change([&](sql::Connection& db) -> Result<bool> {
    const auto& state = step.state;
    std::optional<std::int64_t> ready;
    if (state.ready_at) ready = to_micros(*state.ready_at);
    std::optional<std::int64_t> ended;
    if (has_ended(state.phase)) ended = to_micros(step.at);
    std::optional<double> cost;
    if (std::isfinite(state.baseline.cost_p99)) cost = state.baseline.cost_p99;
    const auto stepped = db.run(
        "UPDATE rollouts SET phase=?, resume=?, ring=?, since=?, judged_from=?, ready_at=?,"
        " baseline_rows=?, baseline_alarms=?, baseline_cost=?, text=?, ended_at=?,"
        " revision = revision + 1 WHERE id=? AND revision=?"
        " AND tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND phase NOT IN " +
            std::string(kEnded),
        static_cast<int>(state.phase), static_cast<int>(state.resume), state.ring,
        to_micros(state.since), to_micros(state.judged_from), ready, state.baseline.rows,
        state.baseline.alarms, cost, state.text, ended, step.id, step.revision, step.tenant);
    if (db.failed()) return db.failure();
    if (stepped == 0) return false;
    if (step.decision) {
      if (auto added = add_decision(db, step); !added) return added.error();
    }
    for (const auto& device : step.left_out) {
      db.post(
          "UPDATE rollout_members SET left_out = 1 WHERE rollout = ? AND device_no ="
          " (SELECT device_no FROM devices WHERE device = ? AND tenant_no ="
          " (SELECT tenant_no FROM tenants WHERE tenant = ?))",
          step.id, device, step.tenant);
    }
    if (step.targets.empty()) return true;
    if (auto wanted = want_targets(db, step.targets, step.at); !wanted) return wanted.error();
    commands_.notify(db);
    return true;
  });
  if (done && *done && !step.targets.empty()) commands_.wake();
  return done;
}

}  // namespace lapwing::hub
