// SPDX-License-Identifier: Apache-2.0
/// Query parameters, checked. The first problem is kept; what is read then is a fallback.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/http/message.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lapwing::hub {

/// Reads one request's query. Threads: used by one thread.
class Query {
 public:
  explicit Query(const http::Request& request) : request_(request) {}

  /// Records a problem when a parameter is not among these, or is given twice.
  void only(std::span<const std::string_view> known);
  std::optional<std::string> text(std::string_view name);
  std::string required_text(std::string_view name);
  std::size_t count(std::string_view name, std::size_t fallback, std::size_t max);
  std::optional<Time> time(std::string_view name);
  /// The position of the value in `words`.
  std::optional<std::size_t> word(std::string_view name, std::span<const std::string_view> words);
  /// `limit` and `cursor`.
  PageRequest page();

  [[nodiscard]] const std::optional<Error>& problem() const { return problem_; }

 private:
  void wrong(std::string_view name, std::string what);

  const http::Request& request_;
  std::optional<Error> problem_;
};

}  // namespace lapwing::hub
