// SPDX-License-Identifier: Apache-2.0
/// Who follows what is taken in, within the transaction that stores it (see hub/sink).
#pragma once

#include "hub/store/ingest_transaction.hpp"
#include "shared/base/result.hpp"

#include <memory>

namespace lapwing::hub {

/// Follows one transaction. Threads: belongs to the transaction's.
class RecordTap {
 public:
  virtual ~RecordTap() = default;
  /// Everything is stored, nothing committed. A failure rolls back: nothing is acknowledged.
  virtual Result<void> before_commit() = 0;
};

/// Threads: a shared one is safe.
class RecordTaps {
 public:
  virtual ~RecordTaps() = default;
  /// Before the first record; `transaction` outlives what is returned.
  virtual std::unique_ptr<RecordTap> follow(IngestTransaction& transaction) = 0;
};

}  // namespace lapwing::hub
