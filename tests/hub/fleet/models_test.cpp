// SPDX-License-Identifier: Apache-2.0
/// What the hub tells devices of models: offers that a device's judge takes, and pieces of files.
#include "hub/store/models.hpp"

#include "hub/fleet/file_desk.hpp"
#include "hub/fleet/offer_desk.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/release/judge.hpp"
#include "shared/sqlite/connection.hpp"
#include "shared/wire/topics.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <array>
#include <future>

namespace lapwing::hub {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class ModelsOfFleet : public ::testing::Test {
 protected:
  const DeviceKey key_{"acme", "press-1"};
  const Time t0_ = from_micros(1'790'000'000'000'000);
  const std::string digest_ = std::string(64, 'a');

  void SetUp() override {
    store_ = open_sqlite_store(folder_.path() / "hub.db").value();
    enrol(key_);
    ASSERT_TRUE(store_->models().add_file({.tenant = "acme", .sha256 = digest_}, file_));
  }
  void enrol(const DeviceKey& key) {
    ASSERT_TRUE(store_->register_device({key, t0_, "0a", std::nullopt}));
  }
  static std::string content() {
    std::string bytes(5 * Models::kPartBytes + 1'234, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 1'000);
    return bytes;
  }
  double counted(const char* name, const Metrics::Labels& labels = {}) {
    return metrics_.counter(name, "", labels).value();
  }

  const std::string file_ = content();
  lapwing::testing::TempDir folder_;
  std::unique_ptr<Store> store_;
  Metrics metrics_;
};

class FilesOfFleet : public ModelsOfFleet {
 protected:
  std::unique_ptr<FileDesk> desk(FileDesk::Send send, std::uint64_t rate = 1U << 30U) {
    return std::make_unique<FileDesk>(rate, *store_, metrics_, std::move(send));
  }
  std::string frame(std::uint64_t offset, std::uint32_t length) {
    return writer_.seal(wire::encode(wire::Fetch{"1-c", digest_, offset, length}));
  }
  wire::FrameWriter writer_;
};

TEST_F(FilesOfFleet, GiveEveryByteOfAFileInPiecesOfAnySize) {
  auto files = desk(nullptr);
  std::string got;
  for (std::uint32_t length = 999; got.size() < file_.size(); length = length % 60'000 + 7'001) {
    const auto offset = got.size();
    const auto room = wire::kModelBlockBytes - offset % wire::kModelBlockBytes;
    const auto chunk = files->answer(
        key_,
        {"1-c", digest_, offset, static_cast<std::uint32_t>(std::min<std::size_t>(room, length))},
        Ticks{});
    ASSERT_EQ(chunk.problem, "");
    ASSERT_EQ(chunk.total, file_.size());
    ASSERT_EQ(chunk.offset, offset);
    got += chunk.bytes;
  }
  EXPECT_TRUE(got == file_);
}

TEST_F(FilesOfFleet, GiveNothingToOthersAndNothingThatIsNotThere) {
  auto files = desk(nullptr);
  enrol({"other", "press-1"});
  const wire::Fetch fetch{"1-c", digest_, 0, 100};
  EXPECT_NE(files->answer({"other", "press-1"}, fetch, Ticks{}).problem, "") << "another tenant's";
  EXPECT_NE(files->answer({"acme", "none"}, fetch, Ticks{}).problem, "");
  EXPECT_NE(files->answer(key_, {"1-c", std::string(64, 'b'), 0, 1}, Ticks{}).problem, "");
  EXPECT_NE(files->answer(key_, {"1-c", digest_, file_.size(), 1}, Ticks{}).problem, "");
  EXPECT_NE(files->answer(key_, {"1-c", digest_, ~std::uint64_t{0}, 1}, Ticks{}).problem, "");
  EXPECT_EQ(files->answer(key_, fetch, Ticks{}).problem, "");
  ASSERT_TRUE(store_->revoke_device(key_, t0_));
  EXPECT_NE(files->answer(key_, fetch, Ticks{} + FileDesk::kKnownFor).problem, "")
      << "from then on at the latest";
}

TEST_F(FilesOfFleet, AreToldToBeUnreadableWhereTheStoreHoldsLessOfThem) {
  {  // as whoever can write the database leaves it
    const auto db = sqlite::Connection::open(folder_.path() / "hub.db", {}).value();
    db->run("UPDATE model_parts SET bytes = x'0102' WHERE part = 1");
    ASSERT_FALSE(db->failed()) << db->failure().context;
  }
  auto files = desk(nullptr);
  const auto chunk =
      files->answer(key_, {"1-c", digest_, Models::kPartBytes + 1'024, 1'000}, Ticks{});
  EXPECT_EQ(chunk.problem, "the hub's store does not answer");
  EXPECT_EQ(chunk.bytes, "");
}

TEST_F(FilesOfFleet, AThousandDevicesCostTheStoreOneReadOfEachPart) {
  auto files = desk(nullptr);
  std::vector<DeviceRegistration> fleet;
  for (int i = 0; i < 1'000; ++i) {
    fleet.push_back({{"acme", "d" + std::to_string(i)}, t0_, "0a", std::nullopt});
  }
  ASSERT_TRUE(store_->register_devices(fleet));
  for (std::uint64_t part = 0; part <= 5; ++part) {
    for (const auto& one : fleet) {
      const auto chunk =
          files->answer(one.key, {"1-c", digest_, part * wire::kModelBlockBytes, 1'234}, Ticks{});
      ASSERT_EQ(chunk.bytes.size(), 1'234U);
    }
  }
  EXPECT_EQ(counted("hub_model_part_reads_total"), 6);
}

TEST_F(FilesOfFleet, TakeTurnsWhoeverAsksMost) {
  std::promise<void> begun;
  std::promise<void> go;
  std::vector<std::string> order;
  std::promise<void> ended;
  auto files = desk([&](const wire::Identity& device, std::string_view) {
    if (order.empty()) {
      begun.set_value();
      go.get_future().wait();
    }
    order.push_back(device.device);
    if (order.size() == 10) ended.set_value();
    return true;
  });
  enrol({"acme", "greedy"});
  files->start();
  files->ask({"acme", "press-1"}, frame(0, 10));
  begun.get_future().wait();  // it answers the first: what comes now waits
  for (int i = 0; i < 100; ++i) files->ask({"acme", "greedy"}, frame(0, 10));
  for (int i = 0; i < 5; ++i) files->ask({"acme", "press-1"}, frame(0, 10));
  files->ask({"acme", "none"}, frame(0, 10));
  go.set_value();
  ASSERT_EQ(ended.get_future().wait_for(seconds(10)), std::future_status::ready);
  files->stop();
  EXPECT_EQ(order, (std::vector<std::string>{"press-1", "greedy", "press-1", "none", "greedy",
                                             "press-1", "greedy", "press-1", "greedy", "press-1"}));
  EXPECT_EQ(counted("hub_model_pieces_total", {{"outcome", "dropped"}}), 97);
  EXPECT_EQ(counted("hub_model_pieces_total", {{"outcome", "sent"}}), 9);
  EXPECT_EQ(counted("hub_model_pieces_total", {{"outcome", "refused"}}), 1);
}

TEST_F(FilesOfFleet, KeepTheirPace) {
  auto files = desk(nullptr, 1U << 20U);
  Ticks at{};
  std::uint64_t sent = 0;
  for (int i = 0; i < 1'000; ++i) {
    at = std::max(at, files->pace(wire::kModelBlockBytes, at));
    sent += wire::kModelBlockBytes;
  }
  const double took = std::chrono::duration<double>(at - Ticks{}).count();
  EXPECT_LE(static_cast<double>(sent), took * (1U << 20U) + FileDesk::kBurstBytes);
  EXPECT_GT(static_cast<double>(sent), took * (1U << 20U) * .98);
}

// --- offers

class OffersOfFleet : public ModelsOfFleet {
 protected:
  void SetUp() override {
    ModelsOfFleet::SetUp();
    keys_ = release::KeyList{.number = 4,
                             .threshold = 1,
                             .roots = {root_.public_pem()},
                             .releases = {release_.public_pem()},
                             .hubs = {hub_.public_pem()},
                             .expires = t0_ + hours(24 * 365)};
    for (const std::uint64_t number : {3, 4}) {
      keys_.number = number;
      release::Signed list(keys_);
      ASSERT_TRUE(list.sign(root_));
      ASSERT_TRUE(store_->models().add_keys(number, list.encode(), t0_));
    }
    release::Signed manifest(release::Manifest{.model = "pumps",
                                               .number = 5,
                                               .sha256 = digest_,
                                               .length = file_.size(),
                                               .tenant = "acme",
                                               .device_class = {},
                                               .schema_sha256 = std::string(64, 'c'),
                                               .minimum_agent = {}});
    ASSERT_TRUE(manifest.sign(release_));
    ASSERT_TRUE(store_->models().add_version({.tenant = "acme",
                                              .model = "pumps",
                                              .number = 5,
                                              .sha256 = digest_,
                                              .manifest = manifest.encode()}));
    auto transaction = store_->begin_ingest().value();
    ASSERT_TRUE(transaction->device(key_));
    ASSERT_TRUE(
        transaction->save_presence(key_, {.connection_id = "1-x", .seen = t0_, .replica = "a"}));
    ASSERT_TRUE(transaction->commit());
  }
  void want(std::uint64_t number, Time at) {
    ASSERT_TRUE(store_->targets().want(
        std::array{Target{.key = key_, .model = "pumps", .number = number, .rollout = 6}}, at));
  }
  void reports(std::uint64_t seq, std::uint64_t offer, Time at) {
    const wire::RecordBody body = wire::ModelReport{
        .model = "pumps", .version = 5, .state = "shadow", .offer = offer, .keys_number = 4};
    auto transaction = store_->begin_ingest().value();
    ASSERT_TRUE(transaction->device(key_));
    const IncomingRecord record{seq, seq, wire::RecordClass::model_report, seq, &body};
    ASSERT_TRUE(transaction->store(key_, 1, at, std::array{record}));
    ASSERT_TRUE(transaction->commit());
  }
  OfferDesk desk(const std::string& replica, bool with_key = true) {
    std::optional<trust::PrivateKey> key;
    if (with_key) key = trust::PrivateKey::from_pem(hub_.pem().reveal()).value();
    return OfferDesk(
        replica, std::move(key), *store_,
        [this](const std::string& topic, const std::string& frame) {
          EXPECT_EQ(topic, "lapwing/v1/acme/press-1/down/offer");
          offers_.push_back(wire::decode_offer(wire::FrameReader().open(frame).value()).value());
          return true;
        },
        metrics_);
  }

  const trust::PrivateKey root_ = trust::PrivateKey::generate_ed25519().value();
  const trust::PrivateKey release_ = trust::PrivateKey::generate_ed25519().value();
  const trust::PrivateKey hub_ = trust::PrivateKey::generate_ed25519().value();
  release::KeyList keys_;
  std::vector<wire::Offer> offers_;
};

TEST_F(OffersOfFleet, AreWhatADevicesJudgeTakes) {
  want(5, t0_);
  auto a = desk("a");
  auto b = desk("b");
  b.round(t0_);
  EXPECT_TRUE(offers_.empty()) << "another replica's device";
  a.round(t0_);
  ASSERT_EQ(offers_.size(), 1U);
  const auto offer = offers_[0];
  EXPECT_EQ(offer.offer, 1U);
  EXPECT_EQ(offer.model, "pumps");
  EXPECT_EQ(offer.number, 5U);
  EXPECT_EQ(offer.stage, wire::ModelStage::shadow);
  EXPECT_EQ(offer.rollout, 6U);
  EXPECT_EQ(offer.keys.size(), 2U) << "it never said which it has";
  auto first = keys_;
  first.number = 3;
  release::Judge judge({.keys = first});
  for (const auto& list : offer.keys) {
    EXPECT_TRUE(judge.take_keys(release::Signed::decode(list).value(), t0_));
  }
  const auto approved = judge.approve(
      release::Signed::decode(offer.manifest).value(),
      release::Signed::decode(offer.assignment).value(),
      {.tenant = "acme", .name = "press-1", .schema_sha256 = std::string(64, 'c')}, t0_);
  ASSERT_TRUE(approved) << approved.error().context;
  EXPECT_EQ(approved->until, t0_ + OfferDesk::kHolds);
  a.round(t0_ + seconds(2));
  EXPECT_EQ(offers_.size(), 1U);
  a.round(t0_ + Targets::kResendAfter);
  ASSERT_EQ(offers_.size(), 2U) << "until it is reported";
  EXPECT_EQ(offers_[1].assignment, offer.assignment);
  reports(1, 1, t0_ + seconds(31));
  a.round(t0_ + minutes(5));
  EXPECT_EQ(offers_.size(), 2U);
}

TEST_F(OffersOfFleet, AreMadeAgainBeforeTheAssignmentEnds) {
  want(5, t0_);
  auto a = desk("a");
  auto b = desk("b");
  a.round(t0_);
  reports(1, 1, t0_);
  const Time early = t0_ + OfferDesk::kHolds - OfferDesk::kRenewBefore;
  a.round(early);
  EXPECT_EQ(offers_.size(), 1U);
  const Time late = early + minutes(2);
  b.round(late);  // any replica finds it; the device's own sends it
  a.round(late);
  ASSERT_EQ(offers_.size(), 2U);
  EXPECT_EQ(offers_[1].offer, 2U);
  EXPECT_TRUE(offers_[1].keys.empty()) << "it said which it has";
  EXPECT_EQ(store_->targets().get(key_, "pumps")->until, late + OfferDesk::kHolds);
  b.round(late + minutes(2));
  EXPECT_EQ(store_->targets().get(key_, "pumps")->offer, 2U);
}

TEST_F(OffersOfFleet, WithoutAKeyOnlyWithdraw) {
  want(5, t0_);
  auto a = desk("a", false);
  a.round(t0_);
  EXPECT_TRUE(offers_.empty());
  EXPECT_EQ(counted("hub_model_offers_held_total"), 1);
  a.round(t0_ + seconds(2));
  EXPECT_EQ(counted("hub_model_offers_held_total"), 1) << "looked at again as late as one sent";
  want(0, t0_ + seconds(3));
  a.round(t0_ + seconds(3));
  ASSERT_EQ(offers_.size(), 1U);
  EXPECT_EQ(offers_[0].number, 0U);
  EXPECT_TRUE(offers_[0].manifest.empty());
}

TEST_F(OffersOfFleet, TheSigningKeyIsAnEd25519Key) {
  const auto file = folder_.path() / "hub.key";
  EXPECT_FALSE(load_signing_key(file.string(), false).value());
  EXPECT_EQ(load_signing_key(file.string(), true).error().code, Errc::bad_config);
  ASSERT_TRUE(trust::PrivateKey::generate()->write_new(file));
  EXPECT_EQ(load_signing_key(file.string(), false).error().code, Errc::bad_config);
  const auto good = folder_.path() / "release-hub.key";
  ASSERT_TRUE(hub_.write_new(good));
  EXPECT_TRUE(load_signing_key(good.string(), false).value());
}

}  // namespace
}  // namespace lapwing::hub
