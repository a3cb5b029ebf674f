// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/enrolment.hpp"

#include "hub/fleet/tokens.hpp"
#include "hub/store/models.hpp"
#include "hub/store/sqlite_store.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace lapwing::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

const Time kNow = from_micros(1'795'000'000'000'000);

class Fleet : public ::testing::Test {
 protected:
  Fleet()
      : store_(open_sqlite_store(folder_.path() / "hub.db").value()),
        enrolment_(*store_, trust::Authority::create("test", {kNow, 24h * 3650}).value(),
                   {.certificate_lifetime = 24h * 90}) {}

  std::string permit(const std::string& device, Micros lifetime = 1h) {
    auto made = enrolment_.permit({"acme", device}, lifetime, "cli", kNow);
    EXPECT_TRUE(made) << made.error().context;
    return made->token.reveal();
  }

  lapwing::testing::TempDir folder_;
  std::unique_ptr<Store> store_;
  Enrolment enrolment_;
  trust::PrivateKey key_ = trust::PrivateKey::generate().value();
  std::string csr_ = trust::make_csr(key_, "other/name").value();
};

TEST_F(Fleet, TokenAndRequestBecomeACertificateAndADevice) {
  const auto enrolled = enrolment_.enrol(permit("edge-1"), csr_, kNow);
  ASSERT_TRUE(enrolled) << enrolled.error().context;
  EXPECT_EQ(enrolled->key, (DeviceKey{"acme", "edge-1"}));
  const auto certificate = trust::Certificate::from_pem(enrolled->certificate_pem).value();
  EXPECT_EQ(certificate.info().common_name, "acme/edge-1") << "the token's name, not the request's";
  EXPECT_TRUE(certificate.matches(key_));
  EXPECT_TRUE(trust::verify(certificate,
                            trust::Certificate::from_pem(enrolled->authority_pem).value(), kNow,
                            trust::Purpose::client));
  EXPECT_EQ(enrolled->certificate_expires, kNow + 24h * 90);
  const auto row = store_->device({"acme", "edge-1"});
  ASSERT_TRUE(row);
  EXPECT_EQ(row->certificate_serial, certificate.info().serial);
  EXPECT_EQ(row->certificate_expires, kNow + 24h * 90);
}

TEST_F(Fleet, ADeviceGetsTheNewestKeyList) {
  EXPECT_EQ(enrolment_.enrol(permit("edge-1"), csr_, kNow)->key_list, "");
  ASSERT_TRUE(store_->models().add_keys(1, "first", kNow));
  ASSERT_TRUE(store_->models().add_keys(2, "second", kNow));
  EXPECT_EQ(enrolment_.enrol(permit("edge-2"), csr_, kNow)->key_list, "second");
}

TEST_F(Fleet, TokenWorksOnce) {
  const auto token = permit("edge-1");
  ASSERT_TRUE(enrolment_.enrol(token, csr_, kNow));
  const auto again = enrolment_.enrol(token, csr_, kNow);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::denied);
  EXPECT_THAT(again.error().context, HasSubstr("used already"));
}

TEST_F(Fleet, OneOfManyAtOnceSucceeds) {
  const auto token = permit("edge-1");
  std::atomic<int> in{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { in += enrolment_.enrol(token, csr_, kNow) ? 1 : 0; });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(in, 1);
}

TEST_F(Fleet, ExpiredAndUnknownTokensAreRefusedWithTheReason) {
  const auto token = permit("edge-1", 1h);
  const auto late = enrolment_.enrol(token, csr_, kNow + 1h);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::denied);
  EXPECT_THAT(late.error().context, HasSubstr("expired"));
  for (const std::string& guess : {std::string("lwt_") + std::string(43, 'A'), std::string("x"),
                                   std::string(), std::string(100'000, 'x')}) {
    const auto unknown = enrolment_.enrol(guess, csr_, kNow);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Errc::denied);
    EXPECT_THAT(unknown.error().context, HasSubstr("not known"));
  }
}

