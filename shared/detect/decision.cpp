// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/decision.hpp"

#include "shared/detect/random.hpp"

#include <algorithm>

namespace lapwing::detect {
namespace {

constexpr std::uint8_t kStrikesMax = 8;
constexpr std::uint64_t kStrikeHolds = 8;

}  // namespace

wire::Severity severity_of(double score) noexcept {
  if (score > 4) return wire::Severity::critical;
  return score > 2 ? wire::Severity::major : wire::Severity::minor;
}

void Decision::found(const Finding& finding, std::uint64_t id_seed, std::vector<Event>& events) {
  const std::size_t at = index(finding.reason);
  Slot& slot = slots_[at];
  const bool opening = !slot.open;
  if (opening) open_slot(slot, finding, id_seed);
  slot.quiet = 0;
  slot.last_bad = finding.time;
  slot.bad_at = readings_;
  if (opening || finding.score > slot.peak_score) {
    slot.peak_score = finding.score;
    slot.peak_time = finding.time;
    slot.peak_value = finding.value;
    slot.expected = finding.band.expected;
    slot.lower = finding.band.lower;
    slot.upper = finding.band.upper;
    slot.detail = finding.detail;
    if (finding.cause != Cause::none) slot.cause = finding.cause;
  }
  const wire::Severity severity = severity_of(slot.peak_score);
  const bool worse = severity > slot.severity || slot.peak_score >= 2 * slot.reported_score;
  if (!opening && !worse) return;
  slot.severity = std::max(slot.severity, severity);
  slot.reported_score = slot.peak_score;
  events.push_back(event_of(slot, at, opening ? wire::Phase::opened : wire::Phase::updated));
}

void Decision::open_slot(Slot& slot, const Finding& finding, std::uint64_t id_seed) {
  const bool again =
      slot.id != 0 &&
      readings_ - slot.closed_at < kStrikeHolds * static_cast<std::uint64_t>(hold_readings(slot));
  const std::uint8_t strikes =
      again ? std::min<std::uint8_t>(kStrikesMax, static_cast<std::uint8_t>(slot.strikes + 1)) : 0;
  const std::uint64_t salt = slot.id;
  slot = Slot{};
  slot.strikes = strikes;
  slot.open = true;
  slot.opened_at = readings_;
  slot.onset = finding.onset;
  slot.last_bad = finding.time;
  slot.id = mixed(id_seed ^ mixed(static_cast<std::uint64_t>(to_micros(finding.onset)) ^
                                  mixed(salt ^ static_cast<std::uint64_t>(finding.reason))));
  if (slot.id == 0) slot.id = 1;
  ++open_count_;
}

void Decision::passed(Time time, Micros hold, bool unusual_open, std::vector<Event>& events) {
  const std::uint64_t reading = readings_++;
  if (open_count_ == 0) return;
  for (std::size_t at = 0; at < kReasons; ++at) {
    Slot& slot = slots_[at];
    if (!slot.open || slot.bad_at == reading) continue;
    ++slot.quiet;
    const bool latched = at == index(wire::Reason::unusual) && unusual_open;
    // A clock that was set back says nothing about how long it has been.
    const bool held = time < slot.last_bad || time - slot.last_bad >= hold;
    if (!latched && held && slot.quiet >= hold_readings(slot)) {
      close_slot(at, slot.last_bad, events);
    }
  }
}

void Decision::close(wire::Reason reason, Time end, std::vector<Event>& events) {
  if (slots_[index(reason)].open) close_slot(index(reason), end, events);
}

void Decision::close_all(std::vector<Event>& events) {
  for (std::size_t at = 0; at < kReasons; ++at) {
    if (slots_[at].open) close_slot(at, slots_[at].last_bad, events);
  }
}

void Decision::close_slot(std::size_t at, Time end, std::vector<Event>& events) {
  Slot& slot = slots_[at];
  slot.last_bad = std::max(slot.onset, end);
  slot.open = false;
  slot.closed_at = readings_;
  --open_count_;
  events.push_back(event_of(slot, at, wire::Phase::closed));
}

Event Decision::event_of(const Slot& slot, std::size_t at, wire::Phase phase) {
  return {.id = slot.id,
          .phase = phase,
          .severity = slot.severity,
          .reason = static_cast<wire::Reason>(at + 1),
          .cause = slot.cause,
          .onset = slot.onset,
          .peak_time = slot.peak_time,
          .end = phase == wire::Phase::closed ? slot.last_bad : Time{},
          .peak_score = slot.peak_score,
          .peak_value = slot.peak_value,
          .band = {.expected = slot.expected, .lower = slot.lower, .upper = slot.upper},
          .detail = slot.detail};
}

bool Decision::plausible() const noexcept {
  std::uint32_t open = 0;
  for (const Slot& slot : slots_) {
    open += slot.open ? 1 : 0;
    if (slot.strikes > kStrikesMax || slot.cause > Cause::pattern) return false;
    if (slot.severity < wire::Severity::minor || slot.severity > wire::Severity::critical)
      return false;
  }
  return open == open_count_;
}

}  // namespace lapwing::detect
