// SPDX-License-Identifier: Apache-2.0
#include "hub/api/store_watch.hpp"

#include <utility>

namespace lapwing::hub {

StoreWatch::StoreWatch(std::function<bool()> check, Micros silent_max)
    : check_(std::move(check)), silent_max_(silent_max) {
  ask();
  thread_ = std::thread([this] { run(); });
}

StoreWatch::~StoreWatch() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StoreWatch::ask() { good_until_ = check_() ? ticks_now() + kEvery + silent_max_ : Ticks{}; }

void StoreWatch::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kEvery, [this] { return stopping_; })) {
    lock.unlock();
    ask();
    lock.lock();
  }
}

}  // namespace lapwing::hub
