// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/plan.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>

namespace lapwing::hub::rollout {
namespace {

using Json = nlohmann::ordered_json;

std::string number_text(double value) { return Json(value).dump(); }

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

/// Calls `field(key, member)` for each of the numbers that a plan and its gates have: the one list
/// of their names.
template <class ThePlan, class Field>
void for_durations(ThePlan& plan, Field&& field) {
  field("shadow_s", plan.shadow_for);
  field("soak_s", plan.soak);
  field("silence_after_s", plan.silence_after);
  field("fetch_s", plan.fetch_for);
  field("confirm_s", plan.confirm_for);
  field("evidence_s", plan.evidence_for);
}
template <class TheGates, class Field>
void for_gates(TheGates& gates, Field&& field) {
  field("alarm_ratio_max", gates.alarm_ratio_max);
  field("active_alarm_ratio_max", gates.active_alarm_ratio_max);
  field("alarm_evidence_min", gates.alarm_evidence_min);
  field("agreement_min", gates.agreement_min);
  field("psi_max", gates.psi_max);
  field("cost_ratio_max", gates.cost_ratio_max);
  field("cost_allowance_s", gates.cost_allowance);
  field("slow_share_max", gates.slow_share_max);
  field("reverted_share_max", gates.reverted_share_max);
  field("failed_share_max", gates.failed_share_max);
  field("silent_share_max", gates.silent_share_max);
  field("rows_min", gates.rows_min);
  field("alarms_min", gates.alarms_min);
}

Json to_json(double value) { return value; }
Json to_json(std::uint64_t value) { return value; }
Json to_json(Micros value) {
  if (value.count() % 1'000'000 == 0) return value.count() / 1'000'000;
  return std::chrono::duration<double>(value).count();
}

/// One JSON object, read key by key.
class Reader {
 public:
  Reader(const Json& json, std::string where, std::vector<std::string>& problems)
      : json_(json), where_(std::move(where)), problems_(problems) {}
  ~Reader() {
    for (const auto& [key, value] : json_.items()) {
      if (!known_.contains(key)) wrong(key.substr(0, 64), "unknown key");
    }
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  const Json* find(const char* key) {
    known_.insert(key);
    const auto at = json_.find(key);
    return at == json_.end() || at->is_null() ? nullptr : &*at;
  }
  void operator()(const char* key, double& out) {
    if (const auto* at = find(key)) {
      if (!at->is_number()) return wrong(key, "a number is wanted");
      out = at->get<double>();
    }
  }
  void operator()(const char* key, std::uint64_t& out) {
    if (const auto* at = find(key)) {
      if (!at->is_number_unsigned()) return wrong(key, "a whole number is wanted");
      out = at->get<std::uint64_t>();
    }
  }
  void operator()(const char* key, Micros& out) {
    if (const auto* at = find(key)) {
      const double seconds = at->is_number() ? at->get<double>() : -1;
      if (!(seconds >= 0 && seconds < 1e9)) return wrong(key, "a number of seconds is wanted");
      out = Micros(std::llround(seconds * 1e6));
    }
  }
  void operator()(const char* key, std::optional<Micros>& out) {
    Micros value{};
    if (json_.contains(key) && !json_.at(key).is_null()) out = value;
    (*this)(key, value);
    if (out) out = value;
  }
  void operator()(const char* key, bool& out) {
    if (const auto* at = find(key)) {
      if (!at->is_boolean()) return wrong(key, "true or false is wanted");
      out = at->get<bool>();
    }
  }
  void operator()(const char* key, std::string& out) {
    if (const auto* at = find(key)) {
      if (!at->is_string()) return wrong(key, "a text is wanted");
      out = at->get<std::string>();
    }
  }
  void wrong(std::string_view key, const std::string& what) {
    problems_.push_back(where_ + std::string(key) + ": " + what);
  }

 private:
  const Json& json_;
  const std::string where_;
  std::vector<std::string>& problems_;
  std::set<std::string, std::less<>> known_;
};

Ring read_ring(const Json& json, const std::string& where, std::vector<std::string>& problems) {
  Ring ring;
  if (!json.is_object()) {
    problems.push_back(where + " an object is wanted");
    return ring;
  }
  Reader read(json, where, problems);
  std::uint64_t devices_min = ring.devices_min;
  read("percent", ring.percent);
  read("label", ring.label);
  read("devices_min", devices_min);
  read("shadow_s", ring.shadow_for);
  read("soak_s", ring.soak);
  ring.devices_min = static_cast<std::uint32_t>(std::min<std::uint64_t>(devices_min, UINT32_MAX));
  return ring;
}

void read_selection(Reader& read, Plan& plan) {
  if (const auto* at = read.find("devices")) {
    if (!at->is_array()) read.wrong("devices", "a list of names is wanted");
    for (const auto& one : *at) {
      if (!one.is_string()) return read.wrong("devices", "a list of names is wanted");
      plan.devices.push_back(one.get<std::string>());
    }
  }
  if (const auto* at = read.find("labels")) {
    if (!at->is_object()) return read.wrong("labels", "an object of texts is wanted");
    for (const auto& [key, value] : at->items()) {
      if (!value.is_string()) return read.wrong("labels", "an object of texts is wanted");
      plan.labels.emplace(key, value.get<std::string>());
    }
  }
}

std::string joined(const std::vector<std::string>& problems) {
  constexpr std::size_t kTold = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(problems.size(), kTold); ++i) {
    text += (i == 0 ? "plan: " : "; ") + problems[i];
  }
  return text;
}

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

Result<Plan> read_plan(std::string_view text) {
  const auto json = Json::parse(text.empty() ? "{}" : text, nullptr, false);
  if (!json.is_object()) return Error{Errc::bad_input, "plan: a JSON object is wanted"};
  Plan plan;
  std::vector<std::string> problems;
  {
    Reader read(json, "", problems);
    read_selection(read, plan);
    if (const auto* rings = read.find("rings")) {
      plan.rings.clear();
      if (!rings->is_array()) read.wrong("rings", "a list is wanted");
      for (std::size_t i = 0; i < std::min(rings->size(), Plan::kRingsMax + 1); ++i) {
        const auto where = "rings[" + std::to_string(i) + "].";
        if (rings->is_array()) plan.rings.push_back(read_ring((*rings)[i], where, problems));
      }
    }
    for_durations(plan, read);
    read("all", plan.all);
    read("leave_out_offline", plan.leave_out_offline);
    if (const auto* gates = read.find("gates")) {
      if (!gates->is_object()) {
        read.wrong("gates", "an object is wanted");
      } else {
        Reader read_gates(*gates, "gates.", problems);
        for_gates(plan.gates, read_gates);
      }
    }
  }
  if (problems.empty()) problems = plan.problems();
  if (!problems.empty()) return Error{Errc::bad_input, joined(problems)};
  return plan;
}

std::string write_plan(const Plan& plan) {
  auto json = Json::object();
  if (!plan.devices.empty()) json["devices"] = plan.devices;
  if (!plan.labels.empty()) json["labels"] = plan.labels;
  if (plan.all) json["all"] = true;
  auto& rings = json["rings"] = Json::array();
  for (const auto& ring : plan.rings) {
    auto one = Json::object();
    if (ring.label.empty()) {
      one["percent"] = ring.percent;
    } else {
      one["label"] = ring.label;
    }
    one["devices_min"] = ring.devices_min;
    if (ring.shadow_for) one["shadow_s"] = to_json(*ring.shadow_for);
    if (ring.soak) one["soak_s"] = to_json(*ring.soak);
    rings.push_back(std::move(one));
  }
  const auto put = [&](Json& into) {
    return [&into](const char* key, auto value) { into[key] = to_json(value); };
  };
  for_durations(plan, put(json));
  json["leave_out_offline"] = plan.leave_out_offline;
  auto gates = Json::object();
  for_gates(plan.gates, put(gates));
  json["gates"] = std::move(gates);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lapwing::hub::rollout
