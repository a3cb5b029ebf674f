// SPDX-License-Identifier: Apache-2.0
/// The agent's status over HTTP, with a view made for the test.
#include "agent/status/status.hpp"

#include "shared/base/config.hpp"
#include "shared/base/metrics.hpp"
#include "shared/http/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace lapwing::agent {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FixedView final : public StatusView {
 public:
  std::vector<std::string> reasons;
  AgentStatus known;
  std::vector<StreamStatus> list;
  std::vector<QuarantineEntry> refused;
  std::string cursor_seen;
  std::size_t limit_seen = 0;

  std::vector<std::string> not_ready() override { return reasons; }
  AgentStatus status() override { return known; }
  Result<StreamPage> streams(std::size_t limit, std::string_view cursor) override {
    limit_seen = limit;
    cursor_seen = cursor;
    if (cursor == "bad") return Error{Errc::bad_input, "not a cursor"};
    return StreamPage{list, "next one"};
  }
  std::vector<QuarantineEntry> quarantine(std::size_t limit) override {
    limit_seen = limit;
    return refused;
  }
  std::vector<std::pair<std::string, detect::Feedback>> said;
  Result<void> take(std::string_view stream, detect::Feedback feedback) override {
    if (stream == "unknown") return Error{Errc::not_found, "no stream is called \"unknown\""};
    said.emplace_back(stream, feedback);
    return {};
  }
};

class AgentStatusServer : public ::testing::Test {
 protected:
  AgentStatusServer()
      : server_(StatusServer::start({.port = 0}, view_, metrics_).value()),
        client_({.origin = {.tls = false, .host = "127.0.0.1", .port = server_->port()}}) {}
  json body(const std::string& target, unsigned status = 200) {
    const auto response = client_.get(target);
    EXPECT_TRUE(response);
    EXPECT_EQ(response->status, status) << target;
    return json::parse(response->body);
  }

  FixedView view_;
  Metrics metrics_;
  std::unique_ptr<StatusServer> server_;
  http::Client client_;
};

TEST_F(AgentStatusServer, IsReadyOrSaysWhyNot) {
  EXPECT_EQ(client_.get("/health/live")->status, 200U);
  EXPECT_EQ(client_.get("/health/ready")->status, 200U);
  view_.reasons = {"outbox: disk full", "source \"plant\": not started"};
  EXPECT_THAT(body("/health/ready", 503)["reasons"],
              ElementsAre("outbox: disk full", "source \"plant\": not started"));
}

TEST_F(AgentStatusServer, TellsWhatTheViewKnows) {
  view_.known.name = "edge-1";
  view_.known.streams = 3;
  view_.known.sources = {{.name = "plant", .kind = "mqtt", .connected = true, .messages = 7}};
  view_.known.outbox.records = 5;
  view_.known.models.models = {{.model = "pumps", .state = "active", .active = {.version = 7}}};
  const auto status = body("/api/v1/status");
  EXPECT_EQ(status["name"], "edge-1");
  EXPECT_EQ(status["streams"], 3);
  EXPECT_EQ(status["sources"][0]["messages"], 7);
  EXPECT_EQ(status["outbox"]["records"], 5);
  EXPECT_EQ(status["models"]["items"][0]["active"]["version"], 7);
  EXPECT_TRUE(status["models"]["items"][0]["shadow"].is_null());
  EXPECT_EQ(status["uplink"]["enabled"], false);
  metrics_.counter("readings_total", "Readings").add(4);
  EXPECT_THAT(client_.get("/metrics")->body, HasSubstr("lapwing_readings_total 4"));
}

