// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/plan.hpp"
#include "hub/rollout/plan_fields.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>

namespace lapwing::hub::rollout {
namespace {

using Json = nlohmann::ordered_json;

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

}  // namespace lapwing::hub::rollout
