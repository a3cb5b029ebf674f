// SPDX-License-Identifier: Apache-2.0
#include "hub/sink/record_json.hpp"

#include "hub/api/rows_json.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <variant>

namespace lapwing::hub {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

template <std::size_t N>
std::string_view word(const std::array<std::string_view, N>& words, std::size_t from_one) {
  return from_one >= 1 && from_one <= N ? words[from_one - 1] : "unknown";
}

Json head(std::string_view record_class, const DeviceKey& key, std::uint64_t epoch,
          std::uint64_t seq, Time received_at) {
  return {
      {"class", record_class}, {"tenant", key.tenant}, {"device", key.device},
      {"epoch", epoch},        {"seq", seq},           {"received_at", to_rfc3339(received_at)}};
}

void add_tags(Json& to, const std::vector<wire::Tag>& list) {
  auto tags = Json::object();
  for (const auto& tag : list) tags[tag.key] = tag.value;
  to["tags"] = std::move(tags);
}

void add_band(Json& to, const wire::Band& band) {
  to["expected"] = number(band.expected);
  to["lower"] = number(band.lower);
  to["upper"] = number(band.upper);
}

void add(Json& to, const wire::AnomalyRecord& a) {
  static constexpr std::array<std::string_view, 3> kPhases{"opened", "updated", "closed"};
  to["id"] = anomaly_id(a.id);
  to["phase"] = word(kPhases, static_cast<std::size_t>(a.phase));
  to["state"] = kStates[a.phase == wire::Phase::closed ? 1 : 0];
  to["stream"] = a.stream;
  to["watch"] = a.watch;
  to["detector"] = a.detector;
  to["severity"] = word(kSeverities, static_cast<std::size_t>(a.severity));
  to["reason"] = word(kReasons, static_cast<std::size_t>(a.reason));
  to["onset"] = to_rfc3339(a.onset);
  to["peak_time"] = to_rfc3339(a.peak_time);
  to["end"] = a.end ? Json(to_rfc3339(*a.end)) : Json(nullptr);
  to["peak_score"] = number(a.peak_score);
  to["peak_value"] = number(a.peak_value);
  add_band(to, a.band);
  to["text"] = a.text;
  auto contributions = Json::array();
  for (const auto& one : a.contributions) {
    contributions.push_back({{"stream", one.stream}, {"share", number(one.share)}});
  }
  to["contributions"] = std::move(contributions);
  add_tags(to, a.tags);
}

void add(Json& to, const wire::SummaryRecord& s) {
  to["stream"] = s.stream;
  to["watch"] = s.watch;
  to["begin"] = to_rfc3339(s.begin);
  to["end"] = to_rfc3339(s.end);
  to["readings"] = s.readings;
  to["value_min"] = number(s.value_min);
  to["value_mean"] = number(s.value_mean);
  to["value_max"] = number(s.value_max);
  to["score_mean"] = number(s.score_mean);
  to["score_max"] = number(s.score_max);
  add_band(to, s.band);
  add_tags(to, s.tags);
}

void add_loss(Json& to, std::uint64_t seq_last, std::string_view reason, std::uint64_t records) {
  to["seq_last"] = seq_last;
  to["reason"] = reason;
  to["records"] = records;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string record_json(const DeviceKey& key, std::uint64_t epoch, Time received_at,
                        const IncomingRecord& record) {
  auto json =
      head(class_name(static_cast<int>(record.record_class)), key, epoch, record.seq, received_at);
  if (const auto* anomaly = std::get_if<wire::AnomalyRecord>(record.body)) {
    add(json, *anomaly);
  } else if (const auto* summary = std::get_if<wire::SummaryRecord>(record.body)) {
    add(json, *summary);
  } else if (const auto* loss = std::get_if<wire::LossRecord>(record.body)) {
    add_loss(json, record.seq_last, word(kLossReasons, static_cast<std::size_t>(loss->reason)),
             record.seq_last - record.seq + 1);
  }
  return dump(json);
}

std::string given_up_json(const SpoolRow& row) {
  auto json = head("loss", row.key, row.epoch, row.seq, row.received_at);
  add_loss(json, row.seq_last, row.record_class == kSpoolRefused ? "refused" : "spool",
           row.records);
  return dump(json);
}

std::string_view class_name(int record_class) {
  switch (record_class) {
    case static_cast<int>(wire::RecordClass::anomaly):
      return "anomaly";
    case static_cast<int>(wire::RecordClass::summary):
      return "summary";
    default:
      return "loss";
  }
}

}  // namespace lapwing::hub
