// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_rounds.hpp"

#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <optional>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::string_view kRoundColumns =
    "SELECT t.tenant, o.id, o.name, o.model, o.kind, o.schema, o.plan, o.state, o.pass,"
    " o.pass_length, o.deadline, o.devices_min, o.enough, o.result, o.report, o.text, o.job,"
    " o.actor, o.created_at, o.ended_at FROM rounds o JOIN tenants t ON t.tenant_no = o.tenant_no ";

RoundRow round_row(const sql::Row& row) {
  return {.tenant = row.text(0),
          .id = row.count(1),
          .name = row.text(2),
          .model = row.text(3),
          .kind = row.text(4),
          .schema = row.text(5),
          .plan = row.text(6),
          .state = static_cast<RoundState>(row.integer(7)),
          .pass = static_cast<std::uint32_t>(row.integer(8)),
          .pass_length = Micros(row.integer(9)),
          .deadline = from_micros(row.integer(10)),
          .devices_min = row.count(11),
          .enough = row.count(12),
          .result = row.text(13),
          .report = row.text(14),
          .text = row.text(15),
          .job = row.count(16),
          .actor = row.text(17),
          .created_at = from_micros(row.integer(18)),
          .ended_at = reads::instant(row, 19)};
}
constexpr int kRoundColumnCount = 20;

Error no_round(std::uint64_t id) {
  return {Errc::not_found, "there is no round " + std::to_string(id)};
}

Result<RoundRow> read_round(sql::Connection& db, std::string_view tenant, std::uint64_t id) {
  std::optional<RoundRow> found;
  db.rows(
      std::string(kRoundColumns) + "WHERE o.id = ? AND t.tenant = ?",
      [&](const sql::Row& row) { found = round_row(row); }, id, tenant);
  if (db.failed()) return db.failure();
  if (!found) return no_round(id);
  return *std::move(found);
}

Result<void> check_room(sql::Connection& db, std::optional<std::int64_t> tenant_no,
                        std::size_t devices) {
  if (devices == 0) return Error{Errc::bad_input, "no device is chosen"};
  if (devices > Rounds::kMembersMax) {
    return Error{Errc::limit, std::to_string(devices) + " devices: a round has at most " +
                                  std::to_string(Rounds::kMembersMax)};
  }
  std::uint64_t open = 0;
  db.rows(
      "SELECT count(*) FROM rounds WHERE tenant_no = ? AND state < 3",
      [&](const sql::Row& row) { open = row.count(0); }, tenant_no);
  if (db.failed()) return db.failure();
  if (open >= Rounds::kOpenMax) {
    return Error{Errc::limit, std::to_string(Rounds::kOpenMax) + " rounds have not ended"};
  }
  return {};
}

void drop_oldest_rounds(sql::Connection& db, std::optional<std::int64_t> tenant_no) {
  std::vector<std::uint64_t> old;
  db.rows(
      "SELECT id FROM rounds WHERE tenant_no = ? AND state >= 3 ORDER BY id DESC"
      " LIMIT 10 OFFSET ?",
      [&](const sql::Row& row) { old.push_back(row.count(0)); }, tenant_no, Rounds::kEndedMax);
  for (const auto id : old) {
    db.run("DELETE FROM round_members WHERE round = ?", id);
    db.run("DELETE FROM rounds WHERE id = ?", id);
  }
}

struct Awaited {
  RoundMemberState state = RoundMemberState::waiting;
  std::string sha256;
  std::uint64_t parts = 0;
  std::uint64_t here = 0;
};

/// The member's state in a round that gathers for that pass; absent: nobody waits.
std::optional<Awaited> find_awaited(sql::Connection& db, const reads::DeviceNumbers& numbers,
                                    const RoundPart& part) {
  std::optional<Awaited> found;
  db.rows(
      "SELECT m.state, m.sha256, m.parts, m.here FROM round_members m JOIN rounds o"
      " ON o.id = m.round WHERE m.round = ? AND m.device_no = ? AND o.tenant_no = ?"
      " AND o.state = 1 AND o.pass = ? AND m.state = 1",
      [&](const sql::Row& row) {
        found = {static_cast<RoundMemberState>(row.integer(0)), row.text(1), row.count(2),
                 row.count(3)};
      },
      part.round, numbers.device_no, numbers.tenant_no, part.pass);
  return found;
}

}  // namespace

