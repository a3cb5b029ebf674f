// SPDX-License-Identifier: Apache-2.0
/// What every detector promises in detector.hpp, run on each entry of kKinds: a new kind is tested
/// before its author writes a test.
#include "shared/detect/kinds.hpp"
#include "shared/detect/snapshot.hpp"
#include "tests/shared/detect/synthetic.hpp"
#include "tests/support/count_allocations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace lapwing::detect::detector_contract_test {
namespace {

using testing::make_stream;
using testing::Normal;
using testing::Random;
using testing::StreamSpec;

struct Results {
  std::vector<float> raw;
  std::vector<Band> bands;
  std::vector<Cause> causes;

  friend bool operator==(const Results& a, const Results& b) {
    const auto same = [](const Band& x, const Band& y) {
      return std::memcmp(&x, &y, sizeof(Band)) == 0;
    };
    return a.raw == b.raw && a.causes == b.causes && std::ranges::equal(a.bands, b.bands, same);
  }
};

class DetectorContract : public ::testing::TestWithParam<Kind> {
 protected:
  static constexpr std::uint32_t kWarmup = 100;

  [[nodiscard]] std::size_t width() const { return GetParam().input == Input::stream ? 1 : 3; }
  [[nodiscard]] bool trained() const { return GetParam().learning == Learning::trained; }
  /// Another warm-up, or for trained kinds another model, makes another detector.
  [[nodiscard]] std::unique_ptr<Detector> make(std::uint32_t warmup = kWarmup) const {
    std::vector<std::byte> model;
    if (trained()) model = train(values(Normal::autoregressive, 500 + warmup, 1, 99));
    return make_of(warmup, model);
  }
  [[nodiscard]] std::vector<std::byte> train(std::span<const double> rows) const {
    auto model = GetParam().train({.values = rows, .width = width()}, {.width = width()}, {});
    EXPECT_TRUE(model) << model.error().context;
    return std::move(*model);
  }
  [[nodiscard]] std::unique_ptr<Detector> make_of(std::uint32_t warmup,
                                                  std::span<const std::byte> model) const {
    auto made = GetParam().make({.width = width(), .warmup = warmup}, {.model = model});
    EXPECT_TRUE(made) << made.error().context;
    return std::move(*made);
  }
  Results run(Detector& detector, std::span<const double> values, std::size_t first_row = 0) const {
    const std::size_t rows = values.size() / width();
    std::vector<Time> times(rows);
    for (std::size_t i = 0; i < rows; ++i) {
      times[i] = from_micros(1'700'000'000'000'000) +
                 std::chrono::minutes(5) * static_cast<std::int64_t>(first_row + i);
    }
    Results results{std::vector<float>(rows, -1), std::vector<Band>(rows),
                    std::vector<Cause>(rows)};
    const auto done =
        detector.score({.values = values, .times = times, .width = width()},
                       {.raw = results.raw, .bands = results.bands, .causes = results.causes});
    EXPECT_TRUE(done) << done.error().context;
    return results;
  }
  [[nodiscard]] std::vector<double> values(Normal normal, std::size_t rows, double scale = 1,
                                           std::uint64_t seed = 7) const {
    const auto samples =
        make_stream({.normal = normal, .seed = seed, .readings = rows * width(), .scale = scale});
    std::vector<double> out;
    for (const Sample& sample : samples) out.push_back(sample.value);
    return out;
  }
  static void expect_defined(const Results& results) {
    for (std::size_t i = 0; i < results.raw.size(); ++i) {
      ASSERT_TRUE(std::isfinite(results.raw[i])) << "row " << i;
      ASSERT_GE(results.raw[i], 0) << "row " << i;
      const Band& band = results.bands[i];
      if (std::isnan(band.expected)) continue;
      ASSERT_LE(band.lower, band.expected) << "row " << i;
      ASSERT_LE(band.expected, band.upper) << "row " << i;
    }
  }
};

class OnlineContract : public DetectorContract {};
class TrainedContract : public DetectorContract {};
class StreamContract : public DetectorContract {};
class WideContract : public DetectorContract {};

TEST_P(DetectorContract, RefusesShapesThatDisagreeAndWritesNothing) {
  const auto detector = make();
  const auto input = values(Normal::noise, 4);
  std::vector<float> raw(4, -1);
  std::vector<float> short_raw(3, -1);
  std::vector<Time> short_times(2);
  std::vector<Band> short_bands(2);
  const Batch good{.values = input, .width = width()};
  Batch wide = good;
  wide.width = width() + 1;
  Batch few_times = good;
  few_times.times = short_times;
  for (const auto& [batch, scores] :
       {std::pair{wide, Scores{.raw = raw}}, std::pair{good, Scores{.raw = short_raw}},
        std::pair{few_times, Scores{.raw = raw}},
        std::pair{good, Scores{.raw = raw, .bands = short_bands}}}) {
    const auto done = detector->score(batch, scores);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::bad_shape);
  }
  EXPECT_EQ(raw, std::vector<float>(4, -1)) << "nothing is written on failure";
  EXPECT_EQ(short_raw, std::vector<float>(3, -1));
  const auto other = make();
  const auto more = values(Normal::noise, 300);
  EXPECT_EQ(run(*detector, more), run(*other, more)) << "nothing is learnt on failure";
}

TEST_P(DetectorContract, TakesNoRows) {
  const auto detector = make();
  EXPECT_TRUE(detector->score({.width = width()}, {}));
}

TEST_P(DetectorContract, RefusesSettingsOutOfRange) {
  const auto zero = GetParam().make({.width = 0, .warmup = kWarmup}, {});
  ASSERT_FALSE(zero);
  EXPECT_EQ(zero.error().code, Errc::bad_config);
  EXPECT_NE(zero.error().context.find(GetParam().name), std::string::npos);
  if (!trained()) {
    EXPECT_FALSE(GetParam().make({.width = width(), .warmup = 1}, {}));
  }
  const auto unknown =
      GetParam().make({.width = width(), .warmup = kWarmup, .parameters = {{"no_such", 1}}}, {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Errc::bad_config);
  for (const Parameter& one : GetParam().parameters) {
    for (const double value : {one.min - 1, one.max + 1, std::nan("")}) {
      const auto outside = GetParam().make(
          {.width = width(), .warmup = kWarmup, .parameters = {{std::string(one.name), value}}},
          {});
      ASSERT_FALSE(outside) << one.name << " " << value;
      EXPECT_EQ(outside.error().code, Errc::bad_config);
      EXPECT_NE(outside.error().context.find(one.name), std::string::npos);
    }
  }
}

TEST_P(TrainedContract, RefusesModelsThatAreNotItsOwn) {
  const auto model = train(values(Normal::autoregressive, 300));
  EXPECT_EQ(model, train(values(Normal::autoregressive, 300))) << "training is repeatable";
  const auto refused = [&](std::span<const std::byte> bytes) {
    const auto made = GetParam().make({.width = width()}, {.model = bytes});
    return !made;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(std::span(model).first(model.size() - 1)));
  for (std::size_t at = 0; at < model.size(); at += 1 + model.size() / 97) {
    auto flipped = model;
    flipped[at] ^= std::byte{0x10};
    EXPECT_TRUE(refused(flipped)) << "byte " << at;
  }
  EXPECT_FALSE(GetParam().make({.width = width() + 1}, {.model = model})) << "another width";
}

TEST_P(TrainedContract, RefusesToTrainOnWhatTeachesNothing) {
  for (const auto& rows : {std::vector<double>{}, std::vector<double>(width() * 400, 3.5),
                           std::vector<double>(width() * 400, std::nan(""))}) {
    const auto model = GetParam().train({.values = rows, .width = width()}, {.width = width()}, {});
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, Errc::bad_input);
    EXPECT_FALSE(model.error().context.empty());
  }
  const auto rows = values(Normal::noise, 400);
  const auto cancelled = GetParam().train({.values = rows, .width = width()}, {.width = width()},
                                          [](double) { return false; });
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, Errc::shutting_down);
}

