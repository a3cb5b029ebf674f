// SPDX-License-Identifier: Apache-2.0
/// What every store promises of certificates.
#include "hub/store/certificates.hpp"
#include "tests/hub/store/store_contract.hpp"

#include <gmock/gmock.h>

namespace lapwing::hub {
namespace certificates_contract {

using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Time kStart = from_micros(1'790'000'000'000'000);  // the contract's t0_

CertificateRow renewal(const DeviceKey& key, const std::string& serial,
                       const std::string& authority = "a2") {
  return {.key = key,
          .serial = serial,
          .authority = authority,
          .key_hash = "hash of " + serial,
          .pem = "pem of " + serial,
          .issued_at = kStart + hours(1),
          .expires_at = kStart + hours(48)};
}

std::vector<std::string> revoked(Store& store, Time at) {
  auto list = store.certificates().revoked(at);
  EXPECT_TRUE(list);
  std::vector<std::string> serials;
  for (const auto& one : list->entries) serials.push_back(one.serial);
  return serials;
}

TEST_P(StoreContract, RevokesEveryCertificateOfADevice) {
  ASSERT_TRUE(store_->certificates().add(renewal(key_, "0b")));
  const auto before = store_->certificates().changes().value();
  ASSERT_TRUE(store_->revoke_device(key_, t0_ + hours(2)));
  EXPECT_GT(store_->certificates().changes().value(), before);
  EXPECT_THAT(revoked(*store_, t0_ + hours(2)), ElementsAre("0a", "0b"));
  EXPECT_THAT(revoked(*store_, t0_ + hours(30)), ElementsAre("0b"))
      << "what has expired leaves the list";
  const auto entry = store_->certificates().revoked(t0_ + hours(2)).value().entries.front();
  EXPECT_EQ(entry.key, key_);
  EXPECT_EQ(entry.reason, "revoked");
  EXPECT_EQ(entry.at, t0_ + hours(2));

  const auto after = store_->certificates().changes().value();
  ASSERT_TRUE(store_->revoke_device(key_, t0_ + hours(3)));
  EXPECT_EQ(store_->certificates().changes().value(), after) << "nothing changed";
}

TEST_P(StoreContract, AnEnrolmentRevokesWhatWasBefore) {
  ASSERT_TRUE(store_->revoke_device(key_, t0_ + hours(1)));
  ASSERT_TRUE(store_->register_device({key_, t0_ + hours(2), "0c", t0_ + hours(90), "a1"}));
  EXPECT_THAT(revoked(*store_, t0_ + hours(2)), ElementsAre("0a")) << "the new one is good";
  ASSERT_TRUE(store_->register_device({key_, t0_ + hours(3), "0d", t0_ + hours(90), "a1"}));
  EXPECT_THAT(revoked(*store_, t0_ + hours(3)), ElementsAre("0a", "0c"));
  EXPECT_EQ(store_->certificates().revoked(t0_ + hours(3)).value().entries.back().reason,
            "superseded");
}

TEST_P(StoreContract, ARenewalLeavesTheEarlierOneGood) {
  ASSERT_TRUE(store_->certificates().add(renewal(key_, "0b")));
  EXPECT_THAT(revoked(*store_, t0_ + hours(2)), IsEmpty());
  const auto row = store_->device(key_).value();
  EXPECT_EQ(row.certificate_serial, "0b");
  EXPECT_EQ(row.certificate_expires, t0_ + hours(48));
  const auto again = store_->certificates().answer_to(key_, "hash of 0b", t0_ + hours(2)).value();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->pem, "pem of 0b");
  EXPECT_FALSE(store_->certificates().answer_to(key_, "hash of 0b", t0_ + hours(50)).value());
  EXPECT_FALSE(store_->certificates().answer_to(key_, "another", t0_ + hours(2)).value());
}

TEST_P(StoreContract, RefusesRenewalsOfStrangersRevokedOnesAndOfTooMany) {
  auto stranger = renewal(key_, "0f");
  stranger.key.device = "nobody";
  EXPECT_EQ(store_->certificates().add(stranger).error().code, Errc::not_found);
  for (std::uint64_t i = 1; i < kCertificatesMax; ++i) {
    ASSERT_TRUE(store_->certificates().add(renewal(key_, "1" + std::to_string(i))));
  }
  EXPECT_EQ(store_->certificates().add(renewal(key_, "2")).error().code, Errc::limit);
  ASSERT_TRUE(store_->revoke_device(key_, t0_ + hours(1)));
  EXPECT_EQ(store_->certificates().add(renewal(key_, "3")).error().code, Errc::denied);
}

TEST_P(StoreContract, NumbersOfListsGrow) {
  const auto first = store_->certificates().next_crl_number().value();
  EXPECT_GT(store_->certificates().next_crl_number().value(), first);
  ASSERT_NO_FATAL_FAILURE(reopen());
  EXPECT_GT(store_->certificates().next_crl_number().value(), first + 1);
}

TEST_P(StoreContract, CountsDevicesByAuthority) {
  enrol({kTenant, "press-2"});
  ASSERT_TRUE(store_->certificates().add(renewal(key_, "0b", "a2")));
  auto uses = store_->certificates().authorities().value();
  ASSERT_EQ(uses.size(), 2U);
  EXPECT_EQ(uses[0].authority, "");
  EXPECT_EQ(uses[0].devices, 1U);
  EXPECT_EQ(uses[1].authority, "a2");
  ASSERT_TRUE(store_->revoke_device({kTenant, "press-2"}, t0_));
  EXPECT_EQ(store_->certificates().authorities().value().size(), 1U)
      << "a revoked device holds none";
}

TEST_P(StoreContract, NamesOnlineDevicesOfAnotherAuthority) {
  const DeviceKey second{kTenant, "press-2"};
  enrol(second);
  auto transaction = store_->begin_ingest().value();
  for (const auto& key : {key_, second}) {
    ASSERT_TRUE(transaction->device(key));
    ASSERT_TRUE(transaction->save_presence(key, {.connection_id = "1-a", .seen = t0_}));
  }
  ASSERT_TRUE(transaction->commit());
  transaction.reset();
  EXPECT_THAT(store_->certificates().online_with_another("a2", {}, 10).value(),
              ElementsAre(key_, second));
  EXPECT_THAT(store_->certificates().online_with_another("a2", key_, 10).value(),
              ElementsAre(second));
  ASSERT_TRUE(store_->certificates().add(renewal(key_, "0b", "a2")));
  EXPECT_THAT(store_->certificates().online_with_another("a2", {}, 10).value(),
              ElementsAre(second));
}

TEST_P(StoreContract, ForgetsWhatExpired) {
  ASSERT_TRUE(store_->certificates().add(renewal(key_, "0b")));
  EXPECT_EQ(store_->certificates().forget(t0_ + hours(30)).value(), 1U);
  EXPECT_EQ(store_->certificates().forget(t0_ + hours(30)).value(), 0U);
}

}  // namespace certificates_contract
}  // namespace lapwing::hub
