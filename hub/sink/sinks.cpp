// SPDX-License-Identifier: Apache-2.0
#include "hub/sink/sinks.hpp"

#include "hub/sink/direct.hpp"
#include "hub/sink/drain.hpp"
#include "hub/sink/record_json.hpp"

#include <utility>

namespace lapwing::hub {

struct Sinks::Sink {
  SinkConfig config;
  std::unique_ptr<Drain> drain;    ///< after_commit
  std::unique_ptr<Direct> direct;  ///< before_ack
};

namespace {

class SinkTap final : public RecordTap {
 public:
  SinkTap(const std::vector<std::unique_ptr<Sinks::Sink>>& sinks, IngestTransaction& transaction)
      : sinks_(sinks), transaction_(transaction), direct_(sinks.size()) {
    transaction.watch(
        [this](const DeviceKey& key, std::uint64_t epoch, Time received_at,
               const IncomingRecord& record) { take(key, epoch, received_at, record); });
  }
  ~SinkTap() override { transaction_.watch({}); }

  Result<void> before_commit() override {
    for (std::size_t i = 0; i < sinks_.size(); ++i) {
      if (!sinks_[i]->direct) continue;
      if (auto done = sinks_[i]->direct->deliver(direct_[i]); !done) return done;
    }
    return {};
  }

 private:
  void take(const DeviceKey& key, std::uint64_t epoch, Time received_at,
            const IncomingRecord& record) {
    SpoolRow row;
    for (std::size_t i = 0; i < sinks_.size(); ++i) {
      const auto& sink = *sinks_[i];
      if (!sink.config.classes.contains(record.record_class)) continue;
      if (row.value.empty()) {
        row = {.key = key,
               .record_class = static_cast<int>(record.record_class),
               .epoch = epoch,
               .seq = record.seq,
               .seq_last = record.seq_last,
               .received_at = received_at,
               .value = record_json(key, epoch, received_at, record)};
      }
      row.sink = sink.config.name;
      if (sink.direct) {
        direct_[i].push_back(row);
      } else {
        transaction_.spool(row);
      }
    }
  }

  const std::vector<std::unique_ptr<Sinks::Sink>>& sinks_;
  IngestTransaction& transaction_;
  std::vector<std::vector<SpoolRow>> direct_;  ///< by sink
};

}  // namespace

Sinks::Sinks() = default;
Sinks::~Sinks() = default;

Result<std::unique_ptr<Sinks>> Sinks::start(const std::vector<SinkConfig>& configs, Store& store,
                                            Metrics& metrics) {
  std::unique_ptr<Sinks> sinks(new Sinks);
  for (const auto& config : configs) {
    auto sink = std::make_unique<Sink>();
    sink->config = config;
    if (config.delivery == SinkConfig::Delivery::before_ack) {
      auto direct = Direct::make(config, metrics);
      if (!direct) return std::move(direct).error();
      sink->direct = *std::move(direct);
    } else {
      // What is wrong in its settings shows now, not when the first record waits.
      if (auto tried = Producer::make(config, Micros(0)); !tried) return std::move(tried).error();
      sink->drain = std::make_unique<Drain>(config, store.spool(), metrics);
    }
    sinks->sinks_.push_back(std::move(sink));
  }
  return sinks;
}

std::unique_ptr<RecordTap> Sinks::follow(IngestTransaction& transaction) {
  return std::make_unique<SinkTap>(sinks_, transaction);
}

std::vector<std::string> Sinks::notes() const {
  std::vector<std::string> notes;
  for (const auto& sink : sinks_) {
    auto note = sink->drain ? sink->drain->note() : sink->direct->note();
    if (!note.empty()) notes.push_back(std::move(note));
  }
  return notes;
}

}  // namespace lapwing::hub
