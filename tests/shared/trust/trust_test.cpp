// SPDX-License-Identifier: Apache-2.0
#include "shared/base/files.hpp"
#include "shared/trust/authority.hpp"
#include "shared/trust/token.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <sys/stat.h>

namespace lapwing::trust {
namespace {

using lapwing::testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

const Time kNow = from_micros(1'795'000'000'000'000);  // 2026-11
constexpr Micros kYear = std::chrono::hours(24 * 365);

Authority make_authority(std::string_view name = "test authority") {
  return std::move(Authority::create(name, {.now = kNow, .lifetime = 10 * kYear})).value();
}

std::string make_request(const PrivateKey& key, std::string_view name = "wish") {
  return make_csr(key, name).value();
}

TEST(Authority, IssuesADeviceCertificateForTheKeyOfTheRequest) {
  const auto authority = make_authority();
  const auto key = PrivateKey::generate().value().pem();
  const auto device_key = PrivateKey::from_pem(key.reveal()).value();
  const auto made = authority.issue_device(make_request(device_key), "acme/edge-1",
                                           {.now = kNow, .lifetime = kYear});
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_TRUE(made->matches(device_key));
  EXPECT_FALSE(made->matches(PrivateKey::generate().value()));
  const auto info = made->info();
  EXPECT_EQ(info.common_name, "acme/edge-1") << "not what the request wished for";
  EXPECT_EQ(info.issuer_common_name, "test authority");
  EXPECT_EQ(info.not_before, kNow - kClockTolerance);
  EXPECT_EQ(info.not_after, kNow + kYear);
  EXPECT_EQ(info.serial.size(), 32U);
  EXPECT_TRUE(info.client);
  EXPECT_FALSE(info.server) << "a device cannot pose as a server";
  EXPECT_FALSE(info.authority) << "a device cannot sign others";
  EXPECT_TRUE(verify(*made, authority.certificate(), kNow, Purpose::client));
}

TEST(Authority, IssuesServerCertificatesForNamesAndAddresses) {
  const auto authority = make_authority();
  const auto key = PrivateKey::generate().value();
  const auto made = authority.issue_server(key, {"hub.example.org", "127.0.0.1", "::1"},
                                           {.now = kNow, .lifetime = kYear});
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_THAT(made->info().names, ElementsAre("hub.example.org", "127.0.0.1", "::1"));
  EXPECT_TRUE(made->info().server);
  EXPECT_FALSE(made->info().client);
  EXPECT_TRUE(verify(*made, authority.certificate(), kNow, Purpose::server));
}

TEST(Authority, RefusesNamesThatAreNoHost) {
  const auto authority = make_authority();
  const auto key = PrivateKey::generate().value();
  // The comma and colon would otherwise add other entries to the certificate.
  for (const std::string& name :
       std::vector<std::string>{"a,DNS:evil", "a b", "", "URI:x", std::string(300, 'a')}) {
    const auto made = authority.issue_server(key, {name}, {.now = kNow, .lifetime = kYear});
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().code, Errc::bad_input);
  }
  EXPECT_FALSE(authority.issue_server(key, {}, {.now = kNow, .lifetime = kYear}));
}

TEST(Authority, RefusesCommonNamesThatDoNotFit) {
  const auto authority = make_authority();
  const auto key = PrivateKey::generate().value();
  EXPECT_TRUE(authority.issue_client(key, std::string(64, 'a'), {kNow, kYear}));
  EXPECT_FALSE(authority.issue_client(key, std::string(65, 'a'), {kNow, kYear}));
  EXPECT_FALSE(authority.issue_client(key, "", {kNow, kYear}));
  EXPECT_FALSE(make_csr(key, std::string(65, 'a')));
}

TEST(Authority, IsLoadedFromItsFiles) {
  const TempDir folder;
  const auto authority = make_authority();
  folder.put("ca.pem", authority.certificate().pem());
  ASSERT_TRUE(authority.key().write_new(folder.path() / "ca.key"));
  ASSERT_TRUE(Authority::load(folder.path() / "ca.pem", folder.path() / "ca.key"));

  ASSERT_TRUE(PrivateKey::generate().value().write_new(folder.path() / "other.key"));
  const auto wrong_key = Authority::load(folder.path() / "ca.pem", folder.path() / "other.key");
  ASSERT_FALSE(wrong_key);
  EXPECT_THAT(wrong_key.error().context, AllOf(HasSubstr("other.key"), HasSubstr("ca.pem")));

  const auto leaf = authority.issue_client(authority.key(), "x", {kNow, kYear});
  folder.put("leaf.pem", leaf->pem());
  const auto no_authority = Authority::load(folder.path() / "leaf.pem", folder.path() / "ca.key");
  ASSERT_FALSE(no_authority);
  EXPECT_THAT(no_authority.error().context, HasSubstr("not the certificate of an authority"));
}

TEST(Verify, SaysWhyACertificateIsRefused) {
  const auto authority = make_authority();
  const auto key = PrivateKey::generate().value();
  const auto made = authority.issue_client(key, "edge", {kNow, kYear}).value().pem();
  const auto certificate = Certificate::from_pem(made).value();
  const auto reason = [&](const Certificate& by, Time at, Purpose purpose) {
    const auto good = verify(certificate, by, at, purpose);
    return good ? std::string("accepted") : good.error().context;
  };
  EXPECT_THAT(reason(authority.certificate(), kNow + 2 * kYear, Purpose::client),
              AllOf(HasSubstr("edge"), HasSubstr("expired at 2027"), HasSubstr("clock")));
  EXPECT_THAT(reason(authority.certificate(), kNow - 1h, Purpose::client),
              HasSubstr("is the clock behind"));
  EXPECT_THAT(reason(authority.certificate(), kNow, Purpose::server), HasSubstr("purpose"));
  EXPECT_THAT(reason(make_authority("other").certificate(), kNow, Purpose::client),
              HasSubstr("another authority"));
}

TEST(Request, MustBeSignedByTheKeyItNames) {
  const auto key = PrivateKey::generate().value();
  auto csr = make_request(key);
  EXPECT_EQ(read_csr(csr).value(), "wish");
  // One character of the base64 body near its end lies in the signature.
  const auto at = csr.rfind('\n', csr.size() - 40) - 20;
  csr[at] = csr[at] == 'A' ? 'B' : 'A';
  const auto refused = read_csr(csr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::bad_input);
}

TEST(Request, OfAnotherKindOfKeyIsRefused) {
  const auto key = PrivateKey::generate_ed25519().value();
  EXPECT_FALSE(make_csr(key, "edge")) << "signing with SHA-256 is not for Ed25519";
}

TEST(HostileInput, IsRefusedNotParsedIntoSomething) {
  const auto key = PrivateKey::generate().value();
  const std::string csr = make_request(key);
  const std::string certificate = make_authority().certificate().pem();
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    for (std::string text : {csr, certificate, key.pem().reveal()}) {
      for (int flips = 0; flips < 3; ++flips) {
        text[random() % text.size()] = static_cast<char>(random());
      }
      if (i % 3 == 0) text.resize(random() % text.size());
      // No crash, no leak (sanitizers watch); most are errors, a flip in the newline may pass.
      static_cast<void>(read_csr(text).has_value());
      static_cast<void>(Certificate::from_pem(text).has_value());
      static_cast<void>(PrivateKey::from_pem(text).has_value());
    }
  }
  EXPECT_EQ(read_csr("").error().code, Errc::bad_input);
  EXPECT_EQ(Certificate::from_pem(csr).error().code, Errc::bad_input);
  EXPECT_EQ(PrivateKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n").error().code,
            Errc::bad_input);
}

TEST(HostileInput, LongerThanTheLimitIsNotParsed) {
  const std::string long_text =
      make_authority().certificate().pem() + std::string(kPemBytesMax, ' ');
  EXPECT_EQ(Certificate::from_pem(long_text).error().code, Errc::limit);
  EXPECT_EQ(PrivateKey::from_pem(long_text).error().code, Errc::limit);
  EXPECT_EQ(read_csr(long_text).error().code, Errc::limit);
}

TEST(Key, FileIsPrivateAndNeverOverwritten) {
  const TempDir folder;
  const auto file = folder.path() / "device.key";
  const auto key = PrivateKey::generate().value();
  ASSERT_TRUE(key.write_new(file));
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  const auto again = PrivateKey::generate().value().write_new(file);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::exists);
  EXPECT_EQ(PrivateKey::load(file).value().public_pem(), key.public_pem());
}

