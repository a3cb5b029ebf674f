// SPDX-License-Identifier: Apache-2.0
/// bench_lists [--anomalies N] [--calls N] [--url URL]: the lists that the page and the API ask of
/// a store on PostgreSQL with so many anomalies (10 million: 8 GB of disk, some minutes to make).
/// Each query many times with other arguments, over the interface that the API uses. `--url`: a
/// database that an earlier run has filled, else a server of its own.
#include "hub/store/postgres_store.hpp"
#include "shared/postgres/connection.hpp"
#include "tests/bench/support.hpp"
#include "tests/support/postgres.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace lapwing::bench {
namespace {

constexpr std::int64_t kNewest = 1'790'000'000'000'000;
constexpr std::int64_t kDay = 86'400'000'000;

/// Five tenants, the first with four fifths of 1,000 devices; anomalies over 180 days, one in 200
/// open, one in 1,000 critical, one in 100,000 of the reason `clock`; a feed of 100,000 steps; a
/// device of 5,000 streams, each with a summary a minute of `:history` minutes.
const std::string kFill = R"sql(
INSERT INTO tenants(tenant_no, tenant) SELECT i, 'tenant-' || i FROM generate_series(1, 5) i;
INSERT INTO devices(tenant_no, device_no, device, enrolled_at, certificate_serial, stored, streams,
  anomalies_open)
 SELECT CASE WHEN i % 5 < 4 THEN 1 ELSE 2 + (i / 5) % 4 END, i, 'edge-' || i, 0, '01', 1000000,
  CASE i WHEN 1 THEN 5000 ELSE 100 END, 50 FROM generate_series(1, 1000) i;
INSERT INTO streams(tenant_no, device_no, stream_no, stream, watch, last_time)
 SELECT tenant_no, device_no, s, 'plant' || device_no % 20 || '/pump' || s || '/vibration', 'pumps', 0
 FROM devices, generate_series(1, streams) s;
INSERT INTO anomalies(tenant_no, device_no, id, phase, epoch, seq, severity, reason, stream, watch,
  detector, onset, peak_time, end_us, peak_score, peak_value, expected, lower, upper, text,
  contributions, tags, received_at, updated_at)
 SELECT CASE WHEN d % 5 < 4 THEN 1 ELSE 2 + (d / 5) % 4 END, d, i,
  CASE WHEN b % 1000 < 5 THEN 1 + b % 2 ELSE 3 END, 1, i,
  CASE WHEN b / 1000 % 1000 < 1 THEN 3 WHEN b / 1000 % 1000 < 200 THEN 2 ELSE 1 END,
  CASE WHEN c % 100000 < 1 THEN 7 WHEN c % 100 < 1 THEN 2 WHEN c % 100 < 4 THEN 3
   WHEN c % 100 < 9 THEN 4 ELSE 1 END,
  'plant' || d % 20 || '/pump' || c / 7 % 500 || '/vibration', 'pumps', 'auto', t, t + 1000000,
  t + 10000000, 3, 9, 2.5, 1, 4, 'vibration far above its band', '', '', t, t + 10000000
 FROM (SELECT i, 1 + abs(hashint8(i)::bigint) % 1000 AS d, abs(hashint8(i * 7)::bigint) AS b,
  abs(hashint8(i * 13)::bigint) AS c, 1790000000000000 - (:n - i) * (15552000000000 / :n) AS t
  FROM generate_series(1::bigint, :n) i) AS x;
INSERT INTO feed SELECT tenant_no, 100000 - :n + anomaly_no, anomaly_no, 1 FROM anomalies
 WHERE anomaly_no > :n - 100000;
UPDATE meta SET value = 100000 WHERE key = 'feed_seq';
)sql";

std::string filled(std::string sql, std::size_t anomalies) {
  for (auto at = sql.find(":n"); at != std::string::npos; at = sql.find(":n", at)) {
    sql.replace(at, 2, std::to_string(anomalies));
  }
  return sql;
}

