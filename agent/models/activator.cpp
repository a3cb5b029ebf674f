// SPDX-License-Identifier: Apache-2.0
#include "agent/models/activator.hpp"

#include "shared/base/log.hpp"

#include <deque>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

namespace lapwing::agent {

void Activator::perform(DeviceModel& model, ModelActions actions, const ActivationState* before) {
  std::deque<ModelAction> todo(actions.begin(), actions.end());
  while (!todo.empty()) {
    const ModelAction action = std::move(todo.front());
    todo.pop_front();
    if (std::holds_alternative<model_action::Keep>(action)) {
      const auto kept = model.slots().keep(model.state());
      if (kept) continue;
      log::error("models: the state cannot be kept", {{"model", model.name()}, kept.error()});
      meters_.keep_failures.add();
      if (before == nullptr) continue;
      model.restore(*before);
      return;
    }
    if (const auto* fetch = std::get_if<model_action::Fetch>(&action)) {
      transfers_.begin(model, fetch->version);
    } else if (std::holds_alternative<model_action::StopFetch>(action)) {
      transfers_.cancel(model.name());
    } else if (const auto* install = std::get_if<model_action::Install>(&action)) {
      const auto done = this->install(model, *install);
      if (done) continue;
      log::warn("models: a version cannot be used", {{"model", model.name()}, done.error()});
      auto more = model.activation().on_install_failed(install->slot, done.error().context, now(),
                                                       ticks_now());
      // What was to be said of it is not true any more.
      std::erase_if(todo, [](const ModelAction& one) {
        return std::holds_alternative<model_action::Report>(one);
      });
      todo.insert(todo.end(), more.begin(), more.end());
      before = nullptr;
    } else if (const auto* said = std::get_if<model_action::Report>(&action)) {
      reporter_.report(model.name(), *said);
    }
  }
}

Result<void> Activator::install(const DeviceModel& model, const model_action::Install& install) {
  if (!install.version) return engine_.install(model.name(), install.slot, nullptr);
  auto live = model.open(*install.version);
  if (!live) return std::move(live).error();
  return engine_.install(model.name(), install.slot, *std::move(live));
}

void Activator::fetched(DeviceModel& model, const Fetched& fetched) {
  if (fetched.done) {
    file_came(model, fetched.sha256);
  } else if (fetched.done.error().code != Errc::shutting_down) {
    meters_.fetch_failures.add();
    perform(model, model.activation().on_fetch_failed(fetched.sha256, fetched.done.error().context,
                                                      ticks_now()));
  }
}

void Activator::file_came(DeviceModel& model, const std::string& sha256) {
  const ActivationState before = model.state();
  if (!before.wanted || before.wanted->version.sha256 != sha256) return;
  if (auto sound = model.open(before.wanted->version); !sound) {
    const auto& why = sound.error().context;
    std::error_code ignored;
    std::filesystem::remove(model.slots().file(sha256), ignored);
    meters_.refused(why);
    perform(model, model.activation().on_fetch_failed(sha256, why, ticks_now()));
    return;
  }
  perform(model, model.activation().on_fetched(sha256, now(), ticks_now()), &before);
}

}  // namespace lapwing::agent
