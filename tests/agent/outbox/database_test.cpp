// SPDX-License-Identifier: Apache-2.0
// The outbox's file under what disks do to it: every number is delivered intact or told lost.
#include "agent/outbox/database.hpp"

#include "tests/agent/outbox/support.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

namespace lapwing::agent {
namespace {

namespace fs = std::filesystem;
using lapwing::testing::TempDir;
using wire::RecordClass;

std::unique_ptr<OutboxDatabase> open(const fs::path& folder, OpenReport* report = nullptr) {
  OpenReport ignored;
  auto db = OutboxDatabase::open(folder, report != nullptr ? *report : ignored);
  EXPECT_TRUE(db) << db.error().context;
  return db ? std::move(*db) : nullptr;
}

void commit(OutboxDatabase& db) {
  const auto done = db.commit();
  EXPECT_TRUE(done) << done.error().context;
  EXPECT_TRUE(db.write_mark());
}

void append(OutboxDatabase& db, int first, int count, RecordClass c = RecordClass::summary) {
  db.begin();
  db.append(record_range(first, count, c));
  commit(db);
}

Account read_all(const fs::path& folder, std::uint64_t from, std::uint64_t before) {
  Account account;
  auto reader = OutboxReader::open(folder);
  EXPECT_TRUE(reader);
  for (std::uint64_t next = from; reader && next < before;) {
    const auto entries = (*reader)->read(next, before, 100, 10'000);
    EXPECT_TRUE(entries) << entries.error().context;
    if (!entries || entries->empty()) break;
    next = add_entries(account, *entries, next);
    EXPECT_LE(next, before);
  }
  return account;
}

/// As a crash would leave it: nothing closed, nothing checkpointed.
void copy_files(const fs::path& from, const fs::path& to) {
  for (const char* name : {"outbox.db", "outbox.db-wal", "outbox.hwm"}) {
    if (fs::exists(from / name)) {
      fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing);
    } else {
      fs::remove(to / name);
    }
  }
  fs::remove(to / "outbox.db-shm");
}

void flip_bit(const fs::path& file, std::uint64_t bit) {
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(static_cast<std::streamoff>(bit / 8));
  const int byte = bytes.get();
  bytes.seekp(static_cast<std::streamoff>(bit / 8));
  bytes.put(static_cast<char>(byte ^ (1 << (bit % 8))));
}

TEST(HighWaterMarkFile, RemembersTheNewestAndSurvivesATornSlot) {
  const TempDir folder;
  const auto path = folder.path() / "mark";
  {
    auto file = HighWaterMarkFile::open(path);
    ASSERT_TRUE(file);
    EXPECT_FALSE(file->read()->has_value()) << "a new one";
    for (std::uint64_t i = 1; i <= 5; ++i) {
      ASSERT_TRUE(file->write({std::string(32, 'a'), 1, i, 100 + i, 10 * i}));
    }
  }
  EXPECT_EQ(fs::file_size(path), 1024U);
  {
    auto file = HighWaterMarkFile::open(path);
    const auto mark = file->read();
    ASSERT_TRUE(mark && mark->has_value());
    EXPECT_EQ((*mark)->next_seq, 50U);
    EXPECT_EQ((*mark)->acked_hash, 105U);
  }
  flip_bit(path, 8 * 512 + 400);  // the fifth was written to the second slot
  auto file = HighWaterMarkFile::open(path);
  const auto older = file->read();
  ASSERT_TRUE(older && older->has_value());
  EXPECT_EQ((*older)->next_seq, 40U);
  ASSERT_TRUE(file->write({std::string(32, 'a'), 1, 6, 106, 60}));
  EXPECT_EQ((**file->read()).next_seq, 60U);
}

TEST(HighWaterMarkFile, EveryFlippedBitIsNoticed) {
  const TempDir folder;
  const auto path = folder.path() / "mark";
  {
    auto file = HighWaterMarkFile::open(path);
    ASSERT_TRUE(file->write({std::string(32, 'b'), 2, 7, 8, 9}));
  }
  for (std::uint64_t bit = 8 * 512; bit < 8 * 1024; bit += 29) {
    flip_bit(path, bit);
    auto file = HighWaterMarkFile::open(path);
    const auto mark = file->read();
    ASSERT_FALSE(mark) << bit;
    EXPECT_EQ(mark.error().code, Errc::corrupt);
    flip_bit(path, bit);
  }
}

TEST(HighWaterMarkFile, RemembersWhatEachRegionAcknowledgedUpToItsBound) {
  const TempDir folder;
  HighWaterMark mark{std::string(32, 'a'), 257, 5, 6, 7, {}};
  for (std::uint32_t region = 1; region <= wire::kRegionsMax + 3; ++region) {
    mark.acknowledged({region, 1000 + region});
  }
  mark.acknowledged({3, 9000});
  mark.acknowledged({3, 8000});
  ASSERT_EQ(mark.regions.size(), wire::kRegionsMax);
  EXPECT_EQ(mark.regions[2].through, 9000U);
  auto file = HighWaterMarkFile::open(folder.path() / "mark");
  ASSERT_TRUE(file->write(mark));
  const auto read = file->read();
  ASSERT_TRUE(read && read->has_value());
  EXPECT_EQ((*read)->regions, mark.regions);
}

TEST(OutboxDatabase, RegionsOfAnotherEpochThanItsOwnAreNotBelieved) {
  const TempDir folder;
  OpenReport report;
  {
    auto db = OutboxDatabase::open(folder.path(), report);
    ASSERT_TRUE(db);
    (*db)->begin();
    (*db)->adopt(257, {1, 0});
    ASSERT_TRUE((*db)->commit());
    ASSERT_TRUE((*db)->write_mark());
    (*db)->begin();
    (*db)->adopt(514, {2, 0});
    ASSERT_TRUE((*db)->commit());  // killed before the mark
  }
  auto db = OutboxDatabase::open(folder.path(), report);
  ASSERT_TRUE(db);
  EXPECT_EQ((*db)->position().epoch, 514U);
  EXPECT_TRUE((*db)->position().regions.empty());
}

TEST(OutboxDatabase, NumbersGrowOverRestartsAndKeepWhatTheHubHas) {
  const TempDir folder;
  std::string id;
  {
    auto db = open(folder.path());
    id = db->position().database_id;
    EXPECT_EQ(id.size(), 32U);
    EXPECT_EQ(db->position().epoch, 0U);
    append(*db, 1, 10);
    db->begin();
    db->adopt(3, {0, 4});
    commit(*db);
  }
  auto db = open(folder.path());
  EXPECT_EQ(db->position().database_id, id);
  EXPECT_EQ(db->position().epoch, 3U);
  EXPECT_EQ(db->position().acked_seq, 4U);
  EXPECT_EQ(db->position().acked_hash, wire::record_hash(record(4).payload));
  EXPECT_EQ(db->position().next_seq, 11U);
  EXPECT_EQ(db->records(), 6U);
  db->begin();
  db->forget_through(10);
  commit(*db);
  EXPECT_EQ(db->records(), 0U);
  EXPECT_EQ(db->bytes(), 0U);
  db.reset();
  db = open(folder.path());
  append(*db, 11, 1);
  const auto account = read_all(folder.path(), 11, 12);
  EXPECT_EQ(account.records.at(11), record(11).payload);
}

TEST(OutboxDatabase, ARecordThatWasNotCommittedLeavesNoTrace) {
  const TempDir folder;
  {
    auto db = open(folder.path());
    append(*db, 1, 3);
    db->begin();
    db->append(record_range(4, 5));
  }
  auto db = open(folder.path());
  EXPECT_EQ(db->position().next_seq, 4U);
  EXPECT_EQ(db->records(), 3U);
}

TEST(OutboxDatabase, AnOlderDatabaseBesideANewerMarkNeverUsesANumberTwice) {
  const TempDir folder;
  const TempDir backup;
  {
    auto db = open(folder.path());
    append(*db, 1, 10);
    copy_files(folder.path(), backup.path());
    append(*db, 11, 10);
  }
  fs::remove(backup.path() / "outbox.hwm");
  fs::copy_file(folder.path() / "outbox.hwm", backup.path() / "outbox.hwm");
  OpenReport report;
  auto db = open(backup.path(), &report);
  ASSERT_EQ(report.losses.size(), 1U);
  EXPECT_EQ(report.losses[0].seq_first, 11U);
  EXPECT_EQ(report.losses[0].seq_last, 20U);
  append(*db, 100, 1);
  EXPECT_EQ(db->position().next_seq, 22U);
  const auto account = read_all(backup.path(), 1, 22);
  EXPECT_EQ(account.records.size(), 11U);
  EXPECT_EQ(account.lost_vanished, 10U);
}

TEST(OutboxDatabase, ADeletedDatabaseIsAccountedForByTheMark) {
  const TempDir folder;
  std::string id;
  {
    auto db = open(folder.path());
    id = db->position().database_id;
    append(*db, 1, 10);
  }
  fs::remove(folder.path() / "outbox.db");
  auto db = open(folder.path());
  EXPECT_EQ(db->position().database_id, id);
  EXPECT_EQ(db->position().next_seq, 11U);
  EXPECT_EQ(read_all(folder.path(), 1, 11).lost_vanished, 10U);
}

TEST(OutboxDatabase, SummariesGoFirstAnomaliesLastAndEveryDropIsTold) {
  const TempDir folder;
  auto db = open(folder.path());
  db->begin();
  for (int i = 1; i <= 1000; ++i) {
    db->append(std::vector{record(i, i % 10 == 0 ? RecordClass::anomaly : RecordClass::summary)});
  }
  commit(*db);
  const std::uint64_t all = db->bytes();
  db->begin();
  const auto dropped = db->make_room({all / 2});
  commit(*db);
  EXPECT_GT(dropped, 490U);
  EXPECT_LE(db->bytes(), all / 2);
  auto account = read_all(folder.path(), 1, 1001);
  EXPECT_EQ(account.records.size() + account.lost_quota, 1000U);
  EXPECT_EQ(account.lost_quota, dropped);
  for (int i = 10; i <= 1000; i += 10) {
    EXPECT_TRUE(account.records.contains(static_cast<std::uint64_t>(i))) << "anomaly " << i;
  }
  EXPECT_FALSE(account.records.contains(1)) << "the oldest goes first";
  EXPECT_TRUE(account.records.contains(999));

  db->begin();
  db->make_room({20 * (200 + OutboxDatabase::kRowBytes)});
  commit(*db);
  account = read_all(folder.path(), 1, 1001);
  EXPECT_EQ(account.records.size() + account.lost_quota, 1000U);
  EXPECT_EQ(account.records.begin()->first % 10, 0U) << "only anomalies are left";
  EXPECT_GE(account.records.begin()->first, 800U) << "of them the newest";
  const auto ranges = (*OutboxReader::open(folder.path()))->losses(1, 1001);
  ASSERT_TRUE(ranges);
  EXPECT_LE(ranges->size(), 22U) << "ranges that touch are one";
}

TEST(OutboxDatabase, TheFileStaysBoundedWhileRecordsComeForEver) {
  const TempDir folder;
  auto db = open(folder.path());
  constexpr std::uint64_t kBytesMax = 2U << 20U;
  std::uint64_t dropped = 0;
  for (int round = 0; round < 60; ++round) {
    db->begin();
    db->append(record_range(round * 1000, 990));
    db->append(record_range(round * 1000 + 990, 10, RecordClass::anomaly));
    dropped += db->make_room({kBytesMax});
    commit(*db);
  }
  EXPECT_LE(db->bytes(), kBytesMax);
  EXPECT_EQ(db->records() + dropped, 60'000U);
  const auto file = fs::file_size(folder.path() / "outbox.db");
  const auto log = fs::file_size(folder.path() / "outbox.db-wal");
  std::printf("quota %llu bytes: file %llu, write-ahead log %llu\n",
              static_cast<unsigned long long>(kBytesMax), static_cast<unsigned long long>(file),
              static_cast<unsigned long long>(log));
  EXPECT_LE(file, kBytesMax * 2);
  EXPECT_LE(log, 8U << 20U);
}

TEST(OutboxDatabase, AFlippedBitInARowIsALossAndTheRestIsDelivered) {
  const TempDir folder;
  {
    auto db = open(folder.path());
    append(*db, 1, 100);
  }
  const auto file = folder.path() / "outbox.db";
  std::string bytes(fs::file_size(file), '\0');
  std::ifstream(file, std::ios::binary)
      .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const auto at = bytes.find(record(50).payload);
  ASSERT_NE(at, std::string::npos);
  flip_bit(file, 8 * (at + 20) + 3);
  auto db = open(folder.path());
  const auto account = read_all(folder.path(), 1, 101);
  EXPECT_EQ(account.lost_corrupt, 1U);
  EXPECT_EQ(account.records.size(), 99U);
  EXPECT_FALSE(account.records.contains(50));
}

struct Damage {
  std::string name;
  std::string file;
  int runs;
  void (*harm)(const fs::path& file, std::mt19937_64& random);
};

void flip_one(const fs::path& file, std::mt19937_64& random) {
  flip_bit(file, random() % (8 * fs::file_size(file)));
}

void zero_page(const fs::path& file, std::mt19937_64& random) {
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(static_cast<std::streamoff>(4096 * (random() % (fs::file_size(file) / 4096))));
  bytes << std::string(4096, '\0');
}

void truncate(const fs::path& file, std::mt19937_64& random) {
  fs::resize_file(file, random() % fs::file_size(file));
}

// The header and the words of the tables: a bit there must not keep the agent from starting.
TEST(OutboxDatabase, StartsWhateverBitOfTheFirstPageFlips) {
  const TempDir sound;
  { append(*open(sound.path()), 1, 50); }  // closed: all of it in the main file
  int healed = 0;
  std::mt19937_64 random(1);
  for (std::uint64_t i = 0; i < 500; ++i) {
    const std::uint64_t version = 8 * 60 + i;  // user_version: 32 bits
    const std::uint64_t bit = i < 32 ? version : random() % (8 * 4096);
    SCOPED_TRACE("bit " + std::to_string(bit));
    const TempDir folder;
    copy_files(sound.path(), folder.path());
    flip_bit(folder.path() / "outbox.db", bit);
    OpenReport report;
    auto db = open(folder.path(), &report);
    ASSERT_TRUE(db);
    EXPECT_GE(db->position().next_seq, 51U) << "numbers would be used twice";
    healed += report.set_aside.empty() ? 0 : 1;
    append(*db, 100, 1);
  }
  EXPECT_GT(healed, 30);
}

class DamagedOutbox : public ::testing::TestWithParam<Damage> {};

// Invariant I1: whatever happens to the bytes, every number is either the record that was put in
// or told lost, never something else, and no number is used again.
TEST_P(DamagedOutbox, DeliversEveryRecordIntactOrTellsItLost) {
  const auto& damage = GetParam();
  const TempDir sound;
  constexpr int kRecords = 1200;
  constexpr std::uint64_t kForgotten = 100;
  auto writer = open(sound.path());
  for (int i = 0; i < 4; ++i) append(*writer, 1 + i * kRecords / 4, kRecords / 4);
  writer->begin();
  writer->forget_through(kForgotten);
  writer->make_room({writer->bytes() - 10'000});
  commit(*writer);
  if (damage.file == "outbox.db") {  // everything in the main file
    writer.reset();
    writer = open(sound.path());
    append(*writer, kRecords + 1, 1);
  } else {
    append(*writer, kRecords + 1, 1);
  }
  const auto next = static_cast<std::uint64_t>(kRecords) + 2;
  const auto before = read_all(sound.path(), kForgotten + 1, next);
  ASSERT_EQ(before.records.size() + before.lost_quota, next - 1 - kForgotten);

  int healed = 0;
  int harmed = 0;
  std::uint64_t delivered = 0;
  for (int run = 0; run < damage.runs; ++run) {
    SCOPED_TRACE(damage.name + ", seed " + std::to_string(run));
    std::mt19937_64 random(static_cast<std::uint64_t>(run));
    const TempDir folder;
    copy_files(sound.path(), folder.path());
    damage.harm(folder.path() / damage.file, random);
    OpenReport report;
    auto db = open(folder.path(), &report);
    ASSERT_TRUE(db);
    if (db->position().database_id != writer->position().database_id) {
      ++harmed;  // neither file could be read: the hub sees a new outbox and grants an epoch
      continue;
    }
    EXPECT_GE(db->position().next_seq, next) << "numbers would be used twice";
    append(*db, 5000, 1);
    // A damaged page may show only when it is read: then the outbox heals, as it does when running.
    {
      auto reader = OutboxReader::open(folder.path());
      ASSERT_TRUE(reader);
      bool corrupt = false;
      for (std::uint64_t at = kForgotten + 1; at < next && !corrupt; at += 50) {
        const auto entries = (*reader)->read(at, next, 50, 1U << 20U);
        corrupt = !entries && entries.error().code == Errc::corrupt;
        EXPECT_TRUE(entries || corrupt) << entries.error().context;
      }
      if (corrupt) {
        reader = Error{Errc::io, "closed"};
        db.reset();
        auto again = OutboxDatabase::open(folder.path(), report, /*damaged=*/true);
        ASSERT_TRUE(again) << again.error().context;
        db = std::move(*again);
      }
    }
    if (!report.set_aside.empty()) ++healed;
    const auto after = read_all(folder.path(), kForgotten + 1, next);
    EXPECT_EQ(after.records.size() + after.lost(), next - 1 - kForgotten);
    for (const auto& [seq, payload] : after.records) {
      EXPECT_EQ(payload, record(static_cast<int>(seq)).payload) << seq << " is not what was put in";
    }
    if (after.records.size() < before.records.size()) ++harmed;
    delivered += after.records.size();
  }
  std::printf(
      "%s: %d runs, %d with records lost and told, %d healed, %.1f %% delivered\n",
      damage.name.c_str(), damage.runs, harmed, healed,
      100.0 * static_cast<double>(delivered) /
          static_cast<double>(before.records.size() * static_cast<std::uint64_t>(damage.runs)));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, DamagedOutbox,
    ::testing::Values(Damage{"FlippedBitInDatabase", "outbox.db", 60, &flip_one},
                      Damage{"ZeroedPage", "outbox.db", 40, &zero_page},
                      Damage{"TruncatedDatabase", "outbox.db", 25, &truncate},
                      Damage{"FlippedBitInWriteAheadLog", "outbox.db-wal", 60, &flip_one},
                      Damage{"TruncatedWriteAheadLog", "outbox.db-wal", 25, &truncate},
                      Damage{"FlippedBitInMark", "outbox.hwm", 25, &flip_one}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace lapwing::agent
