// SPDX-License-Identifier: Apache-2.0
/// The part of the writer that changes rows: one statement for all that a transaction changes in a
/// table, its arguments arrays.
#include "hub/store/lists_text.hpp"
#include "hub/store/postgres_writer.hpp"
#include "shared/postgres/array_argument.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace lapwing::hub {
namespace {

using postgres::ArrayArgument;
using Of = ArrayArgument::Of;

std::int16_t narrow16(int value) { return static_cast<std::int16_t>(value); }
std::int64_t whole(std::uint64_t value) { return static_cast<std::int64_t>(value); }

/// Columns of anomalies that every step sets.
struct AnomalyColumns {
  ArrayArgument phase{Of::smallint}, epoch{Of::bigint}, seq{Of::bigint}, severity{Of::smallint},
      reason{Of::smallint}, stream{Of::text}, watch{Of::text}, detector{Of::text},
      onset{Of::bigint}, peak_time{Of::bigint}, end{Of::bigint}, peak_score{Of::number},
      peak_value{Of::number}, expected{Of::number}, lower{Of::number}, upper{Of::number},
      text{Of::text}, contributions{Of::text}, tags{Of::text}, updated{Of::bigint};

  void add(const AnomalyChange& change) {
    const auto& a = *change.record;
    phase.smallint(narrow16(static_cast<int>(a.phase)));
    epoch.bigint(whole(change.epoch));
    seq.bigint(whole(change.seq));
    severity.smallint(narrow16(static_cast<int>(a.severity)));
    reason.smallint(narrow16(static_cast<int>(a.reason)));
    stream.text(a.stream);
    watch.text(a.watch);
    detector.text(a.detector);
    onset.bigint(to_micros(a.onset));
    peak_time.bigint(to_micros(a.peak_time));
    a.end ? end.bigint(to_micros(*a.end)) : end.null();
    peak_score.number(a.peak_score);
    peak_value.number(a.peak_value);
    expected.number(a.band.expected);
    lower.number(a.band.lower);
    upper.number(a.band.upper);
    text.text(a.text);
    contributions.text(contributions_text(a.contributions));
    tags.text(tags_text(a.tags));
    updated.bigint(change.updated_us);
  }
};

/// While it lives, statements are planned for the rows they bring and the size their table has. A
/// plan made once, when the table was small, reads all of it for each statement from then on; the
/// others ask for one row by its key and keep theirs.
class PlannedAnew {
 public:
  explicit PlannedAnew(sql::Connection& db) : db_(db) {
    db_.post("SET LOCAL plan_cache_mode = force_custom_plan");
  }
  ~PlannedAnew() { db_.post("SET LOCAL plan_cache_mode TO DEFAULT"); }
  PlannedAnew(const PlannedAnew&) = delete;
  PlannedAnew& operator=(const PlannedAnew&) = delete;

 private:
  sql::Connection& db_;
};

}  // namespace

void PostgresWriter::find_anomalies(std::span<const AnomalyKey> keys,
                                    std::vector<std::optional<KnownAnomaly>>& found) {
  const auto first = found.size();
  found.resize(first + keys.size());
  if (keys.empty()) return;
  ArrayArgument tenant(Of::bigint);
  ArrayArgument device(Of::bigint);
  ArrayArgument id(Of::bigint);
  for (const auto& key : keys) {
    tenant.bigint(key.device.tenant_no);
    device.bigint(key.device.device_no);
    id.bigint(whole(key.id));
  }
  const PlannedAnew planned(db());
  db().rows(
      "SELECT u.n, a.anomaly_no, a.phase, a.epoch, a.seq"
      " FROM unnest(?::bigint[], ?::bigint[], ?::bigint[]) WITH ORDINALITY AS"
      " u(tenant_no, device_no, id, n) JOIN anomalies a ON a.tenant_no = u.tenant_no"
      " AND a.device_no = u.device_no AND a.id = u.id",
      [&](const sql::Row& row) {
        found[first + row.count(0) - 1] = KnownAnomaly{
            row.integer(1), static_cast<int>(row.integer(2)), row.count(3), row.count(4)};
      },
      tenant.value(), device.value(), id.value());
}

