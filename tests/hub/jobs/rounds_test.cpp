// SPDX-License-Identifier: Apache-2.0
// A federated round from order to model file: asked, told, merged, pass by pass.
#include "hub/jobs/rounds.hpp"

#include "hub/fleet/contribution_desk.hpp"
#include "hub/jobs/round_plan.hpp"
#include "hub/jobs/worker.hpp"
#include "hub/store/commands.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/models.hpp"
#include "hub/store/rounds.hpp"
#include "hub/store/sqlite_store.hpp"
#include "hub/store/uploads.hpp"
#include "shared/federate/contribute.hpp"
#include "shared/model/model.hpp"
#include "shared/trust/token.hpp"
#include "shared/wire/contributions.hpp"
#include "tests/shared/federate/fleet.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace lapwing::hub {
namespace {

using Json = nlohmann::json;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kOrder =
    R"({"name": "autumn", "kind": "KIND", "sensors": [{"name": "flow", "unit": "l/s"},
        {"name": "heat"}], "minutes": 60, "trees": 20, "rows": 64, "devices_min": 5})";

/// A hub's store and worker, and six devices that answer as real ones do.
class RoundsTest : public ::testing::Test {
 protected:
  RoundsTest() {
    auto opened = open_sqlite_store(folder_.path() / "hub.db");
    EXPECT_TRUE(opened) << opened.error().context;
    store_ = *std::move(opened);
    desk_ = std::make_unique<ContributionDesk>(*store_, metrics_);
    detect::Random random(5);
    for (int d = 1; d <= 6; ++d) {
      const DeviceKey key{"acme", "p" + std::to_string(d)};
      EXPECT_TRUE(store_->register_device({.key = key, .enrolled_at = at_}));
      auto transaction = store_->begin_ingest().value();
      EXPECT_TRUE(transaction->device(key));
      EXPECT_TRUE(
          transaction->save_presence(key, {.connection_id = "1-a", .seen = at_, .replica = "r1"}));
      EXPECT_TRUE(transaction->commit());
      federate::Rows rows{2};
      for (int i = 0; i < 200 + 50 * d; ++i) {
        const double load = random.normal();
        rows.values.push_back(10 + load);
        rows.values.push_back(300 - 2 * load + 0.1 * random.normal());
      }
      rows_[key.device] = std::move(rows);
    }
  }

  RoundRow start(const std::string& kind) {
    std::string text = kOrder;
    text.replace(text.find("KIND"), 4, kind);
    const auto order = read_round_order(text);
    EXPECT_TRUE(order) << order.error().context;
    std::vector<std::string> devices;
    for (const auto& [name, rows] : rows_) devices.push_back(name);
    return store_->rounds()
        .add({.tenant = "acme",
              .name = order->name,
              .kind = kind,
              .schema = "s",
              .plan = to_json(*order),
              .pass_length = order->pass_length,
              .deadline = at_ + order->pass_length,
              .devices_min = 5,
              .enough = devices.size(),
              .actor = "t1",
              .created_at = at_},
             devices)
        .value();
  }

  std::string file(const std::string& sha256) {
    std::string bytes;
    const auto length = store_->models().file("acme", sha256).value().length;
    for (std::uint64_t part = 0; bytes.size() < length; ++part) {
      bytes += store_->models().part("acme", sha256, part).value();
    }
    return bytes;
  }

  /// Does what the device's newest command wants. Pieces come twice, the last first.
  void answer(const std::string& device) {
    const DeviceKey key{"acme", device};
    const auto commands = store_->commands().list(key, {}).value().items;
    ASSERT_FALSE(commands.empty());
    ASSERT_EQ(commands[0].kind, "contribute");
    const auto wanted = Json::parse(commands[0].arguments);
    const std::string candidate =
        wanted.contains("candidate") ? file(wanted["candidate"].get<std::string>()) : "";
    const federate::Task task{
        .kind = federate::parse_kind(wanted["kind"].get<std::string>()).value(),
        .pass = wanted["pass"].get<std::uint32_t>(),
        .seed = wanted["seed"].get<std::uint64_t>(),
        .trees = wanted["trees"].get<std::uint32_t>(),
        .sample = wanted["sample"].get<std::uint32_t>(),
        .rows_max = wanted["rows"].get<std::uint32_t>(),
        .candidate = candidate};
    const auto told = federate::contribute(task, rows_[device].table());
    ASSERT_TRUE(told) << told.error().context;
    send(device, wanted["round"].get<std::uint64_t>(), task.pass, federate::encode(*told));
  }

