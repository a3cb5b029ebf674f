// SPDX-License-Identifier: Apache-2.0
/// Snapshots that another machine wrote (snapshots/, by x86-64) restore here and go on with the
/// scores it had. LAPWING_WRITE_SNAPSHOTS=FOLDER writes them anew instead.
#include "shared/detect/group_pipeline.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/pipeline.hpp"
#include "shared/detect/random.hpp"
#include "shared/detect/snapshot.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::detect::snapshots_test {
namespace {

constexpr Time kStart = from_micros(1'700'000'000'000'000);
constexpr std::size_t kSensors = 3;
constexpr std::size_t kBefore = 900;  ///< rows until the snapshot
constexpr std::size_t kAfter = 300;   ///< rows whose scores are kept
constexpr std::size_t kTrained = 400;

/// How far a score may be from the kept one, over 1 + score. Processors like the one that wrote
/// the files, x86-64 with AVX2 and FMA, give the same bits. Seen elsewhere: 2e-6 (matrix_profile)
/// without fused products, on aarch64 the same bits but for 1.2e-7 (one_class_svm).
float tolerance() {
#if defined(__x86_64__)
  const bool fused = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool wider = __builtin_cpu_supports("avx512f");
  if (fused && !wider) return 0;
#endif
  return 1e-5F;
}

Time time_of(std::size_t row) {
  return kStart + static_cast<std::int64_t>(row) * std::chrono::minutes(5);
}

/// Triangles with noise and a fault: whole numbers of 1/256, for the same bits on every machine.
std::vector<double> make_rows(std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> values;
  for (std::size_t t = 0; t < rows; ++t) {
    const double triangle = std::abs(static_cast<double>(t % 48) - 24) / 8;
    const bool fault = t >= kBefore + 100 && t < kBefore + 160;
    for (std::size_t c = 0; c < kSensors; ++c) {
      double noise = 0;
      for (int i = 0; i < 4; ++i) noise += static_cast<double>(random.bits() & 0xFF) / 256 - 0.5;
      values.push_back(20 + static_cast<double>(c + 1) * triangle + noise +
                       (fault && c == 0 ? 9 : 0));
    }
  }
  return values;
}

/// What is kept of one detector.
struct Kept {
  std::vector<float> scores;  ///< of the rows after it, two a row
  std::vector<std::byte> state;
};

/// Something that scores rows and can be put away.
class Scorer {
 public:
  virtual ~Scorer() = default;
  virtual void score(std::span<const double> row, Time time, std::vector<float>& out) = 0;
  virtual std::vector<std::byte> snapshot() const = 0;
  virtual Result<void> restore(std::span<const std::byte> bytes) = 0;
};

WatchConfig watch_of(const Kind& kind) {
  WatchConfig watch;
  watch.detector = kind.name;
  // Small files.
  if (kind.name == "matrix_profile") watch.parameters = {{"history", 256}};
  if (kind.name == "halfspace_trees")
    watch.parameters = {{"trees", 4}, {"depth", 5}, {"window", 64}};
  return watch;
}

/// A pipeline of streams or of groups.
template <class P>
class Piped : public Scorer {
 public:
  std::vector<std::byte> snapshot() const override {
    std::vector<std::byte> bytes;
    pipeline_->snapshot(bytes);
    return bytes;
  }
  Result<void> restore(std::span<const std::byte> bytes) override {
    return pipeline_->restore(bytes);
  }

 protected:
  std::unique_ptr<P> pipeline_;
};

class OneStream final : public Piped<Pipeline> {
 public:
  explicit OneStream(const Kind& kind) : watch_(watch_of(kind)) {
    pipeline_ = std::move(*Pipeline::make(watch_, 1));
  }
  void score(std::span<const double> row, Time time, std::vector<float>& out) override {
    const Sample sample{time, row[0]};
    Verdict verdict;
    events_.clear();
    pipeline_->push({&sample, 1}, time, events_, {&verdict, 1});
    out.insert(out.end(), {verdict.score, verdict.alarm});
  }

 private:
  WatchConfig watch_;
  std::vector<Event> events_;
};

class OneGroup final : public Piped<GroupPipeline> {
 public:
  explicit OneGroup(const Kind& kind) {
    group_.watch = watch_of(kind);
    pipeline_ = std::move(*GroupPipeline::make(group_, kSensors, 1));
  }
  void score(std::span<const double> row, Time time, std::vector<float>& out) override {
    events_.clear();
    const GroupVerdict verdict = pipeline_->push(time, row, time, events_);
    out.insert(out.end(), {verdict.score, verdict.raw});
  }

 private:
  GroupConfig group_;
  std::vector<GroupEvent> events_;
};

/// A trained kind: what travels is its model.
class OneModel final : public Scorer {
 public:
  explicit OneModel(const Kind& kind) : kind_(kind) {}

  void score(std::span<const double> row, Time, std::vector<float>& out) override {
    if (!detector_) train();
    float raw = 0;
    std::vector<float> shares(kSensors);
    EXPECT_TRUE(detector_->score({.values = row, .width = kSensors},
                                 {.raw = {&raw, 1}, .contributions = shares}));
    out.insert(out.end(), {raw, shares[0]});
  }
  std::vector<std::byte> snapshot() const override { return model_; }
  Result<void> restore(std::span<const std::byte> bytes) override {
    model_.assign(bytes.begin(), bytes.end());
    auto made = kind_.make({.width = kSensors}, {.model = model_});
    if (!made) return made.error();
    detector_ = std::move(*made);
    return {};
  }

 private:
  void train() {
    Settings settings{.width = kSensors};
    if (kind_.name == "isolation_forest") settings.parameters = {{"trees", 16}, {"sample", 64}};
    if (kind_.name == "auto") settings.parameters = {{"sample_rows", 64}};
    const auto rows = make_rows(kind_.name == "auto" ? kTrained / 16 : kTrained, 3);
    auto model = kind_.train({.values = rows, .width = kSensors}, settings, {});
    ASSERT_TRUE(model) << model.error().context;
    ASSERT_TRUE(restore(*model));
  }

  const Kind& kind_;
  std::vector<std::byte> model_;
  std::unique_ptr<Detector> detector_;
};

std::unique_ptr<Scorer> make(const Kind& kind) {
  switch (kind.input) {
    case Input::stream:
      return std::make_unique<OneStream>(kind);
    case Input::group:
      return std::make_unique<OneGroup>(kind);
    case Input::rows:
      return std::make_unique<OneModel>(kind);
  }
  return nullptr;
}

std::string name(const Kind& kind) {
  constexpr std::string_view kInputs[] = {"stream", "group", "rows"};
  return std::string(kind.name) + "_" + std::string(kInputs[static_cast<int>(kind.input)]);
}

std::vector<float> scores(Scorer& scorer, std::size_t from, std::size_t to) {
  const auto rows = make_rows(to, 1);
  std::vector<float> out;
  for (std::size_t t = from; t < to; ++t) {
    scorer.score(std::span(rows).subspan(t * kSensors, kSensors), time_of(t), out);
  }
  return out;
}

/// A file is one frame: the scores, then the state.
constexpr std::uint64_t kTag = 0x736E6170'73686F74;

Kept read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  const auto content = open_frame(bytes, kTag);
  EXPECT_TRUE(content) << path << ": " << content.error().context;
  if (!content) return {};
  Kept kept{std::vector<float>(2 * kAfter), {}};
  StateReader reader(*content);
  reader(kept.scores);
  kept.state.assign(reader.rest().begin(), reader.rest().end());
  return kept;
}

void write(const std::filesystem::path& path, const Kept& kept) {
  std::vector<std::byte> bytes;
  const std::size_t begun = begin_frame(bytes, kTag);
  StateWriter writer(bytes);
  writer(kept.scores, kept.state);
  end_frame(bytes, begun);
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.good()) << path;
}

