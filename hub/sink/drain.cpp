// SPDX-License-Identifier: Apache-2.0
#include "hub/sink/drain.hpp"

#include "hub/sink/direct.hpp"
#include "hub/sink/record_json.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::size_t kRoundRows = 5'000;
constexpr std::uint64_t kRoundBytes = 4U << 20U;
constexpr Micros kIdle = std::chrono::milliseconds(200);
constexpr Micros kLease = std::chrono::seconds(30);
constexpr Micros kRenewEvery = std::chrono::seconds(10);
/// Of another's lease.
constexpr Micros kLeaseAskEvery = std::chrono::seconds(2);
constexpr Micros kBoundsEvery = std::chrono::seconds(5);
constexpr Micros kBackOffMin = std::chrono::milliseconds(500);
constexpr Micros kBackOffMax = std::chrono::seconds(15);
/// Given up in one transaction.
constexpr std::uint64_t kGiveUpRows = 10'000;

}  // namespace

Drain::Drain(const SinkConfig& config, Spool& spool, Metrics& metrics)
    : config_(config),
      spool_(spool),
      counts_(metrics, config.name),
      rows_(metrics.gauge("hub_sink_spool_rows", "Records waiting for a sink",
                          {{"sink", config.name}})),
      bytes_(metrics.gauge("hub_sink_spool_bytes", "Bytes waiting for a sink",
                           {{"sink", config.name}})),
      age_(metrics.gauge("hub_sink_spool_age_seconds", "How long the oldest has been waiting",
                         {{"sink", config.name}})),
      given_up_(metrics.counter("hub_sink_given_up_total",
                                "Records given up at the spool's bound; told as losses",
                                {{"sink", config.name}})),
      holder_(random_id()),
      thread_([this](const std::stop_token& stop) {
        stop_ = stop;
        run();
      }) {}

Drain::~Drain() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

std::string Drain::note() const {
  const std::scoped_lock lock(note_mutex_);
  return note_;
}

void Drain::complain(const std::string& what) {
  if (!what.empty()) log::warn("sink waits", {{"sink", config_.name}, {"error", what}});
  const std::scoped_lock lock(note_mutex_);
  note_ = what.empty() ? "" : "sink " + config_.name + ": " + what;
}

/// false: it is to end.
bool Drain::pause(Micros time) {
  std::unique_lock lock(pause_mutex_);
  paused_.wait_for(lock, stop_, time, [] { return false; });
  return !stop_.stop_requested();
}

void Drain::run() {
  while (!stop_.stop_requested()) {
    if (!hold_lease()) {
      pause(kLeaseAskEvery);
    } else if (make_producer() && look_after(0)) {
      round();
    } else {
      pause(kIdle);
    }
  }
  producer_.reset();
  if (!spool_.release(config_.name, holder_)) next_lease_ = {};  // it ends by itself
}

bool Drain::hold_lease() {
  if (ticks_now() < next_lease_) return true;
  const auto mine = spool_.lease(config_.name, holder_, now(), kLease);
  if (!mine) complain(mine.error().context);
  if (!mine || !*mine) {
    if (mine) complain({});
    return false;
  }
  next_lease_ = ticks_now() + kRenewEvery;
  return true;
}

bool Drain::make_producer() {
  if (producer_ && !producer_->broken()) return true;
  producer_.reset();
  auto made = Producer::make(config_, Micros(0));
  if (!made) {
    complain(made.error().context);
    pause(kBackOffMax);
    return false;
  }
  producer_ = *std::move(made);
  return true;
}

/// While something is under way too: nothing behind number `in_flight` is.
bool Drain::look_after(std::uint64_t in_flight) {
  if (stop_.stop_requested() || !hold_lease()) return false;
  if (ticks_now() >= next_bounds_) {
    next_bounds_ = ticks_now() + kBoundsEvery;
    keep_bounds(in_flight);
    if (auto trouble = producer_->trouble(); in_flight != 0 && !trouble.empty()) complain(trouble);
  }
  return true;
}

void Drain::show(const SpoolFigures& figures) {
  rows_.set(static_cast<double>(figures.rows));
  bytes_.set(static_cast<double>(figures.bytes));
  const auto age = figures.oldest ? std::max(Micros(0), now() - *figures.oldest) : Micros(0);
  age_.set(std::chrono::duration<double>(age).count());
}

