// SPDX-License-Identifier: Apache-2.0
/// The SQLite store's tables. A migration that was released is never changed: add the next one.
///
/// Tenants, devices and streams get small numbers, so that the hot tables' keys stay short; the
/// tenant stays part of every key. Times are microseconds since 1970.
#pragma once

#include <array>
#include <string_view>

namespace lapwing::hub {

inline constexpr std::string_view kSqliteSchema1 = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE tenants(tenant_no INTEGER PRIMARY KEY, tenant TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE devices(
  tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL, device TEXT NOT NULL,
  enrolled_at INTEGER NOT NULL, certificate_serial TEXT NOT NULL, certificate_expires INTEGER,
  revoked_at INTEGER,
  online INTEGER NOT NULL DEFAULT 0, connection_id TEXT NOT NULL DEFAULT '', last_seen INTEGER,
  agent_version TEXT NOT NULL DEFAULT '', readings_total INTEGER NOT NULL DEFAULT 0,
  outbox_records INTEGER NOT NULL DEFAULT 0, outbox_bytes INTEGER NOT NULL DEFAULT 0,
  quarantined_total INTEGER NOT NULL DEFAULT 0,
  quarantined INTEGER NOT NULL DEFAULT 0, sync TEXT NOT NULL DEFAULT '',
  epoch INTEGER NOT NULL DEFAULT 0, watermark INTEGER NOT NULL DEFAULT 0,
  -- The ledger: over all epochs, then of the current epoch (from epoch_base on).
  stored INTEGER NOT NULL DEFAULT 0, lost_quota INTEGER NOT NULL DEFAULT 0,
  lost_corrupt INTEGER NOT NULL DEFAULT 0, lost_vanished INTEGER NOT NULL DEFAULT 0,
  lost_poison INTEGER NOT NULL DEFAULT 0,
  epoch_base INTEGER NOT NULL DEFAULT 0, epoch_produced INTEGER NOT NULL DEFAULT 0,
  epoch_accounted INTEGER NOT NULL DEFAULT 0,
  streams INTEGER NOT NULL DEFAULT 0, anomalies_open INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(tenant_no, device_no)) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX devices_by_name ON devices(tenant_no, device);
CREATE INDEX devices_online ON devices(tenant_no, device_no, last_seen) WHERE online = 1;

-- What arrived: the proof of exactly-once. class 0 is a poison record (accounted as lost).
CREATE TABLE ledger(
  tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL, epoch INTEGER NOT NULL,
  seq INTEGER NOT NULL, class INTEGER NOT NULL, hash INTEGER NOT NULL,
  PRIMARY KEY(tenant_no, device_no, epoch, seq)) WITHOUT ROWID, STRICT;
-- Disjoint ranges; records counts the keys of the range that are not in the ledger.
CREATE TABLE losses(
  tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL, epoch INTEGER NOT NULL,
  seq_first INTEGER NOT NULL, seq_last INTEGER NOT NULL, reason INTEGER NOT NULL,
  records INTEGER NOT NULL, received_at INTEGER NOT NULL,
  PRIMARY KEY(tenant_no, device_no, epoch, seq_first)) WITHOUT ROWID, STRICT;

CREATE TABLE streams(
  tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL, stream_no INTEGER NOT NULL,
  stream TEXT NOT NULL, watch TEXT NOT NULL, tags TEXT NOT NULL DEFAULT '',
  last_time INTEGER, last_value REAL, expected REAL, lower REAL, upper REAL,
  last_score REAL, anomalies_open INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(tenant_no, device_no, stream_no)) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX streams_by_name ON streams(tenant_no, device_no, stream, watch);

-- Keyed by minute before stream: all streams' points of one interval are neighbours, so that taking
-- them in appends to few pages however many streams there are.
CREATE TABLE history(
  tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL, minute INTEGER NOT NULL,
  stream_no INTEGER NOT NULL, begin_us INTEGER NOT NULL, end_us INTEGER NOT NULL,
  readings INTEGER NOT NULL, value_min REAL, value_mean REAL, value_max REAL,
  score_mean REAL, score_max REAL, expected REAL, lower REAL, upper REAL,
  PRIMARY KEY(tenant_no, device_no, minute, stream_no, begin_us)) WITHOUT ROWID, STRICT;

CREATE TABLE anomalies(
  anomaly_no INTEGER PRIMARY KEY AUTOINCREMENT, tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL,
  id INTEGER NOT NULL, phase INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  severity INTEGER NOT NULL, reason INTEGER NOT NULL, stream TEXT NOT NULL, watch TEXT NOT NULL,
  detector TEXT NOT NULL, onset INTEGER NOT NULL, peak_time INTEGER NOT NULL, end_us INTEGER,
  peak_score REAL, peak_value REAL, expected REAL, lower REAL, upper REAL, text TEXT NOT NULL,
  contributions TEXT NOT NULL, tags TEXT NOT NULL,
  received_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX anomalies_by_id ON anomalies(tenant_no, device_no, id);
CREATE INDEX anomalies_by_onset ON anomalies(tenant_no, onset);
CREATE INDEX anomalies_by_device ON anomalies(tenant_no, device_no, onset);
CREATE INDEX anomalies_by_stream ON anomalies(tenant_no, stream, onset);
CREATE INDEX anomalies_open ON anomalies(tenant_no, onset) WHERE phase < 3;
CREATE INDEX anomalies_open_by_device ON anomalies(tenant_no, device_no, onset) WHERE phase < 3;
CREATE INDEX anomalies_closed ON anomalies(tenant_no, updated_at) WHERE phase = 3;

CREATE TABLE feed(
  tenant_no INTEGER NOT NULL, seq INTEGER NOT NULL, anomaly_no INTEGER NOT NULL,
  phase INTEGER NOT NULL, PRIMARY KEY(tenant_no, seq)) WITHOUT ROWID, STRICT;
CREATE TABLE dead_letters(
  tenant_no INTEGER NOT NULL, number INTEGER NOT NULL, device TEXT NOT NULL,
  epoch INTEGER NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, bytes BLOB NOT NULL,
  received_at INTEGER NOT NULL, PRIMARY KEY(tenant_no, number)) WITHOUT ROWID, STRICT;

CREATE TABLE tokens(
  tenant_no INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
  scopes TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER,
  PRIMARY KEY(tenant_no, id)) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX tokens_by_id ON tokens(id);
CREATE TABLE enrolments(
  tenant_no INTEGER NOT NULL, hash TEXT NOT NULL UNIQUE, device TEXT NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER,
  PRIMARY KEY(tenant_no, hash)) WITHOUT ROWID, STRICT;
CREATE TABLE audit(
  tenant_no INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL,
  action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
  PRIMARY KEY(tenant_no, number)) WITHOUT ROWID, STRICT;
)sql";

/// Losses know when they happened. A record that could not be read is a loss of one, so that the
/// ranges of a device tell all that its account says is lost; of such ones `records` counts a key
/// that the ledger holds. What was lost before this migration has no window: neither open nor
/// ended.
inline constexpr std::string_view kSqliteSchema2 = R"sql(
ALTER TABLE losses ADD COLUMN from_us INTEGER;  -- time of the newest record before the range
ALTER TABLE losses ADD COLUMN to_us INTEGER;    -- time of the first record after it
ALTER TABLE losses ADD COLUMN open INTEGER NOT NULL DEFAULT 0;  -- no record after it yet
CREATE INDEX losses_open ON losses(tenant_no, device_no) WHERE open = 1;
-- Of the newest record in order; and the earliest from_us of an open loss (the least number: unknown).
ALTER TABLE devices ADD COLUMN record_us INTEGER;
ALTER TABLE devices ADD COLUMN open_loss_us INTEGER;
UPDATE devices SET record_us = (SELECT max(last_time) FROM streams s
  WHERE s.tenant_no = devices.tenant_no AND s.device_no = devices.device_no);
INSERT INTO losses(tenant_no, device_no, epoch, seq_first, seq_last, reason, records, received_at)
  SELECT l.tenant_no, d.device_no, l.epoch, l.seq, l.seq, 4, 1, min(l.received_at)
  FROM dead_letters l JOIN devices d ON d.tenant_no = l.tenant_no AND d.device = l.device
  WHERE l.epoch <> 0 AND NOT EXISTS (SELECT 1 FROM losses o WHERE o.tenant_no = l.tenant_no
    AND o.device_no = d.device_no AND o.epoch = l.epoch AND l.seq BETWEEN o.seq_first AND o.seq_last)
  GROUP BY l.tenant_no, d.device_no, l.epoch, l.seq;
)sql";

/// What other regions told: whose rows they are (0: this region's own), how far they were taken.
inline constexpr std::string_view kSqliteExchange = R"sql(
CREATE TABLE peers(peer_no INTEGER PRIMARY KEY, peer TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE peer_cursors(
  tenant_no INTEGER NOT NULL, peer_no INTEGER NOT NULL, kind TEXT NOT NULL, cursor TEXT NOT NULL,
  kept_at INTEGER NOT NULL, PRIMARY KEY(tenant_no, peer_no, kind)) WITHOUT ROWID, STRICT;
-- A device as another region told of it.
CREATE TABLE peer_devices(
  tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL, peer_no INTEGER NOT NULL,
  online INTEGER NOT NULL, quarantined INTEGER NOT NULL, last_seen INTEGER,
  agent_version TEXT NOT NULL, epoch INTEGER NOT NULL, watermark INTEGER NOT NULL,
  stored INTEGER NOT NULL, lost_quota INTEGER NOT NULL, lost_corrupt INTEGER NOT NULL,
  lost_vanished INTEGER NOT NULL, lost_poison INTEGER NOT NULL, outstanding INTEGER NOT NULL,
  streams INTEGER NOT NULL, readings_total INTEGER NOT NULL, outbox_records INTEGER NOT NULL,
  outbox_bytes INTEGER NOT NULL, quarantined_total INTEGER NOT NULL,
  PRIMARY KEY(tenant_no, device_no, peer_no)) WITHOUT ROWID, STRICT;
-- Of devices: the other region that heard of it last.
ALTER TABLE devices ADD COLUMN peer_no INTEGER NOT NULL DEFAULT 0;
ALTER TABLE anomalies ADD COLUMN peer_no INTEGER NOT NULL DEFAULT 0;
CREATE INDEX anomalies_of_peers ON anomalies(tenant_no, peer_no, onset) WHERE peer_no <> 0;
)sql";

/// What waits for sinks. The index tells its size without reading what waits.
inline constexpr std::string_view kSqliteSpool = R"sql(
CREATE TABLE spool(
  number INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, tenant TEXT NOT NULL,
  device TEXT NOT NULL, class INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  seq_last INTEGER NOT NULL, records INTEGER NOT NULL, received_at INTEGER NOT NULL,
  bytes INTEGER NOT NULL, value TEXT NOT NULL) STRICT;
CREATE INDEX spool_by_sink ON spool(sink, number, bytes);
CREATE TABLE spool_leases(
  sink TEXT PRIMARY KEY, holder TEXT NOT NULL, until_us INTEGER NOT NULL) WITHOUT ROWID, STRICT;
)sql";

