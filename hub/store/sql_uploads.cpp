// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_uploads.hpp"

#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

/// Uploads one trim removes at most: each may be long.
constexpr std::int64_t kTrimUploads = 4;

constexpr std::string_view kUploadColumns =
    "SELECT t.tenant, u.id, u.name, u.bytes, u.sha256, u.actor, u.created_at, u.completed_at"
    " FROM uploads u JOIN tenants t ON t.tenant_no = u.tenant_no ";

UploadRow upload_row(const sql::Row& row) {
  return {.tenant = row.text(0),
          .id = row.count(1),
          .name = row.text(2),
          .bytes = row.count(3),
          .sha256 = row.text(4),
          .actor = row.text(5),
          .created_at = from_micros(row.integer(6)),
          .completed_at = reads::instant(row, 7)};
}

Result<UploadRow> read_upload(sql::Connection& db, std::string_view tenant, std::uint64_t id) {
  std::optional<UploadRow> found;
  db.rows(
      std::string(kUploadColumns) + "WHERE u.id = ? AND t.tenant = ?",
      [&](const sql::Row& row) { found = upload_row(row); }, id, tenant);
  if (db.failed()) return db.failure();
  if (!found) return Error{Errc::not_found, "there is no upload " + std::to_string(id)};
  return *std::move(found);
}

Result<void> remove(sql::Connection& db, std::uint64_t id) {
  db.run("DELETE FROM upload_pieces WHERE upload=?", id);
  db.run("DELETE FROM uploads WHERE id=?", id);
  return {};
}

}  // namespace

Result<UploadRow> SqlUploads::add(const UploadRow& upload) {
  return access_.change([&](sql::Connection& db) -> Result<UploadRow> {
    const auto tenant_no = make_tenant(db, upload.tenant);
    std::uint64_t count = 0;
    std::uint64_t id = 0;
    db.rows(
        "SELECT count(*) FROM uploads WHERE tenant_no=?",
        [&](const sql::Row& row) { count = row.count(0); }, tenant_no);
    if (!db.failed() && count >= kUploadsMax) {
      return Error{Errc::limit,
                   "there are " + std::to_string(kUploadsMax) + " uploads; remove some"};
    }
    db.run("INSERT INTO meta(key, value) VALUES('upload', 0) ON CONFLICT(key) DO NOTHING");
    db.rows("UPDATE meta SET value = value + 1 WHERE key = 'upload' RETURNING value",
            [&](const sql::Row& row) { id = row.count(0); });
    db.run("INSERT INTO uploads(id, tenant_no, name, actor, created_at) VALUES(?,?,?,?,?)", id,
           tenant_no, upload.name, upload.actor, to_micros(upload.created_at));
    if (db.failed()) return db.failure();
    return read_upload(db, upload.tenant, id);
  });
}

Result<UploadRow> SqlUploads::get(std::string_view tenant, std::uint64_t id) {
  return access_.read([&](sql::Connection& db) { return read_upload(db, tenant, id); });
}

Result<Page<UploadRow>> SqlUploads::list(std::string_view tenant, const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<UploadRow>> {
    const auto before = reads::number_cursor(page, reads::kLast);
    if (!before) return before.error();
    Page<UploadRow> out;
    const auto rows = reads::page_rows(page);
    db.rows(
        std::string(kUploadColumns) + "WHERE t.tenant = ? AND u.id < ? ORDER BY u.id DESC LIMIT ?",
        [&](const sql::Row& row) { out.items.push_back(upload_row(row)); }, tenant, *before,
        rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows,
                      [](const UploadRow& u) { return make_cursor({std::to_string(u.id)}); });
    return out;
  });
}