Result<RoundRow> SqlRounds::add(const RoundRow& row, std::span<const std::string> devices) {
  return access_.change([&](sql::Connection& db) -> Result<RoundRow> {
    const auto tenant_no = make_tenant(db, row.tenant);
    if (auto room = check_room(db, tenant_no, devices.size()); !room) return room.error();
    drop_oldest_rounds(db, tenant_no);
    std::uint64_t id = 0;
    db.run("INSERT INTO meta(key, value) VALUES('round', 0) ON CONFLICT(key) DO NOTHING");
    db.rows("UPDATE meta SET value = value + 1 WHERE key = 'round' RETURNING value",
            [&](const sql::Row& found) { id = found.count(0); });
    db.run(
        "INSERT INTO rounds(id, tenant_no, name, model, kind, schema, plan, state, pass,"
        " pass_length, deadline, devices_min, enough, actor, created_at)"
        " VALUES(?,?,?,?,?,?,?,1,1,?,?,?,?,?,?)",
        id, tenant_no, row.name, row.model, row.kind, row.schema, row.plan, row.pass_length.count(),
        to_micros(row.deadline), row.devices_min, row.enough, row.actor, to_micros(row.created_at));
    for (const auto& device : devices) {
      const auto added = db.run(
          "INSERT INTO round_members(round, device_no, device, state)"
          " SELECT ?, device_no, device, 1 FROM devices WHERE tenant_no = ? AND device = ?"
          " ON CONFLICT DO NOTHING",
          id, tenant_no, device);
      if (db.failed()) return db.failure();
      if (added == 0) {
        return Error{Errc::bad_input, "there is no device " + device + ", or it is there twice"};
      }
    }
    if (db.failed()) return db.failure();
    return read_round(db, row.tenant, id);
  });
}

Result<RoundRow> SqlRounds::get(std::string_view tenant, std::uint64_t id) {
  return access_.read([&](sql::Connection& db) { return read_round(db, tenant, id); });
}

Result<Page<RoundRow>> SqlRounds::list(std::string_view tenant, const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<RoundRow>> {
    const auto before = reads::number_cursor(page, reads::kLast);
    if (!before) return before.error();
    Page<RoundRow> out;
    const auto rows = reads::page_rows(page);
    db.rows(
        std::string(kRoundColumns) +
            "WHERE o.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
            " AND o.id < ? ORDER BY o.id DESC LIMIT ?",
        [&](const sql::Row& row) { out.items.push_back(round_row(row)); }, tenant, *before,
        rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows,
                      [](const RoundRow& o) { return make_cursor({std::to_string(o.id)}); });
    return out;
  });
}

Result<Page<RoundMember>> SqlRounds::members(std::string_view tenant, std::uint64_t id,
                                             const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<RoundMember>> {
    if (auto known = read_round(db, tenant, id); !known) return known.error();
    std::string after;
    if (!page.cursor.empty()) {
      auto parts = read_cursor(page.cursor, 1);
      if (!parts) return parts.error();
      after = std::move((*parts)[0]);
    }
    Page<RoundMember> out;
    const auto rows = reads::page_rows(page);
    db.rows(
        "SELECT device, state, asked_at, rows_told, bytes, text FROM round_members"
        " WHERE round = ? AND device > ? ORDER BY device LIMIT ?",
        [&](const sql::Row& row) {
          out.items.push_back({.device = row.text(0),
                               .state = static_cast<RoundMemberState>(row.integer(1)),
                               .asked_at = reads::instant(row, 2),
                               .rows = row.count(3),
                               .bytes = row.count(4),
                               .text = row.text(5)});
        },
        id, after, rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows, [](const RoundMember& m) { return make_cursor({m.device}); });
    return out;
  });
}

