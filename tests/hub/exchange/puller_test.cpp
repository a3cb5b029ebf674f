// SPDX-License-Identifier: Apache-2.0
/// Two hubs' APIs over TLS, one taking from the other.
#include "hub/exchange/puller.hpp"

#include "hub/exchange/pull.hpp"
#include "tests/hub/api/hub_fixture.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace lapwing::hub {
namespace {

using lapwing::testing::eventually;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

/// A region: store, API, server.
class Region : public HubFixture {
 public:
  Region() { SetUp(); }
  void TestBody() override {}

  using HubFixture::enrol;
  using HubFixture::put;
  using HubFixture::token;
  void put_anomaly(const std::string& device, std::uint64_t id, wire::Phase phase) {
    put(device, {anomaly(id, phase)});
  }
  void put_anomalies(const std::string& device, std::uint64_t first, std::uint64_t count) {
    std::vector<wire::RecordBody> bodies;
    for (auto id = first; id < first + count; ++id) bodies.emplace_back(anomaly(id));
    put(device, bodies);
  }
  [[nodiscard]] PeerConfig as_peer(const std::string& name, const std::string& bearer) const {
    return {.peer = {"acme", name},
            .origin = http::parse_origin(url()).value(),
            .token = Secret<std::string>(bearer),
            .ca_file = pki_.ca_file(),
            .every = 50ms};
  }
  [[nodiscard]] std::unique_ptr<Puller> pull(const PeerConfig& peer) {
    return std::make_unique<Puller>(
        std::vector{peer},
        PullLease{.take = [this](const std::string&, Micros) { return may_pull.load(); },
                  .release = [](const std::string&) {}},
        *store_, feed_, metrics_);
  }
  /// device/id -> phase
  std::map<std::string, int> view() {
    std::map<std::string, int> all;
    PageRequest page{.limit = 1000};
    for (;;) {
      const auto got = store_->anomalies("acme", {}, page);
      EXPECT_TRUE(got);
      for (const auto& row : got->items) {
        all[row.device + "/" + std::to_string(row.record.id)] = static_cast<int>(row.record.phase);
      }
      if (!got->next_cursor) return all;
      page.cursor = *got->next_cursor;
    }
  }
  void cut_off() { server_->stop(); }
  void back() {
    const auto port = server_->port();
    server_.reset();
    http::Router router;
    api_->add_routes(router);
    const auto identity = pki_.server("again", {"127.0.0.1", "localhost"});
    auto server =
        http::Server::start({.port = port,
                             .tls = http::TlsFiles{identity.certificate_file, identity.key_file},
                             .workers = 4},
                            std::move(router));
    ASSERT_TRUE(server) << server.error().context;
    server_ = *std::move(server);
  }
  Store& store() { return *store_; }
  Feed& feed() { return feed_; }
  Metrics& metrics() { return metrics_; }
  http::Client client_with(const std::string& bearer) { return client(bearer); }

  std::atomic<bool> may_pull{true};
};

class PullerTest : public ::testing::Test {
 protected:
  PullerTest() {
    eu_.enrol("press-1");
    token_ = eu_.token({"export"});
  }

  /// Pages of the European region, as `change` makes them; counts what is asked.
  Pull::Fetch fetch(std::function<void(http::Response&)> change = nullptr) {
    return [this, change](const std::string& target, const std::string& etag) {
      http::RequestOptions how;
      if (!etag.empty()) how.headers.emplace_back("If-None-Match", etag);
      auto answer = eu_.client_with(token_).request(http::Method::get, target, {}, how);
      if (answer) asked_.emplace_back(target, answer->status);
      if (answer && change) change(*answer);
      return answer;
    };
  }
  Pull pull(Pull::Fetch fetch) {
    return Pull({"acme", "eu"}, us_.store().exchange(), us_.feed(), us_.metrics(),
                std::move(fetch));
  }
  static bool always() { return true; }

