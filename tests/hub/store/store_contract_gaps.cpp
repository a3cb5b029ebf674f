// SPDX-License-Identifier: Apache-2.0
/// History: where a stream lost records, and where it was only silent.
#include "tests/hub/store/store_contract.hpp"

namespace lapwing::hub {

using std::chrono::minutes;
using std::chrono::seconds;
using wire::LossReason;

TEST_P(StoreContract, ShowsAGapWhereAStreamLostRecordsAndNoneWhereItWasSilent) {
  const auto at = [&](int i) { return t0_ + seconds(10) * i; };
  std::vector<OwnedRecord> records;
  std::uint64_t seq = 0;
  const auto both = [&](int i) {
    records.push_back(summary(++seq, "a", at(i)));
    if (i < 4 || i > 12) records.push_back(summary(++seq, "silent", at(i)));
  };
  for (int i = 0; i < 20; ++i) both(i);
  records.push_back(loss(seq + 1, seq + 12));  // of 20 … 25
  seq += 12;
  for (int i = 26; i < 40; ++i) both(i);
  records.push_back(loss(seq + 1, seq + 2, LossReason::corrupt));
  put(key_, 1, records, seq + 2);
  const std::vector<Gap> lost{{at(20), at(26), LossReason::quota, 12}};
  const auto gaps = [&](const HistoryQuery& query) {
    const auto got = store_->history(key_, query);
    EXPECT_TRUE(got);
    return got ? got->gaps : std::vector<Gap>{};
  };
  EXPECT_EQ(gaps({.stream = "a"}), lost);
  EXPECT_EQ(gaps({.stream = "silent"}), lost) << "and none from 4 to 13";
  EXPECT_EQ(gaps({.stream = "a", .from = at(0), .to = at(20)}), std::vector<Gap>{});
  EXPECT_EQ(gaps({.stream = "a", .from = at(0), .to = at(21)}), lost) << "whole, over the edge";
  EXPECT_EQ(gaps({.stream = "a", .from = at(23), .to = at(40)}), lost);
  EXPECT_EQ(gaps({.stream = "a", .from = at(22), .to = at(24)}), lost) << "all of the range";
  EXPECT_EQ(gaps({.stream = "a", .from = at(26), .to = at(40)}), std::vector<Gap>{});
  EXPECT_EQ(gaps({.stream = "a", .limit = 14}), std::vector<Gap>{}) << "begins after it";
  EXPECT_EQ(gaps({.stream = "a", .limit = 15}), lost);
  // What follows the newest point is no gap until the next one came.
  put(key_, 1, {summary(seq + 3, "a", at(45))}, seq + 3);
  EXPECT_EQ(gaps({.stream = "a", .from = at(30)}),
            (std::vector<Gap>{{at(40), at(45), LossReason::corrupt, 2}}));
  EXPECT_EQ(gaps({.stream = "silent", .from = at(30)}), std::vector<Gap>{});
}

TEST_P(StoreContract, ALiveCopyWithinAGapPartsIt) {
  const auto at = [&](int i) { return t0_ + minutes(i); };
  const auto point = [&](std::uint64_t seq) {
    auto one = summary(seq, "a", at(static_cast<int>(seq)));
    std::get<wire::SummaryRecord>(one.body).end += seconds(50);
    return one;
  };
  put(key_, 1, {point(1), point(2), point(3), point(4)}, 4);
  put(key_, 1, {point(7)});
  put(key_, 1, {loss(5, 9), point(10), point(11)}, 11);
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->gaps,
            (std::vector<Gap>{{at(5), at(7), LossReason::quota, 4},
                              {at(8), at(10), LossReason::quota, 4}}));
  put(key_, 1, {point(5), point(6)});  // they turn up
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->gaps,
            (std::vector<Gap>{{at(8), at(10), LossReason::quota, 2}}));
}

}  // namespace lapwing::hub
