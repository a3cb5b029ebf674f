// SPDX-License-Identifier: Apache-2.0
/// Does jobs: takes them from the store, tells that it lives, and hands back what it cannot end.
#pragma once

#include "hub/jobs/kinds.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/time.hpp"

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace lapwing::hub {

struct WorkerConfig {
  std::string name = "worker";  ///< of this process's start; never used by another
  std::size_t threads = 1;      ///< jobs at once, [0, 16]
  Micros look_every = std::chrono::seconds(1);
  Micros heartbeat = std::chrono::seconds(3);
  Micros timeout = std::chrono::seconds(20);  ///< others' heartbeats older than that: they died
  std::uint64_t attempts_max = 3;
};

/// Ends with its jobs handed back to the store, so that another worker takes them at once; one that
/// is killed is followed when its heartbeat is `timeout` old. Threads: start and stop from one
/// thread.
class Worker {
 public:
  using Clock = std::function<Time()>;

  /// Borrows store and metrics, which must outlive it.
  Worker(WorkerConfig config, Store& store, Metrics& metrics,
         std::span<const JobKind> kinds = job_kinds(), Clock clock = now);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  /// Waits for the step each job is at. Repeatable.
  void stop();

  /// Takes one job, if there is any, and does it. Whether there was. Threads: any, beside start().
  bool work_once();
  /// One heartbeat of all jobs that run here. Likewise.
  void beat();

 private:
  void run();
  void run_beats();
  void end(JobRun& run, const Result<void>& outcome, const JobKind& kind);
  [[nodiscard]] bool wait(Micros length);

  const WorkerConfig config_;
  Store& store_;
  Metrics& metrics_;
  const std::span<const JobKind> kinds_;
  const Clock clock_;
  std::vector<std::string_view> names_;
  Gauge& queued_;
  Gauge& running_;
  Counter& errors_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<std::shared_ptr<JobRun>> runs_;

  std::vector<std::thread> threads_;
};

}  // namespace lapwing::hub
