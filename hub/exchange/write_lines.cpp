// SPDX-License-Identifier: Apache-2.0
#include "hub/exchange/line_words.hpp"
#include "hub/exchange/lines.hpp"
#include "shared/base/hex.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <utility>

namespace lapwing::hub {
namespace {

using Json = nlohmann::ordered_json;
using namespace line_words;

// ---------------------------------------------------------------------------------------

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Infinite ones are of use too: a sensor sent them.
Json number(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}
Json time(const std::optional<Time>& value) {
  return value ? Json(to_rfc3339(*value)) : Json(nullptr);
}

std::string id_text(std::uint64_t id) {
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; id >>= 4U) out[i] = kHexDigits[id & 15U];
  return out;
}

template <std::size_t N, class Enum>
std::string_view word(const std::array<std::string_view, N>& words, Enum value, std::size_t first) {
  const auto at = static_cast<std::size_t>(value) - first;
  return at < N ? words.at(at) : words.front();
}

Json json(const ExchangedDevice& d) {
  return {{"device", d.device},
          {"enrolled_at", to_rfc3339(d.enrolled_at)},
          {"certificate_serial", d.certificate_serial},
          {"certificate_expires", time(d.certificate_expires)},
          {"revoked_at", time(d.revoked_at)}};
}

Json json(const ExchangedLedger& l) {
  const auto& lost = l.ledger.lost;
  return {{"device", l.device},
          {"status", word(kStatus, l.status, 0)},
          {"last_seen", time(l.last_seen)},
          {"agent_version", l.agent_version},
          {"epoch", l.epoch},
          {"watermark", l.watermark},
          {"stored", l.ledger.stored},
          {"lost_by_reason",
           {{"quota", lost.quota},
            {"corrupt", lost.corrupt},
            {"vanished", lost.vanished},
            {"poison", lost.poison}}},
          {"outstanding", l.ledger.outstanding},
          {"elsewhere", l.ledger.elsewhere},
          {"streams", l.streams},
          {"readings_total", l.readings_total},
          {"outbox_records", l.outbox_records},
          {"outbox_bytes", l.outbox_bytes},
          {"quarantined_total", l.quarantined_total}};
}

Json json(const ExchangedAnomaly& a) {
  const auto& r = a.record;
  auto contributions = Json::array();
  for (const auto& one : r.contributions) {
    contributions.push_back({{"stream", one.stream}, {"share", number(one.share)}});
  }
  auto tags = Json::array();  // a key may be there twice
  for (const auto& tag : r.tags) tags.push_back({{"key", tag.key}, {"value", tag.value}});
  return {{"device", a.device},
          {"id", id_text(r.id)},
          {"epoch", a.epoch},
          {"seq", a.seq},
          {"phase", word(kPhases, r.phase, 1)},
          {"severity", word(kSeverities, r.severity, 1)},
          {"reason", word(kReasons, r.reason, 1)},
          {"stream", r.stream},
          {"watch", r.watch},
          {"detector", r.detector},
          {"onset", to_rfc3339(r.onset)},
          {"peak_time", to_rfc3339(r.peak_time)},
          {"end", time(r.end)},
          {"peak_score", number(r.peak_score)},
          {"peak_value", number(r.peak_value)},
          {"expected", number(r.band.expected)},
          {"lower", number(r.band.lower)},
          {"upper", number(r.band.upper)},
          {"text", r.text},
          {"contributions", std::move(contributions)},
          {"tags", std::move(tags)},
          {"received_at", to_rfc3339(a.received_at)},
          {"updated_at", to_rfc3339(a.updated_at)}};
}

}  // namespace

std::string to_line(const ExchangedRow& row) {
  return std::visit([](const auto& one) { return dump(json(one)); }, row);
}

std::string to_line(const PageEnd& end) {
  return dump({{"next", end.next}, {"more", end.more}, {"kind", end.kind}, {"tenant", end.tenant}});
}

}  // namespace lapwing::hub
