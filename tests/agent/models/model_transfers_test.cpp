// SPDX-License-Identifier: Apache-2.0
#include "agent/models/model_transfers.hpp"

#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace lapwing::agent::model_transfers_test {
namespace {

using ::testing::ElementsAre;

/// Notes what it is asked for.
class FakeFetch final : public FileFetch {
 public:
  void start(std::string sha256, std::uint64_t, std::filesystem::path, Done done) override {
    started.push_back(std::move(sha256));
    last = std::move(done);
  }
  void cancel() override { ++cancels; }

  std::vector<std::string> started;
  Done last;
  int cancels = 0;
};

class Transfers : public ::testing::Test {
 protected:
  Transfers() { transfers_.use(fetch_); }

  DeviceModel model(const std::string& name) {
    return {name, folder_.path() / name, detect::GroupConfig{}, ModelsConfig{}};
  }
  /// Wants the version `sha256`.
  DeviceModel wanting(const std::string& name, const std::string& sha256) {
    DeviceModel made = model(name);
    made.restore({.wanted = {{.version = {.number = 1, .sha256 = sha256, .length = 1}}}});
    return made;
  }
  void begin(const DeviceModel& model) { transfers_.begin(model, model.state().wanted->version); }
  /// The end of the transfer under way, as the desk takes it.
  Fetched end(Result<void> done = Error{Errc::io, "no route"}) {
    fetch_.last(std::move(done));
    auto fetched = std::get<Fetched>(events_.wait(std::chrono::seconds(10))->at(0));
    transfers_.ended(fetched);
    return fetched;
  }

  lapwing::testing::TempDir folder_;
  DeskEvents events_{4};
  FakeFetch fetch_;
  ModelTransfers transfers_{events_};
};

TEST_F(Transfers, OneAtATimeAndTheOthersInTurn) {
  const auto ovens = wanting("ovens", "o");
  const auto pumps = wanting("pumps", "p");
  begin(ovens);
  begin(pumps);
  begin(ovens);
  EXPECT_THAT(fetch_.started, ElementsAre("o")) << "the other waits, the same goes on";
  transfers_.take_turn(pumps);
  EXPECT_THAT(fetch_.started, ElementsAre("o"));
  const auto ended = end();
  EXPECT_EQ(ended.model, "ovens");
  EXPECT_EQ(ended.sha256, "o");
  EXPECT_EQ(ended.done.error().context, "no route");
  transfers_.take_turn(model("mills"));
  EXPECT_THAT(fetch_.started, ElementsAre("o")) << "wants nothing";
  transfers_.take_turn(pumps);
  EXPECT_THAT(fetch_.started, ElementsAre("o", "p"));
}

TEST_F(Transfers, AnotherFileOfTheSameModelTakesThePlaceOfTheOlder) {
  begin(wanting("pumps", "1"));
  begin(wanting("pumps", "2"));
  EXPECT_THAT(fetch_.started, ElementsAre("1", "2"));
  transfers_.ended({"pumps", "1", Error{Errc::shutting_down, "cancelled"}});
  transfers_.take_turn(wanting("ovens", "o"));
  EXPECT_THAT(fetch_.started, ElementsAre("1", "2")) << "the newer one is under way";
}

TEST_F(Transfers, OnlyTheTransferOfTheModelIsCancelled) {
  transfers_.cancel("pumps");
  begin(wanting("pumps", "p"));
  transfers_.cancel("ovens");
  EXPECT_EQ(fetch_.cancels, 0);
  transfers_.cancel("pumps");
  EXPECT_EQ(fetch_.cancels, 1);
}

TEST_F(Transfers, IsNotBegunAnewAtOnce) {
  const auto pumps = wanting("pumps", "p");
  transfers_.begin_again(pumps);
  EXPECT_THAT(fetch_.started, ElementsAre("p"));
  end();
  transfers_.begin_again(pumps);
  EXPECT_THAT(fetch_.started, ElementsAre("p"));
}

TEST_F(Transfers, OnceStoppedNothingIsFetched) {
  const auto pumps = wanting("pumps", "p");
  begin(pumps);
  transfers_.stop();
  transfers_.stop();
  EXPECT_EQ(fetch_.cancels, 1);
  begin(pumps);
  transfers_.take_turn(pumps);
  EXPECT_THAT(fetch_.started, ElementsAre("p"));
}

}  // namespace
}  // namespace lapwing::agent::model_transfers_test
