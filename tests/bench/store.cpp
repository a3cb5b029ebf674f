// SPDX-License-Identifier: Apache-2.0
/// bench_store [--devices N] [--batch N] [--rounds N] [--records N] [--lanes N]
/// [--engines NAME]: the hub's
/// store alone, without MQTT: sealed batches of devices of 500 streams through BatchStore into
/// SQLite and into PostgreSQL (a server of its own, fsync on), and bare COPY of the same rows into
/// the same server, in turns. Ratios count: the machine may be shared.
#include "hub/ingest/batch_store.hpp"
#include "hub/store/postgres_store.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/postgres/connection.hpp"
#include "shared/postgres/copy_rows.hpp"
#include "shared/wire/codec.hpp"
#include "tests/bench/support.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace lapwing::bench {
namespace {

struct Setting {
  std::size_t devices = 40;
  std::size_t batch = 500;        ///< records
  std::size_t records = 100'000;  ///< of one round
  int rounds = 5;
  std::size_t lanes = 2;  ///< of PostgreSQL; bare COPY has as many connections
  std::string engines = "both";
};

constexpr std::uint64_t kStreams = 500;
constexpr std::uint64_t kAnomalyEvery = 100;

wire::Identity identity(std::size_t device) { return {"bench", "edge-" + std::to_string(device)}; }

/// What agents of 500 streams send: a summary of ten seconds of each in turn; every hundredth
/// record is a step of an anomaly's life.
class Records {
 public:
  [[nodiscard]] wire::RecordBody at(std::uint64_t seq) const {
    const double noise = static_cast<double>(seq * 2654435761U % 1000U) / 1000;
    const auto stream = "plant1/pump" + std::to_string(seq % kStreams) + "/vibration";
    const auto turn = static_cast<std::int64_t>(seq / kStreams);
    const auto begin = first_ + std::chrono::seconds(10 * turn);
    if (seq % kAnomalyEvery == kAnomalyEvery / 2) {
      const auto step = seq / kAnomalyEvery;
      wire::AnomalyRecord a;
      a.id = step / 3 + 1;
      a.phase = static_cast<wire::Phase>(step % 3 + 1);
      a.severity = wire::Severity::major;
      a.stream = stream;
      a.watch = "pumps";
      a.detector = "auto";
      a.onset = begin;
      a.peak_time = begin + std::chrono::seconds(1);
      if (a.phase == wire::Phase::closed) a.end = begin + std::chrono::seconds(10);
      a.peak_score = 2 + noise;
      a.peak_value = 9 + noise;
      a.band = {2.5, 1.0, 4.0};
      a.text = "vibration far above its band";
      return a;
    }
    wire::SummaryRecord summary;
    summary.stream = stream;
    summary.watch = "pumps";
    summary.begin = begin;
    summary.end = begin + std::chrono::seconds(10);
    summary.readings = 10;
    summary.value_min = 1.5 + noise;
    summary.value_mean = 2.5 + noise * noise;
    summary.value_max = 3.5 + 2 * noise;
    summary.score_mean = 0.2 * noise;
    summary.score_max = 0.7 * noise;
    summary.band = {2.5, 1.0 + noise, 4.0 + noise};
    return summary;
  }

 private:
  Time first_ = now() - std::chrono::hours(1);
};

/// One round's messages: every device's next batches, device by device, as a hub hears them.
class Fleet {
 public:
  explicit Fleet(const Setting& setting) : setting_(setting) {}

  [[nodiscard]] std::vector<hub::UpMessage> hellos() {
    std::vector<hub::UpMessage> out;
    for (std::size_t device = 0; device < setting_.devices; ++device) {
      wire::Hello hello;
      hello.connection_id = "c1";
      hello.instance_id = "i1";
      hello.database_id = "d1";
      hello.next_seq = std::uint64_t{1} << 40U;
      hello.agent_version = "bench";
      hello.sent = now();
      out.push_back(message(device, wire::Channel::hello, wire::encode(hello)));
    }
    return out;
  }
  [[nodiscard]] std::vector<hub::UpMessage> round() {
    std::vector<hub::UpMessage> out;
    records_ = 0;
    while (records_ < setting_.records) {
      for (std::size_t device = 0; device < setting_.devices; ++device) {
        wire::RecordBatch batch;
        batch.epoch = 1;
        batch.connection_id = "c1";
        for (auto seq = next_; seq < next_ + setting_.batch; ++seq) {
          const auto body = source_.at(seq);
          batch.entries.push_back({seq, seq, wire::class_of(body), wire::encode_record(body)});
        }
        records_ += batch.entries.size();
        out.push_back(message(device, wire::Channel::records, wire::encode(batch)));
      }
      next_ += setting_.batch;
    }
    return out;
  }
  [[nodiscard]] std::size_t records() const { return records_; }
  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] const Records& source() const { return source_; }

