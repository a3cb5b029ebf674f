// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/loop.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <sys/epoll.h>
#include <unistd.h>

namespace lapwing::fleet {
namespace {

constexpr std::size_t kEventsMax = 256;
constexpr Micros kLook = std::chrono::milliseconds(20);  // at what the main thread wants

}  // namespace

Loop::Loop(const Shared& shared, std::size_t first, std::size_t stride)
    : shared_(shared), first_(first), stride_(stride), poll_(epoll_create1(EPOLL_CLOEXEC)) {
  tools_.watch = [this](int socket, std::size_t device) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = (device - first_) / stride_;
    epoll_ctl(poll_, EPOLL_CTL_ADD, socket, &event);  // closing the socket takes it out
  };
  for (std::size_t i = first; i < shared.members.all.size(); i += stride) {
    devices_.push_back(std::make_unique<Device>(shared, i, tools_, *meters_));
  }
  queued_.assign(devices_.size(), Ticks::max());
}

Loop::~Loop() {
  devices_.clear();
  ::close(poll_);
}

void Loop::start() {
  thread_ = std::thread([this] { run(); });
}

void Loop::join() {
  if (thread_.joinable()) thread_.join();
}

void Loop::write_back(Members& members) const {
  for (std::size_t place = 0; place < devices_.size(); ++place) {
    members.all[first_ + place * stride_].position = devices_[place]->position();
  }
}

void Loop::settle(std::size_t place) {
  const Ticks wake = devices_[place]->wake_at();
  if (wake >= queued_[place]) return;  // it is looked at before that
  queued_[place] = wake;
  wakes_.emplace(wake, place);
}

void Loop::run() {
  began_ = ticks_now();
  while (!shared_.control.finish) {
    const Ticks now = ticks_now();
    follow_control(now);
    let_connect(now);
    hand_out(now);
    while (!wakes_.empty() && wakes_.top().first <= now) {
      const auto [at, place] = wakes_.top();
      wakes_.pop();
      if (at != queued_[place]) continue;  // it was queued for an earlier time since
      queued_[place] = Ticks::max();
      devices_[place]->tick(ticks_now());
      settle(place);
    }
    wait(wakes_.empty() ? now + kLook : std::min(wakes_.top().first, now + kLook));
  }
  for (const auto& device : devices_) device->finish(ticks_now());
}

void Loop::wait(Ticks until) {
  std::array<epoll_event, kEventsMax> events{};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - ticks_now()).count();
  const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()),
                               static_cast<int>(std::max<std::int64_t>(left, 0)));
  for (int i = 0; i < count; ++i) {
    const auto place = static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64);
    devices_[place]->ready(ticks_now());
    settle(place);
  }
}

void Loop::let_connect(Ticks now) {
  if (begun_ == devices_.size()) return;
  const auto& plan = shared_.plan;
  const double elapsed = std::chrono::duration<double>(now - began_).count();
  const auto paced =
      plan.connects_per_second > 0
          ? static_cast<std::size_t>(elapsed * plan.connects_per_second) / stride_ + 1
          : devices_.size();
  const auto room = plan.connecting_max > 0
                        ? static_cast<std::size_t>(std::max<std::int64_t>(meters_->welcomed, 0)) +
                              plan.connecting_max / stride_ + 1
                        : devices_.size();
  for (const auto end = std::min({paced, room, devices_.size()}); begun_ < end; ++begun_) {
    devices_[begun_]->begin(now);
    settle(begun_);
  }
}

void Loop::hand_out(Ticks now) {
  const auto& plan = shared_.plan;
  if (!plan.saturate || shared_.control.start == 0 || shared_.control.end != 0) return;
  const auto budget = static_cast<std::int64_t>(plan.outstanding / stride_);
  for (std::size_t refused = 0;
       refused < devices_.size() && meters_->due - meters_->acked + plan.burst <= budget;) {
    refused = devices_[turn_]->give(now) ? 0 : refused + 1;
    settle(turn_);
    turn_ = (turn_ + 1) % devices_.size();
  }
}

void Loop::follow_control(Ticks now) {
  const auto& control = shared_.control;
  const bool news = control.start != started_ || control.end != ended_;
  if (news) {
    started_ = control.start;
    ended_ = control.end;
    for (std::size_t place = 0; place < devices_.size(); ++place) {
      devices_[place]->tick(now);
      settle(place);
    }
  }
  if (control.drops == drops_) return;
  drops_ = control.drops;
  std::minstd_rand random(drops_ * 7919U + static_cast<unsigned>(first_) + 1);
  std::uniform_real_distribution<double> any(0, 1);
  for (std::size_t place = 0; place < devices_.size(); ++place) {
    if (any(random) >= control.drop_share) continue;
    devices_[place]->drop(now);
    settle(place);
  }
}

}  // namespace lapwing::fleet
