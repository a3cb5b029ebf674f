// SPDX-License-Identifier: Apache-2.0
/// Jobs: taken by one, taken over when a worker dies, bounded.
#include "hub/store/jobs.hpp"
#include "tests/hub/store/store_contract.hpp"

#include <array>
#include <mutex>
#include <set>
#include <thread>

namespace lapwing::hub {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array<std::string_view, 2> kKinds{"export", "train"};

JobRow job(Time at, const std::string& tenant = "acme", const std::string& kind = "export") {
  return {.tenant = tenant, .kind = kind, .arguments = "{}", .actor = "t1", .created_at = at};
}

Jobs::Take taker(const std::string& worker, Time at) {
  return {.worker = worker, .kinds = kKinds, .at = at, .timeout = seconds(20), .attempts_max = 3};
}

}  // namespace

TEST_P(StoreContract, DoesAJobFromBeginToEnd) {
  auto& jobs = store_->jobs();
  EXPECT_FALSE(jobs.take(taker("w1", t0_)).value());
  const auto made = jobs.add(job(t0_)).value();
  EXPECT_EQ(made.state, JobState::queued);
  const auto taken = jobs.take(taker("w1", t0_ + seconds(1))).value();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->id, made.id);
  EXPECT_EQ(taken->attempts, 1U);
  EXPECT_EQ(taken->taken_by, "w1");
  EXPECT_FALSE(jobs.take(taker("w2", t0_ + seconds(2))).value()) << "one has it";
  EXPECT_EQ(jobs.report("w1", made.id, {5, 10, "half"}, t0_ + seconds(3)).value(), JobOrder::go_on);
  ASSERT_TRUE(jobs.append("w1", made.id, "a,b\r\n"));
  ASSERT_TRUE(jobs.append("w1", made.id, std::string("1\0", 2)));
  EXPECT_EQ(jobs.append("w2", made.id, "x").error().code, Errc::denied);
  EXPECT_EQ(jobs.append("w1", made.id, std::string(Jobs::kPartBytesMax + 1, 'x')).error().code,
            Errc::limit);
  EXPECT_EQ(jobs.result_part("acme", made.id, 0).error().code, Errc::not_found) << "not done";
  auto seen = jobs.get("acme", made.id).value();
  EXPECT_EQ(seen.done, 5U);
  EXPECT_EQ(seen.total, 10U);
  EXPECT_EQ(seen.text, "half");
  EXPECT_EQ(seen.heartbeat_at, t0_ + seconds(3));
  ASSERT_TRUE(
      jobs.end("w1", made.id, JobState::done, {10, 10, "all"}, "text/csv", t0_ + seconds(4)));
  EXPECT_EQ(jobs.end("w1", made.id, JobState::failed, {}, "", t0_).error().code, Errc::denied);
  reopen();
  auto& again = store_->jobs();
  seen = again.get("acme", made.id).value();
  EXPECT_EQ(seen.state, JobState::done);
  EXPECT_EQ(seen.content_type, "text/csv");
  EXPECT_EQ(seen.result_parts, 2U);
  EXPECT_EQ(seen.result_bytes, 7U);
  EXPECT_EQ(seen.ended_at, t0_ + seconds(4));
  EXPECT_EQ(again.result_part("acme", made.id, 1).value(), std::string("1\0", 2));
  EXPECT_EQ(again.result_part("acme", made.id, 2).error().code, Errc::not_found);
  EXPECT_EQ(again.result_part("other", made.id, 0).error().code, Errc::not_found);
  EXPECT_EQ(again.get("other", made.id).error().code, Errc::not_found);
  EXPECT_GT(again.add(job(t0_)).value().id, made.id);
}

TEST_P(StoreContract, TakesAJobOverWhenItsWorkerDied) {
  auto& jobs = store_->jobs();
  const auto id = jobs.add(job(t0_)).value().id;
  ASSERT_TRUE(jobs.take(taker("w1", t0_)).value());
  ASSERT_TRUE(jobs.append("w1", id, "half a result"));
  ASSERT_EQ(jobs.report("w1", id, {}, t0_ + seconds(10)).value(), JobOrder::go_on);
  EXPECT_FALSE(jobs.take(taker("w2", t0_ + seconds(30))).value());
  const auto taken = jobs.take(taker("w2", t0_ + seconds(31))).value();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->attempts, 2U);
  EXPECT_EQ(taken->result_parts, 0U) << "what the first left is gone";
  EXPECT_EQ(jobs.report("w1", id, {}, t0_ + seconds(32)).value(), JobOrder::drop);
  EXPECT_EQ(jobs.append("w1", id, "late").error().code, Errc::denied);
  EXPECT_EQ(jobs.end("w1", id, JobState::done, {}, "", t0_).error().code, Errc::denied);
  ASSERT_TRUE(jobs.take(taker("w3", t0_ + minutes(2))).value());
  EXPECT_FALSE(jobs.take(taker("w4", t0_ + minutes(4))).value());
  const auto failed = jobs.get("acme", id).value();
  EXPECT_EQ(failed.state, JobState::failed);
  EXPECT_EQ(failed.text, "its worker died 3 times");
}