  void send(const std::string& device, std::uint64_t round, std::uint32_t pass,
            const std::string& bytes) {
    wire::ContributionPart head{.round = round,
                                .pass = pass,
                                .rows = rows_[device].count(),
                                .sha256 = trust::sha256_hex(bytes)};
    auto pieces = wire::pieces_of(head, bytes);
    wire::FrameWriter writer;
    for (int twice = 0; twice < 2; ++twice) {
      for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
        desk_->handle({"acme", device}, writer.seal(wire::encode(*piece)));
      }
    }
  }

  void merge() {
    ASSERT_TRUE(tend_rounds(*store_, at_));
    Worker worker({}, *store_, metrics_);
    EXPECT_TRUE(worker.work_once());
  }

  RoundRow round(std::uint64_t id) { return store_->rounds().get("acme", id).value(); }

  lapwing::testing::TempDir folder_;
  Metrics metrics_;
  const Time at_ = now();
  std::unique_ptr<Store> store_;
  std::unique_ptr<ContributionDesk> desk_;
  std::map<std::string, federate::Rows> rows_;
};

TEST_F(RoundsTest, DevicesAreAskedToldAndMergedUntilThereIsAModel) {
  for (const std::string kind : {"pca", "isolation_forest"}) {
    const auto begun = start(kind);
    std::string before;
    for (std::uint32_t pass = 1; pass <= 3; ++pass) {
      ASSERT_TRUE(tend_rounds(*store_, at_));
      for (const auto& [device, rows] : rows_) answer(device);
      merge();
      const auto now = round(begun.id);
      EXPECT_EQ(now.state, pass < 3 ? RoundState::gathering : RoundState::done) << now.text;
      EXPECT_NE(now.result, before);
      if (!before.empty()) {
        EXPECT_FALSE(store_->models().file("acme", before)) << "candidates do not stay";
      }
      before = now.result;
    }
    const auto ended = round(begun.id);
    const auto model = model::Model::read(file(ended.result));
    ASSERT_TRUE(model) << model.error().context;
    EXPECT_EQ(model->header().kind, kind);
    EXPECT_EQ(model->header().lineage.rows, 2250U);
    EXPECT_NE(model->header().lineage.tool.find("federated over 6 devices"), std::string::npos);
    EXPECT_EQ(model->header().calibration.rows, 2250U);
    EXPECT_TRUE(model->make_detector());
    const auto report = Json::parse(ended.report);
    ASSERT_EQ(report.size(), 3U);
    EXPECT_EQ(report[0]["devices"], 6);
    EXPECT_EQ(report[0]["rows"], 2250);
    EXPECT_GT(report[2]["bytes_so_far_most"], report[0]["bytes_so_far_most"]);
    EXPECT_EQ(report[1]["sensors"][0]["name"], "flow");
    EXPECT_NEAR(report[1]["sensors"][0]["quartiles"][1].get<double>(), 10, 0.2);
    const auto members = store_->rounds().members("acme", begun.id, {}).value().items;
    std::printf("%s: bytes a device, all passes: %llu to %llu\n", kind.c_str(),
                static_cast<unsigned long long>(members.front().bytes),
                static_cast<unsigned long long>(members.back().bytes));
  }
}

TEST_F(RoundsTest, WhoIsFarOffOrUnreadableIsLeftOutAndNamed) {
  for (double& value : rows_["p2"].values) value += 5000;
  const auto begun = start("pca");
  ASSERT_TRUE(tend_rounds(*store_, at_));
  for (const auto& [device, rows] : rows_) answer(device);
  merge();
  const auto now = round(begun.id);
  EXPECT_EQ(now.state, RoundState::gathering) << now.text;
  const auto report = Json::parse(now.report);
  ASSERT_EQ(report[0]["left_out"].size(), 1U);
  EXPECT_EQ(report[0]["left_out"][0]["device"], "p2");
  // It is not asked for the next pass.
  ASSERT_TRUE(tend_rounds(*store_, at_));
  const auto asked = [&](const char* device) {
    return store_->commands().list({"acme", device}, {}).value().items.size();
  };
  EXPECT_EQ(asked("p1"), 2U);
  EXPECT_EQ(asked("p2"), 1U);
  // One says nonsense in the second pass: four good ones are fewer than five.
  for (const auto* device : {"p1", "p3", "p4", "p5"}) answer(device);
  send("p6", begun.id, 2, "nonsense");
  merge();
  const auto ended = round(begun.id);
  EXPECT_EQ(ended.state, RoundState::failed);
  EXPECT_NE(ended.text.find("at least 5"), std::string::npos) << ended.text;
}

