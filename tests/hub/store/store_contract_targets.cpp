// SPDX-License-Identifier: Apache-2.0
/// What devices are to run of models, and what they report.
#include "hub/store/commands.hpp"
#include "hub/store/targets.hpp"
#include "tests/hub/store/store_contract.hpp"

#include <array>
#include <atomic>

namespace lapwing::hub {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

Target target(const DeviceKey& key, std::uint64_t number,
              wire::ModelStage stage = wire::ModelStage::shadow, std::uint64_t rollout = 0,
              const std::string& model = "pumps") {
  return {.key = key, .model = model, .number = number, .stage = stage, .rollout = rollout};
}

OwnedRecord told(std::uint64_t seq, std::uint64_t offer, const std::string& state,
                 std::uint64_t version = 3, const std::string& model = "pumps") {
  return {.seq = seq,
          .seq_last = seq,
          .record_class = wire::RecordClass::model_report,
          .body = wire::ModelReport{.model = model,
                                    .version = version,
                                    .state = state,
                                    .detail = "because",
                                    .offer = offer,
                                    .rollout = 8,
                                    .at = from_micros(1'790'000'000'000'000),
                                    .keys_number = 2}};
}

OwnedRecord with_statistics(OwnedRecord record, std::uint64_t rows) {
  std::get<wire::ModelReport>(record.body).statistics =
      wire::ModelStatistics{.rows = rows, .alarms = 2, .psi = .125, .quantiles = {.1, .9}};
  return record;
}

void be_online(Store& store, const DeviceKey& key, const std::string& replica,
               const std::string& connection, Time at) {
  auto transaction = store.begin_ingest().value();
  ASSERT_TRUE(transaction->device(key));
  ASSERT_TRUE(transaction->save_presence(
      key, Presence{.connection_id = connection, .seen = at, .replica = replica}));
  ASSERT_TRUE(transaction->commit());
}

Result<void> want_one(Store& store, const Target& wanted, Time at) {
  return store.targets().want(std::array{wanted}, at);
}

}  // namespace

TEST_P(StoreContract, WantsAllTargetsOrNone) {
  auto& targets = store_->targets();
  const std::array both{target(key_, 3), target({kTenant, "none"}, 3)};
  EXPECT_EQ(targets.want(both, t0_).error().code, Errc::not_found);
  EXPECT_EQ(targets.get(key_, "pumps").error().code, Errc::not_found);
  ASSERT_TRUE(want_one(*store_, target(key_, 3, wire::ModelStage::active, 8), t0_));
  const auto row = targets.get(key_, "pumps").value();
  EXPECT_EQ(row.target.key, key_);
  EXPECT_EQ(row.target.number, 3U);
  EXPECT_EQ(row.target.stage, wire::ModelStage::active);
  EXPECT_EQ(row.target.rollout, 8U);
  EXPECT_EQ(row.offer, 1U);
  EXPECT_EQ(row.changed_at, t0_);
  EXPECT_TRUE(row.assignment.empty());
  EXPECT_FALSE(row.until);
  EXPECT_FALSE(row.reported_at);
  EXPECT_TRUE(row.report.state.empty());
}

TEST_P(StoreContract, ATargetThatChangesGetsTheNextOfferAndLosesItsAssignment) {
  auto& targets = store_->targets();
  ASSERT_TRUE(want_one(*store_, target(key_, 3), t0_));
  const auto until = t0_ + hours(24 * 7);
  const std::string bytes("signed\0bytes", 12);
  ASSERT_TRUE(targets.assign(key_, "pumps", 1, bytes, until));
  EXPECT_EQ(targets.get(key_, "pumps")->assignment, bytes);
  EXPECT_EQ(targets.get(key_, "pumps")->until, until);
  ASSERT_TRUE(want_one(*store_, target(key_, 3), t0_ + seconds(1)));
  EXPECT_EQ(targets.get(key_, "pumps")->offer, 1U) << "the same again changes nothing";
  EXPECT_EQ(targets.get(key_, "pumps")->assignment, bytes);
  ASSERT_TRUE(want_one(*store_, target(key_, 4), t0_ + seconds(2)));
  EXPECT_EQ(targets.get(key_, "pumps")->offer, 2U);
  EXPECT_TRUE(targets.get(key_, "pumps")->assignment.empty());
  ASSERT_TRUE(targets.assign(key_, "pumps", 1, "late", until));
  EXPECT_TRUE(targets.get(key_, "pumps")->assignment.empty()) << "of an offer that is over";
  ASSERT_TRUE(targets.assign(key_, "pumps", 2, bytes, until));
  put(key_, 1, {told(1, 9, "active")}, 1);
  EXPECT_EQ(targets.get(key_, "pumps")->offer, 10U)
      << "above what the device took of another region, or of this hub before it was restored";
  EXPECT_TRUE(targets.get(key_, "pumps")->assignment.empty());
  ASSERT_TRUE(want_one(*store_, target(key_, 5), t0_ + seconds(3)));
  EXPECT_EQ(targets.get(key_, "pumps")->offer, 11U);
}

TEST_P(StoreContract, OffersAreDueUntilTheyAreReported) {
  auto& targets = store_->targets();
  const DeviceKey other{kTenant, "press-2"};
  enrol(other);
  ASSERT_TRUE(targets.want(std::array{target(key_, 3), target(other, 3)}, t0_));
  EXPECT_TRUE(targets.due("a", t0_, 10)->empty()) << "nobody is online";
  be_online(*store_, key_, "a", "1-x", t0_);
  be_online(*store_, other, "b", "1-y", t0_);
  auto due = targets.due("a", t0_, 10).value();
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].row.target.key, key_);
  EXPECT_EQ(due[0].connection_id, "1-x");
  ASSERT_TRUE(targets.mark_sent(due, t0_));
  EXPECT_TRUE(targets.due("a", t0_ + seconds(1), 10)->empty());
  EXPECT_EQ(targets.due("a", t0_ + Targets::kResendAfter, 10)->size(), 1U);
  be_online(*store_, key_, "b", "2-x", t0_ + seconds(2));
  EXPECT_TRUE(targets.due("a", t0_ + hours(1), 10)->empty());
  EXPECT_EQ(targets.due("b", t0_ + seconds(2), 10)->size(), 2U) << "on each new connection";
  EXPECT_EQ(targets.due("b", t0_ + seconds(2), 1)->size(), 1U);
  put(key_, 1, {told(1, 1, "fetching")}, 1);
  put(other, 1, {told(1, 1, "refused")}, 1);
  EXPECT_TRUE(targets.due("b", t0_ + hours(1), 10)->empty());
  ASSERT_TRUE(want_one(*store_, target(key_, 0), t0_ + seconds(9)));
  EXPECT_EQ(targets.due("b", t0_ + seconds(9), 10)->size(), 1U) << "at once: it is another";
}

