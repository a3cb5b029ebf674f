// SPDX-License-Identifier: Apache-2.0
/// What a device tells in federated rounds, and what it keeps to itself.
#include "agent/rounds/desk.hpp"
#include "shared/base/files.hpp"
#include "shared/federate/merge.hpp"
#include "shared/model/live.hpp"
#include "shared/release/documents.hpp"
#include "shared/trust/token.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>

namespace lapwing::agent::rounds_test {
namespace {

using std::chrono::seconds;

constexpr Time kBegin = from_micros(1'764'000'000'000'000);

/// Gives one file, whatever is asked for.
class OneFile final : public FileFetch {
 public:
  void start(std::string sha256, std::uint64_t length, std::filesystem::path destination,
             Done done) override {
    if (sha256 != trust::sha256_hex(bytes) || length != bytes.size()) {
      return done(Error{Errc::not_found, "no such file"});
    }
    done(write_file_atomic(destination, bytes));
  }
  void cancel() override {}
  std::string bytes;
};

class RoundDeskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Outbox::open({}, folder_.path(), metrics_);
    ASSERT_TRUE(opened) << opened.error().context;
    outbox_ = std::move(*opened);
    group_.watch.name = "pump";
    group_.watch.streams = {"plant/+/in", "plant/+/out"};
    group_.watch.warmup = 60;
    group_.watch.gap_check = false;
    group_.interval = seconds(1);
    group_.share = detect::Share::summaries;
  }
  void make() {
    engine_ = std::make_unique<Engine>(EngineConfig{.shards = 2}, Watched{{}, {group_}},
                                       folder_.path(), *outbox_, metrics_);
    ASSERT_TRUE(engine_->start());
    desk_ = std::make_unique<RoundDesk>(RoundParts{.engine = *engine_,
                                                   .files = file_,
                                                   .metrics = metrics_,
                                                   .groups = {group_},
                                                   .device = "acme/edge-1",
                                                   .folder = folder_.path() / "rounds",
                                                   .send =
                                                       [this](const wire::ContributionPart& part) {
                                                         const std::lock_guard lock(mutex_);
                                                         sent_.push_back(part);
                                                         changed_.notify_all();
                                                         return true;
                                                       },
                                                   .pace = Micros(0),
                                                   .numbers_max = numbers_max_});
  }
  void TearDown() override {
    desk_.reset();
    if (engine_) engine_->stop();
  }
  void feed(const std::string& machine, std::size_t rows) {
    const StreamId ids[] = {*engine_->stream_for("plant/" + machine + "/in", {}),
                            *engine_->stream_for("plant/" + machine + "/out", {})};
    std::vector<Reading> readings;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto x = static_cast<double>(row);
      const double load = std::sin(.05 * x) + .1 * std::cos(x * 78.233);
      const Time at = kBegin + row * seconds(1);
      readings.push_back({ids[0], at, 10 + load + .01 * std::sin(x * 12.9898)});
      readings.push_back({ids[1], at, 3 - load + .01 * std::cos(x * 43.7)});
    }
    ASSERT_TRUE(engine_->submit(readings));
    engine_->flush();
  }
  RoundOrder order(const std::string& kind = "pca") {
    return {.round = 7,
            .pass = 1,
            .kind = kind,
            .schema = release::schema_digest(model::sensors_of(group_)),
            .rows = 64};
  }
  static std::string whole(const std::vector<wire::ContributionPart>& parts) {
    std::string bytes;
    for (const auto& part : parts) bytes += part.bytes;
    return bytes;
  }

  lapwing::testing::TempDir folder_;
  Metrics metrics_;
  std::unique_ptr<Outbox> outbox_;
  detect::GroupConfig group_;
  std::size_t numbers_max_ = Engine::kKeptNumbersMax;
  OneFile file_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<RoundDesk> desk_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<wire::ContributionPart> sent_;
};

TEST_F(RoundDeskTest, TellsOfTheRowsOfAllItsMachines) {
  make();
  feed("p1", 300);
  feed("p2", 200);
  const auto parts = desk_->tell(order());
  ASSERT_TRUE(parts) << parts.error().context;
  ASSERT_EQ(parts->size(), 1U);
  EXPECT_EQ(parts->front().problem, "");
  EXPECT_GE(parts->front().rows, 490U);  // the newest rows may still wait
  EXPECT_EQ(parts->front().sha256, trust::sha256_hex(whole(*parts)));
  const auto told = federate::decode(whole(*parts));
  ASSERT_TRUE(told) << told.error().context;
  ASSERT_TRUE(told->moments);
  EXPECT_NEAR(told->moments->mean(0), 10, 0.2);
  EXPECT_TRUE(told->samples.empty());
}

