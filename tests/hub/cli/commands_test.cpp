// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/commands.hpp"

#include "hub/fleet/tokens.hpp"
#include "hub/store/models.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/trust/token.hpp"
#include "tests/hub/registry/signing.hpp"
#include "tests/support/process.hpp"

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace lapwing::hub {
namespace {

using lapwing::testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// The word of a text that is a token.
std::string token_in(const std::string& text) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (trust::looks_like_token(word)) return word;
  }
  return {};
}

class Commands : public ::testing::Test {
 protected:
  void make_hub() {
    ASSERT_EQ(run_init({.directory = hub(), .tenant = "acme"}, out_, err_), 0) << err_.str();
  }
  [[nodiscard]] std::filesystem::path hub() const { return folder_.path() / "hub"; }
  [[nodiscard]] TokenCommand token() const {
    return {.config = hub() / "hub.toml",
            .tenant = "acme",
            .name = "dashboard",
            .scopes = {"read"},
            .expires = "30d",
            .id = {}};
  }
  std::string took() {
    auto text = out_.str() + err_.str();
    out_.str({});
    err_.str({});
    return text;
  }

  TempDir folder_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(Commands, InitShowsTheTokenAndWhatToDoNext) {
  make_hub();
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("mosquitto -c " + (hub() / "mosquitto.conf").string()),
                                HasSubstr("lapwing-hub serve --config"), HasSubstr("ca.key")));
  const auto token = token_in(took());
  ASSERT_FALSE(token.empty());
  auto store = open_sqlite_store(hub() / "hub.db");
  ASSERT_TRUE(store);
  EXPECT_TRUE(authenticate(**store, token, now()));
}

TEST_F(Commands, InitTwiceFailsAndSaysWhy) {
  make_hub();
  took();
  EXPECT_EQ(run_init({.directory = hub(), .tenant = "acme"}, out_, err_), kExitFailed);
  EXPECT_THAT(took(), AllOf(HasSubstr("never overwritten"), HasSubstr("--dir")));
}

TEST_F(Commands, TokenIsCreatedListedAndRevoked) {
  make_hub();
  took();
  ASSERT_EQ(run_token_create(token(), out_, err_), 0) << err_.str();
  const auto secret = token_in(took());
  ASSERT_FALSE(secret.empty());
  TokenRow row;
  {
    auto store = open_sqlite_store(hub() / "hub.db");
    ASSERT_TRUE(store);
    row = authenticate(**store, secret, now()).value();
    EXPECT_EQ(row.name, "dashboard");
    EXPECT_TRUE(row.expires_at.has_value());
  }
  ASSERT_EQ(run_token_list(token(), out_, err_), 0);
  const auto list = took();
  EXPECT_THAT(list,
              AllOf(HasSubstr(row.id), HasSubstr("dashboard"), HasSubstr("first admin"),
                    HasSubstr("valid until"), Not(HasSubstr(secret)), Not(HasSubstr(row.hash))));
  auto doomed = token();
  doomed.id = row.id;
  ASSERT_EQ(run_token_revoke(doomed, out_, err_), 0);
  took();
  ASSERT_EQ(run_token_list(token(), out_, err_), 0);
  EXPECT_THAT(took(), HasSubstr("revoked"));
}

TEST_F(Commands, MistakesAreNamedAndHaveTheirExitCode) {
  auto nowhere = token();
  EXPECT_EQ(run_token_list(nowhere, out_, err_), kExitConfig);
  EXPECT_THAT(took(), AllOf(HasSubstr("hub.toml"), HasSubstr("lapwing-hub init")));
  make_hub();
  took();
  auto bad = token();
  bad.scopes = {"root"};
  EXPECT_EQ(run_token_create(bad, out_, err_), kExitUsage);
  EXPECT_THAT(took(), AllOf(HasSubstr("root"), HasSubstr("read, enrol, export and admin")));
  bad = token();
  bad.expires = "soon";
  EXPECT_EQ(run_token_create(bad, out_, err_), kExitUsage);
  EXPECT_THAT(took(), AllOf(HasSubstr("--expires"), HasSubstr("soon")));
  bad = token();
  bad.id = "nosuchtoken";
  EXPECT_EQ(run_token_revoke(bad, out_, err_), kExitFailed);
  EXPECT_THAT(took(), HasSubstr("nosuchtoken"));
}

