// SPDX-License-Identifier: Apache-2.0
/// Commands, desired settings, jobs, and what a hub says while it ends.
#include "hub/jobs/worker.hpp"
#include "hub/store/commands.hpp"
#include "hub/store/jobs.hpp"
#include "hub/store/models.hpp"
#include "hub/store/targets.hpp"
#include "tests/hub/api/hub_fixture.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <thread>

namespace lapwing::hub {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class HubOrders : public HubFixture {
 protected:
  void SetUp() override {
    HubFixture::SetUp();
    admin_ = token({"admin"});
    enrol("edge-1");
  }
  /// A request past the network, with headers.
  http::Response ask(http::Method method, const std::string& path, const std::string& body,
                     http::Pairs headers = {}) {
    headers.emplace_back("authorization", "Bearer " + admin_);
    http::Request request{
        .method = method, .path = path, .headers = std::move(headers), .body = body};
    return server_->router().answer(request);
  }
  std::string admin_;
};

TEST_F(HubOrders, ACommandIsTakenCheckedAndNoted) {
  EXPECT_EQ(post("/api/v1/devices/edge-1/commands", read_token_, R"({"kind":"reconnect"})").status,
            403U);
  EXPECT_EQ(post("/api/v1/devices/none/commands", admin_, R"({"kind":"reconnect"})").status, 404U);
  for (const auto* bad : {R"({"kind":"reboot"})", R"({"kind":"reconnect","arguments":[]})",
                          R"({"kind":"reconnect","arguments":{"within_ms":-1}})",
                          R"({"kind":"reconnect","expires_in_s":0})",
                          R"({"kind":"reconnect","expires_in_s":99999999})"}) {
    EXPECT_EQ(post("/api/v1/devices/edge-1/commands", admin_, bad).status, 400U) << bad;
  }
  const auto made = post("/api/v1/devices/edge-1/commands", admin_,
                         R"({"kind":"reconnect","arguments":{"within_ms":10},"expires_in_s":60})");
  ASSERT_EQ(made.status, 201U) << made.body;
  const auto row = json::parse(made.body);
  EXPECT_EQ(row["state"], "pending");
  EXPECT_EQ(row["arguments"]["within_ms"], 10);
  const auto list = json::parse(get("/api/v1/devices/edge-1/commands").body);
  EXPECT_EQ(list["items"][0]["id"], row["id"]);
  EXPECT_THAT(get("/api/v1/audit", admin_).body, HasSubstr("command.create"));
  for (std::size_t i = 1; i < Commands::kOpenMax; ++i) {
    ASSERT_TRUE(store_->commands().add({.key = {"acme", "edge-1"},
                                        .kind = "report_status",
                                        .created_at = now(),
                                        .expires_at = now() + std::chrono::hours(1)}));
  }
  EXPECT_EQ(post("/api/v1/devices/edge-1/commands", admin_, R"({"kind":"reconnect"})").status,
            429U);
}

TEST_F(HubOrders, LabelsOfADeviceAreShownAndFound) {
  enrol("edge-2");
  const std::string at = "/api/v1/devices/edge-1/labels";
  EXPECT_EQ(ask(http::Method::put, at, R"({"site":"lab","line":"2"})").status, 204U);
  EXPECT_EQ(ask(http::Method::put, "/api/v1/devices/none/labels", "{}").status, 404U);
  for (const auto* bad : {"[]", "", R"({"site":1})", R"({"si te":"a"})", R"({"site":"a|b"})"}) {
    EXPECT_EQ(ask(http::Method::put, at, bad).status, 400U) << bad;
  }
  EXPECT_EQ(json::parse(get("/api/v1/devices/edge-1").body)["labels"],
            (json{{"site", "lab"}, {"line", "2"}}));
  const auto found = [&](const std::string& label) {
    return json::parse(get("/api/v1/devices?label=" + label).body)["items"].size();
  };
  EXPECT_EQ(found("site%3Dlab"), 1U);
  EXPECT_EQ(found("site%3Dlab,line%3D2"), 1U);
  EXPECT_EQ(found("site%3Dlab,line%3D3"), 0U);
  EXPECT_EQ(get("/api/v1/devices?label=site").status, 400U);
  EXPECT_THAT(get("/api/v1/audit", admin_).body, HasSubstr("device.label"));
}

TEST_F(HubOrders, SettingsAreReplacedOnlyWhereTheirVersionIsKnown) {
  const std::string at = "/api/v1/devices/edge-1/desired";
  const auto none = ask(http::Method::get, at, "");
  EXPECT_EQ(json::parse(none.body)["version"], 0);
  EXPECT_EQ(none.header("ETag"), "\"0\"");
  EXPECT_EQ(ask(http::Method::put, at, R"({"log_level":"loud"})").status, 400U);
  EXPECT_EQ(ask(http::Method::put, at, "[]").status, 400U);
  EXPECT_EQ(ask(http::Method::put, at, "{}", {{"if-match", "1"}}).status, 400U);
  const auto first = ask(http::Method::put, at, R"({"log_level":"warn"})", {{"if-match", "\"0\""}});
  ASSERT_EQ(first.status, 200U) << first.body;
  EXPECT_EQ(first.header("ETag"), "\"1\"");
  EXPECT_EQ(json::parse(first.body)["converged"], false);
  EXPECT_EQ(ask(http::Method::put, at, "{}", {{"if-match", "\"0\""}}).status, 412U);
  EXPECT_EQ(json::parse(ask(http::Method::put, at, R"({"status_interval":"5s"})").body)["version"],
            2);
  EXPECT_EQ(json::parse(get(at).body)["settings"], json::parse(R"({"status_interval":"5s"})"));
  EXPECT_THAT(get("/api/v1/audit", admin_).body, HasSubstr("desired.change"));
}

TEST_F(HubOrders, AJobIsDoneAndItsResultFetchedInPartsOrWhole) {
  put("edge-1", {anomaly(1), anomaly(2)});
  EXPECT_EQ(post("/api/v1/jobs", admin_, R"({"kind":"export"})").status, 400U);
  EXPECT_EQ(post("/api/v1/jobs", admin_, R"({"kind":"mine","arguments":{}})").status, 400U);
  const auto made =
      post("/api/v1/jobs", admin_, R"({"kind":"export","arguments":{"what":"anomalies"}})");
  ASSERT_EQ(made.status, 201U) << made.body;
  const auto at = "/api/v1/jobs/" + std::to_string(json::parse(made.body)["id"].get<int>());
  EXPECT_EQ(get(at + "/result").status, 404U);
  Worker worker({}, *store_, metrics_);
  ASSERT_TRUE(worker.work_once());
  const auto job = json::parse(get(at).body);
  EXPECT_EQ(job["state"], "done") << job.dump();
  const auto whole = get(at + "/result");
  EXPECT_THAT(whole.content_type, HasSubstr("text/csv"));
  EXPECT_THAT(whole.body, HasSubstr("edge-1,0000000000000001"));
  EXPECT_EQ(get(at + "/result?part=0").body, whole.body);
  EXPECT_EQ(get(at + "/result?part=1").status, 404U);
  EXPECT_EQ(get(at + "/result?part=x").status, 400U);
  EXPECT_EQ(get(at, token({"read"}, "other")).status, 404U);
  EXPECT_EQ(json::parse(get("/api/v1/jobs").body)["items"].size(), 1U);
  const auto second = json::parse(
      post("/api/v1/jobs", admin_, R"({"kind":"export","arguments":{"what":"anomalies"}})").body);
  const auto gone =
      client(admin_)
          .request(http::Method::del, "/api/v1/jobs/" + std::to_string(second["id"].get<int>()))
          .value();
  EXPECT_EQ(json::parse(gone.body)["state"], "cancelled");
}

TEST_F(HubOrders, FollowersAreSentElsewhereWhenTheHubEnds) {
  put("edge-1", {anomaly(1)});
  std::atomic<bool> open{false};
  std::thread follower([&] {
    const auto ended =
        client(read_token_).events("/api/v1/feed", "", {.on_event = [&](const auto&) {
                                     open = true;
                                     return true;
                                   }});
    EXPECT_TRUE(ended) << "a clean end: " << ended.error().context;
  });
  ASSERT_TRUE(lapwing::testing::eventually([&] { return open.load(); }));
  api_->end_feeds();
  follower.join();
  unsigned status = 0;
  std::ignore = client(read_token_)
                    .events("/api/v1/feed", "",
                            {.on_event = [](const auto&) { return true; },
                             .on_refused = [&](const auto& r) { status = r.status; }});
  EXPECT_EQ(status, 503U);
}

TEST(ServiceRoutes, HaveHealthAndMetricsAndSaySoElsewhere) {
  lapwing::testing::TempDir folder;
  const auto store = open_sqlite_store(folder.path() / "hub.db").value();
  Metrics metrics;
  bool draining = false;
  http::Router router;
  const StoreWatch watch([] { return true; });
  add_service_routes(router, {watch, {}, [&] { return draining; }}, metrics);
  const auto get = [&](const std::string& path) {
    http::Request request{.path = path};
    return router.answer(request);
  };
  EXPECT_EQ(get("/health/live").status, 200U);
  EXPECT_EQ(get("/health/ready").status, 200U);
  EXPECT_EQ(get("/metrics").status, 200U);
  EXPECT_EQ(get("/api/v1/devices").status, 404U);
  EXPECT_THAT(get("/").body, HasSubstr("without the role"));
  draining = true;
  EXPECT_EQ(get("/health/ready").status, 503U);
  EXPECT_THAT(get("/health/ready").body, HasSubstr("draining"));
  EXPECT_EQ(get("/health/live").status, 200U);
}

TEST(StoreWatch, SaysSoWhenTheStoreHangsAndWhenItIsBack) {
  std::atomic<bool> hangs = false;
  std::atomic<int> hanging = 0;
  const StoreWatch watch(
      [&] {
        if (hangs) ++hanging;
        hangs.wait(true);
        return true;
      },
      std::chrono::milliseconds(50));
  EXPECT_TRUE(watch.answers());
  hangs = true;
  while (hanging == 0) std::this_thread::yield();
  const auto asked = ticks_now();
  while (watch.answers()) std::this_thread::yield();
  EXPECT_LT(ticks_now() - asked, StoreWatch::kEvery + std::chrono::seconds(1));
  hangs = false;
  hangs.notify_all();
  while (!watch.answers()) std::this_thread::yield();
}

TEST(StoreWatch, SaysSoWhenTheStoreFails) {
  std::atomic<bool> works = false;
  const StoreWatch watch([&] { return works.load(); });
  EXPECT_FALSE(watch.answers());
  works = true;
  while (!watch.answers()) std::this_thread::yield();
}

TEST_F(HubOrders, APersonHasOneDeviceRunAVersion) {
  const auto want = [&](const std::string& model, const std::string& body) {
    return ask(http::Method::put, "/api/v1/devices/edge-1/models/" + model, body);
  };
  EXPECT_EQ(want("pumps", R"({"number":3,"stage":"shadow"})").status, 404U) << "no such version";
  ASSERT_TRUE(store_->models().add_file({.tenant = "acme", .sha256 = std::string(64, 'a')}, "m"));
  ASSERT_TRUE(store_->models().add_version(
      {.tenant = "acme", .model = "pumps", .number = 3, .sha256 = std::string(64, 'a')}));
  for (const auto* bad :
       {R"({"number":3})", R"({"number":-1,"stage":"shadow"})", R"({"number":3,"stage":"both"})",
        R"({"number":3,"stage":"active","x":1})"}) {
    EXPECT_EQ(want("pumps", bad).status, 400U) << bad;
  }
  EXPECT_EQ(client(read_token_)
                .request(http::Method::put, "/api/v1/devices/edge-1/models/pumps",
                         R"({"number":3,"stage":"shadow"})")
                ->status,
            403U);
  const auto made = want("pumps", R"({"number":3,"stage":"shadow"})");
  ASSERT_EQ(made.status, 200U) << made.body;
  const auto row = json::parse(made.body);
  EXPECT_EQ(row["number"], 3);
  EXPECT_EQ(row["stage"], "shadow");
  EXPECT_EQ(row["offer"], 1);
  EXPECT_TRUE(row["report"].is_null());
  EXPECT_THAT(get("/api/v1/audit", admin_).body, HasSubstr("pumps 3 shadow"));
  put("edge-1", {wire::ModelReport{.model = "pumps", .version = 3, .state = "refused", .offer = 1},
                 wire::ModelReport{.model = "local", .version = 1, .state = "active"}});
  const auto models = json::parse(get("/api/v1/devices/edge-1/models").body)["items"];
  ASSERT_EQ(models.size(), 2U) << "also what nobody wanted";
  EXPECT_TRUE(models[0]["number"].is_null());
  EXPECT_EQ(models[1]["report"]["state"], "refused");
  EXPECT_EQ(json::parse(get("/api/v1/targets?model=local").body)["items"].size(), 1U);
  EXPECT_EQ(get("/api/v1/devices/none/models").status, 404U);
  ASSERT_EQ(want("pumps", R"({"number":0,"stage":"active"})").status, 200U);
  EXPECT_EQ(store_->targets().get({"acme", "edge-1"}, "pumps")->target.number, 0U);
}

}  // namespace
}  // namespace lapwing::hub
