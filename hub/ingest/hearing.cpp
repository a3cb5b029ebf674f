// SPDX-License-Identifier: Apache-2.0
#include "hub/ingest/hearing.hpp"

#include "hub/store/replicas.hpp"
#include "shared/base/log.hpp"

namespace lapwing::hub {

void Hearing::look(bool hears, Time at) {
  if (!hears) {
    since_.reset();
    return;
  }
  const bool broken = told_ && (at - *told_ > kBreak || at < *told_);
  const bool news = !since_ || broken;
  if (news) since_ = at;
  if (!news && told_ && at - *told_ < kBeatEvery) return;
  const auto done = store_.replicas().beat({replica_, *since_, at});
  if (done) {
    told_ = at;
    return;
  }
  log::warn("cannot tell that this replica hears its devices", {done.error()});
  since_.reset();
}

}  // namespace lapwing::hub
