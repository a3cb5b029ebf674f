// SPDX-License-Identifier: Apache-2.0
/// What the decode tests share: fields collected from a decoder, readings collected from an intake.
#pragma once

#include "agent/decode/decoder.hpp"
#include "agent/decode/reading.hpp"

#include <cmath>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent::testing {

/// 2026-11-24T08:00:00Z.
inline constexpr Time kReceived = from_micros(1'795'507'200'000'000);

/// A payload followed by the padding that decoders may read.
class Padded {
 public:
  explicit Padded(std::string_view text) : bytes_(text), size_(text.size()) {
    bytes_.append(kPayloadPadding, '\xff');
  }
  [[nodiscard]] std::string_view view() const { return std::string_view(bytes_).substr(0, size_); }

 private:
  std::string bytes_;
  std::size_t size_;
};

struct Collected {
  std::string name;
  double value = 0;
  Time time{};
  std::string tags;
};

class Collector final : public FieldSink {
 public:
  void on_field(std::string_view name, std::span<const TagView> tags, double value,
                Time time) override {
    std::string text;
    for (const TagView& tag : tags) {
      text += std::string(tag.key) + "=" + std::string(tag.value) + ";";
    }
    fields.push_back({std::string(name), value, time, text});
  }
  void on_refused(Refusal reason, std::string_view /*detail*/, std::string_view part) override {
    refused.emplace_back(reason, part);
  }

  std::vector<Collected> fields;
  std::vector<std::pair<Refusal, std::string>> refused;
};

struct Decoded {
  Collector found;
  Outcome outcome;
  /// `a=1 b=2`, or `!reason` for a payload refused as a whole.
  [[nodiscard]] std::string text() const {
    if (outcome.refused) return "!" + std::string(to_string(outcome.reason));
    std::string all;
    for (const Collected& field : found.fields) {
      if (!all.empty()) all += ' ';
      std::string number = std::to_string(field.value);
      number.erase(number.find_last_not_of('0') + 1);
      if (number.ends_with('.')) number.pop_back();
      all += field.name + "=" + number;
    }
    for (const auto& [reason, part] : found.refused) {
      if (!all.empty()) all += ' ';
      all += "!" + std::string(to_string(reason));
    }
    return all;
  }
};

inline Decoded decode(const DecodeConfig& config, std::string_view payload) {
  Decoded decoded;
  const Padded padded(payload);
  decoded.outcome = make_decoder(config)->decode(padded.view(), kReceived, decoded.found);
  return decoded;
}

/// Names streams in order of asking, up to a maximum.
/// Several sources may ask at once, as of the engine; look at what it noted when they have ended.
class Namer final : public StreamNamer {
 public:
  explicit Namer(std::size_t streams_max = 1000000) : streams_max_(streams_max) {}
  Result<StreamId> stream_for(std::string_view name,
                              std::span<const wire::Tag> stream_tags) override {
    const std::lock_guard lock(mutex_);
    ++asked;
    const auto found = ids.find(std::string(name));
    if (found != ids.end()) return found->second;
    if (ids.size() >= streams_max_) return Error{Errc::limit, "too many streams"};
    const StreamId id{static_cast<std::uint32_t>(ids.size())};
    ids.emplace(name, id);
    names.emplace_back(name);
    tags.emplace_back(stream_tags.begin(), stream_tags.end());
    return id;
  }

  std::size_t asked = 0;
  std::map<std::string, StreamId> ids;
  std::vector<std::string> names;
  std::vector<std::vector<wire::Tag>> tags;

 private:
  std::mutex mutex_;
  std::size_t streams_max_;
};

class Sink final : public ReadingSink {
 public:
  Result<void> submit(std::span<const Reading> batch) override {
    ++calls;
    readings.insert(readings.end(), batch.begin(), batch.end());
    return {};
  }
  std::size_t calls = 0;
  std::vector<Reading> readings;
};

}  // namespace lapwing::agent::testing