Result<UploadRow> SqlUploads::append(std::string_view tenant, std::uint64_t id,
                                     std::uint64_t offset, std::string_view bytes) {
  if (bytes.empty() || bytes.size() > kPieceBytesMax) {
    return Error{Errc::limit, "a piece has 1 to " + std::to_string(kPieceBytesMax) + " bytes"};
  }
  return access_.change([&](sql::Connection& db) -> Result<UploadRow> {
    auto upload = read_upload(db, tenant, id);
    if (!upload) return upload;
    if (offset < upload->bytes && offset + bytes.size() <= upload->bytes) return upload;
    if (upload->completed_at) {
      return Error{Errc::denied, "upload " + std::to_string(id) + " is complete"};
    }
    if (offset != upload->bytes) {
      return Error{Errc::exists, "upload " + std::to_string(id) + " has " +
                                     std::to_string(upload->bytes) + " bytes: go on there"};
    }
    std::uint64_t all = 0;
    db.rows(
        "SELECT coalesce(sum(bytes), 0) FROM uploads WHERE tenant_no ="
        " (SELECT tenant_no FROM tenants WHERE tenant = ?)",
        [&](const sql::Row& row) { all = row.count(0); }, tenant);
    if (upload->bytes + bytes.size() > kBytesMax || all + bytes.size() > kTenantBytesMax) {
      return Error{Errc::limit, "an upload has at most " + std::to_string(kBytesMax) +
                                    " bytes, those of a tenant together " +
                                    std::to_string(kTenantBytesMax)};
    }
    db.run("INSERT INTO upload_pieces(upload, begin_at, bytes) VALUES(?,?,?)", id, offset,
           sql::Blob{bytes});
    db.run("UPDATE uploads SET bytes = bytes + ? WHERE id = ?", bytes.size(), id);
    upload->bytes += bytes.size();
    return upload;
  });
}

Result<UploadRow> SqlUploads::complete(std::string_view tenant, std::uint64_t id,
                                       std::string_view sha256, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<UploadRow> {
    const auto upload = read_upload(db, tenant, id);
    if (!upload) return upload;
    if (upload->completed_at && upload->sha256 != sha256) {
      return Error{Errc::denied, "upload " + std::to_string(id) +
                                     " is complete, with the SHA-256 " + upload->sha256};
    }
    db.run("UPDATE uploads SET sha256=?, completed_at=coalesce(completed_at, ?) WHERE id=?", sha256,
           to_micros(at), id);
    if (db.failed()) return db.failure();
    return read_upload(db, tenant, id);
  });
}

Result<std::string> SqlUploads::piece(std::string_view tenant, std::uint64_t id,
                                      std::uint64_t offset) {
  return access_.read([&](sql::Connection& db) -> Result<std::string> {
    const auto upload = read_upload(db, tenant, id);
    if (!upload) return upload.error();
    if (offset == upload->bytes) return std::string();
    std::optional<std::string> bytes;
    if (offset < upload->bytes) {
      db.rows(
          "SELECT bytes FROM upload_pieces WHERE upload=? AND begin_at=?",
          [&](const sql::Row& row) { bytes = row.text(0); }, id, offset);
    }
    if (db.failed()) return db.failure();
    if (!bytes) return Error{Errc::not_found, "no piece begins at " + std::to_string(offset)};
    return *std::move(bytes);
  });
}

Result<void> SqlUploads::drop(std::string_view tenant, std::uint64_t id) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    if (const auto upload = read_upload(db, tenant, id); !upload) return upload.error();
    return remove(db, id);
  });
}

Result<std::uint64_t> SqlUploads::trim(Time begun_before) {
  return access_.change([&](sql::Connection& db) -> Result<std::uint64_t> {
    std::vector<std::uint64_t> old;
    db.rows(
        "SELECT id FROM uploads WHERE completed_at IS NULL AND created_at < ? ORDER BY id LIMIT ?",
        [&](const sql::Row& row) { old.push_back(row.count(0)); }, to_micros(begun_before),
        kTrimUploads);
    for (const auto id : old) {
      if (auto done = remove(db, id); !done) return done.error();
    }
    return old.size();
  });
}

}  // namespace lapwing::hub