Result<RoundRow> SqlRounds::cancel(std::string_view tenant, std::uint64_t id, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<RoundRow> {
    if (auto known = read_round(db, tenant, id); !known) return known.error();
    const auto ended =
        db.run("UPDATE rounds SET state=5, ended_at=?, text='cancelled' WHERE id=? AND state < 3",
               to_micros(at), id);
    if (ended > 0) db.run("DELETE FROM round_parts WHERE round = ?", id);
    if (db.failed()) return db.failure();
    return read_round(db, tenant, id);
  });
}

Result<bool> SqlRounds::take(const DeviceKey& key, const RoundPart& part, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<bool> {
    const auto numbers = reads::device_numbers(db, key);
    if (!numbers) return numbers.error();
    // The row is locked where several write: of two pieces at once each sees the other.
    db.run("UPDATE round_members SET bytes = bytes WHERE round = ? AND device_no = ?", part.round,
           numbers->device_no);
    auto awaited = find_awaited(db, *numbers, part);
    if (db.failed()) return db.failure();
    if (!awaited) return false;
    if (!part.problem.empty()) {
      db.run("UPDATE round_members SET state=3, text=? WHERE round=? AND device_no=?", part.problem,
             part.round, numbers->device_no);
      return true;
    }
    if (awaited->sha256 != part.sha256) {
      db.run("DELETE FROM round_parts WHERE round=? AND device_no=?", part.round,
             numbers->device_no);
      *awaited = {.sha256 = part.sha256, .parts = part.parts};
    }
    if (awaited->parts != part.parts) return false;  // two lengths, one digest
    const auto fresh = db.run(
        "INSERT INTO round_parts(round, device_no, part, bytes) VALUES(?,?,?,?)"
        " ON CONFLICT DO NOTHING",
        part.round, numbers->device_no, part.part, sql::Blob{part.bytes});
    if (db.failed()) return db.failure();
    if (fresh == 0) return false;
    ++awaited->here;
    db.run(
        "UPDATE round_members SET sha256=?, parts=?, here=?, rows_told=?, bytes=bytes+?, state=?,"
        " told_at=? WHERE round=? AND device_no=?",
        awaited->sha256, awaited->parts, awaited->here, part.rows, part.bytes.size(),
        awaited->here == awaited->parts ? 2 : 1, to_micros(at), part.round, numbers->device_no);
    return true;
  });
}

Result<std::vector<std::pair<RoundRow, DeviceKey>>> SqlRounds::to_ask(Time at, Micros again,
                                                                      std::size_t limit) {
  using Found = std::vector<std::pair<RoundRow, DeviceKey>>;
  return access_.read([&](sql::Connection& db) -> Result<Found> {
    Found found;
    auto sql = std::string(kRoundColumns);
    sql.replace(sql.find(" FROM"), 0, ", m.device");
    db.rows(
        sql +
            "JOIN round_members m ON m.round = o.id JOIN devices d ON d.tenant_no = o.tenant_no"
            " AND d.device_no = m.device_no WHERE o.state = 1 AND o.deadline > ? AND m.state = 1"
            " AND (m.asked_at IS NULL OR m.asked_at < ?) AND d.online = 1"
            " AND d.revoked_at IS NULL ORDER BY o.id, m.device_no LIMIT ?",
        [&](const sql::Row& row) {
          auto round = round_row(row);
          DeviceKey key{round.tenant, row.text(kRoundColumnCount)};
          found.emplace_back(std::move(round), std::move(key));
        },
        to_micros(at), to_micros(at - again), limit);
    if (db.failed()) return db.failure();
    return found;
  });
}

