// SPDX-License-Identifier: Apache-2.0
/// A new authority beside the old one, in files; with brokers: tests/hub/serve/rotation_test.cpp.
#include "hub/fleet/rotation.hpp"

#include "hub/fleet/crl_file.hpp"
#include "hub/fleet/init.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/base/files.hpp"
#include "shared/trust/crl.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::hub {
namespace rotation_test {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

constexpr auto kYear = 24h * 365;

class Rotation : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(init({.directory = folder_, .tenant = "acme", .hosts = {"hub.example"}}, at_));
    store_ = open_sqlite_store(folder_ / "hub.db").value();
    ASSERT_TRUE(store_->register_device({{"acme", "edge-1"}, at_, "4a01", at_ + kYear, ""}));
  }
  Authorities authorities() { return Authorities::load(folder_).value(); }
  trust::Certificate certificate(const char* name) {
    return trust::Certificate::load(folder_ / name).value();
  }
  bool trusted(const char* name, trust::Purpose purpose, const std::string& bundle) {
    const auto all = trust::Certificate::all_from_pem(bundle).value();
    return trust::verify(certificate(name), all, at_, purpose).has_value();
  }
  std::string bundle() { return read_file(folder_ / "ca.pem", trust::kPemBytesMax).value(); }
  void move_device() {
    const auto signer = authorities().signer().certificate().fingerprint();
    ASSERT_TRUE(store_->certificates().add({.key = {"acme", "edge-1"},
                                            .serial = "4a02",
                                            .authority = signer,
                                            .key_hash = "h",
                                            .pem = "p",
                                            .issued_at = at_,
                                            .expires_at = at_ + kYear}));
  }

  Time at_ = now();
  lapwing::testing::TempDir place_;
  fs::path folder_ = place_.path() / "hub";
  std::unique_ptr<Store> store_;
};

TEST_F(Rotation, TrustsBothAndTheNewOneSigns) {
  const auto before = bundle();
  const auto old = authorities().signer().certificate().fingerprint();
  ASSERT_TRUE(rotate_authority(folder_, at_));
  const auto both = authorities();
  ASSERT_THAT(both.all(), SizeIs(2));
  EXPECT_NE(both.signer().certificate().fingerprint(), old);
  EXPECT_EQ(both.all()[1].certificate().fingerprint(), old);
  EXPECT_EQ(both.bundle_pem(), bundle());
  EXPECT_THAT(bundle(), HasSubstr(before));
  EXPECT_NE(both.signer().certificate().info().common_name,
            both.all()[1].certificate().info().common_name);
  // A device that knows the old one only still trusts the servers.
  EXPECT_TRUE(trusted("server.pem", trust::Purpose::server, before));
  EXPECT_EQ(rotate_authority(folder_, at_).error().code, Errc::exists);
}

TEST_F(Rotation, EachAuthorityHasAList) {
  ASSERT_TRUE(rotate_authority(folder_, at_));
  ASSERT_TRUE(store_->revoke_device({"acme", "edge-1"}, at_));
  CrlFile list(folder_ / "crl.pem", {});
  ASSERT_TRUE(list.keep(store_->certificates(), authorities(), at_));
  const auto lists =
      trust::read_crls(read_file(folder_ / "crl.pem", trust::kCrlBytesMax).value()).value();
  ASSERT_THAT(lists, SizeIs(2));
  EXPECT_THAT(lists[1].serials, ElementsAre("4a01"));
}

