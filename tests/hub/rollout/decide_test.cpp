// SPDX-License-Identifier: Apache-2.0
/// What a rollout does in each situation.
#include "tests/hub/rollout/fleet.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <random>
#include <set>

namespace lapwing::hub::rollout {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// Whom the ring in question has, by name.
bool in_first_ring(const View& view) { return view.member.ring == 0; }

TEST(Rollout, GoesThroughAllRingsInTheirTime) {
  Fleet fleet(200);
  fleet.step();
  EXPECT_EQ(fleet.phase(), RolloutPhase::shadow);
  EXPECT_EQ(fleet.touched(), 2U) << "one percent";
  fleet.run(59);
  EXPECT_EQ(fleet.phase(), RolloutPhase::shadow) << "not before its hour is over";
  fleet.run(2);
  EXPECT_EQ(fleet.phase(), RolloutPhase::active);
  EXPECT_EQ(fleet.touched(), 2U) << "the ring soaks first";
  fleet.run(4 * 122);
  EXPECT_EQ(fleet.phase(), RolloutPhase::done) << fleet.last();
  EXPECT_EQ(fleet.touched(), 200U);
  std::vector<std::string> actions;
  for (const auto& one : fleet.decisions) actions.push_back(one.action);
  EXPECT_EQ(actions, (std::vector<std::string>{"begin", "activate", "ring", "activate", "ring",
                                               "activate", "ring", "activate", "done"}));
  for (const auto& one : fleet.decisions) {
    const auto json = nlohmann::json::parse(one.figures);
    EXPECT_EQ(json["rings"].size(), 4U);
    EXPECT_EQ(one.action == "begin", json["gates"].empty()) << one.action;
  }
}

/// Each spoils what the devices of the first ring say; the rollout must stop there, with the gate
/// named, and take all it has touched back.
TEST(Rollout, StopsInTheFirstRingAtEachGate) {
  struct Case {
    const char* gate;
    std::function<void(View&)> spoil;
    bool active = false;  ///< only once the model is active
  };
  const auto lost = [](const char* state) {
    return [state](View& view) { view.target->report.state = state; };
  };
  const std::vector<Case> cases{
      {"alarm_ratio_max",
       [](View& v) {
         v.target->statistics->alarms = 40;
         v.target->statistics->rival_alarms = 20;
       }},
      {"agreement_min", [](View& v) { v.target->statistics->agreement = .9; }},
      {"psi_max", [](View& v) { v.target->statistics->psi = .4; }},
      {"slow_share_max", [](View& v) { v.target->statistics->cost_p99 = 300e-6; }},
      {"not_a_number", [](View& v) { v.target->statistics->not_a_number = 1; }},
      {"reverted_share_max", lost("reverted")},
      {"failed_share_max", lost("refused")},
      {"failed_share_max", lost("failed")},
      {"silent_share_max", [](View& v) { v.target->reported_at = Time{}; }},
      {"active_alarm_ratio_max", [](View& v) { v.target->statistics->alarms = 400; }, true},
      {"slow_share_max", [](View& v) { v.target->statistics->cost_p99 = 300e-6; }, true},
      {"not_a_number", [](View& v) { v.target->statistics->not_a_number = 1; }, true},
      {"reverted_share_max", lost("reverted"), true},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(std::string(one.gate) + (one.active ? " (active)" : ""));
    Fleet fleet(1'000);
    fleet.step();
    ASSERT_EQ(fleet.touched(), 10U);
    fleet.run(150, minutes(1), [&](View& view) {
      if (!view.target || view.target->target.number != 4) return;
      const bool shadow = view.target->target.stage == wire::ModelStage::shadow;
      if (one.active != shadow) one.spoil(view);
    });
    EXPECT_EQ(fleet.phase(), RolloutPhase::rolled_back) << fleet.last();
    EXPECT_EQ(fleet.touched(), 10U);
    ASSERT_GE(fleet.decisions.size(), 2U);
    const auto& why = fleet.decisions[fleet.decisions.size() - 2];
    EXPECT_EQ(why.action, "roll_back");
    EXPECT_NE(why.text.find(one.gate), std::string::npos) << why.text;
    EXPECT_NE(why.figures.find("\"verdict\":\"failed\""), std::string::npos);
    for (const auto& view : fleet.views) {
      if (view.target) {
        EXPECT_EQ(view.target->target.number, 5U);
      }
    }
  }
}

TEST(Rollout, TakesChanceForChance) {
  struct Case {
    std::uint64_t alarms;
    std::uint64_t before;
    bool stops;
  };
  // Of each of two devices.
  for (const auto& [alarms, before, stops] : {Case{3, 1, false},
                                              {6, 3, false},
                                              {20, 12, false},
                                              {1'000, 700, false},
                                              {60, 30, true},
                                              {5, 0, true},
                                              {2, 0, false}}) {
    Fleet fleet(200);
    fleet.step();
    fleet.run(30, minutes(1), [&, alarms = alarms, before = before](View& view) {
      if (!view.target) return;
      view.target->statistics->alarms = alarms;
      view.target->statistics->rival_alarms = before;
    });
    EXPECT_EQ(fleet.phase() != RolloutPhase::shadow, stops)
        << alarms << " after " << before << ": " << fleet.last();
  }
}

TEST(Rollout, ComparesAlarmsOnlyWhereBothModelsScored) {
  struct Case {
    const char* what;
    std::function<void(wire::ModelStatistics&)> shape;
    bool stops;
  };
  const auto alone = [](wire::ModelStatistics& told) { told.rival_alarms = 0; };
  for (const auto& [what, shape, stops] :
       {Case{"the model before saw nothing", alone, true},
        Case{"it did not score yet", [](auto& told) { told.agreement = wire::kUnknown; }, false},
        Case{"it was in an anomaly all along", [](auto& told) { told.rival_anomalous_rows = 900; },
             false}}) {
    Fleet fleet(1'000);
    fleet.step();
    fleet.run(30, minutes(1), [&, shape = &shape](View& view) {
      if (!view.target || view.target->target.number != 4) return;
      view.target->statistics->alarms = 1;
      view.target->statistics->rival_alarms = 0;
      (*shape)(*view.target->statistics);
    });
    EXPECT_EQ(fleet.phase() != RolloutPhase::shadow, stops) << what << fleet.last();
  }
}

TEST(Rollout, OneSlowDeviceOfManyIsNoSlowModel) {
  Fleet fleet(1'000);
  fleet.step();
  fleet.run(30, minutes(1), [&](View& view) {
    if (&view == &*std::ranges::find_if(fleet.views, in_first_ring)) {
      view.target->statistics->cost_p99 = 1;
    }
  });
  EXPECT_EQ(fleet.phase(), RolloutPhase::shadow) << fleet.last();
}

TEST(Rollout, AFifthThatIsSilentNeverTurnsItGreen) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
    Plan plan;
    plan.gates.silent_share_max = .19;  // as much as a plan may allow
    Fleet fleet(1'000, plan);
    std::mt19937_64 random(seed);
    std::set<std::string> silent;
    while (silent.size() < 200) silent.insert(fleet.views[random() % 1'000].member.device);
    fleet.run(2'000, minutes(1), [&](View& view) {
      if (view.target && silent.contains(view.member.device)) {
        view.target->reported_at.reset();
        view.target->report = {};
      }
    });
    EXPECT_EQ(fleet.phase(), RolloutPhase::rolled_back) << fleet.last();
  }
}

TEST(Rollout, LeavesOutWhoIsOfflineOnlyWhereThePlanSaysSo) {
  for (const bool leave_out : {false, true}) {
    Plan plan;
    plan.leave_out_offline = leave_out;
    Fleet fleet(1'000, plan);
    std::size_t n = 0;
    for (auto& view : fleet.views) view.member.online = n++ % 5 != 0;
    fleet.run(2'000, minutes(1), [&](View& view) {
      if (view.target && !view.member.online) {
        view.target->reported_at.reset();
        view.target->report = {};
      }
    });
    EXPECT_EQ(fleet.phase(), leave_out ? RolloutPhase::done : RolloutPhase::rolled_back)
        << fleet.last();
    if (leave_out) {
      EXPECT_EQ(fleet.touched(), 800U);
    }
  }
}

TEST(Rollout, WithNobodyThereEndsWithoutAWord) {
  Plan plan;
  plan.leave_out_offline = true;
  Fleet fleet(10, plan);
  for (auto& view : fleet.views) view.member.online = false;
  fleet.step();
  EXPECT_EQ(fleet.phase(), RolloutPhase::aborted);
  EXPECT_EQ(fleet.touched(), 0U);
}

TEST(Rollout, WaitsForRowsThenAsksAPerson) {
  Fleet fleet(200);
  fleet.step();
  const auto idle = [](View& view) {
    if (view.target) view.target->statistics->rows = 3;
  };
  fleet.run(24 * 6, minutes(10), idle);
  EXPECT_EQ(fleet.phase(), RolloutPhase::shadow) << fleet.last();
  fleet.run(3 * 6, minutes(10), idle);
  EXPECT_EQ(fleet.phase(), RolloutPhase::paused) << fleet.last();
  EXPECT_NE(fleet.last().find("rows_min"), std::string::npos);
  fleet.run(60, minutes(10), idle);
  EXPECT_EQ(fleet.phase(), RolloutPhase::paused);
  fleet.apply(resume(fleet.rollout, "t1", fleet.now).value());
  EXPECT_EQ(fleet.phase(), RolloutPhase::shadow);
  fleet.run(122);
  EXPECT_NE(fleet.phase(), RolloutPhase::paused);
  EXPECT_GT(fleet.touched(), 2U);
}

TEST(Rollout, JudgesNothingInAPause) {
  Fleet fleet(200);
  fleet.step();
  fleet.run(10);
  fleet.apply(pause(fleet.rollout, "t1", fleet.now).value());
  fleet.now += hours(30);  // nobody says anything
  fleet.step();
  EXPECT_EQ(fleet.phase(), RolloutPhase::paused);
  fleet.apply(resume(fleet.rollout, "t1", fleet.now).value());
  fleet.step();
  EXPECT_EQ(fleet.phase(), RolloutPhase::shadow) << fleet.last();
  fleet.run(59);
  EXPECT_EQ(fleet.phase(), RolloutPhase::shadow) << "its time begins anew";
  fleet.run(3);
  EXPECT_EQ(fleet.phase(), RolloutPhase::active);
}

TEST(Rollout, ReportsOfOtherOrdersDoNotCount) {
  Fleet fleet(200);
  fleet.step();
  const auto another = [](View& view) {
    if (!view.target) return;
    view.target->report.rollout = 6;  // the same version came back before
    view.target->report.state = "reverted";
    view.target->statistics->not_a_number = 9;
  };
  fleet.run(10, minutes(1), another);
  EXPECT_EQ(fleet.phase(), RolloutPhase::shadow) << fleet.last();
  fleet.run(120, minutes(1), another);
  EXPECT_EQ(fleet.phase(), RolloutPhase::rolling_back) << "they never answer this order";
  EXPECT_NE(fleet.decisions.back().text.find("failed_share_max"), std::string::npos);
}

TEST(Rollout, ADeviceThatNeverConfirmsHasFailed) {
  Fleet fleet(200);
  fleet.step();
  fleet.run(61);
  ASSERT_EQ(fleet.phase(), RolloutPhase::active);
  const auto unsure = [](View& view) {
    if (view.target && view.target->target.number == 4) view.target->report.state = "active";
  };
  fleet.run(119, minutes(1), unsure);
  EXPECT_EQ(fleet.phase(), RolloutPhase::active) << fleet.last();
  fleet.run(6, minutes(1), unsure);
  EXPECT_EQ(fleet.phase(), RolloutPhase::rolled_back) << fleet.last();
}

TEST(Rollout, RollsBackToNothingWhereThereWasNoVersionBefore) {
  Fleet fleet(200);
  fleet.rollout.undo = 0;
  fleet.step();
  fleet.run(5);
  fleet.apply(abort(fleet.rollout, true, "t1", fleet.now).value());
  EXPECT_EQ(fleet.phase(), RolloutPhase::rolling_back);
  fleet.step();
  EXPECT_EQ(fleet.phase(), RolloutPhase::rolling_back) << "until they have said so";
  fleet.run(1);
  EXPECT_EQ(fleet.phase(), RolloutPhase::rolled_back) << fleet.last();
  for (const auto& view : fleet.views) {
    if (view.target) {
      EXPECT_EQ(view.target->target.number, 0U);
    }
  }
}

TEST(Rollout, EndsARollbackWithoutTheSilentButTellsThemLater) {
  Fleet fleet(1'000);
  fleet.step();
  fleet.run(5);
  fleet.apply(abort(fleet.rollout, true, "t1", fleet.now).value());
  fleet.step();
  const auto dead = [&](View& view) {
    if (&view == &*std::ranges::find_if(fleet.views, in_first_ring)) {
      view.target->reported_at.reset();
    }
  };
  fleet.run(14, minutes(1), dead);
  EXPECT_EQ(fleet.phase(), RolloutPhase::rolling_back);
  fleet.run(3, minutes(1), dead);
  EXPECT_EQ(fleet.phase(), RolloutPhase::rolled_back);
  EXPECT_NE(fleet.last().find("9 of 10 devices run version 5 now; 1 are silent"), std::string::npos)
      << fleet.last();
  for (const auto& view : fleet.views) {
    if (view.target) {
      EXPECT_EQ(view.target->target.number, 5U);
    }
  }
}

TEST(Rollout, PeopleMayOnlyWhatThePhaseAllows) {
  Fleet fleet(200);
  EXPECT_FALSE(resume(fleet.rollout, "t1", fleet.now));
  EXPECT_EQ(abort(fleet.rollout, true, "t1", fleet.now)->state.phase, RolloutPhase::aborted)
      << "nobody was touched";
  fleet.step();
  EXPECT_EQ(abort(fleet.rollout, false, "t1", fleet.now)->state.phase, RolloutPhase::aborted);
  fleet.apply(abort(fleet.rollout, true, "t1", fleet.now).value());
  EXPECT_FALSE(pause(fleet.rollout, "t1", fleet.now)) << "a way back is not held up";
  EXPECT_EQ(abort(fleet.rollout, true, "t1", fleet.now).error().code, Errc::denied);
  EXPECT_TRUE(abort(fleet.rollout, false, "t1", fleet.now));
  fleet.step();
  fleet.run(2);
  ASSERT_EQ(fleet.phase(), RolloutPhase::rolled_back);
  for (const bool back : {true, false}) EXPECT_FALSE(abort(fleet.rollout, back, "t1", fleet.now));
  EXPECT_FALSE(pause(fleet.rollout, "t1", fleet.now));
}

/// Whatever devices say: a ring begins after the one before was confirmed, no device is told
/// another version than the new one and the undo version, never the new one after the undo, and an
/// ended rollout stays as it is.
TEST(Rollout, KeepsItsOrderWhateverDevicesSay) {
  const char* kStates[] = {"refused",   "fetching", "shadow",    "active", "failed",
                           "confirmed", "reverted", "withdrawn", "",       "?"};
  std::set<RolloutPhase> ends;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    Plan plan;
    plan.gates.failed_share_max = plan.gates.reverted_share_max = seed % 3 == 0 ? 1 : .2;
    plan.silence_after = hours(2);
    Fleet fleet(10 + random() % 100, plan);
    const auto odd = seed % 4 == 0 ? 0 : random() % 40;  // reports of a hundred that are made up
    for (int round = 0; round < 600 && !has_ended(fleet.phase()); ++round) {
      for (auto& view : fleet.views) {
        if (random() % 3 == 0) continue;
        if (random() % 100 >= odd) {
          fleet.report(view);
        } else if (random() % 8 == 0) {
          fleet.report(view, kStates[random() % std::size(kStates)]);
        }
      }
      fleet.now += minutes(random() % 10);
      const auto before = fleet.rollout.state;
      const auto was = fleet.views;
      const auto decision = decide(fleet.situation());
      if (!decision.step) continue;
      EXPECT_EQ(decide(fleet.situation()).step->state.text, decision.step->state.text);
      fleet.apply(*decision.step);
      const auto& state = fleet.rollout.state;
      if (before.phase != RolloutPhase::waiting) {
        EXPECT_LE(state.ring, before.ring + fleet.plan.rings.size());
        if (state.ring > before.ring) {
          EXPECT_EQ(before.phase, RolloutPhase::active);
          for (const auto& view : was) {
            if (view.member.ring != before.ring) continue;
            const auto stage = stage_of({fleet.plan, fleet.rollout, was, fleet.now}, view);
            EXPECT_TRUE(stage == Stage::confirmed || stage >= Stage::refused) << name_of(stage);
          }
        }
      }
      for (std::size_t i = 0; i < was.size(); ++i) {
        if (!fleet.views[i].target) continue;
        const auto& target = fleet.views[i].target->target;
        EXPECT_TRUE(target.number == 4 || target.number == 5);
        EXPECT_LE(fleet.views[i].member.ring, state.ring);
        if (was[i].target && was[i].target->target.number == 5) {
          EXPECT_EQ(target.number, 5U);
        }
      }
    }
    ends.insert(fleet.phase());
    if (!has_ended(fleet.phase())) continue;
    fleet.now += hours(100);
    EXPECT_FALSE(decide(fleet.situation()).step);
  }
  EXPECT_TRUE(ends.contains(RolloutPhase::done));
  EXPECT_TRUE(ends.contains(RolloutPhase::rolled_back));
}

}  // namespace
}  // namespace lapwing::hub::rollout
