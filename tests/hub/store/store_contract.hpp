// SPDX-License-Identifier: Apache-2.0
/// What every store promises in store.hpp, run on each engine: an engine is tested by adding one
/// line.
#pragma once

#include "hub/store/ingest_transaction.hpp"
#include "hub/store/retention.hpp"
#include "hub/store/store.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// A place for one database: fresh when made, gone when destroyed.
class StorePlace {
 public:
  virtual ~StorePlace() = default;
  /// Opens what is there; called again after the first store was destroyed it must find the data.
  virtual Result<std::unique_ptr<Store>> open(const Retention& retention) = 0;
};

struct StoreEngine {
  std::string name;
  std::function<std::unique_ptr<StorePlace>()> make_place;  ///< null: not on this machine
  /// History and ledger go by whole days of the hub's time, and the ledger with the history.
  bool trims_days = false;
};

inline void PrintTo(const StoreEngine& engine, std::ostream* out) { *out << engine.name; }

/// One record with everything it borrows.
struct OwnedRecord {
  std::uint64_t seq = 0;
  std::uint64_t seq_last = 0;
  wire::RecordClass record_class = wire::RecordClass::summary;
  wire::RecordBody body;
};

class StoreContract : public ::testing::TestWithParam<StoreEngine> {
 protected:
  static constexpr const char* kTenant = "acme";
  const DeviceKey key_{kTenant, "press-1"};
  const Time t0_ = from_micros(1'790'000'000'000'000);

  void SetUp() override {
    place_ = GetParam().make_place();
    if (place_ == nullptr) GTEST_SKIP() << GetParam().name << " is not installed";
    ASSERT_NO_FATAL_FAILURE(reopen());
    enrol(key_);
  }

  void reopen(const Retention& retention = {}) {
    store_.reset();
    auto opened = place_->open(retention);
    ASSERT_TRUE(opened) << opened.error().context;
    store_ = *std::move(opened);
  }

  /// A second store beside the first, as another region's; again: closed and opened.
  void open_other() {
    other_.reset();
    if (!other_place_) other_place_ = GetParam().make_place();
    auto opened = other_place_->open({});
    ASSERT_TRUE(opened) << opened.error().context;
    other_ = *std::move(opened);
  }

  void enrol(const DeviceKey& key) {
    ASSERT_TRUE(store_->register_device({key, t0_, "0a", t0_ + std::chrono::hours(24)}));
  }

  static OwnedRecord summary(std::uint64_t seq, const std::string& stream, Time begin,
                             double value = 1, const std::string& watch = "w");
  static OwnedRecord anomaly(std::uint64_t seq, std::uint64_t id, wire::Phase phase, Time onset,
                             const std::string& stream = "a");
  static OwnedRecord loss(std::uint64_t first, std::uint64_t last,
                          wire::LossReason reason = wire::LossReason::quota);

  /// Stores in one transaction; `watermark` is saved with it when given (0: a live copy).
  StoredCounts put(const DeviceKey& key, std::uint64_t epoch,
                   const std::vector<OwnedRecord>& records, std::uint64_t watermark = 0,
                   Time at = {});
  /// Likewise in the other store.
  void put_other(const DeviceKey& key, std::uint64_t epoch, const std::vector<OwnedRecord>& records,
                 std::uint64_t watermark, Time at) {
    auto transaction = other_->begin_ingest();
    ASSERT_TRUE(transaction);
    put_in(**transaction, key, epoch, records, watermark, at);
    ASSERT_TRUE((*transaction)->commit());
  }
  StoredCounts put_in(IngestTransaction& transaction, const DeviceKey& key, std::uint64_t epoch,
                      const std::vector<OwnedRecord>& records, std::uint64_t watermark, Time at);

  [[nodiscard]] std::vector<OwnedRecord> summaries(std::uint64_t first, std::uint64_t last) const;
  /// What is new of a transaction waits for the sink "k".
  static void spool_all(IngestTransaction& transaction);
  void put_spooled(const DeviceKey& key, const std::vector<OwnedRecord>& records,
                   bool commit = true);

  Ledger ledger(const DeviceKey& key) {
    auto got = store_->ledger(key);
    EXPECT_TRUE(got);
    return got ? *got : Ledger{};
  }
  /// All of them, newest first.
  std::vector<LossRow> losses();
  /// produced, stored, lost, outstanding; that they add up, and that the list of losses tells all
  /// that is lost.
  void expect_ledger(const DeviceKey& key, std::uint64_t produced, std::uint64_t stored,
                     std::uint64_t lost, std::uint64_t outstanding);

  std::unique_ptr<StorePlace> place_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<StorePlace> other_place_;
  std::unique_ptr<Store> other_;
};

}  // namespace lapwing::hub
