// SPDX-License-Identifier: Apache-2.0
// What gives way when memory, the quota or the disk is full; and what waits in memory.
#include "agent/outbox/ballast.hpp"
#include "agent/outbox/outbox.hpp"
#include "agent/outbox/waiting.hpp"
#include "shared/base/metrics.hpp"
#include "tests/agent/outbox/faulty_vfs.hpp"
#include "tests/agent/outbox/fixture.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

namespace lapwing::agent {
namespace {

using lapwing::testing::eventually;
using lapwing::testing::Fault;
using lapwing::testing::FaultyVfs;
using lapwing::testing::TempDir;
using wire::RecordClass;

constexpr std::uint64_t kMiB = 1U << 20U;

std::string numbers_of(const std::vector<OutboxRecord>& records) {
  std::string text;
  for (const auto& one : records) {
    if (!text.empty()) text += ' ';
    if (one.record_class == RecordClass::anomaly) text += 'a';
    text += std::to_string(to_micros(one.time));
  }
  return text;
}

/// 1 a2 3 a4 5 wait, 6 a7 8 come, and there is room for so many.
std::pair<std::string, std::uint64_t> squeeze(AtBound policy, std::size_t room) {
  WaitingRecords waiting({room, kMiB}, policy);
  std::vector<OutboxRecord> coming;
  for (int i = 1; i <= 8; ++i) {
    std::vector one{
        record(i, i == 2 || i == 4 || i == 7 ? RecordClass::anomaly : RecordClass::summary)};
    if (i <= 5) {
      waiting.add(std::move(one));
    } else {
      coming.push_back(std::move(one[0]));
    }
  }
  waiting.make_room(coming);
  waiting.add(std::move(coming));
  const auto taken = waiting.take();
  EXPECT_EQ(taken.records.size() + taken.given_up, 8U) << "it adds up";
  EXPECT_TRUE(waiting.empty());
  return {numbers_of(taken.records), taken.given_up};
}

TEST(WaitingRecords, GivesUpWhatThePolicySaysAndAnomaliesLast) {
  EXPECT_EQ(squeeze(AtBound::drop_oldest, 8).first, "1 a2 3 a4 5 6 a7 8");
  EXPECT_EQ(squeeze(AtBound::drop_oldest, 6).first, "a2 a4 5 6 a7 8");
  EXPECT_EQ(squeeze(AtBound::drop_oldest, 4).first, "a2 a4 a7 8");
  EXPECT_EQ(squeeze(AtBound::drop_oldest, 2).first, "a2 a4");
  EXPECT_EQ(squeeze(AtBound::drop_newest, 7).first, "1 a2 3 a4 5 6 a7");
  EXPECT_EQ(squeeze(AtBound::drop_newest, 6).first, "1 a2 3 a4 5 a7");
  EXPECT_EQ(squeeze(AtBound::drop_newest, 4).first, "1 a2 a4 a7");
  EXPECT_EQ(squeeze(AtBound::drop_newest, 2).first, "a2 a4");
}

TEST(WaitingRecords, KnowsItsBytesAndWhetherAnythingIsUrgent) {
  WaitingRecords waiting({100, kMiB}, AtBound::drop_oldest);
  waiting.add({record(1, RecordClass::summary, 100), record(2, RecordClass::summary, 50)});
  EXPECT_EQ(waiting.bytes(), 150 + 2 * OutboxDatabase::kRowBytes);
  EXPECT_FALSE(waiting.urgent());
  waiting.add({record(3, RecordClass::anomaly, 10)});
  EXPECT_TRUE(waiting.urgent());
  auto taken = waiting.take();
  EXPECT_EQ(waiting.bytes(), 0U);
  EXPECT_FALSE(waiting.urgent());
  waiting.add({record(4)});
  waiting.put_back(std::move(taken));
  EXPECT_TRUE(waiting.urgent());
  EXPECT_EQ(numbers_of(waiting.take().records), "1 2 a3 4");
}

TEST(WaitingRecords, IsBoundedInBytesToo) {
  for (const AtBound policy : {AtBound::drop_oldest, AtBound::drop_newest}) {
    WaitingRecords waiting({1000, 10 * (5000 + OutboxDatabase::kRowBytes)}, policy);
    for (int i = 1; i <= 10; ++i) {
      EXPECT_FALSE(waiting.full()) << i;
      waiting.add({record(i, i == 1 ? RecordClass::anomaly : RecordClass::summary, 5000)});
    }
    EXPECT_TRUE(waiting.full());
    std::vector coming{record(11, RecordClass::summary, 5000),
                       record(12, RecordClass::anomaly, 5000)};
    waiting.make_room(coming);
    waiting.add(std::move(coming));
    const bool oldest = policy == AtBound::drop_oldest;
    EXPECT_LE(waiting.bytes(), 10 * (5000 + OutboxDatabase::kRowBytes));
    EXPECT_EQ(numbers_of(waiting.take().records),
              oldest ? "a1 4 5 6 7 8 9 10 11 a12" : "a1 2 3 4 5 6 7 8 a12");
  }
}

TEST(Ballast, IsTakenGivenBackAndTakenAgain) {
  const TempDir folder;
  const auto file = folder.path() / "outbox.ballast";
  Ballast ballast(folder.path(), kMiB);
  EXPECT_FALSE(ballast.release()) << "there is none yet";
  ASSERT_TRUE(ballast.take());
  EXPECT_EQ(std::filesystem::file_size(file), kMiB);
  EXPECT_TRUE(Ballast(folder.path(), kMiB).held()) << "of an earlier start";
  EXPECT_TRUE(ballast.release());
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_TRUE(ballast.take());
  Ballast none(folder.path(), 0);
  EXPECT_FALSE(std::filesystem::exists(file)) << "nobody wants it any more";
  EXPECT_FALSE(none.take());
  EXPECT_FALSE(Ballast(folder.path(), std::uint64_t{1} << 60U).take()) << "no disk has that";
}

class BoundedOutbox : public OutboxTest {
 protected:
  BoundedOutbox() { config_.bytes_max = kMiB; }
};

TEST_F(BoundedOutbox, DropNewestKeepsTheBeginningAndEveryAnomaly) {
  config_.summaries_at_bound = AtBound::drop_newest;
  auto outbox = open();
  for (int i = 0; i < 10'000; i += 1000) {
    outbox->submit(record_range(i, 990));
    outbox->submit(record_range(i + 990, 10, RecordClass::anomaly));
    outbox->flush();
  }
  const auto figures = outbox->figures();
  EXPECT_LE(figures.bytes, config_.bytes_max);
  EXPECT_EQ(figures.next_seq, 10'001U) << "what is not stored has its number all the same";
  const auto account = read_all(*outbox);
  EXPECT_EQ(account.records.size(), figures.records);
  EXPECT_EQ(account.lost_quota, figures.dropped_total);
  EXPECT_EQ(figures.records + figures.dropped_total, 10'000U) << "it adds up";
  for (std::uint64_t seq = 1; seq <= 3000; ++seq) {
    ASSERT_TRUE(account.records.contains(seq)) << seq << ": the beginning stays";
  }
  for (int i = 0; i < 10'000; i += 1000) {
    for (int j = 991; j <= 1000; ++j) {
      EXPECT_TRUE(account.records.contains(static_cast<std::uint64_t>(i + j))) << "an anomaly";
    }
  }
  EXPECT_FALSE(account.records.contains(9500));
  const auto given_up = *outbox->at(9500);
  ASSERT_TRUE(given_up);
  EXPECT_EQ(given_up->state, OutboxReader::RecordAt::State::given_up);
  EXPECT_EQ(given_up->below_seq, 9000U) << "the anomaly before it";
  EXPECT_EQ(given_up->below_hash, wire::record_hash(account.records.at(9000)));
  EXPECT_EQ(metrics_.counter("outbox_records_dropped_total", "").value(),
            static_cast<double>(figures.dropped_total));
}

TEST_F(BoundedOutbox, BlockWaitsForTheHubAndGivesNothingUp) {
  config_.summaries_at_bound = AtBound::block;
  auto outbox = open();
  std::atomic<int> submitted{0};
  std::thread source([&] {
    for (int i = 0; i < 20; ++i) {
      outbox->submit(record_range(i * 1000, 1000));
      ++submitted;
    }
  });
  // The bound is reached: it waits, and goes on as the hub takes records.
  std::uint64_t acknowledged = 0;
  int waits = 0;
  while (submitted < 20) {
    ASSERT_TRUE(eventually([&] { return outbox->figures().waiting || submitted == 20; }));
    if (submitted == 20) break;
    EXPECT_LT(outbox->figures().bytes, 2 * config_.bytes_max);
    ++waits;
    outbox->flush();
    acknowledged = outbox->position().next_seq - 1;
    outbox->forget_through(acknowledged);
    ASSERT_TRUE(eventually([&] { return outbox->position().acked_seq == acknowledged; }));
  }
  source.join();
  outbox->flush();
  EXPECT_GE(waits, 3);
  EXPECT_EQ(outbox->position().next_seq, 20'001U);
  EXPECT_EQ(outbox->figures().dropped_total, 0U);
  EXPECT_EQ(read_all(*outbox, acknowledged + 1).lost(), 0U);
}

TEST_F(BoundedOutbox, AStopEndsTheWaitAndKeepsWhatStillComes) {
  config_.summaries_at_bound = AtBound::block;
  auto outbox = open();
  outbox->submit(record_range(0, 6000));
  outbox->flush();
  std::thread source([&] { outbox->submit(record_range(6000, 100)); });
  ASSERT_TRUE(eventually([&] { return outbox->figures().waiting; }));
  outbox->stop_waiting();
  source.join();
  outbox->stop();
  EXPECT_EQ(outbox->position().next_seq, 6101U);
}

TEST_F(BoundedOutbox, OnAFullDiskItGoesOnInTheBallastsRoom) {
  FaultyVfs::install();
  config_.bytes_max = 64 * kMiB;
  config_.ballast_bytes = 4 * kMiB;
  config_.room_again = std::chrono::hours(1);
  auto outbox = open();
  ASSERT_TRUE(std::filesystem::exists(folder_.path() / "outbox.ballast"));
  outbox->submit(record_range(0, 10'000));
  outbox->flush();
  const auto held = outbox->figures().bytes;
  FaultyVfs::arm(Fault::full, 1);
  outbox->submit(record_range(10'000, 1000));
  outbox->submit(record_range(11'000, 10, RecordClass::anomaly));
  outbox->flush();
  ASSERT_EQ(FaultyVfs::fired(), 1);
  auto figures = outbox->figures();
  EXPECT_TRUE(figures.writable) << "it did not even wait";
  EXPECT_EQ(figures.next_seq, 11'011U);
  EXPECT_LE(figures.bytes, held) << "it does not grow on a full disk";
  EXPECT_EQ(figures.bytes_max, held);
  EXPECT_NE(figures.problem.find("disk is full"), std::string::npos);
  EXPECT_GT(figures.dropped_total, 900U);
  EXPECT_EQ(figures.records + figures.dropped_total, 11'010U) << "it adds up";
  EXPECT_EQ(metrics_.counter("outbox_disk_full_total", "").value(), 1);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "outbox.ballast"));
}

TEST_F(BoundedOutbox, WhenTheDiskHasRoomAgainTheBoundIsAsBefore) {
  FaultyVfs::install();
  config_.ballast_bytes = 2 * kMiB;
  config_.room_again = Micros(0);
  auto outbox = open();
  FaultyVfs::arm(Fault::full, 1);
  outbox->submit(record_range(0, 1));
  outbox->flush();
  ASSERT_EQ(FaultyVfs::fired(), 1);
  EXPECT_EQ(outbox->figures().bytes_max, kMiB / 2) << "a quarter of the ballast";
  outbox->submit(record_range(1, 1));
  outbox->flush();
  EXPECT_EQ(outbox->figures().bytes_max, config_.bytes_max);
  EXPECT_EQ(outbox->figures().problem, "");
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "outbox.ballast"));
}

TEST_F(BoundedOutbox, SummariesMayWaitInMemoryAnomaliesDoNot) {
  config_.summaries_wait = std::chrono::minutes(10);
  auto outbox = open();
  outbox->submit(record_range(0, 5));
  EXPECT_EQ(outbox->figures().at_risk, 5U) << "and says so";
  EXPECT_EQ(metrics_.gauge("outbox_records_at_risk", "").value(), 5);
  EXPECT_EQ(outbox->position().next_seq, 1U);
  outbox->submit(record_range(5, 1, RecordClass::anomaly));
  ASSERT_TRUE(eventually([&] { return outbox->position().next_seq == 7; }))
      << "an anomaly takes all with it";
  EXPECT_EQ(outbox->figures().at_risk, 0U);
  outbox->submit(record_range(6, 5));
  outbox->flush();
  EXPECT_EQ(outbox->position().next_seq, 12U) << "so does a flush";
  outbox->submit(record_range(11, 5));
  outbox->stop();
  EXPECT_EQ(outbox->position().next_seq, 17U) << "and a stop";
}

}  // namespace
}  // namespace lapwing::agent