TEST(Key, MissingFileIsNamed) {
  const auto none = PrivateKey::load("/nonexistent/device.key");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_THAT(none.error().context, HasSubstr("/nonexistent/device.key"));
}

TEST(Signature, HoldsForThisMessageAndKeyOnly) {
  const auto key = PrivateKey::generate_ed25519().value();
  auto signature = sign(key, "a manifest").value();
  ASSERT_EQ(signature.size(), 64U);
  EXPECT_TRUE(verify_signature(key.public_pem(), "a manifest", signature));
  EXPECT_FALSE(verify_signature(key.public_pem(), "another", signature));
  EXPECT_FALSE(verify_signature(PrivateKey::generate_ed25519().value().public_pem(), "a manifest",
                                signature));
  signature[10] = static_cast<char>(signature[10] ^ 1);
  EXPECT_EQ(verify_signature(key.public_pem(), "a manifest", signature).error().code, Errc::denied);
  EXPECT_FALSE(verify_signature(key.public_pem(), "a manifest", ""));
  EXPECT_FALSE(sign(PrivateKey::generate().value(), "a manifest")) << "P-256 is not for signatures";
}

TEST(Digest, MatchesPublishedVectors) {
  EXPECT_EQ(sha256_hex("abc"),  // FIPS 180-2, appendix B.1
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"),  // RFC 4231, case 2
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Token, IsRandomAndRecognised) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto token = make_token();
    EXPECT_TRUE(looks_like_token(token.reveal()));
    EXPECT_TRUE(seen.insert(token.reveal()).second);
  }
  EXPECT_FALSE(looks_like_token(""));
  EXPECT_FALSE(looks_like_token("lwt_short"));
  EXPECT_FALSE(looks_like_token(seen.begin()->substr(1)));
  EXPECT_FALSE(looks_like_token(*seen.begin() + "A"));
  EXPECT_FALSE(looks_like_token("lwt_" + std::string(42, 'A') + "'"));
  EXPECT_EQ(token_hash("x").size(), 64U);
}

TEST(Comparison, TellsEqualFromUnequal) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "ab"));
}

}  // namespace
}  // namespace lapwing::trust