TEST_P(WideContract, SaysWhichSensorItWas) {
  const auto detector = make();
  auto input = values(Normal::autoregressive, 1000);
  input[900 * width() + 1] += 40;
  std::vector<float> raw(1000);
  std::vector<float> shares(1000 * width(), -1);
  ASSERT_TRUE(
      detector->score({.values = input, .width = width()}, {.raw = raw, .contributions = shares}));
  for (std::size_t i = 0; i < 1000; ++i) {
    float sum = 0;
    for (std::size_t c = 0; c < width(); ++c) {
      ASSERT_GE(shares[i * width() + c], 0) << "row " << i;
      sum += shares[i * width() + c];
    }
    ASSERT_NEAR(sum, raw[i] > 0 ? 1 : sum, 1e-3) << "row " << i;
  }
  for (std::size_t c = 0; c < width(); ++c) {
    EXPECT_LE(shares[900 * width() + c], shares[900 * width() + 1]) << "sensor " << c;
  }
}

TEST_P(DetectorContract, IsRepeatableHoweverRowsAreCut) {
  const auto input = values(Normal::daily, 1500);
  const auto whole = make();
  const Results expected = run(*whole, input);
  const auto cut = make();
  Results got;
  Random random(3);
  for (std::size_t at = 0; at < 1500;) {
    const std::size_t rows =
        std::min<std::size_t>(1500 - at, 1 + static_cast<std::size_t>(random.uniform() * 40));
    const Results part = run(*cut, std::span(input).subspan(at * width(), rows * width()), at);
    got.raw.insert(got.raw.end(), part.raw.begin(), part.raw.end());
    got.bands.insert(got.bands.end(), part.bands.begin(), part.bands.end());
    got.causes.insert(got.causes.end(), part.causes.begin(), part.causes.end());
    at += rows;
  }
  EXPECT_EQ(got, expected);
}