void fill(const std::string& url, std::size_t anomalies) {
  auto db = postgres::Connection::open({.url = url, .statement_timeout = Micros(0)});
  if (!db) give_up(db.error().context);
  const double began = seconds_now();
  (*db)->script(filled(kFill, anomalies));
  // The device of many streams: four hours of them, in a day among thirty.
  for (int day = 0; day < 30; ++day) {
    const auto begin = std::to_string((kNewest / kDay - day) * kDay);
    const auto name = "history_d" + std::to_string(kNewest / kDay - day);
    (*db)->script("CREATE TABLE IF NOT EXISTS " + name + " PARTITION OF history FOR VALUES FROM (" +
                  begin + ") TO (" + begin + " + 86400000000)");
  }
  (*db)->script(
      "INSERT INTO history SELECT 1790000000000000 / 86400000000 * 86400000000 + m * "
      "60000000::bigint,"
      " 1, 1, 1790000000000000 / 86400000000 * 1440 + m, s, 1790000000000000 / 86400000000 *"
      " 86400000000 + m * 60000000::bigint, 1790000000000000 / 86400000000 * 86400000000 + (m + 1)"
      " * 60000000::bigint, 10, 1, 2, 3, 0.2, 0.7, 2, 1, 4 FROM generate_series(0, 239) m,"
      " generate_series(1, 5000) s");
  (*db)->script("VACUUM ANALYZE");
  if ((*db)->failed()) give_up((*db)->failure().context);
  (*db)->rows("SELECT pg_database_size(current_database())::float8 / 1e9",
              [&](const sql::Row& sql_row) {
                std::printf("%zu anomalies, %.1f GB, made in %.0f s\n", anomalies,
                            sql_row.number(0), seconds_now() - began);
              });
}

class Lists {
 public:
  Lists(hub::Store& store, int calls) : store_(store), calls_(calls) {}