TEST_P(StoreContract, HandsAJobBackUntried) {
  auto& jobs = store_->jobs();
  const auto id = jobs.add(job(t0_)).value().id;
  ASSERT_TRUE(jobs.take(taker("w1", t0_)).value());
  ASSERT_TRUE(jobs.append("w1", id, "half"));
  ASSERT_TRUE(jobs.end("w1", id, JobState::queued, {}, "", t0_));
  const auto taken = jobs.take(taker("w2", t0_)).value();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->attempts, 1U);
  EXPECT_EQ(taken->result_parts, 0U);
}

TEST_P(StoreContract, CancelsWhatWaitsAtOnceAndWhatRunsByItsWorker) {
  auto& jobs = store_->jobs();
  const auto running = jobs.add(job(t0_)).value().id;
  const auto waiting = jobs.add(job(t0_)).value().id;
  ASSERT_TRUE(jobs.take(taker("w1", t0_)).value());
  EXPECT_EQ(jobs.cancel("acme", waiting, t0_ + seconds(1))->state, JobState::cancelled);
  EXPECT_EQ(jobs.cancel("acme", running, t0_ + seconds(1))->state, JobState::running);
  EXPECT_EQ(jobs.cancel("other", running, t0_).error().code, Errc::not_found);
  EXPECT_EQ(jobs.report("w1", running, {}, t0_ + seconds(2)).value(), JobOrder::cancel);
  ASSERT_TRUE(jobs.end("w1", running, JobState::cancelled, {}, "", t0_ + seconds(3)));
  EXPECT_EQ(jobs.cancel("acme", running, t0_ + seconds(4))->state, JobState::cancelled);
  EXPECT_FALSE(jobs.take(taker("w1", t0_ + hours(1))).value());
}

TEST_P(StoreContract, GivesEachJobToOneOfManyWorkers) {
  constexpr int kJobs = 30;
  for (int i = 0; i < kJobs; ++i) ASSERT_TRUE(store_->jobs().add(job(t0_)));
  std::mutex mutex;
  std::multiset<std::uint64_t> taken;
  std::vector<std::thread> threads;
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&, worker] {
      while (auto one = store_->jobs().take(taker("w" + std::to_string(worker), t0_)).value()) {
        const std::scoped_lock lock(mutex);
        taken.insert(one->id);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken.size(), static_cast<std::size_t>(kJobs));
  EXPECT_EQ(std::set(taken.begin(), taken.end()).size(), static_cast<std::size_t>(kJobs));
}

TEST_P(StoreContract, LeavesKindsItDoesNotKnowToOthers) {
  auto& jobs = store_->jobs();
  ASSERT_TRUE(jobs.add(job(t0_, "acme", "merge")));
  const auto known = jobs.add(job(t0_, "acme", "train")).value().id;
  const auto taken = jobs.take(taker("w1", t0_)).value();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->id, known);
  EXPECT_FALSE(jobs.take(taker("w1", t0_)).value());
  EXPECT_EQ(jobs.open()->queued, 1U);
  EXPECT_EQ(jobs.open()->running, 1U);
}

TEST_P(StoreContract, BoundsOpenJobsAndForgetsEndedOnes) {
  auto& jobs = store_->jobs();
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < Jobs::kOpenMax; ++i) last = jobs.add(job(t0_)).value().id;
  EXPECT_EQ(jobs.add(job(t0_)).error().code, Errc::limit);
  EXPECT_TRUE(jobs.add(job(t0_, "other")));
  const auto page = jobs.list("acme", {.limit = 2}).value();
  ASSERT_EQ(page.items.size(), 2U);
  EXPECT_EQ(page.items[0].id, last);
  EXPECT_EQ(jobs.list("acme", {.limit = 2, .cursor = *page.next_cursor})->items[0].id, last - 2);
  ASSERT_TRUE(jobs.cancel("acme", last, t0_));
  ASSERT_TRUE(jobs.cancel("acme", last - 1, t0_ + hours(2)));
  EXPECT_EQ(jobs.trim(t0_ + hours(1)).value(), 1U);
  EXPECT_EQ(jobs.get("acme", last).error().code, Errc::not_found);
  EXPECT_TRUE(jobs.get("acme", last - 1));
}

}  // namespace lapwing::hub
