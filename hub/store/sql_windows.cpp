// SPDX-License-Identifier: Apache-2.0
/// The part of the ingest transaction that tells when losses fell: between the records around them.
#include "hub/store/sql_ingest.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace lapwing::hub {
namespace {

/// Begin of a window that is not known: any record after the loss ends it.
constexpr std::int64_t kUnknownBegin = std::numeric_limits<std::int64_t>::min();

/// When a record says it was, in microseconds; nullopt: it does not say.
std::optional<std::int64_t> own_time(const wire::RecordBody& body) {
  if (const auto* summary = std::get_if<wire::SummaryRecord>(&body)) return to_micros(summary->end);
  const auto* anomaly = std::get_if<wire::AnomalyRecord>(&body);
  if (anomaly == nullptr) return std::nullopt;
  if (anomaly->end) return to_micros(*anomaly->end);
  return to_micros(anomaly->phase == wire::Phase::opened ? anomaly->onset : anomaly->peak_time);
}

}  // namespace

/// Whether the numbers go on where the epoch's unbroken order ended; then the order goes on to
/// `seq_last`. False for live copies that came ahead and for what was seen before.
bool SqlIngest::follows(Storing& s, std::uint64_t seq, std::uint64_t seq_last) {
  auto& device = s.device;
  if (s.epoch != device.session.sync.epoch) return false;
  if (seq > device.frontier + 1 || seq_last <= device.frontier) return false;
  device.frontier = seq_last;
  return true;
}

/// A record tells how late it is at the device, whether its key is new or came as a live copy.
/// Summaries are written at their end: each sets the time, so that a clock that was wrong does not
/// last. Onsets and peaks may be long past when they are told: anomalies only move it on.
void SqlIngest::note_time(Storing& s, const IncomingRecord& record) {
  if (!follows(s, record.seq, record.seq_last)) return;
  const auto time = own_time(*record.body);
  if (!time) return;
  auto& device = s.device;
  if (device.open_loss_us && *time >= *device.open_loss_us) close_windows(s, record.seq, *time);
  const bool sets = record.record_class == wire::RecordClass::summary || !device.newest_us;
  device.newest_us = sets ? *time : std::max(*device.newest_us, *time);
}

/// The order has reached these losses: their window begins with the newest record before.
void SqlIngest::open_windows(Storing& s, std::uint64_t first, std::uint64_t last) {
  auto& device = s.device;
  const auto opened = db_.run(
      "UPDATE losses SET from_us=?, open=1 WHERE tenant_no=? AND device_no=? AND epoch=?"
      " AND seq_first BETWEEN ? AND ? AND records > 0 AND open=0 AND to_us IS NULL",
      device.newest_us, device.numbers.tenant_no, device.numbers.device_no, s.epoch, first, last);
  if (opened == 0) return;
  const auto from = device.newest_us.value_or(kUnknownBegin);
  device.open_loss_us = std::min(device.open_loss_us.value_or(from), from);
}

/// Ends the windows of losses below `seq` that had begun by then.
void SqlIngest::close_windows(Storing& s, std::uint64_t seq, std::int64_t time_us) {
  auto& device = s.device;
  db_.run(
      "UPDATE losses SET to_us=?1, open=0 WHERE tenant_no=?2 AND device_no=?3 AND open=1"
      " AND (epoch < ?4 OR seq_last < ?5) AND coalesce(from_us, ?1) <= ?1",
      time_us, device.numbers.tenant_no, device.numbers.device_no, s.epoch, seq);
  device.open_loss_us.reset();
  db_.rows(
      "SELECT min(coalesce(from_us, ?)) FROM losses WHERE tenant_no=? AND device_no=? AND open=1",
      [&](const sql::Row& row) {
        if (!row.is_null(0)) device.open_loss_us = row.integer(0);
      },
      kUnknownBegin, device.numbers.tenant_no, device.numbers.device_no);
}

}  // namespace lapwing::hub
