// SPDX-License-Identifier: Apache-2.0
/// `lapwing keys` and `lapwing model` as people run them, from keys to a verified model.
#include "shared/base/files.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/model/train.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

namespace lapwing::testing {
namespace {

using ::testing::HasSubstr;

class ReleaseCommands : public ::testing::Test {
 protected:
  struct Said {
    int code = -1;
    std::string out;
    std::string err;
  };
  static Said run(std::vector<std::string> words) {
    words.insert(words.begin(), LAPWING_PROGRAM);
    Process process(std::move(words));
    const auto code = process.wait();
    return {code.value_or(-1), process.out(), process.err()};
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_.path() / name).string();
  }
  void make_model(const char* name, double level) {
    std::vector<double> values;
    for (int i = 0; i < 400; ++i) values.push_back(level + std::sin(i * 0.7));
    model::TrainRequest request;
    request.kind = detect::find_kind("pca", detect::Input::rows);
    request.table = {.values = values, .width = 2};
    request.sensors = {{.name = "flow"}, {.name = "pressure"}};
    folder_.put(name, model::train(request).value().file);
  }
  Said make_list(const std::vector<std::string>& signers) {
    for (const auto* key : {"r1", "r2", "r3", "release", "hub", "stranger"}) {
      if (!std::filesystem::exists(path(std::string(key) + ".key"))) {
        EXPECT_EQ(run({"keys", "new", path(key)}).code, 0);
      }
    }
    auto said = run({"keys", "list", "--root", path("r1.pub"), "--root", path("r2.pub"), "--root",
                     path("r3.pub"), "--release", path("release.pub"), "--hub", path("hub.pub"),
                     "--out", path("keys.lwk")});
    for (const auto& key : signers) {
      EXPECT_EQ(run({"keys", "sign", path("keys.lwk"), "--key", path(key + ".key")}).code, 0);
    }
    return said;
  }
  Said sign(const std::string& key = "release") {
    return run({"model", "sign", path("pump.lw"), "--key", path(key + ".key"), "--model", "pumps",
                "--number", "3", "--tenant", "acme"});
  }
  Said verify() { return run({"model", "verify", path("pump.lw"), "--keys", path("keys.lwk")}); }
  TempDir folder_;
};

TEST_F(ReleaseCommands, FromKeysToAVerifiedModel) {
  make_model("pump.lw", 10);
  ASSERT_EQ(make_list({"r1", "r3"}).code, 0);
  EXPECT_THAT(run({"keys", "show", path("keys.lwk")}).out, HasSubstr("key list 1"));
  const auto made = sign();
  ASSERT_EQ(made.code, 0) << made.err;
  const auto good = verify();
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("version 3 of pumps"));
  EXPECT_THAT(run({"keys", "show", path("pump.manifest")}).out, HasSubstr("tenant acme"));
}

TEST_F(ReleaseCommands, SignsTheWayBackWithTheModel) {
  make_model("pump.lw", 10);
  make_model("before.lw", 11);
  ASSERT_EQ(make_list({"r1", "r3"}).code, 0);
  const auto made =
      run({"model", "sign", path("pump.lw"), "--undo", path("before.lw"), "--key",
           path("release.key"), "--model", "pumps", "--number", "3", "--tenant", "acme"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(verify().code, 0);
  const auto undo = run({"model", "verify", path("before.lw"), "--manifest",
                         path("pump.undo.manifest"), "--keys", path("keys.lwk")});
  EXPECT_EQ(undo.code, 0) << undo.err;
  EXPECT_THAT(undo.out, HasSubstr("version 4 of pumps"));
}

TEST_F(ReleaseCommands, RefusesWhatIsNotInOrder) {
  make_model("pump.lw", 10);
  make_list({"r1"});
  ASSERT_EQ(sign().code, 0);
  EXPECT_THAT(verify().err, HasSubstr("fewer than 2"));
  make_list({"r1", "r2"});
  EXPECT_EQ(verify().code, 0);
  ASSERT_EQ(sign("stranger").code, 0);
  EXPECT_THAT(verify().err, HasSubstr("wrong_key"));
  ASSERT_EQ(sign().code, 0);
  make_model("pump.lw", 11);
  EXPECT_THAT(verify().err, HasSubstr("mismatch"));
  EXPECT_EQ(verify().code, 1);
  EXPECT_THAT(run({"keys", "new", path("r1")}).err, HasSubstr("never overwritten"));
  EXPECT_THAT(run({"keys", "list", "--root", path("r1.key"), "--release", path("release.pub"),
                   "--hub", path("hub.pub"), "--out", path("x.lwk")})
                  .err,
              HasSubstr("no public key"));
  EXPECT_THAT(run({"keys", "list", "--root", path("r1.pub"), "--release", path("release.pub"),
                   "--hub", path("hub.pub"), "--out", path("x.lwk")})
                  .err,
              HasSubstr("threshold of 2 with 1"));
}

}  // namespace
}  // namespace lapwing::testing
