// SPDX-License-Identifier: Apache-2.0
/// What the hub remembers: devices, records exactly once, anomalies, history, the live feed,
/// credentials.
///
/// One interface for every engine: SQLite on one machine, PostgreSQL for many replicas. The tenant
/// is part of every key; no query crosses tenants, except finding a credential by its hash (the
/// tenant comes *from* the credential) and the totals for metrics.
///
/// Units: times are wall-clock microseconds (lapwing::Time) and are passed in, never read from a
/// clock. Errors, for every function: io (disk, locks, out of space: nothing was changed, retrying
/// may help),
///   corrupt (the file fails a check), bad_input (a cursor or name that cannot be read), not_found.
/// Threads: a shared Store may be used from any threads at once. Queries run on their own read
///   connections and see one committed state per call; each changing function is one durable
///   transaction of its own and waits for the running ingest transaction to end (milliseconds).
/// Cost: blocking; disk I/O. Do not call it on a network event loop's only thread.
#pragma once

#include "hub/store/labels.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

class Commands;           // hub/store/commands.hpp
class Certificates;       // hub/store/certificates.hpp
class Exchange;           // hub/store/exchange.hpp
class Feed;               // hub/store/feed.hpp
class FeedWatch;          // likewise
class IngestTransaction;  // hub/store/ingest_transaction.hpp
class Jobs;               // hub/store/jobs.hpp
class Models;             // hub/store/models.hpp
class Replicas;           // hub/store/replicas.hpp
class Rollouts;           // hub/store/rollouts.hpp
class Rounds;             // hub/store/rounds.hpp
class Spool;              // hub/store/spool.hpp
class Targets;            // hub/store/targets.hpp
class Uploads;            // hub/store/uploads.hpp

/// A device: the name is unique within its tenant only.
struct DeviceKey {
  std::string tenant;
  std::string device;
  friend auto operator<=>(const DeviceKey&, const DeviceKey&) = default;
};

/// Which part of a list is wanted.
struct PageRequest {
  std::size_t limit = 100;  ///< rows; values outside [1, 1000] are brought inside
  std::string cursor;  ///< `next_cursor` of the page before; empty for the first. Else bad_input
};

/// One page of a list. Cursors are keyset cursors: rows that arrive between pages neither repeat
/// nor hide others. They are URL-safe text and mean nothing to callers.
template <class T>
struct Page {
  std::vector<T> items;
  std::optional<std::string> next_cursor;  ///< absent on the last page
};

/// What was lost of what a device produced, in records by reason.
struct Losses {
  std::uint64_t quota = 0;
  std::uint64_t corrupt = 0;
  std::uint64_t vanished = 0;
  std::uint64_t poison = 0;
  [[nodiscard]] std::uint64_t total() const noexcept { return quota + corrupt + vanished + poison; }
  friend bool operator==(const Losses&, const Losses&) = default;
};

/// The account of one device over all its epochs, in records. Always: produced = stored + lost +
/// elsewhere + outstanding. A live copy that overtook a backlog counts as stored once, whatever a
/// later loss range covers.
struct Ledger {
  std::uint64_t produced = 0;
  std::uint64_t stored = 0;
  Losses lost;
  std::uint64_t outstanding = 0;  ///< produced as far as the hub was told, not yet here
  /// Acknowledged by other regions while the device was with them, and not here.
  std::uint64_t elsewhere = 0;
  /// What `produced` is, of the others.
  [[nodiscard]] std::uint64_t sum() const noexcept {
    return stored + lost.total() + elsewhere + outstanding;
  }
};

/// A range of numbers of which records were lost, and when: after the device's newest record below
/// the range and before the first one above it, in these records' own time (the end of a summary;
/// of an anomaly, by its phase, onset, peak or end), not by anyone's clock. Only records in
/// unbroken order count: a live copy neither begins nor ends a window. A record of a range that
/// turns up later leaves the window as it is and takes itself out of `records`.
struct LossRow {
  std::uint64_t epoch = 0;
  std::uint64_t seq_first = 0;
  std::uint64_t seq_last = 0;
  wire::LossReason reason = wire::LossReason::quota;
  std::uint64_t records = 0;  ///< lost ones of the range, at least 1; others came as live copies
  std::optional<Time> from;   ///< absent: nothing came before it, or an older version stored it
  /// The time of the first record after it that is not older than `from`; absent: none came yet, or
  /// an older version stored the loss. A record of a later epoch ends it too.
  std::optional<Time> to;
  Time received_at{};  ///< hub time
};

