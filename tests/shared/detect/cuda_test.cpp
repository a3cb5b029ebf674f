// SPDX-License-Identifier: Apache-2.0
/// Every kind with a CUDA driver gives on a device what it gives on the CPU. Without a device it
/// says so; with LAPWING_REQUIRE_CUDA=1 that is a failure, so that a run on a machine with a GPU
/// cannot pass without it.
#include "shared/detect/cuda/fallback.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/random.hpp"
#include "tests/shared/detect/codebooks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::detect::cuda_test {
namespace {

constexpr float kTolerance = 1e-5F;  // of max(1, score)

bool device_required() {
  const char* value = std::getenv("LAPWING_REQUIRE_CUDA");
  return value != nullptr && std::string_view(value) == "1";
}

struct Case {
  std::string name;
  Kind kind;
  decltype(Settings::parameters) parameters = {};
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class Cuda : public ::testing::TestWithParam<Case> {};

TEST_P(Cuda, GivesWhatTheCpuGivesOrSaysThereIsNoDevice) {
  const Kind& kind = GetParam().kind;
  const std::size_t width = kind.input == Input::stream ? 1 : 8;
  const Settings settings{.width = width, .parameters = GetParam().parameters};
  Random random(3);
  std::vector<double> values(5000 * width);
  for (double& value : values) value = random.normal() + (random.uniform() < 0.01 ? 6 : 0);
  std::vector<std::byte> model;
  if (kind.learning == Learning::trained) {
    auto trained =
        kind.train({.values = std::span(values).first(1000 * width), .width = width}, settings, {});
    ASSERT_TRUE(trained) << trained.error().context;
    model = std::move(*trained);
  }
  Settings on_device = settings;
  on_device.device = Device::cuda;
  const auto cuda = kind.make(on_device, {.model = model});
  if (!cuda) {
    EXPECT_EQ(cuda.error().code, Errc::no_device);
    EXPECT_NE(cuda.error().context.find("set device to cpu"), std::string::npos)
        << cuda.error().context;
    EXPECT_FALSE(device_required()) << "LAPWING_REQUIRE_CUDA=1, but: " << cuda.error().context;
    return;
  }
  const auto cpu = kind.make(settings, {.model = model});
  ASSERT_TRUE(cpu);
  const std::uint64_t before = device_failures();
  // Below, at and above a warp and a block, and a rest that is none of them.
  std::size_t at = 0;
  for (const std::size_t rows : {1U, 31U, 32U, 33U, 255U, 256U, 257U, 4000U}) {
    const Batch batch{.values = std::span(values).subspan(at * width, rows * width),
                      .width = width};
    std::vector<float> expected(rows);
    std::vector<float> raw(rows);
    ASSERT_TRUE((*cpu)->score(batch, {.raw = expected}));
    ASSERT_TRUE((*cuda)->score(batch, {.raw = raw}));
    for (std::size_t i = 0; i < rows; ++i) {
      ASSERT_NEAR(raw[i], expected[i], kTolerance * std::max(1.0F, expected[i]))
          << rows << " " << i;
    }
    at += rows;
  }
  EXPECT_EQ(device_failures(), before) << "the CPU took over";
}

std::vector<Case> cuda_cases() {
  std::vector<Case> cases;
  for (const Kind& kind : kKinds) {
    if (kind.cuda) cases.push_back({.name = std::string(kind.name), .kind = kind});
  }
  cases.push_back({.name = "one_class_svm_with_features",
                   .kind = kOneClassSvm,
                   .parameters = {{"features", 2048}}});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(AllKinds, Cuda, ::testing::ValuesIn(cuda_cases()),
                         [](const auto& one) { return one.param.name; });

/// Below, at and above what a block takes (4 windows), and one full call and a rest.
TEST(CudaCodebooks, GiveTheBitsOfTheCpuOrSayThereIsNoDevice) {
  using testing::RandomCodebooks;
  constexpr std::size_t kMost = codebooks::CudaCodebooks::kWindowsMax;
  RandomCodebooks random;
  auto cuda = CodebookBatch::make(RandomCodebooks::kStreams, RandomCodebooks::kCount,
                                  RandomCodebooks::kDimensions, Device::cuda);
  if (!cuda) {
    EXPECT_EQ(cuda.error().code, Errc::no_device);
    EXPECT_FALSE(device_required()) << "LAPWING_REQUIRE_CUDA=1, but: " << cuda.error().context;
    return;
  }
  auto cpu = CodebookBatch::make(RandomCodebooks::kStreams, RandomCodebooks::kCount,
                                 RandomCodebooks::kDimensions, Device::cpu);
  ASSERT_TRUE(cpu);
  const std::uint64_t before = device_failures();
  random.put_into(*cuda);
  random.put_into(*cpu);
  for (const std::size_t count : {std::size_t{0}, std::size_t{511}, std::size_t{512},
                                  std::size_t{513}, std::size_t{515}, kMost, kMost + 600}) {
    const auto windows = random.windows(count);
    ASSERT_TRUE(testing::same_bits(RandomCodebooks::find(*cuda, windows),
                                   RandomCodebooks::find(*cpu, windows)))
        << count;
  }
  EXPECT_EQ(device_failures(), before) << "the CPU took over";
}

}  // namespace
}  // namespace lapwing::detect::cuda_test