 private:
  hub::UpMessage message(std::size_t device, wire::Channel channel, const std::string& body) {
    return {wire::topic(identity(device), channel), writer_.seal(body), now()};
  }

  Setting setting_;
  Records source_;
  wire::FrameWriter writer_{1};
  std::uint64_t next_ = 1;
  std::size_t records_ = 0;
};

struct Figures {
  std::vector<double> rates;         ///< records/s, of each round
  std::vector<double> transactions;  ///< seconds
};

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size()));
  return values[std::min(at, values.size() - 1)];
}

/// Runs `work(0)` to `work(count - 1)`, each in a thread; adds up what they measured.
template <class Work>
void side_by_side(std::size_t count, std::size_t records, Figures* figures, const Work& work) {
  std::vector<std::vector<double>> transactions(count);
  const double began = seconds_now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < count; ++i) {
      threads.emplace_back([&, i] { work(i, transactions[i]); });
    }
  }
  if (figures == nullptr) return;
  figures->rates.push_back(static_cast<double>(records) / (seconds_now() - began));
  for (const auto& one : transactions) {
    figures->transactions.insert(figures->transactions.end(), one.begin(), one.end());
  }
}

/// The store of one engine under ingest, in every lane it has.
class Hub {
 public:
  Hub(std::unique_ptr<hub::Store> store, const Setting& setting) : store_(std::move(store)) {
    for (std::size_t device = 0; device < setting.devices; ++device) {
      const auto who = identity(device);
      if (!store_->register_device({{who.tenant, who.device}, now(), "01", {}})) {
        give_up("cannot register a device");
      }
    }
    for (std::size_t lane = 0; lane < store_->lanes(); ++lane) {
      batches_.push_back(std::make_unique<hub::BatchStore>(*store_, config_, metrics_, lane));
    }
  }
  /// `figures`: null: nothing is measured.
  void round(std::span<const hub::UpMessage> messages, std::size_t records, Figures* figures) {
    std::vector<std::vector<hub::UpMessage>> of_lane(batches_.size());
    for (const auto& message : messages) {
      const auto topic = wire::parse_topic(message.topic);
      of_lane[hub::lane_of(wire::to_string(topic->identity), batches_.size())].push_back(message);
    }
    side_by_side(batches_.size(), records, figures, [&](std::size_t lane, auto& transactions) {
      for (auto rest = std::span(of_lane[lane]); !rest.empty();) {
        const double began = seconds_now();
        const auto taken = batches_[lane]->take(rest);
        if (!taken) give_up(taken.error().context);
        transactions.push_back(seconds_now() - began);
        rest = rest.subspan(taken->messages);
      }
    });
  }
  [[nodiscard]] hub::StoreTotals totals() { return store_->totals().value(); }

 private:
  hub::IngestConfig config_;
  Metrics metrics_;
  std::unique_ptr<hub::Store> store_;
  std::vector<std::unique_ptr<hub::BatchStore>> batches_;
};

/// Bare COPY of the rows that the store would keep.
class Copy {
 public:
  /// The `number`th of `setting.lanes` connections; each has its share of the devices.
  Copy(const std::string& url, const Setting& setting, std::size_t number)
      : setting_(setting), number_(number) {
    auto db = postgres::Connection::open({.url = url});
    if (!db) give_up(db.error().context);
    db_ = *std::move(db);
    feed_seq_ = anomaly_no_ = static_cast<std::int64_t>(number + 1) << 32U;
  }
  void round(const Fleet& fleet, std::uint64_t first, std::uint64_t last,
             std::vector<double>& transactions) {
    const auto per_transaction = hub::IngestConfig{}.commit_records_max;
    std::size_t records = 0;
    double began = seconds_now();
    const auto commit = [&] {
      write();
      transactions.push_back(seconds_now() - began);
      began = seconds_now();
      records = 0;
    };
    for (auto from = first; from < last; from += setting_.batch) {
      for (auto device = number_; device < setting_.devices; device += setting_.lanes) {
        add(fleet.source(), static_cast<std::int32_t>(device + 1), from);
        records += setting_.batch;
        if (records >= per_transaction) commit();
      }
    }
    if (records > 0) commit();
  }

