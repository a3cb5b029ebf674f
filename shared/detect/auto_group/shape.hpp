// SPDX-License-Identifier: Apache-2.0
/// How unlike its past the recent course of every sensor is, at several time scales.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::group {

/// For every sensor and every scale s of 1, 2, 4, 8 and 16 rows: the ten newest means of s rows,
/// compared with 16 courses that stand for the warm-up (k-means, seeded as in Arthur and
/// Vassilvitskii, 2007). The distance to the nearest, divided by the largest but for 0.1 % in the
/// warm-up and at most 20, is held until the next s rows are complete. Scales whose window is
/// longer than a fifth of the warm-up are left out.
///
/// Cost: 20 ns a sensor and comparison, about two of them a row; 4.3 KiB a sensor.
class Shape {
 public:
  static constexpr std::size_t kPoints = 10;  ///< means in a course
  static constexpr std::size_t kCourses = 16;
  static constexpr std::array<std::size_t, 5> kScales{1, 2, 4, 8, 16};

  /// `rows` to learn from.
  Shape(std::size_t width, std::size_t rows);

  /// Learns one sensor from its standard scores. To `honest`, where it has a course, adds `weight`
  /// times what the row would have got from a model of the other half of the rows.
  void learn(std::size_t channel, std::span<const float> column, std::uint64_t seed, float weight,
             std::span<float> honest) noexcept;
  /// Forgets the rows pushed, not what was learnt.
  void restart() noexcept;
  /// Takes the next row.
  void push(std::span<const float> standard) noexcept;
  /// Of every sensor: the mean over the scales.
  [[nodiscard]] std::span<const float> strangeness() const noexcept { return strangeness_; }

  /// Rows at the start of the warm-up that have no complete course at the longest scale.
  [[nodiscard]] std::size_t first() const noexcept { return kPoints * kScales[scales_ - 1]; }
  [[nodiscard]] std::size_t bytes() const noexcept;

  template <class A>
  void fields(A& archive) {
    archive(time_, books_, unit_, blocks_, sums_, held_, strangeness_);
  }
  [[nodiscard]] bool plausible() const noexcept;

 private:
  /// Point-major, so that one instruction compares a point with several courses.
  /// (A vector type of the compiler: its loops over 16 floats are unrolled and then not
  /// vectorised.)
  using Lanes [[gnu::vector_size(kCourses * sizeof(float))]] = float;
  struct Book {
    std::array<Lanes, kPoints> points{};

    Lanes& operator[](std::size_t point) noexcept { return points[point]; }
    const Lanes& operator[](std::size_t point) const noexcept { return points[point]; }
    template <class A>
    void fields(A& archive) {
      for (Lanes& lanes : points) {
        for (std::size_t k = 0; k < kCourses; ++k) {
          float one = lanes[k];
          archive(one);
          lanes[k] = one;
        }
      }
    }
  };
  using Course = std::array<float, kPoints>;
  static void apart(const Book& book, const Course& course, Lanes& squares) noexcept;
  static float distance(const Book& book, const Course& course) noexcept;
  void train(Book& book, std::size_t scale, std::size_t begin, std::size_t end,
             std::uint64_t seed) noexcept;
  [[nodiscard]] Course course(std::size_t scale, std::size_t row) const noexcept;
  float distances(const Book& book, std::size_t scale, std::size_t begin, std::size_t end) noexcept;

  std::size_t width_;
  std::size_t scales_;
  std::uint64_t time_ = 0;
  std::vector<Book> books_;         ///< [scale][sensor]
  std::vector<float> unit_;         ///< [scale][sensor]: 1 / distance that is usual
  std::vector<float> blocks_;       ///< [scale][point][sensor]: means, a ring
  std::vector<float> sums_;         ///< [scale][sensor]: of the block under way
  std::vector<float> held_;         ///< [scale][sensor]
  std::vector<float> strangeness_;  ///< [sensor]

  // Only used while learning.
  Book half_{};
  std::vector<double> prefix_;
  std::vector<float> distance_;
  std::vector<float> sorted_;
  std::vector<Course> sample_;
  std::vector<float> sample_distance_;
};

}  // namespace lapwing::detect::group
