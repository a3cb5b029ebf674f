// SPDX-License-Identifier: Apache-2.0
/// Ingest's decisions and storing, without a broker: messages in, answers out.
#include "hub/ingest/batch_store.hpp"

#include "hub/ingest/ledger_gauges.hpp"
#include "hub/store/feed.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/wire/codec.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <stdlib.h>

namespace lapwing::hub {
namespace {

using wire::Channel;

/// Commits fail on request; everything else goes to the real store.
class FailingStore final : public Store {
 public:
  explicit FailingStore(Store& inner) : inner_(inner) {}
  bool fail_commit = false;

  [[nodiscard]] std::size_t lanes() const override { return inner_.lanes(); }
  Result<std::unique_ptr<IngestTransaction>> begin_ingest(std::size_t lane) override {
    auto inner = inner_.begin_ingest(lane);
    if (!inner) return inner.error();
    return std::unique_ptr<IngestTransaction>(new Transaction(*std::move(inner), fail_commit));
  }

 private:
  class Transaction final : public IngestTransaction {
   public:
    Transaction(std::unique_ptr<IngestTransaction> inner, bool fail)
        : inner_(std::move(inner)), fail_(fail) {}
    Result<void> lock(std::span<const DeviceKey> keys) override { return inner_->lock(keys); }
    Result<DeviceSession> device(const DeviceKey& key) override { return inner_->device(key); }
    Result<std::optional<std::uint64_t>> record_hash(const DeviceKey& key, std::uint64_t epoch,
                                                     std::uint64_t seq) override {
      return inner_->record_hash(key, epoch, seq);
    }
    Result<void> save_sync(const DeviceKey& key, const sync::DeviceSyncState& state) override {
      return inner_->save_sync(key, state);
    }
    Result<std::uint64_t> keep_elsewhere(const DeviceKey& key, std::uint64_t first,
                                         std::uint64_t last) override {
      return inner_->keep_elsewhere(key, first, last);
    }
    Result<void> save_presence(const DeviceKey& key, const Presence& presence) override {
      return inner_->save_presence(key, presence);
    }
    Result<StoredCounts> store(const DeviceKey& key, std::uint64_t epoch, Time at,
                               std::span<const IncomingRecord> records) override {
      return inner_->store(key, epoch, at, records);
    }
    Result<void> dead_letter(const DeviceKey& key, const DeadLetter& letter) override {
      return inner_->dead_letter(key, letter);
    }
    Result<std::vector<std::pair<DeviceKey, sync::DeviceSyncState>>> online_devices(
        std::string_view replica, std::size_t limit) override {
      return inner_->online_devices(replica, limit);
    }
    void watch(Watch watch) override { inner_->watch(std::move(watch)); }
    void spool(const SpoolRow& row) override { inner_->spool(row); }
    Result<std::uint64_t> commit() override {
      if (fail_) return Error{Errc::io, "disk full"};
      return inner_->commit();
    }

   private:
    std::unique_ptr<IngestTransaction> inner_;
    bool fail_;
  };

