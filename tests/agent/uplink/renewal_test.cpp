// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/renewal.hpp"

#include "shared/trust/authority.hpp"
#include "shared/trust/certificate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace lapwing::agent {
namespace renewal_test {

using ::testing::HasSubstr;
using wire::CertificateOutcome;
using namespace std::chrono_literals;

constexpr auto kDay = 24h;
const Time kIssued = from_micros(1'795'000'000'000'000);

class RenewalOfACertificate : public ::testing::Test {
 protected:
  std::optional<std::string> due(Time wall, bool ready = true) {
    at_ += 1s;
    auto csr = renewal_.due(wall, at_, ready);
    EXPECT_TRUE(csr);
    return *csr;
  }
  wire::CertificateAnswer issued_for(const std::string& csr, Time wall,
                                     const std::string& name = "acme/edge-1") {
    return {.outcome = CertificateOutcome::issued,
            .certificate = authority_.issue_device(csr, name, {wall, 90 * kDay}).value().pem(),
            .authorities = authority_.certificate().pem(),
            .reason = {},
            .wait = {}};
  }
  auto answered(const wire::CertificateAnswer& answer, Time wall) {
    return renewal_.answered(answer, trusted_, wall, at_);
  }

  trust::Authority authority_ = trust::Authority::create("test", {kIssued, kDay * 3650}).value();
  std::string trusted_ = authority_.certificate().pem();
  Renewal renewal_{{kIssued, kIssued + 90 * kDay}, "acme/edge-1", 7};
  Ticks at_{};
};

TEST_F(RenewalOfACertificate, IsAskedForAtTwoThirdsOfItsLife) {
  EXPECT_FALSE(due(kIssued + 59 * kDay));
  EXPECT_TRUE(due(kIssued + 65 * kDay));
  std::set<Time> times;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Renewal one({kIssued, kIssued + 90 * kDay}, "acme/edge-1", seed);
    EXPECT_GE(one.due_at(), kIssued + 60 * kDay);
    EXPECT_LE(one.due_at(), kIssued + 65 * kDay);
    times.insert(one.due_at());
  }
  EXPECT_GT(times.size(), 40U) << "devices enrolled together do not come together";
}

TEST_F(RenewalOfACertificate, WaitsForAHub) { EXPECT_FALSE(due(kIssued + 80 * kDay, false)); }

TEST_F(RenewalOfACertificate, IsTakenAndANewLifeBegins) {
  const Time wall = kIssued + 66 * kDay;
  const auto csr = due(wall).value();
  const auto identity = answered(issued_for(csr, wall), wall);
  ASSERT_TRUE(identity) << identity.error().context;
  ASSERT_TRUE(*identity);
  const auto certificate = trust::Certificate::from_pem((*identity)->certificate_pem).value();
  EXPECT_TRUE(
      certificate.matches(trust::PrivateKey::from_pem((*identity)->key_pem.reveal()).value()));
  renewal_.renewed({wall, wall + 90 * kDay});
  EXPECT_FALSE(due(wall + 1 * kDay));
  EXPECT_NE(due(wall + 66 * kDay).value(), csr) << "with a new key";
}

TEST_F(RenewalOfACertificate, IsAskedForAgainWithTheSameRequestAndLessAndLessOften) {
  const Time wall = kIssued + 66 * kDay;
  const auto csr = due(wall).value();
  std::size_t asked = 0;
  const Ticks until = at_ + 24h;
  while (at_ < until) {
    at_ = renewal_.next(wall, at_);
    if (auto again = due(wall)) {
      EXPECT_EQ(*again, csr);
      ++asked;
    }
  }
  EXPECT_GT(asked, 20U);
  EXPECT_LT(asked, 200U);
}

TEST_F(RenewalOfACertificate, IsRefusedWhenItIsNotOurs) {
  const Time wall = kIssued + 66 * kDay;
  const auto csr = due(wall).value();
  const auto other_key = trust::PrivateKey::generate().value();
  const auto problem = [&](const wire::CertificateAnswer& answer) {
    const auto identity = answered(answer, wall);
    EXPECT_FALSE(identity);
    return identity ? std::string() : identity.error().context;
  };
  EXPECT_THAT(problem(issued_for(trust::make_csr(other_key, "x").value(), wall)),
              HasSubstr("another key"));
  EXPECT_THAT(problem(issued_for(csr, wall, "acme/edge-2")), HasSubstr("acme/edge-2"));
  EXPECT_THAT(problem({.outcome = CertificateOutcome::issued, .certificate = "x"}),
              HasSubstr("certificate received"));
  // Of an authority that comes alone and is not known here.
  const auto stranger = trust::Authority::create("stranger", {kIssued, kDay * 3650}).value();
  auto answer = issued_for(csr, wall);
  answer.certificate = stranger.issue_device(csr, "acme/edge-1", {wall, 90 * kDay}).value().pem();
  EXPECT_THAT(problem(answer), HasSubstr("another authority"));
  answer.authorities = stranger.certificate().pem();
  EXPECT_THAT(problem(answer), HasSubstr("unknown here"));
  // Beside one that is known it is welcome: so authorities change.
  answer.authorities += authority_.certificate().pem();
  EXPECT_TRUE(answered(answer, wall));
  // A clock that is far behind the hub's would not use it.
  EXPECT_FALSE(answered(issued_for(csr, wall + 1h), wall));
}

TEST_F(RenewalOfACertificate, ARefusalIsToldAndWaitedFor) {
  const Time wall = kIssued + 66 * kDay;
  ASSERT_TRUE(due(wall));
  const auto refused = answered({.outcome = CertificateOutcome::refused,
                                 .certificate = {},
                                 .authorities = {},
                                 .reason = "too many",
                                 .wait = 1h},
                                wall);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("too many"));
  at_ += 59min;
  EXPECT_FALSE(due(wall));
  EXPECT_GE(renewal_.next(wall, at_), at_);
  at_ += 2h;
  EXPECT_TRUE(due(wall));
}

TEST_F(RenewalOfACertificate, TheHubMayWantItEarlier) {
  const Time wall = kIssued + 1 * kDay;
  const wire::CertificateAnswer wanted{.outcome = CertificateOutcome::wanted,
                                       .certificate = {},
                                       .authorities = {},
                                       .reason = {},
                                       .wait = 10min};
  ASSERT_TRUE(answered(wanted, wall));
  const Ticks next = renewal_.next(wall, at_);
  at_ += 5s;
  ASSERT_TRUE(answered(wanted, wall));
  EXPECT_LE(renewal_.next(wall, at_), std::max(next, at_ + 1min))
      << "told again, it keeps its time";
  at_ += 10min;
  EXPECT_TRUE(due(wall));
}

TEST_F(RenewalOfACertificate, AnAnswerToNothingIsIgnored) {
  const auto key = trust::PrivateKey::generate().value();
  const auto answer = issued_for(trust::make_csr(key, "x").value(), kIssued + kDay);
  const auto identity = answered(answer, kIssued + kDay);
  ASSERT_TRUE(identity);
  EXPECT_FALSE(*identity);
}

}  // namespace renewal_test
}  // namespace lapwing::agent
