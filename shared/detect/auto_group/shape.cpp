// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_group/shape.hpp"

#include "shared/detect/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lapwing::detect::group {
namespace {

constexpr std::size_t kWindowsInWarmup = 5;
constexpr std::size_t kSampleMax = 1024;
constexpr int kIterations = 10;
constexpr double kUsualQuantile = 0.999;
constexpr float kUsualMin = 0.3F;  // standard deviations
constexpr float kStrangeMax = 20;

}  // namespace

Shape::Shape(std::size_t width, std::size_t rows) : width_(width), scales_(1) {
  while (scales_ < kScales.size() && kWindowsInWarmup * kPoints * kScales[scales_] <= rows) {
    ++scales_;
  }
  books_.resize(scales_ * width);
  unit_.resize(scales_ * width);
  blocks_.resize(scales_ * kPoints * width);
  sums_.resize(scales_ * width);
  held_.resize(scales_ * width);
  strangeness_.resize(width);
  prefix_.resize(rows + 1);
  distance_.resize(rows);
  sorted_.resize(rows);
  sample_.resize(std::min(rows, kSampleMax));
  sample_distance_.resize(sample_.size());
}

/// Sums of squares to every course.
void Shape::apart(const Book& book, const Course& course, Lanes& squares) noexcept {
  squares = Lanes{};
  for (std::size_t j = 0; j < kPoints; ++j) {
    const Lanes difference = book[j] - course[j];
    squares += difference * difference;
  }
}

/// Root of the mean square to the nearest.
float Shape::distance(const Book& book, const Course& course) noexcept {
  Lanes squares;
  apart(book, course, squares);
  // Four columns first, so that instructions for four numbers do most of the comparing.
  std::array<float, 4> least;
  for (std::size_t k = 0; k < 4; ++k) {
    const float a = std::min(squares[k], squares[k + 4]);
    const float b = std::min(squares[k + 8], squares[k + 12]);
    least[k] = std::min(a, b);
  }
  return std::sqrt(std::min(std::min(least[0], least[1]), std::min(least[2], least[3])) / kPoints);
}

/// The course that ends with `row`, newest mean first.
Shape::Course Shape::course(std::size_t scale, std::size_t row) const noexcept {
  Course out;
  for (std::size_t j = 0; j < kPoints; ++j) {
    const std::size_t end = row + 1 - j * scale;
    out[j] = static_cast<float>((prefix_[end] - prefix_[end - scale]) / static_cast<double>(scale));
  }
  return out;
}

/// k-means of the courses that end in [begin, end).
void Shape::train(Book& book, std::size_t scale, std::size_t begin, std::size_t end,
                  std::uint64_t seed) noexcept {
  const std::size_t rows = end - begin;
  const std::size_t count = std::min(rows, sample_.size());
  for (std::size_t i = 0; i < count; ++i) sample_[i] = course(scale, begin + i * rows / count);
  const auto put = [&book](std::size_t k, const Course& course) {
    for (std::size_t j = 0; j < kPoints; ++j) book[j][k] = course[j];
  };
  Random random(seed);
  std::size_t chosen = random.below(count);
  for (std::size_t k = 0; k < kCourses; ++k) put(k, sample_[chosen]);
  for (std::size_t k = 1; k < kCourses; ++k) {
    double total = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const float away = distance(book, sample_[i]);
      sample_distance_[i] = away * away;
      total += static_cast<double>(sample_distance_[i]);
    }
    if (total <= 0) break;  // no more different courses than that
    double left = random.uniform() * total;
    for (chosen = 0; chosen + 1 < count; ++chosen) {
      left -= static_cast<double>(sample_distance_[chosen]);
      if (left <= 0) break;
    }
    put(k, sample_[chosen]);
  }
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    std::array<std::array<double, kPoints>, kCourses> sums{};
    std::array<std::size_t, kCourses> counts{};
    for (std::size_t i = 0; i < count; ++i) {
      Lanes squares;
      apart(book, sample_[i], squares);
      std::size_t k = 0;
      for (std::size_t other = 1; other < kCourses; ++other) {
        k = squares[other] < squares[k] ? other : k;
      }
      ++counts[k];
      for (std::size_t j = 0; j < kPoints; ++j) sums[k][j] += static_cast<double>(sample_[i][j]);
    }
    for (std::size_t k = 0; k < kCourses; ++k) {
      if (counts[k] == 0) continue;
      for (std::size_t j = 0; j < kPoints; ++j) {
        book[j][k] = static_cast<float>(sums[k][j] / static_cast<double>(counts[k]));
      }
    }
  }
}