 private:
  void add(const Records& source, std::int32_t device, std::uint64_t from) {
    const auto received = to_micros(now());
    std::string classes;
    std::string hashes;
    for (auto seq = from; seq < from + setting_.batch; ++seq) {
      const auto body = source.at(seq);
      classes += static_cast<char>(wire::class_of(body));
      for (int i = 0; i < 8; ++i)
        hashes += static_cast<char>(seq * 11400714819323198485ULL >> (8 * i));
      if (const auto* a = std::get_if<wire::AnomalyRecord>(&body)) {
        add_anomaly(*a, device, seq, received);
      } else {
        add_point(std::get<wire::SummaryRecord>(body), device,
                  static_cast<std::int32_t>(seq % kStreams + 1), received);
      }
    }
    ledger_.begin_row();
    ledger_.bigint(received);
    ledger_.integer(1);
    ledger_.integer(device);
    ledger_.bigint(1);
    ledger_.bigint(static_cast<std::int64_t>(from));
    ledger_.bigint(static_cast<std::int64_t>(from + setting_.batch - 1));
    ledger_.bytes(classes);
    ledger_.bytes(hashes);
  }
  void add_point(const wire::SummaryRecord& s, std::int32_t device, std::int32_t stream,
                 std::int64_t received) {
    history_.begin_row();
    history_.bigint(received);
    history_.integer(1);
    history_.integer(device);
    history_.bigint(to_micros(s.begin) / 60'000'000);
    history_.integer(stream);
    history_.bigint(to_micros(s.begin));
    history_.bigint(to_micros(s.end));
    history_.bigint(static_cast<std::int64_t>(s.readings));
    for (const double value : {s.value_min, s.value_mean, s.value_max, s.score_mean, s.score_max,
                               s.band.expected, s.band.lower, s.band.upper}) {
      history_.number(value);
    }
  }
  /// A row of the feed for each step, one of the anomalies for each anomaly.
  void add_anomaly(const wire::AnomalyRecord& a, std::int32_t device, std::uint64_t seq,
                   std::int64_t received) {
    feed_.begin_row();
    feed_.bigint(1);
    feed_.bigint(++feed_seq_);
    feed_.bigint(anomaly_no_);
    feed_.smallint(static_cast<std::int16_t>(a.phase));
    if (a.phase != wire::Phase::opened) return;
    anomalies_.begin_row();
    anomalies_.bigint(++anomaly_no_);
    anomalies_.bigint(1);
    anomalies_.bigint(device);
    anomalies_.bigint(static_cast<std::int64_t>(a.id));
    anomalies_.smallint(3);
    anomalies_.bigint(1);
    anomalies_.bigint(static_cast<std::int64_t>(seq));
    anomalies_.smallint(2);
    anomalies_.smallint(1);
    for (const auto* text : {&a.stream, &a.watch, &a.detector}) anomalies_.bytes(*text);
    for (const auto at : {a.onset, a.peak_time, a.onset}) anomalies_.bigint(to_micros(at));
    for (const double value :
         {a.peak_score, a.peak_value, a.band.expected, a.band.lower, a.band.upper}) {
      anomalies_.number(value);
    }
    for (const std::string_view text :
         {std::string_view(a.text), std::string_view(), std::string_view()})
      anomalies_.bytes(text);
    anomalies_.bigint(received);
    anomalies_.bigint(received);
  }
  void write() {
    if (history_.rows() == 0) return;
    db_->begin(sql::Connection::Access::write);
    for (const auto& [table, rows] :
         {std::pair{"ledger", &ledger_}, std::pair{"history", &history_},
          std::pair{kAnomalies, &anomalies_}, std::pair{"feed", &feed_}}) {
      db_->copy("COPY " + std::string(table) + " FROM STDIN (FORMAT binary)", rows->finish());
      rows->clear();
    }
    db_->commit();
    if (db_->failed()) give_up(db_->failure().context);
  }

  static constexpr const char* kAnomalies =
      "anomalies(anomaly_no, tenant_no, device_no, id, phase, epoch, seq, severity, reason, stream,"
      " watch, detector, onset, peak_time, end_us, peak_score, peak_value, expected, lower, upper,"
      " text, contributions, tags, received_at, updated_at)";

  Setting setting_;
  std::unique_ptr<postgres::Connection> db_;
  postgres::CopyRows ledger_{8};
  postgres::CopyRows history_{16};
  postgres::CopyRows anomalies_{25};
  postgres::CopyRows feed_{4};
  std::size_t number_;
  std::int64_t feed_seq_ = 0;
  std::int64_t anomaly_no_ = 0;
};

void show(const std::string& name, const Figures& figures, const std::string& target,
          double floor) {
  const double rate = median(figures.rates);
  char more[160];
  std::snprintf(more, sizeof more, "%.0f records/s; a transaction p50 %.0f ms, p99 %.0f ms", rate,
                percentile(figures.transactions, 0.5) * 1e3,
                percentile(figures.transactions, 0.99) * 1e3);
  row(name, target, more, rate >= floor);
}

void bytes_a_record(const std::string& name, const hub::StoreTotals& before,
                    const hub::StoreTotals& after) {
  const auto records = static_cast<double>(after.ledger.stored - before.ledger.stored);
  row(name + ": on disk", "",
      format("%.0f bytes a record", static_cast<double>(after.bytes - before.bytes) / records),
      true);
}

