// SPDX-License-Identifier: Apache-2.0
#include "hub/ingest/batch_store.hpp"

#include "shared/base/log.hpp"
#include "shared/sync/hub.hpp"
#include "shared/wire/codec.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <set>

namespace lapwing::hub {
namespace {

/// Above this a number in a message is hostile (see also the store).
constexpr std::uint64_t kSeqMax = std::uint64_t{1} << 62U;
/// Devices told their standing acknowledgement at once.
constexpr std::size_t kStandingAcksMax = 100'000;
/// Devices of one transaction. Hellos of a herd bring no records, so the bound on records does not
/// end it; and a transaction holds the rows of its devices until it commits.
constexpr std::size_t kDevicesMax = 256;

std::string name(const DeviceKey& key) { return key.tenant + "/" + key.device; }

wire::Identity identity(const DeviceKey& key) { return {key.tenant, key.device}; }

Error unusable(std::string what) { return {Errc::bad_input, std::move(what)}; }

/// Checked once here, so that nothing below meets numbers that do not fit the database.
bool sane(const wire::Hello& hello) {
  return hello.epoch < kSeqMax && hello.next_seq < kSeqMax && hello.acked_seq < hello.next_seq &&
         hello.check_seq < hello.next_seq;
}

bool sane(const wire::RecordBatch& batch) {
  return batch.epoch < kSeqMax &&
         (batch.entries.empty() || batch.entries.back().seq_last < kSeqMax);
}

/// The first messages, of so many devices as one transaction may hold.
struct Batchful {
  std::size_t messages = 0;
  std::set<DeviceKey> devices;
};

Batchful first_of(std::span<const UpMessage> messages) {
  Batchful first;
  for (const auto& message : messages) {
    if (const auto topic = wire::parse_topic(message.topic)) {
      DeviceKey key{topic->identity.tenant, topic->identity.device};
      if (first.devices.size() == kDevicesMax && !first.devices.contains(key)) break;
      first.devices.insert(std::move(key));
    }
    ++first.messages;
  }
  return first;
}

}  // namespace

/// One transaction in the making.
struct BatchStore::Round {
  std::unique_ptr<IngestTransaction> transaction;
  std::vector<Answer> welcomes;
  std::vector<std::pair<DeviceKey, wire::CommandResult>> results;
  std::map<DeviceKey, wire::Ack> acks;  ///< cumulative: a device's last one says it all
  /// One that asks for a hello, maybe of a connection that has ended, does not stand in the way of
  /// one that tells what is committed.
  void answer(const DeviceKey& key, const wire::Ack& ack) {
    if (ack.epoch == 0) {
      acks.try_emplace(key, ack);
    } else {
      acks[key] = ack;
    }
  }
  StoredCounts counts;
  std::size_t records = 0;
  std::uint64_t other = 0;
  std::uint64_t batches = 0;
  std::uint64_t live = 0;
  std::uint64_t dead_letters = 0;
};

BatchStore::BatchStore(Store& store, const IngestConfig& config, Metrics& metrics, std::size_t lane,
                       RecordTaps* taps)
    : store_(store),
      lane_(lane),
      taps_(taps),
      config_(config),
      counters_{
          metrics.counter("hub_records_total", "Records stored", {{"class", "anomaly"}}),
          metrics.counter("hub_records_total", "Records stored", {{"class", "summary"}}),
          metrics.counter("hub_records_total", "Records stored", {{"class", "other"}}),
          metrics.counter("hub_duplicates_total", "Records that were stored before"),
          metrics.counter("hub_lost_records_total", "Records that devices reported as lost"),
          metrics.counter("hub_batches_total", "Batches stored", {{"kind", "ordered"}}),
          metrics.counter("hub_batches_total", "Batches stored", {{"kind", "live"}}),
          metrics.counter("hub_hellos_total", "Hellos answered"),
          metrics.counter("hub_statuses_total", "Statuses of current connections"),
          metrics.counter("hub_late_wills_total", "Statuses of earlier connections, ignored"),
          metrics.counter("hub_dead_letters_total", "Records and frames that cannot be read"),
          metrics.counter("hub_refused_total", "Messages not taken", {{"reason", "topic"}}),
          metrics.counter("hub_refused_total", "Messages not taken",
                          {{"reason", "unknown_device"}}),
          metrics.counter("hub_refused_total", "Messages not taken", {{"reason", "revoked"}}),
          metrics.counter("hub_refused_total", "Messages not taken", {{"reason", "bytes"}}),
          metrics.counter("hub_refused_total", "Messages not taken", {{"reason", "channel"}}),
          metrics.counter("hub_device_alerts_total", "New epochs and quarantines"),
          metrics.histogram("hub_commit_seconds", "From the first record to COMMIT",
                            {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10}),
          metrics.histogram("hub_commit_records", "Records in one transaction",
                            {0, 1, 10, 100, 500, 1000, 5000, 10000, 20000, 50000})} {}

Answer BatchStore::seal(const wire::Identity& who, wire::Channel channel, std::string_view body) {
  return {wire::topic(who, channel), writer_.seal(body)};
}

Result<Taken> BatchStore::take(std::span<const UpMessage> messages) {
  const auto began = std::chrono::steady_clock::now();
  Round round;
  auto transaction = store_.begin_ingest(lane_);
  if (!transaction) return transaction.error();
  round.transaction = *std::move(transaction);
  const auto tap = taps_ == nullptr ? nullptr : taps_->follow(*round.transaction);
  const auto first = first_of(messages);
  const std::vector<DeviceKey> devices(first.devices.begin(), first.devices.end());
  if (auto locked = round.transaction->lock(devices); !locked) return locked.error();
  Taken taken;
  while (taken.messages < first.messages && round.records < config_.commit_records_max) {
    if (auto done = take_one(round, messages[taken.messages]); !done) return done.error();
    ++taken.messages;
  }
  if (tap) {
    if (auto followed = tap->before_commit(); !followed) return followed.error();
  }
  auto newest = round.transaction->commit();
  if (!newest) return newest.error();
  count(round, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  taken.feed_newest = *newest;
  taken.feed_grew = round.counts.anomalies > 0;
  taken.hellos = !round.welcomes.empty();
  taken.results = std::move(round.results);
  taken.answers = std::move(round.welcomes);
  for (const auto& [key, ack] : round.acks) {
    taken.answers.push_back(seal(identity(key), wire::Channel::ack, wire::encode(ack)));
  }
  return taken;
}

void BatchStore::count(const Round& round, double seconds) {
  counters_.anomalies.add(static_cast<double>(round.counts.anomalies));
  counters_.summaries.add(static_cast<double>(round.counts.summaries));
  counters_.other.add(static_cast<double>(
      round.counts.stored - round.counts.summaries -
      std::min(round.counts.anomalies, round.counts.stored - round.counts.summaries)));
  counters_.duplicates.add(static_cast<double>(round.counts.duplicates));
  counters_.lost.add(static_cast<double>(round.counts.lost));
  counters_.batches.add(static_cast<double>(round.batches));
  counters_.live.add(static_cast<double>(round.live));
  counters_.dead_letters.add(static_cast<double>(round.dead_letters));
  counters_.commit_seconds.observe(seconds);
  counters_.commit_records.observe(static_cast<double>(round.records));
}

Result<void> BatchStore::take_one(Round& round, const UpMessage& message) {
  const auto topic = wire::parse_topic(message.topic);
  if (!topic || !wire::is_up(topic->channel)) {
    counters_.refused_topic.add();
    return {};
  }
  const DeviceKey key{topic->identity.tenant, topic->identity.device};
  const auto session = round.transaction->device(key);
  if (!session && session.error().code != Errc::not_found) return session.error();
  const auto body = reader_.open(message.payload);
  if (!session || session->revoked) {
    (session ? counters_.refused_revoked : counters_.refused_device).add();
    const std::string reason = session ? "this device is revoked; enrol it again"
                                       : "this device is not enrolled at this hub; enrol it";
    if (body) refuse_stranger(round, *topic, *body, reason, message.received_at);
    return {};
  }
  if (!body) return unreadable(round, key, body.error(), message.payload, message.received_at);
  switch (topic->channel) {
    case wire::Channel::hello:
      return hello(round, key, *body, message.received_at);
    case wire::Channel::records:
      return records(round, key, *body, message.received_at);
    case wire::Channel::report:
      return live(round, key, *body, message.received_at);
    case wire::Channel::status:
      return status(round, key, *body, message.received_at);
    case wire::Channel::result:
      return result(round, key, *body, message.received_at);
    default:
      counters_.refused_channel.add();  // models are not served by this version
      return {};
  }
}

void BatchStore::refuse_stranger(Round& round, const wire::ParsedTopic& topic,
                                 std::string_view body, const std::string& reason, Time at) {
  log::warn("message refused", {{"device", wire::to_string(topic.identity)}, {"reason", reason}});
  if (topic.channel != wire::Channel::hello) return;
  const auto hello = wire::decode_hello(body);
  if (!hello) return;
  round.welcomes.push_back(
      seal(topic.identity, wire::Channel::welcome, wire::encode(sync::refuse(*hello, reason, at))));
}

Result<void> BatchStore::unreadable(Round& round, const DeviceKey& key, const Error& error,
                                    std::string_view bytes, Time at) {
  counters_.refused_bytes.add();
  ++round.dead_letters;
  log::warn("message cannot be read", {{"device", name(key)}, error});
  return round.transaction->dead_letter(
      key,
      {.reason = error.context, .bytes = std::string(bytes.substr(0, 4096)), .received_at = at});
}

Result<void> BatchStore::hello(Round& round, const DeviceKey& key, std::string_view body, Time at) {
  auto hello = wire::decode_hello(body);
  if (hello && !sane(*hello)) hello = unusable("hello with impossible sequence numbers");
  if (!hello) return unreadable(round, key, hello.error(), body, at);
  const auto session = round.transaction->device(key);
  if (!session) return session.error();
  const auto hash = round.transaction->record_hash(key, session->sync.epoch, hello->acked_seq);
  if (!hash) return hash.error();
  const auto newest =
      round.transaction->record_hash(key, session->sync.epoch, sync::newest_seq(session->sync));
  if (!newest) return newest.error();
  const auto checked = round.transaction->record_hash(key, session->sync.epoch, hello->check_seq);
  if (!checked) return checked.error();
  auto decision =
      sync::on_hello(session->sync, *hello, {*hash, *newest, *checked},
                     {config_.batch_records_max, config_.batch_bytes_max}, at, config_.region);
  if (decision.elsewhere_last > 0) {
    const auto others =
        round.transaction->keep_elsewhere(key, decision.elsewhere_first, decision.elsewhere_last);
    if (!others) return others.error();
    log::info("device comes back from another region",
              {{"device", name(key)}, {"epoch", decision.state.epoch}, {"elsewhere", *others}});
  }
  if (auto saved = round.transaction->save_sync(key, decision.state); !saved) return saved;
  if (!decision.answer) return {};
  const bool welcome = decision.state.quarantine.empty();
  auto present = round.transaction->save_presence(
      key, {.online = welcome,
            .connection_id = hello->connection_id,
            .seen = at,
            .agent_version = hello->agent_version,
            .produced_seq = welcome ? hello->next_seq - 1 : 0,
            .replica = config_.replica,
            .reported = ReportedSettings{hello->desired_version, {}}});
  if (!present) return present;
  counters_.hellos.add();
  if (!decision.alert.empty()) {
    counters_.alerts.add();
    log::warn("device history", {{"device", name(key)}, {"alert", decision.alert}});
  }
  round.acks.erase(key);  // of an earlier connection
  round.welcomes.push_back(
      seal(identity(key), wire::Channel::welcome, wire::encode(decision.welcome)));
  return {};
}

Result<void> BatchStore::records(Round& round, const DeviceKey& key, std::string_view body,
                                 Time at) {
  auto batch = wire::decode_batch(body);
  if (batch && !sane(*batch)) batch = unusable("batch with impossible sequence numbers");
  if (!batch) return unreadable(round, key, batch.error(), body, at);
  const auto session = round.transaction->device(key);
  if (!session) return session.error();
  const auto decision = sync::on_batch(session->sync, *batch);
  if (decision.verdict == sync::BatchVerdict::accept) {
    std::vector<std::size_t> wanted(batch->entries.size() - decision.first_entry);
    std::iota(wanted.begin(), wanted.end(), decision.first_entry);
    auto stored = store_entries(round, key, *batch, wanted, at);
    if (!stored) return stored;
    auto state = session->sync;
    state.watermark = decision.watermark;
    if (auto saved = round.transaction->save_sync(key, state); !saved) return saved;
    ++round.batches;
  } else if (decision.verdict == sync::BatchVerdict::duplicate) {
    round.counts.duplicates += batch->entries.size();
  }
  if (decision.verdict != sync::BatchVerdict::silent &&
      decision.verdict != sync::BatchVerdict::ask_hello) {
    auto present = round.transaction->save_presence(key, {.online = true,
                                                          .connection_id = batch->connection_id,
                                                          .seen = at,
                                                          .replica = config_.replica});
    if (!present) return present;
  }
  if (decision.ack) round.answer(key, *decision.ack);
  return {};
}

Result<void> BatchStore::live(Round& round, const DeviceKey& key, std::string_view body, Time at) {
  auto batch = wire::decode_batch(body);
  if (batch && !sane(*batch)) batch = unusable("batch with impossible sequence numbers");
  if (!batch) return unreadable(round, key, batch.error(), body, at);
  const auto session = round.transaction->device(key);
  if (!session) return session.error();
  const auto wanted = sync::on_live(session->sync, *batch);
  if (wanted.empty()) return {};
  ++round.live;
  auto stored = store_entries(round, key, *batch, wanted, at);
  if (!stored) return stored;
  auto state = session->sync;
  state.live_through = std::max(state.live_through, batch->entries[wanted.back()].seq);
  return round.transaction->save_sync(key, state);
}

Result<void> BatchStore::store_entries(Round& round, const DeviceKey& key,
                                       const wire::RecordBatch& batch,
                                       std::span<const std::size_t> wanted, Time at) {
  std::vector<wire::RecordBody> bodies;
  std::vector<IncomingRecord> incoming;
  bodies.reserve(wanted.size());  // `incoming` points into it
  incoming.reserve(wanted.size());
  const auto store_incoming = [&]() -> Result<void> {
    if (incoming.empty()) return {};
    const auto counts = round.transaction->store(key, batch.epoch, at, incoming);
    if (!counts) return counts.error();
    round.counts.stored += counts->stored;
    round.counts.duplicates += counts->duplicates;
    round.counts.lost += counts->lost;
    round.counts.anomalies += counts->anomalies;
    round.counts.summaries += counts->summaries;
    incoming.clear();
    return {};
  };
  for (const auto index : wanted) {
    const auto& entry = batch.entries[index];
    const auto hash = wire::record_hash(entry.payload);
    auto body = wire::decode_record(entry.payload);
    if (body && wire::class_of(*body) != entry.record_class) {
      body = unusable("record of another class than its entry says");
    }
    if (body) {
      bodies.push_back(*std::move(body));
    } else if (entry.seq_last > entry.seq) {
      // A loss record whose reason cannot be read: its range is accounted for all the same.
      bodies.emplace_back(wire::LossRecord{wire::LossReason::poison, entry.seq, entry.seq_last});
    } else {
      // In the order of the numbers: when a record was lost is told by those around it.
      if (auto stored = store_incoming(); !stored) return stored;
      ++round.dead_letters;
      log::warn("record cannot be read", {{"device", name(key)}, {"seq", entry.seq}, body.error()});
      auto kept = round.transaction->dead_letter(
          key,
          {batch.epoch, entry.seq, hash, body.error().context, entry.payload.substr(0, 4096), at});
      if (!kept) return kept;
      continue;
    }
    incoming.push_back(
        {entry.seq, entry.seq_last, wire::class_of(bodies.back()), hash, &bodies.back()});
  }
  round.records += wanted.size();
  return store_incoming();
}

/// Whoever asks for it stores it, after COMMIT: one that is lost is asked for again.
Result<void> BatchStore::result(Round& round, const DeviceKey& key, std::string_view body,
                                Time at) {
  auto result = wire::decode_command_result(body);
  if (!result) return unreadable(round, key, result.error(), body, at);
  round.results.emplace_back(key, *std::move(result));
  return {};
}

Result<void> BatchStore::status(Round& round, const DeviceKey& key, std::string_view body,
                                Time at) {
  auto status = wire::decode_status(body);
  if (!status) return unreadable(round, key, status.error(), body, at);
  const auto session = round.transaction->device(key);
  if (!session) return session.error();
  const auto decision = sync::on_status(session->sync, *status);
  if (decision.ack) round.answer(key, *decision.ack);
  if (!decision.current) {
    counters_.late_wills.add();
    return {};
  }
  counters_.statuses.add();
  Presence presence{.online = status->online,
                    .connection_id = status->connection_id,
                    .seen = at,
                    .replica = config_.replica};
  if (status->online) {  // a will carries no figures worth keeping
    presence.agent_version = status->agent_version;
    presence.produced_seq = status->produced_seq < kSeqMax ? status->produced_seq : 0;
    presence.status = *status;
    presence.reported = ReportedSettings{status->desired_version, status->desired_problem};
  }
  return round.transaction->save_presence(key, presence);
}

Result<std::vector<Answer>> BatchStore::standing_acks() {
  auto transaction = store_.begin_ingest(lane_);
  if (!transaction) return transaction.error();
  const auto devices = (*transaction)->online_devices(config_.replica, kStandingAcksMax);
  if (!devices) return devices.error();
  std::vector<Answer> answers;
  for (const auto& [key, state] : *devices) {
    if (lane_of(name(key), store_.lanes()) != lane_) continue;
    if (state.epoch == 0 || !state.quarantine.empty()) continue;
    answers.push_back(seal(identity(key), wire::Channel::ack,
                           wire::encode(wire::Ack{.epoch = state.epoch,
                                                  .watermark = state.watermark,
                                                  .connection_id = state.connection_id,
                                                  .standing = true})));
  }
  return answers;
}

}  // namespace lapwing::hub
