// SPDX-License-Identifier: Apache-2.0
#include "agent/decode/intake.hpp"

#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <functional>
#include <optional>
#include <unordered_map>

namespace lapwing::agent {
namespace {

constexpr std::size_t kReadingsPerSubmit = 4096;
constexpr Micros kRetryRefusedStream = std::chrono::seconds(1);
/// Fields of one topic up to which a changed order is searched without an index.
constexpr std::size_t kScannedFields = 16;

std::uint64_t hash_of(std::string_view text) noexcept {
  return std::hash<std::string_view>{}(text);
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return hash_of(text); }
};

/// What is known of one field of one topic.
struct FieldSlot {
  std::uint32_t name_at = 0;
  std::uint32_t name_bytes = 0;
  StreamId stream;
  bool refused = false;
  Ticks retry{};  ///< refused for want of streams: when to ask again
};

/// What is known of one topic: how to decode it and its fields in their usual order.
struct Plan {
  std::size_t route = 0;
  std::optional<Refusal> refused;  ///< every message of this topic is
  std::vector<FieldSlot> slots;
  std::string names;
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> index;

  [[nodiscard]] std::string_view name(const FieldSlot& slot) const {
    return std::string_view(names).substr(slot.name_at, slot.name_bytes);
  }
};

}  // namespace

class Intake::Work final : public FieldSink {
 public:
  Work(IntakeConfig config, StreamNamer& namer, ReadingSink& sink, Quarantine& quarantine,
       Metrics* metrics)
      : config_(std::move(config)), namer_(namer), sink_(sink), quarantine_(quarantine) {
    assert(!config_.routes.empty());
    for (const Route& route : config_.routes) decoders_.push_back(make_decoder(route.decode));
    if (metrics == nullptr) return;
    messages_ =
        &metrics->counter("messages_total", "Messages taken in", {{"source", config_.source}});
    readings_counter_ =
        &metrics->counter("readings_total", "Readings decoded", {{"source", config_.source}});
    bytes_ = &metrics->counter("payload_bytes_total", "Payload bytes taken in",
                               {{"source", config_.source}});
    resets_ = &metrics->counter("intake_cache_resets_total",
                                "Times the known topics were forgotten at their bound",
                                {{"source", config_.source}});
  }

  Result<void> take(const MessageBatch& batch) {
    const Totals before = now_;
    Result<void> result;
    for (std::size_t i = 0; i < batch.size() && result; ++i) {
      take_message(batch.at(i));
      if (readings_.size() >= kReadingsPerSubmit) result = hand_on();
    }
    if (result) result = hand_on();
    readings_.clear();
    publish(before);
    return result;
  }

  [[nodiscard]] Totals totals() const {
    return {shown_messages_.load(std::memory_order_relaxed),
            shown_readings_.load(std::memory_order_relaxed),
            shown_refused_.load(std::memory_order_relaxed),
            shown_bytes_.load(std::memory_order_relaxed),
            from_micros(shown_last_.load(std::memory_order_relaxed))};
  }

  void on_field(std::string_view name, std::span<const TagView> tags, double value,
                Time time) override {
    FieldSlot* slot = known(name);
    if (slot == nullptr || (slot->refused && ticks_now() >= slot->retry)) {
      slot = learn(name, tags, slot);
      if (slot == nullptr) return;
    }
    if (slot->refused) {
      refuse(Refusal::streams, kStreamsDetail);
      return;
    }
    readings_.push_back({slot->stream, time, value});
  }

  void on_refused(Refusal reason, std::string_view detail, std::string_view part) override {
    refuse(reason, detail, part);
  }

 private:
  static constexpr std::string_view kStreamsDetail =
      "the maximum number of streams is reached: raise engine.streams_max, or narrow the "
      "source's topics";