void Drain::keep_bounds(std::uint64_t in_flight) {
  auto figures = spool_.figures(config_.name);
  while (figures && !stop_.stop_requested() &&
         (figures->rows > config_.spool_rows_max || figures->bytes > config_.spool_bytes_max)) {
    // A twentieth more than need be, so that it is not done for each record.
    const auto over = figures->rows > config_.spool_rows_max
                          ? figures->rows - config_.spool_rows_max
                          : figures->rows / 20;
    const auto rows = std::min(over + config_.spool_rows_max / 20 + 1, kGiveUpRows);
    const auto records = spool_.give_up(config_.name, in_flight, rows);
    if (!records) return complain(records.error().context);
    given_up_.add(static_cast<double>(*records));
    log::warn("spool is full: the oldest records are given up, and told as losses",
              {{"sink", config_.name}, {"records", *records}});
    const auto before = figures->rows;
    figures = spool_.figures(config_.name);
    if (figures && figures->rows >= before) break;  // a row for each device is left
  }
  if (figures) show(*figures);
}

void Drain::round() {
  // What is under way cannot be given up: half of the bounds at most.
  const auto rows_max = std::min<std::uint64_t>(kRoundRows, config_.spool_rows_max / 2);
  const auto bytes_max = std::min(kRoundBytes, config_.spool_bytes_max / 2);
  const auto rows = spool_.oldest(config_.name, one_by_one_ > 0 ? 1 : rows_max, bytes_max);
  if (!rows) {
    complain(rows.error().context);
    pause(kIdle);
    return;
  }
  if (rows->empty()) {
    show({});
    complain({});
    pause(kIdle);
    return;
  }
  std::vector<KafkaMessage> messages;
  messages.reserve(rows->size());
  for (const auto& row : *rows) messages.push_back(message_of(row));
  const auto in_flight = rows->back().number;
  const auto fates = producer_->deliver(messages, [&] { return look_after(in_flight); });
  settle(*rows, fates);
}

void Drain::settle(std::span<const SpoolRow> rows, std::span<const Fate> fates) {
  std::vector<std::uint64_t> arrived;
  std::set<DeviceKey> held_up;  // devices of which something did not arrive
  std::string reason;
  bool refused = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& fate = fates[i];
    if (fate.kind == Fate::Kind::delivered && !held_up.contains(rows[i].key)) {
      arrived.push_back(rows[i].number);
      counts_.sent(class_name(rows[i].record_class));
      continue;
    }
    held_up.insert(rows[i].key);
    if (fate.kind == Fate::Kind::delivered) continue;
    reason = fate.reason;
    refused = refused || fate.kind == Fate::Kind::refused;
    if (rows.size() == 1 && refused) {  // alone: it is the one
      counts_.refused(reason);
      log::error("Kafka does not take a record; it is told as a loss",
                 {{"sink", config_.name},
                  {"device", message_of(rows[i]).key},
                  {"seq", rows[i].seq},
                  {"reason", reason}});
      if (rows[i].record_class > kSpoolGivenUp) {
        if (auto done = spool_.refuse(rows[i].number); !done) complain(done.error().context);
      } else {
        arrived.push_back(rows[i].number);  // not even the loss
      }
    } else {
      counts_.failed(reason);
    }
  }
  remove(arrived);
  one_by_one_ -= std::min(one_by_one_, rows.size());
  if (refused) {
    one_by_one_ = std::max(one_by_one_, rows.size() - arrived.size());
  } else if (!held_up.empty() && !stop_.stop_requested()) {
    complain("Kafka does not take records: " + reason);
    back_off_ = std::clamp(back_off_ * 2, kBackOffMin, kBackOffMax);
    pause(back_off_);
  } else {
    back_off_ = {};
    complain({});
  }
}

void Drain::remove(std::span<const std::uint64_t> numbers) {
  while (true) {
    const auto removed = spool_.remove(numbers);
    if (removed) return;
    // Else they would be sent again, all of them.
    complain(removed.error().context);
    if (!pause(std::chrono::seconds(1))) return;
  }
}

}  // namespace lapwing::hub
