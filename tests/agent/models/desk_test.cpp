// SPDX-License-Identifier: Apache-2.0
/// Offers of models as a device takes them: from the hub's word to scored rows, and back.
#include "agent/models/desk.hpp"

#include "shared/base/files.hpp"
#include "shared/base/metrics.hpp"
#include "shared/release/signed.hpp"
#include "shared/wire/codec.hpp"
#include "tests/shared/model/made_model.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

namespace lapwing::agent::desk_test {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wire::ModelStage;

/// A version as the hub has it.
struct Version {
  std::string file;
  release::Manifest manifest;
};

/// The keys of a hub, and what it signs.
class Signers {
 public:
  trust::PrivateKey root = *trust::PrivateKey::generate_ed25519();
  trust::PrivateKey release = *trust::PrivateKey::generate_ed25519();
  trust::PrivateKey hub = *trust::PrivateKey::generate_ed25519();

  [[nodiscard]] std::string keys(std::uint64_t number = 1) const {
    return sign(release::KeyList{.number = number,
                                 .threshold = 1,
                                 .roots = {root.public_pem()},
                                 .releases = {release.public_pem()},
                                 .hubs = {hub.public_pem()},
                                 .expires = now() + hours(1000)},
                root);
  }
  static std::string sign(const release::Document& document, const trust::PrivateKey& key) {
    release::Signed out(document);
    EXPECT_TRUE(out.sign(key));
    return out.encode();
  }
  [[nodiscard]] wire::Offer offer(std::uint64_t number, const Version& version, ModelStage stage,
                                  Micros valid = hours(24), const char* device = "d1") const {
    const std::string manifest = sign(version.manifest, release);
    const auto body = release::Signed::decode(manifest)->body_sha256();
    return {.offer = number,
            .model = "pumps",
            .number = version.manifest.number,
            .stage = stage,
            .rollout = 9,
            .keys = {keys()},
            .manifest = manifest,
            .assignment = sign(release::Assignment{.tenant = "acme",
                                                   .device = device,
                                                   .manifest_sha256 = body,
                                                   .issued = now() - hours(1),
                                                   .expires = now() + valid},
                               hub)};
  }
};

Version make_version(std::uint64_t number, std::uint64_t seed, const char* unit = "bar") {
  const model::Made made;
  auto request = made.request("pca");
  request.sensors[1].unit = unit;
  request.seed = seed;
  auto trained = model::train(request);
  EXPECT_TRUE(trained);
  const auto read = model::Model::read(trained->file);
  return {.file = trained->file,
          .manifest = {.model = "pumps",
                       .number = number,
                       .sha256 = read->sha256(),
                       .length = trained->file.size(),
                       .tenant = "acme",
                       .schema_sha256 = release::schema_digest(read->header().sensors)}};
}

/// Hands over files when the test says so.
class FakeFetch final : public FileFetch {
 public:
  void start(std::string sha256, std::uint64_t, fs::path destination, Done done) override {
    const std::lock_guard lock(mutex_);
    sha256_ = std::move(sha256);
    destination_ = std::move(destination);
    done_ = std::move(done);
    ++starts;
    changed_.notify_all();
  }
  void cancel() override {
    const std::lock_guard lock(mutex_);
    ++cancels;
    done_ = nullptr;
  }
  /// Waits for a transfer, and ends it with these bytes.
  void deliver(const std::string& bytes) {
    finish([&](const fs::path& path) { return write_file_atomic(path, bytes); });
  }
  void fail(const std::string& why) {
    finish([&](const fs::path&) -> Result<void> { return Error{Errc::io, why}; });
  }
  std::string await_start() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, seconds(10), [this] { return done_ != nullptr; }));
    return sha256_;
  }
  std::atomic<int> starts{0};
  std::atomic<int> cancels{0};

 private:
  template <class Make>
  void finish(Make make) {
    await_start();
    Done done;
    {
      const std::lock_guard lock(mutex_);
      done = std::exchange(done_, nullptr);
    }
    done(make(destination_));
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string sha256_;
  fs::path destination_;
  Done done_;
};

class Desk : public ::testing::Test {
 protected:
  Desk() {
    group_.watch.name = "pump";
    group_.watch.streams = {"plant/+/temperature", "plant/+/pressure"};
    group_.watch.gap_check = false;
    group_.model = "pumps";
    group_.units = {"°C", "bar"};
    group_.interval = seconds(1);
    fs::create_directories(folder_.path() / "id");
    EXPECT_TRUE(write_file_atomic(folder_.path() / "id/keys.lwk", signers_.keys()));
    auto opened = Outbox::open({}, folder_.path(), metrics_);
    EXPECT_TRUE(opened);
    outbox_ = std::move(*opened);
    begin();
  }
  ~Desk() override {
    if (desk_) end();
  }