void PostgresWriter::write_anomalies(std::span<AnomalyChange> changes) {
  // Those that are there already first.
  const auto made = std::stable_partition(changes.begin(), changes.end(),
                                          [](const auto& c) { return c.anomaly_no != 0; });
  update_anomalies({changes.begin(), made});
  insert_anomalies({made, changes.end()});
}

void PostgresWriter::update_anomalies(std::span<const AnomalyChange> changes) {
  if (changes.empty()) return;
  ArrayArgument number(Of::bigint);
  AnomalyColumns c;
  for (const auto& change : changes) {
    number.bigint(change.anomaly_no);
    c.add(change);
  }
  const PlannedAnew planned(db());
  db().post(
      "UPDATE anomalies a SET phase=u.phase, epoch=u.epoch, seq=u.seq, severity=u.severity,"
      " reason=u.reason, stream=u.stream, watch=u.watch, detector=u.detector, onset=u.onset,"
      " peak_time=u.peak_time, end_us=u.end_us, peak_score=u.peak_score, peak_value=u.peak_value,"
      " expected=u.expected, lower=u.lower, upper=u.upper, text=u.text,"
      " contributions=u.contributions, tags=u.tags, updated_at=u.updated_at, peer_no=0"
      " FROM unnest(?::bigint[], ?::smallint[], ?::bigint[], ?::bigint[], ?::smallint[],"
      " ?::smallint[], ?::text[], ?::text[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[],"
      " ?::float8[], ?::float8[], ?::float8[], ?::float8[], ?::float8[], ?::text[], ?::text[],"
      " ?::text[], ?::bigint[]) AS u(anomaly_no, phase, epoch, seq, severity, reason, stream,"
      " watch, detector, onset, peak_time, end_us, peak_score, peak_value, expected, lower, upper,"
      " text, contributions, tags, updated_at) WHERE a.anomaly_no = u.anomaly_no",
      number.value(), c.phase.value(), c.epoch.value(), c.seq.value(), c.severity.value(),
      c.reason.value(), c.stream.value(), c.watch.value(), c.detector.value(), c.onset.value(),
      c.peak_time.value(), c.end.value(), c.peak_score.value(), c.peak_value.value(),
      c.expected.value(), c.lower.value(), c.upper.value(), c.text.value(), c.contributions.value(),
      c.tags.value(), c.updated.value());
}

void PostgresWriter::insert_anomalies(std::span<AnomalyChange> changes) {
  if (changes.empty()) return;
  ArrayArgument tenant(Of::bigint);
  ArrayArgument device(Of::bigint);
  ArrayArgument id(Of::bigint);
  ArrayArgument received(Of::bigint);
  AnomalyColumns c;
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
  std::map<Key, std::int64_t*> numbers;
  for (auto& change : changes) {
    tenant.bigint(change.device.tenant_no);
    device.bigint(change.device.device_no);
    id.bigint(whole(change.record->id));
    received.bigint(change.received_us);
    c.add(change);
    numbers[{change.device.tenant_no, change.device.device_no, whole(change.record->id)}] =
        &change.anomaly_no;
  }
  db().rows(
      "INSERT INTO anomalies(tenant_no, device_no, id, phase, epoch, seq, severity, reason,"
      " stream, watch, detector, onset, peak_time, end_us, peak_score, peak_value, expected,"
      " lower, upper, text, contributions, tags, received_at, updated_at)"
      " SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::smallint[], ?::bigint[],"
      " ?::bigint[], ?::smallint[], ?::smallint[], ?::text[], ?::text[], ?::text[], ?::bigint[],"
      " ?::bigint[], ?::bigint[], ?::float8[], ?::float8[], ?::float8[], ?::float8[],"
      " ?::float8[], ?::text[], ?::text[], ?::text[], ?::bigint[], ?::bigint[])"
      " RETURNING anomaly_no, tenant_no, device_no, id",
      [&](const sql::Row& row) {
        *numbers.at({row.integer(1), row.integer(2), row.integer(3)}) = row.integer(0);
      },
      tenant.value(), device.value(), id.value(), c.phase.value(), c.epoch.value(), c.seq.value(),
      c.severity.value(), c.reason.value(), c.stream.value(), c.watch.value(), c.detector.value(),
      c.onset.value(), c.peak_time.value(), c.end.value(), c.peak_score.value(),
      c.peak_value.value(), c.expected.value(), c.lower.value(), c.upper.value(), c.text.value(),
      c.contributions.value(), c.tags.value(), received.value(), c.updated.value());
}