TEST_P(OnlineContract, SaysZeroUntilWarmAndSomethingAfterwards) {
  const auto detector = make();
  const auto input = values(Normal::noise, 400);
  EXPECT_LE(detector->warmup_rows(), kWarmup);
  const Results results = run(*detector, input);
  for (std::size_t i = 0; i + 1 < detector->warmup_rows(); ++i) EXPECT_EQ(results.raw[i], 0);
  EXPECT_TRUE(detector->warm());
  EXPECT_GT(*std::max_element(results.raw.begin() + kWarmup + 1, results.raw.end()), 0.1F);
}

TEST_P(DetectorContract, ScoresAFaultHigherThanAllNormalReadings) {
  const auto detector = make();
  auto input = values(Normal::autoregressive, 1000);
  for (std::size_t i = 0; i < width(); ++i) input[900 * width() + i] += 40;
  const Results results = run(*detector, input);
  const float normal = *std::max_element(results.raw.begin(), results.raw.begin() + 900);
  // A score that ends at 1 has no room for a factor.
  const bool ends = *std::ranges::max_element(results.raw) <= 1;
  EXPECT_GT(results.raw[900], (ends ? 1.0F : 1.5F) * normal);
}

TEST_P(StreamContract, BandHoldsNormalReadingsAndNotTheFault) {
  const auto detector = make();
  auto input = values(Normal::noise, 1500);
  input[1400] += 40;
  const Results results = run(*detector, input);
  int outside = 0;
  for (std::size_t i = kWarmup; i < 1400; ++i) {
    outside += input[i] < results.bands[i].lower || input[i] > results.bands[i].upper ? 1 : 0;
  }
  EXPECT_LE(outside, 3);
  EXPECT_GT(input[1400], results.bands[1400].upper);
}

TEST_P(DetectorContract, GoesOnWithTheSameBitsAfterASnapshot) {
  for (const std::size_t at : {0UL, 40UL, 150UL, 900UL}) {
    const auto input = values(Normal::daily, 1500);
    const auto one = make();
    run(*one, std::span(input).first(at * width()));
    std::vector<std::byte> bytes;
    one->snapshot(bytes);
    EXPECT_LE(bytes.size(), one->state_bytes() + 64);
    const auto two = make();
    run(*two, std::span(input).first(77 * width()));  // whatever it knew is replaced
    ASSERT_TRUE(two->restore(bytes));
    const auto rest = std::span<const double>(input).subspan(at * width());
    EXPECT_EQ(run(*one, rest, at), run(*two, rest, at)) << "snapshot at row " << at;
  }
}

