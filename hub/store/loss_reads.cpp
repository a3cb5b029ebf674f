// SPDX-License-Identifier: Apache-2.0
/// Losses as lists and gaps show them.
#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <string>

namespace lapwing::hub::reads {
namespace {

constexpr const char* kLossColumns =
    "SELECT epoch, seq_first, seq_last, reason, records, from_us, to_us, received_at FROM losses"
    " WHERE tenant_no=? AND device_no=? AND records > 0";

LossRow loss_row(const sql::Row& row) {
  return {
      row.count(0), row.count(1),    row.count(2),    static_cast<wire::LossReason>(row.integer(3)),
      row.count(4), instant(row, 5), instant(row, 6), from_micros(row.integer(7))};
}

}  // namespace

Result<Page<LossRow>> losses(sql::Connection& db, const DeviceKey& key, const PageRequest& page) {
  auto before_epoch = kLast;
  auto before_seq = kLast;
  if (!page.cursor.empty()) {
    const auto parts = read_cursor(page.cursor, 2);
    if (!parts) return parts.error();
    const auto epoch = cursor_number((*parts)[0]);
    const auto seq = cursor_number((*parts)[1]);
    if (!epoch) return epoch.error();
    if (!seq) return seq.error();
    before_epoch = *epoch;
    before_seq = *seq;
  }
  const auto numbers = device_numbers(db, key);
  if (!numbers) return numbers.error();
  Page<LossRow> out;
  const auto rows = page_rows(page);
  db.rows(
      std::string(kLossColumns) +
          " AND (epoch, seq_first) < (?, ?) ORDER BY epoch DESC, seq_first DESC LIMIT ?",
      [&](const sql::Row& row) { out.items.push_back(loss_row(row)); }, numbers->tenant_no,
      numbers->device_no, before_epoch, before_seq, rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows, [](const LossRow& loss) {
    return make_cursor({std::to_string(loss.epoch), std::to_string(loss.seq_first)});
  });
  return out;
}

std::vector<LossRow> losses_between(sql::Connection& db, const DeviceNumbers& device,
                                    std::int64_t from, std::int64_t to) {
  std::vector<LossRow> found;
  // One device's, and those are bounded: no index of its own.
  db.rows(
      std::string(kLossColumns) +
          " AND (open = 1 OR to_us > ?) AND (from_us IS NULL OR from_us < ?)"
          " ORDER BY from_us NULLS FIRST, epoch, seq_first",
      [&](const sql::Row& row) { found.push_back(loss_row(row)); }, device.tenant_no,
      device.device_no, from, to);
  return found;
}

}  // namespace lapwing::hub::reads
