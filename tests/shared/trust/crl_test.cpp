// SPDX-License-Identifier: Apache-2.0
#include "shared/trust/crl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::trust {
namespace {

using ::testing::ElementsAre;
using namespace std::chrono_literals;

const Time kAt = from_micros(1'795'000'000'000'000);

class Crl : public ::testing::Test {
 protected:
  Authority authority_ = Authority::create("test authority", {kAt, 24h * 3650}).value();
};

TEST_F(Crl, SaysWhatWasRevokedAndUntilWhen) {
  const std::vector<RevokedSerial> revoked{{"7f00aa", kAt}, {"01", kAt - 1h}};
  const auto pem = issue_crl(authority_, {revoked, 7, kAt, kAt + 24h * 7});
  ASSERT_TRUE(pem) << pem.error().context;
  const auto lists = read_crls(*pem + *pem);
  ASSERT_TRUE(lists);
  ASSERT_EQ(lists->size(), 2U);
  const auto& list = lists->front();
  EXPECT_EQ(list.issuer_common_name, "test authority");
  EXPECT_EQ(list.number, 7U);
  EXPECT_EQ(list.issued, kAt);
  EXPECT_EQ(list.lapses, kAt + 24h * 7);
  EXPECT_THAT(list.serials, ElementsAre("01", "7f00aa"));
}

TEST_F(Crl, HasTheSerialsAsCertificatesSayThem) {
  const auto key = PrivateKey::generate().value();
  const auto serial = authority_.issue_client(key, "a/b", {kAt, 24h}).value().info().serial;
  const std::vector<RevokedSerial> revoked{{serial, kAt}};
  const auto pem = issue_crl(authority_, {revoked, 1, kAt, kAt + 1h});
  ASSERT_TRUE(pem);
  EXPECT_THAT(read_crls(*pem).value().front().serials, ElementsAre(serial));
}

TEST_F(Crl, RefusesWhatIsNoSerialAndNoList) {
  for (const auto* text : {"", "xyz", "-7f", "12 34"}) {
    const std::vector<RevokedSerial> revoked{{text, kAt}};
    EXPECT_EQ(issue_crl(authority_, {revoked, 1, kAt, kAt + 1h}).error().code, Errc::bad_input)
        << text;
  }
  EXPECT_EQ(read_crls("").error().code, Errc::bad_input);
  EXPECT_EQ(read_crls(authority_.certificate().pem()).error().code, Errc::bad_input);
  EXPECT_EQ(read_crls(std::string(kCrlBytesMax + 1, 'x')).error().code, Errc::limit);
}

TEST(Bundle, HoldsSeveralAuthoritiesAndAnyOneWillDo) {
  const auto first = Authority::create("first", {kAt, 24h}).value();
  const auto second = Authority::create("second", {kAt, 24h}).value();
  const auto all =
      Certificate::all_from_pem(second.certificate().pem() + first.certificate().pem());
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].fingerprint(), second.certificate().fingerprint());
  EXPECT_NE((*all)[0].fingerprint(), (*all)[1].fingerprint());
  const auto key = PrivateKey::generate().value();
  const auto leaf = first.issue_client(key, "a/b", {kAt, 1h}).value();
  EXPECT_TRUE(verify(leaf, *all, kAt, Purpose::client));
  EXPECT_FALSE(verify(leaf, std::span(*all).first(1), kAt, Purpose::client));
  EXPECT_EQ(Certificate::all_from_pem("nothing").error().code, Errc::bad_input);
}

}  // namespace
}  // namespace lapwing::trust