  void take_message(const RawMessage& message) {
    ++now_.messages;
    now_.bytes += message.payload.size();
    now_.last_message = message.received;
    message_ = &message;
    plan_ = plan_for(message.topic);
    cursor_ = 0;
    if (plan_->refused) {
      refuse(*plan_->refused, refused_topic_detail(*plan_));
      return;
    }
    const DecodeConfig& decode = config_.routes[plan_->route].decode;
    if (message.payload.size() > decode.payload_bytes_max) {
      refuse(Refusal::too_large,
             "the payload is larger than the source's payload_bytes_max: raise it or send less");
      return;
    }
    const std::size_t mark = readings_.size();
    const Outcome outcome =
        decoders_[plan_->route]->decode(message.payload, message.received, *this);
    if (outcome.refused) {
      readings_.resize(mark);
      refuse(outcome.reason, outcome.detail);
    }
  }

  Plan* plan_for(std::string_view topic) {
    if (const auto found = plans_.find(topic); found != plans_.end()) return &found->second;
    if (entries_ >= config_.cache_entries_max) {
      plans_.clear();
      entries_ = 0;
      if (resets_ != nullptr) resets_->add(1);
      log::warn("the known topics of a source were forgotten at their bound",
                {{"source", config_.source}, {"cache_entries_max", config_.cache_entries_max}});
    }
    // A long topic weighs more, so that the bound on entries is one on memory.
    entries_ += 1 + topic.size() / 256;
    Plan& plan = plans_.try_emplace(std::string(topic)).first->second;
    const auto takes = [&](const Route& route) {
      return route.filters.empty() ||
             std::any_of(route.filters.begin(), route.filters.end(),
                         [&](const std::string& filter) { return filter_matches(filter, topic); });
    };
    const auto route = std::find_if(config_.routes.begin(), config_.routes.end(), takes);
    // A broker may rewrite topics: what no filter takes is decoded as the last route says.
    plan.route = route == config_.routes.end()
                     ? config_.routes.size() - 1
                     : static_cast<std::size_t>(route - config_.routes.begin());
    const auto applied = config_.routes[plan.route].decode.topic_template.apply(topic);
    if (!applied) {
      plan.refused = Refusal::topic;
    } else if (!stream_name_problem(applied->name).empty()) {
      plan.refused = Refusal::name;
    }
    return &plan;
  }

  /// Made anew each time: refused topics are rare and their plans stay small.
  std::string refused_topic_detail(const Plan& plan) const {
    const auto applied = config_.routes[plan.route].decode.topic_template.apply(message_->topic);
    if (!applied) return applied.error().context;
    return "the topic cannot name a stream: " + std::string(stream_name_problem(applied->name)) +
           "; leave the level out with a template or publish to another topic";
  }

  FieldSlot* known(std::string_view name) {
    std::vector<FieldSlot>& slots = plan_->slots;
    FieldSlot* slot = nullptr;
    if (cursor_ < slots.size() && plan_->name(slots[cursor_]) == name) {
      slot = &slots[cursor_];
    } else if (slots.size() <= kScannedFields) {
      const auto found = std::find_if(slots.begin(), slots.end(),
                                      [&](const FieldSlot& s) { return plan_->name(s) == name; });
      if (found != slots.end()) slot = &*found;
    } else if (const auto found = plan_->index.find(name); found != plan_->index.end()) {
      slot = &slots[found->second];
    }
    if (slot == nullptr) return nullptr;
    cursor_ = static_cast<std::size_t>(slot - slots.data()) + 1;
    return slot;
  }

