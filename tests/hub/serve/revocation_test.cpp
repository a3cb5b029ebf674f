// SPDX-License-Identifier: Apache-2.0
/// From a revocation by API to the end of the device's session, with the real program and real
/// brokers: on the replica that was told, and on another one.
#include "shared/base/files.hpp"
#include "shared/mqtt/client.hpp"
#include "shared/mqtt/knock.hpp"
#include "shared/trust/authority.hpp"
#include "tests/hub/serve/replica.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <iostream>

namespace lapwing::hub {
namespace {

using lapwing::testing::eventually;
using lapwing::testing::Replica;
using lapwing::testing::TempDir;
using ::testing::HasSubstr;
using Json = nlohmann::json;

/// A device's identity, and a connection that it keeps up.
class Device {
 public:
  Device(const TempDir& folder, const std::string& name, const Replica& enrolled_at,
         const std::string& token)
      : name_("acme/" + name), folder_(folder.path() / (name + "." + std::to_string(++made_))) {
    std::filesystem::create_directory(folder_);
    const auto permit =
        enrolled_at.post("/api/v1/enrolments", {{"device", name}, {"expires_in_s", 600}}, token);
    const auto key = trust::PrivateKey::generate().value();
    const auto answer = enrolled_at.post(
        "/api/v1/enrol",
        {{"token", Json::parse(permit.body)["token"]}, {"csr", *trust::make_csr(key, "device")}},
        "");
    EXPECT_EQ(answer.status, 200U) << answer.body;
    const auto body = Json::parse(answer.body);
    certificate_ = body["certificate"].get<std::string>();
    key_ = key.pem();
    EXPECT_TRUE(key.write_new(folder_ / "device.key"));
    EXPECT_TRUE(write_file_atomic(folder_ / "device.pem", certificate_));
    EXPECT_TRUE(write_file_atomic(folder_ / "ca.pem", body["ca"].get<std::string>()));
  }
  ~Device() {
    if (client_) client_->stop();
  }
  void connect(std::uint16_t port) {
    mqtt::Options options;
    options.host = "localhost";
    options.port = port;
    options.client_id = name_;
    options.tls =
        mqtt::Tls{folder_ / "ca.pem", folder_ / "device.pem", folder_ / "device.key", true};
    options.backoff_max = std::chrono::milliseconds(100);
    client_.emplace(options, mqtt::Handlers{.on_connected = {},
                                            .on_disconnected =
                                                [this](const Error& error) {
                                                  const std::lock_guard lock(mutex_);
                                                  why_ = error.context;
                                                },
                                            .on_message = {},
                                            .make_will = {},
                                            .identify = {}});
    client_->subscribe({{"lapwing/v1/" + name_ + "/down/#", 1}});
    EXPECT_TRUE(client_->start());
    EXPECT_TRUE(eventually([&] { return client_->connected(); })) << why();
  }
  [[nodiscard]] mqtt::Client& client() { return *client_; }
  std::string why() {
    const std::lock_guard lock(mutex_);
    return why_;
  }
  /// What the broker says to its certificate.
  Result<mqtt::Knocked> knock(std::uint16_t port, const std::string& client_id) const {
    return mqtt::knock({.host = "localhost",
                        .port = port,
                        .ca_file = folder_ / "ca.pem",
                        .certificate_pem = certificate_,
                        .key_pem = key_,
                        .client_id = client_id},
                       [] { return false; });
  }

