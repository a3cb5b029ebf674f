// SPDX-License-Identifier: Apache-2.0
#include "agent/models/offer_intake.hpp"

#include "shared/base/log.hpp"

namespace lapwing::agent {

void OfferIntake::take(const wire::Offer& offer) {
  const auto known = models_.find(offer.model);
  if (known == models_.end()) {
    refuse_aside(offer, "unknown_model: no [[group]] of this device has model = \"" +
                            offer.model.substr(0, 64) + "\"");
    return;
  }
  DeviceModel& model = known->second;
  if (model.activation().answered(offer.offer)) {  // a repeated one needs no judge
    activator_.perform(model, model.activation().on_refused(offer.offer, offer.rollout,
                                                            offer.number, "", ticks_now()));
    return;
  }
  trust_.load();
  if (offer.number != 0 && trust_.judge() == nullptr) {
    refuse_aside(offer, "no_trust: " + trust_.problem());
    return;
  }
  judge(model, offer);
}

void OfferIntake::judge(DeviceModel& model, const wire::Offer& offer) {
  const Ticks ticks = ticks_now();
  const ActivationState before = model.state();
  auto judged = judge_.judge(offer, model.schema(), now());
  if (!judged) {
    if (judged.error().code == Errc::io || judged.error().code == Errc::limit) {
      log::error("models: an offer is not taken; it will come again", {judged.error()});
      return;
    }
    const auto& why = judged.error().context;
    log::warn("models: an offer is refused",
              {{"model", offer.model}, {"version", offer.number}, {"why", why}});
    meters_.refused(why);
    activator_.perform(
        model, model.activation().on_refused(offer.offer, offer.rollout, offer.number, why, ticks),
        &before);
    return;
  }
  log::info("models: an offer is taken",
            {{"model", offer.model},
             {"version", offer.number},
             {"stage", offer.stage == wire::ModelStage::active ? "active" : "shadow"}});
  activator_.perform(model, model.activation().on_offer(*judged, now(), ticks), &before);
}

/// Answers an offer that leaves no trace here; once a minute each.
void OfferIntake::refuse_aside(const wire::Offer& offer, const std::string& why) {
  const Ticks ticks = ticks_now();
  if (!aside_.contains(offer.model) && aside_.size() >= kUnknownMax) aside_.clear();
  auto& last = aside_[offer.model];
  if (last && ticks - *last < Activation::kRepeatAfter) return;
  last = ticks;
  meters_.refused(why);
  reporter_.report(offer.model, {.state = model_state::kRefused,
                                 .version = offer.number,
                                 .detail = why,
                                 .offer = offer.offer,
                                 .rollout = offer.rollout});
}

}  // namespace lapwing::agent
