// SPDX-License-Identifier: Apache-2.0
#include "shared/sync/hub.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace lapwing::sync {
namespace {

/// The same connection asks again: all it said before may have been overtaken by its own batches.
bool repeated(const DeviceSyncState& state, const wire::Hello& hello) {
  return !state.connection_id.empty() && hello.connection_id == state.connection_id &&
         hello.database_id == state.database_id && hello.epoch <= state.epoch &&
         hello.acked_seq <= state.watermark;
}

constexpr std::uint64_t kRegionSpan = wire::kRegionLast + 1;

bool granted_here(std::uint64_t epoch, const Region& region) {
  if (region.number == 0) return true;
  return epoch >= kRegionSpan && epoch % kRegionSpan == region.number;
}

/// What the device says this region acknowledged of its epoch.
std::optional<std::uint64_t> own_mark(const wire::Hello& hello, const Region& region) {
  const auto own =
      std::find_if(hello.regions.begin(), hello.regions.end(),
                   [&](const wire::RegionMark& mark) { return mark.region == region.number; });
  return own == hello.regions.end() ? std::nullopt : std::optional(own->through);
}

/// What the device holds acknowledgements for beyond the watermark, other regions acknowledged:
/// this one still has all it acknowledged itself.
bool explained(const DeviceSyncState& state, const wire::Hello& hello, const Region& region) {
  return region.number != 0 && !hello.regions.empty() &&
         own_mark(hello, region).value_or(0) <= state.watermark;
}

/// Why the device's history and the hub's are not one; empty when they are.
std::string difference(const DeviceSyncState& state, const wire::Hello& hello,
                       const StoredHashes& stored, const Region& region) {
  if (hello.database_id != state.database_id) return "its outbox is another one than before";
  if (hello.epoch != state.epoch) return "its epoch is not the one it was given";
  if (hello.acked_seq > state.watermark && !explained(state, hello, region)) {
    return "it holds acknowledgements the hub does not know of: was the hub restored from a "
           "backup?";
  }
  if (hello.forked) {
    return "its records are not those it had delivered: was its outbox restored from a backup?";
  }
  if (hello.check_seq > 0 && stored.at_check.value_or(0) != hello.check_hash) {
    return "its record " + std::to_string(hello.check_seq) + " is not the one the hub has";
  }
  if (hello.next_seq <= newest_seq(state) && !repeated(state, hello)) {
    return "it is behind what it had delivered: was its outbox restored from a backup?";
  }
  if (hello.acked_seq > 0 && hello.acked_hash != 0 && stored.at_acked &&
      *stored.at_acked != hello.acked_hash) {
    return "its record " + std::to_string(hello.acked_seq) + " is not the one it had delivered";
  }
  return {};
}

bool superseded(const DeviceSyncState& state, const wire::Hello& hello) {
  return std::find(state.superseded.begin(), state.superseded.end(), hello.instance_id) !=
         state.superseded.end();
}

/// A hello of a connection that another has followed: an echo. Who lives speaks on a new one next.
bool of_left_connection(const DeviceSyncState& state, const wire::Hello& hello) {
  return std::find(state.left.begin(), state.left.end(), hello.connection_id) != state.left.end();
}

/// A hello that was under way while a newer one was answered: of an older connection, or of a
/// process that ended, from before what was delivered since. The latter may be wrong, so a process
/// that lives is heard on its next connection.
bool overtaken(const DeviceSyncState& state, const wire::Hello& hello) {
  if (hello.instance_id == state.instance_id) {
    const auto said = connection_number(hello.connection_id);
    const auto known = connection_number(state.connection_id);
    return said && known && *said < *known;
  }
  return superseded(state, hello) && hello.database_id == state.database_id &&
         (hello.epoch < state.epoch || hello.next_seq <= state.watermark) &&
         (state.unheard.empty() || state.unheard == hello.connection_id);
}

/// Notes which process speaks. Returns true when two live ones do.
bool two_copies(DeviceSyncState& state, const wire::Hello& hello, bool late, Time now) {
  if (hello.instance_id == state.instance_id) return false;
  if (superseded(state, hello) && state.unheard != hello.connection_id) {
    if (now - state.returns_since > kReturnsWindow || now < state.returns_since) {
      state.returns = 0;
      state.returns_since = now;
    }
    ++state.returns;
  }
  if (late) {
    state.unheard = hello.connection_id;
  } else {
    state.unheard.clear();
    std::erase(state.superseded, hello.instance_id);
    if (!state.instance_id.empty()) state.superseded.push_back(state.instance_id);
    if (state.superseded.size() > kSupersededMax) state.superseded.erase(state.superseded.begin());
    state.instance_id = hello.instance_id;
  }
  return state.returns >= kReturnsMax;
}

/// The epoch was granted here, and nothing was taken under it.
bool unused(const DeviceSyncState& state, const Region& region) {
  return granted_here(state.epoch, region) && state.watermark == state.base &&
         state.live_through <= state.base;
}

/// A grant whose welcome was lost: nothing was sent under it yet, so it is given again.
bool grant_unheard(const DeviceSyncState& state, const wire::Hello& hello, const Region& region) {
  return state.epoch > hello.epoch && unused(state, region) && hello.acked_seq == state.base &&
         hello.database_id == state.database_id;
}

/// An epoch that another region granted: the device goes on with it here. This hub never had it,
/// else it would be the current one or an earlier one, and acknowledged nothing of it.
bool adoptable(const DeviceSyncState& state, const wire::Hello& hello, const Region& region) {
  const bool granted_in_vain =
      unused(state, region) && hello.database_id == state.database_id && state.granted > 0;
  const std::uint64_t had = granted_in_vain ? state.before_grant : state.epoch;
  return region.number != 0 && hello.epoch > had && hello.epoch != state.epoch &&
         !granted_here(hello.epoch, region) && !hello.forked && !own_mark(hello, region) &&
         (state.epoch == 0 || !state.database_id.empty());  // else released from quarantine
}

/// A new history begins after what the device says it delivered.
void grant(DeviceSyncState& next, const DeviceSyncState& state, const wire::Hello& hello,
           const Region& region) {
  next.before_grant = state.granted > 0 && unused(state, region) ? state.before_grant : state.epoch;
  next.epoch = next.granted =
      next_epoch(std::max({state.epoch, hello.epoch, state.granted}), region.number);
}

void begin_epoch(DeviceSyncState& next, const wire::Hello& hello) {
  next.base = next.watermark = hello.acked_seq;
  next.live_through = 0;
  next.database_id = hello.database_id;
}

wire::Ack ack_of(const DeviceSyncState& state, const std::string& connection_id,
                 std::uint64_t watermark) {
  return {.epoch = state.epoch, .watermark = watermark, .connection_id = connection_id};
}

}  // namespace

