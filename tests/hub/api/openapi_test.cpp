// SPDX-License-Identifier: Apache-2.0
/// The description and the API say the same, in both directions.
#include "hub/registry/keys.hpp"
#include "hub/rollout/runner.hpp"
#include "hub/store/exchange.hpp"
#include "hub/store/models.hpp"
#include "tests/hub/api/hub_fixture.hpp"
#include "tests/hub/registry/signing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace lapwing::hub {
namespace {

using nlohmann::json;

const json& document() {
  static const json kDocument = json::parse(openapi_document());
  return kDocument;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

const json* find_operation(const Operation& operation) {
  const auto path = document()["paths"].find(std::string(operation.pattern));
  if (path == document()["paths"].end()) return nullptr;
  const auto found = path->find(lower(http::to_string(operation.method)));
  return found == path->end() ? nullptr : &*found;
}

std::set<std::string> parameters(const json& described, const std::string& where) {
  std::set<std::string> names;
  if (!described.contains("parameters")) return names;
  for (const auto& one : described["parameters"]) {
    if (one["in"] == where) names.insert(one["name"]);
  }
  return names;
}

TEST(OpenApi, DescribesEveryOperationAndNoOther) {
  EXPECT_EQ(document()["openapi"], "3.1.0");
  std::size_t described_count = 0;
  for (const auto& [path, methods] : document()["paths"].items()) described_count += methods.size();
  EXPECT_EQ(described_count, operations().size());
  std::set<std::string> ids;
  for (const auto& operation : operations()) {
    SCOPED_TRACE(std::string(http::to_string(operation.method)) + " " +
                 std::string(operation.pattern));
    const auto* described = find_operation(operation);
    ASSERT_NE(described, nullptr);
    EXPECT_TRUE(ids.insert((*described)["operationId"]).second);
    EXPECT_EQ(described->value("x-scope", ""), operation.scope);
    EXPECT_EQ((*described)["security"].empty(), operation.scope.empty());
    const std::set<std::string> query(operation.query.begin(), operation.query.end());
    EXPECT_EQ(parameters(*described, "query"), query);
    std::set<std::string> in_path;
    for (auto at = operation.pattern.find('{'); at != std::string_view::npos;
         at = operation.pattern.find('{', at + 1)) {
      const auto end = operation.pattern.find('}', at);
      in_path.emplace(operation.pattern.substr(at + 1, end - at - 1));
    }
    EXPECT_EQ(parameters(*described, "path"), in_path);
  }
}

/// Every way in which `value` is not what the schema says; undescribed properties too.
class Checker {
 public:
  std::vector<std::string> problems;

  void check(const json& schema, const json& value, const std::string& at) {
    std::set<std::string> known;
    walk(schema, value, at, known);
    if (value.is_object() && !schema_is_open(schema)) {
      for (const auto& [key, inner] : value.items()) {
        if (!known.contains(key)) problems.push_back(at + "." + key + ": not described");
      }
    }
  }

 private:
  static const json& resolve(const json& schema) {
    const auto ref = schema.find("$ref");
    if (ref == schema.end()) return schema;
    return document().at(json::json_pointer(ref->get<std::string>().substr(1)));
  }
  static bool schema_is_open(const json& given) {
    const auto& schema = resolve(given);
    return schema.contains("additionalProperties") ? schema["additionalProperties"].is_object()
                                                   : schema == json{{"type", "object"}};
  }
  static bool has_type(const json& value, const std::string& type) {
    return (type == "string" && value.is_string()) || (type == "null" && value.is_null()) ||
           (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
           (type == "number" && value.is_number()) || (type == "boolean" && value.is_boolean()) ||
           (type == "integer" && value.is_number_integer());
  }

  void walk(const json& given, const json& value, const std::string& at,
            std::set<std::string>& known) {
    const auto& schema = resolve(given);
    if (schema.contains("allOf")) {
      for (const auto& part : schema["allOf"]) walk(part, value, at, known);
    }
    if (schema.contains("type")) {
      auto types = schema["type"].is_array() ? schema["type"] : json::array({schema["type"]});
      const bool fits = std::any_of(types.begin(), types.end(),
                                    [&](const json& type) { return has_type(value, type); });
      if (!fits) problems.push_back(at + ": is " + value.dump() + ", not " + types.dump());
    }
    if (schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) {
      problems.push_back(at + ": " + value.dump() + " is none of " + schema["enum"].dump());
    }
    if (value.is_object() && schema.contains("required")) {
      for (const auto& key : schema["required"]) {
        if (!value.contains(key)) problems.push_back(at + ": lacks " + key.dump());
      }
    }
    if (value.is_object() && schema.contains("properties")) {
      for (const auto& [key, inner] : schema["properties"].items()) {
        known.insert(key);
        if (value.contains(key)) check(inner, value[key], at + "." + key);
      }
    }
    if (value.is_array() && schema.contains("items")) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        check(schema["items"], value[i], at + "[" + std::to_string(i) + "]");
      }
    }
  }
};

class OpenApiAnswers : public HubFixture {
 protected:
  void expect_described(http::Method method, const std::string& pattern,
                        const http::Response& response) {
    SCOPED_TRACE(std::string(http::to_string(method)) + " " + pattern + " " + response.body);
    const auto& described = document()["paths"][pattern][lower(http::to_string(method))];
    const auto status = std::to_string(response.status);
    ASSERT_TRUE(described["responses"].contains(status)) << status << " is not described";
    answered_.insert(described["operationId"].get<std::string>());
    const auto& answer = described["responses"][status];
    if (!answer.contains("content")) {
      EXPECT_TRUE(response.body.empty());
      return;
    }
    const auto type = response.content_type.substr(0, response.content_type.find(';'));
    ASSERT_TRUE(answer["content"].contains(type)) << type << " is not described";
    if (type == "text/plain" || type == "application/x-ndjson") return;
    Checker checker;
    checker.check(answer["content"][type]["schema"], json::parse(response.body), "body");
    EXPECT_THAT(checker.problems, ::testing::IsEmpty());
  }
  void expect_get(const std::string& pattern, const std::string& target) {
    expect_described(http::Method::get, pattern, get(target, admin_));
  }

