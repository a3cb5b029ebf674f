// SPDX-License-Identifier: Apache-2.0
/// The API over TLS: who may ask, what is answered, the live feed.
#include "hub/api/auth.hpp"
#include "hub/api/feed_pump.hpp"
#include "tests/hub/api/hub_fixture.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <thread>

namespace lapwing::hub {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class HubApi : public HubFixture {
 protected:
  json body(const std::string& target) {
    const auto response = get(target);
    EXPECT_EQ(response.status, 200U) << target << ": " << response.body;
    return json::parse(response.body);
  }
  std::vector<std::string> ids(const std::string& query) {
    std::vector<std::string> list;
    const auto page = body("/api/v1/anomalies" + query);
    for (const auto& item : page["items"]) {
      list.push_back(item["id"].get<std::string>().substr(15));
    }
    return list;
  }

  struct Step {
    std::string seq;
    std::string id;
    std::string phase;
  };
  /// Follows from `after` until `count` events were seen.
  std::vector<Step> follow(std::size_t count, const std::string& after,
                           const std::string& query = "", bool* gap = nullptr) {
    std::vector<Step> steps;
    const auto done =
        client(read_token_)
            .events("/api/v1/feed" + query, after, {.on_event = [&](const http::Event& event) {
                      if (event.name == "gap" && gap != nullptr) *gap = true;
                      if (event.name == "anomaly") {
                        const auto item = json::parse(event.data);
                        steps.push_back(
                            {event.id, item["id"].get<std::string>().substr(15), item["phase"]});
                      }
                      return steps.size() < count;
                    }});
    EXPECT_TRUE(done) << done.error().context;
    return steps;
  }
};

// --- who may ask ---------------------------------------------------------------------------------

TEST_F(HubApi, RefusesThoseWithoutAValidToken) {
  for (const std::string bearer : {"", "x", "lwt_0123456789012345678901234567890123456789012"}) {
    const auto response = get("/api/v1/devices", bearer);
    EXPECT_EQ(response.status, 401U);
    EXPECT_EQ(response.content_type, "application/problem+json");
    EXPECT_THAT(std::string(response.header("www-authenticate").value_or("")), HasSubstr("Bearer"));
    EXPECT_THAT(response.body, Not(HasSubstr("lwt_0123")));
  }
}

TEST_F(HubApi, ScopesAreKept) {
  const auto enroller = token({"enrol"});
  EXPECT_EQ(get("/api/v1/devices", enroller).status, 403U);
  EXPECT_EQ(get("/api/v1/tokens").status, 403U);
  EXPECT_EQ(post("/api/v1/enrolments", read_token_, R"({"device":"d"})").status, 403U);
  EXPECT_EQ(post("/api/v1/enrolments", enroller, R"({"device":"d"})").status, 201U);
  EXPECT_EQ(get("/api/v1/export/anomalies").status, 403U);
  EXPECT_EQ(get("/api/v1/devices", token({"export"})).status, 403U);
  EXPECT_EQ(get("/api/v1/export/anomalies", token({"export"})).status, 200U);
  EXPECT_EQ(post("/api/v1/devices/d/revoke", read_token_, "").status, 403U);
  EXPECT_EQ(get("/api/v1/devices", token({"admin"})).status, 200U);
}

TEST_F(HubApi, BlocksGuessersButNotThoseWhoAreKnown) {
  EXPECT_EQ(get("/api/v1/devices").status, 200U);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get("/api/v1/devices", "guess").status, 401U);
  const auto blocked = get("/api/v1/devices", "guess");
  EXPECT_EQ(blocked.status, 429U);
  EXPECT_EQ(blocked.header("retry-after"), "60");
  EXPECT_EQ(get("/api/v1/devices").status, 200U);
  EXPECT_EQ(post("/api/v1/enrol", "", R"({"token":"x","csr":"y"})").status, 429U);
}