class Snapshots : public ::testing::TestWithParam<Kind> {};

TEST_P(Snapshots, OfAnotherMachineGoOnHere) {
  const std::string file = name(GetParam()) + ".bin";
  if (const char* folder = std::getenv("LAPWING_WRITE_SNAPSHOTS")) {
    const auto one = make(GetParam());
    scores(*one, 0, kBefore);
    const auto state = one->snapshot();
    write(std::filesystem::path(folder) / file, {scores(*one, kBefore, kBefore + kAfter), state});
    GTEST_SKIP() << "written, not compared";
  }
  const Kept kept = read(std::filesystem::path(LAPWING_SNAPSHOTS) / file);
  const auto one = make(GetParam());
  const auto done = one->restore(kept.state);
  ASSERT_TRUE(done) << done.error().context;
  EXPECT_EQ(one->snapshot(), kept.state) << "the same bytes";
  const auto got = scores(*one, kBefore, kBefore + kAfter);
  float worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - kept.scores[i]) / (1 + kept.scores[i]));
  }
  EXPECT_LE(worst, tolerance());
}

INSTANTIATE_TEST_SUITE_P(AllKinds, Snapshots, ::testing::ValuesIn(kKinds),
                         [](const auto& one) { return name(one.param); });

}  // namespace
}  // namespace lapwing::detect::snapshots_test
