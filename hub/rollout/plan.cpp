// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/plan.hpp"

#include "hub/rollout/plan_fields.hpp"

#include <nlohmann/json.hpp>

namespace lapwing::hub::rollout {
namespace {

std::string number_text(double value) { return nlohmann::ordered_json(value).dump(); }

/// The problems found so far, with the part of the plan that is looked at.
class Problems {
 public:
  void add(std::string_view key, const std::string& what) {
    list_.push_back(where_ + std::string(key) + ": " + what);
  }
  void at(std::string where) { where_ = std::move(where); }
  void in(std::string_view key, double value, double low, double high) {
    if (value >= low && value <= high) return;
    add(key, number_text(value) + " is not from " + number_text(low) + " to " + number_text(high));
  }
  void in(std::string_view key, Micros value, Micros low = {}) {
    using Seconds = std::chrono::duration<double>;
    in(key, Seconds(value).count(), Seconds(low).count(), Seconds(Plan::kDurationMax).count());
  }
  std::vector<std::string> take() { return std::move(list_); }

 private:
  std::string where_;
  std::vector<std::string> list_;
};

}  // namespace

std::vector<std::string> Plan::problems() const {
  Problems found;
  if (devices.size() > kDevicesMax) {
    found.add("devices", "at most " + std::to_string(kDevicesMax) + " can be named; use labels");
  }
  if (const auto bad = check_labels(labels); !bad) found.add("labels", bad.error().context);
  if (rings.empty() || rings.size() > kRingsMax) {
    found.add("rings", "from 1 to " + std::to_string(kRingsMax) + " are wanted");
  }
  double before = 0;
  for (std::size_t i = 0; i < rings.size(); ++i) {
    const auto& ring = rings[i];
    found.at("rings[" + std::to_string(i) + "].");
    if (ring.label.empty() == (ring.percent == 0)) {
      found.add("percent", "either it or a label says who is in the ring");
    }
    if (ring.label.empty()) {
      found.in("percent", ring.percent, 0, 100);
      if (ring.percent <= before) found.add("percent", "each ring's is above the one's before");
      before = ring.percent;
    } else if (const auto good = check_label(ring.label); !good) {
      found.add("label", good.error().context);
    }
    found.in("devices_min", ring.devices_min, 1, 100'000);
    found.in("shadow_s", shadow_of(i));
    found.in("soak_s", soak_of(i));
  }
  found.at("");
  for_durations(*this, [&](const char* key, Micros value) { found.in(key, value); });
  found.in("silence_after_s", silence_after, std::chrono::seconds(1));
  found.at("gates.");
  found.in("alarm_ratio_max", gates.alarm_ratio_max, 1, 1'000);
  found.in("active_alarm_ratio_max", gates.active_alarm_ratio_max, 1, 1'000);
  found.in("alarm_evidence_min", gates.alarm_evidence_min, 1, 1e9);
  found.in("agreement_min", gates.agreement_min, 0, 1);
  found.in("psi_max", gates.psi_max, 0, 100);
  found.in("cost_ratio_max", gates.cost_ratio_max, 1, 1'000);
  found.in("cost_allowance_s", gates.cost_allowance);
  found.in("slow_share_max", gates.slow_share_max, 0, 1);
  found.in("reverted_share_max", gates.reverted_share_max, 0, 1);
  found.in("failed_share_max", gates.failed_share_max, 0, 1);
  found.in("silent_share_max", gates.silent_share_max, 0, .19);
  return found.take();
}

}  // namespace lapwing::hub::rollout
