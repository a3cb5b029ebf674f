// SPDX-License-Identifier: Apache-2.0
/// What kinds of jobs there are, and what each may do while it runs.
#pragma once

#include "hub/store/jobs.hpp"
#include "hub/store/store.hpp"
#include "shared/base/result.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace lapwing::hub {

/// One attempt at a job, as its kind sees it.
/// Threads: of the kind's thread, but for snapshot() and order().
class JobRun {
 public:
  /// Borrows the store.
  JobRun(Store& store, JobRow job, std::string worker)
      : store_(store), job_(std::move(job)), worker_(std::move(worker)) {}

  [[nodiscard]] Store& store() const { return store_; }
  [[nodiscard]] const JobRow& job() const { return job_; }

  /// How far it is. Call it between steps of a few seconds at most: an error (shutting_down) says
  /// that the job is to stop here and hand that error back.
  Result<void> progress(std::uint64_t done, std::uint64_t total, std::string text);
  /// Appends to the result, in parts. Errors: limit, and as progress().
  Result<void> write(std::string_view bytes);
  /// Writes what write() kept back. The kind's last call.
  Result<void> flush();

  /// What was reported last. Threads: any.
  [[nodiscard]] JobProgress snapshot() const;
  enum class Order : std::uint8_t { go_on, cancel, drop, stop };
  void order(Order order) { order_ = order; }
  [[nodiscard]] Order order() const { return order_; }

 private:
  Result<void> may_go_on() const;

  Store& store_;
  const JobRow job_;
  const std::string worker_;
  std::atomic<Order> order_{Order::go_on};
  std::string waiting_;  ///< of the result
  mutable std::mutex mutex_;
  JobProgress progress_;  ///< guarded by mutex_
};

struct JobKind {
  std::string_view name;
  std::string_view content_type;  ///< of its result
  /// Whether these arguments (JSON, or empty) are of use; bad_input: the key and the remedy.
  Result<void> (*check)(std::string_view arguments);
  /// May run more than once: a worker that died is followed by another.
  Result<void> (*run)(JobRun& run);
};

/// Every kind: workers, API and documentation read it.
[[nodiscard]] std::span<const JobKind> job_kinds();
/// bad_input: there is no such kind; those there are are named.
Result<const JobKind*> find_job_kind(std::string_view name);

}  // namespace lapwing::hub