enum class DeviceStatus : std::uint8_t { offline, online, quarantined };

/// One device, as lists show it.
struct DeviceRow {
  std::string tenant;
  std::string device;
  DeviceStatus status = DeviceStatus::offline;
  std::optional<Time> last_seen;  ///< hub time of its last message; absent before the first
  std::string agent_version;
  Time enrolled_at{};
  std::optional<Time> certificate_expires;
  std::string certificate_serial;
  std::optional<Time> revoked_at;  ///< set: nothing it sends is accepted
  std::uint64_t epoch = 0;
  std::uint64_t watermark = 0;
  Ledger ledger;
  std::uint64_t streams = 0;
  std::uint64_t anomalies_open = 0;  ///< by the hub's own anomaly rows
  std::uint64_t readings_total = 0;  ///< as of the device's last status
  std::uint64_t outbox_records = 0;
  std::uint64_t outbox_bytes = 0;
  std::uint64_t quarantined_total = 0;  ///< payloads the agent could not read
  /// Where it was heard of last; empty: here. Elsewhere: status, last_seen, agent version, account
  /// and figures are what that region told.
  std::string region;
  Labels labels;
};

struct DeviceFilter {
  std::optional<std::string> region;  ///< empty: this one
  std::vector<std::string> labels;    ///< `key=value`: those that have all of them
};

/// A device that may connect, as enrolment knows it.
struct DeviceRegistration {
  DeviceKey key;
  Time enrolled_at{};
  std::string certificate_serial;  ///< hex
  std::optional<Time> certificate_expires;
  std::string certificate_authority = {};  ///< its fingerprint; empty: not known
};

/// The latest of one stream under one watch.
struct StreamRow {
  std::string stream;
  std::string watch;
  std::optional<Time> last_time;  ///< end of the newest summary; unknown before the first
  double last_value = wire::kUnknown;
  wire::Band band;
  double last_score = wire::kUnknown;
  std::uint64_t anomalies_open = 0;
  std::vector<wire::Tag> tags;
};

/// What a stream did in one summary interval.
struct HistoryPoint {
  Time begin{};
  Time end{};
  std::uint64_t readings = 0;
  double value_min = wire::kUnknown;
  double value_mean = wire::kUnknown;
  double value_max = wire::kUnknown;
  double score_mean = wire::kUnknown;
  double score_max = wire::kUnknown;
  wire::Band band;
};

struct HistoryQuery {
  std::string stream;
  std::string watch;  ///< empty: the watch that reported last
  std::optional<Time>
      from;                ///< inclusive, by `begin`; absent: the newest `limit` points up to `to`
  std::optional<Time> to;  ///< exclusive
  std::size_t limit = 1'000;  ///< points, brought inside [1, 10000]
};

/// A hole in a stream's history in which the device lost records. `records` are those of the losses
/// that meet it, of all the device's streams: a loss does not say whose its records were.
struct Gap {
  Time from{};
  Time to{};
  wire::LossReason reason = wire::LossReason::quota;
  std::uint64_t records = 0;
  friend bool operator==(const Gap&, const Gap&) = default;
};

/// One stream's points, oldest first, and the gaps between them (see find_gaps), by `from`.
struct History {
  std::vector<HistoryPoint> points;
  std::vector<Gap> gaps;
};

/// One anomaly, merged from its opened / updated / closed records: a record of a later phase, or of
/// the same phase and a later (epoch, seq), replaces what was known; an older one changes nothing.
struct AnomalyRow {
  std::string device;
  wire::AnomalyRecord record;  ///< `phase` is the latest: closed means state closed
  Time received_at{};          ///< hub time of the first record
  Time updated_at{};           ///< hub time of the record shown
  std::string region;          ///< that took the record shown; empty: this one
};

struct AnomalyFilter {
  std::optional<std::string> device;
  std::optional<std::string> stream;
  std::optional<bool> open;
  std::optional<wire::Severity> severity;
  std::optional<wire::Reason> reason;
  std::optional<Time> from;           ///< inclusive, by onset
  std::optional<Time> to;             ///< exclusive, by onset
  std::optional<std::string> region;  ///< empty: this one
};

/// One step of an anomaly in the live feed. `seq` grows with commits over all tenants, has holes,
/// and a row never appears below one already seen: a reader that remembers `seq` misses nothing.
/// `anomaly` is the anomaly as it is now; `phase` is the step this row announces.
struct FeedRow {
  std::uint64_t seq = 0;
  wire::Phase phase = wire::Phase::opened;
  AnomalyRow anomaly;
};

