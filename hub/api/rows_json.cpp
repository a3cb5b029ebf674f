// SPDX-License-Identifier: Apache-2.0
#include "hub/api/rows_json.hpp"

#include "hub/api/answers.hpp"
#include "hub/api/body.hpp"
#include "shared/base/hex.hpp"

#include <cmath>

namespace lapwing::hub {
namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json time(const std::optional<Time>& value) {
  return value ? Json(to_rfc3339(*value)) : Json(nullptr);
}

Json tags(const std::vector<wire::Tag>& list) {
  auto out = Json::object();
  for (const auto& tag : list) out[tag.key] = tag.value;
  return out;
}

/// This region itself has no name here.
Json region(const std::string& name) { return name.empty() ? Json(nullptr) : Json(name); }

template <std::size_t N>
std::string_view word(const std::array<std::string_view, N>& words, std::size_t from_one) {
  return from_one >= 1 && from_one <= N ? words[from_one - 1] : "unknown";
}

constexpr std::array<const char*, 3> kStatus{"offline", "online", "quarantined"};

Json json(const DeviceRow& row) {
  const auto& ledger = row.ledger;
  return {{"device", row.device},
          {"status", kStatus[static_cast<std::size_t>(row.status)]},
          {"last_seen", time(row.last_seen)},
          {"agent_version", row.agent_version.empty() ? Json(nullptr) : Json(row.agent_version)},
          {"enrolled_at", to_rfc3339(row.enrolled_at)},
          {"certificate_expires", time(row.certificate_expires)},
          {"revoked_at", time(row.revoked_at)},
          {"epoch", row.epoch},
          {"watermark", row.watermark},
          {"produced", ledger.produced},
          {"stored", ledger.stored},
          {"lost", ledger.lost.total()},
          {"lost_by_reason",
           {{"quota", ledger.lost.quota},
            {"corrupt", ledger.lost.corrupt},
            {"vanished", ledger.lost.vanished},
            {"poison", ledger.lost.poison}}},
          {"elsewhere", ledger.elsewhere},
          {"outstanding", ledger.outstanding},
          {"streams", row.streams},
          {"anomalies_open", row.anomalies_open},
          {"readings_total", row.readings_total},
          {"quarantined_total", row.quarantined_total},
          {"region", region(row.region)},
          {"labels", row.labels}};
}

Json json(const std::pair<std::string, ExchangedLedger>& told) {
  const auto& row = told.second;
  return {{"region", region(told.first)},
          {"status", kStatus[static_cast<std::size_t>(row.status)]},
          {"last_seen", time(row.last_seen)},
          {"epoch", row.epoch},
          {"watermark", row.watermark},
          {"produced", row.ledger.produced},
          {"stored", row.ledger.stored},
          {"lost", row.ledger.lost.total()},
          {"elsewhere", row.ledger.elsewhere},
          {"outstanding", row.ledger.outstanding},
          {"readings_total", row.readings_total}};
}

Json json(const RegionRow& row) {
  return {{"region", row.region}, {"complete_at", time(row.complete_at)}};
}

Json json(const LossRow& row) {
  return {{"epoch", row.epoch},
          {"seq_first", row.seq_first},
          {"seq_last", row.seq_last},
          {"reason", word(kLossReasons, static_cast<std::size_t>(row.reason))},
          {"records", row.records},
          {"from", time(row.from)},
          {"to", time(row.to)},
          {"received_at", to_rfc3339(row.received_at)}};
}

Json json(const Gap& gap) {
  return {{"from", to_rfc3339(gap.from)},
          {"to", to_rfc3339(gap.to)},
          {"reason", word(kLossReasons, static_cast<std::size_t>(gap.reason))},
          {"records", gap.records}};
}

Json json(const StreamRow& row) {
  return {{"stream", row.stream},
          {"watch", row.watch},
          {"last_time", time(row.last_time)},
          {"last_value", number(row.last_value)},
          {"expected", number(row.band.expected)},
          {"lower", number(row.band.lower)},
          {"upper", number(row.band.upper)},
          {"last_score", number(row.last_score)},
          {"anomalies_open", row.anomalies_open},
          {"tags", tags(row.tags)}};
}

Json json(const HistoryPoint& point) {
  return {{"begin", to_rfc3339(point.begin)},
          {"end", to_rfc3339(point.end)},
          {"readings", point.readings},
          {"value_min", number(point.value_min)},
          {"value_mean", number(point.value_mean)},
          {"value_max", number(point.value_max)},
          {"score_mean", number(point.score_mean)},
          {"score_max", number(point.score_max)},
          {"expected", number(point.band.expected)},
          {"lower", number(point.band.lower)},
          {"upper", number(point.band.upper)}};
}

Json json(const AnomalyRow& row) {
  const auto& record = row.record;
  auto contributions = Json::array();
  for (const auto& one : record.contributions) {
    contributions.push_back({{"stream", one.stream}, {"share", number(one.share)}});
  }
  return {{"id", anomaly_id(record.id)},
          {"device", row.device},
          {"stream", record.stream},
          {"watch", record.watch},
          {"detector", record.detector},
          {"state", record.phase == wire::Phase::closed ? "closed" : "open"},
          {"severity", word(kSeverities, static_cast<std::size_t>(record.severity))},
          {"reason", word(kReasons, static_cast<std::size_t>(record.reason))},
          {"onset", to_rfc3339(record.onset)},
          {"peak_time", to_rfc3339(record.peak_time)},
          {"end", time(record.end)},
          {"peak_score", number(record.peak_score)},
          {"peak_value", number(record.peak_value)},
          {"expected", number(record.band.expected)},
          {"lower", number(record.band.lower)},
          {"upper", number(record.band.upper)},
          {"text", record.text},
          {"contributions", std::move(contributions)},
          {"tags", tags(record.tags)},
          {"received_at", to_rfc3339(row.received_at)},
          {"updated_at", to_rfc3339(row.updated_at)},
          {"region", region(row.region)}};
}

Json json(const TokenRow& row) {
  return {{"id", row.id},
          {"name", row.name},
          {"scopes", row.scopes},
          {"created_at", to_rfc3339(row.created_at)},
          {"expires_at", time(row.expires_at)},
          {"revoked_at", time(row.revoked_at)}};
}

Json json(const AuditRow& row) {
  return {{"number", row.number}, {"at", to_rfc3339(row.at)}, {"actor", row.actor},
          {"action", row.action}, {"subject", row.subject},   {"detail", row.detail}};
}

Json json(const DeadLetterRow& row) {
  return {{"number", row.number},
          {"device", row.device},
          {"epoch", row.epoch},
          {"seq", row.seq},
          {"reason", row.reason},
          {"payload_hex", hex(row.bytes)},
          {"received_at", to_rfc3339(row.received_at)}};
}

template <class Row>
std::string list_json(const std::vector<Row>& rows) {
  auto items = Json::array();
  for (const auto& row : rows) items.push_back(json(row));
  return dump({{"items", std::move(items)}});
}

template <class Row>
std::string page_json(const Page<Row>& page) {
  return dump(page_json(page, [](const Row& row) { return json(row); }));
}

}  // namespace

