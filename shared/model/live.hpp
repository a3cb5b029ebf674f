// SPDX-License-Identifier: Apache-2.0
/// A model put to use on live groups.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/group.hpp"
#include "shared/detect/group_scorer.hpp"
#include "shared/model/model.hpp"

#include <memory>
#include <string>
#include <vector>

namespace lapwing::model {

/// The sensors a group has, as a model for it names them: by the configuration's `sensor_names` and
/// `units`, in the order of its rows.
[[nodiscard]] std::vector<Sensor> sensors_of(const detect::GroupConfig& group);
/// Whether the model takes the group's rows: the same sensors and units in the same order. Errors:
/// denied (tells both).
Result<void> check_sensors(const detect::GroupConfig& group, const Header& header);

/// What all groups of one model share. Threads: immutable.
class LiveModel {
 public:
  /// `label`: what records call it, such as `pumps 7`. Errors: corrupt (the payload, which is tried
  /// here).
  static Result<LiveModel> of(std::shared_ptr<const Model> model, std::string label);

  /// A detector for one group. Errors: corrupt. Cost: copies the payload; not on a scoring thread.
  Result<detect::TrainedModel> for_group() const;
  [[nodiscard]] const Model& model() const noexcept { return *model_; }
  [[nodiscard]] const std::string& label() const noexcept { return label_; }

 private:
  LiveModel() = default;

  std::shared_ptr<const Model> model_;
  std::string label_;
  std::shared_ptr<const detect::NormalScores> normal_;
  std::uint64_t print_ = 0;
};

}  // namespace lapwing::model
