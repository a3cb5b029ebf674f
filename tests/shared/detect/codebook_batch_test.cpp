// SPDX-License-Identifier: Apache-2.0
/// Codebooks of many streams searched together: the same bits as one stream after another.
#include "shared/detect/auto/batch.hpp"
#include "shared/detect/auto/nearest.hpp"
#include "shared/detect/cuda/fallback.hpp"
#include "tests/shared/detect/codebooks.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <numbers>
#include <vector>

namespace lapwing::detect::codebook_batch_test {
namespace {

using codebooks::CudaCodebooks;
using testing::RandomCodebooks;
using testing::same_bits;

CodebookBatch make(std::size_t streams, std::size_t count, std::size_t dimensions) {
  auto made = CodebookBatch::make(streams, count, dimensions, Device::cpu);
  EXPECT_TRUE(made);
  return std::move(*made);
}

/// Answers as a device does, with its task, then fails.
class FailingDevice final : public CudaCodebooks {
 public:
  explicit FailingDevice(int good_calls) : good_(good_calls) {}
  Result<void> load(const codebooks::Books& books, std::size_t, std::size_t streams) override {
    books_ = books;
    loaded_ += streams;
    return {};
  }
  Result<void> find(const codebooks::Windows& windows, std::size_t count, Nearest* found) override {
    EXPECT_EQ(loaded_, RandomCodebooks::kStreams) << "each codebook is copied once";
    if (good_-- <= 0) return Error{Errc::no_device, "fell off the bus"};
    constexpr std::uint32_t kWorkers = 32;
    for (std::size_t i = 0; i < count; ++i) {
      found[i] = codebooks::nearest_of(books_, windows, i, 0, kWorkers);
      for (std::uint32_t worker = 1; worker < kWorkers; ++worker) {
        found[i] = codebooks::nearer(codebooks::nearest_of(books_, windows, i, worker, kWorkers),
                                     found[i]);
      }
    }
    return {};
  }

 private:
  codebooks::Books books_;
  std::size_t loaded_ = 0;
  int good_;
};

TEST(CodebookBatch, FindsWhatOneStreamAfterAnotherFinds) {
  RandomCodebooks random;
  const auto windows = random.windows(3000);
  CodebookBatch batch = make(50, 96, 48);
  random.put_into(batch);
  const auto found = RandomCodebooks::find(batch, windows);
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const std::size_t stream = i % RandomCodebooks::kStreams;
    Nearest expected{0, codebooks::kFar};
    if (random.used(stream) > 0) {
      expected = nearest_centroid(random.codes(stream).data(), random.scales(stream),
                                  random.used(stream), windows[i].query, windows[i].query_scale);
    }
    ASSERT_EQ(found[i].centroid, expected.centroid) << i;
    ASSERT_EQ(found[i].square, expected.square) << i;
  }
  EXPECT_EQ(batch.asked(), 0U);
}

TEST(CodebookBatch, GoesOnOnTheCpuWhenTheDeviceFails) {
  RandomCodebooks random;
  const auto windows = random.windows(CudaCodebooks::kWindowsMax + 700);
  CodebookBatch cpu = make(50, 96, 48);
  random.put_into(cpu);
  const auto expected = RandomCodebooks::find(cpu, windows);
  const std::uint64_t before = device_failures();
  for (const int good : {4, 1}) {
    CodebookBatch batch(50, 96, 48, std::make_unique<FailingDevice>(good));
    random.put_into(batch);
    EXPECT_TRUE(same_bits(RandomCodebooks::find(batch, windows), expected)) << good;
    EXPECT_TRUE(same_bits(RandomCodebooks::find(batch, windows), expected)) << good;
  }
  EXPECT_EQ(device_failures() - before, 1U) << "told once; never where four calls are good";
}

/// The detector's own way, and all streams in step with one search for all.
TEST(CodebookBatch, KeepsStreamsInStepWithTheirOwnPushes) {
  using Book = Codebook<32, 16, View::shape>;
  constexpr std::size_t kStreams = 20;
  std::vector<std::vector<std::int8_t>> alone_codes(kStreams,
                                                    std::vector<std::int8_t>(Book::kCodes));
  auto step_codes = alone_codes;
  std::vector<Book> alone(kStreams);
  std::vector<Book> step(kStreams);
  for (std::size_t s = 0; s < kStreams; ++s) {
    alone[s].start(20.0 + static_cast<double>(s));
    step[s].start(20.0 + static_cast<double>(s));
  }
  CodebookBatch batch = make(kStreams, 32, 16);
  std::size_t searches = 0;
  testing::Random random(7);
  for (int row = 0; row < 600; ++row) {
    const Growth growth = row < 400 ? Growth::grow : Growth::settle;
    std::vector<std::size_t> due;
    std::vector<CodedWindow> windows;
    for (std::size_t s = 0; s < kStreams; ++s) {
      const double value = std::sin(2 * std::numbers::pi * row / (20.0 + static_cast<double>(s))) +
                           0.2 * random.normal();
      alone[s].push(alone_codes[s], static_cast<float>(value), growth, row < 400);
      if (!step[s].advance(static_cast<float>(value))) continue;
      due.push_back(s);
      step[s].describe(windows.emplace_back());
      ASSERT_TRUE(batch.put(s, step_codes[s], step[s].scales(), step[s].used()));
      ASSERT_TRUE(batch.ask(s, windows.back()));
    }
    std::vector<Nearest> found(due.size());
    ASSERT_TRUE(batch.find(found));
    for (std::size_t i = 0; i < due.size(); ++i) {
      step[due[i]].judge(step_codes[due[i]], windows[i], found[i], growth, row < 400);
    }
    searches += due.size();
    for (std::size_t s = 0; s < kStreams; ++s) {
      ASSERT_EQ(step[s].score(), alone[s].score()) << row << " " << s;
      ASSERT_EQ(step_codes[s], alone_codes[s]) << row << " " << s;
    }
  }
  EXPECT_GT(searches, 3000U);
}

TEST(CodebookBatch, RefusesWhatDoesNotFit) {
  EXPECT_EQ(CodebookBatch::make(1, 33, 16, Device::cpu).error().code, Errc::bad_shape);
  EXPECT_EQ(CodebookBatch::make(1, 32, 49, Device::cpu).error().code, Errc::bad_shape);
  CodebookBatch batch = make(2, 32, 16);
  const std::vector<std::int8_t> codes(32 * 16);
  const std::vector<float> scales(32);
  EXPECT_TRUE(batch.put(1, codes, scales, 32));
  EXPECT_EQ(batch.put(2, codes, scales, 32).error().code, Errc::bad_shape);
  EXPECT_EQ(batch.put(1, codes, scales, 33).error().code, Errc::bad_shape);
  EXPECT_EQ(batch.put(1, std::span(codes).first(500), scales, 32).error().code, Errc::bad_shape);
  EXPECT_EQ(batch.ask(2, {}).error().code, Errc::bad_shape);
  ASSERT_TRUE(batch.ask(1, {}));
  std::vector<Nearest> found(2);
  EXPECT_EQ(batch.find(found).error().code, Errc::bad_shape);
}

}  // namespace
}  // namespace lapwing::detect::codebook_batch_test