  /// Uploads, model files, versions, keys: each operation once, and once refused.
  template <class Put>
  void ask_for_models(const Put& put);

  std::set<std::string> answered_;
  std::string admin_;
};

template <class Put>
void OpenApiAnswers::ask_for_models(const Put& put) {
  using http::Method;
  const auto begin = [&](const char* name) {
    const auto made = post("/api/v1/uploads", admin_, json{{"name", name}}.dump());
    expect_described(Method::post, "/api/v1/uploads", made);
    return json::parse(made.body)["id"].get<int>();
  };
  const auto remove = [&](const std::string& pattern, const std::string& target) {
    expect_described(Method::del, pattern, client(admin_).request(Method::del, target).value());
  };
  const auto id = begin("a.lw");
  const auto at = "/api/v1/uploads/" + std::to_string(id);
  expect_described(Method::post, "/api/v1/uploads", post("/api/v1/uploads", admin_, "{}"));
  const std::string file(lapwing::testing::small_model().file_bytes());
  for (const auto* offset : {"0", "7", "x"}) {
    expect_described(Method::put, "/api/v1/uploads/{id}/content",
                     put(at + "/content?offset=" + offset, file));
  }
  const std::string wrong = json{{"sha256", std::string(64, '0')}}.dump();
  for (const auto& body : {wrong, std::string()}) {
    expect_described(Method::post, "/api/v1/uploads/{id}/complete",
                     post(at + "/complete", admin_, body));
  }
  expect_get("/api/v1/uploads", "/api/v1/uploads");
  expect_get("/api/v1/uploads/{id}", at);
  expect_get("/api/v1/uploads/{id}", "/api/v1/uploads/x");
  const auto keep = json{{"upload", id}}.dump();
  for (int i = 0; i < 2; ++i) {  // the second finds no upload any more
    expect_described(Method::post, "/api/v1/model-files",
                     post("/api/v1/model-files", admin_, keep));
  }
  const std::string sha256 = lapwing::testing::small_model().sha256();
  const std::string one = "/api/v1/model-files/{sha256}";
  expect_get("/api/v1/model-files", "/api/v1/model-files");
  for (const auto& which : {sha256, std::string("x")}) {
    expect_get(one, "/api/v1/model-files/" + which);
    expect_get(one + "/picture.svg", "/api/v1/model-files/" + which + "/picture.svg");
  }
  expect_get(one + "/content", "/api/v1/model-files/x/content");
  expect_get(one + "/content", "/api/v1/model-files/" + sha256 + "/content?offset=-1");
  EXPECT_EQ(get("/api/v1/model-files/" + sha256 + "/content", admin_).body, file);
  EXPECT_EQ(get("/api/v1/model-files/" + sha256 + "/content?offset=100", admin_).body,
            file.substr(100));
  expect_get("/api/v1/keys", "/api/v1/keys");
  const lapwing::testing::Signers signers;
  const auto list = [&](std::uint64_t number) {
    return signers.signed_list(signers.list(number, now() + std::chrono::hours(1)));
  };
  const auto first = post("/api/v1/keys", admin_, list(1));
  expect_described(Method::post, "/api/v1/keys", first);
  EXPECT_EQ(first.status, 403U) << "no token makes the first list";
  ASSERT_TRUE(take_keys(*store_,
                        signers.signed_list(signers.list(1, now() + std::chrono::hours(1))), "acme",
                        "cli", now()));
  expect_get("/api/v1/keys", "/api/v1/keys");
  expect_described(Method::post, "/api/v1/keys", post("/api/v1/keys", admin_, list(2)));
  expect_described(Method::post, "/api/v1/keys", post("/api/v1/keys", admin_, "no list"));
  EXPECT_EQ(json::parse(get("/api/v1/keys", admin_).body)["items"].size(), 2U);
  EXPECT_EQ(post("/api/v1/keys", admin_, list(1)).status, 403U) << "an older one";
  const std::string versions = "/api/v1/models/{model}/versions";
  const auto manifest =
      lapwing::testing::manifest_of(lapwing::testing::small_model(), 7, "acme", "fans");
  const auto good = lapwing::testing::signed_by(signers.release, manifest);
  for (const auto& body : {std::string("no document"),
                           lapwing::testing::signed_by(signers.hub, manifest), good, good}) {
    expect_described(Method::post, versions, post("/api/v1/models/fans/versions", admin_, body));
  }
  EXPECT_EQ(post("/api/v1/models/pumps/versions", admin_, good).status, 400U) << "another name";
  expect_get(versions, "/api/v1/models/fans/versions");
  expect_get("/api/v1/models", "/api/v1/models");
  EXPECT_EQ(get("/api/v1/models/fans/versions/7/manifest", admin_).body, good);
  expect_get(versions + "/{number}/manifest", "/api/v1/models/fans/versions/8/manifest");
  remove(one, "/api/v1/model-files/" + sha256);  // a version is made of it
  remove(one, "/api/v1/model-files/x");
  const auto other = "/api/v1/uploads/" + std::to_string(begin("b"));
  remove("/api/v1/uploads/{id}", other);
  remove("/api/v1/uploads/{id}", other);
}

TEST_F(OpenApiAnswers, HaveExactlyTheDescribedProperties) {
  admin_ = token({"admin"});
  enrol("edge-1");
  put("edge-1", {summary(0), summary(1), wire::LossRecord{wire::LossReason::quota, 1, 3},
                 summary(5), wire::LossRecord{wire::LossReason::corrupt, 1, 1}});
  put("edge-1", {anomaly(1), anomaly(2), anomaly(2, wire::Phase::closed)});
  expect_get("/api/v1/devices", "/api/v1/devices");
  expect_get("/api/v1/devices", "/api/v1/devices?limit=0");
  expect_get("/api/v1/devices/{device}", "/api/v1/devices/edge-1");
  expect_get("/api/v1/devices/{device}", "/api/v1/devices/none");
  expect_get("/api/v1/devices/{device}/losses", "/api/v1/devices/edge-1/losses");
  expect_get("/api/v1/devices/{device}/losses", "/api/v1/devices/none/losses");
  expect_get("/api/v1/devices/{device}/losses", "/api/v1/devices/edge-1/losses?limit=0");
  expect_get("/api/v1/devices/{device}/streams", "/api/v1/devices/edge-1/streams");
  expect_get("/api/v1/devices/{device}/history",
             "/api/v1/devices/edge-1/history?stream=plant%2Fpump%2Fvibration");
  expect_get("/api/v1/anomalies", "/api/v1/anomalies");
  expect_get("/api/v1/anomalies/{device}/{id}", "/api/v1/anomalies/edge-1/0000000000000002");
  ASSERT_TRUE(store_->exchange().complete({"acme", "eu"}, now()));
  {
    auto transaction = store_->begin_ingest().value();
    ASSERT_TRUE(transaction->device({"acme", "edge-1"}));
    ASSERT_TRUE(transaction->save_presence({"acme", "edge-1"}, {.seen = now()}));
    ASSERT_TRUE(transaction->commit());
  }
  expect_get("/api/v1/devices/{device}/regions", "/api/v1/devices/edge-1/regions");
  expect_get("/api/v1/regions", "/api/v1/regions");
  for (const auto* kind : {"devices", "ledgers", "anomalies", "none"}) {
    expect_get("/api/v1/export/{kind}", std::string("/api/v1/export/") + kind);
  }
  expect_get("/api/v1/tokens", "/api/v1/tokens");
  {
    auto transaction = store_->begin_ingest().value();
    const DeviceKey key{"acme", "edge-1"};
    ASSERT_TRUE(transaction->device(key));
    ASSERT_TRUE(transaction->dead_letter(key, {1, 99, 77, "not a record", "\x01z", now()}));
    ASSERT_TRUE(transaction->commit());
  }
  expect_get("/api/v1/dead-letters", "/api/v1/dead-letters");
  expect_get("/api/v1/openapi.json", "/api/v1/openapi.json");
  expect_get("/health/live", "/health/live");
  expect_get("/health/ready", "/health/ready");
  ingest_ready_ = false;
  peers_ = {PeerState{{"acme", "eu"}, true, std::chrono::seconds(3), "denied"}};
  expect_get("/health/ready", "/health/ready");
  EXPECT_THAT(get("/health/ready").body, ::testing::HasSubstr(R"("lag_s":3.0,"trouble":"denied")"));
  expect_get("/metrics", "/metrics");
  using http::Method;
  const auto made = post("/api/v1/tokens", admin_, R"({"name":"n","scopes":["read"]})");
  expect_described(Method::post, "/api/v1/tokens", made);
  expect_described(Method::post, "/api/v1/tokens", post("/api/v1/tokens", admin_, "{"));
  const auto id = json::parse(made.body)["id"].get<std::string>();
  expect_described(Method::del, "/api/v1/tokens/{id}",
                   client(admin_).request(Method::del, "/api/v1/tokens/" + id).value());
  const auto permit = post("/api/v1/enrolments", admin_, R"({"device":"edge-2"})");
  expect_described(Method::post, "/api/v1/enrolments", permit);
  const auto key = trust::PrivateKey::generate().value();
  const json wanted{{"token", json::parse(permit.body)["token"]},
                    {"csr", trust::make_csr(key, "any").value()}};
  for (int i = 0; i < 2; ++i) {  // the second is refused
    expect_described(Method::post, "/api/v1/enrol", post("/api/v1/enrol", "", wanted.dump()));
  }
  const auto put = [&](const std::string& target, const std::string& body) {
    return client(admin_).request(Method::put, target, body).value();
  };
  for (const auto* body :
       {R"({"kind":"reconnect","arguments":{"within_ms":10}})", R"({"kind":"x"})"}) {
    expect_described(Method::post, "/api/v1/devices/{device}/commands",
                     post("/api/v1/devices/edge-1/commands", admin_, body));
  }
  expect_get("/api/v1/devices/{device}/commands", "/api/v1/devices/edge-1/commands");
  expect_get("/api/v1/devices/{device}/desired", "/api/v1/devices/edge-1/desired");
  for (const auto* body : {R"({"status_interval":"5s"})", R"({"colour":"red"})"}) {
    expect_described(Method::put, "/api/v1/devices/{device}/desired",
                     put("/api/v1/devices/edge-1/desired", body));
  }
  expect_get("/api/v1/devices/{device}/desired", "/api/v1/devices/edge-1/desired");
  for (const auto* body : {R"({"site":"lab"})", R"({"site":"a|b"})"}) {
    expect_described(Method::put, "/api/v1/devices/{device}/labels",
                     put("/api/v1/devices/edge-1/labels", body));
  }
  expect_get("/api/v1/devices", "/api/v1/devices?label=site%3Dlab");
  const auto job =
      post("/api/v1/jobs", admin_, R"({"kind":"export","arguments":{"what":"anomalies"}})");
  expect_described(Method::post, "/api/v1/jobs", job);
  expect_described(Method::post, "/api/v1/jobs", post("/api/v1/jobs", admin_, "{}"));
  expect_get("/api/v1/jobs", "/api/v1/jobs");
  const auto at = "/api/v1/jobs/" + std::to_string(json::parse(job.body)["id"].get<int>());
  expect_get("/api/v1/jobs/{id}", at);
  expect_get("/api/v1/jobs/{id}", "/api/v1/jobs/x");
  expect_get("/api/v1/jobs/{id}/result", at + "/result");
  expect_described(Method::del, "/api/v1/jobs/{id}",
                   client(admin_).request(Method::del, at).value());
  for (const auto* name : {"r1", "r2", "r3"}) enrol(name);
  const auto round = post("/api/v1/rounds", admin_,
                          R"({"name":"autumn","kind":"pca","sensors":[{"name":"flow","unit":"l/s"},
                             {"name":"heat"}],"devices":["r1","r2","r3"],"devices_min":3})");
  expect_described(Method::post, "/api/v1/rounds", round);
  ASSERT_EQ(round.status, 201U) << round.body;
  for (const auto* body :
       {"{}", R"({"name":"a","kind":"pca","sensors":[{"name":"x"}],"devices":["nobody"]})"}) {
    expect_described(Method::post, "/api/v1/rounds", post("/api/v1/rounds", admin_, body));
  }
  expect_get("/api/v1/rounds", "/api/v1/rounds");
  const auto round_at =
      "/api/v1/rounds/" + std::to_string(json::parse(round.body)["id"].get<int>());
  expect_get("/api/v1/rounds/{id}", round_at);
  expect_get("/api/v1/rounds/{id}", "/api/v1/rounds/x");
  expect_get("/api/v1/rounds/{id}/devices", round_at + "/devices");
  expect_described(Method::del, "/api/v1/rounds/{id}",
                   client(admin_).request(Method::del, round_at).value());
  for (const std::uint64_t number : {1U, 2U}) {
    const std::string digest(64, number == 1 ? 'a' : 'b');
    ASSERT_TRUE(store_->models().add_file({.tenant = "acme", .sha256 = digest}, "bytes"));
    ASSERT_TRUE(store_->models().add_version(
        {.tenant = "acme", .model = "pumps", .number = number, .sha256 = digest}));
  }
  for (const auto* plan : {R"({"devices":["edge-1"]})", R"({"rings":[]})", "{}"}) {
    expect_described(
        Method::post, "/api/v1/rollouts",
        post("/api/v1/rollouts", admin_,
             std::string(R"({"model":"pumps","number":1,"undo":2,"plan":)") + plan + "}"));
  }
  const std::string model_pattern = "/api/v1/devices/{device}/models";
  for (const auto* body : {R"({"number":1,"stage":"shadow"})", R"({"number":9,"stage":"active"})",
                           R"({"number":1,"stage":"both"})"}) {
    expect_described(Method::put, model_pattern + "/{model}",
                     put("/api/v1/devices/edge-1/models/pumps", body));
  }
  HubFixture::put(
      "edge-1",
      {wire::ModelReport{.model = "pumps",
                         .version = 1,
                         .state = "shadow",
                         .offer = 1,
                         .statistics = wire::ModelStatistics{.rows = 9, .quantiles = {.5}}}});
  expect_get(model_pattern, "/api/v1/devices/edge-1/models");
  expect_get(model_pattern, "/api/v1/devices/none/models");
  expect_get("/api/v1/targets", "/api/v1/targets?model=pumps");
  expect_get("/api/v1/targets", "/api/v1/targets?rollout=x");
  const auto one = store_->rollouts().open(1).value().at(0);
  ASSERT_TRUE(rollout::step_once(store_->rollouts(), store_->targets(), one, now()));
  const std::string rollout_at = "/api/v1/rollouts/" + std::to_string(one.id);
  const std::string rollout_pattern = "/api/v1/rollouts/{id}";
  expect_get("/api/v1/rollouts", "/api/v1/rollouts");
  for (const auto* more : {"", "/devices", "/decisions"}) {
    expect_get(rollout_pattern + more, rollout_at + more);
    expect_get(rollout_pattern + more, std::string("/api/v1/rollouts/7") + more);
  }
  for (const auto* action : {"pause", "pause", "resume", "abort", "abort"}) {
    expect_described(Method::post, rollout_pattern + "/" + action,
                     post(rollout_at + "/" + action, admin_, R"({"roll_back":false})"));
  }
  ask_for_models(put);
  for (const auto* action : {"release", "revoke"}) {
    expect_described(Method::post, std::string("/api/v1/devices/{device}/") + action,
                     post(std::string("/api/v1/devices/edge-1/") + action, admin_, ""));
  }
  expect_get("/api/v1/audit", "/api/v1/audit");
  std::vector<json> events;
  ASSERT_TRUE(client(admin_).events("/api/v1/feed", "0", {.on_event = [&](const http::Event& e) {
                                      if (!e.data.empty()) events.push_back(json::parse(e.data));
                                      return events.size() < 3;
                                    }}));
  Checker checker;
  for (const auto& event : events) {
    checker.check({{"$ref", "#/components/schemas/FeedAnomaly"}}, event, "event");
  }
  EXPECT_THAT(checker.problems, ::testing::IsEmpty());
  answered_.insert("follow_feed");
  EXPECT_EQ(answered_.size(), operations().size()) << "an operation was not asked";
}

}  // namespace
}  // namespace lapwing::hub
