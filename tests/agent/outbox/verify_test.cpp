// SPDX-License-Identifier: Apache-2.0
// What `outbox verify` finds, and that a repair leaves nothing to find.
#include "agent/outbox/verify.hpp"

#include "tests/agent/outbox/support.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace lapwing::agent::verify_test {
namespace {

namespace fs = std::filesystem;
using lapwing::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class VerifyOutbox : public ::testing::Test {
 protected:
  VerifyOutbox() {
    OpenReport report;
    auto db = OutboxDatabase::open(folder_.path(), report);
    for (int i = 0; i < 10; ++i) {
      (*db)->begin();
      (*db)->append(record_range(1 + 100 * i, 100));
      if (i == 9) (*db)->append_loss(5, wire::LossReason::quota);
      EXPECT_TRUE((*db)->commit());
      EXPECT_TRUE((*db)->write_mark());
    }
  }
  OutboxCheck check() {
    const auto check = verify_outbox(folder_.path());
    EXPECT_TRUE(check) << check.error().context;
    return check ? *check : OutboxCheck{};
  }
  void repair() {
    OpenReport report;
    EXPECT_TRUE(OutboxDatabase::open(folder_.path(), report, /*damaged=*/true));
    EXPECT_FALSE(report.set_aside.empty());
    EXPECT_TRUE(check().sound());
  }
  /// Changes a byte of the payload of record `number` in the file.
  void harm(int number) {
    const auto file = folder_.path() / "outbox.db";
    std::string bytes(fs::file_size(file), '\0');
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    const auto at = bytes.find(record(number).payload);
    ASSERT_NE(at, std::string::npos);
    stream.seekp(static_cast<std::streamoff>(at) + 20);
    stream.put('#');
  }

  TempDir folder_;
};

TEST_F(VerifyOutbox, ASoundOneIsSound) {
  std::uint64_t seen = 0;
  const auto found = verify_outbox(folder_.path(), [&](std::uint64_t done, std::uint64_t all) {
    EXPECT_EQ(all, 1005U);
    EXPECT_GT(done, seen);
    seen = done;
  });
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->sound());
  EXPECT_EQ(seen, 1005U);
  EXPECT_EQ(found->records, 1000U);
  EXPECT_EQ(found->lost.at(wire::LossReason::quota), 5U);
}

TEST_F(VerifyOutbox, RowsThatWentBadAreCounted) {
  harm(50);
  harm(700);
  const auto found = check();
  EXPECT_THAT(found.problems, ElementsAre(HasSubstr("2 records fail their checksum")));
  EXPECT_EQ(found.records, 998U);
  EXPECT_EQ(found.lost.at(wire::LossReason::corrupt), 2U);
  repair();
  EXPECT_EQ(check().records, 998U);
  EXPECT_EQ(check().lost.at(wire::LossReason::corrupt), 2U);
}

TEST_F(VerifyOutbox, WhatTheMarkKnowsAndTheDatabaseDoesNotIsNamed) {
  const TempDir older;
  fs::copy_file(folder_.path() / "outbox.db", older.path() / "outbox.db");
  {
    OpenReport report;
    auto db = OutboxDatabase::open(folder_.path(), report);
    (*db)->begin();
    (*db)->append(record_range(2000, 3));
    ASSERT_TRUE((*db)->commit());
    ASSERT_TRUE((*db)->write_mark());
  }
  fs::copy_file(older.path() / "outbox.db", folder_.path() / "outbox.db",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(check().problems, ElementsAre(HasSubstr("records 1006 to 1008 were committed")));
  repair();
}

TEST_F(VerifyOutbox, AMissingMarkAndARuinedFileAreProblemsNotErrors) {
  fs::remove(folder_.path() / "outbox.hwm");
  EXPECT_THAT(check().problems, ElementsAre(HasSubstr("outbox.hwm is missing")));
  {
    std::fstream bytes(folder_.path() / "outbox.db",
                       std::ios::in | std::ios::out | std::ios::binary);
    bytes << std::string(8192, '#');
  }
  EXPECT_FALSE(check().sound());
}

TEST(VerifyNoOutbox, SaysThatThereIsNone) {
  const TempDir folder;
  const auto found = verify_outbox(folder.path());
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().context, HasSubstr("outbox.db"));
}

}  // namespace
}  // namespace lapwing::agent::verify_test
