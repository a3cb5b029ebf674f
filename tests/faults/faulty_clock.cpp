// SPDX-License-Identifier: Apache-2.0
/// Preloaded into a process, gives it another wall clock; the monotonic one stays. FAULTY_CLOCK
/// names a file of three native 64-bit integers: offset (ns), slew (ns per second) and the instant
/// of the monotonic clock (ns) from which the slew counts. It may be rewritten at any time.
///
/// Waits until an instant of the wall clock (condition variables, semaphores, mutexes) end when the
/// faulty clock says so, as they would with the real one: they look at it every few milliseconds.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kSlice = 10'000'000;

struct Fault {
  std::int64_t offset;
  std::int64_t slew;
  std::int64_t since;
};

std::int64_t true_time(clockid_t clock) {
  timespec at{};
  syscall(SYS_clock_gettime, clock, &at);
  return at.tv_sec * kSecond + at.tv_nsec;
}

const volatile Fault* fault() {
  static const volatile Fault* const mapped = []() -> const volatile Fault* {
    static const Fault none{};
    const char* path = std::getenv("FAULTY_CLOCK");
    const int file = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return &none;
    void* at = mmap(nullptr, sizeof(Fault), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    return at == MAP_FAILED ? &none : static_cast<const volatile Fault*>(at);
  }
  ();
  return mapped;
}

std::int64_t faulty_time() {
  const volatile Fault* f = fault();
  std::int64_t at = true_time(CLOCK_REALTIME) + f->offset;
  if (f->slew != 0) {
    at += (true_time(CLOCK_MONOTONIC) - f->since) / 1'000 * f->slew / (kSecond / 1'000);
  }
  return at;
}

timespec to_timespec(std::int64_t ns) {
  timespec at{ns / kSecond, ns % kSecond};
  if (at.tv_nsec < 0) {
    at.tv_nsec += kSecond;
    --at.tv_sec;
  }
  return at;
}

std::int64_t to_ns(const timespec& at) { return at.tv_sec * kSecond + at.tv_nsec; }

bool is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

template <class Function>
Function real(const char* name) {
  void* found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");  // x86 has older condition variables too
  return reinterpret_cast<Function>(found != nullptr ? found : dlsym(RTLD_NEXT, name));
}

/// Condition variables whose instants are of the monotonic clock.
std::array<std::atomic<const pthread_cond_t*>, 256> monotonic{};

bool replace(const pthread_cond_t* what, const pthread_cond_t* with) {
  for (auto& one : monotonic) {
    const pthread_cond_t* expected = what;
    if (one.load() == what && one.compare_exchange_strong(expected, with)) return true;
  }
  return false;
}

bool is_monotonic(const pthread_cond_t* condition) {
  return std::any_of(monotonic.begin(), monotonic.end(),
                     [&](const auto& one) { return one.load() == condition; });
}

/// The real clock's instant at which to look again: soon, or when `until` comes.
timespec next_look(const timespec* until, bool& over) {
  const std::int64_t left = to_ns(*until) - faulty_time();
  over = left <= 0;
  return to_timespec(true_time(CLOCK_REALTIME) + (left < kSlice ? (over ? 0 : left) : kSlice));
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* at) {
  if (!is_wall(clock)) return static_cast<int>(syscall(SYS_clock_gettime, clock, at));
  *at = to_timespec(faulty_time());
  return 0;
}

int gettimeofday(timeval* at, void*) {
  const timespec now = to_timespec(faulty_time());
  *at = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* at) {
  const time_t now = to_timespec(faulty_time()).tv_sec;
  if (at != nullptr) *at = now;
  return now;
}

int pthread_cond_init(pthread_cond_t* condition, const pthread_condattr_t* attributes) {
  static const auto init = real<decltype(&pthread_cond_init)>("pthread_cond_init");
  clockid_t clock = CLOCK_REALTIME;
  if (attributes != nullptr) pthread_condattr_getclock(attributes, &clock);
  if (!is_wall(clock) && !replace(nullptr, condition)) std::abort();  // the table is too small
  return init(condition, attributes);
}

int pthread_cond_destroy(pthread_cond_t* condition) {
  static const auto destroy = real<decltype(&pthread_cond_destroy)>("pthread_cond_destroy");
  replace(condition, nullptr);
  return destroy(condition);
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* until) {
  static const auto wait = real<decltype(&pthread_cond_timedwait)>("pthread_cond_timedwait");
  if (is_monotonic(condition)) return wait(condition, mutex, until);
  bool over = false;
  const timespec look = next_look(until, over);
  const int outcome = wait(condition, mutex, &look);
  return outcome == ETIMEDOUT && !over ? 0 : outcome;  // awake without a reason, as it may be
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  static const auto wait = real<decltype(&pthread_cond_clockwait)>("pthread_cond_clockwait");
  if (is_wall(clock)) return pthread_cond_timedwait(condition, mutex, until);
  return wait(condition, mutex, clock, until);
}

int sem_timedwait(sem_t* semaphore, const timespec* until) {
  static const auto wait = real<decltype(&sem_timedwait)>("sem_timedwait");
  for (;;) {
    bool over = false;
    const timespec look = next_look(until, over);
    if (wait(semaphore, &look) == 0) return 0;
    if (errno != ETIMEDOUT || over) return -1;
  }
}

int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* until) {
  static const auto wait = real<decltype(&pthread_mutex_timedlock)>("pthread_mutex_timedlock");
  for (;;) {
    bool over = false;
    const timespec look = next_look(until, over);
    const int outcome = wait(mutex, &look);
    if (outcome != ETIMEDOUT || over) return outcome;
  }
}

}  // extern "C"
