// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hub/store/jobs.hpp"
#include "hub/store/sql_access.hpp"

#include <string>

namespace lapwing::hub {

class SqlJobs final : public Jobs {
 public:
  /// `locking` is put behind the SELECT that finds a job to take: on an engine with several writers
  /// it locks the row and passes over those that others have locked.
  SqlJobs(SqlAccess& access, std::string locking) : access_(access), locking_(std::move(locking)) {}

  Result<JobRow> add(const JobRow& job) override;
  Result<JobRow> get(std::string_view tenant, std::uint64_t id) override;
  Result<Page<JobRow>> list(std::string_view tenant, const PageRequest& page) override;
  Result<JobRow> cancel(std::string_view tenant, std::uint64_t id, Time at) override;
  Result<std::string> result_part(std::string_view tenant, std::uint64_t id,
                                  std::uint64_t part) override;
  Result<std::optional<JobRow>> take(const Take& wanted) override;
  Result<JobOrder> report(std::string_view worker, std::uint64_t id, const JobProgress& progress,
                          Time at) override;
  Result<void> append(std::string_view worker, std::uint64_t id, std::string_view bytes) override;
  Result<void> end(std::string_view worker, std::uint64_t id, JobState state,
                   const JobProgress& last, std::string_view content_type, Time at) override;
  Result<std::uint64_t> trim(Time before) override;
  Result<Open> open() override;

 private:
  std::optional<std::uint64_t> find(sql::Connection& db, const Take& wanted) const;

  SqlAccess& access_;
  const std::string locking_;
};

}  // namespace lapwing::hub
