// SPDX-License-Identifier: Apache-2.0
/// One bounded pass of retention, as short transactions between which ingest gets its turn: what
/// every engine does alike.
#pragma once

#include "hub/store/reads.hpp"
#include "hub/store/retention.hpp"
#include "hub/store/store.hpp"
#include "shared/sql/connection.hpp"

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

namespace lapwing::hub {

class TrimPass {
 public:
  using Work = std::function<std::int64_t(sql::Connection&)>;

  virtual ~TrimPass() = default;
  Result<Trimmed> run();

 protected:
  struct Device {
    std::int64_t tenant_no;
    std::int64_t device_no;
    std::int64_t epoch;
    std::int64_t watermark;
  };

  /// `mutex` guards `db`.
  TrimPass(sql::Connection& db, std::mutex& mutex, const Retention& keep, Time at)
      : keep_(keep), at_(at), db_(db), mutex_(mutex) {}

  /// History and ledger.
  virtual void trim_records(const std::vector<Device>& devices) = 0;
  /// After a step that was rolled back; under the mutex.
  virtual void undone() {}

  /// One short transaction; the rows it says it removed.
  std::int64_t step(const Work& work);
  void repeat(std::uint64_t& total, const Work& work);
  [[nodiscard]] bool going() const { return !error_ && !done_.more; }
  void fail(Error error) { error_ = std::move(error); }

  const Retention& keep_;
  Time at_;
  Trimmed done_;

 private:
  void trim_losses(const Device& d);
  void trim_anomalies(std::int64_t tenant_no);
  void trim_feed(std::int64_t tenant_no);
  void trim_dead_letters(std::int64_t tenant_no);

  sql::Connection& db_;
  std::mutex& mutex_;
  std::uint64_t removed_ = 0;
  std::optional<Error> error_;
};

}  // namespace lapwing::hub