TEST(FailureLimiter, ForgetsAfterAWindowAndIsBounded) {
  FailureLimiter limiter(2);
  const Ticks t0{};
  limiter.failed("a", t0);
  EXPECT_FALSE(limiter.blocked("a", t0));
  limiter.failed("a", t0 + 1s);
  EXPECT_TRUE(limiter.blocked("a", t0 + 59s));
  EXPECT_FALSE(limiter.blocked("b", t0));
  EXPECT_FALSE(limiter.blocked("a", t0 + 60s));
  for (std::size_t i = 0; i < FailureLimiter::kAddressesMax + 10; ++i) {
    limiter.failed("x" + std::to_string(i), t0 + 2s);
  }
  EXPECT_FALSE(limiter.blocked("a", t0 + 3s)) << "the oldest was forgotten";
}

TEST_F(HubApi, TenantsSeeOnlyTheirOwn) {
  enrol("edge-1");
  enrol("theirs", "other");
  put("edge-1", {anomaly(1)});
  put("theirs", {anomaly(2)}, "other");
  const auto other = token({"admin"}, "other");
  EXPECT_EQ(body("/api/v1/devices")["items"].size(), 1U);
  EXPECT_THAT(ids(""), ElementsAre("1"));
  EXPECT_EQ(get("/api/v1/devices/theirs").status, 404U);
  EXPECT_EQ(get("/api/v1/anomalies/edge-1/1", other).status, 404U);
  EXPECT_EQ(post("/api/v1/devices/edge-1/revoke", other, "").status, 404U);
  EXPECT_EQ(follow(1, "0").front().id, "1");
}