Result<void> SqlRounds::mark_asked(std::uint64_t id, const DeviceKey& key, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto numbers = reads::device_numbers(db, key);
    if (!numbers) return numbers.error();
    db.run("UPDATE round_members SET asked_at=? WHERE round=? AND device_no=?", to_micros(at), id,
           numbers->device_no);
    return {};
  });
}

Result<std::vector<RoundRow>> SqlRounds::due(Time at, std::size_t limit) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<RoundRow>> {
    std::vector<RoundRow> found;
    db.rows(
        std::string(kRoundColumns) +
            "WHERE (o.state = 1 AND (o.deadline <= ? OR o.enough <= (SELECT count(*) FROM"
            " round_members m WHERE m.round = o.id AND m.state = 2) OR NOT EXISTS (SELECT 1 FROM"
            " round_members m WHERE m.round = o.id AND m.state = 1)))"
            " OR (o.state = 2 AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = o.job"
            " AND j.state < 3)) ORDER BY o.id LIMIT ?",
        [&](const sql::Row& row) { found.push_back(round_row(row)); }, to_micros(at), limit);
    if (db.failed()) return db.failure();
    return found;
  });
}

Result<bool> SqlRounds::begin_merge(std::uint64_t id, std::uint32_t pass, std::uint64_t job) {
  return access_.change([&](sql::Connection& db) -> Result<bool> {
    return db.run("UPDATE rounds SET state=2, job=? WHERE id=? AND pass=? AND state=1", job, id,
                  pass) > 0;
  });
}

Result<std::vector<RoundMember>> SqlRounds::told(std::uint64_t id) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<RoundMember>> {
    std::vector<RoundMember> found;
    db.rows(
        "SELECT device, rows_told, bytes FROM round_members WHERE round = ? AND state = 2"
        " ORDER BY device",
        [&](const sql::Row& row) {
          found.push_back({.device = row.text(0),
                           .state = RoundMemberState::told,
                           .asked_at = {},
                           .rows = row.count(1),
                           .bytes = row.count(2),
                           .text = {}});
        },
        id);
    if (db.failed()) return db.failure();
    return found;
  });
}

Result<std::string> SqlRounds::contribution(std::uint64_t id, const DeviceKey& key) {
  return access_.read([&](sql::Connection& db) -> Result<std::string> {
    const auto numbers = reads::device_numbers(db, key);
    if (!numbers) return numbers.error();
    std::string whole;
    db.rows(
        "SELECT bytes FROM round_parts WHERE round = ? AND device_no = ? ORDER BY part",
        [&](const sql::Row& row) { whole += row.text(0); }, id, numbers->device_no);
    if (db.failed()) return db.failure();
    return whole;
  });
}

Result<bool> SqlRounds::step(const RoundStep& step) {
  return access_.change([&](sql::Connection& db) -> Result<bool> {
    const bool ends = step.state != RoundState::gathering;
    std::optional<std::int64_t> ended;
    if (ends) ended = to_micros(step.at);
    const auto stepped = db.run(
        "UPDATE rounds SET state=?1, pass=pass+?2, deadline=?3+pass_length, result=?4, report=?5,"
        " text=?6, ended_at=?7 WHERE id=?8 AND pass=?9 AND state < 3",
        static_cast<int>(step.state), ends ? 0 : 1, to_micros(step.at), step.result, step.report,
        step.text, ended, step.id, step.pass);
    if (db.failed()) return db.failure();
    if (stepped == 0) return false;
    db.run("DELETE FROM round_parts WHERE round = ?", step.id);
    for (const auto& [device, why] : step.left) {
      db.run("UPDATE round_members SET state=4, text=? WHERE round=? AND device=?", why, step.id,
             device);
    }
    if (ends) return true;
    db.run(
        "UPDATE round_members SET state=4, text='it had not answered in time' WHERE round=?"
        " AND state=1",
        step.id);
    db.run(
        "UPDATE round_members SET state=1, asked_at=NULL, sha256='', parts=0, here=0"
        " WHERE round=? AND state=2",
        step.id);
    return true;
  });
}

}  // namespace lapwing::hub
