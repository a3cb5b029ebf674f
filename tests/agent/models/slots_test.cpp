// SPDX-License-Identifier: Apache-2.0
/// What lies on disk of models: it survives damage to any one file, and losing it is noticed.
#include "agent/models/slots.hpp"

#include "agent/models/remembered.hpp"
#include "shared/base/files.hpp"
#include "shared/release/signed.hpp"
#include "tests/shared/model/made_model.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace lapwing::agent::slots_test {
namespace {

namespace fs = std::filesystem;
using lapwing::testing::TempDir;

constexpr Time kAt = from_micros(1'790'000'000'000'000);

std::string digest(char c) { return std::string(64, c); }

ActivationState some_state() {
  ActivationState state;
  state.offer = 7;
  state.rollout = 3;
  state.active = {{.number = 2, .sha256 = digest('a'), .length = 10}, kAt};
  state.previous = {{.number = 1, .sha256 = digest('b'), .length = 11}, kAt};
  state.wanted = {{.number = 3, .sha256 = digest('c'), .length = 12}, wire::ModelStage::active};
  state.confirmed = true;
  state.unclean_starts = 2;
  state.told = "confirmed";
  state.told_version = 2;
  state.told_detail = "a \"word\" or two";
  return state;
}

void damage(const fs::path& file, std::size_t at) {
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(static_cast<std::streamoff>(at));
  const auto was = static_cast<char>(bytes.get());
  bytes.seekp(static_cast<std::streamoff>(at));
  bytes.put(static_cast<char>(was ^ 0x04));
}

TEST(ModelSlots, KeepTheirStateOverARestart) {
  const TempDir folder;
  ModelSlots slots(folder.path() / "pumps");
  std::string problem;
  EXPECT_EQ(slots.read(problem), ActivationState{});
  EXPECT_EQ(problem, "");
  ASSERT_TRUE(slots.keep(some_state()));
  EXPECT_EQ(ModelSlots(folder.path() / "pumps").read(problem), some_state());
  EXPECT_EQ(ModelSlots::names(folder.path()), std::vector<std::string>{"pumps"});
}

TEST(ModelSlots, DamageToOneCopyLeavesTheStateBeforeAndIsTold) {
  const TempDir folder;
  ModelSlots slots(folder.path());
  auto before = some_state();
  ASSERT_TRUE(slots.keep(before));
  auto after = before;
  after.offer = 8;
  ASSERT_TRUE(slots.keep(after));
  std::string problem;
  const auto newest =
      read_file(folder.path() / "state-1", 1 << 20)->find("\"offer\": 8") != std::string::npos
          ? folder.path() / "state-1"
          : folder.path() / "state-0";
  const auto size = fs::file_size(newest);
  for (std::size_t at = 0; at < size; at += 7) {
    damage(newest, at);
    ModelSlots again(folder.path());
    EXPECT_EQ(again.read(problem), before) << at;
    EXPECT_NE(problem, "") << at;
    damage(newest, at);  // and back
  }
  EXPECT_EQ(ModelSlots(folder.path()).read(problem), after);
  fs::resize_file(newest, size / 2);
  ModelSlots again(folder.path());
  EXPECT_EQ(again.read(problem), before);
  ASSERT_TRUE(again.keep(after));
  EXPECT_EQ(ModelSlots(folder.path()).read(problem), after) << "and it is mended by the next write";
  EXPECT_EQ(problem, "");
}

TEST(ModelSlots, RemoveFilesThatNoStateNames) {
  const TempDir folder;
  ModelSlots slots(folder.path());
  for (const char c : {'a', 'b', 'c', 'd'}) {
    ASSERT_TRUE(write_file_atomic(slots.file(digest(c)), "x"));
  }
  ASSERT_TRUE(write_file_atomic(folder.path() / (digest('e') + ".lw.part"), "x"));
  auto state = some_state();
  ASSERT_TRUE(slots.keep(state));
  EXPECT_TRUE(fs::exists(slots.file(digest('c')))) << "it is wanted";
  EXPECT_FALSE(fs::exists(slots.file(digest('d'))));
  EXPECT_FALSE(fs::exists(folder.path() / (digest('e') + ".lw.part")));
  state.previous.reset();
  ASSERT_TRUE(slots.keep(state));
  EXPECT_TRUE(fs::exists(slots.file(digest('b')))) << "the other copy still names it";
  ASSERT_TRUE(slots.keep(state));
  EXPECT_FALSE(fs::exists(slots.file(digest('b'))));
}

TEST(ModelSlots, OpenTheVersionTheyAreAskedForAndNothingElse) {
  const TempDir folder;
  const ModelSlots slots(folder.path());
  const model::Made made;
  auto trained = model::train(made.request("pca"));
  ASSERT_TRUE(trained);
  const auto whole = model::Model::read(trained->file);
  const ModelVersion version{
      .number = 4, .sha256 = whole->sha256(), .length = trained->file.size()};
  const auto absent = slots.open("pumps", version);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Errc::not_found);
  ASSERT_TRUE(write_file_atomic(slots.file(version.sha256), trained->file));
  const auto opened = slots.open("pumps", version);
  ASSERT_TRUE(opened) << opened.error().context;
  EXPECT_EQ((*opened)->label(), "pumps 4");
  auto longer = version;
  ++longer.length;
  const auto other = slots.open("pumps", longer);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::denied);
  damage(slots.file(version.sha256), 200);
  EXPECT_FALSE(slots.open("pumps", version));
}