/// Numbers of devices that other regions hold, in records over all epochs.
inline constexpr std::string_view kSqliteElsewhere = R"sql(
ALTER TABLE devices ADD COLUMN elsewhere INTEGER NOT NULL DEFAULT 0;
ALTER TABLE peer_devices ADD COLUMN elsewhere INTEGER NOT NULL DEFAULT 0;
)sql";

/// Lists by severity and by reason: rare ones lie far apart among all by onset.
inline constexpr std::string_view kSqliteRare = R"sql(
CREATE INDEX anomalies_by_severity ON anomalies(tenant_no, severity, onset);
CREATE INDEX anomalies_by_reason ON anomalies(tenant_no, reason, onset);
)sql";

/// Through which replica a device is connected, when each replica was last heard of, and who does
/// what only one may do.
inline constexpr std::string_view kSqliteReplicas = R"sql(
ALTER TABLE devices ADD COLUMN replica TEXT NOT NULL DEFAULT '';
CREATE TABLE replicas(
  replica TEXT PRIMARY KEY, hearing_since INTEGER NOT NULL, heard_at INTEGER NOT NULL)
  WITHOUT ROWID, STRICT;
CREATE TABLE leases(name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL)
  WITHOUT ROWID, STRICT;
)sql";

/// What operators want of devices, and work that takes long.
inline constexpr std::string_view kSqliteCommandsAndJobs = R"sql(
ALTER TABLE devices ADD COLUMN commands INTEGER NOT NULL DEFAULT 0;  -- numbers given out
ALTER TABLE devices ADD COLUMN reported_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN reported_problem TEXT NOT NULL DEFAULT '';
CREATE TABLE commands(
  tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL, id INTEGER NOT NULL, kind TEXT NOT NULL,
  arguments TEXT NOT NULL, status INTEGER NOT NULL, actor TEXT NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, sent_at INTEGER,
  sent_connection TEXT NOT NULL DEFAULT '', ended_at INTEGER, result TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(tenant_no, device_no, id)) WITHOUT ROWID, STRICT;