/// Fills distance_ and returns what is usual among them.
float Shape::distances(const Book& book, std::size_t scale, std::size_t begin,
                       std::size_t end) noexcept {
  for (std::size_t t = begin; t < end; ++t) {
    distance_[t] = distance(book, course(scale, t));
  }
  const auto count = static_cast<std::ptrdiff_t>(end - begin);
  std::copy_n(distance_.begin() + static_cast<std::ptrdiff_t>(begin), count, sorted_.begin());
  const auto at =
      static_cast<std::ptrdiff_t>(kUsualQuantile * static_cast<double>(count - 1) + 0.5);
  std::nth_element(sorted_.begin(), sorted_.begin() + at, sorted_.begin() + count);
  return std::max(kUsualMin, sorted_[static_cast<std::size_t>(at)]);
}

void Shape::learn(std::size_t channel, std::span<const float> column, std::uint64_t seed,
                  float weight, std::span<float> honest) noexcept {
  const std::size_t rows = column.size();
  for (std::size_t t = 0; t < rows; ++t) {
    prefix_[t + 1] = prefix_[t] + static_cast<double>(column[t]);
  }
  for (std::size_t i = 0; i < scales_; ++i) {
    const std::size_t scale = kScales[i];
    const std::size_t begin = std::min(kPoints * scale - 1, rows - 1);
    const std::size_t middle = begin + (rows - begin) / 2;
    const std::uint64_t salt = mixed(seed ^ (channel * kScales.size() + i));
    if (middle > begin) {
      const float share = weight / static_cast<float>(scales_);
      const auto judge = [&](std::size_t from, std::size_t to, std::size_t other_from,
                             std::size_t other_to) {
        train(half_, scale, from, to, salt);
        const float usual = distances(half_, scale, from, to);
        for (std::size_t t = other_from; t < other_to; ++t) {
          const float away = distance(half_, course(scale, t));
          honest[t] += share * std::min(away / usual, kStrangeMax);
        }
      };
      judge(begin, middle, middle, rows);
      judge(middle, rows, begin, middle);
    }
    Book& book = books_[i * width_ + channel];
    train(book, scale, begin, rows, salt);
    unit_[i * width_ + channel] = 1 / distances(book, scale, begin, rows);
  }
}

void Shape::restart() noexcept {
  time_ = 0;
  std::ranges::fill(blocks_, 0.0F);
  std::ranges::fill(sums_, 0.0F);
  std::ranges::fill(held_, 0.0F);
}

void Shape::push(std::span<const float> standard) noexcept {
  ++time_;
  for (std::size_t i = 0; i < scales_; ++i) {
    const std::size_t scale = kScales[i];
    float* sums = &sums_[i * width_];
    for (std::size_t c = 0; c < width_; ++c) sums[c] += standard[c];
    if (time_ % scale != 0) continue;
    float* blocks = &blocks_[i * kPoints * width_];
    const std::size_t head = (time_ / scale) % kPoints;
    const float share = 1 / static_cast<float>(scale);
    for (std::size_t c = 0; c < width_; ++c) {
      blocks[head * width_ + c] = sums[c] * share;
      sums[c] = 0;
    }
    for (std::size_t c = 0; c < width_; ++c) {
      Course course;
      for (std::size_t j = 0; j < kPoints; ++j) {
        const std::size_t slot = head >= j ? head - j : head + kPoints - j;
        course[j] = blocks[slot * width_ + c];
      }
      const std::size_t at = i * width_ + c;
      held_[at] = std::min(distance(books_[at], course) * unit_[at], kStrangeMax);
    }
  }
  const float share = 1 / static_cast<float>(scales_);
  for (std::size_t c = 0; c < width_; ++c) {
    float sum = 0;
    for (std::size_t i = 0; i < scales_; ++i) sum += held_[i * width_ + c];
    strangeness_[c] = sum * share;
  }
}

std::size_t Shape::bytes() const noexcept {
  const std::size_t floats = unit_.size() + blocks_.size() + sums_.size() + held_.size() +
                             strangeness_.size() + distance_.size() + sorted_.size() +
                             sample_distance_.size();
  return books_.size() * sizeof(Book) + floats * sizeof(float) + prefix_.size() * sizeof(double) +
         sample_.size() * sizeof(Course);
}

bool Shape::plausible() const noexcept {
  const auto finite = [](float v) { return std::isfinite(v); };
  const auto known = [](const Book& book) {
    for (const Lanes& lanes : book.points) {
      for (std::size_t k = 0; k < kCourses; ++k) {
        if (!std::isfinite(lanes[k])) return false;
      }
    }
    return true;
  };
  return std::ranges::all_of(books_, known) && std::ranges::all_of(unit_, finite) &&
         std::ranges::all_of(blocks_, finite) && std::ranges::all_of(sums_, finite) &&
         std::ranges::all_of(held_, finite) && std::ranges::all_of(strangeness_, finite);
}

}  // namespace lapwing::detect::group