/// Keys and a list of them, as an enrolment leaves.
struct Keys {
  trust::PrivateKey root = *trust::PrivateKey::generate_ed25519();
  trust::PrivateKey hub = *trust::PrivateKey::generate_ed25519();
  trust::PrivateKey release = *trust::PrivateKey::generate_ed25519();
  [[nodiscard]] release::KeyList list(std::uint64_t number = 1) const {
    return {.number = number,
            .threshold = 1,
            .roots = {root.public_pem()},
            .releases = {release.public_pem()},
            .hubs = {hub.public_pem()},
            .expires = kAt + std::chrono::hours(1000)};
  }
  [[nodiscard]] std::string file(std::uint64_t number = 1) const {
    release::Signed list(this->list(number));
    EXPECT_TRUE(list.sign(root));
    return list.encode();
  }
};

class Trust : public ::testing::Test {
 protected:
  Trust() {
    fs::create_directories(folder_.path() / "models");
    fs::create_directories(folder_.path() / "identity");
    EXPECT_TRUE(write_file_atomic(files_.keys_file, keys_.file()));
  }
  /// Accepts a version, so that there is something to lose.
  void accept(ModelTrust& trust, std::uint64_t number) {
    trust.judge()->accept({.manifest = {.model = "pumps", .number = number, .sha256 = digest('a')},
                           .release_key = keys_.release.public_pem(),
                           .until = kAt + std::chrono::hours(number)});
    ASSERT_TRUE(trust.keep());
  }
  [[nodiscard]] std::uint64_t remembered() {
    ModelTrust trust(files_);
    trust.load();
    if (trust.judge() == nullptr) return 0;
    const auto& models = trust.judge()->remembered().models;
    return models.contains("pumps") ? models.at("pumps").number : 0;
  }
  TempDir folder_;
  Keys keys_;
  ModelTrust::Files files_{.models = folder_.path() / "models",
                           .second = folder_.path() / "identity" / "models.remembered",
                           .keys_file = folder_.path() / "identity" / "keys.lwk"};
  fs::path first_ = files_.models / "remembered";
};

TEST_F(Trust, BeginsWithTheListThatCameWithTheIdentity) {
  ModelTrust trust(files_);
  trust.load();
  ASSERT_NE(trust.judge(), nullptr) << trust.problem();
  EXPECT_EQ(trust.judge()->remembered().keys, keys_.list());
  EXPECT_TRUE(fs::exists(first_));
  EXPECT_TRUE(fs::exists(files_.second));
}

