// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/mqtt: lets the library's callbacks reach an object only while it lives.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace lapwing::mqtt {

/// Paho may be about to call back while a connection is being destroyed. So its context pointer is
/// a gate that is never freed (gates are reused), and closing a gate waits for callers inside.
class CallbackGate {
 public:
  /// A gate that leads to `target`.
  static CallbackGate* open(void* target) {
    Pool& pool = shared_pool();
    const std::lock_guard lock(pool.mutex);
    if (pool.closed.empty()) {
      pool.all.push_back(std::make_unique<CallbackGate>());
      pool.closed.push_back(pool.all.back().get());
    }
    CallbackGate* gate = pool.closed.back();
    pool.closed.pop_back();
    gate->target_.store(target);
    return gate;
  }

  /// From now on nobody enters; returns when nobody is inside.
  void close() {
    target_.store(nullptr);
    for (int inside = users_.load(); inside != 0; inside = users_.load()) users_.wait(inside);
    Pool& pool = shared_pool();
    const std::lock_guard lock(pool.mutex);
    pool.closed.insert(pool.closed.begin(), this);  // reused as late as possible
  }

  /// Runs `action(target)` unless the gate is closed.
  template <class Target, class Action>
  static void enter(void* context, Action action) {
    auto* gate = static_cast<CallbackGate*>(context);
    gate->users_.fetch_add(1);
    if (void* target = gate->target_.load()) action(*static_cast<Target*>(target));
    if (gate->users_.fetch_sub(1) == 1) gate->users_.notify_all();
  }

 private:
  struct Pool {
    std::mutex mutex;
    std::vector<std::unique_ptr<CallbackGate>> all;
    std::vector<CallbackGate*> closed;
  };
  static Pool& shared_pool() {
    static Pool* const pool = new Pool;  // outlives every thread of the library
    return *pool;
  }

  std::atomic<void*> target_{nullptr};
  std::atomic<int> users_{0};
};

}  // namespace lapwing::mqtt