struct FeedQuery {
  std::uint64_t after = 0;  ///< rows with seq > after, oldest first
  std::optional<std::string> device;
  std::size_t limit = 500;  ///< rows, brought inside [1, 5000]
};

/// Which feed rows are kept. A reader whose position is below `oldest - 1` has missed some.
struct FeedBounds {
  std::uint64_t oldest = 0;  ///< 0: the feed is empty
  std::uint64_t newest = 0;
};

/// A record or frame that could not be read; kept bounded (newest kept) for diagnosis.
struct DeadLetterRow {
  std::uint64_t number = 0;  ///< of the hub; grows
  std::string device;
  std::uint64_t epoch = 0;  ///< 0 when the frame itself was unreadable
  std::uint64_t seq = 0;
  std::string reason;
  std::string bytes;  ///< the first 4 KiB of the payload
  Time received_at{};
};

/// An API token. The secret is never stored: `hash` is of high-entropy text, made by shared/trust.
struct TokenRow {
  std::string tenant;
  std::string id;  ///< unique over all tenants
  std::string name;
  std::string hash;
  std::vector<std::string> scopes;  ///< read, enrol, export, admin
  Time created_at{};
  std::optional<Time> expires_at;
  std::optional<Time> revoked_at;
  [[nodiscard]] bool usable(Time at) const {
    return !revoked_at && (!expires_at || at < *expires_at);
  }
};

/// A one-time permission to enrol one device.
struct EnrolmentRow {
  std::string tenant;
  std::string hash;
  std::string device;
  Time created_at{};
  Time expires_at{};
  std::optional<Time> used_at;
};

/// Who did what. `actor` is a token id, `cli`, or `device:NAME`.
struct AuditRow {
  std::uint64_t number = 0;  ///< assigned by the store; grows
  std::string tenant;
  Time at{};
  std::string actor;
  std::string action;  ///< token.create, device.enrol, ...
  std::string subject;
  std::string detail;
};

/// Over all tenants, for metrics.
struct StoreTotals {
  std::uint64_t devices = 0;
  std::uint64_t devices_online = 0;
  std::uint64_t devices_quarantined = 0;
  std::uint64_t anomalies_open = 0;
  Ledger ledger;            ///< the sum of all devices'
  std::uint64_t bytes = 0;  ///< on disk
};

/// What one `trim` removed, in rows; reckoned from sizes where whole days are dropped.
struct Trimmed {
  std::uint64_t history = 0;
  std::uint64_t anomalies = 0;
  std::uint64_t feed = 0;
  std::uint64_t ledger = 0;
  std::uint64_t losses = 0;
  std::uint64_t dead_letters = 0;
  bool more = false;  ///< the call's bound was reached: call again
};

class Store {
 public:
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // --- taking records in -------------------------------------------------------------------------
  /// Transactions that may take records in at once, each in a lane of its own: at least 1.
  [[nodiscard]] virtual std::size_t lanes() const = 0;
  /// Begins the lane's transaction that stores what many devices sent. Waits for the one before it
  /// in the lane to end. `lane` is below lanes(); a device's messages always go by the same lane.
  /// Threads: the transaction belongs to the thread that began it, until commit or destruction.
  virtual Result<std::unique_ptr<IngestTransaction>> begin_ingest(std::size_t lane) = 0;
  Result<std::unique_ptr<IngestTransaction>> begin_ingest();

  /// Devices said to be online that were last seen before `silent_since` become offline, but for
  /// those whose replica did not hear all the time since (see Replicas::beat). The count.
  virtual Result<std::uint64_t> mark_silent_offline(Time silent_since) = 0;

  /// What waits for sinks.
  virtual Spool& spool() = 0;

  // --- devices -----------------------------------------------------------------------------------
  /// Adds the device, or gives it a new certificate: those it had before are revoked. A revoked
  /// device becomes usable again.
  virtual Result<void> register_device(const DeviceRegistration& registration) = 0;
  /// Likewise many, in one transaction: all or none. Cost: intake waits meanwhile, about a second
  /// for 20,000.
  virtual Result<void> register_devices(std::span<const DeviceRegistration> registrations) = 0;
  /// Nothing the device sends is accepted from the next ingest transaction on, and its certificates
  /// are revoked. not_found.
  virtual Result<void> revoke_device(const DeviceKey& key, Time at) = 0;
  /// Lets a quarantined device say hello again: an operator decided. not_found.
  virtual Result<void> release_quarantine(const DeviceKey& key) = 0;
  /// Replaces the device's labels, which were checked. not_found.
  virtual Result<void> label_device(const DeviceKey& key, const Labels& labels) = 0;
  virtual Result<DeviceRow> device(const DeviceKey& key) = 0;  ///< not_found
  /// By name.
  virtual Result<Page<DeviceRow>> devices(std::string_view tenant, const PageRequest& page,
                                          const DeviceFilter& filter = {}) = 0;
  virtual Result<Ledger> ledger(const DeviceKey& key) = 0;  ///< not_found
  /// By epoch and number, newest first. The newest 10,000 ranges of a device are kept; its account
  /// counts older ones too. not_found: no such device.
  virtual Result<Page<LossRow>> losses(const DeviceKey& key, const PageRequest& page) = 0;

