// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/runner.hpp"

#include "hub/store/replicas.hpp"
#include "shared/base/log.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub::rollout {
namespace {

constexpr const char* kLeaseName = "rollouts";
constexpr std::size_t kPageRows = 1'000;
/// A round rests for at least so many times its own length: a great fleet is looked at less often.
constexpr int kRest = 5;

}  // namespace

Result<Loaded> load(Rollouts& rollouts, Targets& targets, RolloutRow row) {
  auto plan = read_plan(row.plan);
  if (!plan) {
    return Error{Errc::corrupt, "rollout " + std::to_string(row.id) + ": " + plan.error().context};
  }
  Loaded loaded{.plan = *std::move(plan), .rollout = std::move(row), .views = {}};
  const auto& tenant = loaded.rollout.tenant;
  PageRequest page{.limit = kPageRows, .cursor = {}};
  do {
    auto members = rollouts.members(tenant, loaded.rollout.id, page);
    if (!members) return members.error();
    for (auto& member : members->items) loaded.views.push_back({std::move(member), std::nullopt});
    page.cursor = members->next_cursor.value_or("");
  } while (!page.cursor.empty());
  const Targets::Filter filter{
      .device = {}, .model = loaded.rollout.model, .rollout = loaded.rollout.id};
  do {
    auto found = targets.list(tenant, filter, page);
    if (!found) return found.error();
    for (auto& target : found->items) {
      const auto at = std::ranges::lower_bound(loaded.views, target.target.key.device, {},
                                               [](const View& v) { return v.member.device; });
      if (at == loaded.views.end() || at->member.device != target.target.key.device) continue;
      at->target = std::move(target);
    }
    page.cursor = found->next_cursor.value_or("");
  } while (!page.cursor.empty());
  return loaded;
}

Result<Stepped> step_once(Rollouts& rollouts, Targets& targets, RolloutRow row, Time now) {
  const auto loaded = load(rollouts, targets, std::move(row));
  if (!loaded) return loaded.error();
  auto decision = decide(loaded->at(now));
  if (!decision.step) return Stepped{};
  const auto kept = rollouts.step(*decision.step);
  if (!kept) return kept.error();
  if (!*kept) return Stepped{.more = false, .overtaken = true, .decision = std::nullopt};
  return Stepped{
      .more = decision.more, .overtaken = false, .decision = std::move(decision.step->decision)};
}

Runner::Runner(RunnerConfig config, Store& store, Metrics& metrics)
    : config_(std::move(config)),
      store_(store),
      metrics_(metrics),
      holds_(metrics.gauge("hub_rollout_runner", "1 while this replica carries rollouts out")),
      open_(metrics.gauge("hub_rollouts_open", "Rollouts that go on, of all tenants")),
      errors_(metrics.counter("hub_rollout_errors_total", "Steps of rollouts that failed")),
      overtaken_(metrics.counter("hub_rollout_overtaken_total",
                                 "Steps given up since another was taken meanwhile")) {}

Runner::~Runner() { stop(); }

void Runner::start() {
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void Runner::stop() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (!std::exchange(held_, false)) return;
  if (const auto done = store_.replicas().release_lease(kLeaseName, config_.replica); !done) {
    failed("cannot give the lease back; it lapses by itself", done.error());
  }
}

bool Runner::stopping() {
  const std::scoped_lock lock(mutex_);
  return stopping_;
}

void Runner::run() {
  for (;;) {
    const auto began = ticks_now();
    round(now());
    const auto rest = std::max<Micros>(config_.every, kRest * (ticks_now() - began));
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, rest, [this] { return stopping_; });
    if (stopping_) return;
  }
}

void Runner::round(Time at) {
  held_ = hold_lease(at);
  holds_.set(held_ ? 1 : 0);
  if (!held_) return;
  const auto rows = store_.rollouts().open(kOpenMax);
  if (!rows) return failed("rollouts wait for the store", rows.error());
  open_.set(static_cast<double>(rows->size()));
  for (const auto& row : *rows) {
    if (stopping()) return;
    step(row, at);
  }
}

bool Runner::hold_lease(Time at) {
  if (held_ && at < renew_at_ && at >= renew_at_ - kLease / 4) return true;
  const auto taken = store_.replicas().take_lease(kLeaseName, config_.replica, at, kLease);
  if (!taken) failed("rollouts wait for the store", taken.error());
  if (!taken || !*taken) return false;
  renew_at_ = at + kLease / 4;
  if (!held_) log::info("this replica carries rollouts out", {{"replica", config_.replica}});
  return true;
}

void Runner::step(const RolloutRow& row, Time at) {
  auto now = row;
  for (int i = 0; i < kStepsMax && !stopping(); ++i) {
    const auto stepped = step_once(store_.rollouts(), store_.targets(), now, at);
    if (!stepped) return failed("a rollout's step was not taken", stepped.error());
    if (stepped->overtaken) return overtaken_.add();
    if (stepped->decision) tell(row, *stepped->decision);
    if (!stepped->more) return;
    auto next = store_.rollouts().get(row.tenant, row.id);
    if (!next) return failed("a rollout cannot be read", next.error());
    now = *std::move(next);
  }
}

void Runner::tell(const RolloutRow& row, const RolloutDecision& decision) {
  metrics_
      .counter("hub_rollout_decisions_total", "Decisions of rollouts made here",
               {{"action", decision.action}})
      .add();
  log::info("rollout", {{"rollout", row.id},
                        {"tenant", row.tenant},
                        {"model", row.model},
                        {"action", decision.action},
                        {"text", decision.text}});
  const auto noted = store_.add_audit({.tenant = row.tenant,
                                       .at = decision.at,
                                       .actor = decision.actor,
                                       .action = "rollout." + decision.action,
                                       .subject = std::to_string(row.id),
                                       .detail = decision.text});
  if (!noted) failed("a rollout's decision is not in the audit log", noted.error());
}

void Runner::failed(const char* what, const Error& error) {
  errors_.add();
  log::warn(what, {error});
}

}  // namespace lapwing::hub::rollout
