// SPDX-License-Identifier: Apache-2.0
/// Tokens, the audit log, and what could not be read.
#include "hub/store/lists_text.hpp"
#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <utility>

namespace lapwing::hub::reads {

Result<Page<DeadLetterRow>> dead_letters(sql::Connection& db, std::string_view tenant,
                                         const PageRequest& page) {
  const auto before = number_cursor(page, kLast);
  if (!before) return before.error();
  Page<DeadLetterRow> out;
  const auto rows = page_rows(page);
  db.rows(
      "SELECT number, device, epoch, seq, reason, bytes, received_at FROM dead_letters"
      " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND number < ?"
      " ORDER BY number DESC LIMIT ?",
      [&](const sql::Row& row) {
        out.items.push_back({row.count(0), row.text(1), row.count(2), row.count(3), row.text(4),
                             row.text(5), from_micros(row.integer(6))});
      },
      tenant, *before, rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows,
             [](const DeadLetterRow& d) { return make_cursor({std::to_string(d.number)}); });
  return out;
}

namespace {

TokenRow token_row(const sql::Row& row) {
  return {row.text(0),
          row.text(1),
          row.text(2),
          row.text(3),
          words_from(row.view(4)),
          from_micros(row.integer(5)),
          instant(row, 6),
          instant(row, 7)};
}

}  // namespace

Result<TokenRow> token_by_hash(sql::Connection& db, std::string_view hash) {
  std::optional<TokenRow> found;
  db.rows(
      "SELECT n.tenant, t.id, t.name, t.hash, t.scopes, t.created_at, t.expires_at, t.revoked_at"
      " FROM tokens t JOIN tenants n ON n.tenant_no = t.tenant_no WHERE t.hash = ?",
      [&](const sql::Row& row) { found = token_row(row); }, hash);
  if (db.failed()) return db.failure();
  if (!found) return Error{Errc::not_found, "there is no such token"};
  return *std::move(found);
}

Result<Page<TokenRow>> tokens(sql::Connection& db, std::string_view tenant,
                              const PageRequest& page) {
  auto created = std::numeric_limits<std::int64_t>::min();
  std::string id;
  if (!page.cursor.empty()) {
    auto parts = read_cursor(page.cursor, 2);
    if (!parts) return parts.error();
    const auto number = cursor_number((*parts)[0]);
    if (!number) return number.error();
    created = *number;
    id = std::move((*parts)[1]);
  }
  Page<TokenRow> out;
  const auto rows = page_rows(page);
  db.rows(
      "SELECT n.tenant, t.id, t.name, t.hash, t.scopes, t.created_at, t.expires_at, t.revoked_at"
      " FROM tokens t JOIN tenants n ON n.tenant_no = t.tenant_no"
      " WHERE n.tenant = ? AND (t.created_at, t.id) > (?, ?) ORDER BY t.created_at, t.id LIMIT ?",
      [&](const sql::Row& row) { out.items.push_back(token_row(row)); }, tenant, created, id,
      rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows, [](const TokenRow& t) {
    return make_cursor({std::to_string(to_micros(t.created_at)), t.id});
  });
  return out;
}

Result<Page<AuditRow>> audit(sql::Connection& db, std::string_view tenant,
                             const PageRequest& page) {
  const auto before = number_cursor(page, kLast);
  if (!before) return before.error();
  Page<AuditRow> out;
  const auto rows = page_rows(page);
  db.rows(
      "SELECT number, at, actor, action, subject, detail FROM audit"
      " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND number < ?"
      " ORDER BY number DESC LIMIT ?",
      [&](const sql::Row& row) {
        out.items.push_back({row.count(0), std::string(tenant), from_micros(row.integer(1)),
                             row.text(2), row.text(3), row.text(4), row.text(5)});
      },
      tenant, *before, rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows, [](const AuditRow& a) { return make_cursor({std::to_string(a.number)}); });
  return out;
}

}  // namespace lapwing::hub::reads