TEST_P(StoreContract, KeepsTheNewestReportWhicheverWayItCame) {
  auto& targets = store_->targets();
  put(key_, 1, {told(1, 1, "fetching")}, 1);
  auto row = targets.get(key_, "pumps").value();
  EXPECT_EQ(row.offer, 0U) << "nobody wanted anything";
  EXPECT_EQ(row.report.state, "fetching");
  EXPECT_EQ(row.report.detail, "because");
  EXPECT_EQ(row.report.version, 3U);
  EXPECT_EQ(row.report.offer, 1U);
  EXPECT_EQ(row.report.rollout, 8U);
  EXPECT_EQ(row.report.keys_number, 2U);
  EXPECT_EQ(row.report.at, from_micros(1'790'000'000'000'000));
  EXPECT_EQ(row.reported_at, t0_);
  put(key_, 1, {told(9, 1, "active")}, 0);  // a live copy, ahead of the backlog
  EXPECT_EQ(targets.get(key_, "pumps")->report.state, "active");
  put(key_, 1, {told(2, 1, "shadow"), told(3, 1, "shadow")}, 3);
  EXPECT_EQ(targets.get(key_, "pumps")->report.state, "active") << "older ones that come late";
  put(key_, 1, {told(9, 1, "active")}, 9, t0_ + seconds(5));
  EXPECT_EQ(targets.get(key_, "pumps")->reported_at, t0_) << "the same record again";
  put(key_, 2, {told(1, 1, "reverted")}, 1);
  EXPECT_EQ(targets.get(key_, "pumps")->report.state, "reverted") << "of a later epoch";
  reopen();
  EXPECT_EQ(store_->targets().get(key_, "pumps")->report.state, "reverted");
}

TEST_P(StoreContract, KeepsStatisticsOfTheVersionThatIsRun) {
  auto& targets = store_->targets();
  put(key_, 1, {with_statistics(told(1, 1, "shadow"), 60), told(2, 1, "active")}, 2);
  auto row = targets.get(key_, "pumps").value();
  ASSERT_TRUE(row.statistics) << "the newest that has them";
  EXPECT_EQ(row.statistics->rows, 60U);
  EXPECT_EQ(row.statistics->psi, .125);
  EXPECT_EQ(row.statistics->quantiles, (std::vector<double>{.1, .9}));
  put(key_, 1, {with_statistics(told(3, 1, "active"), 70)}, 3);
  EXPECT_EQ(targets.get(key_, "pumps")->statistics->rows, 70U);
  put(key_, 1, {told(4, 2, "fetching", 4)}, 4);
  EXPECT_FALSE(targets.get(key_, "pumps")->statistics) << "another version's say nothing of it";
}

TEST_P(StoreContract, ADeviceReportsABoundedNumberOfModels) {
  std::vector<OwnedRecord> records;
  for (std::uint64_t seq = 1; seq <= Targets::kReportedMax + 9; ++seq) {
    records.push_back(told(seq, 1, "active", 1, "m" + std::to_string(seq)));
  }
  records.push_back(told(records.size() + 1, 1, "confirmed", ~std::uint64_t{0}, "m1"));
  put(key_, 1, records, records.size());
  const auto page = store_->targets().list(kTenant, {.device = key_.device}, {.limit = 1'000});
  EXPECT_EQ(page->items.size(), Targets::kReportedMax);
  EXPECT_EQ(store_->targets().get(key_, "m1")->report.state, "confirmed");
  EXPECT_EQ(store_->targets().get(key_, "m1")->report.version, std::uint64_t{1} << 62U);
  expect_ledger(key_, records.size(), records.size(), 0, 0);
}

TEST_P(StoreContract, ListsTargetsByDeviceModelAndRollout) {
  const DeviceKey second{kTenant, "press-2"};
  enrol(second);
  enrol({"other", "press-1"});
  const auto shadow = wire::ModelStage::shadow;
  ASSERT_TRUE(store_->targets().want(
      std::array{target(second, 3, shadow, 5), target(key_, 3, shadow, 5),
                 target(key_, 1, shadow, 0, "fans"), target({"other", "press-1"}, 3, shadow, 5)},
      t0_));
  const auto names = [&](const Targets::Filter& filter, std::size_t limit) {
    std::string all;
    for (PageRequest page{.limit = limit};;) {
      const auto part = store_->targets().list(kTenant, filter, page);
      EXPECT_TRUE(part) << part.error().context;
      if (!part) return all;
      for (const auto& one : part->items) {
        all += one.target.key.device + "/" + one.target.model + " ";
      }
      if (!part->next_cursor) return all;
      page.cursor = *part->next_cursor;
    }
  };
  for (const std::size_t limit : {std::size_t{1}, std::size_t{100}}) {
    EXPECT_EQ(names({}, limit), "press-1/fans press-1/pumps press-2/pumps ");
    EXPECT_EQ(names({.device = "press-1"}, limit), "press-1/fans press-1/pumps ");
    EXPECT_EQ(names({.model = "pumps"}, limit), "press-1/pumps press-2/pumps ");
    EXPECT_EQ(names({.rollout = 5}, limit), "press-1/pumps press-2/pumps ");
    EXPECT_EQ(names({.model = "fans", .rollout = 5}, limit), "");
  }
  EXPECT_EQ(store_->targets().list(kTenant, {.device = "none"}, {}).error().code, Errc::not_found);
  EXPECT_EQ(store_->targets().list(kTenant, {}, {.cursor = "x"}).error().code, Errc::bad_input);
}

TEST_P(StoreContract, AssignmentsThatEndAreOfferedAgainOnce) {
  auto& targets = store_->targets();
  ASSERT_TRUE(want_one(*store_, target(key_, 3), t0_));
  EXPECT_TRUE(targets.ending(t0_ + hours(1'000), 10)->empty()) << "not signed yet";
  ASSERT_TRUE(targets.assign(key_, "pumps", 1, "signed", t0_ + hours(100)));
  EXPECT_TRUE(targets.ending(t0_ + hours(100), 10)->empty());
  const auto ending = targets.ending(t0_ + hours(101), 10).value();
  ASSERT_EQ(ending.size(), 1U);
  ASSERT_TRUE(targets.offer_again(key_, "pumps", ending[0].offer, t0_ + hours(30)));
  ASSERT_TRUE(targets.offer_again(key_, "pumps", ending[0].offer, t0_ + hours(30)))
      << "by another replica";
  const auto row = targets.get(key_, "pumps").value();
  EXPECT_EQ(row.offer, 2U);
  EXPECT_EQ(row.target.number, 3U);
  EXPECT_TRUE(row.assignment.empty());
  EXPECT_TRUE(targets.ending(t0_ + hours(1'000), 10)->empty());
  be_online(*store_, key_, "a", "1-x", t0_);
  EXPECT_EQ(targets.due("a", t0_, 10)->size(), 1U);
}

TEST_P(StoreContract, AWantedTargetWakesThoseWhoSend) {
  std::atomic<int> woken{0};
  auto watch = store_->commands().watch([&] { ++woken; });
  ASSERT_TRUE(watch);
  ASSERT_TRUE(want_one(*store_, target(key_, 3), t0_));
  EXPECT_GE(woken.load(), 1);
}

TEST_P(StoreContract, RevokedDevicesAreOfferedNothing) {
  ASSERT_TRUE(want_one(*store_, target(key_, 3), t0_));
  be_online(*store_, key_, "a", "1-x", t0_);
  ASSERT_TRUE(store_->revoke_device(key_, t0_));
  EXPECT_TRUE(store_->targets().due("a", t0_, 10)->empty());
}

}  // namespace lapwing::hub
