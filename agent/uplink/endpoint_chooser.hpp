// SPDX-License-Identifier: Apache-2.0
/// Which of several hubs a device speaks to: a state machine without sockets, clocks or threads.
///
/// - Hubs of the best priority come first, in random order. When none of them said welcome for
///   `failover_after`, those of the next priority are tried as well, and so on.
/// - A try is judged by the hub's welcome, not by the connection to its broker.
/// - A hub that served and was lost is tried alone, with the others of its priority, for
///   `failover_after`.
/// - A better one is gone back to when probes found it reachable for `failback_after` without a
///   break, and after a random time of up to as much again, so that a fleet does not come back as
///   one. When it does not serve then, or not for as long, the next return waits twice as long, up
///   to 16 times.
///
/// Bound: between two changes of priority lie at least `failover_after` without any welcome or
///   `failback_after` of steady service. Hubs of one priority are taken as equally good: among
///   them a lost connection may change at once.
/// A refusal ("this device is not enrolled here") makes it try the others; the one that refused
///   rests for `refused_rest`. A quarantine does not: it is the decision of people about two copies
///   of a device, and another hub would take from the wrong one what this one holds back. So a
///   quarantined device stays, even while its hub is away, until it is released or restarted.
#pragma once

#include "shared/base/time.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

namespace lapwing::agent {

struct ChooserLimits {
  Micros failover_after = std::chrono::seconds(30);
  Micros failback_after = std::chrono::minutes(5);
  Micros refused_rest = std::chrono::minutes(5);
  /// Between probes of better hubs, give or take a quarter.
  [[nodiscard]] Micros probe_every() const {
    return std::clamp<Micros>(failback_after / 5, std::chrono::milliseconds(100),
                              std::chrono::minutes(2));
  }
  /// What one try may take while there are others to try.
  [[nodiscard]] Micros try_for() const {
    return std::clamp<Micros>(failover_after / 2, std::chrono::seconds(5), std::chrono::minutes(1));
  }
};

/// Hubs are numbered as `priorities` are; lower is better. Threads: one object belongs to one
/// thread at a time.
class EndpointChooser {
 public:
  /// Why the hub that is tried or held is this one.
  enum class Why : std::uint8_t {
    only,         ///< there is no other
    first,        ///< none is better
    failed_over,  ///< no better one said welcome
    returned,     ///< a better one was steady again
    refused,      ///< a better one refuses this device
    quarantined,  ///< it does not leave the hub that quarantined it
  };

  /// `priorities` is not empty.
  EndpointChooser(const std::vector<std::uint32_t>& priorities, const ChooserLimits& limits,
                  std::uint64_t seed, Ticks now);

  /// An attempt to connect begins: to which hub.
  std::size_t next(Ticks now);
  /// The attempt failed or the connection ended.
  void lost(Ticks now);
  /// The hub takes the device.
  void welcomed(Ticks now);
  void refused(Ticks now);
  void quarantined();
  /// The outcome of a probe that look() asked for.
  void probed(std::size_t hub, bool reachable, Ticks now);

  /// What is to be done now. To be asked at wake_at() and after every event above.
  enum class Turn : std::uint8_t {
    stay,
    move,   ///< leave the connection or attempt, said once; next() says where to
    probe,  ///< find out whether to_probe() can be reached, then call probed()
  };
  Turn look(Ticks now);
  [[nodiscard]] std::size_t to_probe() const { return probing_.value_or(current_); }
  [[nodiscard]] Ticks wake_at() const;

  [[nodiscard]] std::size_t current() const { return current_; }
  [[nodiscard]] Why why() const;
  /// Changes from one hub that served to another.
  [[nodiscard]] std::uint64_t changes() const { return changes_; }

 private:
  enum class Phase : std::uint8_t { seeking, held, pinned };
  struct Hub {
    std::size_t tier = 0;
    Ticks rests_until{};
    std::optional<Ticks> good_since;  ///< every probe since succeeded
    Ticks go_back_at{};               ///< with good_since
  };

  /// The tiers whose hubs may be tried.
  struct Open {
    std::size_t first = 0;
    std::size_t last = 0;
    [[nodiscard]] bool has(std::size_t tier) const { return first <= tier && tier <= last; }
    friend bool operator==(const Open&, const Open&) = default;
  };
  [[nodiscard]] std::int64_t stage(Ticks now) const;
  [[nodiscard]] Open open_at(Ticks now) const;
  [[nodiscard]] std::optional<Ticks> next_opening() const;
  [[nodiscard]] std::size_t hubs_open() const;
  [[nodiscard]] std::optional<Ticks> other_rested_at() const;
  bool widen(Ticks now);
  void refill(const Open& later);
  void seek(Ticks now);
  void end_return();
  [[nodiscard]] Micros steady_for() const { return limits_.failback_after * (1 << strikes_); }
  [[nodiscard]] Micros spread(Micros around);
  Turn judge_try(Ticks now);
  Turn look_for_better(Ticks now);

  ChooserLimits limits_;
  std::mt19937_64 random_;
  std::vector<Hub> hubs_;
  std::size_t tiers_ = 0;
  std::size_t current_ = 0;
  Phase phase_ = Phase::seeking;
  std::size_t home_ = 0;             ///< tier of the hub that served last
  std::optional<std::size_t> held_;  ///< that hub
  Ticks since_;                      ///< seeking: without a welcome
  Open open_;                        ///< at the last look
  bool again_ = false;               ///< the hub that was lost, once more
  std::deque<std::size_t> round_;
  std::optional<Ticks> try_began_;
  bool refused_ = false;  ///< by the current one
  bool leave_ = false;    ///< by the one it had gone back to
  bool leaving_ = false;  ///< look() said so; next() has not been asked since
  // Going back.
  std::optional<std::size_t> returning_;
  bool return_begun_ = false;
  std::optional<Ticks> returned_at_;
  std::uint32_t strikes_ = 0;
  std::optional<std::size_t> probing_;
  std::size_t probed_last_ = 0;
  Ticks next_probe_{};
  std::uint64_t changes_ = 0;
};

/// For people: after "this hub, since …".
[[nodiscard]] std::string_view to_string(EndpointChooser::Why why);

}  // namespace lapwing::agent
