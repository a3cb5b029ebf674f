// SPDX-License-Identifier: Apache-2.0
/// The virtual clock and what is to happen.
#pragma once

#include "shared/base/time.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <tuple>
#include <utility>
#include <vector>

namespace lapwing::simulate {

/// Things happen in the order of their times, those of one instant in the order they were planned.
class Events {
 public:
  [[nodiscard]] Ticks now() const { return now_; }
  void after(Micros delay, std::function<void()> happen) {
    waiting_.push_back({now_ + std::max(delay, Micros(0)), ++planned_, std::move(happen)});
    std::push_heap(waiting_.begin(), waiting_.end());
  }
  /// Lets everything up to `end` happen.
  void run_until(Ticks end) {
    while (!waiting_.empty() && waiting_.front().at <= end) {
      std::pop_heap(waiting_.begin(), waiting_.end());
      Event event = std::move(waiting_.back());
      waiting_.pop_back();
      now_ = std::max(now_, event.at);
      ++happened_;
      event.happen();
    }
    now_ = end;
  }
  [[nodiscard]] std::uint64_t happened() const { return happened_; }

 private:
  struct Event {
    Ticks at;
    std::uint64_t order;
    std::function<void()> happen;
    bool operator<(const Event& other) const {
      return std::tie(at, order) > std::tie(other.at, other.order);
    }
  };
  Ticks now_{std::chrono::seconds(1)};
  std::uint64_t planned_ = 0;
  std::uint64_t happened_ = 0;
  std::vector<Event> waiting_;  ///< a heap
};

}  // namespace lapwing::simulate