  void run() {
    using hub::AnomalyFilter;
    const auto filtered = [this](const std::string& name, auto&& make) {
      measure(name, [this, make] {
        const AnomalyFilter filter = make();
        return count(store_.anomalies("tenant-1", filter, {.limit = 100}));
      });
    };
    filtered("anomalies, newest", [] { return AnomalyFilter{}; });
    measure("anomalies, next page somewhere", [this] {
      hub::PageRequest page{.limit = 100};
      const AnomalyFilter filter{.to = some_time()};
      page.cursor = store_.anomalies("tenant-1", filter, page)->next_cursor.value_or("");
      return count(store_.anomalies("tenant-1", {}, page));
    });
    measure("anomalies of the smallest tenant",
            [this] { return count(store_.anomalies("tenant-3", {}, {.limit = 1000})); });
    filtered("anomalies of a device", [this] { return AnomalyFilter{.device = some_device()}; });
    filtered("anomalies of a stream", [this] { return AnomalyFilter{.stream = some_stream()}; });
    filtered("anomalies of a device's stream",
             [this] { return AnomalyFilter{.device = some_device(), .stream = some_stream()}; });
    filtered("anomalies, open", [] { return AnomalyFilter{.open = true}; });
    filtered("anomalies of a device, open",
             [this] { return AnomalyFilter{.device = some_device(), .open = true}; });
    filtered("anomalies, critical",
             [] { return AnomalyFilter{.severity = wire::Severity::critical}; });
    filtered("anomalies, critical and open",
             [] { return AnomalyFilter{.open = true, .severity = wire::Severity::critical}; });
    filtered("anomalies of a device, critical", [this] {
      return AnomalyFilter{.device = some_device(), .severity = wire::Severity::critical};
    });
    filtered("anomalies of a stream, critical", [this] {
      return AnomalyFilter{.stream = some_stream(), .severity = wire::Severity::critical};
    });
    filtered("anomalies, for a rare reason",
             [] { return AnomalyFilter{.reason = wire::Reason::clock}; });
    filtered("anomalies of a device, for a rare reason", [this] {
      return AnomalyFilter{.device = some_device(), .reason = wire::Reason::clock};
    });
    filtered("anomalies of a day", [this] {
      const auto from = some_time();
      return AnomalyFilter{.from = from, .to = from + std::chrono::hours(24)};
    });
    filtered("anomalies of a day, critical", [this] {
      const auto from = some_time();
      return AnomalyFilter{
          .severity = wire::Severity::critical, .from = from, .to = from + std::chrono::hours(24)};
    });
    filtered("anomalies of a day of a device", [this] {
      const auto from = some_time();
      return AnomalyFilter{
          .device = some_device(), .from = from, .to = from + std::chrono::hours(24)};
    });
    measure("an anomaly", [this] {
      const auto page = store_.anomalies("tenant-1", {.to = some_time()}, {.limit = 1});
      if (page->items.empty()) return true;
      const auto& one = page->items[0];
      return store_.anomaly({"tenant-1", one.device}, one.record.id).has_value();
    });
    measure("feed, newest 100", [this] {
      return store_.feed("tenant-1", {.after = 99'800, .limit = 100}).has_value();
    });
    measure("feed, somewhere", [this] {
      const auto after = random_() % 90'000;
      return store_.feed("tenant-1", {.after = after, .limit = 100}).has_value();
    });
    measure("feed of a device, resumed 1,000 steps ago", [this] {
      return store_.feed("tenant-1", {.after = 99'000, .device = some_device(), .limit = 100})
          .has_value();
    });
    measure("feed of a device, resumed 100,000 steps ago", [this] {
      return store_.feed("tenant-1", {.device = some_device(), .limit = 100}).has_value();
    });
    measure("feed, its bounds", [this] { return store_.feed_bounds("tenant-1").has_value(); });
    measure("devices", [this] { return count(store_.devices("tenant-1", {.limit = 100})); });
    measure("devices, 1,000 at once",
            [this] { return count(store_.devices("tenant-1", {.limit = 1000})); });
    measure("streams of a device of 5,000", [this] {
      return count(store_.streams({"tenant-1", "edge-1"}, {.limit = 100}));
    });
    measure("history of one of 5,000 streams, newest 1,000", [this] {
      const auto stream = "plant1/pump" + std::to_string(1 + random_() % 5000) + "/vibration";
      const auto got = store_.history({"tenant-1", "edge-1"}, {.stream = stream});
      return got && got->points.size() >= 240;
    });
    measure("totals", [this] { return store_.totals().has_value(); });
  }

 private:
  static bool count(const auto& page) { return page.has_value(); }
  std::string some_device() {
    return "edge-" + std::to_string(1 + random_() % 200 * 5 + random_() % 3);
  }
  std::string some_stream() {
    return "plant" + std::to_string(random_() % 20) + "/pump" + std::to_string(random_() % 500) +
           "/vibration";
  }
  Time some_time() {
    return from_micros(kNewest - static_cast<std::int64_t>(random_() % 170) * kDay);
  }

  void measure(const std::string& name, const std::function<bool()>& call) {
    std::vector<double> milliseconds;
    for (int i = 0; i < calls_; ++i) {
      const double began = seconds_now();
      if (!call()) give_up(name + ": refused, or not what is there");
      milliseconds.push_back((seconds_now() - began) * 1e3);
    }
    std::sort(milliseconds.begin(), milliseconds.end());
    const auto at = [&](double share) {
      const auto i = static_cast<std::size_t>(share * static_cast<double>(milliseconds.size()));
      return milliseconds[std::min(i, milliseconds.size() - 1)];
    };
    char text[80];
    std::snprintf(text, sizeof text, "p50 %.1f ms, p99 %.1f ms", at(0.5), at(0.99));
    row(name, "p99 < 50 ms", text, at(0.99) < 50);
  }

  hub::Store& store_;
  int calls_;
  std::minstd_rand random_{7};
};

void measure(std::size_t anomalies, int calls, const std::string& given) {
  if (!given.empty()) {
    auto store = hub::open_postgres_store({.connection = {.url = given}});
    if (!store) give_up(store.error().context);
    Lists(**store, calls).run();
    return;
  }
  lapwing::testing::PostgresServer server(
      "shared_buffers = 1GB\nmax_wal_size = 4GB\nmaintenance_work_mem = 256MB\n");
  if (!server.start()) give_up("PostgreSQL does not start: " + server.log());
  const auto url = server.new_database();
  auto store = hub::open_postgres_store({.connection = {.url = url}});
  if (!store) give_up(store.error().context);
  fill(url, anomalies);
  Lists(**store, calls).run();
}

}  // namespace
}  // namespace lapwing::bench

int main(int argc, char** argv) {
  using namespace lapwing::bench;
  std::size_t anomalies = 1'000'000;
  int calls = 300;
  std::string url;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto number = std::atoll(argv[i + 1]);
    if (name == "--anomalies") {
      anomalies = static_cast<std::size_t>(number);
    } else if (name == "--calls") {
      calls = static_cast<int>(number);
    } else if (name == "--url") {
      url = argv[i + 1];
    } else {
      give_up("usage: bench_lists [--anomalies N] [--calls N] [--url URL]");
    }
  }
  measure(anomalies, calls, url);
}
