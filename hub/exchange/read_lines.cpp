// SPDX-License-Identifier: Apache-2.0
#include "hub/exchange/line_words.hpp"
#include "hub/exchange/lines.hpp"
#include "shared/wire/topics.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace lapwing::hub {
namespace {

using Read = nlohmann::json;
using namespace line_words;

constexpr std::size_t kNameBytesMax = 512;  // as shared/wire has it
constexpr std::size_t kTextBytesMax = 4096;
constexpr std::size_t kTagsMax = 64;
constexpr std::size_t kContributionsMax = 256;
constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 62U;

// ---------------------------------------------------------------------------------------

/// One object, read key by key; the first problem is kept.
class Object {
 public:
  explicit Object(const Read& json) : json_(json) {
    if (!json.is_object()) wrong("", "is not an object");
  }

  std::string text(const char* key, std::size_t bytes_max) {
    const auto* at = find(key);
    if (at == nullptr || !at->is_string()) return wrong(key, "a text is wanted"), std::string();
    auto value = at->get<std::string>();
    if (value.size() > bytes_max || value.find('\0') != std::string::npos) {
      return wrong(key, "is too long, or not a text"), std::string();
    }
    return value;
  }
  std::string name(const char* key) {
    auto value = text(key, kNameBytesMax);
    if (!wire::valid_name(value)) wrong(key, "is not a name");
    return value;
  }
  std::uint64_t count(const char* key) {
    const auto* at = find(key);
    if (at != nullptr && at->is_number_unsigned()) {
      const auto value = at->get<std::uint64_t>();
      if (value <= kNumberMax) return value;
    }
    return wrong(key, "a whole number from 0 to 2^62 is wanted"), 0;
  }
  std::uint64_t count_if_told(const char* key) {
    return json_.is_object() && json_.contains(key) ? count(key) : 0;
  }
  bool flag(const char* key) {
    const auto* at = find(key);
    if (at != nullptr && at->is_boolean()) return at->get<bool>();
    return wrong(key, "true or false is wanted"), false;
  }
  double number(const char* key) {
    const auto* at = find(key);
    if (at != nullptr && at->is_null()) return wire::kUnknown;
    if (at != nullptr && at->is_number()) return at->get<double>();
    if (at != nullptr && *at == "inf") return std::numeric_limits<double>::infinity();
    if (at != nullptr && *at == "-inf") return -std::numeric_limits<double>::infinity();
    return wrong(key, "a number is wanted"), wire::kUnknown;
  }
  Time time(const char* key) {
    const auto read = optional_time(key);
    if (!read) wrong(key, "a time is wanted");
    return read.value_or(Time{});
  }
  std::optional<Time> optional_time(const char* key) {
    const auto* at = find(key);
    if (at != nullptr && at->is_null()) return std::nullopt;
    if (at != nullptr && at->is_string() && at->get_ref<const std::string&>().size() <= 64) {
      if (const auto read = from_rfc3339(at->get_ref<const std::string&>())) return *read;
    }
    return wrong(key, "a time as 2026-11-24T08:43:46.000000Z is wanted"), std::nullopt;
  }
  std::uint64_t id(const char* key) {
    const auto value = text(key, 16);
    std::uint64_t id = 0;
    const auto* const end = value.data() + value.size();
    const auto [stop, ec] = std::from_chars(value.data(), end, id, 16);
    if (ec != std::errc{} || stop != end) wrong(key, "up to 16 hexadecimal digits are wanted");
    return id;
  }
  /// The position of the text in `words`, from `first` on.
  template <class Enum, std::size_t N>
  Enum word(const char* key, const std::array<std::string_view, N>& words, std::size_t first) {
    const auto value = text(key, kNameBytesMax);
    const auto at = std::find(words.begin(), words.end(), value);
    if (at != words.end())
      return static_cast<Enum>(first + static_cast<std::size_t>(at - words.begin()));
    return wrong(key, "is none of the words that are known"), static_cast<Enum>(first);
  }
  /// An array's objects, to be read by `each`.
  template <class Each>
  void list(const char* key, std::size_t most, const Each& each) {
    const auto* at = find(key);
    if (at == nullptr || !at->is_array() || at->size() > most) {
      return wrong(key, "a list is wanted, of " + std::to_string(most) + " at most");
    }
    for (const auto& one : *at) {
      Object inner(one);
      each(inner);
      if (inner.problem_) wrong(key, inner.problem_->context);
    }
  }
  [[nodiscard]] Object object(const char* key) {
    const auto* at = find(key);
    static const Read kNothing;
    Object inner(at == nullptr ? kNothing : *at);
    return inner;
  }
  void take_problem(const char* key, const Object& inner) {
    if (inner.problem_) wrong(key, inner.problem_->context);
  }

