// SPDX-License-Identifier: Apache-2.0
/// mqtt::Client against a real mosquitto.
#include "shared/mqtt/client.hpp"

#include "tests/support/broker.hpp"
#include "tests/support/pki.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <condition_variable>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lapwing::mqtt {
namespace {

using lapwing::testing::Broker;
using lapwing::testing::free_port;
using lapwing::testing::kPatience;
using lapwing::testing::Pki;
using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

/// A client whose events can be waited for.
class Peer {
 public:
  struct Heard {
    std::string topic;
    std::string payload;
    int qos = 0;
    bool retained = false;
  };

  explicit Peer(Options options, std::vector<Subscription> filters = {},
                std::function<std::optional<Will>()> make_will = {})
      : client_(std::move(options),
                {.on_connected =
                     [this](bool present) {
                       const std::lock_guard lock(mutex_);
                       ++connects_;
                       session_present_ = present;
                       changed_.notify_all();
                     },
                 .on_disconnected =
                     [this](const Error& error) {
                       const std::lock_guard lock(mutex_);
                       problems_.push_back(error);
                       changed_.notify_all();
                     },
                 .on_message =
                     [this](const Message& message) {
                       const std::lock_guard lock(mutex_);
                       heard_.push_back({std::string(message.topic), std::string(message.payload),
                                         message.qos, message.retained});
                       changed_.notify_all();
                     },
                 .make_will = std::move(make_will)}) {
    client_.subscribe(std::move(filters));
    auto started = client_.start();
    EXPECT_TRUE(started) << started.error().context;
  }
  ~Peer() { client_.stop(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  Client& client() { return client_; }

  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, condition);
  }
  bool connects(int times = 1) {
    return wait([&] { return connects_ >= times; });
  }
  Error problem() {
    wait([&] { return !problems_.empty(); });
    const std::lock_guard lock(mutex_);
    return problems_.empty() ? Error{Errc::io, "no problem"} : problems_.front();
  }
  bool fails(std::size_t times) {
    return wait([&] { return problems_.size() >= times; });
  }
  bool hears(std::size_t count) {
    return wait([&] { return heard_.size() >= count; });
  }
  std::vector<Heard> heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  bool session_present() {
    const std::lock_guard lock(mutex_);
    return session_present_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int connects_ = 0;
  bool session_present_ = false;
  std::vector<Error> problems_;
  std::vector<Heard> heard_;
  Client client_;
};

Options to(std::uint16_t port, std::string id, Version version = Version::v5) {
  Options options;
  options.port = port;
  options.client_id = std::move(id);
  options.version = version;
  options.backoff_max = 500ms;
  return options;
}

/// What holds for both versions of MQTT.
class BothVersions : public ::testing::TestWithParam<Version> {};
INSTANTIATE_TEST_SUITE_P(Mqtt, BothVersions, ::testing::Values(Version::v3_1_1, Version::v5),
                         [](const auto& one) {
                           return one.param == Version::v5 ? "v5" : "v3_1_1";
                         });

TEST_P(BothVersions, HearsWhatItSubscribedToAndNothingElse) {
  Broker broker;
  ASSERT_TRUE(broker.start()) << broker.log();
  Peer peer(to(broker.port(), "a", GetParam()),
            {{"plant/+/temperature", 1}, {"deep/#", 0}, {"exact", 1}});
  ASSERT_TRUE(peer.connects()) << peer.problem().context;
  EXPECT_TRUE(peer.client().connected());
  for (const auto* topic : {"plant/1/temperature", "plant/1/pressure", "plant/1/2/temperature",
                            "deep", "deep/down/below", "exact", "exactly", "end/of", "exact"}) {
    ASSERT_TRUE(peer.client().publish(topic, topic, 1));
  }
  ASSERT_TRUE(peer.hears(5));
  std::vector<std::string> topics;
  for (const auto& one : peer.heard()) {
    EXPECT_EQ(one.topic, one.payload);
    EXPECT_EQ(one.qos, one.topic.starts_with("deep") ? 0 : 1);
    topics.push_back(one.topic);
  }
  EXPECT_THAT(topics, ::testing::UnorderedElementsAre("plant/1/temperature", "deep",
                                                      "deep/down/below", "exact", "exact"));
}

/// TCP_NODELAY of every connection of this process to that port.
std::vector<int> no_delay_to(std::uint16_t port) {
  std::vector<int> found;
  for (int file = 0; file < 1024; ++file) {
    sockaddr_in peer{};
    socklen_t bytes = sizeof peer;
    if (getpeername(file, reinterpret_cast<sockaddr*>(&peer), &bytes) != 0 ||
        peer.sin_family != AF_INET || ntohs(peer.sin_port) != port) {
      continue;
    }
    int value = 0;
    bytes = sizeof value;
    getsockopt(file, IPPROTO_TCP, TCP_NODELAY, &value, &bytes);
    found.push_back(value);
  }
  return found;
}

TEST_P(BothVersions, SmallPacketsLeaveAtOnce) {
  Broker broker;
  ASSERT_TRUE(broker.start()) << broker.log();
  Peer peer(to(broker.port(), "a", GetParam()));
  ASSERT_TRUE(peer.connects()) << peer.problem().context;
  EXPECT_THAT(no_delay_to(broker.port()), ::testing::ElementsAre(1));
}

TEST_P(BothVersions, CarriesBigAndEmptyAndBinaryPayloads) {
  Broker broker;
  ASSERT_TRUE(broker.start());
  Peer peer(to(broker.port(), "a", GetParam()), {{"t", 1}});
  ASSERT_TRUE(peer.connects());
  std::string big(10 << 20, 'x');
  for (std::size_t i = 0; i < big.size(); i += 4096) big[i] = static_cast<char>(i >> 12);
  for (const std::string& payload : {std::string(), std::string("\0\xFF\0", 3), big}) {
    ASSERT_TRUE(peer.client().publish("t", payload, 1));
  }
  ASSERT_TRUE(peer.hears(3));
  const auto heard = peer.heard();
  EXPECT_EQ(heard[0].payload, "");
  EXPECT_EQ(heard[1].payload, std::string("\0\xFF\0", 3));
  EXPECT_EQ(heard[2].payload, big);
}

TEST_P(BothVersions, BrokerAbsentAtTheStartIsWaitedFor) {
  Broker broker;
  Peer peer(to(broker.port(), "a", GetParam()), {{"t", 1}});
  ASSERT_TRUE(peer.fails(2));
  EXPECT_FALSE(peer.client().connected());
  EXPECT_THAT(peer.problem().context, AllOf(HasSubstr("127.0.0.1:" + std::to_string(broker.port())),
                                            HasSubstr("nothing listens there")));
  ASSERT_TRUE(broker.start());
  ASSERT_TRUE(peer.connects());
  ASSERT_TRUE(peer.client().publish("t", "now", 1));
  EXPECT_TRUE(peer.hears(1));
}

TEST_P(BothVersions, KilledBrokerThatReturnsIsSubscribedAgain) {
  Broker broker;
  ASSERT_TRUE(broker.start());
  Peer peer(to(broker.port(), "a", GetParam()), {{"t/#", 1}});
  ASSERT_TRUE(peer.connects());
  for (int round = 2; round <= 4; ++round) {
    broker.kill();
    ASSERT_TRUE(peer.fails(static_cast<std::size_t>(round) - 1));
    ASSERT_TRUE(broker.start());
    ASSERT_TRUE(peer.connects(round));
    ASSERT_TRUE(peer.client().publish("t/" + std::to_string(round), "x", 1));
    ASSERT_TRUE(peer.hears(static_cast<std::size_t>(round) - 1));
  }
  EXPECT_EQ(peer.client().counters().connects, 4U);
  EXPECT_EQ(peer.client().counters().losses, 3U);
}

// The library alone takes 2.5 times the keep-alive.
TEST_P(BothVersions, BrokerThatFallsSilentIsLostWithinOneAndAHalfKeepAlives) {
  Broker broker;
  ASSERT_TRUE(broker.start());
  auto options = to(broker.port(), "a", GetParam());
  options.keep_alive = 2s;
  Peer peer(options, {{"t", 1}});
  ASSERT_TRUE(peer.connects());
  broker.freeze();
  const auto since = std::chrono::steady_clock::now();
  ASSERT_TRUE(peer.fails(1));
  EXPECT_LT(std::chrono::steady_clock::now() - since, 3s + 1s);  // 1 s for a busy machine
}

TEST_P(BothVersions, PublishWithoutAConnectionIsRefusedAtOnceAndNotKept) {
  Broker broker;
  Peer peer(to(broker.port(), "a", GetParam()), {{"t", 1}});
  for (int i = 0; i < 1000; ++i) {
    const auto done = peer.client().publish("t", "lost", 1);
    ASSERT_FALSE(done);
    ASSERT_EQ(done.error().code, Errc::io);
  }
  EXPECT_EQ(peer.client().counters().refused, 1000U);
  ASSERT_TRUE(broker.start());
  ASSERT_TRUE(peer.connects());
  ASSERT_TRUE(peer.client().publish("t", "kept", 1));
  ASSERT_TRUE(peer.hears(1));
  EXPECT_EQ(peer.heard().front().payload, "kept");
}

TEST_P(BothVersions, PersistentSessionKeepsMessagesWhileAway) {
  Broker broker;
  ASSERT_TRUE(broker.start());
  auto options = to(broker.port(), "stays", GetParam());
  options.clean_start = false;
  options.session_expiry = 1h;
  {
    Peer first(options, {{"t", 1}});
    ASSERT_TRUE(first.connects());
    EXPECT_FALSE(first.session_present());
  }
  {
    Peer other(to(broker.port(), "other", GetParam()), {{"seen", 1}});
    ASSERT_TRUE(other.connects());
    ASSERT_TRUE(other.client().publish("t", "while away", 1));
    ASSERT_TRUE(other.client().publish("seen", "", 1));  // the broker has the one before
    ASSERT_TRUE(other.hears(1));
  }
  Peer second(options, {{"t", 1}});
  ASSERT_TRUE(second.connects());
  EXPECT_TRUE(second.session_present());
  ASSERT_TRUE(second.hears(1));
  EXPECT_EQ(second.heard().front().payload, "while away");
}

TEST_P(BothVersions, WillIsMadeAnewForEachConnection) {
  Broker broker;
  ASSERT_TRUE(broker.start());
  Peer witness(to(broker.port(), "witness", GetParam()), {{"will", 1}});
  ASSERT_TRUE(witness.connects());
  std::atomic<int> number{0};
  Peer mortal(to(broker.port(), "mortal", GetParam()), {}, [&] {
    return Will{.topic = "will", .payload = "connection " + std::to_string(++number)};
  });
  ASSERT_TRUE(mortal.connects());
  for (std::size_t round = 1; round <= 2; ++round) {
    // Another client with the same id ends the connection from the broker's side: the will is sent.
    {
      Peer usurper(to(broker.port(), "mortal", GetParam()));
      ASSERT_TRUE(usurper.connects());
      ASSERT_TRUE(witness.hears(round));
    }
    ASSERT_TRUE(mortal.connects(static_cast<int>(round) + 1));
  }
  EXPECT_EQ(witness.heard()[0].payload, "connection 1");
  EXPECT_NE(witness.heard()[1].payload, "connection 1");
  // The library once tried MQTT 3.1 behind our back after a loss, with the old connection's will.
  EXPECT_EQ(broker.log().find("(p1,"), std::string::npos) << broker.log();
}

TEST_P(BothVersions, RefusedCredentialsAreNamed) {
  Broker broker("allow_anonymous false\n");
  ASSERT_TRUE(broker.start());
  auto options = to(broker.port(), "a", GetParam());
  options.username = "someone";
  options.password = Secret<std::string>("hunter2");
  Peer peer(options);
  const auto problem = peer.problem();
  EXPECT_EQ(problem.code, Errc::denied);
  EXPECT_THAT(problem.context, AllOf(HasSubstr("refused"), ::testing::Not(HasSubstr("hunter2"))));
}

TEST_P(BothVersions, InflightLimitIsToldNotWaitedOut) {
  Broker broker;
  ASSERT_TRUE(broker.start());
  auto options = to(broker.port(), "a", GetParam());
  options.inflight_max = 4;
  Peer peer(options, {{"t", 1}});
  ASSERT_TRUE(peer.connects());
  const std::string payload(256 << 10, 'x');
  std::size_t taken = 0;
  std::size_t limited = 0;
  for (int i = 0; i < 200; ++i) {
    const auto done = peer.client().publish("t", payload, 1);
    if (done) {
      ++taken;
    } else {
      EXPECT_EQ(done.error().code, Errc::limit);
      ++limited;
    }
  }
  EXPECT_GT(limited, 0U);
  EXPECT_TRUE(peer.hears(taken)) << "what was taken arrives";
  EXPECT_TRUE(lapwing::testing::eventually([&] {
    return peer.client().publish("t", "x", 1).has_value();
  })) << "room again";
}

TEST(Mqtt, BrokersReceiveMaximumIsKept) {
  Broker broker("allow_anonymous true\nmax_inflight_messages 7\n");
  ASSERT_TRUE(broker.start());
  auto options = to(broker.port(), "a");
  options.inflight_max = 1000;
  Peer peer(options, {{"t", 1}});
  ASSERT_TRUE(peer.connects());
  std::size_t taken = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (taken < 100) {
    const auto done = peer.client().publish("t", "x", 1);
    if (done) {
      ++taken;
    } else {
      ASSERT_EQ(done.error().code, Errc::limit);
      std::this_thread::sleep_for(1ms);
    }
  }
  EXPECT_TRUE(peer.hears(100));
  // What exceeds it would wait for a second, seven at a time.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_P(BothVersions, StopSendsWhatWasPublished) {
  Broker broker;
  ASSERT_TRUE(broker.start());
  Peer witness(to(broker.port(), "witness", GetParam()), {{"t", 1}});
  ASSERT_TRUE(witness.connects());
  {
    Peer peer(to(broker.port(), "brief", GetParam()));
    ASSERT_TRUE(peer.connects());
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(peer.client().publish("t", std::to_string(i), 1));
    peer.client().stop();
    peer.client().stop();  // repeatable
    EXPECT_FALSE(peer.client().publish("t", "late", 1));
  }
  ASSERT_TRUE(witness.hears(20));
  EXPECT_EQ(witness.heard().back().payload, "19") << "in order";
}

TEST(Mqtt, RetainedMessagesAreMarked) {
  Broker broker;
  ASSERT_TRUE(broker.start());
  Peer first(to(broker.port(), "first"), {{"seen", 1}});
  ASSERT_TRUE(first.connects());
  ASSERT_TRUE(first.client().publish("r", "kept", 1, /*retain=*/true));
  ASSERT_TRUE(first.client().publish("seen", "", 1));
  ASSERT_TRUE(first.hears(1));
  Peer second(to(broker.port(), "second"), {{"r", 1}});
  ASSERT_TRUE(second.hears(1));
  EXPECT_TRUE(second.heard().front().retained);
}

TEST(Mqtt, TwoClientsOfOneIdSlowDownInsteadOfFightingOn) {
  Broker broker;
  ASSERT_TRUE(broker.start());
  auto options = to(broker.port(), "same");
  options.backoff_min = 50ms;
  options.backoff_max = 60s;
  Peer one(options);
  Peer two(options);
  ASSERT_TRUE(one.fails(3));
  // With a back-off that starts anew at each connection there would be hundreds.
  EXPECT_LT(one.client().counters().connects + two.client().counters().connects, 30U);
}

/// Accepts connections and never answers.
class Mute {
 public:
  Mute() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Mute() { close(fd_); }
  Mute(const Mute&) = delete;
  Mute& operator=(const Mute&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TEST(Mqtt, StopWhileConnectingReturnsPromptly) {
  const Pki pki;
  for (const bool tls : {false, true}) {
    const Mute mute;
    auto options = to(mute.port(), "a");
    if (tls) options.tls = Tls{.ca_file = pki.ca_file(), .certificate_file = {}, .key_file = {}};
    Client client(options, {});
    ASSERT_TRUE(client.start());
    // Connecting by now, with TCP done and no answer.
    std::this_thread::sleep_for(300ms);
    const auto begin = std::chrono::steady_clock::now();
    client.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  }
}

TEST(Mqtt, BrokerThatNeverAnswersIsGivenUp) {
  const Mute mute;
  auto options = to(mute.port(), "a");
  options.connect_timeout = 1s;
  Peer peer(options);
  EXPECT_TRUE(peer.fails(1));
  EXPECT_THAT(peer.problem().context, HasSubstr(std::to_string(mute.port())));
}

TEST(Mqtt, UnknownHostIsNamed) {
  auto options = to(1883, "a");
  options.host = "no.such.host.invalid";
  Peer peer(options);
  EXPECT_THAT(peer.problem().context,
              AllOf(HasSubstr("no.such.host.invalid"), HasSubstr("not found")));
}

TEST(Mqtt, PlainConnectionToATlsPortIsExplained) {
  Pki pki;
  const auto server = pki.server("server", {"127.0.0.1"});
  Broker broker("allow_anonymous true\ncafile " + pki.ca_file().string() + "\ncertfile " +
                server.certificate_file.string() + "\nkeyfile " + server.key_file.string() + "\n");
  ASSERT_TRUE(broker.start());
  Peer peer(to(broker.port(), "a"));
  EXPECT_THAT(peer.problem().context, HasSubstr("TLS port"));
}

class OverTls : public ::testing::Test {
 protected:
  /// A broker with this certificate that wants one of the peers too.
  Broker& start(const lapwing::testing::Identity& server) {
    broker_.configure("allow_anonymous true\nrequire_certificate true\ncafile " +
                      pki_.ca_file().string() + "\ncertfile " + server.certificate_file.string() +
                      "\nkeyfile " + server.key_file.string() + "\n");
    EXPECT_TRUE(broker_.start()) << broker_.log();
    return broker_;
  }
  Options as(const lapwing::testing::Identity& client, Version version = Version::v5) {
    auto options = to(broker_.port(), "a", version);
    options.host = "localhost";
    options.tls = Tls{.ca_file = pki_.ca_file(),
                      .certificate_file = client.certificate_file,
                      .key_file = client.key_file};
    return options;
  }

  Pki pki_;
  Pki other_{"another authority"};
  Broker broker_;
};

TEST_F(OverTls, ConnectsWithACertificateInBothVersions) {
  start(pki_.server("server", {"localhost"}));
  const auto client = pki_.client("client", "acme/edge-1");
  for (const auto version : {Version::v5, Version::v3_1_1}) {
    Peer peer(as(client, version), {{"t", 1}});
    ASSERT_TRUE(peer.connects()) << peer.problem().context;
    ASSERT_TRUE(peer.client().publish("t", std::string(1 << 20, 'x'), 1));
    EXPECT_TRUE(peer.hears(1));
  }
}

TEST_F(OverTls, WrongAuthorityIsNamedWithItsFile) {
  start(pki_.server("server", {"localhost"}));
  auto options = as(pki_.client("client", "acme/edge-1"));
  options.tls->ca_file = other_.ca_file();
  Peer peer(options);
  EXPECT_EQ(peer.problem().code, Errc::denied);
  EXPECT_THAT(
      peer.problem().context,
      AllOf(HasSubstr("localhost:"), HasSubstr("not signed by " + other_.ca_file().string())));
}

TEST_F(OverTls, ExpiredBrokerCertificateNamesTheClock) {
  start(pki_.server("server", {"localhost"}, now() - 48h, 24h));
  Peer peer(as(pki_.client("client", "acme/edge-1")));
  EXPECT_THAT(peer.problem().context,
              AllOf(HasSubstr("broker's certificate"), HasSubstr("expired"), HasSubstr("clock")));
}

TEST_F(OverTls, BrokerCertificateOfTheFutureNamesTheClock) {
  start(pki_.server("server", {"localhost"}, now() + 48h, 24h));
  Peer peer(as(pki_.client("client", "acme/edge-1")));
  EXPECT_THAT(peer.problem().context, HasSubstr("clock behind"));
}

TEST_F(OverTls, AnotherHostNameIsNamed) {
  start(pki_.server("server", {"elsewhere.example.org"}));
  Peer peer(as(pki_.client("client", "acme/edge-1")));
  EXPECT_THAT(peer.problem().context, HasSubstr("names another host than localhost"));
}

TEST_F(OverTls, RefusedClientCertificatesAreNamedWithTheirFile) {
  start(pki_.server("server", {"localhost"}));
  const auto expired = pki_.client("expired", "acme/edge-1", now() - 48h, 24h);
  {
    Peer peer(as(expired));
    EXPECT_THAT(peer.problem().context, AllOf(HasSubstr(expired.certificate_file.string()),
                                              HasSubstr("expired"), HasSubstr("clock")));
  }
  const auto foreign = other_.client("foreign", "acme/edge-1");
  {
    Peer peer(as(foreign));
    EXPECT_THAT(peer.problem().context, AllOf(HasSubstr(foreign.certificate_file.string()),
                                              HasSubstr("not of an authority")));
  }
  {
    Peer peer(as({}));
    EXPECT_THAT(peer.problem().context, HasSubstr("none is configured"));
  }
  {
    Peer peer(as({expired.certificate_file, foreign.key_file}));
    EXPECT_EQ(peer.problem().code, Errc::bad_config);
    EXPECT_THAT(peer.problem().context, HasSubstr("not the key of"));
  }
}

TEST_F(OverTls, MissingFilesAreNamedAtTheStart) {
  auto options = as({"/nonexistent/device.pem", "/nonexistent/device.key"});
  Client client(options, {});
  const auto started = client.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::bad_config);
  EXPECT_THAT(started.error().context, HasSubstr("/nonexistent/device.pem"));
}

TEST_F(OverTls, TlsToAPlainPortIsExplained) {
  ASSERT_TRUE(broker_.start());
  Peer peer(as(pki_.client("client", "acme/edge-1")));
  EXPECT_THAT(peer.problem().context, HasSubstr("plain port"));
}

}  // namespace
}  // namespace lapwing::mqtt
