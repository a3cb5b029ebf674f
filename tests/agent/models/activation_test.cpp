// SPDX-License-Identifier: Apache-2.0
/// How versions of a model come into use, and back out of it.
#include "agent/models/activation.hpp"

#include <gtest/gtest.h>

#include <string>
#include <variant>

namespace lapwing::agent::activation_test {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using wire::ModelStage;

ModelVersion version(std::uint64_t number, char content = 0) {
  return {.number = number,
          .sha256 = std::string(64, content == 0 ? static_cast<char>('0' + number) : content),
          .length = 1000};
}

/// Drives one Activation as the desk does, and writes down what it wants.
class Device {
 public:
  Activation activation{minutes(10)};
  std::string log;  ///< `keep fetch:1 shadow=1 report:shadow:1`, one word an action
  std::vector<model_action::Report> reports;
  ActivationState disk;
  std::optional<std::uint64_t> active, shadow;  ///< installed
  Ticks ticks{minutes(1000)};
  Time at = from_micros(1'790'000'000'000'000);

  void perform(const ModelActions& actions) {
    log.clear();
    for (const auto& action : actions) {
      if (!log.empty()) log += ' ';
      std::visit([this](const auto& one) { act(one); }, action);
    }
  }
  void offer(std::uint64_t offer, const ModelVersion& what, ModelStage stage = ModelStage::shadow) {
    perform(activation.on_offer(
        {.offer = offer, .rollout = 40 + offer, .version = what, .stage = stage}, at, ticks));
  }
  void fetched(const ModelVersion& what) { perform(activation.on_fetched(what.sha256, at, ticks)); }
  void pass(Micros time, ModelDoing doing = {.rows = 100}) {
    ticks += time;
    at += time;
    perform(activation.on_tick(doing, at, ticks));
  }
  /// The process ends and begins again, with what is on disk.
  void restart(bool unclean) {
    active.reset();
    shadow.reset();
    activation = Activation(minutes(10), disk);
    ticks = Ticks(minutes(1));
    perform(activation.on_start(unclean, at, ticks));
  }
  /// Brings a version to `confirmed`.
  void confirm(std::uint64_t offer_number, const ModelVersion& what) {
    offer(offer_number, what, ModelStage::active);
    fetched(what);
    pass(minutes(10));
    EXPECT_EQ(log, "keep report:confirmed:" + std::to_string(what.number));
  }

 private:
  void act(const model_action::Keep&) {
    log += "keep";
    disk = activation.state();
  }
  void act(const model_action::Fetch& one) { log += "fetch:" + std::to_string(one.version.number); }
  void act(const model_action::StopFetch&) { log += "stop"; }
  void act(const model_action::Install& one) {
    auto& slot = one.slot == ModelSlot::active ? active : shadow;
    slot = one.version ? std::optional(one.version->number) : std::nullopt;
    log += one.slot == ModelSlot::active ? "active=" : "shadow=";
    log += slot ? std::to_string(*slot) : "none";
  }
  void act(const model_action::Report& one) {
    log += "report:" + one.state + ":" + std::to_string(one.version);
    reports.push_back(one);
  }
};

TEST(Activation, GoesFromFetchingOverShadowAndActiveToConfirmed) {
  Device device;
  device.offer(1, version(1));
  EXPECT_EQ(device.log, "keep report:fetching:1 fetch:1");
  device.fetched(version(1));
  EXPECT_EQ(device.log, "keep shadow=1 report:shadow:1");
  device.pass(seconds(30));
  EXPECT_EQ(device.log, "");
  device.pass(seconds(31));
  EXPECT_EQ(device.log, "report:shadow:1") << "statistics about every minute";
  EXPECT_EQ(device.reports.back().statistics, ModelSlot::shadow);
  device.offer(2, version(1), ModelStage::active);
  EXPECT_EQ(device.log, "keep active=1 shadow=none report:active:1");
  EXPECT_EQ(device.reports.back().offer, 2U);
  EXPECT_EQ(device.reports.back().rollout, 42U);
  device.pass(minutes(9));
  EXPECT_EQ(device.log, "report:active:1");
  device.pass(minutes(1));
  EXPECT_EQ(device.log, "keep report:confirmed:1");
  EXPECT_FALSE(device.activation.on_trial());
  device.pass(minutes(14));
  EXPECT_EQ(device.log, "");
  device.pass(minutes(1));
  EXPECT_EQ(device.log, "report:confirmed:1");
  EXPECT_EQ(device.reports.back().statistics, ModelSlot::active);
}

TEST(Activation, SaysAtItsStartThatNoVersionIsHereUntilAnOfferWasAnswered) {
  Device device;
  device.restart(false);
  EXPECT_EQ(device.log, "report:withdrawn:0");
  EXPECT_EQ(device.reports.back().offer, 0U) << "whatever was offered before may come again";
  device.offer(1, version(1));
  device.restart(false);
  EXPECT_EQ(device.log, "fetch:1");
}

TEST(Activation, IsNotConfirmedWithoutRows) {
  Device device;
  device.offer(1, version(1), ModelStage::active);
  device.fetched(version(1));
  device.pass(minutes(60), {});
  EXPECT_EQ(device.log, "report:active:1");
  device.pass(seconds(1), {.rows = 1});
  EXPECT_EQ(device.log, "keep report:confirmed:1");
}

TEST(Activation, ConfirmationNeedsOneRunWithoutABreak) {
  Device device;
  device.offer(1, version(1), ModelStage::active);
  device.fetched(version(1));
  device.pass(minutes(9));
  device.restart(false);
  EXPECT_EQ(device.log, "active=1");
  device.pass(minutes(9));
  EXPECT_TRUE(device.activation.on_trial());
  device.pass(minutes(1));
  EXPECT_FALSE(device.activation.on_trial());
}

TEST(Activation, TheThirdUncleanStartOfATrialBringsTheOneBeforeBack) {
  Device device;
  device.confirm(1, version(1));
  device.offer(2, version(2), ModelStage::active);
  device.fetched(version(2));
  EXPECT_EQ(device.log, "keep active=2 report:active:2");
  device.restart(true);
  EXPECT_EQ(device.log, "keep active=2") << "the count is kept before it is installed";
  device.restart(false);
  EXPECT_EQ(device.log, "active=2") << "a clean end is none of them";
  device.restart(true);
  device.restart(true);
  EXPECT_EQ(device.log, "keep active=1 report:reverted:2");
  EXPECT_EQ(device.active, 1U);
  EXPECT_NE(device.reports.back().detail.find("3 times"), std::string::npos);
  EXPECT_NE(device.reports.back().detail.find("back to version 1"), std::string::npos);
  device.restart(true);
  device.restart(true);
  device.restart(true);
  EXPECT_EQ(device.active, 1U) << "it is confirmed: crashes are not its fault";
  device.pass(minutes(60));
  EXPECT_EQ(device.log, "") << "reverted stands until the next offer";
}

TEST(Activation, WithoutOneBeforeTheGroupsOwnDetectorComesBack) {
  Device device;
  device.offer(1, version(1), ModelStage::active);
  device.fetched(version(1));
  for (int i = 0; i < 3; ++i) device.restart(true);
  EXPECT_EQ(device.log, "keep active=none report:reverted:1");
  EXPECT_NE(device.reports.back().detail.find("own detector"), std::string::npos);
}

TEST(Activation, AShadowThatCrashesTheAgentGoesAndTheActiveOneStays) {
  Device device;
  device.confirm(1, version(1));
  device.offer(2, version(2));
  device.fetched(version(2));
  device.restart(true);
  EXPECT_EQ(device.log, "keep active=1 shadow=2");
  device.restart(true);
  device.restart(true);
  EXPECT_EQ(device.log, "keep shadow=none report:reverted:2 active=1");
  EXPECT_NE(device.reports.back().detail.find("as a shadow"), std::string::npos);
}

TEST(Activation, AShadowThatRanLongEnoughIsNotBlamedForOldCrashes) {
  Device device;
  device.offer(1, version(1));
  device.fetched(version(1));
  device.restart(true);
  device.restart(true);
  device.pass(minutes(10));
  EXPECT_EQ(device.activation.state().unclean_starts, 0U);
  device.restart(true);
  device.restart(true);
  EXPECT_EQ(device.shadow, 1U);
}

TEST(Activation, OneThatWasNotConfirmedNeverBecomesTheOneBefore) {
  Device device;
  device.confirm(1, version(1));
  device.offer(2, version(2), ModelStage::active);
  device.fetched(version(2));
  device.offer(3, version(3), ModelStage::active);
  device.fetched(version(3));
  EXPECT_EQ(device.active, 3U);
  for (int i = 0; i < 3; ++i) device.restart(true);
  EXPECT_EQ(device.active, 1U);
}

TEST(Activation, ScoresThatAreNoNumbersEndATrialAtOnce) {
  Device device;
  device.confirm(1, version(1));
  device.offer(2, version(2), ModelStage::active);
  device.fetched(version(2));
  device.pass(seconds(1), {.rows = 5, .not_a_number = 3});
  EXPECT_EQ(device.log, "keep active=1 report:reverted:2");
}

TEST(Activation, TheSameOfferIsAnsweredOnceAMinuteAndAnOlderOneNever) {
  Device device;
  device.offer(5, version(1));
  device.offer(5, version(1));
  EXPECT_EQ(device.log, "");
  device.offer(4, version(2));
  EXPECT_EQ(device.log, "");
  device.ticks += seconds(61);
  device.offer(5, version(1));
  EXPECT_EQ(device.log, "report:fetching:1");
  device.restart(false);
  EXPECT_EQ(device.log, "fetch:1") << "it goes on fetching";
  device.offer(5, version(1));
  EXPECT_EQ(device.log, "report:fetching:1") << "nobody knows what was heard before";
}

TEST(Activation, ANewOfferOfWhatRunsChangesNothing) {
  Device device;
  device.confirm(1, version(1));
  device.offer(2, version(1), ModelStage::active);  // signed anew
  EXPECT_EQ(device.log, "keep report:confirmed:1");
  device.offer(3, version(2));
  device.fetched(version(2));
  device.offer(4, version(2));
  EXPECT_EQ(device.log, "keep report:shadow:2");
  device.offer(5, version(1), ModelStage::active);
  EXPECT_EQ(device.log, "keep shadow=none report:confirmed:1") << "the shadow's time is over";
}

TEST(Activation, ARefusedOfferLeavesWhatRuns) {
  Device device;
  device.confirm(1, version(1));
  device.perform(
      device.activation.on_refused(2, 7, 2, "rollback: version 2 after 3", device.ticks));
  EXPECT_EQ(device.log, "keep report:refused:2");
  EXPECT_EQ(device.reports.back().offer, 2U);
  EXPECT_EQ(device.reports.back().detail, "rollback: version 2 after 3");
  EXPECT_EQ(device.active, 1U);
  device.restart(false);
  EXPECT_EQ(device.active, 1U);
}

TEST(Activation, ConfirmationDoesNotTalkOverARefusal) {
  Device device;
  device.offer(1, version(1), ModelStage::active);
  device.fetched(version(1));
  device.perform(device.activation.on_refused(2, 0, 2, "wrong_key: not ours", device.ticks));
  EXPECT_EQ(device.log, "keep report:refused:2");
  device.pass(minutes(10));
  EXPECT_EQ(device.log, "keep") << "the hub still has to know what became of its offer";
  EXPECT_FALSE(device.activation.on_trial());
  device.pass(minutes(60));
  EXPECT_EQ(device.log, "");
  device.offer(3, version(1), ModelStage::active);
  EXPECT_EQ(device.log, "keep report:confirmed:1");
}

TEST(Activation, ANewerOfferReplacesOneThatIsStillFetched) {
  Device device;
  device.offer(1, version(1));
  device.offer(2, version(2));
  EXPECT_EQ(device.log, "keep stop report:fetching:2 fetch:2");
  device.fetched(version(1));
  EXPECT_EQ(device.log, "") << "nobody wants it any more";
  device.offer(3, version(2), ModelStage::active);
  EXPECT_EQ(device.log, "keep report:fetching:2 fetch:2");
  device.fetched(version(2));
  EXPECT_EQ(device.active, 2U) << "by the newest offer's stage";
}

TEST(Activation, AFailedTransferIsReportedAndTheNextOfferTriesAgain) {
  Device device;
  device.confirm(1, version(1));
  device.offer(2, version(2));
  device.perform(device.activation.on_fetch_failed(version(2).sha256, "no route", device.ticks));
  EXPECT_EQ(device.log, "keep report:failed:2");
  device.restart(false);
  EXPECT_EQ(device.log, "active=1");
  device.offer(3, version(2));
  EXPECT_EQ(device.log, "keep report:fetching:2 fetch:2");
}

TEST(Activation, WhatTheEngineDoesNotTakeLeavesItsSlot) {
  Device device;
  device.confirm(1, version(1));
  device.offer(2, version(2));
  device.fetched(version(2));
  device.perform(
      device.activation.on_install_failed(ModelSlot::shadow, "damaged", device.at, device.ticks));
  EXPECT_EQ(device.log, "keep shadow=none report:failed:2");
  device.offer(3, version(2), ModelStage::active);
  device.fetched(version(2));
  device.perform(
      device.activation.on_install_failed(ModelSlot::active, "damaged", device.at, device.ticks));
  EXPECT_EQ(device.log, "keep active=1 report:failed:2");
  device.perform(
      device.activation.on_install_failed(ModelSlot::active, "damaged", device.at, device.ticks));
  EXPECT_EQ(device.log, "keep active=none report:failed:1") << "that one is damaged as well";
}

TEST(Activation, NumberNoneWithdrawsAllAndComesBackOnlyByOffer) {
  Device device;
  device.confirm(1, version(1));
  device.offer(2, version(2));
  device.fetched(version(2));
  device.offer(3, {});
  EXPECT_EQ(device.log, "keep shadow=none active=none report:withdrawn:1");
  device.restart(false);
  EXPECT_EQ(device.log, "");
}

TEST(Activation, AnOperatorBringsTheOneBeforeBack) {
  Device device;
  device.perform(device.activation.on_rollback(device.at, device.ticks));
  EXPECT_EQ(device.log, "") << "there is nothing to go back from";
  device.confirm(1, version(1));
  device.confirm(2, version(2));
  device.perform(device.activation.on_rollback(device.at, device.ticks));
  EXPECT_EQ(device.log, "keep active=1 report:reverted:2");
  EXPECT_FALSE(device.activation.on_trial());
}

TEST(Activation, TheUndoOfAVersionTakesItsContentAgain) {
  Device device;
  device.confirm(1, version(1, 'a'));
  device.offer(2, version(2, 'b'), ModelStage::active);
  device.fetched(version(2, 'b'));
  device.offer(3, version(3, 'a'), ModelStage::active);
  EXPECT_EQ(device.log, "keep report:fetching:3 fetch:3");
  device.fetched(version(3, 'a'));
  EXPECT_EQ(device.log, "keep active=3 report:active:3");
  EXPECT_EQ(device.activation.state().previous->version.number, 1U);
}

}  // namespace
}  // namespace lapwing::agent::activation_test
