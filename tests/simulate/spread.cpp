// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/spread.hpp"

#include "hub/rollout/rings.hpp"
#include "hub/rollout/runner.hpp"
#include "shared/trust/key.hpp"
#include "shared/trust/token.hpp"
#include "tests/simulate/spread_device.hpp"
#include "tests/support/rollout_stores.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

namespace lapwing::simulate {
namespace {

namespace ro = hub::rollout;
using hub::RolloutPhase;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kFileBytes = 12'000;
constexpr Micros kLook = seconds(30);  ///< of each runner
constexpr Micros kSend = seconds(5);   ///< looks for offers that are due
constexpr Micros kLease = seconds(20);
constexpr Micros kResend = seconds(30);
constexpr Micros kPatience = hours(48);
constexpr Micros kMutantsPatience = hours(12);
constexpr Micros kAfterwards = hours(1);  ///< what has ended has to stay so
constexpr std::size_t kProblemsMax = 5;

/// Who signs: made once, since keys have nothing to do with the seed.
struct Signers {
  trust::PrivateKey release = trust::PrivateKey::generate_ed25519().value();
  trust::PrivateKey hub = trust::PrivateKey::generate_ed25519().value();
  release::KeyList list{.number = 1,
                        .threshold = 1,
                        .roots = {"root"},
                        .releases = {release.public_pem()},
                        .hubs = {hub.public_pem()},
                        .expires = kEpoch + hours(24 * 365)};
};

class Spread {
 public:
  explicit Spread(const SpreadOptions& options)
      : options_(options), random_(options.seed, 1), rollouts_(targets_) {
    device_world_.old_bytes = content('o');
    device_world_.old = {kOld, trust::sha256_hex(device_world_.old_bytes), kFileBytes};
    add_version(kNew, content('n'));
    add_version(kUndo, device_world_.old_bytes);
    device_world_.fetch = [this](SpreadDevice& d, wire::Fetch f) { fetched(d, std::move(f)); };
    device_world_.report = [this](SpreadDevice& d, const QueuedReport& r) { reported(d, r); };
    device_world_.wrong = [this](const std::string& what) { wrong(what); };
    for (std::size_t i = 0; i < options.devices; ++i) {
      devices_.push_back(std::make_unique<SpreadDevice>(device_world_, i, signers().list));
      by_name_[devices_.back()->name] = devices_.back().get();
    }
    targets_.on_want = [this](const hub::TargetRow& row) { wanted(row); };
    rollouts_.is_online = [this](const std::string& name) { return by_name_.at(name)->online; };
    rollouts_.on_write = [this](bool after) { return survives(after); };
    rollouts_.break_compare = options.mutant == SpreadMutant::no_compare;
    replicas_.resize(options.replicas);
  }

  SpreadOutcome run() {
    for (auto& device : devices_) {
      device->start();
      connect(*device, random_.between(Micros(0), seconds(20)));
      if (options_.hostile) trouble(*device);
    }
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      events_.after(kLook * (static_cast<long>(i) + 1) / static_cast<long>(replicas_.size()),
                    [this, i] { look(i); });
      events_.after(kSend, [this, i] { send_due(i); });
      if (options_.hostile) plan_death(i);
    }
    events_.run_until(events_.now() + minutes(5));
    begin();
    const auto begun = events_.now();
    const auto patience = options_.mutant == SpreadMutant::none ? kPatience : kMutantsPatience;
    while (!has_ended(row().state.phase) && events_.now() - begun < patience &&
           outcome_.problems.size() < kProblemsMax) {
      events_.run_until(events_.now() + minutes(1));
    }
    outcome_.took = events_.now() - begun;
    const auto ended = row();
    events_.run_until(events_.now() + kAfterwards);
    judge(ended);
    return std::move(outcome_);
  }

 private:
  struct Replica {
    bool up = true;
    std::uint64_t life = 0;
  };

