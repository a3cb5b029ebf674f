// SPDX-License-Identifier: Apache-2.0
#include "hub/ingest/ledger_gauges.hpp"

#include <cstdint>
#include <string>

namespace lapwing::hub {
namespace {

Gauge& lost_gauge(Metrics& metrics, const std::string& reason) {
  return metrics.gauge("hub_ledger_lost", "Records that devices lost, by reason",
                       {{"reason", reason}});
}

}  // namespace

LedgerGauges::LedgerGauges(Metrics& metrics)
    : metrics_(metrics),
      produced_(metrics.gauge(
          "hub_ledger_produced",
          "Records that devices said they produced: always stored + lost + elsewhere + "
          "outstanding")),
      stored_(metrics.gauge("hub_ledger_stored", "Records of devices that were stored")),
      lost_quota_(lost_gauge(metrics, "quota")),
      lost_corrupt_(lost_gauge(metrics, "corrupt")),
      lost_vanished_(lost_gauge(metrics, "vanished")),
      lost_poison_(lost_gauge(metrics, "poison")),
      elsewhere_(metrics.gauge("hub_ledger_elsewhere",
                               "Records of devices that other regions took, and this one has not")),
      outstanding_(metrics.gauge("hub_ledger_outstanding",
                                 "Records that devices still hold, as far as they told")) {}

void LedgerGauges::show(const Ledger& ledger) {
  const auto set = [](Gauge& gauge, std::uint64_t records) {
    gauge.set(static_cast<double>(records));
  };
  metrics_.together([&] {
    set(produced_, ledger.produced);
    set(stored_, ledger.stored);
    set(lost_quota_, ledger.lost.quota);
    set(lost_corrupt_, ledger.lost.corrupt);
    set(lost_vanished_, ledger.lost.vanished);
    set(lost_poison_, ledger.lost.poison);
    set(elsewhere_, ledger.elsewhere);
    set(outstanding_, ledger.outstanding);
  });
}

}  // namespace lapwing::hub
