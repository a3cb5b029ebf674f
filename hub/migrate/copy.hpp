// SPDX-License-Identifier: Apache-2.0
/// One table after the other from SQLite to PostgreSQL, by COPY, with bounded memory.
#pragma once

#include "hub/migrate/digest.hpp"
#include "hub/migrate/plan.hpp"
#include "hub/store/postgres_partitions.hpp"
#include "shared/postgres/connection.hpp"
#include "shared/postgres/copy_rows.hpp"
#include "shared/sql/connection.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace lapwing::hub::migration {

/// Called with every row; must be cheap.
using Tick = std::function<void()>;

/// After a failure (of either connection) further calls do nothing.
class Copier {
 public:
  /// All must outlive it. `oldest` and `at` bound the days that history goes to.
  Copier(sql::Connection& source, postgres::Connection& target, Partitions& partitions, Time oldest,
         Time at)
      : source_(source), target_(target), partitions_(partitions), oldest_(oldest), at_(at) {}

  /// What was copied, as the source had it.
  Digest copy(const Table& table, const Tick& tick);
  Digest copy_ledger(const Tick& tick);
  Digest copy_history(const Tick& tick);
  /// `meta`, and the numbers that are given out next.
  void copy_counters(const Plan& plan);

  [[nodiscard]] std::uint64_t repaired() const { return repaired_; }

 private:
  void send(std::string_view copy, postgres::CopyRows& rows, std::size_t bytes_min);
  void copy_value(const Column& column, const sql::Row& row, int at, postgres::CopyRows& rows,
                  RowHash& hash);
  std::string_view utf8(std::string_view text);
  template <class T>
  T fitting(const std::string& name, std::int64_t value);

  sql::Connection& source_;
  postgres::Connection& target_;
  Partitions& partitions_;
  Time oldest_;
  Time at_;
  std::uint64_t repaired_ = 0;
  std::string text_;  ///< reused
};

}  // namespace lapwing::hub::migration