  /// Asks for the stream of a field not seen before (`slot` null) or refused a while ago.
  FieldSlot* learn(std::string_view name, std::span<const TagView> tags, FieldSlot* slot) {
    auto applied = config_.routes[plan_->route].decode.topic_template.apply(message_->topic);
    if (!applied) return nullptr;
    std::string& stream = applied->name;
    if (!name.empty()) {
      stream += '/';
      stream += name;
    }
    if (const auto problem = stream_name_problem(stream); !problem.empty()) {
      refuse(Refusal::name, "the stream of a field cannot have its name: " + std::string(problem));
      return nullptr;
    }
    for (const TagView& tag : tags) {
      applied->tags.push_back({std::string(tag.key), std::string(tag.value)});
    }
    const auto id = namer_.stream_for(stream, applied->tags);
    if (slot == nullptr) slot = &new_slot(name);
    slot->refused = !id.has_value();
    if (id) {
      slot->stream = *id;
    } else {
      slot->retry = ticks_now() + kRetryRefusedStream;
    }
    return slot;
  }

  FieldSlot& new_slot(std::string_view name) {
    Plan& plan = *plan_;
    FieldSlot slot;
    slot.name_at = static_cast<std::uint32_t>(plan.names.size());
    slot.name_bytes = static_cast<std::uint32_t>(name.size());
    plan.names += name;
    plan.slots.push_back(slot);
    ++entries_;
    const std::size_t count = plan.slots.size();
    if (count > kScannedFields) {
      for (std::size_t i = plan.index.size(); i < count; ++i) {
        plan.index.emplace(plan.name(plan.slots[i]), static_cast<std::uint32_t>(i));
      }
    }
    cursor_ = count;
    return plan.slots.back();
  }

  /// `part` is the payload's row at fault; empty: all of it.
  void refuse(Refusal reason, std::string_view detail, std::string_view part = {}) {
    ++now_.refused;
    quarantine_.add(config_.source, message_->topic, part.empty() ? message_->payload : part,
                    reason, detail, message_->received);
  }

  Result<void> hand_on() {
    if (readings_.empty()) return {};
    now_.readings += readings_.size();
    auto result = sink_.submit(readings_);
    readings_.clear();
    return result;
  }

  void publish(const Totals& before) {
    shown_messages_.store(now_.messages, std::memory_order_relaxed);
    shown_readings_.store(now_.readings, std::memory_order_relaxed);
    shown_refused_.store(now_.refused, std::memory_order_relaxed);
    shown_bytes_.store(now_.bytes, std::memory_order_relaxed);
    shown_last_.store(to_micros(now_.last_message), std::memory_order_relaxed);
    if (messages_ == nullptr) return;
    messages_->add(static_cast<double>(now_.messages - before.messages));
    readings_counter_->add(static_cast<double>(now_.readings - before.readings));
    bytes_->add(static_cast<double>(now_.bytes - before.bytes));
  }

  IntakeConfig config_;
  StreamNamer& namer_;
  ReadingSink& sink_;
  Quarantine& quarantine_;
  std::vector<std::unique_ptr<Decoder>> decoders_;  ///< one a route
  std::unordered_map<std::string, Plan, TextHash, std::equal_to<>> plans_;
  std::size_t entries_ = 0;

  const RawMessage* message_ = nullptr;  ///< of the running take_message
  Plan* plan_ = nullptr;
  std::size_t cursor_ = 0;
  std::vector<Reading> readings_;

  Totals now_;
  std::atomic<std::uint64_t> shown_messages_{0};
  std::atomic<std::uint64_t> shown_readings_{0};
  std::atomic<std::uint64_t> shown_refused_{0};
  std::atomic<std::uint64_t> shown_bytes_{0};
  std::atomic<std::int64_t> shown_last_{0};
  Counter* messages_ = nullptr;
  Counter* readings_counter_ = nullptr;
  Counter* bytes_ = nullptr;
  Counter* resets_ = nullptr;
};

Intake::Intake(IntakeConfig config, StreamNamer& namer, ReadingSink& sink, Quarantine& quarantine,
               Metrics* metrics)
    : work_(std::make_unique<Work>(std::move(config), namer, sink, quarantine, metrics)) {}
Intake::~Intake() = default;
Result<void> Intake::take(const MessageBatch& batch) { return work_->take(batch); }
Intake::Totals Intake::totals() const { return work_->totals(); }

}  // namespace lapwing::agent
