// SPDX-License-Identifier: Apache-2.0
/// Uploads: in order, once, bounded.
#include "hub/store/uploads.hpp"
#include "tests/hub/store/store_contract.hpp"

namespace lapwing::hub {
namespace {

UploadRow upload(Time at, const std::string& tenant = "acme") {
  return {
      .tenant = tenant, .name = "pump.csv", .actor = "t1", .created_at = at, .completed_at = {}};
}

}  // namespace

TEST_P(StoreContract, KeepsAnUploadPieceByPiece) {
  auto& uploads = store_->uploads();
  const auto id = uploads.add(upload(t0_)).value().id;
  EXPECT_EQ(uploads.append("acme", id, 0, std::string("a\0b", 3))->bytes, 3U);
  EXPECT_EQ(uploads.append("acme", id, 3, "cd")->bytes, 5U);
  EXPECT_EQ(uploads.append("acme", id, 3, "cd")->bytes, 5U) << "sent again";
  EXPECT_EQ(uploads.append("acme", id, 6, "x").error().code, Errc::exists) << "a hole";
  EXPECT_EQ(uploads.append("acme", id, 4, "dex").error().code, Errc::exists) << "half of it new";
  EXPECT_EQ(uploads.append("other", id, 5, "x").error().code, Errc::not_found);
  EXPECT_EQ(uploads.append("acme", id, 5, "").error().code, Errc::limit);
  EXPECT_EQ(
      uploads.append("acme", id, 5, std::string(Uploads::kPieceBytesMax + 1, 'x')).error().code,
      Errc::limit);
  ASSERT_TRUE(uploads.complete("acme", id, "5d", t0_ + Micros(7)));
  reopen();
  auto& again = store_->uploads();
  const auto kept = again.get("acme", id).value();
  EXPECT_EQ(kept.name, "pump.csv");
  EXPECT_EQ(kept.bytes, 5U);
  EXPECT_EQ(kept.sha256, "5d");
  EXPECT_EQ(kept.completed_at, t0_ + Micros(7));
  EXPECT_EQ(again.piece("acme", id, 0).value(), std::string("a\0b", 3));
  EXPECT_EQ(again.piece("acme", id, 3).value(), "cd");
  EXPECT_EQ(again.piece("acme", id, 5).value(), "");
  EXPECT_EQ(again.piece("acme", id, 4).error().code, Errc::not_found);
  EXPECT_EQ(again.piece("other", id, 0).error().code, Errc::not_found);
  EXPECT_EQ(again.append("acme", id, 5, "x").error().code, Errc::denied);
  EXPECT_TRUE(again.complete("acme", id, "5d", t0_));
  EXPECT_EQ(again.complete("acme", id, "5e", t0_).error().code, Errc::denied);
  EXPECT_EQ(again.drop("other", id).error().code, Errc::not_found);
  ASSERT_TRUE(again.drop("acme", id));
  EXPECT_EQ(again.get("acme", id).error().code, Errc::not_found);
  EXPECT_GT(again.add(upload(t0_)).value().id, id);
}

TEST_P(StoreContract, BoundsUploadsAndForgetsWhatNobodyCompleted) {
  auto& uploads = store_->uploads();
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < Uploads::kUploadsMax; ++i) last = uploads.add(upload(t0_))->id;
  EXPECT_EQ(uploads.add(upload(t0_)).error().code, Errc::limit);
  EXPECT_TRUE(uploads.add(upload(t0_ + std::chrono::hours(1), "other")));
  ASSERT_TRUE(uploads.complete("acme", last, "00", t0_));
  while (uploads.trim(t0_ + Micros(1)).value() > 0) {
  }
  const auto left = uploads.list("acme", {}).value();
  ASSERT_EQ(left.items.size(), 1U);
  EXPECT_EQ(left.items[0].id, last);
  EXPECT_EQ(uploads.list("other", {})->items.size(), 1U);
}

}  // namespace lapwing::hub
