// SPDX-License-Identifier: Apache-2.0
/// Takes an offer of the hub, or refuses it; either way it is answered.
#pragma once

#include "agent/models/activator.hpp"
#include "agent/models/device_model.hpp"
#include "agent/models/model_meters.hpp"
#include "agent/models/model_reporter.hpp"
#include "agent/models/offer_judge.hpp"
#include "agent/models/remembered.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/models.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace lapwing::agent {

/// Bounds: of kUnknownMax models that no group uses it is remembered when they were answered.
/// Threads: one at a time.
class OfferIntake {
 public:
  static constexpr std::size_t kUnknownMax = 64;

  /// Borrows all but `device`, see OfferJudge.
  OfferIntake(DeviceModels& models, ModelTrust& trust, release::Device device, Activator& activator,
              ModelReporter& reporter, ModelMeters& meters)
      : models_(models),
        trust_(trust),
        judge_(trust, std::move(device)),
        activator_(activator),
        reporter_(reporter),
        meters_(meters) {}

  /// A refusal is counted and told. Nothing is answered while the judge's memory cannot be kept:
  /// the offer comes again.
  void take(const wire::Offer& offer);

 private:
  void judge(DeviceModel& model, const wire::Offer& offer);
  void refuse_aside(const wire::Offer& offer, const std::string& why);

  DeviceModels& models_;
  ModelTrust& trust_;
  OfferJudge judge_;
  Activator& activator_;
  ModelReporter& reporter_;
  ModelMeters& meters_;
  std::map<std::string, std::optional<Ticks>> aside_;  ///< by model: when it was answered
};

}  // namespace lapwing::agent