TEST_F(Rotation, RetiresTheOldOneOnlyWhenNoDeviceIsLeft) {
  const auto before = bundle();
  EXPECT_EQ(retire_authority(folder_, store_->certificates(), false, at_).error().code,
            Errc::not_found);
  ASSERT_TRUE(rotate_authority(folder_, at_));
  auto status = authority_status(authorities(), store_->certificates()).value();
  ASSERT_THAT(status, SizeIs(2));
  EXPECT_TRUE(status[0].signs);
  EXPECT_EQ(status[0].devices, 0U);
  EXPECT_EQ(status[1].devices, 1U);
  const auto refused = retire_authority(folder_, store_->certificates(), false, at_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::denied);
  EXPECT_THAT(refused.error().context, HasSubstr("1 devices"));
  EXPECT_THAT(authorities().all(), SizeIs(2)) << "nothing was changed";
  EXPECT_TRUE(trusted("server.pem", trust::Purpose::server, before));

  ASSERT_NO_FATAL_FAILURE(move_device());
  const auto during = bundle();
  ASSERT_TRUE(retire_authority(folder_, store_->certificates(), false, at_));
  EXPECT_THAT(authorities().all(), SizeIs(1));
  EXPECT_FALSE(fs::exists(folder_ / "ca.old.key"));
  EXPECT_TRUE(trusted("server.pem", trust::Purpose::server, during)) << "who renewed trusts it";
  EXPECT_FALSE(trusted("server.pem", trust::Purpose::server, before));
  EXPECT_TRUE(trusted("server.pem", trust::Purpose::server, bundle()));
  EXPECT_TRUE(trusted("hub.pem", trust::Purpose::client, bundle()));
  EXPECT_TRUE(
      certificate("server.pem").matches(trust::PrivateKey::load(folder_ / "server.key").value()));
  EXPECT_THAT(certificate("server.pem").info().names, ::testing::Contains("hub.example"));
  ASSERT_TRUE(rotate_authority(folder_, at_)) << "and once more";
}

TEST_F(Rotation, MayBeForced) {
  ASSERT_TRUE(rotate_authority(folder_, at_));
  EXPECT_TRUE(retire_authority(folder_, store_->certificates(), true, at_));
}

/// As a crash between any two of its writes leaves the folder: a hub starts from it, and the
/// command goes on.
TEST_F(Rotation, MayBeBrokenOffAnywhere) {
  const auto read = [&](const char* name) {
    return read_file(folder_ / name, trust::kPemBytesMax).value();
  };
  const auto first_pem = read("ca.pem");
  const auto first_key = read("ca.key");
  ASSERT_TRUE(rotate_authority(folder_, at_));
  const auto second_pem = read("ca.pem");
  const auto second_key = read("ca.key");
  const auto put = [&](const char* name, const std::string& text) {
    ASSERT_TRUE(write_file_atomic(folder_ / name, text, 0600));
  };
  // The old key is safe and the new one is there, ca.pem is not replaced yet.
  put("ca.pem", first_pem);
  put("ca.key", first_key);
  put("ca.new.key", second_key);
  EXPECT_THAT(authorities().all(), SizeIs(1));
  ASSERT_TRUE(rotate_authority(folder_, at_));
  EXPECT_THAT(authorities().all(), SizeIs(2));
  // ca.pem is replaced, its key not in place yet.
  put("ca.pem", second_pem);
  put("ca.key", first_key);
  put("ca.new.key", second_key);
  EXPECT_THAT(authorities().all(), SizeIs(2));
  ASSERT_TRUE(rotate_authority(folder_, at_));
  EXPECT_THAT(authorities().all(), SizeIs(2));
  EXPECT_FALSE(fs::exists(folder_ / "ca.new.key"));
  EXPECT_EQ(read("ca.pem"), second_pem) << "no third authority";
}

TEST_F(Rotation, RenewsItsOwnCertificatesInTime) {
  EXPECT_THAT(renew_own_certificates(folder_, authorities(), false, at_).value(), IsEmpty());
  const auto before = certificate("server.pem").info();
  at_ += kYear * 5 * 7 / 10;
  EXPECT_THAT(renew_own_certificates(folder_, authorities(), false, at_).value(), SizeIs(2));
  const auto after = certificate("server.pem").info();
  EXPECT_GT(after.not_after, before.not_after);
  EXPECT_EQ(after.names, before.names);
  EXPECT_THAT(renew_own_certificates(folder_, authorities(), true, at_).value(), SizeIs(2));
}

TEST_F(Rotation, LeavesCertificatesOfOthersAlone) {
  const auto other = trust::Authority::create("a public one", {at_, kYear}).value();
  const auto key = trust::PrivateKey::load(folder_ / "server.key").value();
  ASSERT_TRUE(
      write_file_atomic(folder_ / "server.pem",
                        other.issue_server(key, {"hub.example"}, {at_, kYear}).value().pem()));
  EXPECT_THAT(renew_own_certificates(folder_, authorities(), true, at_).value(),
              ElementsAre(folder_ / "hub.pem"));
}

}  // namespace rotation_test
}  // namespace lapwing::hub