std::string connection_id(std::uint64_t number, std::string_view random) {
  return std::to_string(number) + "-" + std::string(random);
}

std::optional<std::uint64_t> connection_number(std::string_view id) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (failed != std::errc() || end == id.data() + id.size() || *end != '-') return std::nullopt;
  return number;
}

std::uint64_t newest_seq(const DeviceSyncState& state) noexcept {
  return std::max(state.watermark, state.live_through);
}

std::uint64_t next_epoch(std::uint64_t known, std::uint32_t region) {
  if (region == 0) return known + 1;
  const std::uint64_t least = std::max(known + 1, kRegionSpan);
  const std::uint64_t ahead = (region + kRegionSpan - least % kRegionSpan) % kRegionSpan;
  return least + ahead;
}

HelloDecision on_hello(const DeviceSyncState& state, const wire::Hello& hello,
                       const StoredHashes& stored, const BatchLimits& limits, Time now,
                       const Region& region) {
  HelloDecision decision{.state = state};
  DeviceSyncState& next = decision.state;
  wire::Welcome& welcome = decision.welcome;
  welcome.connection_id = hello.connection_id;
  welcome.batch_records_max = limits.records_max;
  welcome.batch_bytes_max = limits.bytes_max;
  welcome.sent = now;
  welcome.region = region.number;
  welcome.region_name = region.name;

  const bool echo = of_left_connection(state, hello);
  const bool late = echo || overtaken(state, hello);
  if (echo) {
    if (hello.instance_id != next.instance_id) next.unheard = hello.connection_id;
  } else if (next.quarantine.empty() && two_copies(next, hello, late, now)) {
    next.quarantine = "two live copies of this device speak in turn (instances " +
                      hello.instance_id + " and " + state.instance_id +
                      "): was its disk cloned? Enrol one of them anew, then release the device";
    decision.alert = next.quarantine;
  }
  if (!next.quarantine.empty()) {
    welcome.outcome = wire::HelloOutcome::quarantined;
    welcome.reason = next.quarantine;
    return decision;
  }
  if (late) {
    decision.answer = false;
    return decision;
  }

  if (!state.connection_id.empty() && state.connection_id != hello.connection_id) {
    next.left.push_back(state.connection_id);
    if (next.left.size() > kSupersededMax) next.left.erase(next.left.begin());
  }
  next.connection_id = hello.connection_id;
  if (state.epoch == 0 && hello.epoch == 0) {
    grant(next, state, hello, region);
    begin_epoch(next, hello);
  } else if (repeated(state, hello) && hello.epoch < state.epoch) {
    // The epoch granted since is the answer again.
  } else if (adoptable(state, hello, region)) {
    next.epoch = hello.epoch;
    begin_epoch(next, hello);
    welcome.outcome = wire::HelloOutcome::resume;
    welcome.epoch = next.epoch;
    welcome.watermark = welcome.known_seq = next.watermark;
    return decision;
  } else if (!grant_unheard(state, hello, region)) {
    const std::string why = difference(state, hello, stored, region);
    if (why.empty()) {
      welcome.outcome = wire::HelloOutcome::resume;
      welcome.epoch = next.epoch;
      welcome.known_seq = newest_seq(state);
      welcome.known_hash = stored.at_newest.value_or(0);
      welcome.checked_seq = hello.check_seq;
      if (hello.acked_seq > state.watermark) {
        decision.elsewhere_first = state.watermark + 1;
        decision.elsewhere_last = next.watermark = hello.acked_seq;
        if (welcome.known_seq <= next.watermark) {
          welcome.known_seq = next.watermark;
          welcome.known_hash = 0;
        }
      }
      welcome.watermark = next.watermark;
      return decision;
    }
    grant(next, state, hello, region);
    begin_epoch(next, hello);
    welcome.reason = "new epoch: " + why;
    decision.alert = welcome.reason;
  }
  welcome.outcome = wire::HelloOutcome::new_epoch;
  welcome.epoch = next.epoch;
  welcome.watermark = next.watermark;
  return decision;
}

