// SPDX-License-Identifier: Apache-2.0
/// Workers on one store, on a virtual clock: what is done, taken over, cancelled; and the export.
#include "hub/jobs/worker.hpp"

#include "hub/jobs/csv.hpp"
#include "hub/jobs/export.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/wire/codec.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>

namespace lapwing::hub {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

/// What the kind "test" does; each test sets it.
std::function<Result<void>(JobRun&)>& deed() {
  static std::function<Result<void>(JobRun&)> one;
  return one;
}

constexpr std::array<JobKind, 1> kTestKinds{
    {{"test", "text/plain", [](std::string_view) -> Result<void> { return {}; },
      [](JobRun& run) { return deed()(run); }}}};

class WorkerTest : public ::testing::Test {
 protected:
  const DeviceKey key_{"acme", "press-1"};
  const Time t0_ = from_micros(1'790'000'000'000'000);

  void SetUp() override {
    store_ = open_sqlite_store(folder_.path() / "hub.db").value();
    ASSERT_TRUE(store_->register_device({key_, t0_, "0a", std::nullopt}));
    at_ = t0_;
  }
  std::unique_ptr<Worker> worker(const std::string& name,
                                 std::span<const JobKind> kinds = kTestKinds) {
    return std::make_unique<Worker>(WorkerConfig{.name = name}, *store_, metrics_, kinds,
                                    [this] { return at_; });
  }
  std::uint64_t add(const std::string& kind = "test", const std::string& arguments = "") {
    return store_->jobs()
        .add({.tenant = "acme", .kind = kind, .arguments = arguments, .created_at = at_})
        .value()
        .id;
  }
  JobRow job(std::uint64_t id) { return store_->jobs().get("acme", id).value(); }
  std::string result(std::uint64_t id) {
    std::string all;
    for (std::uint64_t part = 0; part < job(id).result_parts; ++part) {
      all += store_->jobs().result_part("acme", id, part).value();
    }
    return all;
  }

  lapwing::testing::TempDir folder_;
  std::unique_ptr<Store> store_;
  Metrics metrics_;
  Time at_;
};

TEST_F(WorkerTest, DoesWhatWaitsAndKeepsItsResultInParts) {
  deed() = [](JobRun& run) -> Result<void> {
    if (auto done = run.write(std::string(600'000, 'x')); !done) return done;
    if (auto done = run.progress(3, 3, "3 rows"); !done) return done;
    return run.flush();
  };
  auto one = worker("w1");
  EXPECT_FALSE(one->work_once());
  const auto id = add();
  EXPECT_TRUE(one->work_once());
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_EQ(job(id).text, "3 rows");
  EXPECT_EQ(job(id).content_type, "text/plain");
  EXPECT_EQ(job(id).result_parts, 3U);
  EXPECT_EQ(result(id), std::string(600'000, 'x'));
  EXPECT_FALSE(one->work_once());
}

TEST_F(WorkerTest, SaysWhyAJobFailed) {
  deed() = [](JobRun& run) -> Result<void> {
    static_cast<void>(run.write("half"));
    return Error{Errc::not_found, "there is no device x"};
  };
  const auto id = add();
  EXPECT_TRUE(worker("w1")->work_once());
  EXPECT_EQ(job(id).state, JobState::failed);
  EXPECT_EQ(job(id).text, "there is no device x");
  EXPECT_EQ(job(id).result_parts, 0U);
}

TEST_F(WorkerTest, TakesOverFromOneThatWasKilledAndDropsALateOne) {
  const auto id = add();
  auto first = worker("w1");
  auto second = worker("w2");
  deed() = [&](JobRun& run) -> Result<void> {
    if (run.job().attempts > 1) return run.progress(1, 1, "done by the second");
    // As if this process had stood still: no heartbeat, and another takes the job.
    at_ += minutes(1);
    EXPECT_TRUE(second->work_once());
    first->beat();
    return run.progress(9, 9, "late");
  };
  EXPECT_TRUE(first->work_once());
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_EQ(job(id).attempts, 2U);
  EXPECT_EQ(job(id).taken_by, "w2");
  EXPECT_EQ(job(id).text, "done by the second");
}

TEST_F(WorkerTest, HeartbeatsKeepAJobThatTakesLong) {
  const auto id = add();
  auto first = worker("w1");
  auto second = worker("w2");
  deed() = [&](JobRun& run) -> Result<void> {
    for (int i = 0; i < 10; ++i) {
      at_ += seconds(10);
      first->beat();
      EXPECT_FALSE(second->work_once());
    }
    return run.progress(1, 1, "");
  };
  EXPECT_TRUE(first->work_once());
  EXPECT_EQ(job(id).attempts, 1U);
  EXPECT_EQ(job(id).state, JobState::done);
}

TEST_F(WorkerTest, StopsAJobThatWasCancelled) {
  const auto id = add();
  auto one = worker("w1");
  deed() = [&](JobRun& run) -> Result<void> {
    EXPECT_TRUE(store_->jobs().cancel("acme", id, at_));
    one->beat();
    return run.progress(1, 2, "half");
  };
  EXPECT_TRUE(one->work_once());
  EXPECT_EQ(job(id).state, JobState::cancelled);
}

TEST_F(WorkerTest, HandsBackAtItsEndWhatItCouldNotFinish) {
  const auto id = add();
  std::atomic<bool> began{false};
  deed() = [&](JobRun& run) -> Result<void> {
    began = true;
    for (;;) {
      if (auto done = run.progress(0, 0, ""); !done) return done;
      std::this_thread::yield();
    }
  };
  auto one = worker("w1");
  one->start();
  ASSERT_TRUE(lapwing::testing::eventually([&] { return began.load(); }));
  one->stop();
  EXPECT_EQ(job(id).state, JobState::queued);
  EXPECT_EQ(job(id).attempts, 0U);
}

TEST_F(WorkerTest, ExportsAnomaliesAndHistoryAsCsv) {
  auto transaction = store_->begin_ingest().value();
  auto state = transaction->device(key_).value().sync;
  state.epoch = 1;
  ASSERT_TRUE(transaction->save_sync(key_, state));
  std::vector<wire::RecordBody> bodies;
  constexpr int kAnomalies = 2'300;
  for (int i = 0; i < kAnomalies; ++i) {
    wire::AnomalyRecord a;
    a.id = static_cast<std::uint64_t>(i) + 1;
    a.stream = "pump, \"big\"";
    a.onset = a.peak_time = t0_ + seconds(i);
    a.peak_score = 2.5;
    bodies.emplace_back(a);
  }
  for (int i = 0; i < 3; ++i) {
    wire::SummaryRecord s;
    s.stream = "flow";
    s.watch = "w";
    s.begin = t0_ + minutes(i);
    s.end = s.begin + minutes(1);
    s.value_mean = 0.1;
    bodies.emplace_back(s);
  }
  std::vector<IncomingRecord> records;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    records.push_back({i + 1, i + 1, wire::class_of(bodies[i]), i, &bodies[i]});
  }
  ASSERT_TRUE(transaction->store(key_, 1, t0_, records));
  state.watermark = bodies.size();
  ASSERT_TRUE(transaction->save_sync(key_, state));
  ASSERT_TRUE(transaction->commit());

  auto one = worker("w1", job_kinds());
  const auto all = add("export", R"({"what":"anomalies"})");
  EXPECT_TRUE(one->work_once());
  EXPECT_EQ(job(all).state, JobState::done) << job(all).text;
  const auto csv = result(all);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), kAnomalies + 1);
  EXPECT_THAT(csv, HasSubstr("press-1,00000000000008fc,open,minor,unusual,\"pump, \"\"big\"\"\","));
  EXPECT_THAT(job(all).text, HasSubstr("2300 rows, "));
  EXPECT_THAT(job(all).text, HasSubstr(" rows/s"));

  const auto history = add("export", R"({"what":"history","device":"press-1","from":")" +
                                         to_rfc3339(t0_ + minutes(1)) + "\"}");
  EXPECT_TRUE(one->work_once());
  EXPECT_THAT(result(history), HasSubstr("flow,w,"));
  EXPECT_THAT(result(history), HasSubstr(",0.1,"));
  EXPECT_EQ(job(history).done, 2U);
  const auto none = add("export", R"({"what":"history","device":"none"})");
  EXPECT_TRUE(one->work_once());
  EXPECT_EQ(job(none).state, JobState::failed);
}

TEST(Export, ChecksItsArguments) {
  EXPECT_TRUE(check_export(R"({"what":"anomalies","from":"2026-11-24T08:00:00Z"})"));
  for (const auto* bad : {"", "[]", "{}", R"({"what":"models"})", R"({"what":"history"})",
                          R"({"what":"anomalies","form":"x"})", R"({"what":"anomalies","to":"x"})",
                          R"({"what":1})"}) {
    const auto checked = check_export(bad);
    EXPECT_FALSE(checked) << bad;
    if (!checked) {
      EXPECT_EQ(checked.error().code, Errc::bad_input);
    }
  }
  EXPECT_FALSE(find_job_kind("nonsense"));
  EXPECT_THAT(find_job_kind("nonsense").error().context, HasSubstr("export"));
}

TEST(Csv, QuotesWhatItMust) {
  CsvLine line;
  EXPECT_EQ(line.text("a").text("b,c").text("d\"e").text("f\ng").number(0.25).end(),
            "a,\"b,c\",\"d\"\"e\",\"f\ng\",0.25\r\n");
  EXPECT_EQ(line.number(wire::kUnknown).time(std::nullopt).count(7).end(), ",,7\r\n");
}

}  // namespace
}  // namespace lapwing::hub
