// SPDX-License-Identifier: Apache-2.0
/// An array as one argument of a statement: `... FROM unnest(?::bigint[], ?::text[]) AS u(a, b)`
/// does for many rows what else takes a statement each. Binary format of the server's array_recv
/// (src/backend/utils/adt/arrayfuncs.c).
#pragma once

#include "shared/sql/connection.hpp"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lapwing::postgres {

/// One dimension, elements of one type, given in order. Text is UTF-8 without zero bytes: what is
/// not fails the statement. Keeps its memory. Threads: one object is used from one thread at a
/// time.
class ArrayArgument {
 public:
  /// Object ids of the server's types, fixed for all time.
  enum class Of : std::uint32_t {
    boolean = 16,
    bigint = 20,
    smallint = 21,
    text = 25,
    number = 701  ///< double precision
  };
  explicit ArrayArgument(Of type) : type_(type) { clear(); }

  void clear() {
    bytes_.clear();
    size_ = 0;
    put(std::uint32_t{1});  // dimensions
    put(std::uint32_t{1});  // may hold NULL
    put(static_cast<std::uint32_t>(type_));
    put(std::uint32_t{0});  // elements, known at the end
    put(std::uint32_t{1});  // the first one's index
  }
  void boolean(bool value) {
    put(std::uint32_t{1});
    bytes_ += value ? '\1' : '\0';
    ++size_;
  }
  void smallint(std::int16_t value) { element(static_cast<std::uint16_t>(value)); }
  void bigint(std::int64_t value) { element(static_cast<std::uint64_t>(value)); }
  /// What is not a number is NULL.
  void number(double value) {
    std::isnan(value) ? null() : element(std::bit_cast<std::uint64_t>(value));
  }
  void text(std::string_view value) {
    put(static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
    ++size_;
  }
  void null() {
    put(~std::uint32_t{0});
    ++size_;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// To bind. Valid until the next change.
  [[nodiscard]] sql::Blob value() {
    for (std::size_t i = 0; i < 4; ++i) {
      bytes_[kSizeAt + i] = static_cast<char>((size_ >> (8 * (3 - i))) & 0xffU);
    }
    return {bytes_};
  }

 private:
  static constexpr std::size_t kSizeAt = 12;

  template <class T>
  void put(T value) {
    for (std::size_t i = sizeof(T); i-- > 0;) {
      bytes_ += static_cast<char>((value >> (8 * i)) & 0xffU);
    }
  }
  template <class T>
  void element(T value) {
    put(static_cast<std::uint32_t>(sizeof(T)));
    put(value);
    ++size_;
  }

  Of type_;
  std::size_t size_ = 0;
  std::string bytes_;
};

}  // namespace lapwing::postgres
