// SPDX-License-Identifier: Apache-2.0
/// Work that takes long, as rows: whichever replica's worker takes one does it.
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

namespace lapwing::hub {

enum class JobState : std::uint8_t { queued = 1, running = 2, done = 3, failed = 4, cancelled = 5 };

struct JobRow {
  std::string tenant;
  std::uint64_t id = 0;  ///< over all tenants; grows, never used twice
  std::string kind;
  std::string arguments;  ///< a JSON object; empty: none
  JobState state = JobState::queued;
  std::string actor;  ///< who wants it, as in AuditRow
  Time created_at{};
  std::optional<Time> started_at;  ///< of the present or last attempt
  std::optional<Time> ended_at;
  std::uint64_t attempts = 0;  ///< times a worker took it
  std::string taken_by;        ///< the worker, or who was it last
  std::optional<Time> heartbeat_at;
  std::uint64_t done = 0;    ///< of `total`, in the kind's own unit
  std::uint64_t total = 0;   ///< 0: not known
  std::string text;          ///< progress in words; failed: why
  std::string content_type;  ///< of the result
  std::uint64_t result_bytes = 0;
  std::uint64_t result_parts = 0;  ///< the result's pieces, numbered from 0
};

struct JobProgress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::string text;
};

/// What a worker is to do with a job it reported of.
enum class JobOrder : std::uint8_t {
  go_on,
  cancel,  ///< somebody cancelled it: stop and call end() with `cancelled`
  drop,    ///< it is not this worker's any more: stop, store nothing
};

/// Bounds: kOpenMax jobs of a tenant that have not ended, the newest kEndedMax that have, for as
/// long
///   as trim() keeps them; results of kPartBytesMax a part and kResultBytesMax in all.
/// Errors: not_found, limit (a bound), denied (the job is not the worker's, or has ended), io,
///   corrupt. Threads: as Store.
class Jobs {
 public:
  static constexpr std::size_t kOpenMax = 100;
  static constexpr std::size_t kEndedMax = 500;
  static constexpr std::size_t kPartBytesMax = std::size_t{1} << 20U;
  static constexpr std::uint64_t kResultBytesMax = std::uint64_t{1} << 30U;

  virtual ~Jobs() = default;
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  /// Of `job` counts tenant, kind, arguments, actor and created_at.
  virtual Result<JobRow> add(const JobRow& job) = 0;
  virtual Result<JobRow> get(std::string_view tenant, std::uint64_t id) = 0;
  virtual Result<Page<JobRow>> list(std::string_view tenant,
                                    const PageRequest& page) = 0;  ///< newest first
  /// A queued job ends at once; a running one when its worker hears of it. Repeatable; of no effect
  /// on one that has ended. The job as it is then.
  virtual Result<JobRow> cancel(std::string_view tenant, std::uint64_t id, Time at) = 0;
  /// A piece of the result of a job that is done; not_found: no such job or piece, or not done.
  virtual Result<std::string> result_part(std::string_view tenant, std::uint64_t id,
                                          std::uint64_t part) = 0;

  // --- for workers -------------------------------------------------------------------------------
  struct Take {
    std::string worker;
    std::span<const std::string_view> kinds;  ///< others stay for workers that know them
    Time at{};
    Micros timeout{};  ///< a worker whose last heartbeat is older has died
    std::uint64_t attempts_max = 3;
  };
  /// The oldest job that waits, or whose worker has died; absent: there is none. Of any number of
  /// callers one gets it. What an earlier attempt left of a result goes. A job whose workers died
  /// `attempts_max` times fails and says so.
  virtual Result<std::optional<JobRow>> take(const Take& wanted) = 0;
  /// A heartbeat.
  virtual Result<JobOrder> report(std::string_view worker, std::uint64_t id,
                                  const JobProgress& progress, Time at) = 0;
  /// Appends a piece of the result.
  virtual Result<void> append(std::string_view worker, std::uint64_t id,
                              std::string_view bytes) = 0;
  /// `state`: done, failed, cancelled; or queued, which hands it back untried.
  virtual Result<void> end(std::string_view worker, std::uint64_t id, JobState state,
                           const JobProgress& last, std::string_view content_type, Time at) = 0;

  /// Jobs that ended before `before`, or beyond kEndedMax of a tenant, go with their results, a
  /// bounded number a call. The count.
  virtual Result<std::uint64_t> trim(Time before) = 0;
  /// Not ended, over all tenants: queued and running.
  struct Open {
    std::uint64_t queued = 0;
    std::uint64_t running = 0;
  };
  virtual Result<Open> open() = 0;

 protected:
  Jobs() = default;
};

}  // namespace lapwing::hub
