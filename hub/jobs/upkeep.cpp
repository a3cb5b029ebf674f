// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/upkeep.hpp"

#include "hub/jobs/rounds.hpp"
#include "hub/store/commands.hpp"
#include "hub/store/jobs.hpp"
#include "hub/store/replicas.hpp"
#include "hub/store/uploads.hpp"
#include "shared/base/log.hpp"

#include <utility>

namespace lapwing::hub {
namespace {

constexpr const char* kLeaseName = "upkeep";
/// Of uploads that nobody completed.
constexpr Micros kKeepUploads = std::chrono::hours(24);

}  // namespace

Upkeep::Upkeep(UpkeepConfig config, Store& store, Metrics& metrics)
    : config_(std::move(config)),
      store_(store),
      holds_(metrics.gauge("hub_upkeep", "1 while this replica does what only one may do")),
      errors_(metrics.counter("hub_upkeep_errors_total", "Steps of upkeep that failed")) {}

Upkeep::~Upkeep() { stop(); }

void Upkeep::start() {
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void Upkeep::stop() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (!std::exchange(held_since_, std::nullopt)) return;
  if (const auto done = store_.replicas().release_lease(kLeaseName, config_.replica); !done) {
    failed("cannot give the lease back; it lapses by itself", done.error());
  }
}

void Upkeep::run() {
  for (;;) {
    const bool more = round(now());
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, more ? Micros(0) : config_.look_every, [this] { return stopping_; });
    if (stopping_) return;
  }
}

bool Upkeep::round(Time at) {
  const bool mine = hold_lease(at);
  holds_.set(mine ? 1 : 0);
  if (!mine) return false;
  if (at >= *settled_at_) mark_silent(at);
  expire(at);
  if (const auto tended = tend_rounds(store_, at); !tended) {
    failed("federated rounds wait", tended.error());
  }
  return trim(at);
}

bool Upkeep::hold_lease(Time at) {
  if (held_since_ && at < renew_at_ && at >= *held_since_) return true;
  const auto taken = store_.replicas().take_lease(kLeaseName, config_.replica, at, kLease);
  if (!taken) failed("upkeep waits for the store", taken.error());
  if (!taken || !*taken) {
    held_since_.reset();
    return false;
  }
  renew_at_ = at + kLease / 4;
  if (held_since_) return true;
  log::info("this replica does the upkeep", {{"replica", config_.replica}});
  held_since_ = at;
  settled_at_ = at + kSettle;
  next_trim_ = at + config_.trim_every;
  return true;
}

void Upkeep::mark_silent(Time at) {
  const auto silent = store_.mark_silent_offline(at - config_.silence);
  if (!silent) {
    settled_at_ = at + kSettle;
    failed("cannot mark silent devices", silent.error());
  } else if (*silent > 0) {
    log::info("devices fell silent", {{"devices", *silent}});
  }
}

void Upkeep::expire(Time at) {
  const auto expired = store_.commands().expire(at);
  if (!expired) failed("cannot end commands that have expired", expired.error());
}

/// Whether there is more of it.
bool Upkeep::trim(Time at) {
  if (at < next_trim_) return false;
  const auto trimmed = store_.trim(at);
  if (!trimmed) failed("retention was not applied", trimmed.error());
  const auto jobs = store_.jobs().trim(at - config_.keep_jobs);
  if (!jobs) failed("old jobs were not removed", jobs.error());
  const auto uploads = store_.uploads().trim(at - kKeepUploads);
  if (!uploads) failed("uploads that nobody completed were not removed", uploads.error());
  const bool more = (trimmed && trimmed->more) || (jobs && *jobs > 0) || (uploads && *uploads > 0);
  if (!more) next_trim_ = at + config_.trim_every;
  return more;
}

void Upkeep::failed(const char* what, const Error& error) {
  errors_.add();
  log::warn(what, {error});
}

}  // namespace lapwing::hub
