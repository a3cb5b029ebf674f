// SPDX-License-Identifier: Apache-2.0
/// Values in PostgreSQL's binary formats, both ways.
#pragma once

#include "shared/sql/connection.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lapwing::postgres {

/// A statement's arguments as libpq takes them. Reused: keeps its memory.
class Arguments {
 public:
  /// `types`: what the server takes each for. False: an argument does not fit; `problem` says why.
  bool encode(std::span<const std::uint32_t> types, std::span<const sql::Value> values);

  [[nodiscard]] int count() const noexcept { return static_cast<int>(lengths_.size()); }
  [[nodiscard]] const char* const* values() const noexcept { return pointers_.data(); }
  [[nodiscard]] const int* lengths() const noexcept { return lengths_.data(); }
  [[nodiscard]] const int* formats() const noexcept { return formats_.data(); }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  bool encode_one(std::uint32_t type, const sql::Value& value);
  template <class T>
  bool put(T value);

  std::string bytes_;                ///< of numbers
  std::vector<std::size_t> begins_;  ///< in `bytes_`; kBorrowed or kNull
  std::vector<const char*> pointers_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
  std::string problem_;
};

/// The bytes of one field as a number; other types than numbers, booleans: 0 and NaN.
[[nodiscard]] std::int64_t integer_from(std::uint32_t type, const char* bytes);
[[nodiscard]] double number_from(std::uint32_t type, const char* bytes);

/// Arguments as PostgreSQL writes them: `?` becomes `$1`, `$2`, ...; `?3` becomes `$3`. What is in
/// quotes stays.
[[nodiscard]] std::string numbered(std::string_view sql);

}  // namespace lapwing::postgres
