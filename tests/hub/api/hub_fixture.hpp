// SPDX-License-Identifier: Apache-2.0
/// A hub's API on a real store behind a real TLS server, without a broker: records are put straight
/// into the store, as ingest does after a commit.
#pragma once

#include "hub/api/api.hpp"
#include "hub/fleet/tokens.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/sqlite_store.hpp"
#include "hub/web/web.hpp"
#include "shared/base/metrics.hpp"
#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/wire/codec.hpp"
#include "tests/support/pki.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lapwing::hub {

class HubFixture : public ::testing::Test {
 protected:
  HubFixture()
      : store_(open_sqlite_store(folder_.path() / "hub.db").value()),
        enrolment_(*store_,
                   trust::Authority::create("test", {now(), std::chrono::hours(240)}).value()) {}

  void SetUp() override {
    api_ = std::make_unique<Api>(
        ApiParts{.store = *store_,
                 .feed = feed_,
                 .enrolment = enrolment_,
                 .metrics = metrics_,
                 .readiness = {store_watch_, [this] { return ingest_ready_.load(); }},
                 .peers = [this] { return peers_; }},
        ApiOptions{.mqtt_host = "hub.example", .mqtt_port = 8883, .failures_max = 5});
    http::Router router;
    api_->add_routes(router);
    router.add_files(web_files());
    const auto identity = pki_.server("server", {"127.0.0.1", "localhost"});
    auto server =
        http::Server::start({.tls = http::TlsFiles{identity.certificate_file, identity.key_file},
                             .workers = 4,
                             .metrics = &metrics_},
                            std::move(router));
    ASSERT_TRUE(server) << server.error().context;
    server_ = *std::move(server);
    read_token_ = token({"read"});
  }

  std::string token(std::vector<std::string> scopes, const std::string& tenant = "acme") {
    auto made = create_token(
        *store_, {.tenant = tenant, .name = "test", .scopes = std::move(scopes)}, "test", now());
    EXPECT_TRUE(made);
    return made->secret.reveal();
  }

  [[nodiscard]] std::string url() const {
    return "https://127.0.0.1:" + std::to_string(server_->port());
  }
  [[nodiscard]] http::Client client(const std::string& bearer) const {
    return http::Client({.origin = http::parse_origin(url()).value(),
                         .ca_file = pki_.ca_file(),
                         .bearer = Secret<std::string>(bearer)});
  }
  http::Response get(const std::string& target) { return get(target, read_token_); }
  http::Response get(const std::string& target, const std::string& bearer) {
    auto response = client(bearer).get(target);
    EXPECT_TRUE(response) << target << ": " << response.error().context;
    return response ? *response : http::Response{.status = 0};
  }
  http::Response post(const std::string& target, const std::string& bearer,
                      const std::string& body) {
    auto response = client(bearer).post(target, body);
    EXPECT_TRUE(response) << target << ": " << response.error().context;
    return response ? *response : http::Response{.status = 0};
  }

  void enrol(const std::string& device, const std::string& tenant = "acme") {
    ASSERT_TRUE(store_->register_device({{tenant, device}, now(), "0a", std::nullopt}));
  }

  wire::AnomalyRecord anomaly(std::uint64_t id, wire::Phase phase = wire::Phase::opened,
                              const std::string& stream = "plant/pump/vibration") {
    wire::AnomalyRecord record{.id = id,
                               .phase = phase,
                               .severity = wire::Severity::major,
                               .reason = wire::Reason::unusual,
                               .stream = stream,
                               .watch = "pump",
                               .detector = "auto",
                               .onset = onset_ + std::chrono::seconds(id),
                               .peak_time = onset_ + std::chrono::seconds(id + 1),
                               .peak_score = 2.5,
                               .peak_value = 4.25,
                               .band = {1, 0.5, 1.5},
                               .text = "higher than usual",
                               .contributions = {{stream, 1}},
                               .tags = {{"site", "plant"}}};
    if (phase == wire::Phase::closed) record.end = onset_ + std::chrono::seconds(id + 2);
    return record;
  }

  wire::SummaryRecord summary(int minute, const std::string& stream = "plant/pump/vibration") {
    const auto begin = onset_ + std::chrono::minutes(minute);
    return {.stream = stream,
            .watch = "pump",
            .begin = begin,
            .end = begin + std::chrono::minutes(1),
            .readings = 60,
            .value_min = 0.5,
            .value_mean = 1,
            .value_max = 1.5,
            .score_max = 0.5,  // score_mean stays unknown
            .band = {1, 0.5, 1.5},
            .tags = {{"site", "plant"}}};
  }

  /// Stores records in order as ingest would, and wakes the feed. Of a loss, the length of its
  /// range counts; it takes the next numbers.
  void put(const std::string& device, const std::vector<wire::RecordBody>& bodies,
           const std::string& tenant = "acme") {
    const DeviceKey key{tenant, device};
    auto transaction = store_->begin_ingest().value();
    auto state = transaction->device(key).value().sync;
    state.epoch = 1;
    ASSERT_TRUE(transaction->save_sync(key, state));
    std::vector<IncomingRecord> records;
    for (const auto& body : bodies) {
      const auto seq = seq_[key] + 1;
      const auto* loss = std::get_if<wire::LossRecord>(&body);
      const auto last = loss == nullptr ? seq : seq + loss->seq_last - loss->seq_first;
      records.push_back({.seq = seq,
                         .seq_last = last,
                         .record_class = wire::class_of(body),
                         .hash = seq,
                         .body = &body});
      seq_[key] = last;
    }
    ASSERT_TRUE(transaction->store(key, 1, now(), records));
    state.watermark = seq_[key];
    ASSERT_TRUE(transaction->save_sync(key, state));
    const auto newest = transaction->commit();
    ASSERT_TRUE(newest);
    feed_.grew(*newest);
  }

  lapwing::testing::TempDir folder_;
  lapwing::testing::Pki pki_;
  const Time onset_ = from_rfc3339("2026-11-24T08:00:00Z").value();
  Metrics metrics_;
  Feed feed_;
  std::atomic<bool> ingest_ready_{true};
  std::vector<PeerState> peers_;
  std::map<DeviceKey, std::uint64_t> seq_;
  std::unique_ptr<Store> store_;
  StoreWatch store_watch_{[this] { return static_cast<bool>(store_->check()); }};
  Enrolment enrolment_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<http::Server> server_;
  std::string read_token_;
};

}  // namespace lapwing::hub
