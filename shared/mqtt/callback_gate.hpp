// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/mqtt: lets the library's callbacks reach an object only while it lives.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>

namespace lapwing::mqtt {

/// Paho may be about to call back while a connection is being destroyed. So its context pointer is
/// a gate that is never freed (gates are reused), and closing a gate waits for callers inside.
class CallbackGate {
 public:
  /// A gate that leads to `target`.
  static CallbackGate* open(void* target);

  /// From now on nobody enters; returns when nobody is inside.
  void close();

  /// Runs `action(target)` unless the gate is closed.
  template <class Target, class Action>
  static void enter(void* context, Action action) {
    auto* gate = static_cast<CallbackGate*>(context);
    gate->users_.fetch_add(1);
    if (void* target = gate->target_.load()) action(*static_cast<Target*>(target));
    if (gate->users_.fetch_sub(1) == 1) gate->users_.notify_all();
  }

 private:
  struct Pool;
  static Pool& shared_pool();

  std::atomic<void*> target_{nullptr};
  std::atomic<int> users_{0};
};

struct CallbackGate::Pool {
  /// Constant-initialised: ThreadSanitizer, which does not see the library's locks, has no making
  /// of a gate to order before its use.
  static std::array<CallbackGate, 1024> gates;

  std::mutex mutex;
  std::size_t used = 0;
  std::deque<CallbackGate*> closed;
};

inline constinit std::array<CallbackGate, 1024> CallbackGate::Pool::gates{};

inline CallbackGate::Pool& CallbackGate::shared_pool() {
  static Pool* const pool = new Pool;  // outlives every thread of the library
  return *pool;
}

inline CallbackGate* CallbackGate::open(void* target) {
  Pool& pool = shared_pool();
  const std::lock_guard lock(pool.mutex);
  CallbackGate* gate = nullptr;
  if (!pool.closed.empty()) {
    gate = pool.closed.front();
    pool.closed.pop_front();
  } else if (pool.used < Pool::gates.size()) {
    gate = &Pool::gates[pool.used++];
  } else {
    gate = new CallbackGate;  // never freed, as the pool
  }
  gate->target_.store(target);
  return gate;
}

inline void CallbackGate::close() {
  target_.store(nullptr);
  for (int inside = users_.load(); inside != 0; inside = users_.load()) users_.wait(inside);
  Pool& pool = shared_pool();
  const std::lock_guard lock(pool.mutex);
  pool.closed.push_back(this);  // reused as late as possible
}

}  // namespace lapwing::mqtt
