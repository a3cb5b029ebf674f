// SPDX-License-Identifier: Apache-2.0
/// Formats `number` and `auto`.
#include "agent/decode/decoder.hpp"

#include <charconv>

namespace lapwing::agent {
namespace {

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

class NumberDecoder final : public Decoder {
 public:
  Outcome decode(std::string_view payload, Time received, FieldSink& sink) override {
    double value = 0;
    if (!parse_number(payload, value)) {
      if (trimmed(payload).empty()) return {true, Refusal::empty, "the payload is empty"};
      return {true, Refusal::syntax, "the payload is not a number"};
    }
    sink.on_field({}, {}, value, received);
    return {};
  }
};

class AutomaticDecoder final : public Decoder {
 public:
  explicit AutomaticDecoder(const DecodeConfig& config)
      : number_(make_number_decoder(config)),
        json_(make_json_decoder(config)),
        needs_time_(!config.receive_time && !config.time_path.empty()) {}

  Outcome decode(std::string_view payload, Time received, FieldSink& sink) override {
    const std::string_view text = trimmed(payload);
    if (!text.empty() && (text.front() == '{' || text.front() == '[')) {
      return json_->decode(payload, received, sink);
    }
    if (needs_time_ && !text.empty()) {
      return {true, Refusal::time, "time_path is set, but a bare number carries no time"};
    }
    Outcome outcome = number_->decode(payload, received, sink);
    if (outcome.refused && outcome.reason == Refusal::syntax) {
      outcome.detail = "the payload is neither JSON nor a number; set `format` for other formats";
    }
    return outcome;
  }

 private:
  std::unique_ptr<Decoder> number_;
  std::unique_ptr<Decoder> json_;
  bool needs_time_;
};

}  // namespace

bool parse_number(std::string_view text, double& value) noexcept {
  text = trimmed(text);
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return false;
  }
  if (text.empty()) return false;
  if (text == "true" || text == "false") {
    value = text == "true" ? 1 : 0;
    return true;
  }
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

std::unique_ptr<Decoder> make_number_decoder(const DecodeConfig& /*config*/) {
  return std::make_unique<NumberDecoder>();
}

std::unique_ptr<Decoder> make_automatic_decoder(const DecodeConfig& config) {
  return std::make_unique<AutomaticDecoder>(config);
}

std::unique_ptr<Decoder> make_decoder(const DecodeConfig& config) {
  for (const FormatKind& kind : kFormats) {
    if (kind.format == config.format) return kind.make(config);
  }
  return make_automatic_decoder(config);
}

}  // namespace lapwing::agent
