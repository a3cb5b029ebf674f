// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_commands.hpp"

#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::string_view kColumns =
    "SELECT t.tenant, d.device, c.id, c.kind, c.arguments, c.status, c.actor, c.created_at,"
    " c.expires_at, c.sent_at, c.ended_at, c.result, d.connection_id FROM commands c"
    " JOIN devices d ON d.tenant_no = c.tenant_no AND d.device_no = c.device_no"
    " JOIN tenants t ON t.tenant_no = c.tenant_no ";

CommandRow command_row(const sql::Row& row) {
  return {.key = {row.text(0), row.text(1)},
          .id = row.count(2),
          .kind = row.text(3),
          .arguments = row.text(4),
          .status = static_cast<CommandStatus>(row.integer(5)),
          .actor = row.text(6),
          .created_at = from_micros(row.integer(7)),
          .expires_at = from_micros(row.integer(8)),
          .sent_at = reads::instant(row, 9),
          .ended_at = reads::instant(row, 10),
          .result = row.text(11)};
}

constexpr std::string_view kDesiredColumns =
    "SELECT t.tenant, d.device, coalesce(w.version, 0), coalesce(w.document, '{}'), w.changed_at,"
    " coalesce(w.actor, ''), d.reported_version, d.reported_problem, d.connection_id FROM devices d"
    " JOIN tenants t ON t.tenant_no = d.tenant_no";

DesiredRow desired_row(const sql::Row& row) {
  return {.key = {row.text(0), row.text(1)},
          .version = row.count(2),
          .document = row.text(3),
          .changed_at = reads::instant(row, 4),
          .actor = row.text(5),
          .reported_version = row.count(6),
          .reported_problem = row.text(7)};
}

Result<DesiredRow> read_desired(sql::Connection& db, const reads::DeviceNumbers& device) {
  DesiredRow found;
  db.rows(
      std::string(kDesiredColumns) +
          " LEFT JOIN desired w ON w.tenant_no = d.tenant_no AND w.device_no = d.device_no"
          " WHERE d.tenant_no = ? AND d.device_no = ?",
      [&](const sql::Row& row) { found = desired_row(row); }, device.tenant_no, device.device_no);
  if (db.failed()) return db.failure();
  return found;
}

Result<CommandRow> read_command(sql::Connection& db, const reads::DeviceNumbers& device,
                                std::uint64_t id) {
  std::optional<CommandRow> found;
  db.rows(
      std::string(kColumns) + "WHERE c.tenant_no = ? AND c.device_no = ? AND c.id = ?",
      [&](const sql::Row& row) { found = command_row(row); }, device.tenant_no, device.device_no,
      id);
  if (db.failed()) return db.failure();
  if (!found) return Error{Errc::not_found, "there is no command " + std::to_string(id)};
  return *std::move(found);
}

}  // namespace

Result<CommandRow> SqlCommands::add(const CommandRow& command) {
  auto added = access_.change([&](sql::Connection& db) -> Result<CommandRow> {
    const auto device = reads::device_numbers(db, command.key);
    if (!device) return device.error();
    std::uint64_t open = 0;
    db.rows(
        "SELECT count(*) FROM commands WHERE tenant_no=? AND device_no=? AND status < 3",
        [&](const sql::Row& row) { open = row.count(0); }, device->tenant_no, device->device_no);
    if (!db.failed() && open >= kOpenMax) {
      return Error{Errc::limit, std::to_string(kOpenMax) + " commands of device " +
                                    command.key.device +
                                    " wait for an answer; wait until some have ended"};
    }
    std::uint64_t id = 0;
    db.rows(
        "UPDATE devices SET commands = commands + 1 WHERE tenant_no=? AND device_no=?"
        " RETURNING commands",
        [&](const sql::Row& row) { id = row.count(0); }, device->tenant_no, device->device_no);
    db.run(
        "INSERT INTO commands(tenant_no, device_no, id, kind, arguments, status, actor,"
        " created_at, expires_at) VALUES(?,?,?,?,?,1,?,?,?)",
        device->tenant_no, device->device_no, id, command.kind, command.arguments, command.actor,
        to_micros(command.created_at), to_micros(command.expires_at));
    db.run(
        "DELETE FROM commands WHERE tenant_no=?1 AND device_no=?2 AND status >= 3 AND id <="
        " (SELECT id FROM commands WHERE tenant_no=?1 AND device_no=?2 AND status >= 3"
        " ORDER BY id DESC LIMIT 1 OFFSET ?3)",
        device->tenant_no, device->device_no, kEndedMax);
    notify(db);
    if (db.failed()) return db.failure();
    return read_command(db, *device, id);
  });
  if (added) wakes_.wake();
  return added;
}

Result<Page<CommandRow>> SqlCommands::list(const DeviceKey& key, const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<CommandRow>> {
    const auto device = reads::device_numbers(db, key);
    if (!device) return device.error();
    const auto before = reads::number_cursor(page, reads::kLast);
    if (!before) return before.error();
    Page<CommandRow> out;
    const auto rows = reads::page_rows(page);
    db.rows(
        std::string(kColumns) +
            "WHERE c.tenant_no = ? AND c.device_no = ? AND c.id < ? ORDER BY c.id DESC LIMIT ?",
        [&](const sql::Row& row) { out.items.push_back(command_row(row)); }, device->tenant_no,
        device->device_no, *before, rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows,
                      [](const CommandRow& c) { return make_cursor({std::to_string(c.id)}); });
    return out;
  });
}