CREATE INDEX commands_open ON commands(expires_at) WHERE status < 3;
CREATE TABLE desired(
  tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL, version INTEGER NOT NULL,
  document TEXT NOT NULL, changed_at INTEGER NOT NULL, actor TEXT NOT NULL,
  PRIMARY KEY(tenant_no, device_no)) WITHOUT ROWID, STRICT;
CREATE TABLE jobs(
  id INTEGER PRIMARY KEY, tenant_no INTEGER NOT NULL, kind TEXT NOT NULL, arguments TEXT NOT NULL,
  state INTEGER NOT NULL, actor TEXT NOT NULL, created_at INTEGER NOT NULL, started_at INTEGER,
  ended_at INTEGER, attempts INTEGER NOT NULL DEFAULT 0, taken_by TEXT NOT NULL DEFAULT '',
  heartbeat_at INTEGER, cancel INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0, text TEXT NOT NULL DEFAULT '',
  content_type TEXT NOT NULL DEFAULT '', result_bytes INTEGER NOT NULL DEFAULT 0,
  result_parts INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX jobs_by_tenant ON jobs(tenant_no, id);
CREATE INDEX jobs_open ON jobs(id) WHERE state < 3;
CREATE INDEX jobs_ended ON jobs(ended_at) WHERE state >= 3;
CREATE TABLE job_parts(
  job INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(job, part)) STRICT;
)sql";

