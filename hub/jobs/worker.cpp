// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/worker.hpp"

#include "shared/base/log.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {

Worker::Worker(WorkerConfig config, Store& store, Metrics& metrics, std::span<const JobKind> kinds,
               Clock clock)
    : config_(std::move(config)),
      store_(store),
      metrics_(metrics),
      kinds_(kinds),
      clock_(std::move(clock)),
      queued_(metrics.gauge("hub_jobs_queued", "Jobs that wait for a worker, of all replicas")),
      running_(metrics.gauge("hub_jobs_running", "Jobs that run, of all replicas")),
      errors_(metrics.counter("hub_jobs_errors_total", "Looks for jobs that the store failed")) {
  for (const auto& kind : kinds_) names_.push_back(kind.name);
}

Worker::~Worker() { stop(); }

void Worker::start() {
  stopping_ = false;
  for (std::size_t i = 0; i < config_.threads; ++i) {
    threads_.emplace_back([this] { run(); });
  }
  if (config_.threads > 0) threads_.emplace_back([this] { run_beats(); });
}

void Worker::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    for (const auto& one : runs_) one->order(JobRun::Order::stop);
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

/// False: it stops.
bool Worker::wait(Micros length) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, length, [this] { return stopping_; });
  return !stopping_;
}

void Worker::run() {
  do {
    while (work_once()) {
    }
  } while (wait(config_.look_every));
}

void Worker::run_beats() {
  while (wait(config_.heartbeat)) beat();
}

bool Worker::work_once() {
  const auto open = store_.jobs().open();
  if (open) {
    queued_.set(static_cast<double>(open->queued));
    running_.set(static_cast<double>(open->running));
    if (open->queued + open->running == 0) return false;
  }
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return false;
  }
  auto taken = store_.jobs().take({.worker = config_.name,
                                   .kinds = names_,
                                   .at = clock_(),
                                   .timeout = config_.timeout,
                                   .attempts_max = config_.attempts_max});
  if (!taken) {
    errors_.add();
    log::warn("cannot look for jobs", {taken.error()});
    return false;
  }
  if (!*taken) return false;
  auto& job = **taken;
  const auto kind = std::ranges::find(kinds_, job.kind, &JobKind::name);
  log::info("job begins", {{"job", job.id}, {"kind", job.kind}, {"attempt", job.attempts}});
  const auto run = std::make_shared<JobRun>(store_, std::move(job), config_.name);
  {
    const std::scoped_lock lock(mutex_);
    runs_.push_back(run);
    if (stopping_) run->order(JobRun::Order::stop);
  }
  const auto outcome = kind->run(*run);
  {
    const std::scoped_lock lock(mutex_);
    std::erase(runs_, run);
  }
  end(*run, outcome, *kind);
  return true;
}

void Worker::end(JobRun& run, const Result<void>& outcome, const JobKind& kind) {
  const auto& job = run.job();
  auto last = run.snapshot();
  auto state = JobState::done;
  if (!outcome) {
    const auto order = run.order();
    if (order == JobRun::Order::drop) {
      log::warn("a job was taken by another worker", {{"job", job.id}});
      return;
    }
    state = order == JobRun::Order::cancel ? JobState::cancelled
            : order == JobRun::Order::stop ? JobState::queued
                                           : JobState::failed;
    last.text = outcome.error().context;
  }
  const auto ended =
      store_.jobs().end(config_.name, job.id, state, last, kind.content_type, clock_());
  if (!ended) {
    errors_.add();
    log::warn("a job's end cannot be stored; another worker will take it", {ended.error()});
    return;
  }
  constexpr const char* kNames[] = {"handed_back", "", "done", "failed", "cancelled"};
  const auto* name = kNames[static_cast<std::size_t>(state) - 1];
  metrics_.counter("hub_jobs_ended_total", "Jobs that ended here", {{"state", name}}).add();
  log::info("job ends", {{"job", job.id}, {"state", name}, {"text", last.text}});
}

void Worker::beat() {
  std::vector<std::shared_ptr<JobRun>> runs;
  {
    const std::scoped_lock lock(mutex_);
    runs = runs_;
  }
  for (const auto& run : runs) {
    const auto order = store_.jobs().report(config_.name, run->job().id, run->snapshot(), clock_());
    if (!order) {
      errors_.add();
      log::warn("cannot tell that a job runs", {order.error()});
      continue;
    }
    if (run->order() != JobRun::Order::go_on) continue;
    if (*order == JobOrder::cancel) run->order(JobRun::Order::cancel);
    if (*order == JobOrder::drop) run->order(JobRun::Order::drop);
  }
}

}  // namespace lapwing::hub
