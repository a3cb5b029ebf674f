// SPDX-License-Identifier: Apache-2.0
/// Whether the store answers, known before anybody asks.
#pragma once

#include "shared/base/time.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace lapwing::hub {

/// Asks the store every half second, in a thread of its own. So a health check is answered at once
/// also while the store hangs: a balancer that hears nothing would cut every connection, one that
/// hears "not ready" only sends no new ones.
/// Threads: answers() from any.
class StoreWatch {
 public:
  static constexpr Micros kEvery = std::chrono::milliseconds(500);
  /// A question that is not answered for so long.
  static constexpr Micros kSilentMax = std::chrono::seconds(2);

  /// `check`: whether the store answers; may block. It is asked once before this returns.
  explicit StoreWatch(std::function<bool()> check, Micros silent_max = kSilentMax);
  ~StoreWatch();
  StoreWatch(const StoreWatch&) = delete;
  StoreWatch& operator=(const StoreWatch&) = delete;

  [[nodiscard]] bool answers() const noexcept { return ticks_now() < good_until_.load(); }

 private:
  void ask();
  void run();

  const std::function<bool()> check_;
  const Micros silent_max_;
  std::atomic<Ticks> good_until_{Ticks{}};
  std::mutex mutex_;  // guards stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lapwing::hub
