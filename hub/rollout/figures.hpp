// SPDX-License-Identifier: Apache-2.0
/// What a rollout's devices say, counted, and held against the plan's gates.
#pragma once

#include "hub/rollout/plan.hpp"
#include "hub/store/rollouts.hpp"
#include "hub/store/targets.hpp"
#include "shared/base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub::rollout {

/// Where a device is, from the hub's side.
enum class Stage : std::uint8_t {
  waiting,    ///< its ring has not begun
  left_out,   ///< see RolloutMember
  told,       ///< the target stands, the device has not answered it yet
  fetching,   ///< gets the file
  shadow,     ///< scores with it beside what it runs
  active,     ///< runs it
  confirmed,  ///< has run it long enough to stay with it
  refused,    ///< will not run it: signatures, version, schema, class
  failed,     ///< could not get or load it, or did not confirm it in time
  reverted,   ///< went back by itself after crashes
  silent,     ///< says nothing, beyond the deadline
  undone,     ///< rolled back: runs the undo version, or none any more
};
inline constexpr std::array<std::string_view, 12> kStageNames{
    "waiting",   "left_out", "told",   "fetching", "shadow", "active",
    "confirmed", "refused",  "failed", "reverted", "silent", "undone"};
[[nodiscard]] std::string_view name_of(Stage stage);
[[nodiscard]] std::string_view name_of(RolloutPhase phase);

/// A device of the rollout with the target that the rollout gave it, if it did.
struct View {
  RolloutMember member;
  std::optional<TargetRow> target;
};

/// A rollout as it stands. Borrowed.
struct Situation {
  const Plan& plan;
  const RolloutRow& rollout;
  const std::vector<View>& views;
  Time now{};
};

/// Where that device is. A report counts when it is of this rollout and of the version that the
/// device is to run.
[[nodiscard]] Stage stage_of(const Situation& situation, const View& view);

struct Counts {
  std::array<std::size_t, kStageNames.size()> by_stage{};
  std::size_t size = 0;  ///< without those left out
  [[nodiscard]] std::size_t of(Stage stage) const {
    return by_stage.at(static_cast<std::size_t>(stage));
  }
  /// Of those in the ring.
  [[nodiscard]] double share(std::size_t devices) const {
    return size == 0 ? 0 : static_cast<double>(devices) / static_cast<double>(size);
  }
};

enum class Verdict : std::uint8_t {
  passed,
  open,   ///< not enough is known yet
  failed  ///< the rollout is stopped
};
struct Gate {
  std::string name;             ///< the plan's key for its bound
  std::optional<double> value;  ///< absent: nothing to judge
  double bound = 0;
  Verdict verdict = Verdict::passed;
  std::string text;  ///< for people, with the numbers
};

struct Figures {
  std::vector<Stage> stages;  ///< of each view
  std::vector<Counts> rings;  ///< of the plan
  Counts touched;             ///< rings that have begun
  std::vector<Gate> gates;    ///< of the present ring; empty when it is not judged
  RolloutBaseline baseline;   ///< of the present ring, as its shadows tell
  bool ready = false;         ///< all of the present ring that live have reached its stage
  bool settled = false;       ///< ready, and (in active) all that live have confirmed
};

[[nodiscard]] Figures figure(const Situation& situation);

/// As decisions keep them and the API tells them: rings with counts, gates with bounds.
[[nodiscard]] std::string figures_json(const Situation& situation, const Figures& figures);

}  // namespace lapwing::hub::rollout