  static Error unused() { return {Errc::unsupported, "not used here"}; }
  Rollouts& rollouts() override { return inner_.rollouts(); }
  Rounds& rounds() override { return inner_.rounds(); }
  Spool& spool() override { return inner_.spool(); }
  Exchange& exchange() override { return inner_.exchange(); }
  Certificates& certificates() override { return inner_.certificates(); }
  Result<std::unique_ptr<FeedWatch>> watch_feed(Feed&) override { return unused(); }
  Result<std::uint64_t> mark_silent_offline(Time) override { return unused(); }
  Result<void> register_device(const DeviceRegistration&) override { return unused(); }
  Result<void> register_devices(std::span<const DeviceRegistration>) override { return unused(); }
  Result<void> revoke_device(const DeviceKey&, Time) override { return unused(); }
  Result<void> release_quarantine(const DeviceKey&) override { return unused(); }
  Result<void> label_device(const DeviceKey&, const Labels&) override { return unused(); }
  Result<DeviceRow> device(const DeviceKey&) override { return unused(); }
  Result<Page<DeviceRow>> devices(std::string_view, const PageRequest&,
                                  const DeviceFilter&) override {
    return unused();
  }
  Result<Ledger> ledger(const DeviceKey&) override { return unused(); }
  Result<Page<LossRow>> losses(const DeviceKey&, const PageRequest&) override { return unused(); }
  Result<Page<StreamRow>> streams(const DeviceKey&, const PageRequest&) override {
    return unused();
  }
  Result<History> history(const DeviceKey&, const HistoryQuery&) override { return unused(); }
  Result<Page<AnomalyRow>> anomalies(std::string_view, const AnomalyFilter&,
                                     const PageRequest&) override {
    return unused();
  }
  Result<AnomalyRow> anomaly(const DeviceKey&, std::uint64_t) override { return unused(); }
  Result<std::vector<FeedRow>> feed(std::string_view, const FeedQuery&) override {
    return unused();
  }
  Result<FeedBounds> feed_bounds(std::string_view) override { return unused(); }
  Result<Page<DeadLetterRow>> dead_letters(std::string_view, const PageRequest&) override {
    return unused();
  }
  Result<void> add_token(const TokenRow&) override { return unused(); }
  Result<TokenRow> token_by_hash(std::string_view) override { return unused(); }
  Result<Page<TokenRow>> tokens(std::string_view, const PageRequest&) override { return unused(); }
  Result<void> revoke_token(std::string_view, std::string_view, Time) override { return unused(); }
  Result<void> add_enrolment(const EnrolmentRow&) override { return unused(); }
  Result<EnrolmentRow> consume_enrolment(std::string_view, Time) override { return unused(); }
  Result<void> add_audit(const AuditRow&) override { return unused(); }
  Result<Page<AuditRow>> audit(std::string_view, const PageRequest&) override { return unused(); }
  Result<StoreTotals> totals() override { return unused(); }
  Result<Trimmed> trim(Time) override { return unused(); }
  Result<void> check() override { return unused(); }
  Replicas& replicas() override { return inner_.replicas(); }
  Commands& commands() override { return inner_.commands(); }
  Jobs& jobs() override { return inner_.jobs(); }
  Models& models() override { return inner_.models(); }
  Targets& targets() override { return inner_.targets(); }
  Uploads& uploads() override { return inner_.uploads(); }