  // --- streams, history, anomalies, feed ---------------------------------------------------------
  /// By stream, then watch. not_found: no such device.
  virtual Result<Page<StreamRow>> streams(const DeviceKey& key, const PageRequest& page) = 0;
  /// Gaps are those that meet the range asked for, whole, also where they reach over its edge: the
  /// points next to the range count, up to a day away. What follows a stream's newest point is no
  /// gap until its next point came. not_found: no such device or stream.
  virtual Result<History> history(const DeviceKey& key, const HistoryQuery& query) = 0;
  /// Newest onset first.
  virtual Result<Page<AnomalyRow>> anomalies(std::string_view tenant, const AnomalyFilter& filter,
                                             const PageRequest& page) = 0;
  virtual Result<AnomalyRow> anomaly(const DeviceKey& key, std::uint64_t id) = 0;  ///< not_found
  /// Rows of the tenant only. Returns at once, possibly with none (see Feed for waiting).
  virtual Result<std::vector<FeedRow>> feed(std::string_view tenant, const FeedQuery& query) = 0;
  virtual Result<FeedBounds> feed_bounds(std::string_view tenant) = 0;
  /// Where others write to the same store: tells `feed`, which must outlive what is returned, of
  /// their commits too. Null where there are no others.
  virtual Result<std::unique_ptr<FeedWatch>> watch_feed(Feed& feed) = 0;
  /// Newest first.
  virtual Result<Page<DeadLetterRow>> dead_letters(std::string_view tenant,
                                                   const PageRequest& page) = 0;

  // --- credentials -------------------------------------------------------------------------------
  virtual Result<void> add_token(const TokenRow& token) = 0;  ///< exists: the id or hash is taken
  /// Whether it may be used is for the caller to judge (TokenRow::usable). not_found.
  virtual Result<TokenRow> token_by_hash(std::string_view hash) = 0;
  /// Oldest first, revoked and expired ones too.
  virtual Result<Page<TokenRow>> tokens(std::string_view tenant, const PageRequest& page) = 0;
  /// Repeatable: a revoked token keeps its first instant. not_found.
  virtual Result<void> revoke_token(std::string_view tenant, std::string_view id, Time at) = 0;

  virtual Result<void> add_enrolment(const EnrolmentRow& enrolment) = 0;  ///< exists
  /// Marks it used, atomically: of any number of callers with one hash, one succeeds.
  /// Errors: not_found; denied (expired at `at`, or used before).
  virtual Result<EnrolmentRow> consume_enrolment(std::string_view hash, Time at) = 0;

  /// What the hub's authority issued, and what of it holds no more.
  virtual Certificates& certificates() = 0;

  // --- audit, upkeep -----------------------------------------------------------------------------
  virtual Result<void> add_audit(const AuditRow& row) = 0;
  /// Newest first.
  virtual Result<Page<AuditRow>> audit(std::string_view tenant, const PageRequest& page) = 0;

  virtual Result<StoreTotals> totals() = 0;
  /// Deletes what retention no longer keeps, in small steps, so that ingest waits milliseconds at
  /// most. Open anomalies and ledger rows above a device's watermark are never deleted.
  virtual Result<Trimmed> trim(Time at) = 0;
  /// Whether the store answers a query; what `/health/ready` asks.
  virtual Result<void> check() = 0;

  // --- further abilities, each with a header of its own ------------------------------------------
  virtual Exchange& exchange() = 0;
  virtual Commands& commands() = 0;
  virtual Jobs& jobs() = 0;
  virtual Models& models() = 0;
  virtual Uploads& uploads() = 0;
  virtual Replicas& replicas() = 0;
  virtual Rollouts& rollouts() = 0;
  virtual Targets& targets() = 0;
  /// Federated rounds.
  virtual Rounds& rounds() = 0;

 protected:
  Store() = default;
};

}  // namespace lapwing::hub
