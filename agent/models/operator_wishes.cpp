// SPDX-License-Identifier: Apache-2.0
#include "agent/models/operator_wishes.hpp"

#include "shared/base/log.hpp"

#include <system_error>

namespace lapwing::agent {

void OperatorWishes::grant(DeviceModel& model) {
  if (model.slots().rollback_asked()) {
    log::warn("models: an operator wants the version before back", {{"model", model.name()}});
    activator_.perform(model, model.activation().on_rollback(now(), ticks_now()));
    model.slots().rollback_done();
  }
  std::error_code ignored;
  if (!std::filesystem::exists(asks_trust_, ignored)) return;
  const auto begun = trust_.begin_anew();
  if (begun) {
    log::warn("models: an operator began anew with the list of keys", {{"keys", keys_file_}});
  } else {
    log::error("models: the list of keys cannot be taken", {begun.error()});
  }
  std::filesystem::remove(asks_trust_, ignored);
}

}  // namespace lapwing::agent
