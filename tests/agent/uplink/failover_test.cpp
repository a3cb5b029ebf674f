// SPDX-License-Identifier: Apache-2.0
// The uplink between two hubs on two real mosquittos, over and back.
#include "agent/uplink/uplink.hpp"
#include "shared/base/config.hpp"
#include "shared/base/metrics.hpp"
#include "tests/agent/uplink/small_hub.hpp"
#include "tests/support/broker.hpp"
#include "tests/support/pki.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace lapwing::agent {
namespace {

using lapwing::testing::Broker;
using lapwing::testing::eventually;
using lapwing::testing::Pki;
using lapwing::testing::SmallHub;
using lapwing::testing::TempDir;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class UplinkBetweenHubs : public ::testing::Test {
 protected:
  /// A broker and a hub of their own.
  struct Region {
    Broker broker;
    std::unique_ptr<SmallHub> hub;
    [[nodiscard]] std::string name() { return "localhost:" + std::to_string(broker.port()); }
  };

  void SetUp() override {
    make_noise();
    const auto server = pki_.server("server", {"localhost"});
    const auto device = pki_.client("device", "acme/edge-1");
    for (Region* region : {&a_, &b_}) {
      region->broker.configure("allow_anonymous true\nrequire_certificate true\ncafile " +
                               pki_.ca_file().string() + "\ncertfile " +
                               server.certificate_file.string() + "\nkeyfile " +
                               server.key_file.string() + "\n");
      ASSERT_TRUE(region->broker.start()) << region->broker.log();
      start_hub(*region);
      config_.hubs.push_back({.host = "localhost",
                              .port = region->broker.port(),
                              .priority = region == &a_ ? 1U : 2U,
                              .ca_file = pki_.ca_file()});
    }
    config_.certificate_file = device.certificate_file;
    config_.key_file = device.key_file;
    config_.answer_timeout = milliseconds(300);
    config_.reconnect_max = seconds(1);
    config_.failover_after = milliseconds(1500);
    config_.failback_after = seconds(1);
    auto outbox = Outbox::open({}, folder_.path(), metrics_);
    ASSERT_TRUE(outbox) << outbox.error().context;
    outbox_ = *std::move(outbox);
    auto uplink = Uplink::make(config_, *outbox_, metrics_, "0.1.0", {});
    ASSERT_TRUE(uplink) << uplink.error().context;
    uplink_ = *std::move(uplink);
    ASSERT_TRUE(uplink_->start());
  }
  void TearDown() override {
    uplink_.reset();
    noise_.request_stop();
  }
  /// The library looks for new connections when something arrives, else once a second.
  void make_noise() {
    ASSERT_TRUE(quiet_.start());
    mqtt::Options options;
    options.host = "127.0.0.1";
    options.port = quiet_.port();
    options.client_id = "noise";
    noisy_ = std::make_unique<mqtt::Client>(std::move(options), mqtt::Handlers{});
    noisy_->subscribe({{"noise", 0}});
    ASSERT_TRUE(noisy_->start());
    ASSERT_TRUE(eventually([this] { return noisy_->connected(); }));
    noise_ = std::jthread([this](const std::stop_token& stop) {
      for (; !stop.stop_requested(); std::this_thread::sleep_for(milliseconds(10))) {
        static_cast<void>(noisy_->publish("noise", "x", 0));
      }
    });
  }

  void start_hub(Region& region) {
    const auto own = pki_.client("hub" + std::to_string(++hubs_), "hub");
    mqtt::Options options;
    options.host = "localhost";
    options.port = region.broker.port();
    options.client_id = "hub";
    options.tls = mqtt::Tls{pki_.ca_file(), own.certificate_file, own.key_file, true};
    options.backoff_max = milliseconds(300);
    region.hub = std::make_unique<SmallHub>(
        std::move(options), &region == &a_ ? sync::Region{1, "eu"} : sync::Region{2, "us"});
    ASSERT_TRUE(region.hub->listens());
  }
  void commit(std::size_t count) {
    std::vector<OutboxRecord> records;
    for (; count > 0; --count) {
      wire::SummaryRecord record;
      record.stream = "s/" + std::to_string(++produced_);
      record.readings = produced_;
      records.push_back({wire::RecordClass::summary, now(), wire::encode_record(record)});
    }
    outbox_->submit(std::move(records));
    outbox_->flush();
  }
  bool drained_at(Region& region) {
    return eventually([&] {
      const auto figures = uplink_->figures();
      return figures.connected && figures.hub == region.name() && figures.backlog == 0 &&
             figures.watermark == produced_;
    });
  }
  /// What the hubs hold, by what it says.
  std::set<std::string> held() {
    std::set<std::string> all;
    for (const Region* region : {&a_, &b_}) {
      for (const auto& [key, payload] : region->hub->heard().rows) all.insert(payload);
    }
    return all;
  }

  Pki pki_;
  Broker quiet_;
  std::unique_ptr<mqtt::Client> noisy_;
  std::jthread noise_;
  Region a_;
  Region b_;
  int hubs_ = 0;
  TempDir folder_;
  Metrics metrics_;
  UplinkConfig config_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<Uplink> uplink_;
  std::uint64_t produced_ = 0;
};

TEST_F(UplinkBetweenHubs, GoesOverWhenTheFirstDiesAndBackWhenItIsSteady) {
  commit(100);
  ASSERT_TRUE(drained_at(a_));
  EXPECT_EQ(uplink_->figures().why, "none is better");
  a_.broker.kill();
  commit(100);
  ASSERT_TRUE(drained_at(b_)) << uplink_->figures().problem;
  EXPECT_THAT(uplink_->figures().why, HasSubstr("no better one"));
  EXPECT_THAT(metrics_.text(),
              HasSubstr("lapwing_uplink_hub_connected{hub=\"" + b_.name() + "\"} 1"));
  ASSERT_TRUE(a_.broker.start()) << a_.broker.log();
  ASSERT_TRUE(a_.hub->listens());
  ASSERT_TRUE(eventually([&] { return uplink_->figures().hub == a_.name(); }));
  commit(100);
  ASSERT_TRUE(drained_at(a_)) << uplink_->figures().problem;
  EXPECT_EQ(uplink_->figures().hub_changes, 2U);
  EXPECT_EQ(held().size(), produced_) << "every record is at one of them";
  EXPECT_FALSE(b_.hub->heard().statuses.empty());
  EXPECT_FALSE(b_.hub->heard().statuses.back().online) << "it says that it leaves";
}

TEST_F(UplinkBetweenHubs, TheSettingsOfARegionAreNotTheOthers) {
  const auto reported = [&](const Region& region, std::uint64_t version) {
    return eventually([&] {
      const auto statuses = region.hub->heard().statuses;
      return !statuses.empty() && statuses.back().desired_version == version;
    });
  };
  ASSERT_TRUE(drained_at(a_));
  a_.hub->say(wire::Channel::desired, wire::encode(wire::Desired{3, "{}"}));
  ASSERT_TRUE(reported(a_, 3));
  a_.broker.kill();
  commit(10);
  ASSERT_TRUE(drained_at(b_)) << uplink_->figures().problem;
  ASSERT_TRUE(reported(b_, 0)) << "its own version 3 is another";
  EXPECT_THAT(b_.hub->heard().statuses.back().desired_problem, HasSubstr("\"eu\""));
  b_.hub->say(wire::Channel::desired, wire::encode(wire::Desired{3, "{}"}));
  ASSERT_TRUE(reported(b_, 3));
  EXPECT_EQ(b_.hub->heard().statuses.back().desired_problem, "");
}

TEST_F(UplinkBetweenHubs, AHubWithoutItsProcessIsNoHub) {
  commit(10);
  ASSERT_TRUE(drained_at(a_));
  a_.hub->with([](auto&, auto& faults) { faults.deaf = true; });  // its broker runs on
  commit(10);
  ASSERT_TRUE(drained_at(b_)) << uplink_->figures().problem;
  EXPECT_EQ(held().size(), produced_);
}

TEST_F(UplinkBetweenHubs, ARefusedDeviceTriesTheOtherAQuarantinedOneStays) {
  a_.hub->with([](auto&, auto& faults) { faults.refuse = "not enrolled here"; });
  commit(10);
  ASSERT_TRUE(drained_at(b_)) << uplink_->figures().problem;
  EXPECT_TRUE(eventually([&] {
    return uplink_->figures().why.find("refuses") != std::string::npos;
  })) << uplink_->figures().why;
  b_.hub->with([](auto&, auto& faults) { faults.quarantine = "two copies"; });
  b_.broker.kill();
  ASSERT_TRUE(b_.broker.start()) << b_.broker.log();
  ASSERT_TRUE(eventually([&] { return uplink_->figures().state == "quarantined"; }));
  a_.hub->with([](auto&, auto& faults) { faults.refuse.clear(); });
  b_.broker.kill();
  const auto before = a_.hub->heard().hellos.size();
  std::this_thread::sleep_for(milliseconds(2000));  // longer than failover_after: nothing happens
  EXPECT_EQ(a_.hub->heard().hellos.size(), before);
  EXPECT_THAT(uplink_->figures().why, HasSubstr("quarantined"));
}

TEST(UplinkHubs, AreAListOrOneHostNotBoth) {
  const auto read = [](std::string_view text, std::size_t problems) {
    auto document = config::Document::parse(text, "agent.toml");
    auto config = UplinkConfig::read(document.root().table({"uplink", "the hub"}));
    const auto found = document.finish();
    EXPECT_EQ(found.size(), problems);
    for (const auto& problem : found) {
      EXPECT_THAT(problem.text(), ::testing::AnyOf(HasSubstr("remove"), HasSubstr("enrol"),
                                                   HasSubstr("at most 16")));
    }
    return config;
  };
  const std::string files =
      "ca_file = \"ca.pem\"\ncertificate_file = \"d.pem\"\nkey_file = \"d.key\"\n";
  const auto one = read("[uplink]\nhost = \"a\"\nport = 1\n" + files, 0).endpoints();
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].name(), "a:1");
  const std::string two =
      "[[uplink.hub]]\nhost = \"a\"\n[[uplink.hub]]\nhost = \"b\"\npriority = 2\n"
      "ca_file = \"/b.pem\"\n";
  const auto list = read("[uplink]\n" + files + two, 0).endpoints();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_TRUE(list[0].ca_file.string().ends_with("ca.pem"));
  EXPECT_EQ(list[1].ca_file, "/b.pem");
  EXPECT_EQ(list[1].priority, 2U);
  EXPECT_EQ(list[1].port, 8883);
  static_cast<void>(read("[uplink]\nhost = \"a\"\n" + files + two, 1));
  static_cast<void>(read("[uplink]\n" + two, 3));
  std::string many = "[uplink]\n" + files;
  for (int i = 0; i < 17; ++i) many += "[[uplink.hub]]\nhost = \"h\"\n";
  static_cast<void>(read(many, 1));
}

}  // namespace
}  // namespace lapwing::agent
