// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox.hpp"

#include "shared/base/metrics.hpp"
#include "tests/agent/outbox/faulty_vfs.hpp"
#include "tests/agent/outbox/fixture.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

namespace lapwing::agent {
namespace {

using lapwing::testing::Fault;
using lapwing::testing::FaultyVfs;
using lapwing::testing::TempDir;
using wire::RecordClass;

/// Waits for commits of an outbox as the uplink does.
class CommitListener {
 public:
  explicit CommitListener(Outbox& outbox) : outbox_(outbox) {
    outbox.on_commit([this](std::uint64_t next) {
      const std::lock_guard lock(mutex_);
      next_ = std::max(next_, next);
      ++commits_;
      changed_.notify_all();
    });
  }
  ~CommitListener() { outbox_.on_commit(nullptr); }
  CommitListener(const CommitListener&) = delete;
  CommitListener& operator=(const CommitListener&) = delete;

  bool wait_for(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, lapwing::testing::kPatience, condition);
  }
  bool reaches(std::uint64_t next) {
    return wait_for([&] { return next_ >= next; });
  }
  int commits() {
    const std::lock_guard lock(mutex_);
    return commits_;
  }

 private:
  Outbox& outbox_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t next_ = 0;
  int commits_ = 0;
};

TEST_F(OutboxTest, WhatIsSubmittedComesOutInOrderAfterItsCommit) {
  auto outbox = open();
  CommitListener listener(*outbox);
  outbox->submit(record_range(1, 10));
  outbox->submit(record_range(11, 5, RecordClass::anomaly));
  ASSERT_TRUE(listener.reaches(16));
  const auto account = read_all(*outbox);
  ASSERT_EQ(account.records.size(), 15U);
  for (const auto& [seq, payload] : account.records) {
    EXPECT_EQ(payload, record(static_cast<int>(seq)).payload);
  }
  EXPECT_EQ(outbox->figures().records, 15U);
}

TEST_F(OutboxTest, TellsHowManyBytesItWrote) {
  auto outbox = open();
  outbox->submit(record_range(1, 1000));
  outbox->flush();
  const auto total = [this](const std::string& name) {
    const std::string text = metrics_.text();
    const auto at = text.find("\nlapwing_outbox_" + name + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(text.find(' ', at)));
  };
  EXPECT_EQ(total("record_bytes_total"), 200'000);
  EXPECT_GT(total("bytes_written_total"), 200'000);
  EXPECT_LT(total("bytes_written_total"), 4 * 200'000) << "many records to a page and a commit";
}

TEST_F(OutboxTest, OneCommitServesManyRecords) {
  config_.commit_interval = std::chrono::seconds(10);
  config_.commit_records_max = 1000;
  auto outbox = open();
  CommitListener listener(*outbox);
  for (int i = 0; i < 1000; ++i) outbox->submit({record(i)});
  ASSERT_TRUE(listener.reaches(1001));
  EXPECT_LE(listener.commits(), 2);
}

TEST_F(OutboxTest, ReadsStopAtTheirBoundsAndAlwaysMakeProgress) {
  auto outbox = open();
  outbox->submit(record_range(1, 100));
  outbox->flush();
  EXPECT_EQ(outbox->read(1, 7, 1U << 20U)->size(), 7U);
  EXPECT_EQ(outbox->read(1, 100, 1000)->size(), 5U);
  EXPECT_EQ(outbox->read(1, 100, 1)->size(), 1U);
  EXPECT_TRUE(outbox->read(101, 100, 1000)->empty());
}

TEST_F(OutboxTest, AnAcknowledgementIsForgottenWithoutWaitingForAnotherRecord) {
  auto outbox = open();
  CommitListener listener(*outbox);
  outbox->submit(record_range(1, 10));
  ASSERT_TRUE(listener.reaches(11));
  outbox->forget_through(7);
  ASSERT_TRUE(listener.wait_for([&] { return outbox->figures().acked_seq == 7; }));
  EXPECT_EQ(outbox->figures().records, 3U);
  outbox->forget_through(99);  // not ours: it was never sent
  outbox->stop();
  EXPECT_EQ(outbox->position().acked_seq, 7U);
}

TEST_F(OutboxTest, AnEpochIsDurableWhenItsAdoptionReturns) {
  {
    auto outbox = open();
    EXPECT_EQ(outbox->position().epoch, 0U);
    outbox->submit(record_range(1, 10));
    outbox->flush();
    ASSERT_TRUE(outbox->adopt(4, 2));
    EXPECT_EQ(outbox->position().epoch, 4U);
  }
  auto outbox = open();
  EXPECT_EQ(outbox->position().epoch, 4U);
  EXPECT_EQ(outbox->position().acked_seq, 2U);
  EXPECT_EQ(read_all(*outbox, 3).records.size(), 8U);
}

TEST_F(OutboxTest, RemembersWhichRegionAcknowledgedWhat) {
  using Marks = std::vector<wire::RegionMark>;
  {
    auto outbox = open();
    CommitListener listener(*outbox);
    outbox->submit(record_range(1, 30));
    outbox->flush();
    ASSERT_TRUE(outbox->adopt(257, 0, 1));
    EXPECT_EQ(outbox->position().regions, (Marks{{1, 0}}));
    outbox->forget_through(10, 1);
    outbox->forget_through(15, 2);
    outbox->forget_through(20, 1);
    outbox->forget_through(22, 2);
    ASSERT_TRUE(listener.wait_for([&] { return outbox->figures().acked_seq == 22; }));
    outbox->stop();
    EXPECT_EQ(outbox->position().regions, (Marks{{1, 20}, {2, 22}}));
  }
  auto outbox = open();
  EXPECT_EQ(outbox->position().regions, (Marks{{1, 20}, {2, 22}}));
  ASSERT_TRUE(outbox->adopt(514, 22, 2));
  EXPECT_EQ(outbox->position().regions, (Marks{{2, 22}})) << "an epoch begins with one region";
}

TEST_F(OutboxTest, StopCommitsWhatWaits) {
  config_.commit_interval = std::chrono::seconds(10);
  {
    auto outbox = open();
    outbox->submit(record_range(1, 50));
    outbox->stop();
    outbox->stop();
    outbox->submit(record_range(51, 1));
    EXPECT_FALSE(outbox->adopt(1, 0));
  }
  EXPECT_EQ(read_all(*open()).records.size(), 50U);
}

TEST_F(OutboxTest, ManySourcesLoseNothingAtTheQueuesBound) {
  config_.queue_records_max = 100;
  auto outbox = open();
  std::vector<std::thread> sources;
  for (int s = 0; s < 4; ++s) {
    sources.emplace_back([&, s] {
      for (int i = 0; i < 500; i += 10) outbox->submit(record_range(s * 1000 + i, 10));
    });
  }
  std::thread reader([&] {
    for (std::uint64_t from = 1; from <= 2000;) {
      const auto entries = outbox->read(from, 100, 1U << 20U);
      ASSERT_TRUE(entries);
      if (!entries->empty()) from = entries->back().seq_last + 1;
      if (from > 500) outbox->forget_through(from - 400);
      std::this_thread::yield();
    }
  });
  for (auto& source : sources) source.join();
  outbox->flush();
  reader.join();
  EXPECT_EQ(outbox->position().next_seq, 2001U);
  EXPECT_EQ(outbox->figures().dropped_total, 0U);
}

TEST_F(OutboxTest, TheQuotaDropsSummariesAndTellsTheLedger) {
  config_.bytes_max = 1U << 20U;
  auto outbox = open();
  for (int i = 0; i < 10'000; i += 1000) {
    outbox->submit(record_range(i, 990));
    outbox->submit(record_range(i + 990, 10, RecordClass::anomaly));
  }
  outbox->flush();
  const auto figures = outbox->figures();
  EXPECT_LE(figures.bytes, config_.bytes_max);
  EXPECT_GT(figures.dropped_total, 0U);
  const auto account = read_all(*outbox);
  EXPECT_EQ(account.records.size(), figures.records);
  EXPECT_EQ(account.lost_quota, figures.dropped_total);
  EXPECT_EQ(figures.records + figures.dropped_total, figures.next_seq - 1) << "it adds up";
  EXPECT_TRUE(account.records.contains(991)) << "the oldest anomaly is there";
  EXPECT_EQ(metrics_.counter("outbox_records_dropped_total", "").value(),
            static_cast<double>(figures.dropped_total));
}

TEST_F(OutboxTest, AFullDiskHoldsNothingUpAndGivesSummariesUpFirst) {
  FaultyVfs::install();
  config_.queue_records_max = 1000;
  auto outbox = open();
  outbox->submit(record_range(1, 10));
  outbox->flush();
  FaultyVfs::arm(Fault::full, 1, 1'000'000);
  for (int i = 1; i <= 30; ++i) {  // returns, though nothing can be written
    outbox->submit(record_range(1000 * i, 90));
    outbox->submit(record_range(1000 * i + 90, 10, RecordClass::anomaly));
    if (i == 1) outbox->flush();  // the first failure is known
  }
  EXPECT_FALSE(outbox->figures().writable);
  EXPECT_NE(outbox->figures().problem.find("free space"), std::string::npos)
      << outbox->figures().problem;
  EXPECT_FALSE(outbox->adopt(2, 0)) << "an epoch that cannot be stored is not adopted";
  CommitListener listener(*outbox);
  FaultyVfs::disarm();
  ASSERT_TRUE(listener.reaches(3011)) << "it drains by itself";
  outbox->flush();
  const auto figures = outbox->figures();
  EXPECT_TRUE(figures.writable);
  const auto account = read_all(*outbox);
  EXPECT_EQ(account.records.size() + account.lost_quota, 3010U) << "everything is accounted for";
  EXPECT_EQ(account.lost_quota, figures.dropped_total);
  EXPECT_GT(account.lost_quota, 0U);
  std::set<std::string> kept;
  for (const auto& [seq, payload] : account.records) kept.insert(payload);
  for (int i = 1; i <= 30; ++i) {
    for (int j = 90; j < 100; ++j) {
      EXPECT_TRUE(kept.contains(record(1000 * i + j).payload)) << "an anomaly was given up";
    }
  }
}

class FaultAtEveryCall : public OutboxTest, public ::testing::WithParamInterface<Fault> {};

// A commit that fails may or may not have happened. Whatever it did, each record is there once.
TEST_P(FaultAtEveryCall, EveryRecordIsThereOnce) {
  FaultyVfs::install();
  const bool is_sync = GetParam() == Fault::sync || GetParam() == Fault::torn_sync;
  int fired = 0;
  for (int nth = 1; nth <= (is_sync ? 8 : 40); ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth));
    const TempDir folder;
    config_.commit_interval = Micros(0);
    auto opened = Outbox::open(config_, folder.path(), metrics_);
    ASSERT_TRUE(opened);
    auto outbox = std::move(*opened);
    outbox->submit(record_range(0, 20));
    outbox->flush();
    FaultyVfs::arm(GetParam(), nth);
    std::set<std::string> expected;
    for (int i = 0; i < 6; ++i) {
      outbox->submit(record_range(20 + 20 * i, 20));
      outbox->forget_through(static_cast<std::uint64_t>(2 * i));
      outbox->flush();
    }
    fired += FaultyVfs::fired();
    FaultyVfs::disarm();
    for (int i = 0; i < 140; ++i) expected.insert(record(i).payload);
    ASSERT_TRUE(lapwing::testing::eventually([&] {
      outbox->flush();
      return outbox->figures().writable;
    }));
    outbox->stop();
    outbox = nullptr;
    OpenReport report;
    auto db = OutboxDatabase::open(folder.path(), report);
    ASSERT_TRUE(db) << db.error().context;
    const auto position = (*db)->position();
    auto reader = OutboxReader::open(folder.path());
    Account account;
    std::uint64_t next = position.acked_seq + 1;
    while (next < position.next_seq) {
      const auto entries = (*reader)->read(next, position.next_seq, 100, 1U << 20U);
      ASSERT_TRUE(entries) << entries.error().context;
      next = add_entries(account, *entries, next);
    }
    std::multiset<std::string> found;
    for (const auto& [seq, payload] : account.records) found.insert(payload);
    for (std::uint64_t i = 0; i < position.acked_seq; ++i) {
      found.insert(record(static_cast<int>(i)).payload);
    }
    for (const auto& payload : expected)
      EXPECT_EQ(found.count(payload), 1U) << payload.substr(0, 5);
    EXPECT_EQ(found.size(), expected.size());
    EXPECT_EQ(account.lost(), 0U);
  }
  EXPECT_GE(fired, is_sync ? 5 : 20) << "the faults did not reach the outbox";
}

INSTANTIATE_TEST_SUITE_P(Faults, FaultAtEveryCall,
                         ::testing::Values(Fault::io_write, Fault::full, Fault::sync,
                                           Fault::torn_sync),
                         [](const auto& one) {
                           switch (one.param) {
                             case Fault::io_write:
                               return "Write";
                             case Fault::full:
                               return "FullDisk";
                             case Fault::sync:
                               return "Sync";
                             case Fault::torn_sync:
                               break;
                           }
                           return "TornSync";
                         });

// What a failed sync was to write may be gone, also where SQLite moves the log into the file after
// a commit: the database is opened anew, and each record is there once.
TEST_F(OutboxTest, NoFailedSyncGoesUnnoticedCheckpointsIncluded) {
  FaultyVfs::install();
  const auto failures = [this] {
    return metrics_.counter("outbox_commit_failures_total", "").value();
  };
  constexpr int kRecords = 5000;
  int fired = 0;
  for (int nth = 1; nth <= 5; ++nth) {
    SCOPED_TRACE("sync " + std::to_string(nth));
    const TempDir folder;
    auto opened = Outbox::open(config_, folder.path(), metrics_);
    ASSERT_TRUE(opened);
    const auto outbox = std::move(*opened);
    std::vector<OutboxRecord> records;  // one commit, more than the log is to hold
    for (int i = 1; i <= kRecords; ++i) records.push_back(record(i, RecordClass::summary, 1000));
    const double before = failures();
    FaultyVfs::arm(Fault::sync, nth);
    outbox->submit(std::move(records));
    ASSERT_TRUE(lapwing::testing::eventually([&] {
      outbox->flush();
      return outbox->figures().writable && outbox->position().next_seq > kRecords;
    }));
    EXPECT_EQ(failures() - before, FaultyVfs::fired());
    fired += FaultyVfs::fired();
    FaultyVfs::disarm();
    EXPECT_EQ(read_all(*outbox).records.size(), static_cast<std::size_t>(kRecords));
  }
  EXPECT_GE(fired, 3) << "of the commit, and of the checkpoint's log and file";
}

/// 2000 records, then rubbish in a page in the middle of them.
class DamagedOutboxTest : public OutboxTest {
 protected:
  std::unique_ptr<Outbox> open_damaged() {
    auto outbox = open();
    for (int i = 0; i < 2000; i += 100) outbox->submit(record_range(i, 100));
    outbox->flush();
    outbox.reset();
    const auto file = folder_.path() / "outbox.db";
    const auto pages = std::filesystem::file_size(file) / 4096;
    std::FILE* bytes = std::fopen(file.c_str(), "r+b");
    if (bytes == nullptr) return nullptr;
    std::fseek(bytes, static_cast<long>(4096 * (pages / 2)), SEEK_SET);
    const std::string rubbish(4096, '\xee');
    std::fwrite(rubbish.data(), 1, rubbish.size(), bytes);
    std::fclose(bytes);
    return open();
  }
};

TEST_F(DamagedOutboxTest, IsReplacedWhenARecordIsCompared) {
  auto outbox = open_damaged();
  ASSERT_NE(outbox, nullptr);
  int failures = 0;
  int damaged = 0;
  for (std::uint64_t seq = 1; seq <= 2000; ++seq) {
    ASSERT_TRUE(lapwing::testing::eventually([&] {
      const auto at = outbox->at(seq);
      if (!at) ++failures;
      if (at && (*at)->state == OutboxReader::RecordAt::State::damaged) ++damaged;
      if (at && seq == 1900) {
        EXPECT_EQ((*at)->hash, wire::record_hash(record(1899).payload));
      }
      return bool(at);
    })) << seq;
  }
  EXPECT_GT(failures, 0);
  EXPECT_EQ(metrics_.counter("outbox_heals_total", "").value(), 1);
  EXPECT_GT(damaged, 0);
  EXPECT_LT(damaged, 100);
  EXPECT_FALSE(*outbox->at(2001)) << "not there yet";
}

TEST_F(DamagedOutboxTest, IsReplacedWhileItRuns) {
  auto outbox = open_damaged();
  ASSERT_NE(outbox, nullptr);
  // The uplink reads until it meets the page; asking again later is all it has to do.
  Account account;
  std::uint64_t next = 1;
  int failures = 0;
  ASSERT_TRUE(lapwing::testing::eventually([&] {
    const auto entries = outbox->read(next, 100, 1U << 20U);
    if (!entries) {
      ++failures;
      return false;
    }
    next = add_entries(account, *entries, next);
    return next >= 2001;
  }));
  EXPECT_GT(failures, 0);
  EXPECT_GT(account.records.size(), 1900U) << "only the rows of that page are gone";
  EXPECT_EQ(account.records.size() + account.lost_corrupt, 2000U);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "outbox.db.damaged-1"));
  EXPECT_EQ(metrics_.counter("outbox_heals_total", "").value(), 1);
  outbox->submit(record_range(5000, 1));
  outbox->flush();
  EXPECT_EQ(outbox->position().next_seq, 2002U);
}