TEST_F(HubApi, TokensAreShownOnceWorkAndEnd) {
  const auto admin = token({"admin"});
  const auto made =
      post("/api/v1/tokens", admin, R"({"name":"page","scopes":["read"],"expires_in_s":3600})");
  ASSERT_EQ(made.status, 201U) << made.body;
  EXPECT_EQ(made.header("cache-control"), "no-store");
  const auto row = json::parse(made.body);
  const std::string secret = row["token"];
  EXPECT_EQ(get("/api/v1/devices", secret).status, 200U);
  EXPECT_THAT(get("/api/v1/tokens", admin).body, Not(HasSubstr(secret)));
  const auto target = "/api/v1/tokens/" + row["id"].get<std::string>();
  EXPECT_EQ(client(admin).request(http::Method::del, target)->status, 204U);
  EXPECT_EQ(get("/api/v1/devices", secret).status, 401U);
  EXPECT_EQ(client(admin).request(http::Method::del, "/api/v1/tokens/none")->status, 404U);
  for (const auto* bad :
       {"", "[]", "{", "null", R"({"name":"n"})", R"({"name":"n","scopes":["all"]})",
        R"({"name":"","scopes":["read"]})", R"({"name":"n","scopes":[]})",
        R"({"name":"n","scopes":["read"],"expires_in_s":0})",
        R"({"name":"n","scopes":["read"],"expires_in_s":1e300})",
        R"({"name":"n","scopes":["read"],"more":1})",
        "{\"name\":\"\xff\",\"scopes\":[\"read\"]}"}) {
    EXPECT_EQ(post("/api/v1/tokens", admin, bad).status, 400U) << bad;
  }
  const std::string deep = std::string(20'000, '[') + std::string(20'000, ']');
  EXPECT_EQ(post("/api/v1/tokens", admin, deep).status, 400U);
  EXPECT_EQ(post("/api/v1/tokens", admin, std::string(100'000, ' ')).status, 413U);
}

TEST_F(HubApi, DeviceEnrolsOnceOverHttps) {
  const auto permit =
      json::parse(post("/api/v1/enrolments", token({"enrol"}), R"({"device":"edge-9"})").body);
  const auto key = trust::PrivateKey::generate().value();
  const json wanted{{"token", permit["token"]}, {"csr", trust::make_csr(key, "any").value()}};
  const auto answer = post("/api/v1/enrol", "", wanted.dump());
  ASSERT_EQ(answer.status, 200U) << answer.body;
  const auto enrolled = json::parse(answer.body);
  EXPECT_EQ(enrolled["tenant"], "acme");
  EXPECT_EQ(enrolled["device"], "edge-9");
  EXPECT_EQ(enrolled["mqtt"]["host"], "hub.example");
  EXPECT_EQ(enrolled["mqtt"]["port"], 8883);
  const auto certificate =
      trust::Certificate::from_pem(enrolled["certificate"].get<std::string>()).value();
  EXPECT_EQ(certificate.info().common_name, "acme/edge-9");
  EXPECT_EQ(post("/api/v1/enrol", "", wanted.dump()).status, 403U);
  EXPECT_EQ(body("/api/v1/devices/edge-9")["status"], "offline");
}

// --- what is answered ----------------------------------------------------------------------------

TEST_F(HubApi, ShowsWhatTheStoreKnows) {
  enrol("edge-1");
  put("edge-1", {summary(0), summary(1), anomaly(1)});
  const auto device = body("/api/v1/devices/edge-1");
  EXPECT_EQ(device["stored"], 3);
  EXPECT_EQ(device["anomalies_open"], 1);
  EXPECT_EQ(device["last_seen"], nullptr);
  const auto stream = body("/api/v1/devices/edge-1/streams")["items"][0];
  EXPECT_EQ(stream["stream"], "plant/pump/vibration");
  EXPECT_EQ(stream["tags"]["site"], "plant");
  const auto history =
      body("/api/v1/devices/edge-1/history?stream=plant/pump/vibration&from=2026-11-24T08:01:00Z");
  ASSERT_EQ(history["points"].size(), 1U);
  EXPECT_EQ(history["points"][0]["begin"], "2026-11-24T08:01:00.000000Z");
  EXPECT_EQ(history["points"][0]["score_mean"], nullptr) << "unknown is null";
  EXPECT_EQ(history["points"][0]["value_max"], 1.5);
  const auto one = body("/api/v1/anomalies/edge-1/1");
  EXPECT_EQ(one["state"], "open");
  EXPECT_EQ(one["severity"], "major");
  EXPECT_EQ(one["end"], nullptr);
}

TEST_F(HubApi, TellsWhatWasLostAndWhen) {
  enrol("edge-1");
  put("edge-1", {summary(0), summary(1), wire::LossRecord{wire::LossReason::quota, 1, 7}});
  auto losses = body("/api/v1/devices/edge-1/losses")["items"];
  ASSERT_EQ(losses.size(), 1U);
  EXPECT_EQ(losses[0]["to"], nullptr) << "open";
  put("edge-1", {summary(5), summary(6), wire::LossRecord{wire::LossReason::corrupt, 1, 1}});
  const auto page = body("/api/v1/devices/edge-1/losses?limit=1");
  EXPECT_EQ(page["items"][0]["reason"], "corrupt");
  losses = body("/api/v1/devices/edge-1/losses?limit=1&cursor=" +
                page["next_cursor"].get<std::string>())["items"];
  ASSERT_EQ(losses.size(), 1U);
  EXPECT_EQ(losses[0]["epoch"], 1);
  EXPECT_EQ(losses[0]["seq_first"], 3);
  EXPECT_EQ(losses[0]["seq_last"], 9);
  EXPECT_EQ(losses[0]["reason"], "quota");
  EXPECT_EQ(losses[0]["records"], 7);
  EXPECT_EQ(losses[0]["from"], "2026-11-24T08:02:00.000000Z");
  EXPECT_EQ(losses[0]["to"], "2026-11-24T08:06:00.000000Z");
  const auto gaps = body("/api/v1/devices/edge-1/history?stream=plant/pump/vibration")["gaps"];
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_EQ(gaps[0], json({{"from", "2026-11-24T08:02:00.000000Z"},
                           {"to", "2026-11-24T08:05:00.000000Z"},
                           {"reason", "quota"},
                           {"records", 7}}));
  const auto device = body("/api/v1/devices/edge-1");
  EXPECT_EQ(device["produced"], 12);
  EXPECT_EQ(device["stored"], 4);
  EXPECT_EQ(device["lost"], 8);
  EXPECT_EQ(device["outstanding"], 0);
  EXPECT_EQ(get("/api/v1/devices/none/losses").status, 404U);
  EXPECT_EQ(get("/api/v1/devices/edge-1/losses?cursor=x").status, 400U);
  EXPECT_EQ(get("/api/v1/devices/edge-1/losses", token({"read"}, "other")).status, 404U);
}

TEST_F(HubApi, TellsWhoDidWhatAndWhatCouldNotBeStored) {
  enrol("edge-1");
  const auto admin = token({"admin"});
  ASSERT_EQ(post("/api/v1/devices/edge-1/revoke", admin, "").status, 204U);
  {
    const DeviceKey key{"acme", "edge-1"};
    auto transaction = store_->begin_ingest().value();
    ASSERT_TRUE(transaction->device(key));
    ASSERT_TRUE(transaction->dead_letter(key, {1, 3, 77, "not a record", "\x01z", now()}));
    ASSERT_TRUE(transaction->commit());
  }
  const auto newest = json::parse(get("/api/v1/audit?limit=1", admin).body);
  EXPECT_EQ(newest["items"][0]["action"], "device.revoke");
  EXPECT_EQ(newest["items"][0]["subject"], "edge-1");
  EXPECT_FALSE(newest["next_cursor"].is_null()) << "the token was made before";
  const auto letter = json::parse(get("/api/v1/dead-letters", admin).body)["items"].at(0);
  EXPECT_EQ(letter["seq"], 3);
  EXPECT_EQ(letter["payload_hex"], "017a");
  EXPECT_EQ(get("/api/v1/audit").status, 403U) << "needs admin";
  EXPECT_EQ(get("/api/v1/dead-letters").status, 403U);
}

TEST_F(HubApi, FiltersAndPagesAnomalies) {
  enrol("a");
  enrol("b");
  put("a", {anomaly(1), anomaly(2), anomaly(2, wire::Phase::closed), anomaly(3)});
  put("b", {anomaly(4, wire::Phase::opened, "other")});
  EXPECT_THAT(ids(""), ElementsAre("4", "3", "2", "1"));
  EXPECT_THAT(ids("?device=a"), ElementsAre("3", "2", "1"));
  EXPECT_THAT(ids("?state=closed"), ElementsAre("2"));
  EXPECT_THAT(ids("?state=open&device=a&severity=major&reason=unusual"), ElementsAre("3", "1"));
  EXPECT_THAT(ids("?stream=other"), ElementsAre("4"));
  EXPECT_THAT(ids("?severity=minor"), ElementsAre());
  EXPECT_THAT(ids("?from=2026-11-24T08:00:02Z&to=2026-11-24T08:00:04Z"), ElementsAre("3", "2"));
  const auto first = body("/api/v1/anomalies?limit=3");
  EXPECT_EQ(first["items"].size(), 3U);
  EXPECT_THAT(ids("?limit=3&cursor=" + first["next_cursor"].get<std::string>()), ElementsAre("1"));
  EXPECT_EQ(body("/api/v1/anomalies?limit=4")["next_cursor"], nullptr);
}

TEST_F(HubApi, NamesWhatIsWrongInARequest) {
  enrol("a");
  const std::pair<const char*, const char*> bad[] = {
      {"/api/v1/devices?limit=0", "limit"},
      {"/api/v1/devices?limit=1001", "limit"},
      {"/api/v1/devices?limit=x", "limit"},
      {"/api/v1/devices?lmit=1", "lmit"},
      {"/api/v1/devices?limit=1&limit=2", "twice"},
      {"/api/v1/devices?cursor=!!", "cursor"},
      {"/api/v1/anomalies?state=ajar", "open, closed"},
      {"/api/v1/anomalies?severity=bad", "minor, major, critical"},
      {"/api/v1/anomalies?from=yesterday", "RFC 3339"},
      {"/api/v1/anomalies/a/xyz", "hexadecimal"},
      {"/api/v1/anomalies/a/11111111111111111", "hexadecimal"},
      {"/api/v1/devices/a/history", "stream"},
      {"/api/v1/devices/a/history?stream=s&limit=10001", "limit"},
      {"/api/v1/devices/a?x=1", "takes none"},
  };
  for (const auto& [target, word] : bad) {
    const auto response = get(target);
    EXPECT_EQ(response.status, 400U) << target;
    EXPECT_THAT(json::parse(response.body)["detail"].get<std::string>(), HasSubstr(word));
  }
  EXPECT_EQ(get("/api/v1/devices/%2e%2e%2fetc").status, 404U);
  EXPECT_EQ(get("/api/v1/devices/" + std::string(3'000, 'a')).status, 404U);
  EXPECT_EQ(get("/api/v1/none").status, 404U);
}

TEST_F(HubApi, SameAnswerIsNotSentTwice) {
  const auto first = get("/api/v1/devices");
  EXPECT_TRUE(first.header("etag"));
  enrol("a");
  EXPECT_NE(get("/api/v1/devices").header("etag"), first.header("etag"));
}

TEST_F(HubApi, HealthTellsWhetherItWorks) {
  EXPECT_EQ(get("/health/live", "").status, 200U);
  EXPECT_EQ(get("/health/ready", "").status, 200U);
  ingest_ready_ = false;
  const auto response = get("/health/ready", "");
  EXPECT_EQ(response.status, 503U);
  EXPECT_THAT(response.body, HasSubstr("broker"));
  EXPECT_THAT(get("/metrics", "").body, HasSubstr("lapwing_http_requests_total"));
}

TEST_F(HubApi, ServesThePageAndNothingBesideIt) {
  const auto page = get("/", "");
  EXPECT_EQ(page.status, 200U);
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("app.js"));
  EXPECT_EQ(get("/app.js", "").content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ(get("/vendor/uPlot-1.6.32.min.js", "").status, 200U);
  for (const auto* outside : {"/../hub.db", "/vendor/../../../hub.db", "/%2e%2e/hub.db",
                              "/static/index.html", "/vendor"}) {
    EXPECT_EQ(get(outside, "").status, 404U) << outside;
  }
}

// --- the live feed -------------------------------------------------------------------------------

TEST_F(HubApi, FeedResumesExactlyWhereItEnded) {
  enrol("a");
  put("a", {anomaly(1), anomaly(2), anomaly(1, wire::Phase::closed)});
  const auto first = follow(2, "0");
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].id + first[1].id, "12");
  put("a", {anomaly(3)});
  const auto rest = follow(2, first[1].seq);
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].id + rest[0].phase, "1closed");
  EXPECT_EQ(rest[1].id, "3");
}

TEST_F(HubApi, FeedIsLiveForManyAndFiltersByDevice) {
  enrol("a");
  enrol("b");
  put("a", {anomaly(1)});
  std::vector<std::thread> followers;
  std::atomic<int> open{0};
  std::atomic<int> right{0};
  for (int i = 0; i < 6; ++i) {
    followers.emplace_back([&, i] {
      const std::string query = i % 2 == 0 ? "?device=b" : "";
      std::string got;
      const auto done =
          client(read_token_)
              .events("/api/v1/feed" + query, "", {.on_event = [&](const http::Event& event) {
                        if (event.data.empty()) {
                          ++open;
                        } else {
                          got += json::parse(event.data)["id"].get<std::string>().back();
                        }
                        return got.size() < (i % 2 == 0 ? 1 : 2);
                      }});
      right += done && got == (i % 2 == 0 ? "3" : "23") ? 1 : 0;
    });
  }
  ASSERT_TRUE(lapwing::testing::eventually([&] { return open == 6; }));
  put("a", {anomaly(2)});
  put("b", {anomaly(3)});
  for (auto& follower : followers) follower.join();
  EXPECT_EQ(right, 6) << "what was there before is not repeated, what comes is not missed";
}

TEST_F(HubApi, FeedCatchesUpThroughManyBatches) {
  enrol("a");
  std::vector<wire::RecordBody> many;
  for (std::uint64_t id = 1; id <= 1'500; ++id) many.emplace_back(anomaly(id));
  put("a", many);
  const auto steps = follow(1'500, "0");
  ASSERT_EQ(steps.size(), 1'500U);
  for (std::size_t i = 1; i < steps.size(); ++i) {
    ASSERT_LT(std::stoull(steps[i - 1].seq), std::stoull(steps[i].seq));
  }
}

TEST_F(HubApi, AFollowerThatDoesNotReadHoldsLittleAndSkipsNothing) {
  enrol("a");
  std::vector<wire::RecordBody> many;
  for (std::uint64_t id = 1; id <= 600; ++id) {
    auto one = anomaly(id);
    one.tags.push_back({"note", std::string(500, 'n')});
    many.emplace_back(one);
  }
  put("a", many);
  FeedPump pump(*store_, feed_, metrics_);
  const auto stream = pump.subscribe({.tenant = "acme", .device = {}, .after = 0}).value();
  constexpr std::size_t kEventBytes = 2'000;
  std::size_t events = 0;
  std::size_t most = 0;
  ASSERT_TRUE(lapwing::testing::eventually([&] {
    most = std::max(most, stream->waiting_bytes());
    const auto taken = stream->take();
    const auto bytes = (taken.shared ? *taken.shared : "") + taken.bytes;
    for (auto at = bytes.find("event: anomaly"); at != std::string::npos;
         at = bytes.find("event: anomaly", at + 1)) {
      ++events;
    }
    if (!bytes.empty()) stream->drained();
    return events >= 600;
  }));
  EXPECT_EQ(events, 600U);
  EXPECT_GT(most, FeedPump::kWaitingBytes / 2) << "or nothing was tested";
  EXPECT_LE(most, FeedPump::kWaitingBytes + kEventBytes);
  EXPECT_EQ(metrics_.counter("feed_events_total", "").value(), 600);
}

TEST_F(HubApi, FeedTellsOfAPositionItCannotKnow) {
  enrol("a");
  put("a", {anomaly(1)});
  EXPECT_EQ(get("/api/v1/feed", "").status, 401U);
  bool gap = false;
  std::thread later([&] {
    EXPECT_TRUE(lapwing::testing::eventually(
        [&] { return metrics_.gauge("feed_followers", "").value() == 1; }));
    put("a", {anomaly(2)});
  });
  EXPECT_EQ(follow(1, "999999", "", &gap).front().id, "2");
  later.join();
  EXPECT_TRUE(gap);
  unsigned status = 0;
  ASSERT_TRUE(client(read_token_)
                  .events("/api/v1/feed", "x",
                          {.on_event = [](const auto&) { return true; },
                           .on_refused = [&](const auto& r) { status = r.status; }}));
  EXPECT_EQ(status, 400U);
}

TEST_F(HubApi, EndsWithOpenFeeds) {
  std::atomic<bool> open{false};
  std::thread follower([&] {
    std::ignore = client(read_token_).events("/api/v1/feed", "", {.on_event = [&](const auto&) {
                                               open = true;
                                               return true;
                                             }});
  });
  ASSERT_TRUE(lapwing::testing::eventually([&] { return open.load(); }));
  const auto began = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2500ms) << "not by the deadline";
  follower.join();
  server_.reset();
  api_.reset();
}

}  // namespace
}  // namespace lapwing::hub
