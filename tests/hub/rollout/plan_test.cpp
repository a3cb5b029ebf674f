// SPDX-License-Identifier: Apache-2.0
/// Plans as people write them, and who is in which ring.
#include "hub/rollout/plan.hpp"

#include "hub/rollout/rings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace lapwing::hub::rollout {
namespace {

std::vector<Candidate> fleet(std::size_t devices) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < devices; ++i) {
    all.push_back({"press-" + std::to_string(i), {{"site", i % 10 == 0 ? "lab" : "plant"}}});
  }
  return all;
}

std::vector<std::size_t> sizes(const Plan& plan, const std::vector<RolloutMember>& members) {
  std::vector<std::size_t> count(plan.rings.size());
  for (const auto& member : members) ++count.at(member.ring);
  return count;
}

TEST(RolloutPlan, DefaultsAreUsableAndComeBackFromJson) {
  EXPECT_TRUE(Plan{}.problems().empty());
  EXPECT_EQ(read_plan("").value(), Plan{});
  auto plan = read_plan(R"({"labels":{"site":"lab"},"rings":[{"label":"class=canary","soak_s":5},
      {"percent":100,"devices_min":3,"shadow_s":0.25}],"soak_s":7200,"all":true,"leave_out_offline":true,
      "gates":{"alarm_ratio_max":2,"rows_min":10,"cost_allowance_s":0.001}})");
  ASSERT_TRUE(plan) << plan.error().context;
  EXPECT_EQ(plan->soak, std::chrono::hours(2));
  EXPECT_EQ(plan->soak_of(0), std::chrono::seconds(5));
  EXPECT_EQ(plan->shadow_of(1), std::chrono::milliseconds(250));
  EXPECT_EQ(plan->gates.cost_allowance, std::chrono::milliseconds(1));
  EXPECT_TRUE(plan->leave_out_offline);
  EXPECT_EQ(read_plan(write_plan(*plan)).value(), *plan);
}

TEST(RolloutPlan, TellsAllThatIsWrong) {
  struct Case {
    const char* json;
    const char* told;
  };
  for (const auto& [json, told] : {
           Case{"[]", "a JSON object is wanted"},
           {R"({"sock_s":1})", "sock_s: unknown key"},
           {R"({"gates":{"psi":1}})", "gates.psi: unknown key"},
           {R"({"rings":[]})", "rings: from 1 to 32"},
           {R"({"rings":[{"percent":5},{"percent":5}]})", "rings[1].percent: each ring's is above"},
           {R"({"rings":[{"percent":101}]})", "rings[0].percent: 101.0 is not from 0.0 to 100.0"},
           {R"({"rings":[{"percent":1,"label":"a=b"}]})", "either it or a label"},
           {R"({"rings":[{"label":"ab"}]})", "is no label"},
           {R"({"rings":{"percent":1}})", "rings: a list is wanted"},
           {R"({"rings":[7]})", "an object is wanted"},
           {R"({"soak_s":"1h"})", "soak_s: a number of seconds"},
           {R"({"soak_s":1e300})", "soak_s: a number of seconds"},
           {R"({"devices":[1]})", "devices: a list of names"},
           {R"({"labels":{"a":"b|c"}})", "labels: "},
           {R"({"gates":{"silent_share_max":0.2}})",
            "silent_share_max: 0.2 is not from 0.0 to 0.19"},
           {R"({"gates":{"rows_min":-1}})", "rows_min: a whole number"},
       }) {
    const auto plan = read_plan(json);
    ASSERT_FALSE(plan) << json;
    EXPECT_EQ(plan.error().code, Errc::bad_input);
    EXPECT_NE(plan.error().context.find(told), std::string::npos) << plan.error().context;
  }
}

TEST(RolloutRings, HaveTheirSizesAndEachDeviceOnce) {
  const Plan plan;
  struct Case {
    std::size_t devices;
    std::vector<std::size_t> rings;
  };
  for (const auto& [devices, rings] : {Case{1'000, {10, 40, 200, 750}},
                                       {100, {1, 4, 20, 75}},
                                       {3, {1, 1, 1, 0}},
                                       {1, {1, 0, 0, 0}},
                                       {0, {0, 0, 0, 0}}}) {
    const auto members = fill_rings(plan, 7, fleet(devices));
    EXPECT_EQ(sizes(plan, members), rings) << devices;
    std::set<std::string> names;
    for (const auto& member : members) names.insert(member.device);
    EXPECT_EQ(names.size(), devices);
  }
}

TEST(RolloutRings, FollowFromTheRolloutAndTheNamesAlone) {
  const Plan plan;
  auto devices = fleet(500);
  const auto members = fill_rings(plan, 7, devices);
  std::ranges::reverse(devices);
  EXPECT_EQ(fill_rings(plan, 7, devices), members);
  const auto others = fill_rings(plan, 8, devices);
  std::size_t again = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i].ring == 0 && others[i].ring == 0) ++again;
  }
  EXPECT_LE(again, 2U) << "another rollout begins with other devices";
}

TEST(RolloutRings, GoByLabelsAndMinimumSizes) {
  auto plan = read_plan(R"({"rings":[{"label":"site=lab"},{"percent":12,"devices_min":5},
                                     {"percent":100}]})")
                  .value();
  const auto members = fill_rings(plan, 7, fleet(100));
  EXPECT_EQ(sizes(plan, members), (std::vector<std::size_t>{10, 5, 85})) << "12 % are 2 more";
  plan.rings.pop_back();
  EXPECT_EQ(fill_rings(plan, 7, fleet(100)).size(), 15U) << "who is in no ring takes no part";
  plan.labels = {{"site", "lab"}};
  EXPECT_TRUE(is_chosen(plan, fleet(11)[10]));
  EXPECT_FALSE(is_chosen(plan, fleet(11)[9]));
}

}  // namespace
}  // namespace lapwing::hub::rollout
