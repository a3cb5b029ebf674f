// SPDX-License-Identifier: Apache-2.0
/// A table spread over devices, and rounds over them without a network.
#pragma once

#include "shared/detect/random.hpp"
#include "shared/federate/contribute.hpp"
#include "shared/federate/merge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::federate {

/// Row-major rows of one device, or of all.
struct Rows {
  std::size_t width = 1;
  std::vector<double> values = {};

  [[nodiscard]] std::size_t count() const { return values.size() / width; }
  [[nodiscard]] detect::Table table() const { return {.values = values, .width = width}; }
  void add(const Rows& from, std::size_t row) {
    const auto begin = from.values.begin() + static_cast<std::ptrdiff_t>(row * width);
    values.insert(values.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
  }
};

/// Each device draws from all alike, and has as many rows, but for one.
inline std::vector<Rows> split_equally(const Rows& all, std::size_t devices, std::uint64_t seed) {
  std::vector<std::size_t> order(all.count());
  std::ranges::generate(order, [i = std::size_t{0}]() mutable { return i++; });
  detect::Random random(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  std::vector<Rows> made(devices, Rows{all.width});
  for (std::size_t i = 0; i < order.size(); ++i) made[i % devices].add(all, order[i]);
  return made;
}

/// Each device draws from all alike; the last has about nine times the rows of the first.
inline std::vector<Rows> split_evenly(const Rows& all, std::size_t devices, std::uint64_t seed) {
  detect::Random random(seed);
  std::vector<double> ends;
  double sum = 0;
  for (std::size_t d = 0; d < devices; ++d) {
    sum += 1 + 8 * static_cast<double>(d) / static_cast<double>(devices);
    ends.push_back(sum);
  }
  std::vector<Rows> made(devices, Rows{all.width});
  for (std::size_t row = 0; row < all.count(); ++row) {
    const auto at = std::ranges::upper_bound(ends, random.uniform() * sum) - ends.begin();
    made[std::min<std::size_t>(static_cast<std::size_t>(at), devices - 1)].add(all, row);
  }
  return made;
}

/// Each device has one cluster of the rows (k-means on standardized columns), as machines that each
/// run in a regime of their own; clusters of fewer than `least` rows go to the nearest one.
inline std::vector<Rows> split_by_cluster(const Rows& all, std::size_t devices, std::size_t least,
                                          std::uint64_t seed) {
  const std::size_t width = all.width;
  const auto moments = Moments::of({.values = all.values, .width = width});
  std::vector<double> z(all.values.size());
  for (std::size_t i = 0; i < z.size(); ++i) {
    const double deviation = moments.deviation(i % width);
    z[i] = deviation > 0 ? (all.values[i] - moments.mean(i % width)) / deviation : 0;
  }
  const auto square = [&](const double* a, const double* b) {
    double sum = 0;
    for (std::size_t c = 0; c < width; ++c) sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
  };
  detect::Random random(seed);
  std::vector<double> centres;
  for (std::size_t d = 0; d < devices; ++d) {
    const double* row = &z[random.below(all.count()) * width];
    centres.insert(centres.end(), row, row + width);
  }
  std::vector<std::size_t> of(all.count());
  const auto assign = [&](const std::vector<bool>& open) {
    for (std::size_t row = 0; row < all.count(); ++row) {
      double best = std::numeric_limits<double>::infinity();
      for (std::size_t d = 0; d < devices; ++d) {
        const double far = open[d] ? square(&z[row * width], &centres[d * width]) : best;
        if (far < best) {
          best = far;
          of[row] = d;
        }
      }
    }
  };
  std::vector<bool> open(devices, true);
  std::vector<std::size_t> counts(devices);
  const auto count = [&] {
    std::ranges::fill(counts, 0U);
    for (const auto d : of) ++counts[d];
  };
  for (int sweep = 0; sweep < 10; ++sweep) {
    assign(open);
    count();
    std::vector<double> sums(centres.size());
    for (std::size_t i = 0; i < z.size(); ++i) sums[of[i / width] * width + i % width] += z[i];
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (counts[i / width] > 0) centres[i] = sums[i] / static_cast<double>(counts[i / width]);
    }
  }
  for (;;) {
    assign(open);
    count();
    std::size_t smallest = devices;
    for (std::size_t d = 0; d < devices; ++d) {
      if (open[d] && (smallest == devices || counts[d] < counts[smallest])) smallest = d;
    }
    if (counts[smallest] >= least) break;
    open[smallest] = false;
  }
  std::vector<Rows> made;
  for (std::size_t d = 0; d < devices; ++d) {
    if (!open[d]) continue;
    made.push_back({width});
    for (std::size_t row = 0; row < all.count(); ++row) {
      if (of[row] == d) made.back().add(all, row);
    }
  }
  return made;
}

/// One pass over the devices, through the bytes. `bytes`, unless null: the largest contribution.
inline Result<Merged> run_pass(const Plan& plan, Task task, const std::vector<Rows>& devices,
                               std::size_t* bytes = nullptr) {
  std::vector<Contribution> told;
  for (std::size_t d = 0; d < devices.size(); ++d) {
    task.kind = plan.kind;
    task.seed = plan.seed * 1000 + d;
    const auto made = contribute(task, devices[d].table());
    if (!made) return made.error();
    const auto sent = encode(*made);
    if (bytes != nullptr) *bytes = std::max(*bytes, sent.size());
    auto read = decode(sent);
    if (!read) return read.error();
    told.push_back(*std::move(read));
  }
  std::vector<Member> members;
  for (std::size_t d = 0; d < told.size(); ++d) {
    members.push_back({"device-" + std::to_string(d + 1), &told[d]});
  }
  return merge(plan, task.pass, task.candidate, members);
}

/// All passes; the model file.
inline Result<std::string> run_round(const Plan& plan, const std::vector<Rows>& devices,
                                     std::uint32_t passes_max = 3) {
  std::string file;
  for (std::uint32_t pass = 1; pass <= passes_max; ++pass) {
    Task task{.pass = pass, .candidate = file};
    auto merged = run_pass(plan, task, devices);
    if (!merged) return merged.error();
    file = std::move(merged->file);
  }
  return file;
}

inline std::vector<model::Sensor> sensors_of(std::size_t width) {
  std::vector<model::Sensor> made(width);
  for (std::size_t c = 0; c < width; ++c) made[c].name = "s" + std::to_string(c + 1);
  return made;
}

}  // namespace lapwing::federate