TEST_P(DetectorContract, RefusesDamagedSnapshotsAndWarmsUpAnew) {
  const auto input = values(Normal::noise, 500);
  const auto one = make();
  run(*one, input);
  std::vector<std::byte> bytes;
  one->snapshot(bytes);
  const auto fresh = make();
  const Results expected = run(*fresh, input);
  const auto refuses = [&](std::span<const std::byte> damaged, Errc code) {
    const auto two = make();
    run(*two, input);
    const auto done = two->restore(damaged);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, code);
    EXPECT_EQ(two->warm(), trained());
    EXPECT_EQ(run(*two, input), expected) << "the state is as after construction";
  };
  refuses({}, Errc::corrupt);
  refuses(std::span(bytes).first(bytes.size() - 1), Errc::corrupt);
  for (std::size_t at = 0; at < bytes.size(); at += 37) {
    auto flipped = bytes;
    flipped[at] ^= std::byte{0x10};
    refuses(flipped, Errc::corrupt);
  }
  std::vector<std::byte> other;
  make(kWarmup + 1)->snapshot(other);
  refuses(other, Errc::unsupported);
}

TEST_P(DetectorContract, StaysDefinedOnDegenerateStreams) {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Random random(11);
  std::vector<std::vector<double>> streams = {
      std::vector<double>(600, 0),       std::vector<double>(600, 1e-30),
      std::vector<double>(600, -3.5e17), std::vector<double>(600, nan),
      values(Normal::steps, 600),        values(Normal::noise, 600, 1e-30),
      values(Normal::noise, 600, 1e30),  values(Normal::noise, 600, 1e300)};
  std::vector<double> laden;
  std::vector<double> ten;
  std::vector<double> wild;
  std::vector<double> counter;
  for (int i = 0; i < 600; ++i) {
    laden.push_back(random.uniform() < 0.3 ? nan : random.normal());
    ten.push_back(std::floor(10 * random.uniform()));
    wild.push_back(i % 7 == 0 ? inf : i % 11 == 0 ? -1.7e308 : i % 13 == 0 ? 5e-324 : 1.7e308);
    counter.push_back(1e9 * i);
  }
  for (const auto& stream : {laden, ten, wild, counter}) streams.push_back(stream);
  for (std::size_t k = 0; k < streams.size(); ++k) {
    SCOPED_TRACE(k);
    if (width() != 1) streams[k].resize(streams[k].size() / width() * width());
    const auto detector = make();
    expect_defined(run(*detector, streams[k]));
    detector->accept_new_normal();
    expect_defined(run(*detector, streams[k]));
    std::vector<std::byte> bytes;
    detector->snapshot(bytes);
    EXPECT_TRUE(make()->restore(bytes)) << "its own snapshot is always good";
  }
}

TEST_P(OnlineContract, IsTheSameInEveryUnit) {
  const auto one = make();
  const auto two = make();
  const double factor = std::ldexp(1.0, 90);  // exact
  const Results a = run(*one, values(Normal::autoregressive, 800));
  const Results b = run(*two, values(Normal::autoregressive, 800, factor));
  for (std::size_t i = 0; i < a.raw.size(); ++i) ASSERT_NEAR(a.raw[i], b.raw[i], 1e-3) << i;
}

TEST_P(OnlineContract, DoesNotLearnWhenToldNotTo) {
  const auto input = values(Normal::noise, 400);
  const auto shifted = values(Normal::noise, 2000, 1.5);  // another level and spread
  const auto one = make();
  run(*one, input);
  std::vector<float> raw(2000);
  ASSERT_TRUE(one->score({.values = shifted, .width = width(), .learn = false}, {.raw = raw}));
  EXPECT_GT(raw[1990], 0.5F * raw[50]) << "still strange after 2000 readings";
}

