// SPDX-License-Identifier: Apache-2.0
/// The account of all devices as metrics.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"

namespace lapwing::hub {

/// `hub_ledger_produced`, `_stored`, `_lost` by reason, `_elsewhere` and `_outstanding`, in records
/// over all devices of the hub. In every answer of /metrics they add up: produced = stored + lost +
/// elsewhere + outstanding.
/// Threads: show() from one thread at a time.
class LedgerGauges {
 public:
  /// Borrows `metrics`, which must outlive it.
  explicit LedgerGauges(Metrics& metrics);
  void show(const Ledger& ledger);

 private:
  Metrics& metrics_;
  Gauge& produced_;
  Gauge& stored_;
  Gauge& lost_quota_;
  Gauge& lost_corrupt_;
  Gauge& lost_vanished_;
  Gauge& lost_poison_;
  Gauge& elsewhere_;
  Gauge& outstanding_;
};

}  // namespace lapwing::hub
