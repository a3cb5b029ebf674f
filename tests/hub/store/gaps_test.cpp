// SPDX-License-Identifier: Apache-2.0
/// Which holes of a stream are gaps.
#include "hub/store/gaps.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <utility>

namespace lapwing::hub {
namespace {

using std::chrono::seconds;
using wire::LossReason;

Time at(std::int64_t s) { return from_micros(1'790'000'000'000'000 + s * 1'000'000); }

/// Points of 10 s that begin at these seconds.
std::vector<HistoryPoint> points_at(std::initializer_list<std::int64_t> begins, int length = 10) {
  std::vector<HistoryPoint> points;
  for (const auto begin : begins) points.push_back({at(begin), at(begin + length)});
  return points;
}

LossRow lost(std::optional<Time> from, std::optional<Time> to, std::uint64_t records = 1,
             LossReason reason = LossReason::quota) {
  return {.epoch = 1, .reason = reason, .records = records, .from = from, .to = to};
}

std::vector<std::pair<std::int64_t, std::int64_t>> holes_of(const std::vector<HistoryPoint>& row) {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  for (const auto& hole : find_holes(row)) {
    out.emplace_back((hole.begin - at(0)) / seconds(1), (hole.end - at(0)) / seconds(1));
  }
  return out;
}
using Holes = std::vector<std::pair<std::int64_t, std::int64_t>>;

TEST(FindHoles, KnowsAStreamsUsualDistance) {
  EXPECT_EQ(holes_of({}), Holes{});
  EXPECT_EQ(holes_of(points_at({0})), Holes{});
  EXPECT_EQ(holes_of(points_at({0, 10, 20, 30})), Holes{});
  EXPECT_EQ(holes_of(points_at({0, 10, 30, 40})), (Holes{{20, 30}}));
  EXPECT_EQ(holes_of(points_at({0, 10, 21, 34, 44})), Holes{}) << "a little late is no hole";
  EXPECT_EQ(holes_of(points_at({0, 10, 30, 50, 70})), (Holes{{20, 30}, {40, 50}, {60, 70}}))
      << "though most are missing";
  EXPECT_EQ(holes_of(points_at({0, 30, 60, 100, 130, 230})), (Holes{{140, 230}}))
      << "a sensor that reports now and then";
  EXPECT_EQ(holes_of(points_at({0, 100})), (Holes{{10, 100}})) << "two alone";
  EXPECT_EQ(holes_of(points_at({0, 60, 120, 240}, 0)), (Holes{{120, 240}})) << "without length";
}

TEST(FindHoles, SurvivesTimesFromWrongClocks) {
  const std::vector<HistoryPoint> odd{{Time::min(), Time::max()},
                                      {at(0), at(10)},
                                      {at(10), Time::min()},
                                      {Time::max(), Time::max()}};
  const auto holes = find_holes(odd);
  const std::vector losses{lost({}, {}), lost(Time::min(), Time::max()), lost(Time::max(), {})};
  for (const auto& gap : find_gaps(holes, losses)) EXPECT_LT(gap.from, gap.to);
}

TEST(FindGaps, IsSilentWhereNothingWasLost) {
  const std::vector holes{Hole{at(100), at(200), seconds(10)}};
  EXPECT_TRUE(find_gaps(holes, {}).empty());
  const std::vector losses{lost(at(20), at(100)), lost(at(210), at(300)), lost(at(400), {})};
  EXPECT_TRUE(find_gaps(holes, losses).empty());
}

TEST(FindGaps, ShowsOfAHoleWhatALossCanExplain) {
  const std::vector holes{Hole{at(100), at(200), seconds(10)}};
  using Gaps = std::vector<Gap>;
  EXPECT_EQ(find_gaps(holes, std::vector{lost(at(100), at(210), 7)}),
            (Gaps{{at(100), at(200), LossReason::quota, 7}}));
  EXPECT_EQ(find_gaps(holes, std::vector{lost(at(150), at(160))}),
            (Gaps{{at(140), at(160), LossReason::quota, 1}}))
      << "the summary that was lost first covers the step before";
  EXPECT_EQ(find_gaps(holes, std::vector{lost(at(200), at(200))}),
            (Gaps{{at(190), at(200), LossReason::quota, 1}}));
  EXPECT_EQ(find_gaps(holes, std::vector{lost({}, at(130))}),
            (Gaps{{at(100), at(130), LossReason::quota, 1}}));
  EXPECT_EQ(find_gaps(holes, std::vector{lost(at(180), {})}),
            (Gaps{{at(170), at(200), LossReason::quota, 1}}));
}

TEST(FindGaps, JoinsLossesOfOneReasonThatTouch) {
  const std::vector holes{Hole{at(100), at(200), seconds(10)}, Hole{at(300), at(320), seconds(10)}};
  const std::vector losses{lost(at(90), at(120), 1), lost(at(120), at(130), 2),
                           lost(at(125), at(128), 4, LossReason::corrupt),
                           lost(at(180), at(310), 8)};
  EXPECT_EQ(find_gaps(holes, losses), (std::vector<Gap>{{at(100), at(130), LossReason::quota, 3},
                                                        {at(115), at(128), LossReason::corrupt, 4},
                                                        {at(170), at(200), LossReason::quota, 8},
                                                        {at(300), at(310), LossReason::quota, 8}}));
}

}  // namespace
}  // namespace lapwing::hub
