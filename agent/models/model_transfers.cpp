// SPDX-License-Identifier: Apache-2.0
#include "agent/models/model_transfers.hpp"

#include <filesystem>
#include <system_error>
#include <utility>

namespace lapwing::agent {

void ModelTransfers::stop() {
  if (under_way_ && fetch_ != nullptr) fetch_->cancel();
  under_way_.reset();
  fetch_ = nullptr;
}

void ModelTransfers::begin(const DeviceModel& model, const ModelVersion& version) {
  if (model.open(version)) {
    events_.fetched({model.name(), version.sha256, {}});
    return;
  }
  if (fetch_ == nullptr) return;
  begun_[model.name()] = ticks_now();
  Transfer wanted{model.name(), version.sha256};
  if (under_way_ && (*under_way_ == wanted || under_way_->model != wanted.model)) {
    return;  // goes on; or waits for the other
  }
  std::error_code ignored;
  std::filesystem::create_directories(model.slots().folder(), ignored);
  under_way_ = wanted;
  fetch_->start(version.sha256, version.length, model.slots().file(version.sha256),
                [&events = events_, wanted = std::move(wanted)](Result<void> done) {
                  events.fetched({wanted.model, wanted.sha256, std::move(done)});
                });
}

void ModelTransfers::cancel(const std::string& model) {
  if (under_way_ && under_way_->model == model && fetch_ != nullptr) fetch_->cancel();
}

void ModelTransfers::ended(const Fetched& fetched) {
  if (under_way_ == Transfer{fetched.model, fetched.sha256}) under_way_.reset();
}

void ModelTransfers::take_turn(const DeviceModel& model) {
  const auto& wanted = model.state().wanted;
  if (wanted && !under_way_) begin(model, wanted->version);
}

void ModelTransfers::begin_again(const DeviceModel& model) {
  const auto& wanted = model.state().wanted;
  if (!wanted || fetch_ == nullptr) return;
  if (under_way_ && under_way_->model == model.name()) return;
  const auto begun = begun_.find(model.name());
  if (begun != begun_.end() && ticks_now() - begun->second <= kAgain) return;
  begin(model, wanted->version);
}

}  // namespace lapwing::agent