wire::Welcome refuse(const wire::Hello& hello, std::string reason, Time now) {
  return {.connection_id = hello.connection_id,
          .outcome = wire::HelloOutcome::refused,
          .reason = std::move(reason),
          .sent = now};
}

void release_quarantine(DeviceSyncState& state) {
  state.quarantine.clear();
  state.superseded.clear();
  state.left.clear();
  state.instance_id.clear();
  state.connection_id.clear();
  state.unheard.clear();
  state.database_id.clear();  // whichever copy speaks first gets an epoch of its own
  state.returns = 0;
}

BatchDecision on_batch(const DeviceSyncState& state, const wire::RecordBatch& batch) {
  BatchDecision decision;
  if (!state.quarantine.empty()) return decision;
  if (state.epoch == 0 || batch.epoch != state.epoch ||
      batch.connection_id != state.connection_id) {
    decision.verdict = BatchVerdict::ask_hello;
    decision.ack = wire::Ack{.epoch = 0, .watermark = 0, .connection_id = batch.connection_id};
    return decision;
  }
  decision.watermark = state.watermark;
  const auto& entries = batch.entries;
  if (entries.empty() || entries.back().seq_last <= state.watermark) {
    decision.verdict = BatchVerdict::duplicate;
  } else if (entries.front().seq > state.watermark + 1) {
    decision.verdict = BatchVerdict::gap;
  } else {
    decision.verdict = BatchVerdict::accept;
    const auto first = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
      return entry.seq_last > state.watermark;
    });
    decision.first_entry = static_cast<std::size_t>(first - entries.begin());
    decision.first_seq = state.watermark + 1;
    decision.watermark = entries.back().seq_last;
  }
  decision.ack = ack_of(state, batch.connection_id, decision.watermark);
  return decision;
}

std::vector<std::size_t> on_live(const DeviceSyncState& state, const wire::RecordBatch& batch) {
  std::vector<std::size_t> wanted;
  if (!state.quarantine.empty() || state.epoch == 0 || batch.epoch != state.epoch ||
      batch.connection_id != state.connection_id) {
    return wanted;
  }
  for (std::size_t i = 0; i < batch.entries.size(); ++i) {
    const auto& entry = batch.entries[i];
    if (entry.seq > state.watermark && entry.record_class != wire::RecordClass::loss) {
      wanted.push_back(i);
    }
  }
  return wanted;
}

StatusDecision on_status(const DeviceSyncState& state, const wire::Status& status) {
  StatusDecision decision{.current = status.connection_id == state.connection_id};
  if (!decision.current && status.online && state.quarantine.empty()) {
    decision.ack = wire::Ack{.epoch = 0, .watermark = 0, .connection_id = status.connection_id};
  }
  return decision;
}

}  // namespace lapwing::sync