  static const Signers& signers() {
    static const Signers kSigners;
    return kSigners;
  }
  static std::string content(char c) { return std::string(kFileBytes, c); }
  void wrong(const std::string& what) {
    if (outcome_.problems.size() < kProblemsMax) outcome_.problems.push_back(what);
  }
  [[nodiscard]] Time wall() const { return kEpoch + (events_.now() - Ticks(seconds(1))); }
  [[nodiscard]] hub::RolloutRow row() { return rollouts_.get(kTenant, 1).value(); }

  void add_version(std::uint64_t number, std::string bytes) {
    const release::Manifest manifest{.model = kModel,
                                     .number = number,
                                     .sha256 = trust::sha256_hex(bytes),
                                     .length = bytes.size(),
                                     .tenant = kTenant,
                                     .device_class = {},
                                     .schema_sha256 = std::string(64, 'c'),
                                     .minimum_agent = {}};
    release::Signed document{manifest};
    if (!document.sign(signers().release)) wrong("a manifest cannot be signed");
    files_[manifest.sha256] = std::move(bytes);
    manifests_.emplace(number, document);
  }

  void begin() {
    const auto plan = spread_plan();
    hub::RolloutRow wanted;
    wanted.tenant = kTenant;
    wanted.model = kModel;
    wanted.number = kNew;
    wanted.undo = options_.first_model ? 0 : kUndo;
    wanted.plan = ro::write_plan(plan);
    wanted.actor = "person";
    wanted.created_at = wall();
    const auto made = rollouts_.add(wanted, [&](std::uint64_t id) {
      std::vector<ro::Candidate> all;
      for (const auto& device : devices_) all.push_back({device->name, {}});
      auto members = ro::fill_rings(plan, id, std::move(all));
      for (const auto& member : members) {
        ring_of_[member.device] = member.ring;
        first_ring_ += member.ring == 0 ? 1 : 0;
      }
      return members;
    });
    if (!made) wrong("the rollout does not begin: " + made.error().context);
  }

  // --- the network -------------------------------------------------------------------------------
  /// Carries a message: late, perhaps twice or never.
  void carry(std::function<void()> arrive) {
    ++outcome_.messages;
    if (options_.hostile && random_.chance(.03)) {
      ++outcome_.lost;
      return;
    }
    const auto late = options_.hostile && random_.chance(.02) ? seconds(40) : seconds(2);
    if (options_.hostile && random_.chance(.03)) {
      ++outcome_.doubled;
      events_.after(random_.between(milliseconds(20), late), arrive);
    }
    events_.after(random_.between(milliseconds(20), late), std::move(arrive));
  }

  void connect(SpreadDevice& device, Micros delay) {
    if (device.silent) return;
    events_.after(delay, [this, &device] {
      if (device.online || !device.alive()) return;
      const auto at = static_cast<std::size_t>(random_.below(replicas_.size()));
      if (!replicas_[at].up) return connect(device, seconds(3));
      device.replica = at;
      sent_at_.erase(device.name);
      device.connected(true);
    });
  }

  /// Its line goes, and now and then its process.
  void trouble(SpreadDevice& device) {
    events_.after(random_.between(minutes(10), hours(20)), [this, &device] {
      if (random_.chance(.05)) {
        const auto down = random_.between(seconds(2), minutes(2));
        device.kill(down);
        connect(device, down + seconds(2));
      } else if (device.online) {
        device.connected(false);
        connect(device, random_.between(seconds(1), minutes(8)));
      }
      trouble(device);
    });
    watch(device);
  }
  /// A process that died of itself comes back to the network too.
  void watch(SpreadDevice& device) {
    if (watched_.insert(&device).second) again(device);
  }
  void again(SpreadDevice& device) {
    events_.after(seconds(60), [this, &device] {
      if (!device.online) connect(device, random_.between(Micros(0), seconds(5)));
      again(device);
    });
  }