TEST_F(Commands, KeyListsAreImportedAndListed) {
  make_hub();
  took();
  const lapwing::testing::Signers signers;
  KeysCommand command{.config = hub() / "hub.toml", .file = {}, .tenant = "acme"};
  EXPECT_EQ(run_keys_list(command, out_, err_), 0);
  EXPECT_THAT(took(), HasSubstr("keys import"));
  const auto put = [&](std::uint64_t number) {
    command.file = folder_.put(
        "keys.lwk", signers.signed_list(signers.list(number, now() + std::chrono::hours(24))));
    return run_keys_import(command, out_, err_);
  };
  EXPECT_EQ(put(4), 0) << err_.str();
  EXPECT_THAT(took(), HasSubstr("key list 4, until "));
  EXPECT_EQ(put(3), kExitFailed);
  EXPECT_THAT(took(), HasSubstr("rollback: "));
  EXPECT_EQ(put(5), 0);
  took();
  EXPECT_EQ(run_keys_list(command, out_, err_), 0);
  const auto list = took();
  EXPECT_LT(list.find("key list 4"), list.find("key list 5"));
  EXPECT_THAT(list, HasSubstr(release::key_id(signers.release.public_pem())));
  command.file = folder_.put("keys.lwk", "nothing");
  EXPECT_EQ(run_keys_import(command, out_, err_), kExitFailed);
  auto store = open_sqlite_store(hub() / "hub.db").value();
  EXPECT_EQ(store->audit("acme", {})->items.at(0).action, "keys.import");
}

TEST_F(Commands, TrainKeepsAModelFileInTheStore) {
  make_hub();
  took();
  HubTrainCommand command{.config = hub() / "hub.toml", .tenant = "acme", .reading = {}};
  command.reading.file = folder_.put("pump.csv", lapwing::testing::pump_csv(400));
  command.reading.value_columns = {"flow", "pressure"};
  command.units = {"flow=m3/h"};
  command.set = {"trees=20"};
  ASSERT_EQ(run_train(command, out_, err_), 0) << err_.str();
  EXPECT_THAT(took(), AllOf(HasSubstr("trained on 320 rows"), HasSubstr("model file ")));
  {
    auto store = open_sqlite_store(hub() / "hub.db").value();
    const auto files = store->models().files("acme", {}).value();
    ASSERT_EQ(files.items.size(), 1U);
    EXPECT_EQ(files.items[0].actor, "cli");
    const auto file = store->models().file("acme", files.items[0].sha256).value();
    EXPECT_THAT(file.header, HasSubstr("m3/h"));
    EXPECT_THAT(file.report, HasSubstr("\"held_out_rows\":80"));
    EXPECT_THAT(file.picture, HasSubstr("</svg>"));
  }
  command.set = {"trees"};
  EXPECT_EQ(run_train(command, out_, err_), kExitConfig);
  EXPECT_THAT(took(), HasSubstr("NAME=NUMBER"));
}

TEST_F(Commands, CommandLineReachesThem) {
  const auto parse = [](std::vector<std::string> words) {
    CLI::App app("lapwing-hub");
    int exit_code = -1;
    add_commands(app, exit_code);
    std::reverse(words.begin(), words.end());  // as CLI11 wants a vector
    try {
      app.parse(words);
    } catch (const CLI::ParseError& error) {
      return error.get_exit_code() == 0 ? 0 : kExitUsage;
    }
    return exit_code;
  };
  const auto config = (hub() / "hub.toml").string();
  EXPECT_EQ(parse({"init", "--dir", hub().string(), "--tenant", "acme", "--host", "localhost",
                   "--host", "127.0.0.1", "--mqtt-port", "18883", "--http-port", "18443"}),
            0);
  EXPECT_TRUE(std::filesystem::exists(config));
  EXPECT_EQ(parse({"token", "create", "--config", config, "--tenant", "acme", "--name", "x",
                   "--scope", "read", "--scope", "enrol"}),
            0);
  EXPECT_EQ(parse({"token", "list", "--config", config, "--tenant", "acme"}), 0);
  EXPECT_EQ(parse({"version"}), 0);
  EXPECT_EQ(parse({"init"}), kExitUsage) << "--dir is needed";
  EXPECT_EQ(parse({"init", "--dir", "x", "--mqtt-port", "0"}), kExitUsage);
  EXPECT_EQ(parse({"token"}), kExitUsage);
}

}  // namespace
}  // namespace lapwing::hub