inline constexpr std::string_view kSqliteCertificates = R"sql(
-- Certificates given to devices. Those of before: one a device, of the hub's first authority.
CREATE TABLE certificates(
  tenant_no INTEGER NOT NULL, device TEXT NOT NULL, serial TEXT NOT NULL,
  authority TEXT NOT NULL DEFAULT '', key_hash TEXT NOT NULL DEFAULT '', pem TEXT NOT NULL DEFAULT '',
  issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER,
  reason TEXT NOT NULL DEFAULT '', PRIMARY KEY(tenant_no, device, serial)) WITHOUT ROWID, STRICT;
CREATE INDEX certificates_revoked ON certificates(serial) WHERE revoked_at IS NOT NULL;
CREATE INDEX certificates_expire ON certificates(expires_at);
INSERT INTO certificates(tenant_no, device, serial, issued_at, expires_at, revoked_at, reason)
  SELECT tenant_no, device, certificate_serial, enrolled_at,
    coalesce(certificate_expires, 9223372036854775807), revoked_at,
    CASE WHEN revoked_at IS NULL THEN '' ELSE 'revoked' END
  FROM devices WHERE certificate_serial <> '';
)sql";

/// Model files in parts, the versions made of them, and who may sign.
inline constexpr std::string_view kSqliteModels = R"sql(
CREATE TABLE model_files(
  tenant_no INTEGER NOT NULL, sha256 TEXT NOT NULL, file_no INTEGER NOT NULL,
  length INTEGER NOT NULL, kind TEXT NOT NULL, header TEXT NOT NULL, report TEXT NOT NULL,
  picture TEXT NOT NULL, job INTEGER NOT NULL, actor TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY(tenant_no, sha256)) STRICT;