TEST_F(RoundsTest, AtItsDeadlineThoseThatToldSuffice) {
  const auto begun = start("pca");
  ASSERT_TRUE(tend_rounds(*store_, at_));
  for (const auto* device : {"p1", "p3", "p4", "p5", "p6"}) answer(device);
  ASSERT_TRUE(tend_rounds(*store_, at_));
  EXPECT_EQ(round(begun.id).state, RoundState::gathering) << "p2 is waited for";
  ASSERT_TRUE(tend_rounds(*store_, begun.deadline));
  Worker worker({}, *store_, metrics_);
  EXPECT_TRUE(worker.work_once());
  const auto now = round(begun.id);
  EXPECT_EQ(now.pass, 2U) << now.text;
  EXPECT_EQ(store_->rounds().members("acme", begun.id, {}).value().items[1].state,
            RoundMemberState::left);
}

TEST_F(RoundsTest, SamplesBecomeATable) {
  const auto begun = start("samples");
  ASSERT_TRUE(tend_rounds(*store_, at_));
  for (const auto& [device, rows] : rows_) answer(device);
  merge();
  const auto ended = round(begun.id);
  EXPECT_EQ(ended.state, RoundState::done) << ended.text;
  const auto upload = Json::parse(ended.report)[0]["upload"].get<std::uint64_t>();
  const auto csv = store_->uploads().piece("acme", upload, 0).value();
  EXPECT_EQ(store_->uploads().get("acme", upload).value().sha256, trust::sha256_hex(csv));
  EXPECT_TRUE(csv.starts_with("device,flow,heat\r\np1,")) << csv.substr(0, 60);
  EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 6 * 64);
}

TEST_F(RoundsTest, AJobThatIsLostEndsItsRound) {
  const auto begun = start("pca");
  ASSERT_TRUE(tend_rounds(*store_, begun.deadline));
  const auto merging = round(begun.id);
  ASSERT_EQ(merging.state, RoundState::merging);
  ASSERT_TRUE(store_->jobs().cancel("acme", merging.job, at_));
  ASSERT_TRUE(tend_rounds(*store_, at_));
  EXPECT_EQ(round(begun.id).state, RoundState::failed);
}

TEST(RoundPlan, SaysWhatIsWrong) {
  const auto problem = [](const std::string& text) {
    const auto read = read_round_order(text);
    return read ? "" : read.error().context;
  };
  EXPECT_EQ(problem(R"({"name":"a","kind":"pca","sensors":[{"name":"x"}]})"), "");
  EXPECT_NE(problem("[]"), "");
  EXPECT_NE(problem(R"({"kind":"pca","sensors":[{"name":"x"}]})").find("\"name\""),
            std::string::npos);
  EXPECT_NE(problem(R"({"name":"a","kind":"knn","sensors":[{"name":"x"}]})").find("pca"),
            std::string::npos);
  EXPECT_NE(problem(R"({"name":"a","kind":"pca","sensors":[{"name":"x"},{"name":"x"}]})"), "");
  EXPECT_NE(problem(R"({"name":"a","kind":"pca","sensors":[{"name":"x"}],"devices_min":2})"), "");
  EXPECT_NE(
      problem(R"({"name":"a","kind":"pca","sensors":[{"name":"x"}],"colour":1})").find("colour"),
      std::string::npos);
  EXPECT_NE(problem(R"({"name":"a","kind":"pca","sensors":[{"name":"x"}],
                        "parameters":{"variance":7}})"),
            "");
}

}  // namespace
}  // namespace lapwing::hub
