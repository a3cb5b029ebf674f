// SPDX-License-Identifier: Apache-2.0
/// The job `train`: the agent's bytes, stored rows, cancelled and killed in the middle.
#include "hub/jobs/training.hpp"

#include "hub/jobs/worker.hpp"
#include "hub/registry/files.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/base/files.hpp"
#include "shared/model/model.hpp"
#include "shared/model/text.hpp"
#include "tests/hub/registry/signing.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace lapwing::hub {
namespace {

using Json = nlohmann::json;
using lapwing::testing::pump_csv;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

class Training : public ::testing::Test {
 protected:
  Training() { open(); }
  void open() { store_ = open_sqlite_store(folder_.path() / "hub.db").value(); }

  std::uint64_t upload(const std::string& csv) {
    const auto id =
        store_->uploads()
            .add({.tenant = "acme", .name = "pump.csv", .actor = "t1", .created_at = at_})
            .value()
            .id;
    for (std::size_t at = 0; at < csv.size(); at += Uploads::kPieceBytesMax) {
      EXPECT_TRUE(
          store_->uploads().append("acme", id, at, csv.substr(at, Uploads::kPieceBytesMax)));
    }
    EXPECT_TRUE(complete_upload(*store_, "acme", id, "", at_));
    return id;
  }
  std::uint64_t order(const Json& arguments) {
    return store_->jobs()
        .add({.tenant = "acme",
              .kind = "train",
              .arguments = arguments.dump(),
              .actor = "t1",
              .created_at = at_})
        .value()
        .id;
  }
  void work(const std::string& name, Time at) {
    Worker(WorkerConfig{.name = name}, *store_, metrics_, job_kinds(), [at] {
      return at;
    }).work_once();
  }
  JobRow job(std::uint64_t id) { return store_->jobs().get("acme", id).value(); }
  Json result(std::uint64_t id) {
    EXPECT_EQ(job(id).state, JobState::done) << job(id).text;
    return Json::parse(store_->jobs().result_part("acme", id, 0).value());
  }
  std::string bytes(const std::string& sha256) {
    std::string all;
    const auto length = store_->models().file("acme", sha256).value().length;
    for (std::uint64_t part = 0; all.size() < length; ++part) {
      all += store_->models().part("acme", sha256, part).value();
    }
    return all;
  }