  void fetched(SpreadDevice& device, wire::Fetch wanted) {
    carry([this, &device, wanted = std::move(wanted)] {
      if (!device.online) return;
      const auto file = files_.find(wanted.sha256);
      wire::Chunk chunk{
          .sha256 = wanted.sha256, .offset = wanted.offset, .total = 0, .bytes = {}, .problem = {}};
      if (file == files_.end()) {
        chunk.problem = "there is no such file";
      } else {
        chunk.total = file->second.size();
        chunk.bytes = file->second.substr(wanted.offset, wanted.length);
      }
      carry([&device, chunk = std::move(chunk)] {
        if (device.online) device.chunk(chunk);
      });
    });
  }

  void reported(SpreadDevice& device, const QueuedReport& queued) {
    carry([this, &device, queued] {
      if (device.silent || !replicas_[device.replica].up) return;
      if (queued.seq > device.heard) {
        device.heard = queued.seq;
        targets_.report({kTenant, device.name}, queued.report, wall());
      }
      carry([&device, seq = device.heard] {
        if (device.alive()) device.acknowledge(seq);
      });
    });
  }

  // --- replicas ----------------------------------------------------------------------------------
  void plan_death(std::size_t at) {
    events_.after(random_.between(minutes(5), hours(2)), [this, at] {
      die(at);
      plan_death(at);
    });
  }
  void die(std::size_t at) {
    auto& replica = replicas_[at];
    if (!replica.up) return;
    replica.up = false;
    ++replica.life;
    ++outcome_.kills;
    for (auto& device : devices_) {
      if (!device->online || device->replica != at) continue;
      device->connected(false);
      connect(*device, random_.between(seconds(1), seconds(10)));
    }
    events_.after(random_.between(seconds(20), minutes(2)),
                  [this, at] { replicas_[at].up = true; });
  }
  /// Whether the process that writes survives this point of it.
  bool survives(bool) {
    if (!options_.hostile || !random_.chance(.03)) return true;
    die(writer_);
    return false;
  }

  /// Its runner looks whether it is the one, and does what is to be done; or falls asleep before it
  /// does, for longer than its lease.
  void look(std::size_t at) {
    events_.after(kLook, [this, at] { look(at); });
    if (!replicas_[at].up) return;
    const auto now = events_.now();
    if (lease_holder_ != at && now < lease_until_) return;
    lease_holder_ = at;
    lease_until_ = now + kLease;
    const bool sleeps = options_.hostile && random_.chance(.05);
    for (int i = 0; i < 100; ++i) {
      const auto open = rollouts_.open(10).value();
      if (open.empty()) return;
      auto loaded = ro::load(rollouts_, targets_, open.front()).value();
      if (sleeps) {
        ++outcome_.slept;
        const auto life = replicas_[at].life;
        events_.after(random_.between(seconds(25), minutes(10)),
                      [this, at, life, seen = std::move(loaded)]() mutable {
                        if (replicas_[at].life == life) step(at, std::move(seen));
                      });
        return;
      }
      if (!step(at, std::move(loaded))) return;
    }
  }

  /// Whether there is more.
  bool step(std::size_t at, ro::Loaded seen) {
    blindfold(seen);
    auto decision = ro::decide(seen.at(wall()));
    if (!decision.step) return false;
    if (options_.mutant == SpreadMutant::forget_undo) {
      std::erase_if(decision.step->targets, [](const auto& t) { return t.number != kNew; });
    }
    writer_ = at;
    const auto kept = rollouts_.step(*decision.step);
    if (!kept) return false;  // it died; the next looks at what is kept
    if (!*kept) ++outcome_.overtaken;
    return *kept && decision.more && options_.mutant != SpreadMutant::forget_undo;
  }