CREATE UNIQUE INDEX model_files_by_age ON model_files(tenant_no, file_no);
CREATE TABLE model_parts(
  file_no INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY(file_no, part)) STRICT;
CREATE TABLE model_versions(
  tenant_no INTEGER NOT NULL, model TEXT NOT NULL, number INTEGER NOT NULL,
  version_no INTEGER NOT NULL, sha256 TEXT NOT NULL, manifest BLOB NOT NULL,
  device_class TEXT NOT NULL, actor TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY(tenant_no, model, number)) STRICT;
CREATE UNIQUE INDEX model_versions_by_age ON model_versions(tenant_no, version_no);
CREATE INDEX model_versions_by_file ON model_versions(tenant_no, sha256);
CREATE TABLE key_lists(
  number INTEGER PRIMARY KEY, list BLOB NOT NULL, taken_at INTEGER NOT NULL) STRICT;
)sql";

/// Staged distributions of models, and what operators call devices by.
inline constexpr std::string_view kSqliteRollouts = R"sql(
CREATE TABLE rollouts(
  id INTEGER PRIMARY KEY, tenant_no INTEGER NOT NULL, model TEXT NOT NULL,
  number INTEGER NOT NULL, undo INTEGER NOT NULL, plan TEXT NOT NULL, phase INTEGER NOT NULL,
  resume INTEGER NOT NULL, ring INTEGER NOT NULL, since INTEGER NOT NULL,
  judged_from INTEGER NOT NULL, ready_at INTEGER, baseline_rows INTEGER NOT NULL DEFAULT 0,
  baseline_alarms INTEGER NOT NULL DEFAULT 0, baseline_cost REAL, text TEXT NOT NULL,
  revision INTEGER NOT NULL DEFAULT 1, decisions INTEGER NOT NULL DEFAULT 0, actor TEXT NOT NULL,
  created_at INTEGER NOT NULL, ended_at INTEGER) STRICT;
CREATE INDEX rollouts_by_tenant ON rollouts(tenant_no, id);
CREATE UNIQUE INDEX rollouts_open ON rollouts(tenant_no, model) WHERE phase IN (1, 2, 3, 4, 7);
CREATE TABLE rollout_members(
  rollout INTEGER NOT NULL, device_no INTEGER NOT NULL, ring INTEGER NOT NULL,
  left_out INTEGER NOT NULL, PRIMARY KEY(rollout, device_no)) STRICT, WITHOUT ROWID;
CREATE TABLE rollout_decisions(
  rollout INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL,
  action TEXT NOT NULL, text TEXT NOT NULL, figures TEXT NOT NULL,
  PRIMARY KEY(rollout, number)) STRICT;
ALTER TABLE devices ADD COLUMN labels TEXT NOT NULL DEFAULT '';
)sql";

/// What each device is to run of each model, and what it reported last.
inline constexpr std::string_view kSqliteTargets = R"sql(
CREATE TABLE model_targets(
  tenant_no INTEGER NOT NULL, device_no INTEGER NOT NULL, model TEXT NOT NULL,
  number INTEGER NOT NULL DEFAULT 0, stage INTEGER NOT NULL DEFAULT 1, rollout INTEGER NOT NULL DEFAULT 0,
  offer INTEGER NOT NULL DEFAULT 0, changed_at INTEGER NOT NULL DEFAULT 0,
  assignment BLOB, until_us INTEGER,  -- NULL: not signed yet
  sent_at INTEGER, sent_connection TEXT NOT NULL DEFAULT '',
  -- The newest report, by (epoch, seq).
  epoch INTEGER NOT NULL DEFAULT 0, seq INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '', version INTEGER NOT NULL DEFAULT 0,
  reported_offer INTEGER NOT NULL DEFAULT 0, reported_rollout INTEGER NOT NULL DEFAULT 0,
  reported_us INTEGER NOT NULL DEFAULT 0, keys_number INTEGER NOT NULL DEFAULT 0, reported_at INTEGER,
  statistics BLOB,  -- the newest report's that has them, of this version, as a record
  PRIMARY KEY(tenant_no, device_no, model)) WITHOUT ROWID, STRICT;
