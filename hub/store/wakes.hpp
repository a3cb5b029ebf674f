// SPDX-License-Identifier: Apache-2.0
/// Those in this process who wait for something to be there.
#pragma once

#include "shared/base/mutex.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace lapwing::hub {

/// Threads: shared objects are safe. Callbacks run on the thread that calls wake(), under the lock:
/// they must only notify.
class Wakes {
 public:
  std::uint64_t add(std::function<void()> callback) {
    const MutexLock lock(mutex_);
    callbacks_.emplace(++last_, std::move(callback));
    return last_;
  }
  /// Once it returns the callback is not called any more.
  void remove(std::uint64_t id) {
    const MutexLock lock(mutex_);
    callbacks_.erase(id);
  }
  void wake() {
    const MutexLock lock(mutex_);
    for (const auto& [id, callback] : callbacks_) callback();
  }

 private:
  Mutex mutex_;
  std::uint64_t last_ LAPWING_GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, std::function<void()>> callbacks_ LAPWING_GUARDED_BY(mutex_);
};

}  // namespace lapwing::hub