TEST_F(RoundDeskTest, SaysWhichOfItsMachinesHadNoRoom) {
  const auto left_out = [this] {
    return metrics_.counter("rounds_groups_left_out_total", "").value();
  };
  numbers_max_ = 700;  // the rows of one machine
  make();
  feed("p1", 300);
  const auto alone = desk_->tell(order());
  ASSERT_TRUE(alone);
  EXPECT_EQ(left_out(), 0);
  feed("p2", 300);
  ::testing::internal::CaptureStderr();
  const auto parts = desk_->tell(order());
  const auto log = ::testing::internal::GetCapturedStderr();
  ASSERT_TRUE(parts) << parts.error().context;
  EXPECT_EQ(parts->front().problem, "");
  EXPECT_LE(parts->front().rows, 300U) << "one machine's";
  EXPECT_EQ(left_out(), 1);
  const auto kept = engine_->kept_rows([](const auto&) { return true; }, numbers_max_);
  ASSERT_EQ(kept.left_out.size(), 1U);
  EXPECT_NE(log.find(kept.left_out[0]), std::string::npos) << log;
  EXPECT_NE(log.find("numbers_max=700"), std::string::npos) << log;
}

TEST_F(RoundDeskTest, LaterPassesAreToldOfTheCandidate) {
  make();
  feed("p1", 300);
  const auto first = federate::decode(whole(*desk_->tell(order())));
  const federate::Plan plan{.kind = federate::Kind::pca,
                            .sensors = model::sensors_of(group_),
                            .rules = {.devices_min = 3}};
  const std::vector<federate::Member> members{{"a", &*first}, {"b", &*first}, {"c", &*first}};
  const auto merged = federate::begin(plan, members);
  ASSERT_TRUE(merged) << merged.error().context;
  auto later = order();
  later.pass = 2;
  later.candidate = trust::sha256_hex(merged->file);
  later.length = merged->file.size();
  EXPECT_FALSE(desk_->tell(later)) << "it did not come: nothing is told, and it is asked again";
  file_.bytes = merged->file;
  const auto parts = desk_->tell(later);
  ASSERT_TRUE(parts) << parts.error().context;
  const auto told = federate::decode(whole(*parts));
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->within && told->beside);
}

TEST_F(RoundDeskTest, KeepsToItselfWhatIsNotShared) {
  const auto problem = [this](const RoundOrder& wanted) {
    const auto parts = desk_->tell(wanted);
    return parts ? parts->front().problem : parts.error().context;
  };
  make();
  feed("p1", 300);
  EXPECT_NE(problem(order("samples")).find("do not share samples"), std::string::npos);
  auto other = order();
  other.schema = std::string(64, 'a');
  EXPECT_NE(problem(other).find("no group here"), std::string::npos);
  other = order();
  other.model = "pumps";
  EXPECT_NE(problem(other).find("no group here"), std::string::npos);
  TearDown();
  group_.share = detect::Share::none;
  make();
  feed("p1", 300);
  EXPECT_NE(problem(order()).find("share nothing"), std::string::npos);
  EXPECT_TRUE(engine_->kept_rows([](const auto&) { return true; }).values.empty())
      << "nothing is kept";
  TearDown();
  group_.share = detect::Share::samples;
  make();
  feed("p1", 20);
  EXPECT_NE(problem(order()).find("from 64 on"), std::string::npos);
  feed("p2", 300);
  const auto told = federate::decode(whole(*desk_->tell(order("samples"))));
  ASSERT_TRUE(told);
  EXPECT_EQ(told->samples.size(), 2U * 64);
}

/// Of all that leaves a device that shares summaries, no piece has two numbers of one row.
TEST_F(RoundDeskTest, SummariesThatLeaveTheDeviceHoldNoRow) {
  make();
  feed("p1", 500);
  const auto rows = engine_->kept_rows([](const auto&) { return true; }).values;
  ASSERT_GT(rows.size(), 900U);
  for (const auto* kind : {"pca", "isolation_forest"}) {
    const auto bytes = whole(*desk_->tell(order(kind)));
    const auto there = [&](double value) {
      const auto single = static_cast<float>(value);
      return bytes.find(std::string_view(reinterpret_cast<const char*>(&value), 8)) !=
                 std::string::npos ||
             bytes.find(std::string_view(reinterpret_cast<const char*>(&single), 4)) !=
                 std::string::npos;
    };
    for (std::size_t at = 0; at < rows.size(); at += 2) {
      EXPECT_FALSE(there(rows[at]) && there(rows[at + 1])) << kind << ", row " << at / 2;
    }
  }
}

TEST_F(RoundDeskTest, AnswersAtOnceAndSendsFromAThreadOfItsOwn) {
  make();
  feed("p1", 500);
  desk_->start();
  const nlohmann::json arguments{
      {"round", 9}, {"pass", 1},  {"kind", "isolation_forest"}, {"schema", order().schema},
      {"seed", 3},  {"trees", 25}};
  EXPECT_TRUE(desk_->take(arguments.dump()));
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] {
    return !sent_.empty() && sent_.size() == sent_.front().parts;
  }));
  EXPECT_GT(sent_.size(), 1U);
  EXPECT_TRUE(federate::decode(whole(sent_)));
  lock.unlock();
  for (const auto* wrong : {"", "[]", "{}", R"({"round":1,"pass":1,"kind":"knn","schema":"x"})",
                            R"({"round":1,"pass":2,"kind":"pca","schema":")"}) {
    EXPECT_EQ(desk_->take(wrong).error().code, Errc::bad_input) << wrong;
  }
}

}  // namespace
}  // namespace lapwing::agent::rounds_test