  /// A gate that does not look: what it would see is as good as can be.
  void blindfold(ro::Loaded& seen) const {
    for (auto& view : seen.views) {
      if (!view.target) continue;
      auto& target = *view.target;
      const bool active = target.target.stage == wire::ModelStage::active;
      const auto as_told = [&] {
        target.report.state = target.target.number == 0 ? "withdrawn"
                              : active                  ? "confirmed"
                                                        : "shadow";
        target.report.version = target.target.number;
        target.report.rollout = target.target.rollout;
        target.reported_at = wall();
      };
      switch (options_.mutant) {
        case SpreadMutant::blind_to_alarms:
          if (target.statistics) target.statistics->alarms = target.statistics->rival_alarms;
          break;
        case SpreadMutant::blind_to_not_a_number:
          if (target.statistics) target.statistics->not_a_number = 0;
          if (target.report.state == "reverted") as_told();
          break;
        case SpreadMutant::blind_to_cost:
          if (target.statistics) target.statistics->cost_p99 = target.statistics->rival_cost_p99;
          break;
        case SpreadMutant::blind_to_crashes:
          if (target.report.state == "reverted") as_told();
          break;
        case SpreadMutant::blind_to_silence:
          if (by_name_.at(view.member.device)->silent) as_told();
          break;
        default:
          return;
      }
    }
  }

  /// Offers whose devices have not answered them, through this replica.
  void send_due(std::size_t at) {
    events_.after(kSend, [this, at] { send_due(at); });
    if (!replicas_[at].up) return;
    for (auto& device : devices_) {
      if (device->online && device->replica == at) offer(*device);
    }
  }
  void offer(SpreadDevice& device) {
    const auto* row = targets_.find({kTenant, device.name}, kModel);
    if (row == nullptr || row->offer == 0 || row->report.offer >= row->offer) return;
    auto& sent = sent_at_[device.name];
    if (sent.first == row->offer && events_.now() - sent.second < kResend) return;
    sent = {row->offer, events_.now()};
    wire::Offer offer{.offer = row->offer,
                      .model = kModel,
                      .number = row->target.number,
                      .stage = row->target.stage,
                      .rollout = row->target.rollout,
                      .keys = {},
                      .manifest = {},
                      .assignment = {}};
    if (offer.number != 0) {
      const auto& manifest = manifests_.at(offer.number);
      offer.manifest = manifest.encode();
      offer.assignment = assignment(device, manifest);
    }
    auto& told =
        offer.stage == wire::ModelStage::active ? device.offered_active : device.offered_shadow;
    told.insert(offer.number);
    carry([&device, offer = std::move(offer)] {
      if (device.online) device.offer(offer);
    });
  }
  const std::string& assignment(const SpreadDevice& device, const release::Signed& manifest) {
    auto& kept = assignments_[{device.name, manifest.body_sha256()}];
    if (!kept.empty()) return kept;
    release::Signed document{release::Assignment{.tenant = kTenant,
                                                 .device = device.name,
                                                 .manifest_sha256 = manifest.body_sha256(),
                                                 .issued = wall(),
                                                 .expires = wall() + hours(24 * 7)}};
    if (!document.sign(signers().hub)) wrong("an assignment cannot be signed");
    kept = document.encode();
    return kept;
  }

  // --- what must hold ----------------------------------------------------------------------------
  /// Each target as it is wanted.
  void wanted(const hub::TargetRow& row) {
    const auto& target = row.target;
    auto& last = last_wanted_[target.key.device];
    const auto state = rollouts_.get(kTenant, 1)->state;
    if (ring_of_.at(target.key.device) > state.ring) {
      wrong(target.key.device + " is told before its ring has begun");
    }
    const bool sound = options_.ailment == Ailment::none || options_.ailment == Ailment::silence;
    if (!sound && ring_of_.at(target.key.device) > 0) {
      wrong(target.key.device + " is told what should have been stopped in ring 1");
    }
    if (last.undone && target.number == kNew) {
      wrong(target.key.device + " is told the new version after it was taken back");
    }
    if (target.number != kNew) last.undone = true;
    if (last.active && target.number == kNew && target.stage == wire::ModelStage::shadow) {
      wrong(target.key.device + " goes back to shadow");
    }
    last.active = target.stage == wire::ModelStage::active;
    if (!last.told) ++outcome_.touched;
    last.told = true;
  }

