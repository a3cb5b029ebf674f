// SPDX-License-Identifier: Apache-2.0
#include "hub/api/query.hpp"

#include <algorithm>
#include <charconv>

namespace lapwing::hub {
namespace {

std::string joined(std::span<const std::string_view> words) {
  std::string out;
  for (const auto word : words) out.append(out.empty() ? "" : ", ").append(word);
  return out;
}

}  // namespace

void Query::wrong(std::string_view name, std::string what) {
  if (!problem_) {
    problem_ = Error{Errc::bad_input,
                     "query parameter \"" + std::string(name.substr(0, 64)) + "\": " + what};
  }
}

void Query::only(std::span<const std::string_view> known) {
  for (auto at = request_.query.begin(); at != request_.query.end(); ++at) {
    const auto& name = at->first;
    if (std::ranges::find(known, name) == known.end()) {
      wrong(name, known.empty() ? "this address takes none"
                                : "unknown; this address takes " + joined(known));
    }
    const auto same = [&](const auto& other) { return other.first == name; };
    if (std::any_of(request_.query.begin(), at, same)) wrong(name, "given twice");
  }
}

std::optional<std::string> Query::text(std::string_view name) {
  const auto value = request_.query_value(name);
  if (!value || value->empty()) return std::nullopt;
  return std::string(*value);
}

std::string Query::required_text(std::string_view name) {
  auto value = text(name);
  if (!value) wrong(name, "is required");
  return std::move(value).value_or("");
}

std::size_t Query::count(std::string_view name, std::size_t fallback, std::size_t max) {
  const auto value = text(name);
  if (!value) return fallback;
  std::size_t number = 0;
  const char* const end = value->data() + value->size();
  const auto [stop, ec] = std::from_chars(value->data(), end, number);
  if (ec != std::errc{} || stop != end || number < 1 || number > max) {
    wrong(name, "a whole number from 1 to " + std::to_string(max) + " is wanted");
    return fallback;
  }
  return number;
}

std::optional<Time> Query::time(std::string_view name) {
  const auto value = text(name);
  if (!value) return std::nullopt;
  const auto time = from_rfc3339(*value);
  if (time) return *time;
  wrong(name, "an RFC 3339 time is wanted, as 2026-11-24T08:00:00Z");
  return std::nullopt;
}

std::optional<std::size_t> Query::word(std::string_view name,
                                       std::span<const std::string_view> words) {
  const auto value = text(name);
  if (!value) return std::nullopt;
  const auto at = std::ranges::find(words, *value);
  if (at != words.end()) return static_cast<std::size_t>(at - words.begin());
  wrong(name, "one of " + joined(words) + " is wanted");
  return std::nullopt;
}

PageRequest Query::page() {
  return {.limit = count("limit", 100, 1'000), .cursor = text("cursor").value_or("")};
}

}  // namespace lapwing::hub
