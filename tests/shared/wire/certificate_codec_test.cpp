// SPDX-License-Identifier: Apache-2.0
#include "shared/wire/certificates.hpp"
#include "shared/wire/codec.hpp"

#include <gtest/gtest.h>

namespace lapwing::wire {
namespace {

using std::chrono::hours;

TEST(WireCertificates, AreReadAsWritten) {
  const auto request = decode_certificate_request(encode(CertificateRequest{"-----CSR"}));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->csr, "-----CSR");
  const CertificateAnswer sent{.outcome = CertificateOutcome::issued,
                               .certificate = std::string(5'000, 'c'),
                               .authorities = std::string(20'000, 'a'),
                               .reason = "because",
                               .wait = hours(1)};
  const auto answer = decode_certificate_answer(encode(sent));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->outcome, sent.outcome);
  EXPECT_EQ(answer->certificate, sent.certificate);
  EXPECT_EQ(answer->authorities, sent.authorities);
  EXPECT_EQ(answer->reason, sent.reason);
  EXPECT_EQ(answer->wait, sent.wait);
}

TEST(WireCertificates, RefuseWhatIsTooLongOrImpossible) {
  EXPECT_FALSE(decode_certificate_request(encode(CertificateRequest{std::string(9'000, 'x')})));
  EXPECT_FALSE(decode_certificate_answer(encode(CertificateAnswer{.wait = hours(-1)})));
  EXPECT_FALSE(decode_certificate_answer(encode(CertificateAnswer{.wait = hours(24 * 9999)})));
  EXPECT_FALSE(
      decode_certificate_answer(encode(CertificateAnswer{.outcome = CertificateOutcome{9}})));
  EXPECT_FALSE(decode_certificate_answer(encode(CertificateRequest{"x"}))) << "another message";
  EXPECT_FALSE(decode_certificate_request(encode(Ack{.connection_id = "c"})));
  EXPECT_FALSE(decode_certificate_request("short"));
}

TEST(WireCertificates, DamagedBytesAreRefused) {
  const auto good = encode(CertificateAnswer{.certificate = "pem", .authorities = "pem"});
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    static_cast<void>(decode_certificate_answer(good.substr(0, cut)));  // must not crash
  }
  EXPECT_FALSE(decode_certificate_answer(good.substr(0, good.size() / 2)));
}

}  // namespace
}  // namespace lapwing::wire