std::string anomaly_id(std::uint64_t id) {
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; id >>= 4U) out[i] = kHexDigits[id & 15U];
  return out;
}

std::string to_json(const DeviceRow& row) { return dump(json(row)); }
std::string to_json(const AnomalyRow& row) { return dump(json(row)); }
std::string to_json(const TokenRow& row) { return dump(json(row)); }
std::string to_json(const Page<DeviceRow>& page) { return page_json(page); }
std::string to_json(const Page<LossRow>& page) { return page_json(page); }
std::string to_json(const Page<StreamRow>& page) { return page_json(page); }
std::string to_json(const Page<AnomalyRow>& page) { return page_json(page); }
std::string to_json(const Page<TokenRow>& page) { return page_json(page); }
std::string to_json(const Page<AuditRow>& page) { return page_json(page); }
std::string to_json(const Page<DeadLetterRow>& page) { return page_json(page); }

std::string to_json(const std::vector<PeerState>& states) {
  auto list = Json::array();
  for (const auto& one : states) {
    list.push_back({{"region", one.peer.region},
                    {"pulling", one.pulling},
                    {"lag_s", static_cast<double>(one.lag.count()) / 1e6},
                    {"trouble", one.trouble.empty() ? Json(nullptr) : Json(one.trouble)}});
  }
  return dump(list);
}
std::string to_json(const std::vector<RegionRow>& rows) { return list_json(rows); }
std::string to_json(const std::vector<std::pair<std::string, ExchangedLedger>>& rows) {
  return list_json(rows);
}

std::string to_json(const FeedRow& row) {
  static constexpr std::array<std::string_view, 3> kPhases{"opened", "updated", "closed"};
  auto out = json(row.anomaly);
  out["phase"] = word(kPhases, static_cast<std::size_t>(row.phase));
  return dump(out);
}

std::string history_json(std::string_view stream, const History& history) {
  auto points = Json::array();
  for (const auto& point : history.points) points.push_back(json(point));
  auto gaps = Json::array();
  for (const auto& gap : history.gaps) gaps.push_back(json(gap));
  return dump({{"stream", stream}, {"points", std::move(points)}, {"gaps", std::move(gaps)}});
}

}  // namespace lapwing::hub
