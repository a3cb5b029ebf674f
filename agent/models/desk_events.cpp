// SPDX-License-Identifier: Apache-2.0
#include "agent/models/desk_events.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::agent {

bool DeskEvents::offer(wire::Offer offer) {
  {
    const std::lock_guard lock(mutex_);
    const auto same = [&](const DeskEvent& event) {
      const auto* one = std::get_if<wire::Offer>(&event);
      return one != nullptr && one->model == offer.model;
    };
    if (const auto older = std::ranges::find_if(events_, same); older != events_.end()) {
      *older = std::move(offer);  // the newest counts
      return true;
    }
    if (events_.size() >= offers_max_) return false;
    events_.emplace_back(std::move(offer));
  }
  wake_.notify_all();
  return true;
}

void DeskEvents::fetched(Fetched fetched) {
  {
    const std::lock_guard lock(mutex_);
    events_.emplace_back(std::move(fetched));
  }
  wake_.notify_all();
}

std::optional<std::vector<DeskEvent>> DeskEvents::wait(Micros most) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, most, [this] { return stopping_ || !events_.empty(); });
  if (stopping_) return std::nullopt;
  return std::exchange(events_, {});
}

void DeskEvents::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
}

}  // namespace lapwing::agent
