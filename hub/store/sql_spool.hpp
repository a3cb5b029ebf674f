// SPDX-License-Identifier: Apache-2.0
/// The spool, on every engine.
#pragma once

#include "hub/store/spool.hpp"
#include "hub/store/sql_access.hpp"

namespace lapwing::hub {

class SqlSpool final : public Spool {
 public:
  /// `access` must outlive it.
  explicit SqlSpool(SqlAccess& access) : access_(access) {}

  Result<bool> lease(std::string_view sink, std::string_view holder, Time at,
                     Micros length) override;
  Result<void> release(std::string_view sink, std::string_view holder) override;
  Result<std::vector<SpoolRow>> oldest(std::string_view sink, std::size_t rows,
                                       std::uint64_t bytes) override;
  Result<void> remove(std::span<const std::uint64_t> numbers) override;
  Result<SpoolFigures> figures(std::string_view sink) override;
  Result<std::uint64_t> give_up(std::string_view sink, std::uint64_t after,
                                std::size_t rows) override;
  Result<void> refuse(std::uint64_t number) override;

 private:
  SqlAccess& access_;
};

/// Puts a row into it, within a transaction that takes records in.
void add_to_spool(sql::Connection& db, const SpoolRow& row);

}  // namespace lapwing::hub
