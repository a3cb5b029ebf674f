// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/spread_device.hpp"

#include "shared/trust/token.hpp"

#include <cmath>
#include <utility>

namespace lapwing::simulate {
namespace {

using agent::ModelSlot;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Micros kTick = seconds(30);
constexpr Micros kFlush = seconds(10);
constexpr double kRowsPerSecond = 1;
constexpr double kAlarmsPerHour = 20;  ///< of a sound model
constexpr double kCost = 20e-6;        ///< p99 of a row, seconds
constexpr double kAgreement = .995;

/// Events of a Poisson process; small means only.
std::uint64_t poisson(Random& random, double mean) {
  double left = std::exp(-mean);
  std::uint64_t count = 0;
  for (double p = random.uniform(); p > left; p *= random.uniform()) ++count;
  return count;
}

}  // namespace

SpreadDevice::SpreadDevice(World& world, std::size_t number, const release::KeyList& keys)
    : name("edge-" + std::to_string(number)),
      silent(world.options.ailment == Ailment::silence &&
             Random(world.options.seed, 5'000'000 + number).chance(.2)),
      world_(world),
      random_(world.options.seed, 1'000 + number),
      schema_(std::string(64, 'c')) {
  remembered_.keys = keys;
  if (world.options.first_model) return;
  // The version before has run for long.
  const auto& old = world.old;
  files_[old.sha256] = world.old_bytes;
  remembered_.models[kModel] = {
      .number = kOld, .sha256 = old.sha256, .release_key = keys.releases[0]};
  kept_.active = agent::HeldModel{old, kEpoch - std::chrono::hours(100)};
  kept_.confirmed = true;
}

Time SpreadDevice::wall() const { return kEpoch + (world_.events.now() - Ticks(seconds(1))); }

void SpreadDevice::start() {
  const bool unclean = process_++ > 0;
  alive_ = true;
  judge_ = std::make_unique<release::Judge>(remembered_);
  activation_ = std::make_unique<agent::Activation>(minutes(10), kept_);
  engine_active_.reset();
  engine_shadow_.reset();
  counted_until_ = world_.events.now();
  act(activation_->on_start(unclean, wall(), world_.events.now()));
  const auto mine = process_;
  const auto every = [this, mine](Micros length, void (SpreadDevice::*what)(),
                                  auto&& self) -> void {
    world_.events.after(length, [this, mine, length, what, self] {
      if (process_ != mine || !alive_) return;
      (this->*what)();
      self(length, what, self);
    });
  };
  world_.events.after(random_.between(Micros(0), kTick), [this, mine, every] {
    if (process_ != mine || !alive_) return;
    every(kTick, &SpreadDevice::tick, every);
    every(kFlush, &SpreadDevice::flush, every);
  });
}

void SpreadDevice::kill(Micros down) {
  if (!alive_) return;
  alive_ = false;
  ++process_;
  online = false;
  activation_.reset();
  judge_.reset();
  fetcher_.reset();
  world_.events.after(down, [this] { start(); });
}

void SpreadDevice::connected(bool on) {
  online = on && alive_;
  if (!fetcher_) return;
  act(online ? fetcher_->connected(world_.events.now()) : fetcher_->disconnected());
}

void SpreadDevice::offer(const wire::Offer& offer) {
  if (!alive_) return;
  const auto now = world_.events.now();
  agent::Offered offered{
      .offer = offer.offer, .rollout = offer.rollout, .version = {}, .stage = offer.stage};
  if (offer.number != 0 && !activation_->answered(offer.offer)) {
    const auto manifest = release::Signed::decode(offer.manifest);
    const auto assignment = release::Signed::decode(offer.assignment);
    if (!manifest || !assignment) return world_.wrong(name + ": an offer that cannot be read");
    const release::Device self{.tenant = kTenant,
                               .name = name,
                               .device_class = {},
                               .agent_version = "1.0.0",
                               .schema_sha256 = schema_};
    const auto approved = judge_->approve(*manifest, *assignment, self, wall());
    if (!approved) {
      return act(activation_->on_refused(offer.offer, offer.rollout, offer.number,
                                         approved.error().context, now));
    }
    if (const auto known = remembered_.models.find(kModel);
        known != remembered_.models.end() && approved->manifest.number < known->second.number) {
      world_.wrong(name + ": version " + std::to_string(approved->manifest.number) + " after " +
                   std::to_string(known->second.number));
    }
    judge_->accept(*approved);
    remembered_ = judge_->remembered();
    offered.version = {offer.number, approved->manifest.sha256, approved->manifest.length};
  }
  act(activation_->on_offer(offered, wall(), now));
}

void SpreadDevice::act(const agent::ModelActions& actions) {
  using namespace agent::model_action;
  for (const auto& action : actions) {
    if (std::holds_alternative<Keep>(action)) {
      kept_ = activation_->state();
    } else if (const auto* wanted = std::get_if<Fetch>(&action)) {
      fetch(wanted->version);
    } else if (std::holds_alternative<StopFetch>(action)) {
      fetcher_.reset();
    } else if (const auto* into = std::get_if<Install>(&action)) {
      install(into->slot, into->version);
    } else if (const auto* said = std::get_if<agent::model_action::Report>(&action)) {
      report(*said);
    }
  }
  if (!alive_) return;
  const auto number = [](const std::optional<agent::HeldModel>& held) {
    return held ? std::optional(held->version.number) : std::nullopt;
  };
  if (number(activation_->state().active) != engine_active_ ||
      number(activation_->state().shadow) != engine_shadow_) {
    world_.wrong(name + ": the engine runs something else than was decided");
  }
  if (engine_active_ && engine_active_ == engine_shadow_) {
    world_.wrong(name + ": one version runs twice");
  }
}

void SpreadDevice::install(ModelSlot slot, const std::optional<agent::ModelVersion>& version) {
  const auto now = world_.events.now();
  const auto number = version ? std::optional(version->number) : std::nullopt;
  if (version && number != kOld) {
    const auto file = files_.find(version->sha256);
    if (file == files_.end() || trust::sha256_hex(file->second) != version->sha256) {
      world_.wrong(name + ": runs a file that is not what was signed");
    }
    const bool offered = offered_active.contains(version->number) ||
                         (slot == ModelSlot::shadow && offered_shadow.contains(version->number));
    if (!offered) {
      world_.wrong(name + ": runs version " + std::to_string(version->number) +
                   ", which nobody offered it so");
    }
  }
  if (slot == ModelSlot::active) {
    engine_active_ = number;
    active_since_ = now;
    active_sums_ = {};
    if (is_new(number)) ran_new = true;
  } else {
    engine_shadow_ = number;
    shadow_since_ = now;
    shadow_sums_ = {};
  }
  counted_until_ = now;
  if (is_new(number)) plan_crash();
}

void SpreadDevice::plan_crash() {
  if (world_.options.ailment != Ailment::crash) return;
  world_.events.after(random_.between(seconds(20), minutes(8)), [this, mine = process_] {
    if (process_ != mine || !(is_new(engine_active_) || is_new(engine_shadow_))) return;
    kill(seconds(5));
  });
}

void SpreadDevice::fetch(const agent::ModelVersion& version) {
  auto& bytes = files_[version.sha256];
  fetcher_ = std::make_unique<sync::Fetcher>(version.sha256, version.length, bytes.size(),
                                             sync::FetchLimits{}, random_.bits());
  if (fetcher_->done()) {  // it is here from before
    world_.events.after(Micros(1), [this, digest = version.sha256, mine = process_] {
      if (process_ == mine && alive_) {
        act(activation_->on_fetched(digest, wall(), world_.events.now()));
      }
    });
  } else if (online) {
    act(fetcher_->connected(world_.events.now()));
  }
}

void SpreadDevice::act(const sync::FetchActions& actions) {
  for (const auto& action : actions) {
    if (const auto* wanted = std::get_if<sync::SendFetch>(&action)) {
      if (online) {
        world_.fetch(*this, {.connection_id = {},
                             .sha256 = fetcher_->sha256(),
                             .offset = wanted->offset,
                             .length = wanted->length});
      }
    } else if (const auto* kept = std::get_if<sync::KeepBytes>(&action)) {
      files_[fetcher_->sha256()] += kept->bytes;
    } else if (const auto* timer = std::get_if<sync::ArmFetch>(&action)) {
      world_.events.after(timer->at - world_.events.now(),
                          [this, fetcher = fetcher_.get(), mine = process_] {
                            if (process_ == mine && fetcher_.get() == fetcher) {
                              act(fetcher_->timer(world_.events.now()));
                            }
                          });
    } else if (std::holds_alternative<sync::FetchDone>(action)) {
      const auto digest = fetcher_->sha256();
      act(activation_->on_fetched(digest, wall(), world_.events.now()));
      return;
    }
  }
}

void SpreadDevice::chunk(const wire::Chunk& chunk) {
  if (!alive_ || !fetcher_ || fetcher_->sha256() != chunk.sha256) return;
  act(fetcher_->chunk(chunk, world_.events.now()));
}

wire::ModelStatistics SpreadDevice::statistics(ModelSlot slot) {
  return slot == ModelSlot::shadow ? shadow_sums_ : active_sums_;
}

/// What happened since the last tick is counted, then time is told to the activation.
void SpreadDevice::tick() {
  const auto now = world_.events.now();
  const double length = std::chrono::duration<double>(now - counted_until_).count();
  counted_until_ = now;
  const auto ailment = world_.options.ailment;
  const auto count = [&](wire::ModelStatistics& sums, bool is_shadow, bool ill) {
    const auto rows = static_cast<std::uint64_t>(length * kRowsPerSecond);
    const double mean = kAlarmsPerHour * length / 3'600;
    sums.rows += rows;
    sums.alarms += poisson(random_, ill && ailment == Ailment::doubled_alarms ? 2 * mean : mean);
    sums.psi = .02 + .1 * random_.uniform();
    const double slow = ill && ailment == Ailment::slow ? 5 : 1;
    const auto cost = [&] {  // now and then rows have waited for something else
      return kCost * (.9 + .2 * random_.uniform()) + (random_.chance(.003) ? 50e-6 : 0);
    };
    sums.cost_p99 = slow * cost();
    if (ill && ailment == Ailment::not_a_number) {
      sums.not_a_number += poisson(random_, static_cast<double>(rows) / 500);
    }
    if (!is_shadow) return;
    sums.rival_alarms += poisson(random_, mean);
    sums.rival_cost_p99 = cost();
    sums.agreement = kAgreement;
  };
  if (engine_shadow_) count(shadow_sums_, true, is_new(engine_shadow_));
  if (engine_active_) count(active_sums_, false, is_new(engine_active_));
  act(activation_->on_tick({.rows = active_sums_.rows, .not_a_number = active_sums_.not_a_number},
                           wall(), now));
}

void SpreadDevice::report(const agent::model_action::Report& said) {
  QueuedReport queued{.seq = ++seq_, .report = said.record(kModel, wall())};
  queued.report.keys_number = 1;
  if (said.statistics) queued.report.statistics = statistics(*said.statistics);
  queue_.push_back(std::move(queued));
  if (online) world_.report(*this, queue_.back());
}

void SpreadDevice::flush() {
  if (!online) return;
  for (const auto& queued : queue_) world_.report(*this, queued);
}

void SpreadDevice::acknowledge(std::uint64_t seq) {
  while (!queue_.empty() && queue_.front().seq <= seq) queue_.pop_front();
}

}  // namespace lapwing::simulate
