// SPDX-License-Identifier: Apache-2.0
/// A mutex that clang's -Wthread-safety can follow; libstdc++'s is not annotated.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define LAPWING_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define LAPWING_THREAD_ANNOTATION(x)
#endif
#define LAPWING_GUARDED_BY(m) LAPWING_THREAD_ANNOTATION(guarded_by(m))
#define LAPWING_REQUIRES(m) LAPWING_THREAD_ANNOTATION(requires_capability(m))

namespace lapwing {

class LAPWING_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() LAPWING_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() LAPWING_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// Holds a Mutex for a scope; usable with std::condition_variable_any.
class LAPWING_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LAPWING_THREAD_ANNOTATION(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() LAPWING_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace lapwing