TEST_F(OutboxTest, AFolderThatIsNotThereIsNamed) {
  const auto refused = Outbox::open(config_, folder_.path() / "none", metrics_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().context.find("none"), std::string::npos);
}

// Printed, not asserted: what a record costs on this disk.
TEST_F(OutboxTest, Figures) {
  auto outbox = open();
  std::vector<OutboxRecord> records;
  for (int i = 0; i < 100'000; ++i) records.push_back(record(i, RecordClass::summary, 260));
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < records.size(); i += 1000) {
    outbox->submit({records.begin() + static_cast<std::ptrdiff_t>(i),
                    records.begin() + static_cast<std::ptrdiff_t>(i + 1000)});
  }
  outbox->flush();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const auto commits = metrics_.counter("outbox_commits_total", "").value();
  const auto read_began = std::chrono::steady_clock::now();
  const auto account = read_all(*outbox);
  const std::chrono::duration<double> read = std::chrono::steady_clock::now() - read_began;
  outbox.reset();
  const auto file = std::filesystem::file_size(folder_.path() / "outbox.db");
  std::printf(
      "100,000 records of 260 bytes: %.0f records/s in %.0f commits (%.1f commits/s), %.1f bytes "
      "of "
      "file a record; read %.0f records/s\n",
      100'000 / took.count(), commits, commits / took.count(), static_cast<double>(file) / 100'000,
      100'000 / read.count());
  EXPECT_EQ(account.records.size(), 100'000U);
}

}  // namespace
}  // namespace lapwing::agent