TEST_P(OnlineContract, TakesTheNewNormalWhenToldTo) {
  const auto input = values(Normal::noise, 600);
  auto shifted = input;
  for (double& v : shifted) v += 30;
  const auto one = make();
  run(*one, input);
  const Results before = run(*one, shifted);
  one->accept_new_normal();
  run(*one, shifted);
  const Results after = run(*one, shifted);
  EXPECT_LT(after.raw[300], 0.5F * before.raw[5]);
}

TEST_P(DetectorContract, KeepsToItsBytesAndAllocatesNothingPerReading) {
  const auto detector = make();
  EXPECT_LE(detector->state_bytes(), GetParam().state_bytes_max);
  const auto input = values(Normal::daily, 3000);
  std::vector<float> raw(3000);
  const lapwing::testing::AllocationCount count;
  ASSERT_TRUE(detector->score({.values = input, .width = width()}, {.raw = raw}));
  EXPECT_EQ(count.since_start(), 0U);
}

std::string test_name(const ::testing::TestParamInfo<Kind>& one) {
  constexpr std::string_view kInputs[] = {"stream", "group", "rows"};
  return std::string(one.param.name) + "_" +
         std::string(kInputs[static_cast<int>(one.param.input)]);
}
std::vector<Kind> kinds_that(bool (*fits)(const Kind&)) {
  std::vector<Kind> kinds;
  std::ranges::copy_if(kKinds, std::back_inserter(kinds), fits);
  return kinds;
}
INSTANTIATE_TEST_SUITE_P(AllKinds, DetectorContract, ::testing::ValuesIn(kKinds), test_name);
INSTANTIATE_TEST_SUITE_P(Online, OnlineContract, ::testing::ValuesIn(kinds_that([](const Kind& k) {
                           return k.learning == Learning::online;
                         })),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Trained, TrainedContract,
                         ::testing::ValuesIn(kinds_that([](const Kind& k) {
                           return k.learning == Learning::trained;
                         })),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Streams, StreamContract, ::testing::ValuesIn(kinds_that([](const Kind& k) {
                           return k.input == Input::stream;
                         })),
                         test_name);
INSTANTIATE_TEST_SUITE_P(GroupsAndRows, WideContract,
                         ::testing::ValuesIn(kinds_that([](const Kind& k) {
                           return k.input != Input::stream;
                         })),
                         test_name);

TEST(Kinds, AreNamedOnceAndDescribed) {
  for (const Kind& kind : kKinds) {
    EXPECT_EQ(find_kind(kind.name, kind.input), &kind);
    EXPECT_EQ(kind.train != nullptr, kind.learning == Learning::trained);
    EXPECT_FALSE(kind.summary.empty());
    EXPECT_FALSE(kind.when.empty());
    EXPECT_GT(kind.state_bytes_max, 0U);
  }
  EXPECT_EQ(find_kind("nonsense"), nullptr);
}

TEST(Kinds, RefuseADeviceTheyDoNotRunOn) {
  const auto made = make_auto({.device = Device::cuda}, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::no_device);
}

TEST(Snapshot, BytesAreTheSameOnEveryMachine) {
  std::vector<std::byte> bytes;
  const std::size_t begun = begin_frame(bytes, 0x0102030405060708ULL);
  StateWriter writer(bytes);
  writer(std::uint16_t{0xABCD}, 1.0, true);
  end_frame(bytes, begun);
  const std::vector<unsigned> golden = {0x4C, 0x57, 0x53, 0x31, 8,  7, 6, 5,
                                        4,    3,    2,    1,    11, 0, 0, 0};
  ASSERT_EQ(bytes.size(), 31U);
  for (std::size_t i = 0; i < golden.size(); ++i)
    EXPECT_EQ(std::to_integer<unsigned>(bytes[i]), golden[i]);
  EXPECT_EQ(std::to_integer<unsigned>(bytes[20]), 0xCDU);
  EXPECT_EQ(std::to_integer<unsigned>(bytes[29]), 0x3FU) << "1.0, most significant byte last";
  EXPECT_EQ(crc32(std::as_bytes(std::span("123456789", 9))), 0xCBF43926U);
}

}  // namespace
}  // namespace lapwing::detect::detector_contract_test