TEST_F(Fleet, UnreadableRequestDoesNotUseUpTheToken) {
  const auto token = permit("edge-1");
  const auto bad = enrolment_.enrol(token, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA", kNow);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::bad_input);
  EXPECT_TRUE(enrolment_.enrol(token, csr_, kNow));
}

TEST_F(Fleet, NamesThatAreUnsafeOrTooLongGetNoToken) {
  const std::string unsafe[] = {"", "../etc", "a/b", "a+", "#", ".hidden", std::string(65, 'a')};
  for (const auto& name : unsafe) {
    EXPECT_EQ(enrolment_.permit({"acme", name}, 1h, "cli", kNow).error().code, Errc::bad_input);
    EXPECT_EQ(enrolment_.permit({name, "edge"}, 1h, "cli", kNow).error().code, Errc::bad_input);
  }
  EXPECT_TRUE(enrolment_.permit({"acme", std::string(59, 'a')}, 1h, "cli", kNow));
  EXPECT_THAT(enrolment_.permit({"acme", std::string(60, 'a')}, 1h, "cli", kNow).error().context,
              HasSubstr("together"));
  EXPECT_FALSE(enrolment_.permit({"acme", "edge"}, 0h, "cli", kNow));
  EXPECT_FALSE(enrolment_.permit({"acme", "edge"}, 24h * 31, "cli", kNow));
}

TEST_F(Fleet, TokenIsFoundByItsSecretAndNoOther) {
  const auto made =
      create_token(*store_, {.tenant = "acme", .name = "page", .scopes = {"enrol", "read", "read"}},
                   "cli", kNow);
  ASSERT_TRUE(made) << made.error().context;
  const auto row = authenticate(*store_, made->secret.reveal(), kNow);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->tenant, "acme");
  EXPECT_THAT(row->scopes, ElementsAre("read", "enrol"));
  EXPECT_TRUE(allows(*row, "read"));
  EXPECT_FALSE(allows(*row, "admin"));
  EXPECT_EQ(row->hash.find(made->secret.reveal()), std::string::npos);
  auto guess = made->secret.reveal();
  guess.back() = guess.back() == 'A' ? 'E' : 'A';
  EXPECT_EQ(authenticate(*store_, guess, kNow).error().code, Errc::denied);
  EXPECT_EQ(authenticate(*store_, "", kNow).error().code, Errc::denied);
}

TEST_F(Fleet, RevokedAndExpiredTokensAreRefused) {
  const auto made = create_token(
      *store_, {.tenant = "acme", .name = "x", .scopes = {"admin"}, .lifetime = 1h}, "cli", kNow);
  ASSERT_TRUE(made);
  const auto& secret = made->secret.reveal();
  EXPECT_TRUE(authenticate(*store_, secret, kNow + 59min));
  EXPECT_THAT(authenticate(*store_, secret, kNow + 1h).error().context, HasSubstr("expired"));
  EXPECT_EQ(revoke_token(*store_, "other", made->row.id, "cli", kNow).error().code, Errc::not_found)
      << "another tenant's";
  ASSERT_TRUE(revoke_token(*store_, "acme", made->row.id, "cli", kNow));
  EXPECT_THAT(authenticate(*store_, secret, kNow).error().context, HasSubstr("revoked"));
}

TEST_F(Fleet, BadTokenRequestsAreRefused) {
  const TokenRequest good{.tenant = "acme", .name = "x", .scopes = {"read"}};
  const auto refused = [&](auto change) {
    TokenRequest request = good;
    change(request);
    const auto made = create_token(*store_, request, "cli", kNow);
    return !made && made.error().code == Errc::bad_input;
  };
  EXPECT_TRUE(refused([](auto& r) { r.tenant = "a/b"; }));
  EXPECT_TRUE(refused([](auto& r) { r.name = ""; }));
  EXPECT_TRUE(refused([](auto& r) { r.name = "a\nb"; }));
  EXPECT_TRUE(refused([](auto& r) { r.name = std::string(65, 'a'); }));
  EXPECT_TRUE(refused([](auto& r) { r.scopes = {}; }));
  EXPECT_TRUE(refused([](auto& r) { r.scopes = {"root"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.lifetime = Micros(0); }));
}

TEST_F(Fleet, WhoDidWhatIsNoted) {
  ASSERT_TRUE(enrolment_.enrol(permit("edge-1"), csr_, kNow));
  const auto rows = store_->audit("acme", {});
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->items.size(), 2U);
  EXPECT_EQ(rows->items[0].action, "device.enrol");
  EXPECT_EQ(rows->items[0].actor, "device:edge-1");
  EXPECT_EQ(rows->items[1].action, "enrolment.create");
  EXPECT_EQ(rows->items[1].actor, "cli");
}

}  // namespace
}  // namespace lapwing::hub