void measure(const Setting& setting) {
  const lapwing::testing::TempDir folder;
  testing::PostgresServer server(
      "fsync = on\nsynchronous_commit = on\nshared_buffers = 512MB\nmax_wal_size = 4GB\n");
  if (!server.start()) give_up("PostgreSQL does not start: " + server.log());
  const auto url = server.new_database();
  Fleet fleet(setting);
  std::vector<std::pair<std::string, std::unique_ptr<Hub>>> hubs;
  if (setting.engines != "postgres") {
    auto store = hub::open_sqlite_store(folder.path() / "hub.db", {});
    if (!store) give_up(store.error().context);
    hubs.emplace_back("SQLite", std::make_unique<Hub>(*std::move(store), setting));
  }
  if (setting.engines != "sqlite") {
    auto store = hub::open_postgres_store({.connection = {.url = url}, .lanes = setting.lanes});
    if (!store) give_up(store.error().context);
    hubs.emplace_back("PostgreSQL", std::make_unique<Hub>(*std::move(store), setting));
  }
  // The same tables: made by a store that then stays idle.
  const auto copy_url = server.new_database();
  auto idle = hub::open_postgres_store({.connection = {.url = copy_url}});
  if (!idle) give_up(idle.error().context);
  Hub tables(*std::move(idle), setting);
  std::vector<std::unique_ptr<Copy>> copies;
  for (std::size_t i = 0; i < setting.lanes; ++i) {
    copies.push_back(std::make_unique<Copy>(copy_url, setting, i));
  }

  const auto hellos = fleet.hellos();
  const auto warm = fleet.round();  // makes the streams' rows and the day's partitions
  tables.round(hellos, 0, nullptr);
  tables.round(std::span(warm).first(1), 0, nullptr);
  std::vector<Figures> figures(hubs.size());
  Figures bare;
  std::vector<double> ratios;
  for (auto& [name, hub] : hubs) {
    hub->round(hellos, 0, nullptr);
    hub->round(warm, 0, nullptr);
  }
  std::vector<hub::StoreTotals> before;
  for (auto& [name, hub] : hubs) before.push_back(hub->totals());
  for (int round = 0; round < setting.rounds; ++round) {
    const auto first = fleet.next();
    const auto messages = fleet.round();
    for (std::size_t i = 0; i < hubs.size(); ++i) {
      hubs[i].second->round(messages, fleet.records(), &figures[i]);
    }
    if (setting.engines == "sqlite") continue;
    side_by_side(copies.size(), fleet.records(), &bare, [&](std::size_t i, auto& transactions) {
      copies[i]->round(fleet, first, fleet.next(), transactions);
    });
    ratios.push_back(100 * figures.back().rates.back() / bare.rates.back());
  }
  for (std::size_t i = 0; i < hubs.size(); ++i) {
    const bool postgres = hubs[i].first == "PostgreSQL";
    show("store alone, " + hubs[i].first, figures[i], postgres ? ">= 60,000/s" : ">= 40,000/s",
         postgres ? 60'000 : 40'000);
    bytes_a_record("store alone, " + hubs[i].first, before[i], hubs[i].second->totals());
  }
  if (ratios.empty()) return;
  auto db = postgres::Connection::open({.url = url});
  if (!db) give_up(db.error().context);
  (*db)->rows(
      "SELECT 100.0::float8 * n_tup_hot_upd / greatest(n_tup_upd, 1),"
      " pg_total_relation_size(relid)::float8 / 1048576 FROM pg_stat_user_tables"
      " WHERE relname = 'streams'",
      [](const sql::Row& sql_row) {
        row("streams: updated within their page", "", format("%.0f %%", sql_row.number(0)), true);
        row("streams: on disk", "", format("%.1f MiB", sql_row.number(1)), true);
      });
  show("bare COPY of the same rows", bare, "", 0);
  row("store on PostgreSQL, of bare COPY, same run", ">= 40 %", format("%.0f %%", median(ratios)),
      median(ratios) >= 40);
}

}  // namespace
}  // namespace lapwing::bench

int main(int argc, char** argv) {
  using namespace lapwing::bench;
  Setting setting;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto number = static_cast<std::size_t>(std::atoll(argv[i + 1]));
    if (name == "--devices") {
      setting.devices = number;
    } else if (name == "--batch") {
      setting.batch = number;
    } else if (name == "--records") {
      setting.records = number;
    } else if (name == "--rounds") {
      setting.rounds = static_cast<int>(number);
    } else if (name == "--lanes") {
      setting.lanes = number;
    } else if (name == "--engines") {
      setting.engines = argv[i + 1];
    } else {
      give_up(
          "usage: bench_store [--devices N] [--batch N] [--records N] [--rounds N] [--lanes N]"
          " [--engines both|sqlite|postgres]");
    }
  }
  measure(setting);
}
