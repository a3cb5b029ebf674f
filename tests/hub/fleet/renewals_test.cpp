// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/renewals.hpp"

#include "hub/fleet/enrolment.hpp"
#include "hub/fleet/init.hpp"
#include "hub/fleet/rotation.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/wire/frame.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

namespace lapwing::hub {
namespace renewals_test {

using ::testing::HasSubstr;
using wire::CertificateOutcome;
using namespace std::chrono_literals;

class Renewing : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(init({.directory = folder_, .tenant = "acme", .hosts = {"hub.example"}}, at_));
    authorities_ = Authorities::load(folder_).value();
    store_ = open_sqlite_store(folder_ / "hub.db").value();
    ASSERT_TRUE(store_->register_device(
        {kKey, at_, "4a01", at_ + 24h, authorities_->signer().certificate().fingerprint()}));
    renewals_.emplace(CertificatesConfig{.device_lifetime = 24h * 90}, *store_, *authorities_,
                      metrics_, [this](const wire::Identity& device, std::string_view frame) {
                        const std::lock_guard lock(mutex_);
                        sent_.emplace_back(device, std::string(frame));
                        heard_.notify_all();
                        return true;
                      });
  }
  wire::CertificateAnswer ask(const trust::PrivateKey& key, const DeviceKey& who = kKey) {
    return renewals_->answer(who, {trust::make_csr(key, "whatever").value()}, at_);
  }

  static inline const DeviceKey kKey{"acme", "edge-1"};
  Time at_ = now();
  lapwing::testing::TempDir place_;
  std::filesystem::path folder_ = place_.path() / "hub";
  std::optional<Authorities> authorities_;
  std::unique_ptr<Store> store_;
  Metrics metrics_;
  std::mutex mutex_;
  std::condition_variable heard_;
  std::vector<std::pair<wire::Identity, std::string>> sent_;
  std::optional<Renewals> renewals_;
};

TEST_F(Renewing, GivesADeviceACertificateOfItsOwnName) {
  const auto key = trust::PrivateKey::generate().value();
  const auto answer = ask(key);
  ASSERT_EQ(answer.outcome, CertificateOutcome::issued) << answer.reason;
  const auto certificate = trust::Certificate::from_pem(answer.certificate).value();
  EXPECT_EQ(certificate.info().common_name, "acme/edge-1") << "the topic's, not the request's";
  EXPECT_TRUE(certificate.matches(key));
  EXPECT_EQ(answer.authorities, authorities_->bundle_pem());
  EXPECT_EQ(store_->device(kKey)->certificate_serial, certificate.info().serial);
  EXPECT_THAT(store_->audit("acme", {})->items.front().action, "device.renew");
}

TEST_F(Renewing, AnswersTheSameRequestTheSame) {
  const auto key = trust::PrivateKey::generate().value();
  const wire::CertificateRequest request{trust::make_csr(key, "x").value()};
  const auto first = renewals_->answer(kKey, request, at_);
  ASSERT_EQ(first.outcome, CertificateOutcome::issued);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(renewals_->answer(kKey, request, at_).certificate, first.certificate);
  }
}

TEST_F(Renewing, RefusesTheUnknownTheRevokedAndNonsense) {
  const auto key = trust::PrivateKey::generate().value();
  EXPECT_THAT(ask(key, {"acme", "nobody"}).reason, HasSubstr("not enrolled"));
  EXPECT_EQ(renewals_->answer(kKey, {"nonsense"}, at_).outcome, CertificateOutcome::refused);
  ASSERT_TRUE(store_->revoke_device(kKey, at_));
  const auto answer = ask(key);
  EXPECT_EQ(answer.outcome, CertificateOutcome::refused);
  EXPECT_THAT(answer.reason, HasSubstr("revoked"));
  EXPECT_TRUE(answer.certificate.empty());
}

TEST_F(Renewing, GivesADeviceFewInAnHour) {
  std::size_t given = 0;
  for (int i = 0; i < 10; ++i) {
    given +=
        ask(trust::PrivateKey::generate().value()).outcome == CertificateOutcome::issued ? 1 : 0;
  }
  EXPECT_EQ(given, Renewals::kEachMax);
  at_ += 2h;
  EXPECT_EQ(ask(trust::PrivateKey::generate().value()).outcome, CertificateOutcome::issued);
}

TEST_F(Renewing, AnswersOnTheDevicesTopic) {
  renewals_->start();
  const auto key = trust::PrivateKey::generate().value();
  renewals_->ask({"acme", "edge-1"}, wire::FrameWriter().seal(wire::encode(wire::CertificateRequest{
                                         trust::make_csr(key, "x").value()})));
  renewals_->ask({"acme", "edge-1"}, "garbage");
  renewals_->ask({"acme", "edge-1"}, std::string(100'000, 'x'));  // dropped
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(heard_.wait_for(lock, 30s, [this] { return sent_.size() == 2; }));
  EXPECT_EQ(sent_[0].first, (wire::Identity{"acme", "edge-1"}));
  wire::FrameReader reader;
  EXPECT_EQ(wire::decode_certificate_answer(reader.open(sent_[0].second).value())->outcome,
            CertificateOutcome::issued);
  EXPECT_EQ(wire::decode_certificate_answer(reader.open(sent_[1].second).value())->outcome,
            CertificateOutcome::refused);
  EXPECT_THAT(metrics_.text(), HasSubstr("lapwing_hub_certificate_requests_dropped_total 1"));
}

TEST_F(Renewing, TellsOnlineDevicesOfANewAuthority) {
  {
    auto transaction = store_->begin_ingest().value();
    ASSERT_TRUE(transaction->device(kKey));
    ASSERT_TRUE(transaction->save_presence(kKey, {.connection_id = "1-a", .seen = at_}));
    ASSERT_TRUE(transaction->commit());
  }
  ASSERT_TRUE(rotate_authority(folder_, at_));
  authorities_ = Authorities::load(folder_).value();
  renewals_->start();
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(heard_.wait_for(lock, 30s, [this] { return !sent_.empty(); }));
  wire::FrameReader reader;
  const auto told = wire::decode_certificate_answer(reader.open(sent_[0].second).value()).value();
  EXPECT_EQ(told.outcome, CertificateOutcome::wanted);
  EXPECT_EQ(told.wait, 1h);
  EXPECT_THAT(metrics_.text(), HasSubstr("lapwing_hub_devices_of_earlier_authority 1"));
}

}  // namespace renewals_test
}  // namespace lapwing::hub