void PostgresWriter::write_streams(std::span<const StreamChange> changes) {
  ArrayArgument tenant(Of::bigint);
  ArrayArgument device(Of::bigint);
  ArrayArgument stream(Of::bigint);
  ArrayArgument time(Of::bigint);
  ArrayArgument value(Of::number);
  ArrayArgument expected(Of::number);
  ArrayArgument lower(Of::number);
  ArrayArgument upper(Of::number);
  ArrayArgument score(Of::number);
  ArrayArgument newest(Of::boolean);
  ArrayArgument open_tenant(Of::bigint);
  ArrayArgument open_device(Of::bigint);
  ArrayArgument open_stream(Of::bigint);
  ArrayArgument open_change(Of::bigint);
  for (const auto& c : changes) {
    if (c.seen) {
      tenant.bigint(c.device.tenant_no);
      device.bigint(c.device.device_no);
      stream.bigint(c.stream_no);
      time.bigint(c.last_time);
      value.number(c.last_value);
      expected.number(c.band.expected);
      lower.number(c.band.lower);
      upper.number(c.band.upper);
      score.number(c.last_score);
      newest.boolean(c.newest);
    }
    if (c.open_change != 0) {
      open_tenant.bigint(c.device.tenant_no);
      open_device.bigint(c.device.device_no);
      open_stream.bigint(c.stream_no);
      open_change.bigint(c.open_change);
    }
  }
  const PlannedAnew planned(db());
  if (tenant.size() > 0) {
    db().post(
        "UPDATE streams s SET last_time=u.time, last_value=u.value, expected=u.expected,"
        " lower=u.lower, upper=u.upper, last_score=u.score FROM unnest(?::bigint[], ?::bigint[],"
        " ?::bigint[], ?::bigint[], ?::float8[], ?::float8[], ?::float8[], ?::float8[],"
        " ?::float8[], ?::boolean[]) AS u(tenant_no, device_no, stream_no, time, value, expected,"
        " lower, upper, score, newest) WHERE s.tenant_no = u.tenant_no"
        " AND s.device_no = u.device_no AND s.stream_no = u.stream_no"
        " AND (u.newest OR coalesce(s.last_time, u.time) <= u.time)",
        tenant.value(), device.value(), stream.value(), time.value(), value.value(),
        expected.value(), lower.value(), upper.value(), score.value(), newest.value());
  }
  if (open_tenant.size() > 0) {
    db().post(
        "UPDATE streams s SET anomalies_open = s.anomalies_open + u.change"
        " FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])"
        " AS u(tenant_no, device_no, stream_no, change) WHERE s.tenant_no = u.tenant_no"
        " AND s.device_no = u.device_no AND s.stream_no = u.stream_no",
        open_tenant.value(), open_device.value(), open_stream.value(), open_change.value());
  }
}

/// Numbers and rows in one statement, sent together with COMMIT: the lock on the counter is held
/// for one journey.
void PostgresWriter::write_feed(std::span<const FeedStep> steps) {
  if (steps.empty()) return;
  ArrayArgument tenant(Of::bigint);
  ArrayArgument anomaly(Of::bigint);
  ArrayArgument phase(Of::smallint);
  for (const auto& step : steps) {
    tenant.bigint(step.tenant_no);
    anomaly.bigint(step.anomaly_no);
    phase.smallint(narrow16(step.phase));
  }
  db().post("NOTIFY lapwing_feed");
  db().later(
      "WITH taken AS (UPDATE meta SET value = value + ?1::bigint WHERE key = 'feed_seq'"
      " RETURNING value), added AS (INSERT INTO feed(tenant_no, seq, anomaly_no, phase)"
      " SELECT u.tenant_no, taken.value - ?1::bigint + u.n, u.anomaly_no, u.phase FROM taken,"
      " unnest(?2::bigint[], ?3::bigint[], ?4::smallint[]) WITH ORDINALITY AS"
      " u(tenant_no, anomaly_no, phase, n)) SELECT value FROM taken",
      [this](const sql::Row& row) { feed_newest_ = row.count(0); }, std::ssize(steps),
      tenant.value(), anomaly.value(), phase.value());
}

}  // namespace lapwing::hub