TEST_F(AgentStatusServer, TakesFeedback) {
  const auto said = client_.post("/api/v1/feedback", R"({"stream": "plant/pump", "says": "real"})");
  ASSERT_TRUE(said);
  EXPECT_EQ(said->status, 200U);
  ASSERT_EQ(view_.said.size(), 1U);
  EXPECT_EQ(view_.said[0].first, "plant/pump");
  EXPECT_EQ(view_.said[0].second, detect::Feedback::real_fault);
  const auto unknown =
      client_.post("/api/v1/feedback", R"({"stream": "unknown", "says": "normal"})");
  EXPECT_EQ(unknown->status, 404U);
  EXPECT_THAT(unknown->body, HasSubstr("unknown"));
  for (const auto* body : {"", "[]", "{", R"({"stream": "a"})", R"({"stream": 3, "says": "real"})",
                           R"({"stream": "a", "says": "maybe"})"}) {
    EXPECT_EQ(client_.post("/api/v1/feedback", body)->status, 400U) << body;
  }
  EXPECT_EQ(view_.said.size(), 1U);
}

TEST_F(AgentStatusServer, PagesStreams) {
  view_.list = {{.stream = "plant/pump", .watch = "w", .last_value = 1.5, .tags = {{"a", "b"}}}};
  const auto page = body("/api/v1/streams?limit=7&cursor=from+here");
  EXPECT_EQ(view_.limit_seen, 7U);
  EXPECT_EQ(view_.cursor_seen, "from here");
  EXPECT_EQ(page["next_cursor"], "next one");
  EXPECT_EQ(page["items"][0]["stream"], "plant/pump");
  EXPECT_EQ(page["items"][0]["last_value"], 1.5);
  EXPECT_EQ(page["items"][0]["last_score"], nullptr) << "not known is null";
  EXPECT_EQ(page["items"][0]["tags"]["a"], "b");
  EXPECT_EQ(body("/api/v1/streams?cursor=bad", 400)["detail"], "not a cursor");
  for (const auto* limit : {"0", "1001", "x", "-1", ""}) {
    const auto response = client_.get(std::string("/api/v1/streams?limit=") + limit);
    EXPECT_EQ(response->status, 400U) << limit;
  }
}

TEST_F(AgentStatusServer, ShowsRefusedPayloadsWhateverTheirBytes) {
  view_.refused = {{.source = "plant",
                    .topic = std::string("a\xff\0b", 4),
                    .detail = "not JSON",
                    .payload = "\xfe\x01",
                    .payload_bytes = 2,
                    .count = 3}};
  const auto item = body("/api/v1/quarantine?limit=2")["items"][0];
  EXPECT_EQ(view_.limit_seen, 2U);
  EXPECT_EQ(item["count"], 3);
  EXPECT_EQ(item["detail"], "not JSON");
}

TEST_F(AgentStatusServer, ChangesNothing) {
  EXPECT_EQ(client_.post("/api/v1/status", "{}")->status, 405U);
  EXPECT_EQ(client_.get("/api/v1/../../etc/passwd")->status, 404U);
}

TEST_F(AgentStatusServer, PortInUseIsNamed) {
  const auto second = StatusServer::start({.port = server_->port()}, view_, metrics_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::exists);
  EXPECT_THAT(second.error().context, HasSubstr(std::to_string(server_->port())));
}

StatusConfig read(const std::string& text, std::size_t problems) {
  auto document = config::Document::parse(text, "agent.toml");
  auto section = document.root().table({"status", ""});
  const auto read = StatusConfig::read(section);
  EXPECT_EQ(document.finish().size(), problems) << text;
  return read;
}

TEST(StatusConfig, ReadsWhereToListen) {
  EXPECT_EQ(read("", 0).address, "127.0.0.1");
  EXPECT_EQ(read("", 0).port, 9273);
  EXPECT_EQ(read("[status]\nlisten = \"0.0.0.0:80\"\n", 0).port, 80);
  EXPECT_EQ(read("[status]\nlisten = \"[::1]:0\"\n", 0).address, "::1");
  EXPECT_FALSE(read("[status]\nenabled = false\n", 0).enabled);
  for (const auto* bad : {"9273", ":9273", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:x"}) {
    read(std::string("[status]\nlisten = \"") + bad + "\"\n", 1);
  }
}

}  // namespace
}  // namespace lapwing::agent