  void wrong(const std::string& key, const std::string& what) {
    if (!problem_) problem_ = Error{Errc::bad_input, key.empty() ? what : key + ": " + what};
  }
  [[nodiscard]] const std::optional<Error>& problem() const { return problem_; }

 private:
  const Read* find(const char* key) {
    if (!json_.is_object()) return nullptr;
    const auto at = json_.find(key);
    return at == json_.end() ? nullptr : &*at;
  }

  const Read& json_;
  std::optional<Error> problem_;
};

ExchangedDevice device_of(Object& o) {
  return {o.name("device"), o.time("enrolled_at"), o.text("certificate_serial", 128),
          o.optional_time("certificate_expires"), o.optional_time("revoked_at")};
}

ExchangedLedger ledger_of(Object& o) {
  ExchangedLedger l;
  l.device = o.name("device");
  l.status = o.word<DeviceStatus>("status", kStatus, 0);
  l.last_seen = o.optional_time("last_seen");
  l.agent_version = o.text("agent_version", kNameBytesMax);
  l.epoch = o.count("epoch");
  l.watermark = o.count("watermark");
  l.ledger.stored = o.count("stored");
  auto lost = o.object("lost_by_reason");
  l.ledger.lost = {lost.count("quota"), lost.count("corrupt"), lost.count("vanished"),
                   lost.count("poison")};
  o.take_problem("lost_by_reason", lost);
  l.ledger.outstanding = o.count("outstanding");
  l.ledger.elsewhere = o.count_if_told("elsewhere");
  l.ledger.produced = l.ledger.sum();
  if (l.ledger.produced > kNumberMax) o.wrong("stored", "the account is beyond 2^62");
  l.streams = o.count("streams");
  l.readings_total = o.count("readings_total");
  l.outbox_records = o.count("outbox_records");
  l.outbox_bytes = o.count("outbox_bytes");
  l.quarantined_total = o.count("quarantined_total");
  return l;
}

ExchangedAnomaly anomaly_of(Object& o) {
  ExchangedAnomaly a;
  auto& r = a.record;
  a.device = o.name("device");
  r.id = o.id("id");
  a.epoch = o.count("epoch");
  a.seq = o.count("seq");
  r.phase = o.word<wire::Phase>("phase", kPhases, 1);
  r.severity = o.word<wire::Severity>("severity", kSeverities, 1);
  r.reason = o.word<wire::Reason>("reason", kReasons, 1);
  r.stream = o.text("stream", kNameBytesMax);
  r.watch = o.text("watch", kNameBytesMax);
  r.detector = o.text("detector", kNameBytesMax);
  r.onset = o.time("onset");
  r.peak_time = o.time("peak_time");
  r.end = o.optional_time("end");
  r.peak_score = o.number("peak_score");
  r.peak_value = o.number("peak_value");
  r.band = {o.number("expected"), o.number("lower"), o.number("upper")};
  r.text = o.text("text", kTextBytesMax);
  o.list("contributions", kContributionsMax, [&](Object& one) {
    r.contributions.push_back({one.text("stream", kNameBytesMax), one.number("share")});
  });
  o.list("tags", kTagsMax, [&](Object& one) {
    r.tags.push_back({one.text("key", kNameBytesMax), one.text("value", kNameBytesMax)});
  });
  a.received_at = o.time("received_at");
  a.updated_at = o.time("updated_at");
  return a;
}

Result<Read> parse(std::string_view line) {
  if (line.size() > kLineBytesMax) return Error{Errc::bad_input, "the line is too long"};
  auto json = Read::parse(line, nullptr, false);
  if (json.is_discarded()) return Error{Errc::bad_input, "the line is not JSON"};
  return json;
}

}  // namespace

std::optional<ExchangeKind> exchange_kind(std::string_view name) {
  const auto at = std::find(kExchangeKinds.begin(), kExchangeKinds.end(), name);
  if (at == kExchangeKinds.end()) return std::nullopt;
  return static_cast<ExchangeKind>(at - kExchangeKinds.begin());
}

Result<ExchangedRow> parse_line(ExchangeKind kind, std::string_view line) {
  const auto json = parse(line);
  if (!json) return json.error();
  Object object(*json);
  ExchangedRow row;
  if (kind == ExchangeKind::devices) row = device_of(object);
  if (kind == ExchangeKind::ledgers) row = ledger_of(object);
  if (kind == ExchangeKind::anomalies) row = anomaly_of(object);
  if (object.problem()) return *object.problem();
  return row;
}

Result<PageEnd> parse_page_end(std::string_view line) {
  const auto json = parse(line);
  if (!json) return json.error();
  Object object(*json);
  PageEnd end{object.text("tenant", kNameBytesMax), object.text("kind", kNameBytesMax),
              object.text("next", kCursorBytesMax), object.flag("more")};
  if (object.problem()) return *object.problem();
  return end;
}

}  // namespace lapwing::hub
