// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/kinds.hpp"

#include "hub/jobs/export.hpp"
#include "hub/jobs/rounds.hpp"
#include "hub/jobs/training.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace lapwing::hub {
namespace {

/// A part of a result: one row of the store, one answer of the API.
constexpr std::size_t kPartBytes = std::size_t{256} << 10U;

constexpr std::array<JobKind, 3> kKinds{
    {{"export", "text/csv; charset=utf-8", &check_export, &run_export},
     {"federate", "application/json", &check_federate, &run_federate},
     {"train", "application/json", &check_training, &run_training}}};

}  // namespace

std::span<const JobKind> job_kinds() { return kKinds; }

Result<const JobKind*> find_job_kind(std::string_view name) {
  std::string known;
  for (const auto& kind : kKinds) {
    if (kind.name == name) return &kind;
    known.append(known.empty() ? "" : ", ").append(kind.name);
  }
  return Error{Errc::bad_input,
               "kind \"" + std::string(name.substr(0, 64)) + "\": known are " + known};
}

Result<void> JobRun::may_go_on() const {
  switch (order_.load()) {
    case Order::go_on:
      return {};
    case Order::cancel:
      return Error{Errc::shutting_down, "cancelled"};
    case Order::drop:
      return Error{Errc::shutting_down, "another worker has it"};
    case Order::stop:
      return Error{Errc::shutting_down, "the worker stops"};
  }
  return {};
}

Result<void> JobRun::progress(std::uint64_t done, std::uint64_t total, std::string text) {
  {
    const std::scoped_lock lock(mutex_);
    progress_ = {done, total, std::move(text)};
  }
  return may_go_on();
}

JobProgress JobRun::snapshot() const {
  const std::scoped_lock lock(mutex_);
  return progress_;
}

Result<void> JobRun::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto taken = std::min(bytes.size(), kPartBytes - waiting_.size());
    waiting_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    if (waiting_.size() < kPartBytes) break;
    if (auto done = flush(); !done) return done;
  }
  return {};
}

Result<void> JobRun::flush() {
  if (auto may = may_go_on(); !may) return may;
  if (waiting_.empty()) return {};
  auto done = store_.jobs().append(worker_, job_.id, waiting_);
  waiting_.clear();
  return done;
}

}  // namespace lapwing::hub
