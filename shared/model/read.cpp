// SPDX-License-Identifier: Apache-2.0
#include "schemas/model_generated.h"
#include "schemas/verified.hpp"
#include "shared/base/hex.hpp"
#include "shared/base/utf8.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/model/model.hpp"

#include <cmath>
#include <set>

namespace lapwing::model {
namespace {

constexpr unsigned kVersion = 1;
constexpr flatbuffers::uoffset_t kTablesMax = kSensorsMax + kSettingsMax + 8;

Error damaged(const std::string& what) { return {Errc::corrupt, "model: " + what}; }
Error impossible(const std::string& what) { return {Errc::bad_config, "model: " + what}; }

std::string text(const flatbuffers::String* given) {
  return given == nullptr ? std::string() : given->str();
}

/// No more entries than `max`; absent is none.
template <class Vector>
bool fits(const Vector* given, std::size_t max) {
  return given == nullptr || given->size() <= max;
}

/// The verifier aligns a vector's length, not what follows it.
template <class Number>
bool aligned(const flatbuffers::Vector<Number>& numbers) {
  return reinterpret_cast<std::uintptr_t>(numbers.Data()) % alignof(Number) == 0;
}

std::string name_problem(const std::string& name, bool may_be_empty) {
  if (name.empty() && !may_be_empty) return "is empty";
  if (name.size() > kNameBytesMax) return "is longer than 256 bytes";
  if (!valid_utf8(name) || name.find('\0') != name.npos) return "is not UTF-8, or has a zero byte";
  return "";
}

/// What is wrong with the columns; empty: nothing.
std::string sensors_problem(const std::vector<Sensor>& sensors) {
  if (sensors.empty() || sensors.size() > kSensorsMax) {
    return std::to_string(sensors.size()) + " sensors: 1 to 4096 are possible";
  }
  std::set<std::string_view> names;
  for (const auto& s : sensors) {
    auto problem = name_problem(s.name, false);
    if (problem.empty()) problem = name_problem(s.unit, true);
    if (!problem.empty()) return "a sensor's name or unit " + problem;
    if (!names.insert(s.name).second) return "two sensors are called " + s.name;
    const bool finite = std::isfinite(s.mean) && std::isfinite(s.deviation) &&
                        std::isfinite(s.least) && std::isfinite(s.greatest);
    const bool possible = finite && s.deviation >= 0 && s.least <= s.greatest &&
                          s.missing_share >= 0 && s.missing_share <= 1;
    if (!possible) return "numbers of sensor " + s.name + " that no rows give";
  }
  return "";
}

bool ascends(const Calibration& c) {
  if (c.shares.empty() || c.shares.size() != c.scores.size() || c.shares.size() > kQuantilesMax) {
    return false;
  }
  for (std::size_t i = 0; i < c.shares.size(); ++i) {
    if (!(c.shares[i] >= 0 && c.shares[i] <= 1) || !std::isfinite(c.scores[i]) || c.scores[i] < 0) {
      return false;
    }
    if (i > 0 && (c.shares[i] <= c.shares[i - 1] || c.scores[i] < c.scores[i - 1])) return false;
  }
  return true;
}

bool possible(const Lineage& l) {
  return (l.data_sha256.empty() || l.data_sha256.size() == 64) && is_hex(l.data_sha256) &&
         name_problem(l.tool, true).empty() && (!l.span || l.span->first <= l.span->second);
}

Header header_of(const fbs::Model& table) {
  Header header;
  header.kind = text(table.kind());
  for (const auto* s : *table.sensors()) {
    header.sensors.push_back({text(s->name()), text(s->unit()), s->mean(), s->deviation(),
                              s->least(), s->greatest(), s->missing_share()});
  }
  if (table.settings() != nullptr) {
    for (const auto* s : *table.settings()) header.parameters[text(s->name())] = s->value();
  }
  const auto& c = *table.calibration();
  header.calibration = {.rows = c.rows(),
                        .held_out = c.held_out(),
                        .shares = {c.shares()->begin(), c.shares()->end()},
                        .scores = {c.scores()->begin(), c.scores()->end()}};
  const auto& l = *table.lineage();
  header.lineage = {.data_sha256 = text(l.data_sha256()),
                    .rows = l.rows(),
                    .span = std::nullopt,
                    .seed = l.seed(),
                    .tool = text(l.tool())};
  if (l.has_times()) {
    header.lineage.span.emplace(from_micros(l.first_us()), from_micros(l.last_us()));
  }
  return header;
}

}  // namespace

Result<const detect::Kind*> check(const Header& header) {
  const auto* kind = detect::find_kind(header.kind, detect::Input::rows);
  if (kind == nullptr || kind->learning != detect::Learning::trained) {
    return Error{Errc::unsupported,
                 "model of the kind \"" + header.kind.substr(0, kNameBytesMax) +
                     "\", which this program does not know: update it, or see `detectors`"};
  }
  if (const auto problem = sensors_problem(header.sensors); !problem.empty()) {
    return impossible(problem);
  }
  if (header.parameters.size() > kSettingsMax) return impossible("too many parameters");
  detect::Settings settings{.width = header.sensors.size(), .parameters = header.parameters};
  if (auto fine = detect::check_settings(*kind, settings); !fine) {
    return impossible(fine.error().context);
  }
  if (!ascends(header.calibration)) return impossible("its calibration does not ascend");
  if (!possible(header.lineage)) return impossible("a lineage that no training gives");
  return kind;
}

Result<Header> read_body(std::string_view body, std::span<const std::byte>& payload) {
  if (reinterpret_cast<std::uintptr_t>(body.data()) % alignof(std::uint64_t) != 0) {
    return damaged("bytes that are not aligned");  // a copy would not outlive this call
  }
  const schemas::Verified<fbs::Model> verified(body, fbs::ModelIdentifier(), kTablesMax);
  if (!verified) return damaged("damaged tables");
  const auto& table = *verified;
  if (table.version() > kVersion) {
    return Error{Errc::unsupported, "model file version " + std::to_string(table.version()) +
                                        " is newer than this program: update it"};
  }
  if (!fits(table.sensors(), kSensorsMax) || !fits(table.settings(), kSettingsMax) ||
      !fits(table.calibration()->shares(), kQuantilesMax) ||
      !fits(table.calibration()->scores(), kQuantilesMax)) {
    return impossible("more sensors, parameters or quantiles than there may be");
  }
  if (!aligned(*table.calibration()->shares()) || !aligned(*table.calibration()->scores())) {
    return damaged("numbers that are not aligned");
  }
  payload = std::as_bytes(std::span(table.payload()->data(), table.payload()->size()));
  if (payload.empty()) return damaged("nothing is in it");
  return header_of(table);
}

}  // namespace lapwing::model
