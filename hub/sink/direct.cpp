// SPDX-License-Identifier: Apache-2.0
#include "hub/sink/direct.hpp"

#include "hub/sink/record_json.hpp"
#include "shared/base/log.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

constexpr auto kGoOn = [] { return true; };  // messages end by their timeout

}  // namespace

KafkaMessage message_of(const SpoolRow& row) {
  return {.key = row.key.tenant + "/" + row.key.device,
          .value = row.record_class <= kSpoolGivenUp ? given_up_json(row) : row.value,
          .record_class = class_name(row.record_class)};
}

Result<std::unique_ptr<Direct>> Direct::make(const SinkConfig& config, Metrics& metrics) {
  std::unique_ptr<Direct> direct(new Direct(config, metrics));
  if (auto made = direct->producer(); !made) return std::move(made).error();
  return direct;
}

std::string Direct::note() const {
  const std::scoped_lock lock(mutex_);
  return note_;
}

Result<std::shared_ptr<Producer>> Direct::producer() {
  const std::scoped_lock lock(mutex_);
  if (producer_ == nullptr || producer_->broken()) {
    auto made = Producer::make(config_, config_.timeout);
    if (!made) return std::move(made).error();
    producer_ = *std::move(made);
  }
  return producer_;
}

Error Direct::failure(const std::string& reason) {
  const std::scoped_lock lock(mutex_);
  note_ = "sink " + config_.name + ": Kafka does not take records (" + reason +
          "); devices keep theirs";
  return {Errc::io, note_};
}

Result<void> Direct::deliver(std::span<const SpoolRow> rows) {
  if (rows.empty()) return {};
  auto producer = this->producer();
  if (!producer) return std::move(producer).error();
  std::vector<KafkaMessage> messages;
  messages.reserve(rows.size());
  for (const auto& row : rows) messages.push_back(message_of(row));
  const auto fates = (*producer)->deliver(messages, kGoOn);
  bool refused = false;
  for (std::size_t i = 0; i < fates.size(); ++i) {
    refused = refused || fates[i].kind == Fate::Kind::refused;
    if (fates[i].kind == Fate::Kind::delivered) counts_.sent(messages[i].record_class);
    if (fates[i].kind == Fate::Kind::failed) counts_.failed(fates[i].reason);
  }
  const auto failed = std::find_if(
      fates.begin(), fates.end(), [](const Fate& fate) { return fate.kind == Fate::Kind::failed; });
  if (failed != fates.end() && !refused) return failure(failed->reason);
  for (const auto& row : rows) {
    if (!refused) break;  // one of them is too large: each alone tells which
    if (auto done = deliver_one(**producer, row); !done) return done;
  }
  const std::scoped_lock lock(mutex_);
  note_.clear();
  return {};
}

Result<void> Direct::deliver_one(Producer& producer, const SpoolRow& row) {
  auto message = message_of(row);
  auto fate = producer.deliver(std::span(&message, 1), kGoOn).front();
  if (fate.kind == Fate::Kind::refused) {
    counts_.refused(fate.reason);
    log::error("Kafka does not take a record; it is told as a loss", {{"sink", config_.name},
                                                                      {"device", message.key},
                                                                      {"seq", row.seq},
                                                                      {"reason", fate.reason}});
    auto loss = row;
    loss.record_class = kSpoolRefused;
    message = message_of(loss);
    fate = producer.deliver(std::span(&message, 1), kGoOn).front();
  }
  if (fate.kind == Fate::Kind::failed) {
    counts_.failed(fate.reason);
    return failure(fate.reason);
  }
  counts_.sent(message.record_class);
  return {};
}

}  // namespace lapwing::hub
