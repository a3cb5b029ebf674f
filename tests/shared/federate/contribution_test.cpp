// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/contribution.hpp"

#include "tests/shared/federate/fleet.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

namespace lapwing::federate::contribution_test {
namespace {

constexpr std::size_t kWidth = 4;

Rows rows_of(std::uint64_t seed, std::size_t rows = 300, double missing = 0) {
  detect::Random random(seed);
  Rows made{kWidth};
  for (std::size_t i = 0; i < rows * kWidth; ++i) {
    const double value = 10 * static_cast<double>(i % kWidth) + random.normal();
    made.values.push_back(random.uniform() < missing ? std::nan("") : value);
  }
  return made;
}

std::vector<Task> every_task(const std::string& pca, const std::string& forest) {
  return {{.kind = Kind::pca, .pass = 1},
          {.kind = Kind::isolation_forest, .pass = 1},
          {.kind = Kind::pca, .pass = 2, .candidate = pca},
          {.kind = Kind::isolation_forest, .pass = 2, .candidate = forest},
          {.kind = Kind::pca, .pass = 3, .candidate = pca},
          {.kind = Kind::isolation_forest, .pass = 3, .candidate = forest},
          {.kind = Kind::samples}};
}

std::string candidate(Kind kind) {
  std::vector<Rows> devices;
  for (std::uint64_t d = 0; d < 5; ++d) devices.push_back(rows_of(40 + d));
  const auto merged = run_pass({.kind = kind, .sensors = sensors_of(kWidth)}, {}, devices);
  EXPECT_TRUE(merged) << merged.error().context;
  return merged->file;
}

struct Candidates {
  std::string pca = candidate(Kind::pca);
  std::string forest = candidate(Kind::isolation_forest);
};

TEST(Contribution, IsReadAsItWasWritten) {
  const Candidates made;
  for (const double missing : {0.0, 0.3}) {
    const auto rows = rows_of(1, 300, missing);
    for (const auto& task : every_task(made.pca, made.forest)) {
      const auto told = contribute(task, rows.table());
      ASSERT_TRUE(told) << told.error().context;
      const auto bytes = encode(*told);
      const auto read = decode(bytes);
      ASSERT_TRUE(read) << read.error().context;
      EXPECT_EQ(encode(*read), bytes);
      EXPECT_EQ(encode(*contribute(task, rows.table())), bytes) << "the same again";
      EXPECT_EQ(read->rows, 300U);
      EXPECT_EQ(read->samples.empty(), task.kind != Kind::samples);
    }
  }
}

TEST(Contribution, DamagedBytesAreRefusedOrPossible) {
  const Candidates made;
  detect::Random random(9);
  for (const auto& task : every_task(made.pca, made.forest)) {
    const auto bytes = encode(*contribute(task, rows_of(2, 100, 0.1).table()));
    for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 50) {
      static_cast<void>(decode(std::string_view(bytes).substr(0, cut)));
    }
    for (int i = 0; i < 300; ++i) {
      auto damaged = bytes;
      damaged[random.below(damaged.size())] ^= static_cast<char>(1U << random.below(8));
      const auto read = decode(damaged);
      if (read) {
        EXPECT_TRUE(decode(encode(*read)));
      }
    }
  }
  EXPECT_EQ(decode(std::string(kContributionBytesMax + 1, 'x')).error().code, Errc::limit);
}

TEST(Contribution, NumbersThatNoRowsGiveAreRefused) {
  const auto told = [](std::vector<double> means, std::vector<double> squares) {
    Rows rows{2};
    for (int i = 0; i < 70; ++i) rows.values.insert(rows.values.end(), {1.0 * i, 2.0 * i});
    Contribution c{.rows = 70, .moments = Moments::of(rows.table())};
    auto bytes = encode(c);
    // Doubles of the means and of the squares where they lie.
    const auto put = [&](double from, double to) {
      const std::string_view old(reinterpret_cast<const char*>(&from), sizeof from);
      const auto at = bytes.find(old);
      ASSERT_NE(at, bytes.npos);
      std::memcpy(&bytes[at], &to, sizeof to);
    };
    put(c.moments->mean(0), means[0]);
    put(c.moments->pair(0, 0).product, squares[0]);
    return decode(bytes);
  };
  EXPECT_TRUE(told({34}, {30'000}));
  EXPECT_FALSE(told({70}, {30'000})) << "a mean above the greatest";
  EXPECT_FALSE(told({34}, {-1})) << "negative squares";
  EXPECT_FALSE(told({34}, {1})) << "sensors that go together more than they vary";
  EXPECT_FALSE(told({std::nan("")}, {30'000}));
}

/// How many bytes of the row's numbers, as doubles or floats, stand in the bytes.
std::size_t numbers_found(const std::string& bytes, std::span<const double> row) {
  std::size_t found = 0;
  for (const double value : row) {
    const auto single = static_cast<float>(value);
    const std::string_view as_double(reinterpret_cast<const char*>(&value), sizeof value);
    const std::string_view as_float(reinterpret_cast<const char*>(&single), sizeof single);
    if (bytes.find(as_double) != bytes.npos || bytes.find(as_float) != bytes.npos) ++found;
  }
  return found;
}

/// Single numbers of a row may be the least, the greatest or the median of a sensor: those are
/// told. But never more, whatever is asked for, unless it is samples.
TEST(Contribution, SummariesHoldNoRow) {
  const Candidates made;
  const auto rows = rows_of(3, 1000);
  for (const auto& task : every_task(made.pca, made.forest)) {
    const auto bytes = encode(*contribute(task, rows.table()));
    std::size_t most = 0;
    std::size_t all = 0;
    for (std::size_t row = 0; row < rows.count(); ++row) {
      const auto found = numbers_found(bytes, std::span(rows.values).subspan(row * kWidth, kWidth));
      most = std::max(most, found);
      all += found;
    }
    if (task.kind == Kind::samples) {
      EXPECT_EQ(most, kWidth);
    } else {
      EXPECT_LE(most, 1U) << "as single precision, by chance";
      EXPECT_LE(all, 3U) << "likewise";
    }
  }
}

TEST(Contribution, FewRowsAreNotToldOf) {
  const Candidates made;
  for (const auto& task : every_task(made.pca, made.forest)) {
    const auto told = contribute(task, rows_of(1, kRowsMin - 1).table());
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().code, Errc::bad_input);
  }
}

TEST(Contribution, OfManySensorsStaysWithinItsBound) {
  detect::Random random(4);
  Rows rows{kWidthMax};
  for (std::size_t i = 0; i < 256 * kWidthMax; ++i) {
    rows.values.push_back(random.uniform() < 0.05 ? std::nan("") : random.normal());
  }
  for (const auto kind : {Kind::pca, Kind::isolation_forest}) {
    const auto told = contribute({.kind = kind, .trees = 100}, rows.table());
    ASSERT_TRUE(told) << told.error().context;
    EXPECT_LE(encode(*told).size(), kContributionBytesMax);
  }
  const Rows wide{kWidthMax + 1, std::vector<double>((kWidthMax + 1) * 100)};
  EXPECT_EQ(contribute({}, wide.table()).error().code, Errc::limit);
}

TEST(Contribution, ACandidateForOtherRowsIsRefused) {
  const Candidates made;
  const Rows other{3, rows_of(1).values};
  EXPECT_FALSE(contribute({.kind = Kind::pca, .pass = 2, .candidate = made.pca}, other.table()));
  EXPECT_FALSE(
      contribute({.kind = Kind::pca, .pass = 2, .candidate = made.forest}, rows_of(1).table()));
  EXPECT_FALSE(contribute({.kind = Kind::pca, .pass = 4}, rows_of(1).table()));
}

}  // namespace
}  // namespace lapwing::federate::contribution_test
