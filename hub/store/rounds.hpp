// SPDX-License-Identifier: Apache-2.0
/// Federated rounds: what is wanted of which devices, what they told, and what came of it.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::hub {

enum class RoundState : std::uint8_t {
  gathering = 1,  ///< devices are asked for the present pass
  merging = 2,    ///< its job makes something of what they told
  done = 3,       ///< ended: see `result`
  failed = 4,     ///< ended: see `text`
  cancelled = 5,  ///< ended by an operator
};

struct RoundRow {
  std::string tenant;
  std::uint64_t id = 0;  ///< over all tenants; grows, never used twice
  std::string name;
  std::string model;   ///< of whose groups; empty: of any group with these sensors
  std::string kind;    ///< pca, isolation_forest, samples
  std::string schema;  ///< release::schema_digest() of its sensors
  std::string plan;    ///< JSON (hub/jobs/round_plan.hpp)
  RoundState state = RoundState::gathering;
  std::uint32_t pass = 1;
  Micros pass_length{};  ///< devices have so long for each pass
  Time deadline{};       ///< of the present pass
  std::uint64_t devices_min = 0;
  std::uint64_t enough = 0;  ///< so many end a pass before its deadline
  std::string result;        ///< SHA-256 of the candidate, or of the model; samples: of nothing
  std::string report;        ///< JSON: what each pass took and left out
  std::string text;          ///< why it is where it is, for people
  std::uint64_t job = 0;     ///< that merges, or merged last
  std::string actor;         ///< as in AuditRow
  Time created_at{};
  std::optional<Time> ended_at;
};

enum class RoundMemberState : std::uint8_t {
  waiting = 1,  ///< it has not told all of the present pass
  told = 2,
  refused = 3,  ///< the device has nothing to tell: see `text`
  left = 4,     ///< left out by the cohort's judgement, or it did not answer in time
};

struct RoundMember {
  std::string device;
  RoundMemberState state = RoundMemberState::waiting;
  std::optional<Time> asked_at;
  std::uint64_t rows = 0;   ///< that it told of
  std::uint64_t bytes = 0;  ///< that came of it, over all passes
  std::string text;
};

/// A piece of what a device tells, as it came (wire::ContributionPart).
struct RoundPart {
  std::uint64_t round = 0;
  std::uint32_t pass = 0;
  std::uint32_t part = 0;
  std::uint32_t parts = 0;
  std::string sha256;
  std::uint64_t rows = 0;
  std::string bytes;
  std::string problem;
};

/// The end of a pass.
struct RoundStep {
  std::uint64_t id = 0;
  std::uint32_t pass = 0;  ///< that it ends
  /// gathering: the next pass begins, with those that told; else the round ends so.
  RoundState state = RoundState::failed;
  std::string result;
  std::string report;
  std::string text;
  std::vector<std::pair<std::string, std::string>> left;  ///< devices, and why
  Time at{};
};

/// Bounds: kOpenMax rounds of a tenant that have not ended, the newest kEndedMax that have;
///   kMembersMax devices; wire::kContributionBytesMax of a device and pass. What devices told is
///   kept until its pass ends, and no longer.
/// Errors: not_found, limit, bad_input (no device, or one the tenant does not have), io, corrupt.
/// Threads: as Store.
class Rounds {
 public:
  static constexpr std::size_t kOpenMax = 20;
  static constexpr std::size_t kEndedMax = 200;
  static constexpr std::size_t kMembersMax = 2'000;

  virtual ~Rounds() = default;
  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;

  /// Gives it its id. `state`, `pass` and what follows from them are ignored, but for `deadline`.
  virtual Result<RoundRow> add(const RoundRow& row, std::span<const std::string> devices) = 0;
  virtual Result<RoundRow> get(std::string_view tenant, std::uint64_t id) = 0;
  virtual Result<Page<RoundRow>> list(std::string_view tenant,
                                      const PageRequest& page) = 0;  ///< newest first
  virtual Result<Page<RoundMember>> members(std::string_view tenant, std::uint64_t id,
                                            const PageRequest& page) = 0;  ///< by device
  /// Of no effect on one that has ended. The round as it is then.
  virtual Result<RoundRow> cancel(std::string_view tenant, std::uint64_t id, Time at) = 0;

  /// True: it was not there before. Pieces of one digest belong together; those of another one
  /// replace them, unless the device has told all. False: nobody waits for it, or it is there.
  virtual Result<bool> take(const DeviceKey& key, const RoundPart& part, Time at) = 0;

  /// Online devices that are to be asked: not asked yet, or longer than `again` ago.
  virtual Result<std::vector<std::pair<RoundRow, DeviceKey>>> to_ask(Time at, Micros again,
                                                                     std::size_t limit) = 0;
  virtual Result<void> mark_asked(std::uint64_t id, const DeviceKey& key, Time at) = 0;
  /// Gathering rounds whose pass is over: its deadline is, enough told, or nobody is waited for.
  /// And merging ones whose job ended without them.
  virtual Result<std::vector<RoundRow>> due(Time at, std::size_t limit) = 0;
  /// From gathering to merging by that job. False: it is not gathering for that pass any more.
  virtual Result<bool> begin_merge(std::uint64_t id, std::uint32_t pass, std::uint64_t job) = 0;

  /// Those that told all of the pass, by name, with their rows.
  virtual Result<std::vector<RoundMember>> told(std::uint64_t id) = 0;
  virtual Result<std::string> contribution(std::uint64_t id, const DeviceKey& key) = 0;
  /// False: the round has ended, or is at another pass.
  virtual Result<bool> step(const RoundStep& step) = 0;

 protected:
  Rounds() = default;
};

}  // namespace lapwing::hub
