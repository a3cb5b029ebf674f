// SPDX-License-Identifier: Apache-2.0
/// How one model's versions take over on a device, and go back: pure decisions over what is kept on
/// disk. No files, no network, no clock; events and times in, actions out.
///
///     offer → fetching → shadow → active → confirmed
///                 ↓         ↓        ↓
///               failed   reverted  reverted: to the version before, or the group's own detector
///
/// - A version is on trial from its slot's first moment until it has run for `confirm_after`
/// without
///   a break and rows were scored. Starts after an end that was not clean (a crash, a watchdog's
///   kill, a power cut) are counted while a version is on trial: the third takes it out, without
///   the hub. An active one on trial whose scores are no numbers goes at once.
/// - The version before stays until the next one is activated. One that was not confirmed never
///   takes its place.
/// - What was decided is kept before it is done (Keep comes first), so that a crash while it is
/// done
///   is counted against the right version.
#pragma once

#include "agent/engine/model_slot.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"
#include "shared/wire/models.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lapwing::agent {

struct ModelVersion {
  std::uint64_t number = 0;
  std::string sha256;  ///< of the file, 64 hex digits
  std::uint64_t length = 0;
  friend bool operator==(const ModelVersion&, const ModelVersion&) = default;
};

/// A version in a slot.
struct HeldModel {
  ModelVersion version;
  Time since{};
  friend bool operator==(const HeldModel&, const HeldModel&) = default;
};

/// Words of wire::ModelReport::state.
namespace model_state {
inline constexpr const char* kRefused = "refused";
inline constexpr const char* kFetching = "fetching";
inline constexpr const char* kShadow = "shadow";
inline constexpr const char* kActive = "active";
inline constexpr const char* kConfirmed = "confirmed";
inline constexpr const char* kFailed = "failed";
inline constexpr const char* kReverted = "reverted";
inline constexpr const char* kWithdrawn = "withdrawn";
}  // namespace model_state

/// All that must outlive the process. Plain data.
struct ActivationState {
  std::uint64_t offer = 0;  ///< the newest that was taken or refused
  std::uint64_t rollout = 0;
  std::optional<HeldModel> active;
  std::optional<HeldModel> previous;
  std::optional<HeldModel> shadow;
  struct Wanted {
    ModelVersion version;
    wire::ModelStage stage = wire::ModelStage::shadow;
    friend bool operator==(const Wanted&, const Wanted&) = default;
  };
  std::optional<Wanted> wanted;      ///< being fetched
  bool confirmed = false;            ///< the active one is
  std::uint32_t unclean_starts = 0;  ///< since the newest version came into its slot
  std::string told;                  ///< last state reported; empty: none yet
  std::uint64_t told_version = 0;
  std::string told_detail;
  friend bool operator==(const ActivationState&, const ActivationState&) = default;
};

/// An offer that may be taken: signatures and all are checked.
struct Offered {
  std::uint64_t offer = 0;
  std::uint64_t rollout = 0;
  ModelVersion version;  ///< number 0: none any more
  wire::ModelStage stage = wire::ModelStage::shadow;
};

/// What the active version did since it was installed.
struct ModelDoing {
  std::uint64_t rows = 0;
  std::uint64_t not_a_number = 0;
};

namespace model_action {
/// state() goes to disk before anything that follows.
struct Keep {};
struct Fetch {
  ModelVersion version;
};
struct StopFetch {};
/// nullopt: nothing (active: the group's own detector).
struct Install {
  ModelSlot slot = ModelSlot::active;
  std::optional<ModelVersion> version;
};
/// A record for the hub. `statistics`: of what is in this slot, too.
struct Report {
  std::string state;
  std::uint64_t version = 0;
  std::string detail;
  std::uint64_t offer = 0;
  std::uint64_t rollout = 0;
  std::optional<ModelSlot> statistics;

  /// Without the key list's number and the statistics, which are for the caller to fill.
  [[nodiscard]] wire::ModelReport record(std::string model, Time at) const;
};
}  // namespace model_action
using ModelAction = std::variant<model_action::Keep, model_action::Fetch, model_action::StopFetch,
                                 model_action::Install, model_action::Report>;
using ModelActions = std::vector<ModelAction>;  ///< to be done in this order

/// Threads: one at a time.
class Activation {
 public:
  static constexpr std::uint32_t kUncleanStartsMax = 3;
  static constexpr Micros kRepeatAfter = std::chrono::seconds(60);
  static constexpr Micros kTrialReports = std::chrono::minutes(1);
  static constexpr Micros kReports = std::chrono::minutes(15);

  /// `trial_reports`: between reports of what runs, while a version is on trial.
  explicit Activation(Micros confirm_after, ActivationState state = {},
                      Micros trial_reports = kTrialReports)
      : confirm_after_(confirm_after), trial_reports_(trial_reports), state_(std::move(state)) {}

  /// The process begins; `unclean`: the one before did not end by itself. Installs what the slots
  /// hold, and goes on fetching. Where nothing was ever reported it says that no version is here
  /// (withdrawn, offer 0): the hub learns who uses the model, and offers anew what this device
  /// lost.
  ModelActions on_start(bool unclean, Time at, Ticks ticks);
  /// The same offer again is answered with the last report, at most every kRepeatAfter; an older
  /// one is not.
  ModelActions on_offer(const Offered& offered, Time at, Ticks ticks);
  /// An offer that may not be taken; what runs goes on.
  ModelActions on_refused(std::uint64_t offer, std::uint64_t rollout, std::uint64_t number,
                          const std::string& why, Ticks ticks);
  /// Of a file that is not wanted any more: nothing.
  ModelActions on_fetched(const std::string& sha256, Time at, Ticks ticks);
  ModelActions on_fetch_failed(const std::string& sha256, const std::string& why, Ticks ticks);
  /// The engine did not take it, or its file is damaged: the slot is empty; of the active one the
  /// version before comes back.
  ModelActions on_install_failed(ModelSlot slot, const std::string& why, Time at, Ticks ticks);
  /// An operator on the device wants the version before back. Empty: there is no active one.
  ModelActions on_rollback(Time at, Ticks ticks);
  /// About once a second.
  ModelActions on_tick(const ModelDoing& active, Time at, Ticks ticks);

  [[nodiscard]] const ActivationState& state() const noexcept { return state_; }
  /// This offer was answered: on_offer() and on_refused() do no more than repeat the answer.
  [[nodiscard]] bool answered(std::uint64_t offer) const noexcept { return offer <= state_.offer; }
  /// A version is on trial.
  [[nodiscard]] bool on_trial() const noexcept {
    return state_.shadow.has_value() || (state_.active && !state_.confirmed);
  }

 private:
  void tell(ModelActions& actions, const char* state, std::uint64_t version, std::string detail,
            Ticks ticks, std::optional<ModelSlot> statistics = {});
  void begin_trial(Ticks ticks);
  void activate(const ModelVersion& version, Time at, Ticks ticks, ModelActions& actions);
  void revert(const char* word, const std::string& why, Time at, Ticks ticks,
              ModelActions& actions);
  void drop_shadow(const char* word, const std::string& why, Ticks ticks, ModelActions& actions);
  void want(const Offered& offered, Ticks ticks, ModelActions& actions);
  ModelActions repeat(Ticks ticks);

  Micros confirm_after_;
  Micros trial_reports_;
  ActivationState state_;
  Ticks trial_since_{};
  std::optional<Ticks> told_at_;
};

}  // namespace lapwing::agent
