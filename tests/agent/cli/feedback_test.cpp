// SPDX-License-Identifier: Apache-2.0
// `lapwing-agent feedback` as a person uses it: against an agent that runs.
#include "shared/http/client.hpp"
#include "tests/agent/cli/support.hpp"
#include "tests/support/broker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace lapwing::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class AgentFeedback : public ::testing::Test {
 protected:
  /// Readings that leave for another level, and stay there.
  AgentFeedback() { folder_.put("pump.csv", readings(1500, 100)); }

  std::string config_with(const std::string& status) {
    return folder_
        .put("agent.toml",
             "[[source]]\nkind = \"csv\"\nname = \"pump\"\nfile = \"pump.csv\"\n"
             "time_path = \"timestamp\"\n[status]\n" +
                 status)
        .string();
  }
  std::string listening() {
    return config_with("listen = \"127.0.0.1:" + std::to_string(port_) + "\"\n");
  }
  /// The stream that the agent reports, null before there is one.
  nlohmann::json stream() const {
    const http::Client client(
        {.origin = *http::parse_origin("http://127.0.0.1:" + std::to_string(port_))});
    const auto answer = client.get("/api/v1/streams");
    if (!answer) return nullptr;
    const auto body = nlohmann::json::parse(answer->body, nullptr, false);
    return body.is_object() && !body["items"].empty() ? body["items"][0] : nlohmann::json();
  }
  bool is_open(bool open) const {
    return eventually([&] {
      const auto seen = stream();
      return seen.is_object() && seen["readings"] == 1500 && seen["anomaly_open"] == open;
    });
  }

  TempDir folder_;
  std::uint16_t port_ = free_port();
};

TEST_F(AgentFeedback, ANewNormalEndsTheAnomaly) {
  const auto config = listening();
  Process process(agent_argv({"run", "--config", config}));
  ASSERT_TRUE(is_open(true)) << process.err() << stream();
  const auto name = stream()["stream"].get<std::string>();

  const auto real = agent({"feedback", name, "real", "--config", config});
  EXPECT_EQ(real.code, 0) << real.err;
  EXPECT_TRUE(is_open(true)) << "a true alarm stays open";
  const auto normal = agent({"feedback", name, "normal", "--config", config});
  EXPECT_EQ(normal.code, 0) << normal.err;
  EXPECT_THAT(normal.out, HasSubstr(name + ": normal"));
  EXPECT_TRUE(is_open(false)) << process.err() << stream();
  EXPECT_EQ(process.stop(), 0) << process.err();
}

TEST_F(AgentFeedback, SaysWhatIsWrongWithIt) {
  const auto config = listening();
  const auto away = agent({"feedback", "pump", "real", "--config", config});
  EXPECT_EQ(away.code, 1);
  EXPECT_THAT(away.err, HasSubstr("does the agent run?"));

  Process process(agent_argv({"run", "--config", config}));
  ASSERT_TRUE(is_open(true)) << process.err() << stream();
  const auto unknown = agent({"feedback", "no/such", "real", "--config", config});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("no/such"));
  const auto odd = agent({"feedback", "pump", "perhaps", "--config", config});
  EXPECT_EQ(odd.code, 2);
  EXPECT_THAT(odd.err, AllOf(HasSubstr("perhaps"), HasSubstr("normal")));
  EXPECT_EQ(process.stop(), 0) << process.err();

  const auto off =
      agent({"feedback", "pump", "real", "--config", config_with("enabled = false\n")});
  EXPECT_NE(off.code, 0);
  EXPECT_THAT(off.err, HasSubstr("[status] is off"));
}

}  // namespace
}  // namespace lapwing::testing
