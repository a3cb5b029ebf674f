// SPDX-License-Identifier: Apache-2.0
#include "agent/view.hpp"

#include <utility>

namespace lapwing::agent {
namespace {

std::optional<UplinkStatus::Download> download_of(const DownloadFigures& figures) {
  if (figures.sha256.empty()) return std::nullopt;
  return UplinkStatus::Download{.sha256 = figures.sha256,
                                .bytes = figures.bytes,
                                .total = figures.total,
                                .bytes_per_second = figures.bytes_per_second,
                                .left = figures.left,
                                .problem = figures.problem};
}

constexpr std::string_view kHexDigits = "0123456789abcdef";

/// A stream's name may hold anything; a cursor only what an address may hold.
std::string to_cursor(std::string_view name) {
  std::string cursor;
  for (const char c : name) {
    cursor += kHexDigits[static_cast<unsigned char>(c) >> 4U];
    cursor += kHexDigits[static_cast<unsigned char>(c) & 15U];
  }
  return cursor;
}

Result<std::string> from_cursor(std::string_view cursor) {
  std::string name;
  for (std::size_t at = 0; at < cursor.size(); at += 2) {
    const auto high = kHexDigits.find(cursor[at]);
    const auto low = at + 1 < cursor.size() ? kHexDigits.find(cursor[at + 1]) : std::string::npos;
    if (high == std::string::npos || low == std::string::npos) {
      return Error{Errc::bad_input, "cursor: use the next_cursor of the page before"};
    }
    name += static_cast<char>(high << 4U | low);
  }
  return name;
}

SourceSummary summary_of(const SourceHealth& health) {
  return {.name = health.name,
          .kind = health.kind,
          .connected = health.state == SourceState::running,
          .problem = health.detail,
          .messages = health.messages};
}

ModelSlotStatus slot_of(const std::optional<HeldModel>& held) {
  return held ? ModelSlotStatus{held->version.number, held->since} : ModelSlotStatus{};
}

ModelsStatus status_of(const ModelDeskFigures& desk) {
  ModelsStatus status{.keys_number = desk.keys_number,
                      .frozen = desk.frozen,
                      .problem = desk.problem,
                      .models = {}};
  for (const auto& one : desk.models) {
    status.models.push_back({.model = one.model,
                             .state = one.state,
                             .version = one.version,
                             .detail = one.problem.empty() ? one.detail : one.problem,
                             .active = slot_of(one.kept.active),
                             .confirmed = one.kept.confirmed,
                             .shadow = slot_of(one.kept.shadow),
                             .previous = slot_of(one.kept.previous)});
  }
  return status;
}

StreamStatus status_of(StreamView&& view) {
  StreamStatus stream;
  stream.stream = std::move(view.name);
  stream.watch = std::move(view.watch);
  stream.detector = std::move(view.detector);
  stream.readings = view.state.readings_total;
  stream.last_time = view.state.last_time;
  stream.last_value = view.state.last_value;
  if (view.state.warm) stream.last_score = static_cast<double>(view.state.last_score);
  stream.band = {.expected = view.state.band.expected,
                 .lower = view.state.band.lower,
                 .upper = view.state.band.upper};
  stream.anomaly_open = view.state.anomalies_open > 0;
  stream.tags = std::move(view.tags);
  return stream;
}

}  // namespace

AgentView::AgentView(ViewedParts parts) : parts_(std::move(parts)), started_(now()) {}

std::vector<std::string> AgentView::not_ready() {
  std::vector<std::string> reasons;
  for (const auto& source : parts_.sources) {
    const auto health = source->health();
    const bool started = health.state == SourceState::running ||
                         health.state == SourceState::waiting ||
                         health.state == SourceState::finished;
    if (started) continue;
    reasons.push_back("source " + health.name + " is " + std::string(to_string(health.state)) +
                      (health.detail.empty() ? "" : ": " + health.detail));
  }
  const auto outbox = parts_.outbox.figures();
  if (!outbox.writable) reasons.push_back("outbox: " + outbox.problem);
  return reasons;
}

AgentStatus AgentView::status() {
  AgentStatus status;
  status.name = parts_.name;
  status.version = LAPWING_VERSION;
  status.started = started_;
  const auto engine = parts_.engine.figures();
  status.streams = engine.streams;
  status.streams_max = parts_.streams_max;
  status.readings_total = engine.readings_total;
  status.anomalies_open = engine.anomalies_open;
  status.quarantined_total = parts_.quarantine.total();
  for (const auto& source : parts_.sources) {
    const auto health = source->health();
    status.refused_total += health.refused;
    status.sources.push_back(summary_of(health));
  }
  const auto outbox = parts_.outbox.figures();
  status.outbox = {.writable = outbox.writable,
                   .problem = outbox.problem,
                   .records = outbox.records,
                   .bytes = outbox.bytes,
                   .bytes_max = outbox.bytes_max,
                   .next_seq = outbox.next_seq,
                   .acked_seq = outbox.acked_seq,
                   .dropped_total = outbox.dropped_total,
                   .at_risk = outbox.at_risk,
                   .waiting = outbox.waiting};
  if (parts_.uplink != nullptr) {
    const auto uplink = parts_.uplink->figures();
    status.uplink = {.enabled = true,
                     .connected = uplink.connected,
                     .state = uplink.state,
                     .problem = uplink.problem,
                     .epoch = uplink.epoch,
                     .watermark = uplink.watermark,
                     .hub = uplink.hub,
                     .region = uplink.region,
                     .why = uplink.why,
                     .hub_changes = uplink.hub_changes,
                     .certificate_expires = uplink.certificate.expires.value_or(Time{}),
                     .certificate_renewal = uplink.certificate.renewal_due.value_or(Time{}),
                     .certificate_problem = uplink.certificate.problem,
                     .download = download_of(uplink.download)};
  }
  if (parts_.desk != nullptr) status.models = status_of(parts_.desk->figures());
  return status;
}

Result<StreamPage> AgentView::streams(std::size_t limit, std::string_view cursor) {
  const auto after = from_cursor(cursor);
  if (!after) return after.error();
  auto views = parts_.engine.streams(*after, limit + 1);
  StreamPage page;
  const bool more = views.size() > limit;
  if (more) views.resize(limit);
  if (more && !views.empty()) page.next_cursor = to_cursor(views.back().name);
  for (auto& view : views) page.items.push_back(status_of(std::move(view)));
  return page;
}

std::vector<QuarantineEntry> AgentView::quarantine(std::size_t limit) {
  return parts_.quarantine.recent(limit);
}

Result<void> AgentView::take(std::string_view stream, detect::Feedback feedback) {
  return parts_.engine.take(stream, feedback);
}

void AgentView::fill(wire::Status& status) const {
  const auto engine = parts_.engine.figures();
  status.started = started_;
  status.streams = engine.streams;
  status.readings_total = engine.readings_total;
  status.anomalies_open = engine.anomalies_open;
  status.quarantined_total = parts_.quarantine.total();
}

}  // namespace lapwing::agent