  Region eu_;
  Region us_;
  std::string token_;
  std::vector<std::pair<std::string, unsigned>> asked_;
};

TEST_F(PullerTest, ShowsARegionAsItIs) {
  eu_.put_anomalies("press-1", 1, 3);
  std::atomic<std::uint64_t> grew{0};
  const auto listening = us_.feed().listen([&](std::uint64_t newest) { grew = newest; });
  const auto puller = us_.pull(eu_.as_peer("eu", token_));
  ASSERT_TRUE(eventually([&] { return us_.view().size() == 3; }));
  EXPECT_GT(grew, 0U) << "followers of the live feed are told";
  EXPECT_EQ(us_.store().device({"acme", "press-1"})->region, "eu");
  eu_.put_anomaly("press-1", 2, wire::Phase::closed);
  eu_.enrol("press-2");
  eu_.put_anomalies("press-2", 9, 1);
  ASSERT_TRUE(eventually([&] { return us_.view() == eu_.view() && us_.view().size() == 4; }));
  ASSERT_TRUE(eventually([&] { return puller->states().at(0).lag < 2s; }));
  EXPECT_EQ(puller->states().at(0).trouble, "");
  EXPECT_TRUE(us_.store().exchange().regions("acme")->at(0).complete_at);
}

TEST_F(PullerTest, GoesOnWhereItWasEnded) {
  eu_.put_anomalies("press-1", 1, 1'200);
  {
    auto first = pull(fetch());
    int pages = 0;
    const auto done =
        first.round(now(), [&] { return ++pages <= 2; });  // before ledgers, before a page
    ASSERT_TRUE(done) << done.error().context;
    EXPECT_FALSE(*done);
  }
  EXPECT_EQ(us_.view().size(), 500U);
  eu_.put_anomaly("press-1", 1, wire::Phase::closed);
  asked_.clear();
  auto second = pull(fetch());
  const auto done = second.round(now(), always);
  ASSERT_TRUE(done) << done.error().context;
  EXPECT_TRUE(*done);
  EXPECT_EQ(us_.view(), eu_.view());
  EXPECT_LE(asked_.size(), 6U) << "what was taken is not asked for again";
}

TEST_F(PullerTest, WhatDidNotChangeIsNotSentAgain) {
  eu_.put_anomalies("press-1", 1, 2);
  auto puller = pull(fetch());
  ASSERT_TRUE(puller.round(now(), always));
  asked_.clear();
  ASSERT_TRUE(puller.round(now(), always));
  ASSERT_EQ(asked_.size(), 3U);
  EXPECT_EQ(asked_[0].second, 304U);
  EXPECT_EQ(asked_[1].second, 304U);
}

TEST_F(PullerTest, TwoRegionsTakeFromEachOther) {
  us_.enrol("press-9");
  eu_.put_anomalies("press-1", 1, 2);
  us_.put_anomalies("press-9", 100, 2);
  const auto to_us = us_.pull(eu_.as_peer("eu", token_));
  const auto to_eu = eu_.pull(us_.as_peer("us", us_.token({"export"})));
  ASSERT_TRUE(eventually([&] { return us_.view().size() == 4 && eu_.view().size() == 4; }));
  // The device goes to the other region, which ends what began here.
  us_.put_anomaly("press-1", 1, wire::Phase::closed);
  ASSERT_TRUE(eventually([&] { return eu_.view().at("press-1/1") == 3; }));
  EXPECT_EQ(us_.view(), eu_.view());
  EXPECT_EQ(eu_.store().anomaly({"acme", "press-1"}, 1)->region, "us");
  EXPECT_EQ(us_.store().anomaly({"acme", "press-1"}, 1)->region, "");
  const auto still = eu_.store().feed_bounds("acme")->newest;
  std::this_thread::sleep_for(300ms);  // several rounds: nothing goes to and fro
  EXPECT_EQ(eu_.store().feed_bounds("acme")->newest, still);
}

TEST_F(PullerTest, ATokenWithoutTheScopeIsRefused) {
  const auto puller = us_.pull(eu_.as_peer("eu", eu_.token({"read"})));
  ASSERT_TRUE(eventually([&] { return puller->states().at(0).trouble == "denied"; }));
  EXPECT_THAT(us_.metrics().text(), HasSubstr("lapwing_hub_peer_errors_total{reason=\"denied\""));
  EXPECT_TRUE(us_.store().exchange().regions("acme")->empty());
}

TEST_F(PullerTest, ARegionMayBeAwayAndComeBack) {
  const auto puller = us_.pull(eu_.as_peer("eu", token_));
  eu_.put_anomalies("press-1", 1, 1);
  ASSERT_TRUE(eventually([&] { return us_.view().size() == 1; }));
  eu_.cut_off();
  ASSERT_TRUE(eventually([&] { return puller->states().at(0).trouble == "io"; }));
  eu_.put_anomalies("press-1", 2, 5);
  us_.enrol("press-9");
  us_.put_anomalies("press-9", 50, 1);  // nothing waits for it
  const auto lag = puller->states().at(0).lag;
  ASSERT_NO_FATAL_FAILURE(eu_.back());
  ASSERT_TRUE(eventually([&] { return us_.view().size() == 7; }));
  ASSERT_TRUE(eventually([&] { return puller->states().at(0).lag < lag + 1s; }));
}

TEST_F(PullerTest, OneReplicaPulls) {
  us_.may_pull = false;
  eu_.put_anomalies("press-1", 1, 1);
  const auto puller = us_.pull(eu_.as_peer("eu", token_));
  EXPECT_FALSE(puller->states().at(0).pulling);
  EXPECT_TRUE(us_.view().empty());
}

TEST_F(PullerTest, GarbageIsRefusedRowByRow) {
  eu_.put_anomalies("press-1", 1, 3);
  auto puller = pull(fetch([](http::Response& answer) {
    const auto second = answer.body.find("\"0000000000000002\"");
    if (second != std::string::npos) answer.body.replace(second + 1, 16, "not an identity!");
  }));
  const auto done = puller.round(now(), always);
  ASSERT_TRUE(done) << done.error().context;
  EXPECT_EQ(us_.view().size(), 2U);
  EXPECT_THAT(us_.metrics().text(),
              HasSubstr("kind=\"anomalies\",outcome=\"refused\",region=\"eu\",tenant=\"acme\"} 1"));
}

TEST_F(PullerTest, APageThatWasCutOffIsNotTaken) {
  eu_.put_anomalies("press-1", 1, 3);
  for (const std::size_t cut : {1U, 40U}) {
    auto puller = pull(fetch([&](http::Response& answer) {
      answer.body.resize(answer.body.size() - std::min(cut, answer.body.size()));
    }));
    const auto done = puller.round(now(), always);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::corrupt);
    EXPECT_TRUE(us_.view().empty());
  }
}

TEST_F(PullerTest, AnotherTenantsRowsAreRefused) {
  token_ = eu_.token({"export"}, "others");
  auto puller = pull(fetch());
  const auto done = puller.round(now(), always);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::denied);
  EXPECT_THAT(done.error().context, HasSubstr("tenant others"));
}

TEST_F(PullerTest, ACursorThatIsNotKnownThereBeginsAnew) {
  eu_.put_anomalies("press-1", 1, 3);
  ASSERT_TRUE(us_.store().exchange().take({"acme", "eu"}, ExchangeKind::anomalies, {}, "what",
                                          false, now()));
  auto puller = pull(fetch());
  const auto done = puller.round(now(), always);
  ASSERT_TRUE(done) << done.error().context;
  EXPECT_EQ(us_.view().size(), 3U);
}

TEST_F(PullerTest, EndsThoughTheRegionSaysNothing) {
  // It accepts connections and never answers.
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  auto peer = eu_.as_peer("eu", token_);
  peer.origin = {.tls = false, .host = "127.0.0.1", .port = ntohs(address.sin_port)};
  auto puller = us_.pull(peer);
  const int connection = ::accept(listener, nullptr, nullptr);
  const auto began = ticks_now();
  puller.reset();
  EXPECT_LT(ticks_now() - began, 2s);
  ::close(connection);
  ::close(listener);
}

}  // namespace
}  // namespace lapwing::hub
