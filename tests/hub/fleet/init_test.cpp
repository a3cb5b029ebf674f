// SPDX-License-Identifier: Apache-2.0
/// `init`, and the broker it configures: a real mosquitto, real certificates.
#include "hub/fleet/init.hpp"

#include "hub/fleet/tokens.hpp"
#include "hub/store/config.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/base/config.hpp"
#include "shared/base/files.hpp"
#include "shared/mqtt/client.hpp"
#include "shared/trust/authority.hpp"
#include "tests/support/broker.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

namespace lapwing::hub {
namespace {

namespace fs = std::filesystem;
using lapwing::testing::eventually;
using lapwing::testing::Process;
using lapwing::testing::TempDir;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

InitOptions options_for(const fs::path& directory) {
  return {.directory = directory,
          .tenant = "acme",
          .hosts = {"hub.example.org"},
          .mqtt_port = lapwing::testing::free_port(),
          .http_port = lapwing::testing::free_port(),
          .run_as_root = ::geteuid() == 0};
}

std::string text_of(const fs::path& file) { return read_file(file, 65'536).value(); }

TEST(Init, MakesEverythingAHubNeeds) {
  const TempDir folder;
  const auto options = options_for(folder.path() / "a" / "hub");
  const auto made = init(options, now());
  ASSERT_TRUE(made) << made.error().context;
  const auto in = [&](const char* name) { return options.directory / name; };
  for (const auto& file : made->files) EXPECT_TRUE(fs::exists(file)) << file;
  for (const auto* key : {"ca.key", "server.key", "hub.key"}) {
    struct stat status {};
    ASSERT_EQ(::stat(in(key).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << key;
  }
  const auto authority = trust::Authority::load(in("ca.pem"), in("ca.key"));
  ASSERT_TRUE(authority) << authority.error().context;
  const auto server = trust::Certificate::load(in("server.pem")).value().info();
  EXPECT_THAT(server.names, ElementsAre("hub.example.org", "localhost", "127.0.0.1", "::1"));
  EXPECT_TRUE(trust::verify(trust::Certificate::load(in("server.pem")).value(),
                            authority->certificate(), now(), trust::Purpose::server));
  auto store = open_sqlite_store(in("hub.db"));
  ASSERT_TRUE(store) << store.error().context;
  ASSERT_TRUE(made->admin_token);
  const auto token = authenticate(**store, made->admin_token->reveal(), now());
  ASSERT_TRUE(token);
  EXPECT_EQ(token->tenant, "acme");
  EXPECT_THAT(token->scopes, ElementsAre("admin"));
}

TEST(Init, MayKeepTheStoreInPostgres) {
  auto* server = lapwing::testing::PostgresServer::shared();
  if (server == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
  const TempDir folder;
  auto options = options_for(folder.path() / "hub");
  options.store_url = server->new_database();
  options.store_password_file = folder.put("password", "of no use where all are trusted\n");
  const auto made = init(options, now());
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_FALSE(fs::exists(options.directory / "hub.db"));
  auto document = config::Document::load(options.directory / "hub.toml", {});
  auto section = document.root().table({"store", ""});
  const auto config = StoreConfig::read(section);
  EXPECT_EQ(config.url, options.store_url);
  ASSERT_TRUE(config.password);
  EXPECT_EQ(config.password->reveal(), "of no use where all are trusted");
  auto store = open_store(config, options.directory);
  ASSERT_TRUE(store) << store.error().context;
  ASSERT_TRUE(made->admin_token);
  EXPECT_TRUE(authenticate(**store, made->admin_token->reveal(), now()));

  options.directory = folder.path() / "other";
  options.store_url = server->url("nowhere");
  const auto refused = init(options, now());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("\"nowhere\" does not exist"));
  EXPECT_FALSE(fs::exists(options.directory));
  options.store_url = "mysql://x";
  EXPECT_EQ(init(options, now()).error().code, Errc::bad_input);
}

TEST(Init, AReplicaTakesTheAuthorityAndNeedsNoFurtherToken) {
  auto* server = lapwing::testing::PostgresServer::shared();
  if (server == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
  const TempDir folder;
  auto options = options_for(folder.path() / "one");
  options.store_url = server->new_database();
  const auto first = init(options, now());
  ASSERT_TRUE(first) << first.error().context;
  options.authority = options.directory;
  options.directory = folder.path() / "two";
  options.public_port = 18883;
  const auto second = init(options, now());
  ASSERT_TRUE(second) << second.error().context;
  EXPECT_FALSE(second->admin_token.has_value());

  const auto in = [&](const char* hub, const char* name) { return folder.path() / hub / name; };
  EXPECT_EQ(text_of(in("one", "ca.pem")), text_of(in("two", "ca.pem")));
  const auto authority = trust::Authority::load(in("two", "ca.pem"), in("two", "ca.key"));
  ASSERT_TRUE(authority) << authority.error().context;
  for (const auto* name : {"server.pem", "hub.pem"}) {
    EXPECT_NE(text_of(in("one", name)), text_of(in("two", name))) << name;
  }
  const auto certificate = trust::Certificate::load(in("two", "server.pem")).value();
  EXPECT_TRUE(trust::verify(certificate, authority->certificate(), now(), trust::Purpose::server));
  EXPECT_THAT(certificate.info().names, Contains("hub.example.org")) << "the balancer's name";
  EXPECT_THAT(text_of(in("two", "hub.toml")), AllOf(HasSubstr("public_host = \"hub.example.org\""),
                                                    HasSubstr("public_port = 18883")));

  auto store = open_store({.url = options.store_url}, options.directory);
  ASSERT_TRUE(store) << store.error().context;
  const auto tokens = (*store)->tokens("acme", {});
  ASSERT_EQ(tokens->items.size(), 1U);
  ASSERT_TRUE(revoke_token(**store, "acme", tokens->items.front().id, "cli", now()));
  options.directory = folder.path() / "three";
  const auto third = init(options, now());
  ASSERT_TRUE(third) << third.error().context;
  EXPECT_TRUE(third->admin_token.has_value()) << "a revoked token is of no use";
}

TEST(Init, TakesOnlyAnAuthorityThatHolds) {
  const TempDir folder;
  auto options = options_for(folder.path() / "hub");
  options.authority = folder.path() / "nowhere";
  const auto missing = init(options, now());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_THAT(missing.error().context, AllOf(HasSubstr("--authority"), HasSubstr("ca.pem")));
  EXPECT_FALSE(fs::exists(options.directory));

  const auto old = trust::Authority::create("old", {.now = now() - 48h, .lifetime = 24h}).value();
  options.authority = folder.path();
  folder.put("ca.pem", old.certificate().pem());
  ASSERT_TRUE(old.key().write_new(folder.path() / "ca.key"));
  const auto expired = init(options, now());
  ASSERT_FALSE(expired);
  EXPECT_THAT(expired.error().context, HasSubstr("expired"));
  EXPECT_FALSE(fs::exists(options.directory));
}

TEST(Init, NeverOverwrites) {
  const TempDir folder;
  const auto options = options_for(folder.path());
  ASSERT_TRUE(init(options, now()));
  const auto again = init(options, now());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::exists);
  EXPECT_THAT(again.error().context, AllOf(HasSubstr("ca.pem"), HasSubstr("never overwritten")));
  EXPECT_TRUE(fs::exists(folder.path() / "hub.toml")) << "the first one is untouched";
}

TEST(Init, FailureLeavesNothingBehind) {
  const TempDir folder;
  auto options = options_for(folder.path() / "hub");
  options.hosts = {"bad host"};
  const auto made = init(options, now());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::bad_input);
  EXPECT_THAT(made.error().context, AllOf(HasSubstr("--host"), HasSubstr("bad host")));
  EXPECT_FALSE(fs::exists(folder.path() / "hub"));
}

TEST(Init, RefusesOptionsThatCannotWork) {
  const TempDir folder;
  const auto refused = [&](auto change) {
    auto options = options_for(folder.path() / "hub");
    change(options);
    const auto made = init(options, now());
    return !made && made.error().code == Errc::bad_input;
  };
  EXPECT_TRUE(refused([](auto& o) { o.tenant = "a/b"; }));
  EXPECT_TRUE(refused([](auto& o) { o.mqtt_listen = "localhost"; }));
  EXPECT_TRUE(refused([](auto& o) { o.http_listen = "1.2.3"; }));
  EXPECT_TRUE(refused([](auto& o) { o.directory += "\nuser root"; }));
  EXPECT_FALSE(fs::exists(folder.path() / "hub"));
}

/// A client that remembers what it hears.
class Peer {
 public:
  Peer(mqtt::Options options, std::vector<mqtt::Subscription> filters)
      : client_(std::move(options), {.on_connected =
                                         [this](bool) {
                                           const std::lock_guard lock(mutex_);
                                           connected_ = true;
                                           changed_.notify_all();
                                         },
                                     .on_disconnected =
                                         [this](const Error& error) {
                                           const std::lock_guard lock(mutex_);
                                           problems_.push_back(error.context);
                                           changed_.notify_all();
                                         },
                                     .on_message =
                                         [this](const mqtt::Message& message) {
                                           const std::lock_guard lock(mutex_);
                                           heard_.push_back(std::string(message.topic) + " " +
                                                            std::string(message.payload));
                                           changed_.notify_all();
                                         },
                                     .make_will = {},
                                     .identify = {}}) {
    client_.subscribe(std::move(filters));
    started_ = client_.start().has_value();
  }
  ~Peer() { client_.stop(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool connects() {
    std::unique_lock lock(mutex_);
    return started_ && changed_.wait_for(lock, 20s, [this] { return connected_; });
  }
  std::string problem() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 20s, [this] { return !problems_.empty(); });
    return problems_.empty() ? "none" : problems_.front();
  }
  std::vector<std::string> heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  bool hears(const std::string& what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(
        lock, 20s, [&] { return std::find(heard_.begin(), heard_.end(), what) != heard_.end(); });
  }
  void say(const std::string& topic, const std::string& text) {
    EXPECT_TRUE(client_.publish(topic, text, 1));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool connected_ = false;
  bool started_ = false;
  std::vector<std::string> problems_;
  std::vector<std::string> heard_;
  mqtt::Client client_;
};

class HubBroker : public ::testing::Test {
 protected:
  HubBroker() : options_(options_for(folder_.path() / "hub")) {
    auto made = init(options_, now());
    EXPECT_TRUE(made) << made.error().context;
    authority_.emplace(trust::Authority::load(file("ca.pem"), file("ca.key")).value());
    broker_.emplace(std::vector<std::string>{"mosquitto", "-c", file("mosquitto.conf").string()});
    EXPECT_TRUE(eventually([&] { return lapwing::testing::accepts(options_.mqtt_port); }))
        << broker_->err();
  }

  [[nodiscard]] fs::path file(const std::string& name) const { return options_.directory / name; }

  mqtt::Options as(const fs::path& certificate, const fs::path& key, const std::string& id) const {
    mqtt::Options options;
    options.host = "localhost";
    options.port = options_.mqtt_port;
    options.client_id = id;
    options.tls = mqtt::Tls{.ca_file = file("ca.pem"),
                            .certificate_file = certificate,
                            .key_file = key,
                            .verify = true};
    return options;
  }
  mqtt::Options hub() const { return as(file("hub.pem"), file("hub.key"), "the-hub"); }

  /// A device as enrolment makes it.
  mqtt::Options device(const std::string& name, Time at = now()) {
    const auto key = trust::PrivateKey::generate().value();
    const auto certificate =
        authority_->issue_device(trust::make_csr(key, "any").value(), "acme/" + name, {at, 1h});
    EXPECT_TRUE(key.write_new(folder_.path() / (name + ".key")));
    return as(folder_.put(name + ".pem", certificate->pem()), folder_.path() / (name + ".key"),
              "client-of-" + name);
  }

  TempDir folder_;
  InitOptions options_;
  std::optional<trust::Authority> authority_;
  std::optional<Process> broker_;
};

TEST_F(HubBroker, DeviceWritesOnlyItsOwnUpAndReadsOnlyItsOwnDown) {
  Peer hub(this->hub(), {{"lapwing/v1/+/+/up/#", 1}});
  ASSERT_TRUE(hub.connects()) << hub.problem() << broker_->err();
  Peer one(device("edge-1"), {{"lapwing/v1/acme/edge-1/down/#", 1},
                              {"lapwing/v1/acme/edge-2/down/#", 1},
                              {"lapwing/v1/acme/edge-2/up/#", 1},
                              {"#", 1}});
  Peer two(device("edge-2"), {{"lapwing/v1/acme/edge-2/down/#", 1}});
  ASSERT_TRUE(one.connects()) << one.problem() << broker_->err();
  ASSERT_TRUE(two.connects()) << two.problem();

  one.say("lapwing/v1/acme/edge-2/up/hello", "forged");
  one.say("lapwing/v1/acme/edge-2/down/ack", "forged");
  one.say("lapwing/v1/acme/edge-1/down/ack", "forged");
  one.say("lapwing/v1/other/edge-1/up/hello", "forged");
  one.say("lapwing/v1/acme/edge-1/up/hello", "mine");
  two.say("lapwing/v1/acme/edge-2/up/hello", "mine");
  EXPECT_TRUE(hub.hears("lapwing/v1/acme/edge-1/up/hello mine"));
  EXPECT_TRUE(hub.hears("lapwing/v1/acme/edge-2/up/hello mine"));
  hub.say("lapwing/v1/acme/edge-2/down/ack", "for two");
  hub.say("lapwing/v1/acme/edge-1/down/ack", "for one");
  EXPECT_TRUE(two.hears("lapwing/v1/acme/edge-2/down/ack for two"));
  EXPECT_TRUE(one.hears("lapwing/v1/acme/edge-1/down/ack for one"));

  for (const auto& text : hub.heard()) EXPECT_THAT(text, HasSubstr(" mine"));
  for (const auto& text : one.heard()) EXPECT_THAT(text, HasSubstr("edge-1/down/ack for one"));
  EXPECT_THAT(two.heard(), ElementsAre("lapwing/v1/acme/edge-2/down/ack for two"));
}

TEST_F(HubBroker, DeviceCannotTakeAnothersConnectionByItsClientId) {
  auto first = device("edge-1");
  auto second = device("edge-2");
  first.client_id = second.client_id = "same-id";
  Peer one(first, {});
  ASSERT_TRUE(one.connects()) << one.problem();
  Peer two(second, {{"lapwing/v1/acme/edge-2/down/#", 1}});
  ASSERT_TRUE(two.connects()) << two.problem();
  Peer hub(this->hub(), {{"lapwing/v1/+/+/up/#", 1}});
  ASSERT_TRUE(hub.connects());
  one.say("lapwing/v1/acme/edge-1/up/hello", "still here");
  EXPECT_TRUE(hub.hears("lapwing/v1/acme/edge-1/up/hello still here"));
}

TEST_F(HubBroker, RefusesWhoHasNoCertificate) {
  auto options = device("edge-1");
  options.tls->certificate_file.clear();
  options.tls->key_file.clear();
  Peer peer(options, {});
  EXPECT_THAT(peer.problem(), AllOf(HasSubstr("localhost:" + std::to_string(options.port)),
                                    HasSubstr("none is configured")));
}

TEST_F(HubBroker, RefusesACertificateOfAnotherAuthority) {
  auto options = device("edge-1");
  const auto other = trust::Authority::create("other", {now(), 1h});
  const auto key = trust::PrivateKey::generate().value();
  const auto certificate =
      other->issue_device(trust::make_csr(key, "x").value(), "acme/edge-1", {now(), 1h});
  options.tls->certificate_file = folder_.put("forged.pem", certificate->pem());
  options.tls->key_file = folder_.path() / "forged.key";
  ASSERT_TRUE(key.write_new(options.tls->key_file));
  Peer peer(options, {});
  EXPECT_THAT(peer.problem(), AllOf(HasSubstr("refuses our certificate"), HasSubstr("forged.pem")));
}

TEST_F(HubBroker, RefusesAnExpiredCertificate) {
  Peer peer(device("edge-1", now() - 3h), {});
  EXPECT_THAT(peer.problem(),
              AllOf(HasSubstr("expired"), HasSubstr("clock"), HasSubstr("edge-1.pem")));
}

}  // namespace
}  // namespace lapwing::hub
