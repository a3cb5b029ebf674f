// SPDX-License-Identifier: Apache-2.0
#include "agent/decode/quarantine.hpp"

#include "shared/base/config.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"

#include <functional>

namespace lapwing::agent {
namespace {

constexpr std::size_t kTopicBytesKept = 256;
constexpr std::size_t kDetailBytesKept = 512;

std::uint64_t key_of(std::string_view source, std::string_view topic, Refusal reason) noexcept {
  const std::hash<std::string_view> hash;
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15U;
  return (hash(source) * kOdd) ^ (hash(topic) * (kOdd + 2)) ^
         (static_cast<std::uint64_t>(reason) + 1);
}

std::size_t bytes_of(const QuarantineEntry& entry) noexcept {
  return sizeof(entry) + entry.source.size() + entry.topic.size() + entry.detail.size() +
         entry.payload.size();
}

/// For logs: what is not printable ASCII as `?`.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return out;
}

}  // namespace

QuarantineConfig QuarantineConfig::read(config::Section& section) {
  QuarantineConfig config;
  config.entries_max = static_cast<std::size_t>(section.integer(
      {"entries_max",
       "Kinds of unreadable payloads kept for looking at: same source, topic and reason"},
      256, 1, 100000));
  config.bytes_max = static_cast<std::size_t>(section.bytes({"bytes_max", "Memory for all of them"},
                                                            std::uint64_t{1} << 18U, 4096,
                                                            std::uint64_t{1} << 26U));
  config.payload_bytes = static_cast<std::size_t>(section.bytes(
      {"payload_bytes", "First bytes kept of each payload; 0 keeps none"}, 64, 0, 4096));
  return config;
}

Quarantine::Quarantine(QuarantineConfig config, Metrics* metrics) : config_(config) {
  if (metrics == nullptr) return;
  for (std::size_t i = 0; i < kRefusals; ++i) {
    counters_[i] = &metrics->counter("quarantine_total",
                                     "Payloads, rows or fields that could not be read, by reason",
                                     {{"reason", std::string(to_string(static_cast<Refusal>(i)))}});
  }
  evicted_ =
      &metrics->counter("quarantine_evicted_total", "Quarantine entries forgotten at the bound");
}

void Quarantine::add(std::string_view source, std::string_view topic, std::string_view payload,
                     Refusal reason, std::string_view detail, Time time) {
  const auto kind = static_cast<std::size_t>(reason);
  totals_[kind].fetch_add(1, std::memory_order_relaxed);
  if (counters_[kind] != nullptr) counters_[kind]->add(1);
  const std::uint64_t hash = key_of(source, topic, reason);
  const std::string_view head = payload.substr(0, config_.payload_bytes);
  topic = topic.substr(0, kTopicBytesKept);
  detail = detail.substr(0, kDetailBytesKept);
  {
    const MutexLock lock(mutex_);
    for (auto slot = slots_.begin(); slot != slots_.end(); ++slot) {
      if (slot->hash != hash) continue;
      slots_.splice(slots_.begin(), slots_, slot);
      QuarantineEntry& entry = slots_.front().entry;
      bytes_ -= bytes_of(entry);
      entry.payload = head;
      entry.payload_bytes = payload.size();
      entry.detail = detail;
      ++entry.count;
      entry.last = time;
      bytes_ += bytes_of(entry);
      make_room(0);
      return;
    }
    QuarantineEntry entry{std::string(source),
                          std::string(topic),
                          std::string(detail),
                          std::string(head),
                          payload.size(),
                          reason,
                          1,
                          time,
                          time};
    make_room(bytes_of(entry));
    bytes_ += bytes_of(entry);
    slots_.push_front({hash, std::move(entry)});
  }
  log::warn("payload quarantined", {{"reason", to_string(reason)},
                                    {"source", source},
                                    {"topic", printable(topic)},
                                    {"bytes", payload.size()},
                                    {"detail", detail}});
}

/// The newest entry stays even when it alone is over the bound.
void Quarantine::make_room(std::size_t bytes) {
  const std::size_t keep = bytes == 0 ? 1 : 0;
  while (slots_.size() > keep && (bytes_ + bytes > config_.bytes_max ||
                                  (bytes != 0 && slots_.size() >= config_.entries_max))) {
    bytes_ -= bytes_of(slots_.back().entry);
    slots_.pop_back();
    if (evicted_ != nullptr) evicted_->add(1);
  }
}

std::vector<QuarantineEntry> Quarantine::recent(std::size_t limit) const {
  std::vector<QuarantineEntry> entries;
  const MutexLock lock(mutex_);
  for (const Slot& slot : slots_) {
    if (entries.size() >= limit) break;
    entries.push_back(slot.entry);
  }
  return entries;
}

std::uint64_t Quarantine::total() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& count : totals_) sum += count.load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t Quarantine::total(Refusal reason) const noexcept {
  return totals_[static_cast<std::size_t>(reason)].load(std::memory_order_relaxed);
}

}  // namespace lapwing::agent
