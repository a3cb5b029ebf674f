// SPDX-License-Identifier: Apache-2.0
/// The list of revoked certificates, on a clock of our own.
#include "hub/fleet/crl_file.hpp"

#include "hub/store/sqlite_store.hpp"
#include "shared/base/files.hpp"
#include "shared/trust/crl.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::hub {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::SizeIs;
using namespace std::chrono_literals;

constexpr auto kDay = 24h;

class RevokedList : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto authority = trust::Authority::create("test", {at_, kDay * 3650});
    ASSERT_TRUE(authority->key().write_new(folder_.path() / "ca.key"));
    folder_.put("ca.pem", authority->certificate().pem());
    authorities_ = Authorities::load(folder_.path()).value();
    enrol("edge-1", "4a01", 30 * kDay);
  }
  void enrol(const std::string& device, const std::string& serial, Micros lifetime) {
    ASSERT_TRUE(store_->register_device({{"acme", device},
                                         at_,
                                         serial,
                                         at_ + lifetime,
                                         authorities_->signer().certificate().fingerprint()}));
  }
  bool keep(CrlFile& list) {
    const auto written = list.keep(store_->certificates(), *authorities_, at_);
    EXPECT_TRUE(written) << written.error().context;
    return written && *written;
  }
  trust::CrlInfo on_disk() {
    return trust::read_crls(read_file(file_, trust::kCrlBytesMax).value()).value().front();
  }

  Time at_ = from_rfc3339("2026-11-30T08:00:00Z").value();
  lapwing::testing::TempDir folder_;
  std::filesystem::path file_ = folder_.path() / "crl.pem";
  std::unique_ptr<Store> store_ = open_sqlite_store(folder_.path() / "hub.db").value();
  std::optional<Authorities> authorities_;
};

TEST_F(RevokedList, IsReissuedEveryDayLongBeforeItLapses) {
  CrlFile list(file_, {});
  ASSERT_TRUE(keep(list));
  auto number = on_disk().number;
  for (int hours = 0; hours < 24 * 30; ++hours) {
    at_ += 1h;
    if (keep(list)) {
      EXPECT_GT(on_disk().number, number);
      number = on_disk().number;
    }
    ASSERT_GT(on_disk().lapses - at_, 6 * kDay - 1h);
    ASSERT_LE(on_disk().issued, at_);
    ASSERT_EQ(list.lapses(), on_disk().lapses);
  }
}

TEST_F(RevokedList, HasWhatIsRevokedAtOnceAndUntilItExpires) {
  CrlFile list(file_, {});
  keep(list);
  EXPECT_TRUE(list.take_new().empty());
  const auto before = on_disk();
  at_ += 2s;
  EXPECT_FALSE(keep(list));
  ASSERT_TRUE(store_->revoke_device({"acme", "edge-1"}, at_));
  ASSERT_TRUE(keep(list));
  EXPECT_THAT(on_disk().serials, Contains("4a01"));
  EXPECT_GE(on_disk().issued - before.issued, 1s) << "a broker keeps the one issued later";
  EXPECT_THAT(list.take_new(), SizeIs(1));
  EXPECT_TRUE(list.take_new().empty());
  at_ += 31 * kDay;
  ASSERT_TRUE(keep(list));
  EXPECT_THAT(on_disk().serials, Not(Contains("4a01")));
}

TEST_F(RevokedList, IssuesNoTwoWithinASecond) {
  CrlFile list(file_, {});
  keep(list);
  for (int i = 0; i < 5; ++i) {
    enrol("burst-" + std::to_string(i), "4b0" + std::to_string(i), kDay);
    ASSERT_TRUE(store_->revoke_device({"acme", "burst-" + std::to_string(i)}, at_));
    at_ += 100ms;
    EXPECT_FALSE(keep(list));
  }
  at_ += 600ms;
  EXPECT_TRUE(keep(list));
  EXPECT_THAT(list.take_new(), SizeIs(5));
  EXPECT_THAT(on_disk().serials, SizeIs(6)) << "the canary too";
}

TEST_F(RevokedList, ANewHubIssuesALaterOneAndEndsWhatWasRevokedLately) {
  ASSERT_TRUE(store_->revoke_device({"acme", "edge-1"}, at_ - 10min));
  enrol("edge-2", "4a02", 30 * kDay);
  ASSERT_TRUE(store_->revoke_device({"acme", "edge-2"}, at_ - 10h));
  CrlFile first(file_, {});
  ASSERT_TRUE(keep(first));
  const auto before = on_disk();
  CrlFile second(file_, {});
  ASSERT_TRUE(keep(second));
  EXPECT_GT(on_disk().issued, before.issued);
  EXPECT_GT(on_disk().number, before.number);
  const auto fresh = second.take_new();
  ASSERT_THAT(fresh, SizeIs(1));
  EXPECT_EQ(fresh[0].key.device, "edge-1");
}

TEST_F(RevokedList, HasACanaryThatOnlyTheNewestListHas) {
  CrlFile list(file_, {});
  keep(list);
  const auto serial = [&] {
    return trust::Certificate::from_pem(list.canary().certificate_pem).value().info().serial;
  };
  const auto first = serial();
  EXPECT_THAT(on_disk().serials, Contains(first));
  at_ += kDay;
  keep(list);
  EXPECT_NE(serial(), first);
  EXPECT_THAT(on_disk().serials, Contains(serial()));
  EXPECT_THAT(on_disk().serials, Not(Contains(first)));
}

TEST_F(RevokedList, SurvivesAClockThatIsSetBack) {
  CrlFile list(file_, {});
  at_ += 400 * kDay;
  keep(list);
  at_ -= 400 * kDay;
  EXPECT_TRUE(keep(list));
  EXPECT_LE(on_disk().issued, at_);
  EXPECT_GT(on_disk().lapses, at_);
}

TEST_F(RevokedList, WhatCannotBeWrittenIsTold) {
  CrlFile list(folder_.path() / "none" / "crl.pem", {});
  const auto written = list.keep(store_->certificates(), *authorities_, at_);
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().context, ::testing::HasSubstr("crl.pem"));
  EXPECT_FALSE(list.lapses());
}

}  // namespace
}  // namespace lapwing::hub