  Store& inner_;
};

/// What the hub said to one device.
struct Said {
  std::vector<wire::Welcome> welcomes;
  std::vector<wire::Ack> acks;
};

class BatchStoreTest : public testing::Test {
 protected:
  const DeviceKey key_{"acme", "edge-1"};
  const wire::Identity who_{"acme", "edge-1"};
  const Time t0_ = from_micros(1'790'000'000'000'000);

  BatchStoreTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "lapwing-ingest-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    store_ = open_sqlite_store(folder_ / "hub.db").value();
    failing_ = std::make_unique<FailingStore>(*store_);
    batches_ = std::make_unique<BatchStore>(*failing_, config_, metrics_);
    EXPECT_TRUE(store_->register_device({key_, t0_, "01", {}}));
  }
  ~BatchStoreTest() override {
    batches_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  UpMessage message(Channel channel, const std::string& body, const wire::Identity& who) {
    return {wire::topic(who, channel), writer_.seal(body), t0_};
  }
  UpMessage message(Channel channel, const std::string& body) {
    return message(channel, body, who_);
  }
  wire::Hello hello(const std::string& connection = "c1") const {
    wire::Hello h;
    h.connection_id = connection;
    h.instance_id = "i1";
    h.database_id = "db1";
    h.agent_version = "9.9";
    h.sent = t0_;
    return h;
  }
  wire::RecordEntry entry(std::uint64_t seq) const {
    wire::SummaryRecord s;
    s.stream = "a";
    s.watch = "w";
    s.begin = t0_ + std::chrono::seconds(seq);
    s.end = s.begin + std::chrono::seconds(1);
    s.value_mean = static_cast<double>(seq);
    return {seq, seq, wire::RecordClass::summary, wire::encode_record(s)};
  }
  wire::RecordBatch batch(std::uint64_t first, std::uint64_t last, std::uint64_t epoch = 1,
                          const std::string& connection = "c1") const {
    wire::RecordBatch b;
    b.epoch = epoch;
    b.connection_id = connection;
    for (auto seq = first; seq <= last; ++seq) b.entries.push_back(entry(seq));
    return b;
  }

  /// Takes everything, in as many rounds as it needs, and opens the answers.
  Said take(const std::vector<UpMessage>& messages) {
    Said said;
    auto rest = std::span(messages);
    while (!rest.empty()) {
      const auto taken = batches_->take(rest);
      EXPECT_TRUE(taken) << taken.error().context;
      if (!taken) return said;
      ++rounds_;
      feed_newest_ = taken->feed_newest;
      open(taken->answers, said);
      rest = rest.subspan(taken->messages);
    }
    return said;
  }
  void open(const std::vector<Answer>& answers, Said& said) {
    wire::FrameReader reader;
    for (const auto& answer : answers) {
      const auto topic = wire::parse_topic(answer.topic);
      ASSERT_TRUE(topic);
      const auto body = reader.open(answer.payload);
      ASSERT_TRUE(body);
      if (topic->channel == Channel::welcome) {
        said.welcomes.push_back(wire::decode_welcome(*body).value());
      } else {
        ASSERT_EQ(topic->channel, Channel::ack);
        said.acks.push_back(wire::decode_ack(*body).value());
      }
    }
  }
  void greet() { take({message(Channel::hello, wire::encode(hello()))}); }

  std::filesystem::path folder_;
  IngestConfig config_;
  Metrics metrics_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<FailingStore> failing_;
  std::unique_ptr<BatchStore> batches_;
  wire::FrameWriter writer_;
  int rounds_ = 0;
  std::uint64_t feed_newest_ = 0;
};

TEST_F(BatchStoreTest, WelcomesADeviceAndAcknowledgesWhatItStored) {
  const auto said = take({message(Channel::hello, wire::encode(hello())),
                          message(Channel::records, wire::encode(batch(1, 5)))});
  ASSERT_EQ(said.welcomes.size(), 1U);
  EXPECT_EQ(said.welcomes[0].outcome, wire::HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcomes[0].epoch, 1U);
  EXPECT_EQ(said.welcomes[0].batch_records_max, config_.batch_records_max);
  ASSERT_EQ(said.acks.size(), 1U);
  EXPECT_EQ(said.acks[0].watermark, 5U);
  const auto row = store_->device(key_);
  EXPECT_EQ(row->status, DeviceStatus::online);
  EXPECT_EQ(row->agent_version, "9.9");
  EXPECT_EQ(row->ledger.stored, 5U);
  EXPECT_EQ(row->watermark, 5U);
}

TEST_F(BatchStoreTest, SaysNothingThatIsNotCommitted) {
  greet();
  const std::vector messages{message(Channel::records, wire::encode(batch(1, 5)))};
  failing_->fail_commit = true;
  EXPECT_FALSE(batches_->take(messages));
  EXPECT_EQ(store_->ledger(key_)->stored, 0U);
  failing_->fail_commit = false;
  EXPECT_EQ(take(messages).acks.at(0).watermark, 5U);
  EXPECT_EQ(store_->ledger(key_)->stored, 5U);
}

/// Follows, and lets pass or not.
class TestTaps final : public RecordTaps {
 public:
  std::vector<std::uint64_t> seqs;
  bool pass = true;

  std::unique_ptr<RecordTap> follow(IngestTransaction& transaction) override {
    transaction.watch([this](const DeviceKey&, std::uint64_t, Time, const IncomingRecord& one) {
      seqs.push_back(one.seq);
    });
    return std::make_unique<Tap>(*this);
  }

 private:
  class Tap final : public RecordTap {
   public:
    explicit Tap(const TestTaps& taps) : taps_(taps) {}
    Result<void> before_commit() override {
      if (!taps_.pass) return Error{Errc::io, "the sink does not take records"};
      return {};
    }

