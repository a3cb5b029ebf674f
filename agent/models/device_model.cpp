// SPDX-License-Identifier: Apache-2.0
#include "agent/models/device_model.hpp"

#include "shared/base/log.hpp"
#include "shared/release/documents.hpp"
#include "shared/release/judge.hpp"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

namespace lapwing::agent {

DeviceModel::DeviceModel(std::string name, std::filesystem::path folder,
                         const detect::GroupConfig& group, const ModelsConfig& config)
    : name_(std::move(name)),
      schema_(release::schema_digest(model::sensors_of(group))),
      confirm_after_(config.confirm_after),
      report_every_(config.report_every),
      slots_(std::move(folder)),
      activation_(confirm_after_, {}, report_every_) {}

ModelStart DeviceModel::start(bool unclean) {
  auto state = slots_.read(problem_);
  if (!problem_.empty()) {
    log::warn("models: what was kept is damaged", {{"model", name_}, {"why", problem_}});
  }
  ModelStart start;
  start.lost = !problem_.empty() && state == ActivationState{};
  restore(std::move(state));
  start.actions = activation_.on_start(unclean, now(), ticks_now());
  if (!start.actions.empty() && std::holds_alternative<model_action::Keep>(start.actions[0])) {
    const auto kept = slots_.keep(activation_.state());
    if (!kept) start.actions = rest_trial(kept.error());
  }
  return start;
}

void DeviceModel::restore(ActivationState state) {
  activation_ = Activation(confirm_after_, std::move(state), report_every_);
}

ModelActions DeviceModel::rest_trial(const Error& why) {
  log::error("models: an unclean end cannot be counted; what is on trial rests",
             {{"model", name_}, why});
  const std::string text = "an unclean end could not be counted: " + why.context;
  ModelActions actions;
  const auto add = [&](ModelActions more) { std::ranges::move(more, std::back_inserter(actions)); };
  if (activation_.state().shadow) {
    add(activation_.on_install_failed(ModelSlot::shadow, text, now(), ticks_now()));
  }
  const auto& state = activation_.state();
  if (state.active && !state.confirmed) {
    add(activation_.on_install_failed(ModelSlot::active, text, now(), ticks_now()));
  } else if (state.active) {
    actions.push_back(model_action::Install{ModelSlot::active, state.active->version});
  }
  return actions;
}

Result<std::shared_ptr<const model::LiveModel>> DeviceModel::open(
    const ModelVersion& version) const {
  auto live = slots_.open(name_, version);
  if (!live) return live;
  const release::Manifest manifest{.model = name_,
                                   .number = version.number,
                                   .sha256 = version.sha256,
                                   .length = version.length,
                                   .schema_sha256 = schema_};
  if (auto same = release::Judge::check_file(manifest, (*live)->model()); !same) {
    return same.error();
  }
  return live;
}

}  // namespace lapwing::agent
