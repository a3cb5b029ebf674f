// SPDX-License-Identifier: Apache-2.0
/// Rows in the format of binary COPY (PostgreSQL manual, COPY, "Binary Format").
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::postgres {

/// Rows to append to one table. Every row has the same columns, each of exactly the width of the
/// table's type. Threads: one object is used from one thread at a time.
class CopyRows {
 public:
  explicit CopyRows(std::uint16_t columns) : columns_(columns) { clear(); }

  void begin_row() {
    put(columns_);
    ++rows_;
  }
  void boolean(bool value) { field(static_cast<std::uint8_t>(value)); }
  void smallint(std::int16_t value) { field(static_cast<std::uint16_t>(value)); }
  void integer(std::int32_t value) { field(static_cast<std::uint32_t>(value)); }
  void bigint(std::int64_t value) { field(static_cast<std::uint64_t>(value)); }
  /// double precision; what is not a number is NULL.
  void number(double value) {
    std::isnan(value) ? null() : field(std::bit_cast<std::uint64_t>(value));
  }
  /// text or bytea.
  void bytes(std::string_view value) {
    put(static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
  }
  void null() { put(~std::uint32_t{0}); }

  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return bytes_.size(); }
  /// All of it, with head and end; call once, then clear().
  [[nodiscard]] std::string_view finish() {
    put(std::uint16_t{0xffff});
    return bytes_;
  }
  /// Keeps its memory.
  void clear() {
    bytes_.assign("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    rows_ = 0;
  }

 private:
  template <class T>
  void put(T value) {
    char wire[sizeof(T)];
    for (std::size_t i = sizeof(T); i-- > 0;) {
      wire[i] = static_cast<char>(value & 0xffU);
      if constexpr (sizeof(T) > 1) value = static_cast<T>(value >> 8U);
    }
    bytes_.append(wire, sizeof(T));
  }
  template <class T>
  void field(T value) {
    put(static_cast<std::uint32_t>(sizeof(T)));
    put(value);
  }

  std::uint16_t columns_;
  std::size_t rows_ = 0;
  std::string bytes_;
};

}  // namespace lapwing::postgres