   private:
    const TestTaps& taps_;
  };
};

TEST_F(BatchStoreTest, WhatATapDoesNotLetPassIsNeitherStoredNorAnswered) {
  TestTaps taps;
  batches_ = std::make_unique<BatchStore>(*failing_, config_, metrics_, 0, &taps);
  greet();
  const std::vector messages{message(Channel::records, wire::encode(batch(1, 5)))};
  taps.pass = false;
  EXPECT_FALSE(batches_->take(messages));
  EXPECT_EQ(store_->ledger(key_)->stored, 0U);
  taps.pass = true;
  taps.seqs.clear();
  EXPECT_EQ(take(messages).acks.at(0).watermark, 5U);
  EXPECT_EQ(take(messages).acks.at(0).watermark, 5U);
  EXPECT_EQ(taps.seqs, (std::vector<std::uint64_t>{1, 2, 3, 4, 5})) << "each once";
}

TEST_F(BatchStoreTest, AnswersManyBatchesOfADeviceOnce) {
  greet();
  const auto said = take({message(Channel::records, wire::encode(batch(1, 5))),
                          message(Channel::records, wire::encode(batch(6, 9))),
                          message(Channel::records, wire::encode(batch(10, 12)))});
  ASSERT_EQ(said.acks.size(), 1U);
  EXPECT_EQ(said.acks[0].watermark, 12U);
}

TEST_F(BatchStoreTest, StoresAResentBatchOnceAndAcknowledgesAgain) {
  greet();
  take({message(Channel::records, wire::encode(batch(1, 5)))});
  EXPECT_EQ(take({message(Channel::records, wire::encode(batch(1, 5)))}).acks.at(0).watermark, 5U);
  EXPECT_EQ(take({message(Channel::records, wire::encode(batch(3, 8)))}).acks.at(0).watermark, 8U);
  EXPECT_EQ(store_->ledger(key_)->stored, 8U);
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->points.size(), 8U);
}

TEST_F(BatchStoreTest, SendsTheDeviceBackWhenABatchIsMissing) {
  greet();
  take({message(Channel::records, wire::encode(batch(1, 5)))});
  const auto said = take({message(Channel::records, wire::encode(batch(8, 9)))});
  EXPECT_EQ(said.acks.at(0).watermark, 5U);
  EXPECT_EQ(store_->ledger(key_)->stored, 5U);
}

TEST_F(BatchStoreTest, AsksAnUnknownConnectionToSayHello) {
  greet();
  const auto said = take({message(Channel::records, wire::encode(batch(1, 5, 1, "other")))});
  ASSERT_EQ(said.acks.size(), 1U);
  EXPECT_EQ(said.acks[0].epoch, 0U);
  EXPECT_EQ(said.acks[0].connection_id, "other");
  EXPECT_EQ(store_->ledger(key_)->stored, 0U);
}

TEST_F(BatchStoreTest, StoresLiveCopiesWithoutAcknowledgingThem) {
  greet();
  auto said = take({message(Channel::report, wire::encode(batch(7, 8)))});
  EXPECT_TRUE(said.acks.empty());
  EXPECT_EQ(store_->ledger(key_)->stored, 2U);
  EXPECT_EQ(store_->ledger(key_)->outstanding, 6U);
  said = take({message(Channel::records, wire::encode(batch(1, 10)))});
  EXPECT_EQ(said.acks.at(0).watermark, 10U);
  EXPECT_EQ(store_->ledger(key_)->stored, 10U);
  EXPECT_EQ(store_->ledger(key_)->outstanding, 0U);
}

// Region 1 has 1..5 and two live copies, 8 and 12; the device comes back from region 2 with 10.
TEST_F(BatchStoreTest, AccountsForWhatOtherRegionsTook) {
  config_.region = {1, "north"};
  batches_ = std::make_unique<BatchStore>(*failing_, config_, metrics_);
  const auto first = take({message(Channel::hello, wire::encode(hello("1-a")))}).welcomes.at(0);
  EXPECT_EQ(first.epoch, 257U);
  EXPECT_EQ(first.region, 1U);
  EXPECT_EQ(first.region_name, "north");
  take({message(Channel::records, wire::encode(batch(1, 5, 257, "1-a"))),
        message(Channel::report, wire::encode(batch(8, 8, 257, "1-a"))),
        message(Channel::report, wire::encode(batch(12, 12, 257, "1-a")))});
  auto back = hello("3-b");
  back.epoch = 257;
  back.acked_seq = 10;
  back.next_seq = 15;
  back.regions = {{1, 4}, {2, 10}};
  const auto said = take(
      {message(Channel::hello, wire::encode(back)), message(Channel::hello, wire::encode(back))});
  ASSERT_EQ(said.welcomes.size(), 2U);
  for (const auto& welcome : said.welcomes) {
    EXPECT_EQ(welcome.outcome, wire::HelloOutcome::resume);
    EXPECT_EQ(welcome.watermark, 10U);
    EXPECT_EQ(welcome.known_seq, 12U);
    EXPECT_NE(welcome.known_hash, 0U);
  }
  auto ledger = store_->ledger(key_);
  EXPECT_EQ(ledger->stored, 7U);
  EXPECT_EQ(ledger->elsewhere, 4U) << "6, 7, 9 and 10, once";
  EXPECT_EQ(ledger->outstanding, 3U);
  EXPECT_EQ(ledger->produced, 14U);
  take({message(Channel::records, wire::encode(batch(9, 14, 257, "3-b")))});
  ledger = store_->ledger(key_);
  EXPECT_EQ(ledger->stored, 10U);
  EXPECT_EQ(ledger->elsewhere, 4U);
  EXPECT_EQ(ledger->outstanding, 0U);
  EXPECT_EQ(ledger->produced, 14U);
  EXPECT_EQ(store_->totals()->ledger.elsewhere, 4U);
  EXPECT_EQ(store_->totals()->ledger.produced, 14U);
}

TEST_F(BatchStoreTest, TakesUpAnEpochOfAnotherRegion) {
  config_.region = {2, "south"};
  batches_ = std::make_unique<BatchStore>(*failing_, config_, metrics_);
  auto comes = hello("2-a");
  comes.epoch = 257;
  comes.acked_seq = 100;
  comes.next_seq = 120;
  comes.regions = {{1, 100}};
  const auto welcome = take({message(Channel::hello, wire::encode(comes))}).welcomes.at(0);
  EXPECT_EQ(welcome.outcome, wire::HelloOutcome::resume);
  EXPECT_EQ(welcome.epoch, 257U);
  EXPECT_EQ(welcome.watermark, 100U);
  take({message(Channel::records, wire::encode(batch(101, 119, 257, "2-a")))});
  const auto ledger = store_->ledger(key_);
  EXPECT_EQ(ledger->stored, 19U);
  EXPECT_EQ(ledger->elsewhere, 0U) << "its account begins where the device came";
  EXPECT_EQ(ledger->produced, 19U);
}

TEST_F(BatchStoreTest, SetsAPoisonRecordAsideAndGoesOn) {
  greet();
  auto b = batch(1, 3);
  b.entries[1].payload = "no record at all";
  EXPECT_EQ(take({message(Channel::records, wire::encode(b))}).acks.at(0).watermark, 3U);
  const auto ledger = store_->ledger(key_);
  EXPECT_EQ(ledger->stored, 2U);
  EXPECT_EQ(ledger->lost.poison, 1U);
  EXPECT_EQ(ledger->outstanding, 0U);
  const auto letters = store_->dead_letters("acme", {});
  ASSERT_EQ(letters->items.size(), 1U);
  EXPECT_EQ(letters->items[0].seq, 2U);
  EXPECT_EQ(letters->items[0].bytes, "no record at all");
}

TEST_F(BatchStoreTest, MetricsTellTheAccountAndItAddsUp) {
  LedgerGauges gauges(metrics_);
  const auto value = [&](const std::string& name, const std::string& reason = "") {
    return metrics_
        .gauge(name, "", reason.empty() ? Metrics::Labels{} : Metrics::Labels{{"reason", reason}})
        .value();
  };
  const auto expect = [&](double stored, const Losses& lost, double outstanding) {
    gauges.show(store_->totals()->ledger);
    EXPECT_EQ(value("hub_ledger_stored"), stored);
    EXPECT_EQ(value("hub_ledger_lost", "quota"), lost.quota);
    EXPECT_EQ(value("hub_ledger_lost", "corrupt"), lost.corrupt);
    EXPECT_EQ(value("hub_ledger_lost", "vanished"), lost.vanished);
    EXPECT_EQ(value("hub_ledger_lost", "poison"), lost.poison);
    EXPECT_EQ(value("hub_ledger_outstanding"), outstanding);
    EXPECT_EQ(value("hub_ledger_produced"),
              stored + static_cast<double>(lost.total()) + outstanding);
  };
  expect(0, {}, 0);
  auto h = hello();
  h.next_seq = 21;
  take({message(Channel::hello, wire::encode(h))});
  expect(0, {}, 20);
  auto b = batch(1, 3);
  b.entries[1].payload = "no record at all";
  b.entries.push_back({4, 9, wire::RecordClass::loss,
                       wire::encode_record(wire::LossRecord{wire::LossReason::quota, 4, 9})});
  take({message(Channel::records, wire::encode(b))});
  expect(2, {6, 0, 0, 1}, 11);
  take({message(Channel::report, wire::encode(batch(18, 20)))});
  expect(5, {6, 0, 0, 1}, 8);
  h.connection_id = "c2";
  h.database_id = "db2";  // the outbox was lost: a new epoch, from number 1
  h.epoch = 0;
  h.next_seq = 5;
  EXPECT_EQ(take({message(Channel::hello, wire::encode(h))}).welcomes.at(0).epoch, 2U);
  expect(5, {6, 0, 0, 1}, 4);
  take({message(Channel::records, wire::encode(batch(1, 4, 2, "c2")))});
  expect(9, {6, 0, 0, 1}, 0);
}

TEST_F(BatchStoreTest, TellsWhenAPoisonRecordWasLost) {
  greet();
  auto b = batch(1, 5);
  b.entries[2].payload = "no record at all";
  take({message(Channel::records, wire::encode(b))});
  const auto losses = store_->losses(key_, {});
  ASSERT_EQ(losses->items.size(), 1U);
  EXPECT_EQ(losses->items[0].seq_first, 3U);
  EXPECT_EQ(losses->items[0].reason, wire::LossReason::poison);
  EXPECT_EQ(losses->items[0].from, t0_ + std::chrono::seconds(3)) << "the end of record 2";
  EXPECT_EQ(losses->items[0].to, t0_ + std::chrono::seconds(5)) << "the end of record 4";
}

TEST_F(BatchStoreTest, AccountsForARangeWhoseLossRecordCannotBeRead) {
  greet();
  wire::RecordBatch b;
  b.epoch = 1;
  b.connection_id = "c1";
  b.entries.push_back({1, 4, wire::RecordClass::loss, "rubbish"});
  b.entries.push_back(entry(5));
  EXPECT_EQ(take({message(Channel::records, wire::encode(b))}).acks.at(0).watermark, 5U);
  EXPECT_EQ(store_->ledger(key_)->lost.poison, 4U);
  EXPECT_EQ(store_->ledger(key_)->stored, 1U);
}

TEST_F(BatchStoreTest, CutsALossRangeThatItKnowsInPart) {
  greet();
  take({message(Channel::records, wire::encode(batch(1, 3)))});
  wire::RecordBatch b;
  b.epoch = 1;
  b.connection_id = "c1";
  b.entries.push_back({2, 6, wire::RecordClass::loss,
                       wire::encode_record(wire::LossRecord{wire::LossReason::quota, 2, 6})});
  EXPECT_EQ(take({message(Channel::records, wire::encode(b))}).acks.at(0).watermark, 6U);
  EXPECT_EQ(store_->ledger(key_)->stored, 3U);
  EXPECT_EQ(store_->ledger(key_)->lost.quota, 3U);
}

TEST_F(BatchStoreTest, RefusesStrangersAndRevokedDevices) {
  const wire::Identity stranger{"acme", "stranger"};
  auto said = take({message(Channel::hello, wire::encode(hello()), stranger),
                    message(Channel::records, wire::encode(batch(1, 2)), stranger)});
  ASSERT_EQ(said.welcomes.size(), 1U);
  EXPECT_EQ(said.welcomes[0].outcome, wire::HelloOutcome::refused);
  EXPECT_NE(said.welcomes[0].reason.find("enrol"), std::string::npos);
  EXPECT_TRUE(said.acks.empty());
  greet();
  ASSERT_TRUE(store_->revoke_device(key_, t0_));
  said = take({message(Channel::records, wire::encode(batch(1, 2))),
               message(Channel::hello, wire::encode(hello("c2")))});
  EXPECT_TRUE(said.acks.empty());
  EXPECT_EQ(said.welcomes.at(0).outcome, wire::HelloOutcome::refused);
  EXPECT_EQ(store_->ledger(key_)->stored, 0U);
}

TEST_F(BatchStoreTest, TakesADeviceOfflineByItsWillButNotByAnOldersOne) {
  greet();
  take({message(Channel::hello, wire::encode(hello("c2")))});
  wire::Status will;
  will.online = false;
  will.connection_id = "c1";
  take({message(Channel::status, wire::encode(will))});
  EXPECT_EQ(store_->device(key_)->status, DeviceStatus::online);
  will.connection_id = "c2";
  take({message(Channel::status, wire::encode(will))});
  EXPECT_EQ(store_->device(key_)->status, DeviceStatus::offline);
}

TEST_F(BatchStoreTest, AsksAConnectionThatWasSupplantedForAHello) {
  greet();
  take({message(Channel::hello, wire::encode(hello("c2")))});
  wire::Status status;
  status.connection_id = "c1";
  auto said = take({message(Channel::status, wire::encode(status))});
  ASSERT_EQ(said.acks.size(), 1U);
  EXPECT_EQ(said.acks[0].epoch, 0U);
  EXPECT_EQ(said.acks[0].connection_id, "c1");
  auto records = batch(1, 2);
  records.connection_id = "c2";
  for (const bool before : {true, false}) {
    std::vector<UpMessage> messages = {message(Channel::records, wire::encode(records)),
                                       message(Channel::status, wire::encode(status))};
    if (before) std::swap(messages[0], messages[1]);
    said = take(std::move(messages));
    ASSERT_EQ(said.acks.size(), 1U);
    EXPECT_EQ(said.acks[0].watermark, 2U) << "what is committed is told, whatever else is asked";
  }
}

TEST_F(BatchStoreTest, LearnsFiguresFromStatus) {
  greet();
  wire::Status status;
  status.connection_id = "c1";
  status.readings_total = 77;
  status.produced_seq = 40;
  status.outbox_records = 40;
  take({message(Channel::status, wire::encode(status))});
  EXPECT_EQ(store_->device(key_)->readings_total, 77U);
  EXPECT_EQ(store_->ledger(key_)->outstanding, 40U);
}

TEST_F(BatchStoreTest, QuarantinesTwoLiveCopies) {
  greet();
  Said said;
  for (int i = 0; i < 8; ++i) {
    auto h = hello("c" + std::to_string(i));
    h.instance_id = i % 2 == 0 ? "i1" : "i2";
    said = take({message(Channel::hello, wire::encode(h))});
  }
  EXPECT_EQ(said.welcomes.at(0).outcome, wire::HelloOutcome::quarantined);
  EXPECT_EQ(store_->device(key_)->status, DeviceStatus::quarantined);
  EXPECT_TRUE(take({message(Channel::records, wire::encode(batch(1, 2)))}).acks.empty());
  EXPECT_EQ(store_->ledger(key_)->stored, 0U);
}

TEST_F(BatchStoreTest, CommitsInBoundedTransactions) {
  config_.commit_records_max = 10;
  batches_ = std::make_unique<BatchStore>(*failing_, config_, metrics_);
  greet();
  rounds_ = 0;
  const auto said = take({message(Channel::records, wire::encode(batch(1, 8))),
                          message(Channel::records, wire::encode(batch(9, 16))),
                          message(Channel::records, wire::encode(batch(17, 24)))});
  EXPECT_EQ(rounds_, 2);
  EXPECT_EQ(said.acks.back().watermark, 24U);
}

TEST_F(BatchStoreTest, HoldsSoManyDevicesInOneTransaction) {
  std::vector<UpMessage> herd;
  std::vector<DeviceRegistration> registrations;
  for (int i = 0; i < 600; ++i) {
    const wire::Identity who{key_.tenant, "herd-" + std::to_string(i)};
    registrations.push_back({{who.tenant, who.device}, t0_, "01", {}});
    herd.push_back(message(Channel::hello, wire::encode(hello()), who));
  }
  ASSERT_TRUE(store_->register_devices(registrations));
  rounds_ = 0;
  EXPECT_EQ(take(herd).welcomes.size(), 600U);
  EXPECT_EQ(rounds_, 3);
}

TEST_F(BatchStoreTest, TellsDevicesWhereTheyStandWhenTheHubComesBack) {
  greet();
  take({message(Channel::records, wire::encode(batch(1, 5)))});
  Said said;
  const auto acks = batches_->standing_acks();
  ASSERT_TRUE(acks);
  open(*acks, said);
  ASSERT_EQ(said.acks.size(), 1U);
  EXPECT_EQ(said.acks[0].watermark, 5U);
  EXPECT_EQ(said.acks[0].connection_id, "c1");
}

TEST_F(BatchStoreTest, KeepsWhatItCannotReadAndGoesOn) {
  greet();
  std::vector<UpMessage> messages{
      {"lapwing/v1/acme/edge-1/up/records", "garbage", t0_},
      {"lapwing/v1/acme/edge-1/up/records", "", t0_},
      {"lapwing/v1/acme/edge-1/up/records", writer_.seal(std::string(100, '\xff')), t0_},
      {"lapwing/v1/acme/edge-1/up/hello", writer_.seal("x"), t0_},
      {"lapwing/v1/acme/edge-1/up/status", writer_.seal("y"), t0_},
      {"lapwing/v1/acme/edge-1/up/fetch", writer_.seal("z"), t0_},
      {"lapwing/v1/acme/edge-1/up/nonsense", "x", t0_},
      {"lapwing/v1/acme/edge-1/down/ack", "x", t0_},
      {"some/other/topic", "x", t0_},
      {"", "", t0_}};
  messages.push_back(message(Channel::records, wire::encode(batch(1, 5))));
  EXPECT_EQ(take(messages).acks.at(0).watermark, 5U);
  EXPECT_EQ(store_->dead_letters("acme", {})->items.size(), 5U);
}

TEST_F(BatchStoreTest, RefusesNumbersNoAgentReaches) {
  greet();
  auto h = hello("c2");
  h.acked_seq = ~0ULL - 1;
  h.next_seq = ~0ULL;
  EXPECT_TRUE(take({message(Channel::hello, wire::encode(h))}).welcomes.empty());
  auto b = batch(1, 1);
  b.entries[0].seq = b.entries[0].seq_last = ~0ULL - 5;
  EXPECT_TRUE(take({message(Channel::records, wire::encode(b))}).acks.empty());
  EXPECT_EQ(take({message(Channel::records, wire::encode(batch(1, 5)))}).acks.at(0).watermark, 5U);
}

TEST_F(BatchStoreTest, SurvivesDamagedMessages) {
  greet();
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::vector good{message(Channel::hello, wire::encode(hello())),
                         message(Channel::records, wire::encode(batch(1, 20))),
                         message(Channel::report, wire::encode(batch(30, 40))),
                         message(Channel::status, wire::encode(wire::Status{}))};
  for (int round = 0; round < 100; ++round) {
    std::vector<UpMessage> bad;
    for (int i = 0; i < 20; ++i) {
      auto m = good[random() % good.size()];
      // Damage the body inside an intact frame half of the time, or nothing would get that far.
      if (random() % 2 == 0) {
        wire::FrameReader reader;
        std::string body(reader.open(m.payload).value());
        for (auto n = 1 + random() % 4; n > 0; --n) {
          body[random() % body.size()] = static_cast<char>(random());
        }
        m.payload = writer_.seal(body);
      } else {
        m.payload[random() % m.payload.size()] = static_cast<char>(random());
        if (random() % 4 == 0) m.payload.resize(random() % m.payload.size());
      }
      bad.push_back(std::move(m));
    }
    take(bad);
  }
  const auto ledger = store_->ledger(key_);
  EXPECT_EQ(ledger->produced, ledger->stored + ledger->lost.total() + ledger->outstanding);
  EXPECT_TRUE(store_->check());
}

TEST(IngestQueue, RefusesTheNewestAtItsBounds) {
  IngestQueue queue(2, 1'000'000);
  EXPECT_TRUE(queue.put("t", "1", {}));
  EXPECT_TRUE(queue.put("t", "2", {}));
  EXPECT_FALSE(queue.put("t", "3", {}));
  const auto taken = queue.take(0, Micros(0), 1'000'000);
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].payload, "1");
  EXPECT_EQ(queue.bytes(), 0U);
  IngestQueue small(100, 500);
  EXPECT_FALSE(small.put("t", std::string(600, 'x'), {}));
  EXPECT_TRUE(small.put("t", std::string(300, 'x'), {}));
  EXPECT_FALSE(small.put("t", std::string(300, 'x'), {}));
}

TEST(IngestQueue, HandsOutWhatWaitsAfterItWasClosed) {
  IngestQueue queue(10, 1'000'000);
  EXPECT_TRUE(queue.put("t", "1", {}));
  queue.close();
  EXPECT_FALSE(queue.put("t", "2", {}));
  EXPECT_EQ(queue.take(0, std::chrono::hours(1), 1'000'000).size(), 1U);
  EXPECT_EQ(queue.take(0, std::chrono::hours(1), 1'000'000).size(), 0U);
}

TEST(IngestQueue, HandsOutAtMostTheBytesAskedForButAtLeastOneMessage) {
  IngestQueue queue(10, 1'000'000);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.put("t", std::string(1000, 'x'), {}));
  EXPECT_EQ(queue.take(0, Micros(0), 10).size(), 1U);
  EXPECT_EQ(queue.take(0, Micros(0), 3000).size(), 2U);
}

}  // namespace
}  // namespace lapwing::hub