  void judge(const hub::RolloutRow& ended) {
    outcome_.end = ended.state.phase;
    outcome_.ring = ended.state.ring + 1;
    outcome_.reason = ended.state.text;
    std::size_t rings = 0;
    const auto decisions = rollouts_.decisions(kTenant, 1, {}).value();
    for (auto it = decisions.items.rbegin(); it != decisions.items.rend(); ++it) {
      outcome_.decisions.push_back(it->action);
      if (it->action == "begin" || it->action == "ring") ++rings;
      if (it->action == "roll_back") outcome_.reason = it->text;
    }
    for (const auto& device : devices_) outcome_.ran += device->ran_new ? 1 : 0;
    if (!has_ended(ended.state.phase)) {
      return wrong("no end in " + std::to_string(outcome_.took / hours(1)) + " hours: " +
                   std::string(ro::name_of(ended.state.phase)) + " " + ended.state.text);
    }
    if (rings != outcome_.ring) wrong("a ring began twice, or one was left out");
    if (row().revision != ended.revision) wrong("it went on after its end");
    options_.ailment == Ailment::none ? judge_good() : judge_bad();
  }
  void judge_good() {
    if (outcome_.end != RolloutPhase::done)
      return wrong("a sound model is stopped: " + outcome_.reason);
    for (const auto& device : devices_) {
      if (device->alive() && device->active() != kNew) wrong(device->name + " does not run it");
    }
  }
  void judge_bad() {
    if (outcome_.end != RolloutPhase::rolled_back) return wrong("it turns green");
    const bool anywhere = options_.ailment == Ailment::silence;
    if (!anywhere && (outcome_.ring != 1 || outcome_.touched > first_ring_)) {
      wrong("it gets beyond ring 1");
    }
    for (const auto& device : devices_) {
      if (device->silent || !device->alive() || !last_wanted_[device->name].told) continue;
      const auto before = options_.first_model ? std::nullopt : std::optional(kUndo);
      if (device->active() != before) wrong(device->name + " is not taken back");
    }
  }

  struct Told {
    bool told = false;
    bool active = false;
    bool undone = false;
  };

  const SpreadOptions options_;
  Random random_;
  Events events_;
  SpreadDevice::World device_world_{
      .events = events_, .options = options_, .fetch = {}, .report = {}, .wrong = {}};
  std::vector<std::unique_ptr<SpreadDevice>> devices_;
  std::map<std::string, SpreadDevice*> by_name_;
  std::set<const SpreadDevice*> watched_;
  hub::MemoryTargets targets_;
  hub::MemoryRollouts rollouts_;
  std::map<std::uint64_t, release::Signed> manifests_;
  std::map<std::string, std::string> files_;
  std::map<std::pair<std::string, std::string>, std::string> assignments_;
  std::map<std::string, std::pair<std::uint64_t, Ticks>> sent_at_;
  std::vector<Replica> replicas_;
  std::size_t lease_holder_ = 0;
  Ticks lease_until_{};
  std::size_t writer_ = 0;
  std::map<std::string, std::uint32_t> ring_of_;
  std::size_t first_ring_ = 0;
  std::map<std::string, Told> last_wanted_;
  SpreadOutcome outcome_;
};

}  // namespace

ro::Plan spread_plan() {
  ro::Plan plan;
  plan.soak = minutes(30);
  plan.gates.alarms_min = 300;
  // In a small fleet's ring of one, one device that is slow for a moment would be all of them.
  for (auto& ring : plan.rings) ring.devices_min = 5;
  return plan;
}

SpreadOutcome spread(const SpreadOptions& options) { return Spread(options).run(); }

}  // namespace lapwing::simulate