  void begin(Micros confirm_after = hours(1)) {
    engine_ = std::make_unique<Engine>(EngineConfig{.shards = 1}, Watched{{}, {group_}},
                                       folder_.path(), *outbox_, metrics_);
    desk_ = std::make_unique<ModelDesk>(
        ModelDeskParts{.config = {.keys_file = folder_.path() / "id/keys.lwk",
                                  .confirm_after = confirm_after,
                                  .device_class = {}},
                       .folder = models_,
                       .second = folder_.path() / "id/models.remembered",
                       .groups = {group_},
                       .tenant = "acme",
                       .device = "d1",
                       .agent_version = "0.1.0",
                       .engine = *engine_,
                       .outbox = *outbox_,
                       .metrics = metrics_,
                       .tick = milliseconds(10)});
    desk_->open();
    desk_->use(fetch_);
    ASSERT_TRUE(engine_->start());
    desk_->start();
  }
  /// `clean`: the process ended by itself.
  void end(bool clean = true) {
    desk_->stop();
    engine_->stop();
    if (clean) desk_->ended_cleanly();
    desk_.reset();
    engine_.reset();
  }
  void restart(bool clean = true, Micros confirm_after = hours(1)) {
    end(clean);
    begin(confirm_after);
  }
  void take(const Version& version, std::uint64_t offer, ModelStage stage) {
    ASSERT_TRUE(desk_->offer(signers_.offer(offer, version, stage)));
    fetch_.deliver(version.file);
    await(stage == ModelStage::active ? "active" : "shadow");
  }
  void feed(std::size_t rows) {
    const model::Made made;
    const StreamId ids[] = {*engine_->stream_for("plant/p1/temperature", {}),
                            *engine_->stream_for("plant/p1/pressure", {})};
    std::vector<Reading> readings;
    for (std::size_t row = 0; row < rows; ++row, ++row_) {
      for (std::size_t s = 0; s < 2; ++s) {
        readings.push_back({ids[s], from_micros(1'764'000'000'000'000) + row_ * seconds(1),
                            made.values[2 * (row_ % model::Made::kRows) + s]});
      }
    }
    ASSERT_TRUE(engine_->submit(readings));
    engine_->flush();
  }
  ModelFigures figures() { return desk_->figures().models.at(0); }
  void await(const std::string& state) {
    await([&] { return figures().state == state; }, state);
  }
  template <class Is>
  void await(Is is, const std::string& what) {
    for (int i = 0; i < 5000 && !is(); ++i) std::this_thread::sleep_for(milliseconds(2));
    ASSERT_TRUE(is()) << what << "; it is " << figures().state << ": " << figures().detail;
  }
  std::string scoring() {
    for (const auto& one : engine_->streams("", 10)) {
      if (one.name == "pump/p1") return one.detector;
    }
    return "no group";
  }
  std::vector<wire::ModelReport> reports() { return records<wire::ModelReport>(); }
  template <class Record>
  std::vector<Record> records() {
    outbox_->flush();
    std::vector<Record> out;
    const auto entries = outbox_->read(1, 10'000, 1 << 24);
    for (const auto& entry : *entries) {
      auto body = wire::decode_record(entry.payload);
      if (auto* one = std::get_if<Record>(&*body)) out.push_back(std::move(*one));
    }
    return out;
  }
  std::vector<std::string> states() {
    std::vector<std::string> out;
    for (const auto& one : reports()) {
      if (one.version != 0) out.push_back(one.state);
    }
    return out;
  }
  double refused(const char* reason) {
    return metrics_.counter("model_refused_total", "", {{"reason", reason}}).value();
  }

  lapwing::testing::TempDir folder_;
  fs::path models_ = folder_.path() / "models";
  Signers signers_;
  detect::GroupConfig group_;
  Metrics metrics_;
  std::unique_ptr<Outbox> outbox_;
  FakeFetch fetch_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<ModelDesk> desk_;
  std::size_t row_ = 0;
};

TEST_F(Desk, BringsAVersionFromItsOfferToConfirmed) {
  restart(true, milliseconds(100));
  const auto version = make_version(1, 1);
  feed(5);
  EXPECT_EQ(scoring(), "auto");
  take(version, 1, ModelStage::shadow);
  feed(100);
  EXPECT_EQ(scoring(), "auto");
  ASSERT_TRUE(desk_->offer(signers_.offer(2, version, ModelStage::active)));
  await("active");
  EXPECT_EQ(scoring(), "pumps 1");
  feed(10);
  await("confirmed");
  EXPECT_EQ(fetch_.starts, 1);
  const auto all = reports();
  EXPECT_THAT(states(), ElementsAre("fetching", "shadow", "active", "confirmed"));
  EXPECT_EQ(all.back().model, "pumps");
  EXPECT_EQ(all.back().version, 1U);
  EXPECT_EQ(all.back().offer, 2U);
  EXPECT_EQ(all.back().rollout, 9U);
  EXPECT_EQ(all.back().keys_number, 1U);
  EXPECT_EQ(
      metrics_.gauge("model_info", "", {{"model", "pumps"}, {"slot", "active"}, {"version", "1"}})
          .value(),
      1);
}

TEST_F(Desk, RefusesWhatTheJudgeRefusesAndSaysWhy) {
  const auto good = make_version(5, 1);
  take(good, 1, ModelStage::active);
  feed(5);
  auto wrong = make_version(6, 2);
  wrong.manifest.tenant = "other";
  ASSERT_TRUE(desk_->offer(signers_.offer(2, wrong, ModelStage::active)));
  await("refused");
  EXPECT_THAT(figures().detail, HasSubstr("wrong_tenant"));
  EXPECT_EQ(refused("wrong_tenant"), 1);
  const auto refuse = [&](std::uint64_t offer, const wire::Offer& one, const char* word) {
    ASSERT_TRUE(desk_->offer(one));
    await([&] { return figures().kept.offer == offer; }, word);
    EXPECT_EQ(figures().state, "refused");
    EXPECT_THAT(figures().detail, HasSubstr(word));
  };
  refuse(3, signers_.offer(3, make_version(4, 3), ModelStage::active), "rollback");
  refuse(4, signers_.offer(4, make_version(5, 3), ModelStage::active), "mismatch");
  refuse(5, signers_.offer(5, make_version(6, 3, "psi"), ModelStage::active), "wrong_schema");
  refuse(6, signers_.offer(6, make_version(6, 3), ModelStage::active, hours(24), "d2"),
         "wrong_device");
  refuse(7, Signers().offer(7, make_version(6, 3), ModelStage::active), "wrong_key");
  auto renamed = signers_.offer(8, make_version(6, 3), ModelStage::active);
  renamed.number = 7;
  refuse(8, renamed, "mismatch");
  EXPECT_EQ(scoring(), "pumps 5") << "what runs goes on";
  EXPECT_EQ(fetch_.starts, 1);
  EXPECT_EQ(reports().back().offer, 8U);
}

TEST_F(Desk, KeepsTheNewerKeysOfAnOfferThatItRefuses) {
  auto wrong = make_version(1, 1);
  wrong.manifest.tenant = "other";
  auto offer = signers_.offer(1, wrong, ModelStage::active);
  offer.keys.push_back(signers_.keys(2));
  ASSERT_TRUE(desk_->offer(offer));
  await("refused");
  restart();
  EXPECT_EQ(desk_->figures().keys_number, 2U);
}

TEST_F(Desk, AnswersOffersOfModelsThatNoGroupUses) {
  auto offer = signers_.offer(1, make_version(1, 1), ModelStage::active);
  offer.model = "ovens";
  ASSERT_TRUE(desk_->offer(offer));
  EXPECT_EQ(reports().at(0).model, "pumps") << "who uses it says so at its start";
  await([&] { return reports().size() == 2; }, "a report");
  EXPECT_EQ(reports()[1].model, "ovens");
  EXPECT_EQ(reports()[1].state, "refused");
  EXPECT_EQ(reports()[1].offer, 1U);
  EXPECT_EQ(refused("unknown_model"), 1);
}

TEST_F(Desk, AFileThatIsAnotherIsThrownAway) {
  const auto version = make_version(1, 1);
  ASSERT_TRUE(desk_->offer(signers_.offer(1, version, ModelStage::active)));
  fetch_.deliver(make_version(1, 2).file);
  await("failed");
  EXPECT_THAT(figures().detail, HasSubstr("mismatch"));
  EXPECT_FALSE(fs::exists(models_ / "pumps" / (version.manifest.sha256 + ".lw")));
  auto damaged = version.file;
  damaged[damaged.size() / 2] ^= 1;
  ASSERT_TRUE(desk_->offer(signers_.offer(2, version, ModelStage::active)));
  fetch_.deliver(damaged);
  await([&] { return figures().kept.offer == 2 && figures().state == "failed"; }, "damaged");
  ASSERT_TRUE(desk_->offer(signers_.offer(3, version, ModelStage::active)));
  fetch_.fail("no route to the hub");
  await([&] { return figures().detail == "no route to the hub"; }, "failed");
  take(version, 4, ModelStage::active);
}

TEST_F(Desk, ANewerOfferEndsTheTransferOfAnOlderOne) {
  const auto first = make_version(1, 1);
  const auto second = make_version(2, 2);
  ASSERT_TRUE(desk_->offer(signers_.offer(1, first, ModelStage::shadow)));
  EXPECT_EQ(fetch_.await_start(), first.manifest.sha256);
  ASSERT_TRUE(desk_->offer(signers_.offer(2, second, ModelStage::shadow)));
  await([&] { return fetch_.starts == 2; }, "another transfer");
  EXPECT_EQ(fetch_.cancels, 1);
  fetch_.deliver(second.file);
  await("shadow");
  EXPECT_EQ(figures().version, 2U);
}

TEST_F(Desk, TheNextStartHasTheModelFromTheFirstRowAndGoesOnFetching) {
  take(make_version(1, 1), 1, ModelStage::active);
  ASSERT_TRUE(desk_->offer(signers_.offer(2, make_version(2, 2), ModelStage::shadow)));
  fetch_.await_start();
  restart();
  feed(3);
  EXPECT_EQ(scoring(), "pumps 1");
  fetch_.deliver(make_version(2, 2).file);
  await("shadow");
  EXPECT_EQ(metrics_.counter("model_rows_unscored_total", "").value(), 0);
}

TEST_F(Desk, ThreeUncleanEndsOfATrialBringTheOneBeforeBackWithoutTheHub) {
  restart(true, milliseconds(100));
  take(make_version(1, 1), 1, ModelStage::active);
  feed(5);
  await("confirmed");
  take(make_version(2, 2), 2, ModelStage::active);
  restart(false);
  EXPECT_EQ(figures().state, "active");
  restart(false);
  restart(false);
  EXPECT_EQ(figures().state, "reverted");
  feed(3);
  EXPECT_EQ(scoring(), "pumps 1");
  const auto last = reports().back();
  EXPECT_EQ(last.state, "reverted");
  EXPECT_EQ(last.version, 2U);
  EXPECT_EQ(last.offer, 2U);
  EXPECT_THAT(last.detail, HasSubstr("3 times"));
}

TEST_F(Desk, AnUncleanEndThatCannotBeCountedRestsWhatIsOnTrial) {
  restart(true, milliseconds(100));
  take(make_version(1, 1), 1, ModelStage::active);
  feed(5);
  await("confirmed");
  take(make_version(2, 2), 2, ModelStage::active);
  end(false);
  for (const char* copy : {"state-0", "state-1"}) {  // a folder where the next write goes
    const fs::path path = models_ / "pumps" / copy;
    const auto text = read_file(path, 1 << 20);
    if (text && text->find("\"told\": \"active\"") != std::string::npos) continue;
    fs::remove(path);
    fs::create_directories(path / "in the way");
  }
  begin();
  feed(3);
  EXPECT_EQ(scoring(), "pumps 1");
  EXPECT_EQ(figures().state, "failed");
  EXPECT_THAT(figures().detail, HasSubstr("could not be counted"));
}

TEST_F(Desk, ADamagedFileEmptiesItsSlotAndTheOneBeforeScores) {
  restart(true, milliseconds(100));
  const auto first = make_version(1, 1);
  const auto second = make_version(2, 2);
  take(first, 1, ModelStage::active);
  feed(5);
  await("confirmed");
  take(second, 2, ModelStage::active);
  end();
  {
    std::fstream file(models_ / "pumps" / (second.manifest.sha256 + ".lw"),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(500);
    file.put('!');
  }
  begin();
  EXPECT_EQ(figures().state, "failed");
  EXPECT_EQ(figures().version, 2U);
  feed(3);
  EXPECT_EQ(scoring(), "pumps 1");
}

TEST_F(Desk, LostStateIsToldSoThatTheHubOffersAgain) {
  take(make_version(1, 1), 7, ModelStage::active);
  end();
  for (const char* copy : {"state-0", "state-1"}) {
    ASSERT_TRUE(write_file_atomic(models_ / "pumps" / copy, "nonsense"));
  }
  begin();
  EXPECT_EQ(reports().back().state, "failed");
  EXPECT_EQ(reports().back().offer, 0U);
  ASSERT_TRUE(desk_->offer(signers_.offer(7, make_version(1, 1), ModelStage::active)));
  await("active");
  EXPECT_EQ(fetch_.starts, 1) << "the file was still there";
}

TEST_F(Desk, AFolderThatCannotBeWrittenKeepsNothingFromScoring) {
  take(make_version(1, 1), 1, ModelStage::active);
  end();
  fs::rename(models_ / "pumps", folder_.path() / "pumps");
  fs::remove_all(models_);
  ASSERT_TRUE(write_file_atomic(models_, "a file where the folder was"));
  begin();
  feed(3);
  EXPECT_EQ(scoring(), "auto");
  ASSERT_TRUE(desk_->offer(signers_.offer(2, make_version(2, 2), ModelStage::active)));
  feed(3);
  EXPECT_EQ(scoring(), "auto");
  EXPECT_GE(metrics_.counter("model_keep_failures_total", "").value(), 1);
}

TEST_F(Desk, AnOperatorsWishIsGrantedWhileItRuns) {
  restart(true, milliseconds(100));
  take(make_version(1, 1), 1, ModelStage::active);
  feed(5);
  await("confirmed");
  take(make_version(2, 2), 2, ModelStage::active);
  const ModelSlots slots(models_ / "pumps");
  ASSERT_TRUE(slots.ask_rollback());
  await("reverted");
  await([&] { return !slots.rollback_asked(); }, "the wish is gone");
  feed(3);
  EXPECT_EQ(scoring(), "pumps 1");
}

TEST_F(Desk, WithWhatItRemembersLostItTakesNothingUntilAnOperatorDecides) {
  take(make_version(5, 1), 1, ModelStage::active);
  end();
  fs::remove(models_ / "remembered");
  fs::remove(folder_.path() / "id/models.remembered");
  begin();
  feed(3);
  EXPECT_EQ(scoring(), "pumps 5") << "scoring goes on";
  EXPECT_THAT(desk_->figures().problem, HasSubstr("lapwing-agent model trust"));
  ASSERT_TRUE(desk_->offer(signers_.offer(2, make_version(3, 3), ModelStage::active)));
  await([&] { return refused("no_trust") == 1; }, "refused");
  EXPECT_THAT(states(), ::testing::Contains("refused"));
  ASSERT_TRUE(write_file_atomic(models_ / "trust", ""));
  await([&] { return desk_->figures().problem.empty(); }, "trust");
  take(make_version(6, 3), 3, ModelStage::active);
}

TEST_F(Desk, NoNewsForLongIsAnAlarmAndScoringGoesOn) {
  const auto version = make_version(1, 1);
  ASSERT_TRUE(desk_->offer(signers_.offer(1, version, ModelStage::active, milliseconds(700))));
  fetch_.deliver(version.file);
  await("active");
  await([&] { return desk_->figures().frozen; }, "frozen");
  feed(3);
  EXPECT_EQ(scoring(), "pumps 1");
  EXPECT_EQ(metrics_.gauge("models_frozen", "").value(), 1);
  ASSERT_TRUE(desk_->offer(signers_.offer(2, version, ModelStage::active)));
  await([&] { return !desk_->figures().frozen; }, "news");
  const auto alarms = records<wire::AnomalyRecord>();
  ASSERT_EQ(alarms.size(), 2U);
  EXPECT_EQ(alarms[0].phase, wire::Phase::opened);
  EXPECT_EQ(alarms[0].stream, "lapwing/models");
  EXPECT_EQ(alarms[1].phase, wire::Phase::closed);
  EXPECT_EQ(alarms[1].id, alarms[0].id);
}

TEST_F(Desk, NumberNoneWithdrawsAndTheGroupsOwnDetectorScores) {
  take(make_version(1, 1), 1, ModelStage::active);
  feed(3);
  ASSERT_TRUE(desk_->offer({.offer = 2, .model = "pumps", .number = 0}));
  await("withdrawn");
  EXPECT_EQ(scoring(), "auto");
  restart();
  EXPECT_EQ(figures().state, "withdrawn");
}

}  // namespace
}  // namespace lapwing::agent::desk_test