Result<CommandRow> SqlCommands::get(const DeviceKey& key, std::uint64_t id) {
  return access_.read([&](sql::Connection& db) -> Result<CommandRow> {
    const auto device = reads::device_numbers(db, key);
    if (!device) return device.error();
    return read_command(db, *device, id);
  });
}

Result<std::vector<DueCommand>> SqlCommands::due(std::string_view replica, Time at,
                                                 std::size_t limit) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<DueCommand>> {
    std::vector<DueCommand> due;
    db.rows(
        std::string(kColumns) +
            "WHERE c.status < 3 AND c.expires_at > ? AND d.online = 1 AND d.replica = ?"
            " AND (c.sent_connection <> d.connection_id OR c.sent_at <= ?)"
            " ORDER BY c.created_at, c.id LIMIT ?",
        [&](const sql::Row& row) {
          due.push_back({command_row(row), row.text(12)});
        },
        to_micros(at), replica, to_micros(at - kResendAfter), limit);
    if (db.failed()) return db.failure();
    return due;
  });
}

Result<void> SqlCommands::mark_sent(std::span<const DueCommand> sent, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    for (const auto& one : sent) {
      db.run(
          "UPDATE commands SET status=2, sent_at=?, sent_connection=? WHERE status < 3 AND id=?"
          " AND (tenant_no, device_no) = (SELECT d.tenant_no, d.device_no FROM devices d"
          " JOIN tenants t ON t.tenant_no = d.tenant_no WHERE t.tenant=? AND d.device=?)",
          to_micros(at), one.connection_id, one.command.id, one.command.key.tenant,
          one.command.key.device);
    }
    return {};
  });
}

Result<bool> SqlCommands::finish(const DeviceKey& key, std::uint64_t id, CommandStatus status,
                                 std::string_view result, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<bool> {
    const auto device = reads::device_numbers(db, key);
    if (!device) return device.error();
    return db.run(
               "UPDATE commands SET status=?, result=?, ended_at=? WHERE tenant_no=?"
               " AND device_no=? AND id=? AND status < 3",
               static_cast<int>(status), result, to_micros(at), device->tenant_no,
               device->device_no, id) > 0;
  });
}

Result<std::uint64_t> SqlCommands::expire(Time at) {
  return access_.change([&](sql::Connection& db) -> Result<std::uint64_t> {
    return static_cast<std::uint64_t>(
        db.run("UPDATE commands SET status=5, ended_at=?1 WHERE status < 3 AND expires_at <= ?1",
               to_micros(at)));
  });
}

Result<DesiredRow> SqlCommands::desire(const DeviceKey& key, std::string_view document,
                                       std::optional<std::uint64_t> expected,
                                       std::string_view actor, Time at) {
  auto changed = access_.change([&](sql::Connection& db) -> Result<DesiredRow> {
    const auto device = reads::device_numbers(db, key);
    if (!device) return device.error();
    const auto known = read_desired(db, *device);
    if (!known) return known;
    if (expected && *expected != known->version) {
      return Error{Errc::exists, "the settings are at version " + std::to_string(known->version) +
                                     " by now; read them again"};
    }
    db.run(
        "INSERT INTO desired(tenant_no, device_no, version, document, changed_at, actor)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(tenant_no, device_no) DO UPDATE"
        " SET version=?3, document=?4, changed_at=?5, actor=?6",
        device->tenant_no, device->device_no, known->version + 1, document, to_micros(at), actor);
    notify(db);
    if (db.failed()) return db.failure();
    return read_desired(db, *device);
  });
  if (changed) wakes_.wake();
  return changed;
}

Result<DesiredRow> SqlCommands::desired(const DeviceKey& key) {
  return access_.read([&](sql::Connection& db) -> Result<DesiredRow> {
    const auto device = reads::device_numbers(db, key);
    if (!device) return device.error();
    return read_desired(db, *device);
  });
}

Result<std::vector<std::pair<DesiredRow, std::string>>> SqlCommands::desired_due(
    std::string_view replica, std::size_t limit) {
  using Due = std::vector<std::pair<DesiredRow, std::string>>;
  return access_.read([&](sql::Connection& db) -> Result<Due> {
    Due due;
    db.rows(
        std::string(kDesiredColumns) +
            " JOIN desired w ON w.tenant_no = d.tenant_no AND w.device_no = d.device_no"
            " WHERE d.online = 1 AND d.replica = ? AND d.reported_version <> w.version LIMIT ?",
        [&](const sql::Row& row) { due.emplace_back(desired_row(row), row.text(8)); }, replica,
        limit);
    if (db.failed()) return db.failure();
    return due;
  });
}

namespace {

class LocalWatch final : public CommandWatch {
 public:
  LocalWatch(Wakes& wakes, std::uint64_t id, std::unique_ptr<CommandWatch> others)
      : wakes_(wakes), id_(id), others_(std::move(others)) {}
  ~LocalWatch() override {
    others_.reset();
    wakes_.remove(id_);
  }

 private:
  Wakes& wakes_;
  std::uint64_t id_;
  std::unique_ptr<CommandWatch> others_;
};

}  // namespace

Result<std::unique_ptr<CommandWatch>> SqlCommands::watch(std::function<void()> wake) {
  std::unique_ptr<CommandWatch> others;
  if (listen_) {
    auto listening = listen_(wake);
    if (!listening) return listening.error();
    others = *std::move(listening);
  }
  const auto id = wakes_.add(std::move(wake));
  return std::unique_ptr<CommandWatch>(std::make_unique<LocalWatch>(wakes_, id, std::move(others)));
}

}  // namespace lapwing::hub