  lapwing::testing::TempDir folder_;
  std::unique_ptr<Store> store_;
  Metrics metrics_;
  const Time at_ = from_micros(1'790'000'000'000'000);
};

TEST_F(Training, GivesTheAgentsBytesButForTheToolsName) {
  const auto csv = pump_csv(900);
  folder_.put("pump.csv", csv);
  const auto out = (folder_.path() / "pump.lw").string();
  lapwing::testing::Process agent({LAPWING_AGENT, "train", (folder_.path() / "pump.csv").string(),
                                   "--label-column", "label", "--unit", "flow=m³/h", "--set",
                                   "trees=30", "--seed", "5", "--hold-out", "0.3", "--out", out});
  ASSERT_EQ(agent.wait(), 0) << agent.err();
  const auto theirs = model::Model::open(out).value();
  const auto id = order({{"upload", upload(csv)},
                         {"label", "label"},
                         {"units", {{"flow", "m³/h"}}},
                         {"parameters", {{"trees", 30}}},
                         {"seed", 5},
                         {"hold_out", 0.3}});
  work("w1", at_);
  const auto told = result(id);
  const auto sha256 = told["sha256"].get<std::string>();
  const auto ours = model::Model::read(bytes(sha256)).value();
  EXPECT_TRUE(std::ranges::equal(ours.payload(), theirs.payload()));
  auto header = ours.header();
  EXPECT_THAT(header.lineage.tool, HasSubstr("lapwing-hub "));
  header.lineage.tool = theirs.header().lineage.tool;
  EXPECT_EQ(model::to_json(header), model::to_json(theirs.header()));
  EXPECT_EQ(model::encode(header, ours.payload()).value(), theirs.file_bytes());
  // What is kept beside it.
  const auto row = store_->models().file("acme", sha256).value();
  EXPECT_EQ(row.job, id);
  EXPECT_EQ(row.actor, "t1");
  EXPECT_THAT(row.picture, HasSubstr("isolation_forest, trained on pump.csv"));
  const auto report = Json::parse(row.report);
  EXPECT_EQ(report, told["report"]);
  EXPECT_EQ(report["held_out_rows"], 270);
  EXPECT_NEAR(report["alarms"]["weeks"].get<double>(), 270.0 / (7 * 24 * 60), 1e-3);
  EXPECT_EQ(job(id).done, 900U);
}

TEST_F(Training, TrainsOnStoredHistory) {
  for (const std::string device : {"press-1", "press-2"}) {
    const DeviceKey key{"acme", device};
    ASSERT_TRUE(store_->register_device({key, at_, "0a", std::nullopt}));
    std::vector<wire::RecordBody> bodies;
    for (int i = 0; i < 200; ++i) {
      for (const std::string stream : {"/flow", "/temp"}) {
        if (stream == "/temp" && i % 10 == 3) continue;  // a hole
        wire::SummaryRecord s;
        s.stream = "plant/" + device + stream;
        s.watch = "w";
        s.begin = at_ + minutes(i);
        s.end = s.begin + minutes(1);
        s.readings = 60;
        s.value_mean = i % 17 + (stream == "/temp" ? 50 : 0);
        bodies.emplace_back(std::move(s));
      }
    }
    std::vector<IncomingRecord> records;
    for (const auto& body : bodies) {
      const auto seq = records.size() + 1;
      records.push_back({seq, seq, wire::RecordClass::summary, seq, &body});
    }
    auto transaction = store_->begin_ingest().value();
    auto sync = transaction->device(key)->sync;
    sync.epoch = 1;
    ASSERT_TRUE(transaction->save_sync(key, sync));
    ASSERT_TRUE(transaction->store(key, 1, at_, records));
    ASSERT_TRUE(transaction->commit());
  }
  const StoredRows rows{.devices = {"press-1", "press-2"},
                        .streams = {"flow", "temp"},
                        .from = at_ + minutes(2),
                        .to = at_ + minutes(5),
                        .every = minutes(1)};
  const auto csv = stored_csv(*store_, "acme", rows, [](std::uint64_t) { return Result<void>(); });
  ASSERT_TRUE(csv) << csv.error().context;
  const auto minute = [&](int i) { return to_rfc3339(at_ - seconds(20) + minutes(i)); };
  EXPECT_EQ(*csv, "timestamp,flow,temp\r\n" + minute(2) + ",2,52\r\n" + minute(2) + ",2,52\r\n" +
                      minute(3) + ",3,\r\n" + minute(3) + ",3,\r\n" + minute(4) + ",4,54\r\n" +
                      minute(4) + ",4,54\r\n");
  const auto id = order({{"devices", {"press-1", "press-2"}}, {"streams", {"flow", "temp"}}});
  work("w1", at_);
  EXPECT_EQ(result(id)["report"]["trained_rows"], 320);
  const auto lost = order({{"devices", {"press-1"}}, {"streams", {"level"}}});
  work("w1", at_);
  EXPECT_EQ(job(lost).state, JobState::failed);
  EXPECT_EQ(job(lost).text, "press-1 has no stream \"level\"");
}

TEST_F(Training, StopsInTheMiddleWhenCancelled) {
  const auto id = order({{"upload", upload(pump_csv(30'000))}, {"parameters", {{"trees", 500}}}});
  Worker worker(WorkerConfig{.name = "w1"}, *store_, metrics_, job_kinds(), [this] { return at_; });
  std::thread work([&] { worker.work_once(); });
  std::uint64_t seen = 0;
  while (job(id).state == JobState::queued || (job(id).state == JobState::running && seen == 0)) {
    worker.beat();
    seen = job(id).done;
  }
  ASSERT_TRUE(store_->jobs().cancel("acme", id, at_));
  worker.beat();
  work.join();
  EXPECT_EQ(job(id).state, JobState::cancelled) << job(id).text;
  EXPECT_GT(seen, 0U);
  EXPECT_LT(job(id).done, 30'000U);
  EXPECT_TRUE(store_->models().files("acme", {})->items.empty());
}

TEST_F(Training, AnotherWorkerEndsWhatAKilledOneBeganWithTheSameBytes) {
  const Json wanted{{"upload", upload(pump_csv(20'000))}, {"parameters", {{"trees", 200}}}};
  const auto id = order(wanted);
  store_.reset();
  const auto child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    open();
    Worker worker(WorkerConfig{.name = "w1"}, *store_, metrics_, job_kinds(),
                  [this] { return at_; });
    std::thread work([&] { worker.work_once(); });
    while (job(id).done == 0) worker.beat();
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  open();
  EXPECT_EQ(job(id).state, JobState::running);
  EXPECT_GT(job(id).done, 0U);
  EXPECT_LT(job(id).done, 20'000U);
  work("w2", at_ + minutes(1));
  const auto after_crash = result(id)["sha256"];
  EXPECT_EQ(job(id).attempts, 2U);
  ASSERT_TRUE(store_->models().drop_file("acme", after_crash.get<std::string>()));
  const auto undisturbed = order(wanted);
  work("w3", at_);
  EXPECT_EQ(result(undisturbed)["sha256"], after_crash);
}

TEST_F(Training, SaysWhatIsWrongWithAnOrder) {
  const auto refused = [](const Json& arguments, const char* why) {
    const auto checked = check_training(arguments.dump());
    ASSERT_FALSE(checked) << arguments;
    EXPECT_EQ(checked.error().code, Errc::bad_input);
    EXPECT_THAT(checked.error().context, HasSubstr(why)) << arguments;
  };
  refused(Json::object(), "\"upload\", or");
  refused({{"upload", 1}, {"devices", {"a"}}, {"streams", {"b"}}}, "\"upload\", or");
  refused({{"devices", {"a"}}}, "both required");
  refused({{"upload", 0}}, "\"upload\"");
  refused({{"upload", "1"}}, "\"upload\"");
  refused({{"upload", 1}, {"detector", "ewma"}}, "isolation_forest");
  refused({{"upload", 1}, {"hold_out", 1}}, "\"hold_out\"");
  refused({{"upload", 1}, {"units", {{"a", 1}}}}, "\"units\"");
  refused({{"upload", 1}, {"parameters", {{"trees", "many"}}}}, "\"parameters\"");
  refused({{"upload", 1}, {"tress", 1}}, "\"tress\"");
  refused({{"devices", {"a"}}, {"streams", {"b"}}, {"every", "1ms"}}, "\"every\"");
  refused({{"devices", {"a"}}, {"streams", {"b"}}, {"from", "yesterday"}}, "\"from\"");
  EXPECT_TRUE(check_training(R"({"upload":1})"));
  const auto id = order({{"upload", 99}});
  work("w1", at_);
  EXPECT_EQ(job(id).text, "there is no upload 99");
}

}  // namespace
}  // namespace lapwing::hub