 private:
  static inline std::atomic<int> made_ = 0;
  std::string name_;
  std::filesystem::path folder_;
  std::string certificate_;
  Secret<std::string> key_;
  std::mutex mutex_;
  std::string why_;
  std::optional<mqtt::Client> client_;
};

double seconds_since(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

void revoke_and_watch(Replica& told, Replica& holding, const TempDir& folder, const char* what) {
  Device doomed(folder, "doomed", told, told.token());
  Device beside(folder, "beside", told, told.token());
  doomed.connect(holding.mqtt_port());
  beside.connect(holding.mqtt_port());

  const auto since = std::chrono::steady_clock::now();
  ASSERT_EQ(told.post("/api/v1/devices/doomed/revoke", Json::object(), told.token()).status, 204U);
  const double answered = seconds_since(since);
  ASSERT_TRUE(eventually([&] { return doomed.client().counters().losses > 0; }));
  const double ended = seconds_since(since);
  ASSERT_TRUE(eventually([&] {
    const auto answer = doomed.knock(holding.mqtt_port(), "anything");
    return answer && *answer == mqtt::Knocked::revoked;
  })) << holding.hub().err();
  const double refused = seconds_since(since);
  std::cout << what << ": API answered after " << answered << " s, live session ended after "
            << ended << " s, reconnecting refused after " << refused << " s\n";
  EXPECT_LT(ended, 5);
  EXPECT_LT(refused, 5);
  EXPECT_FALSE(doomed.client().connected());
  EXPECT_TRUE(beside.client().connected());
  EXPECT_EQ(beside.client().counters().losses, 0U) << beside.why();
  EXPECT_THAT(holding.metrics(), HasSubstr("lapwing_hub_crl_confirmed 1"));

  // Enrolled again, with a new key, it is welcome; the old key is not.
  Device again(folder, "doomed", told, told.token());
  again.connect(holding.mqtt_port());
  const auto old = doomed.knock(holding.mqtt_port(), "anything");
  ASSERT_TRUE(old) << old.error().context;
  EXPECT_EQ(*old, mqtt::Knocked::revoked);
}

TEST(Revocation, EndsALiveSessionWithinSeconds) {
  const TempDir folder;
  Replica hub(folder.path() / "hub", "", {});
  ASSERT_NO_FATAL_FAILURE(hub.start());
  revoke_and_watch(hub, hub, folder, "one hub");
}

TEST(Revocation, EndsALiveSessionOnAnotherReplica) {
  auto* server = lapwing::testing::PostgresServer::shared();
  if (server == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
  const TempDir folder;
  const auto store = server->new_database();
  Replica first(folder.path() / "first", store, {});
  Replica second(folder.path() / "second", store, first.folder());
  ASSERT_NO_FATAL_FAILURE(first.start());
  ASSERT_NO_FATAL_FAILURE(second.start());
  revoke_and_watch(first, second, folder, "another replica");
}

/// Where nobody can tell the broker, the session ends all the same, and the log says what to do.
TEST(Revocation, EndsTheSessionAndSaysTheRemedyWhereTheBrokerCannotBeTold) {
  const TempDir folder;
  Replica hub(folder.path() / "hub", "", {});
  // As a hub of an earlier version made it.
  const auto conf = hub.folder() / "mosquitto.conf";
  std::string old;
  for (const auto& line : {"crlfile", "pid_file"}) {
    auto text = read_file(conf, 65'536).value();
    const auto at = text.find(std::string("\n") + line) + 1;
    text.erase(at, text.find('\n', at) + 1 - at);
    ASSERT_TRUE(write_file_atomic(conf, text));
  }
  ASSERT_NO_FATAL_FAILURE(hub.start_broker());
  ASSERT_NO_FATAL_FAILURE(hub.start_hub());
  ASSERT_TRUE(hub.hub().wait_for("does not use the newest list")) << hub.hub().err();
  EXPECT_THAT(hub.hub().err(), HasSubstr("pid_file"));
  EXPECT_THAT(hub.metrics(), HasSubstr("lapwing_hub_crl_confirmed 0"));
  Device doomed(folder, "doomed", hub, hub.token());
  doomed.connect(hub.mqtt_port());
  ASSERT_EQ(hub.post("/api/v1/devices/doomed/revoke", Json::object(), hub.token()).status, 204U);
  EXPECT_TRUE(eventually([&] { return doomed.client().counters().losses > 0; }));
}

}  // namespace
}  // namespace lapwing::hub
