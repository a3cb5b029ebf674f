// SPDX-License-Identifier: Apache-2.0
/// How long to wait before trying again.
#pragma once

#include "shared/base/time.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

namespace lapwing {

/// Exponential back-off with full jitter: the n-th delay is uniform in [0, min(cap, base * 2^n)],
/// so that many clients that failed together do not return together ("Exponential Backoff And
/// Jitter", AWS Architecture Blog, 2015). Same seed, same delays. Threads: distinct objects are
/// safe.
class Backoff {
 public:
  Backoff(Micros base, Micros cap, std::uint64_t seed) : base_(base), cap_(cap), random_(seed) {}

  Micros next() {
    const Micros top =
        attempts_ < 30 ? std::min(cap_, base_ * (std::int64_t{1} << attempts_)) : cap_;
    ++attempts_;
    return Micros(std::uniform_int_distribution<std::int64_t>(0, top.count())(random_));
  }
  /// It worked: the next delay is short again.
  void reset() { attempts_ = 0; }
  [[nodiscard]] std::uint32_t attempts() const { return attempts_; }

 private:
  Micros base_;
  Micros cap_;
  std::mt19937_64 random_;
  std::uint32_t attempts_ = 0;
};

}  // namespace lapwing
