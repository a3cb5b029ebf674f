// SPDX-License-Identifier: Apache-2.0
/// Credentials, audit, retention.
#include "tests/hub/store/store_contract.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <set>
#include <thread>

namespace lapwing::hub {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// --- credentials and audit -----------------------------------------------------------------------

TEST_P(StoreContract, KeepsTokensAndTheirRevocation) {
  const TokenRow token{kTenant, "t1", "dashboard", "hash1", {"read", "enrol"}, t0_, t0_ + hours(1)};
  ASSERT_TRUE(store_->add_token(token));
  EXPECT_EQ(store_->add_token(token).error().code, Errc::exists);
  EXPECT_EQ(store_->add_token({"other", "t2", "n", "hash1", {}, t0_}).error().code, Errc::exists);
  const auto found = store_->token_by_hash("hash1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tenant, kTenant);
  EXPECT_EQ(found->name, "dashboard");
  EXPECT_EQ(found->scopes, token.scopes);
  EXPECT_TRUE(found->usable(t0_));
  EXPECT_FALSE(found->usable(t0_ + hours(1)));
  ASSERT_TRUE(store_->revoke_token(kTenant, "t1", t0_ + minutes(1)));
  ASSERT_TRUE(store_->revoke_token(kTenant, "t1", t0_ + minutes(2)));
  EXPECT_EQ(store_->token_by_hash("hash1")->revoked_at, t0_ + minutes(1));
  EXPECT_FALSE(store_->token_by_hash("hash1")->usable(t0_));
  EXPECT_EQ(store_->token_by_hash("nope").error().code, Errc::not_found);
  EXPECT_EQ(store_->tokens(kTenant, {})->items.size(), 1U);
}

TEST_P(StoreContract, LetsOneOfManyUseAnEnrolmentToken) {
  ASSERT_TRUE(store_->add_enrolment({kTenant, "e1", "new", t0_, t0_ + hours(1), {}}));
  EXPECT_EQ(store_->add_enrolment({kTenant, "e1", "new", t0_, t0_, {}}).error().code, Errc::exists);
  EXPECT_EQ(store_->consume_enrolment("e1", t0_ + hours(1)).error().code, Errc::denied);
  EXPECT_EQ(store_->consume_enrolment("e2", t0_).error().code, Errc::not_found);
  std::atomic<int> used{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto got = store_->consume_enrolment("e1", t0_);
      if (got) {
        ++used;
      } else {
        EXPECT_EQ(got.error().code, Errc::denied);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(used, 1);
}

TEST_P(StoreContract, RegistersManyDevicesOrNone) {
  std::vector<DeviceRegistration> fleet;
  for (int i = 0; i < 50; ++i) {
    fleet.push_back({{kTenant, "fleet-" + std::to_string(i)}, t0_, "0a", t0_ + hours(1)});
  }
  auto broken = fleet;
  broken.back().key.device.clear();
  EXPECT_EQ(store_->register_devices(broken).error().code, Errc::bad_input);
  EXPECT_EQ(store_->device(fleet[0].key).error().code, Errc::not_found);
  ASSERT_TRUE(store_->register_devices(fleet));
  ASSERT_TRUE(store_->register_devices(fleet));  // renews
  EXPECT_EQ(store_->device(fleet[0].key)->certificate_serial, "0a");
  EXPECT_EQ(store_->device(fleet[49].key)->enrolled_at, t0_);
}

TEST_P(StoreContract, TellsTheAuditNewestFirst) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(store_->add_audit(
        {0, kTenant, t0_ + minutes(i), "cli", "token.create", "t" + std::to_string(i), "d"}));
  }
  const auto page = store_->audit(kTenant, {.limit = 3});
  ASSERT_EQ(page->items.size(), 3U);
  EXPECT_EQ(page->items[0].subject, "t4");
  EXPECT_EQ(page->items[0].at, t0_ + minutes(4));
  const auto rest = store_->audit(kTenant, {.limit = 3, .cursor = *page->next_cursor});
  ASSERT_EQ(rest->items.size(), 2U);
  EXPECT_EQ(rest->items[1].subject, "t0");
}

// --- retention -----------------------------------------------------------------------------------

TEST_P(StoreContract, TrimsWhatRetentionNoLongerKeeps) {
  Retention keep;
  keep.history = hours(2);
  keep.anomalies = hours(2);
  keep.feed_rows = 3;
  keep.ledger_rows_per_device = 4;
  keep.dead_letters_per_tenant = 2;
  reopen(keep);
  std::vector<OwnedRecord> records;
  for (std::uint64_t i = 1; i <= 10; ++i) {
    records.push_back(summary(i, "a", t0_ + minutes(30) * static_cast<int>(i)));
  }
  for (std::uint64_t i = 11; i <= 16; ++i) {
    records.push_back(anomaly(i, i, i % 2 == 0 ? wire::Phase::closed : wire::Phase::opened, t0_));
  }
  put(key_, 1, records, 16);
  {
    auto transaction = store_->begin_ingest();
    ASSERT_TRUE((*transaction)->device(key_));
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE((*transaction)->dead_letter(key_, {0, 0, 0, "bad frame", "x", t0_}));
    }
    ASSERT_TRUE((*transaction)->commit());
  }
  const auto newest = store_->feed_bounds(kTenant)->newest;
  const auto trimmed = store_->trim(t0_ + hours(5));
  ASSERT_TRUE(trimmed) << trimmed.error().context;
  EXPECT_FALSE(trimmed->more);
  if (!GetParam().trims_days) {
    EXPECT_EQ(trimmed->history, 5U);
    EXPECT_EQ(store_->history(key_, {.stream = "a"})->points.size(), 5U);
    EXPECT_EQ(trimmed->ledger, 12U);
  }
  EXPECT_EQ(trimmed->anomalies, 3U);
  EXPECT_EQ(store_->anomalies(kTenant, {}, {})->items.size(), 3U) << "open ones stay";
  EXPECT_EQ(trimmed->feed, 3U);
  EXPECT_EQ(store_->feed_bounds(kTenant)->newest, newest);
  EXPECT_EQ(trimmed->dead_letters, 3U);
  EXPECT_EQ(store_->dead_letters(kTenant, {})->items.size(), 2U);
  // Exactly-once does not need the trimmed keys.
  EXPECT_EQ(put(key_, 1, records, 16).duplicates, records.size());
  expect_ledger(key_, 16, 16, 0, 0);
}

TEST_P(StoreContract, NeverTrimsKeysAheadOfTheWatermark) {
  Retention keep;
  keep.ledger_rows_per_device = 0;
  keep.history = hours(1);
  reopen(keep);
  put(key_, 1, {summary(1, "a", t0_), summary(2, "a", t0_ + minutes(2))}, 2);
  put(key_, 1, {summary(10, "a", t0_ + minutes(10))});
  ASSERT_TRUE(store_->trim(t0_ + hours(24) * 60));
  EXPECT_EQ(put(key_, 1, {summary(10, "a", t0_ + minutes(10))}).duplicates, 1U);
  put(key_, 1, {loss(3, 12)}, 12);
  expect_ledger(key_, 12, 3, 9, 0);
}

TEST_P(StoreContract, TrimsHistoryByAgeToTheDay) {
  Retention keep;
  keep.history = hours(48);
  reopen(keep);
  for (int day = 0; day < 10; ++day) {
    const auto at = t0_ + hours(24) * day;
    const auto seq = static_cast<std::uint64_t>(day) + 1;
    put(key_, 1, {summary(seq, "a", at)}, seq, at);
  }
  const auto now = t0_ + hours(24) * 9;
  const auto trimmed = store_->trim(now);
  ASSERT_TRUE(trimmed) << trimmed.error().context;
  const auto points = store_->history(key_, {.stream = "a"})->points;
  ASSERT_GE(points.size(), 3U);
  EXPECT_GE(points.front().begin, now - hours(72));
  EXPECT_EQ(points.back().begin, now);
  EXPECT_EQ(put(key_, 1, {summary(1, "a", t0_)}, 10, now).duplicates, 1U);
  put(key_, 1, {summary(11, "a", now + hours(24))}, 11, now + hours(24));
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->points.size(), points.size() + 1);
}

TEST_P(StoreContract, BoundsHistoryByRows) {
  Retention keep;
  keep.history_rows = 1000;
  reopen(keep);
  std::uint64_t seq = 0;
  for (int day = 0; day < 8; ++day) {
    std::vector<OwnedRecord> records;
    for (int i = 0; i < 300; ++i) {
      records.push_back(summary(++seq, "a", t0_ + hours(24) * day + minutes(i)));
    }
    put(key_, 1, records, seq, t0_ + hours(24) * day);
  }
  const auto now = t0_ + hours(24) * 7 + minutes(300);
  ASSERT_TRUE(store_->trim(now));
  const auto left = store_->history(key_, {.stream = "a", .limit = 10'000})->points;
  EXPECT_LE(left.size(), 1000U);
  EXPECT_GE(left.size(), 500U);
  EXPECT_EQ(left.back().begin, now - minutes(1)) << "the newest stay";
}

}  // namespace lapwing::hub