CREATE INDEX model_targets_due ON model_targets(tenant_no, device_no) WHERE offer > reported_offer;
CREATE INDEX model_targets_ending ON model_targets(until_us) WHERE until_us IS NOT NULL;
CREATE INDEX model_targets_by_model ON model_targets(tenant_no, model, device_no);
CREATE INDEX model_targets_by_rollout ON model_targets(tenant_no, rollout) WHERE rollout <> 0;
)sql";

/// Federated rounds: their devices, and what those told of the present pass.
inline constexpr std::string_view kSqliteRounds = R"sql(
CREATE TABLE rounds(
  id INTEGER PRIMARY KEY, tenant_no INTEGER NOT NULL, name TEXT NOT NULL, model TEXT NOT NULL,
  kind TEXT NOT NULL, schema TEXT NOT NULL, plan TEXT NOT NULL, state INTEGER NOT NULL,
  pass INTEGER NOT NULL, pass_length INTEGER NOT NULL, deadline INTEGER NOT NULL,
  devices_min INTEGER NOT NULL, enough INTEGER NOT NULL, result TEXT NOT NULL DEFAULT '',
  report TEXT NOT NULL DEFAULT '', text TEXT NOT NULL DEFAULT '', job INTEGER NOT NULL DEFAULT 0,
  actor TEXT NOT NULL, created_at INTEGER NOT NULL, ended_at INTEGER) STRICT;
CREATE INDEX rounds_by_tenant ON rounds(tenant_no, id);
CREATE INDEX rounds_open ON rounds(id) WHERE state < 3;
CREATE TABLE round_members(
  round INTEGER NOT NULL, device_no INTEGER NOT NULL, device TEXT NOT NULL,
  state INTEGER NOT NULL, asked_at INTEGER, told_at INTEGER, sha256 TEXT NOT NULL DEFAULT '',
  parts INTEGER NOT NULL DEFAULT 0, here INTEGER NOT NULL DEFAULT 0,
  rows_told INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
  text TEXT NOT NULL DEFAULT '', PRIMARY KEY(round, device_no)) WITHOUT ROWID, STRICT;
CREATE INDEX round_members_by_name ON round_members(round, device);
CREATE TABLE round_parts(
  round INTEGER NOT NULL, device_no INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY(round, device_no, part)) STRICT;
)sql";

/// What people bring piece by piece.
inline constexpr std::string_view kSqliteUploads = R"sql(
CREATE TABLE uploads(
  id INTEGER PRIMARY KEY, tenant_no INTEGER NOT NULL, name TEXT NOT NULL,
  bytes INTEGER NOT NULL DEFAULT 0, sha256 TEXT NOT NULL DEFAULT '', actor TEXT NOT NULL,
  created_at INTEGER NOT NULL, completed_at INTEGER) STRICT;
CREATE INDEX uploads_by_tenant ON uploads(tenant_no, id);
CREATE TABLE upload_pieces(
  upload INTEGER NOT NULL, begin_at INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY(upload, begin_at)) STRICT;
)sql";

/// In order; the database's user_version counts those applied.
inline constexpr std::array kSqliteMigrations{
    kSqliteSchema1,  kSqliteSchema2,  kSqliteExchange,        kSqliteSpool,        kSqliteElsewhere,
    kSqliteRare,     kSqliteReplicas, kSqliteCommandsAndJobs, kSqliteCertificates, kSqliteModels,
    kSqliteRollouts, kSqliteTargets,  kSqliteRounds,          kSqliteUploads};

}  // namespace lapwing::hub
