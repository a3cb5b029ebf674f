// SPDX-License-Identifier: Apache-2.0
// A hub for the uplink's tests: the real decisions of shared/sync over a store in memory, on a real
// broker, with faults to be switched on.
#pragma once

#include "shared/base/time.hpp"
#include "shared/mqtt/client.hpp"
#include "shared/sync/hub.hpp"
#include "shared/wire/codec.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/topics.hpp"
#include "tests/support/process.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::testing {

class SmallHub {
 public:
  explicit SmallHub(mqtt::Options options, sync::Region region = {})
      : region_(std::move(region)), client_(std::move(options), handlers()) {
    client_.subscribe({{std::string(wire::kUpFilter), 1}});
    if (!client_.start()) std::abort();
  }
  ~SmallHub() { client_.stop(); }

  bool listens() {
    return eventually([this] { return client_.connected(); });
  }
  /// What it may be asked to do wrong; change under with().
  struct Faults {
    int batches_unanswered = 0;  ///< the next ones are neither stored nor answered
    bool acks_lost = false;      ///< stored, not answered
    std::string quarantine;
    std::string refuse;
    bool deaf = false;  ///< it takes and answers nothing
  };
  struct Heard {
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> rows;  ///< (epoch, seq)
    std::uint64_t lost = 0;        ///< records that loss entries covered
    std::set<std::uint64_t> live;  ///< seqs that came as live copies
    std::vector<wire::Hello> hellos;
    std::vector<wire::Status> statuses;
    std::vector<wire::CommandResult> results;
    std::uint64_t batches = 0;
    std::size_t frame_bytes_max = 0;
    bool conflict = false;  ///< one key, two contents
  };
  template <class Change>
  void with(Change change) {
    const std::lock_guard lock(mutex_);
    change(state_, faults_);
  }
  [[nodiscard]] Heard heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  [[nodiscard]] sync::DeviceSyncState state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }
  /// To the device that spoke last.
  void say(wire::Channel channel, const std::string& body) {
    wire::FrameWriter writer;
    const auto topic = [&] {
      const std::lock_guard lock(mutex_);
      return wire::topic(who_, channel);
    }();
    // Without the lock: the client's thread takes it, with the client's own lock, for what arrives.
    static_cast<void>(client_.publish(topic, writer.seal(body), 1));
  }
  bool has_rows(std::size_t count) {
    return eventually([&] {
      const std::lock_guard lock(mutex_);
      return heard_.rows.size() >= count;
    });
  }

 private:
  mqtt::Handlers handlers() {
    mqtt::Handlers handlers;
    handlers.on_message = [this](const mqtt::Message& message) { take(message); };
    return handlers;
  }

  void take(const mqtt::Message& message) {
    const std::lock_guard lock(mutex_);
    const auto topic = wire::parse_topic(message.topic);
    const auto body = reader_.open(message.payload);
    if (!topic || !body) return;
    if (faults_.deaf) return;
    heard_.frame_bytes_max = std::max(heard_.frame_bytes_max, message.payload.size());
    who_ = topic->identity;
    switch (topic->channel) {
      case wire::Channel::hello:
        return greet(*wire::decode_hello(*body));
      case wire::Channel::records:
        return store(*wire::decode_batch(*body));
      case wire::Channel::report: {
        const auto batch = *wire::decode_batch(*body);
        for (const auto i : sync::on_live(state_, batch)) {
          heard_.live.insert(batch.entries[i].seq);
          keep(batch.epoch, batch.entries[i]);
          state_.live_through = std::max(state_.live_through, batch.entries[i].seq);
        }
        return;
      }
      case wire::Channel::status:
        return heard_.statuses.push_back(*wire::decode_status(*body));
      case wire::Channel::result:
        return heard_.results.push_back(*wire::decode_command_result(*body));
      default:
        return;
    }
  }

  std::optional<std::uint64_t> hash(std::uint64_t seq) const {
    const auto at = heard_.rows.find({state_.epoch, seq});
    return at == heard_.rows.end() ? std::nullopt : std::optional(wire::record_hash(at->second));
  }

  void greet(const wire::Hello& hello) {
    heard_.hellos.push_back(hello);
    if (!faults_.refuse.empty()) {
      return answer(wire::Channel::welcome,
                    wire::encode(sync::refuse(hello, faults_.refuse, now())));
    }
    state_.quarantine = faults_.quarantine;
    const auto decision = sync::on_hello(
        state_, hello, {hash(hello.acked_seq), hash(sync::newest_seq(state_))}, {}, now(), region_);
    state_ = decision.state;
    if (decision.answer) answer(wire::Channel::welcome, wire::encode(decision.welcome));
  }

  void store(const wire::RecordBatch& batch) {
    ++heard_.batches;
    if (faults_.batches_unanswered > 0) {
      --faults_.batches_unanswered;
      return;
    }
    const auto decision = sync::on_batch(state_, batch);
    if (decision.verdict == sync::BatchVerdict::accept) {
      for (auto i = decision.first_entry; i < batch.entries.size(); ++i) {
        const auto& entry = batch.entries[i];
        if (entry.record_class == wire::RecordClass::loss) {
          heard_.lost += entry.seq_last - std::max(entry.seq, decision.first_seq) + 1;
        } else {
          keep(batch.epoch, entry);
        }
      }
      state_.watermark = decision.watermark;
    }
    if (decision.ack && !faults_.acks_lost) {
      answer(wire::Channel::ack, wire::encode(*decision.ack));
    }
  }

  void keep(std::uint64_t epoch, const wire::RecordEntry& entry) {
    const auto [at, fresh] = heard_.rows.try_emplace({epoch, entry.seq}, entry.payload);
    if (!fresh && at->second != entry.payload) heard_.conflict = true;
  }

  void answer(wire::Channel channel, const std::string& body) {
    // An answer that cannot leave is lost; the agent asks again.
    static_cast<void>(client_.publish(wire::topic(who_, channel), writer_.seal(body), 1));
  }

  const sync::Region region_;
  mutable std::mutex mutex_;
  wire::FrameReader reader_;
  wire::FrameWriter writer_;
  wire::Identity who_;
  sync::DeviceSyncState state_;
  Faults faults_;
  Heard heard_;
  mqtt::Client client_;  // last: its callbacks reach everything above
};

}  // namespace lapwing::testing
