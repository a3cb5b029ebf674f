// SPDX-License-Identifier: Apache-2.0
// The model file: what comes back, and what is refused.
#include "shared/model/model.hpp"

#include "shared/base/files.hpp"
#include "shared/model/seal.hpp"
#include "tests/shared/model/made_model.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>

namespace lapwing::model {
namespace {

using lapwing::testing::TempDir;
using ::testing::HasSubstr;

class ModelFile : public ::testing::Test {
 protected:
  Made made_;
  Trained trained_ = train(made_.request()).value();
  std::vector<std::byte> payload() const {
    const auto model = Model::read(trained_.file).value();
    return {model.payload().begin(), model.payload().end()};
  }
};

TEST_F(ModelFile, TellsWhatWasWritten) {
  const auto model = Model::read(trained_.file).value();
  const auto& h = model.header();
  EXPECT_EQ(h.kind, "isolation_forest");
  ASSERT_EQ(h.sensors.size(), 2U);
  EXPECT_EQ(h.sensors[0].name, "temperature");
  EXPECT_EQ(h.sensors[1].unit, "bar");
  EXPECT_EQ(h.lineage.rows, 480U);
  EXPECT_EQ(h.lineage.span->first, made_.times.front());
  EXPECT_EQ(h.lineage.tool, "test 1");
  EXPECT_TRUE(h.calibration.held_out);
  EXPECT_EQ(h.calibration.rows, 120U);
  EXPECT_EQ(model.sha256().size(), 64U);
}

TEST_F(ModelFile, IsMappedAndScoresAsTheOneThatWasTrained) {
  const TempDir folder;
  const auto path = folder.path() / "pump.lw";
  ASSERT_TRUE(write_file_atomic(path, trained_.file));
  const auto model = Model::open(path).value();
  const auto again = Model::read(trained_.file).value();
  const auto a = model.make_detector().value();
  const auto b = again.make_detector().value();
  std::vector<float> left(Made::kRows);
  std::vector<float> right(Made::kRows);
  const detect::Batch batch{.values = made_.values, .width = 2, .learn = false};
  ASSERT_TRUE(a->score(batch, {.raw = left}));
  ASSERT_TRUE(b->score(batch, {.raw = right}));
  EXPECT_EQ(left, right);
  EXPECT_FALSE(Model::open(folder.path() / "none.lw"));
  EXPECT_EQ(Model::open(folder.path() / "none.lw").error().code, Errc::not_found);
}

/// Row 23 of the fault matrix.
TEST_F(ModelFile, DamagedAnywhereIsNotLoaded) {
  std::size_t offsets = 0;
  for (std::size_t at = 0; at < trained_.file.size(); at += 64) {
    for (const auto mask : {0x01, 0x80, 0xFF}) {
      auto file = trained_.file;
      file[at] = static_cast<char>(file[at] ^ mask);
      EXPECT_FALSE(Model::read(std::move(file))) << "offset " << at;
    }
    EXPECT_FALSE(Model::read(trained_.file.substr(0, at))) << "cut at " << at;
    ++offsets;
  }
  EXPECT_GT(offsets, 100U);
  for (std::size_t at = 0; at < kSealBytes; ++at) {
    auto file = trained_.file;
    file[at] = static_cast<char>(file[at] ^ 0x10);
    EXPECT_FALSE(Model::read(std::move(file))) << "seal " << at;
  }
  EXPECT_FALSE(Model::read(trained_.file + '\0'));
  EXPECT_FALSE(Model::read(""));
}

/// Whoever can make a seal can put anything behind it: the tables are checked for themselves.
TEST_F(ModelFile, DamagedBehindAGoodSealCrashesNothing) {
  const std::string body(unsealed(trained_.file).value());
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    auto changed = body;
    for (int n = 0; n < 3; ++n) {
      const auto near = random() % 2 == 0 ? std::min<std::size_t>(1024, body.size()) : body.size();
      changed[random() % near] = static_cast<char>(random());
    }
    if (round % 5 == 0) changed.resize(random() % changed.size());
    if (const auto model = Model::read(sealed(changed))) std::ignore = model->make_detector();
  }
}

TEST_F(ModelFile, RefusesWhatNoTrainingGives) {
  const auto bytes = payload();
  const auto refused = [&](const std::function<void(Header&)>& change, const char* reason) {
    Header header = trained_.header;
    change(header);
    const auto file = encode(header, bytes);
    ASSERT_FALSE(file) << reason;
    EXPECT_THAT(file.error().context, HasSubstr(reason));
  };
  refused([](Header& h) { h.kind = "crystal_ball"; }, "does not know");
  refused([](Header& h) { h.kind = "ewma"; }, "does not know");
  refused([](Header& h) { h.sensors.clear(); }, "0 sensors");
  refused([](Header& h) { h.sensors[1].name = "temperature"; }, "two sensors");
  refused([](Header& h) { h.sensors[0].name = ""; }, "empty");
  refused([](Header& h) { h.sensors[0].name = "\xFF"; }, "UTF-8");
  refused([](Header& h) { h.sensors[0].unit = std::string(300, 'x'); }, "longer than 256");
  refused([](Header& h) { h.sensors[0].mean = std::numeric_limits<double>::quiet_NaN(); },
          "no rows give");
  refused([](Header& h) { h.sensors[0].missing_share = 1.5; }, "no rows give");
  refused([](Header& h) { h.parameters["trees"] = 1e9; }, "trees");
  refused([](Header& h) { h.parameters["leaves"] = 3; }, "leaves");
  refused([](Header& h) { h.calibration.scores.back() = -1; }, "ascend");
  refused([](Header& h) { h.calibration.shares.pop_back(); }, "ascend");
  refused([](Header& h) { h.lineage.data_sha256 = "short"; }, "lineage");
  EXPECT_FALSE(encode(trained_.header, {}));
}

TEST_F(ModelFile, OfAnotherWidthThanItsPayloadMakesNoDetector) {
  Header header = trained_.header;
  header.sensors.push_back({.name = "third"});
  const auto model = Model::read(encode(header, payload()).value()).value();
  EXPECT_FALSE(model.make_detector());
}

}  // namespace
}  // namespace lapwing::model