TEST_F(Trust, WaitsForAListWhereThereIsNone) {
  fs::remove(files_.keys_file);
  ModelTrust trust(files_);
  trust.load();
  EXPECT_EQ(trust.judge(), nullptr);
  EXPECT_NE(trust.problem().find("keys.lwk"), std::string::npos) << trust.problem();
  ASSERT_TRUE(write_file_atomic(files_.keys_file, keys_.file()));
  trust.load();
  EXPECT_NE(trust.judge(), nullptr);
  EXPECT_EQ(trust.problem(), "");
}

TEST_F(Trust, OneDamagedOrLostCopyIsMendedFromTheOther) {
  ModelTrust trust(files_);
  trust.load();
  accept(trust, 5);
  for (const auto& copy : {first_, files_.second}) {
    damage(copy, fs::file_size(copy) / 2);
    EXPECT_EQ(remembered(), 5U) << copy;
    fs::remove(copy);
    EXPECT_EQ(remembered(), 5U) << copy;
    EXPECT_TRUE(fs::exists(copy)) << "mended";
  }
  fs::remove(first_);
  EXPECT_EQ(remembered(), 5U);
  fs::remove(files_.second);
  EXPECT_EQ(remembered(), 5U);
}

TEST_F(Trust, TheGreaterOfBothCounts) {
  ModelTrust trust(files_);
  trust.load();
  accept(trust, 3);
  const auto old_first = *read_file(first_, 1 << 20);
  const auto old_second = *read_file(files_.second, 1 << 20);
  accept(trust, 9);
  ASSERT_TRUE(write_file_atomic(first_, old_first));  // put back from a backup
  EXPECT_EQ(remembered(), 9U);
  ASSERT_TRUE(write_file_atomic(files_.second, old_second));
  EXPECT_EQ(remembered(), 9U);
}

TEST_F(Trust, WithBothGoneNothingIsTakenUntilAnOperatorDecides) {
  ModelTrust trust(files_);
  trust.load();
  accept(trust, 5);
  ASSERT_TRUE(ModelSlots(files_.models / "pumps").keep(some_state()));
  fs::remove(first_);
  fs::remove(files_.second);
  ModelTrust later(files_);
  later.load();
  EXPECT_EQ(later.judge(), nullptr) << "it does not begin anew by itself";
  EXPECT_NE(later.problem().find("lapwing-agent model trust"), std::string::npos);
  ASSERT_TRUE(later.begin_anew());
  EXPECT_NE(later.judge(), nullptr);
  EXPECT_EQ(later.problem(), "");
}

TEST_F(Trust, BothDamagedIsNotAsIfNew) {
  ModelTrust trust(files_);
  trust.load();
  accept(trust, 5);
  damage(first_, 100);
  damage(files_.second, 100);
  EXPECT_EQ(remembered(), 0U);
  ModelTrust later(files_);
  later.load();
  EXPECT_EQ(later.judge(), nullptr);
  EXPECT_NE(later.problem(), "");
}

TEST(Remembered, IsTheSameAfterItsText) {
  const Keys keys;
  const release::Remembered one{
      .keys = keys.list(4),
      .models = {{"pumps", {.number = 1ULL << 61U, .sha256 = digest('a'), .release_key = "k"}}},
      .until = kAt};
  const auto read = remembered_from(to_text(one));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->keys, one.keys);
  EXPECT_EQ(read->models, one.models);
  EXPECT_EQ(read->until, one.until);
  EXPECT_FALSE(remembered_from("{}"));
  EXPECT_FALSE(remembered_from("no json"));
}

TEST(Remembered, WhatAKeySignedThatIsTakenOutDoesNotCount) {
  const Keys keys;
  const Keys others;
  release::Remembered older{.keys = keys.list(1),
                            .models = {{"pumps",
                                        {.number = 1ULL << 60U,
                                         .sha256 = digest('a'),
                                         .release_key = keys.release.public_pem()}}}};
  const release::Remembered newer{.keys = others.list(2)};
  EXPECT_TRUE(greater_of(older, newer).models.empty());
  EXPECT_TRUE(greater_of(newer, older).models.empty());
  EXPECT_EQ(greater_of(newer, older).keys.number, 2U);
}

}  // namespace
}  // namespace lapwing::agent::slots_test
