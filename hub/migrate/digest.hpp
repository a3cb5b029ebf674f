// SPDX-License-Identifier: Apache-2.0
/// Whether two tables hold the same rows, in whatever order: each row's hash, added up.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace lapwing::hub::migration {

/// Of the rows of one table.
struct Digest {
  std::uint64_t rows = 0;
  std::uint64_t sum = 0;  ///< of the rows' hashes, modulo 2^64
  void add(std::uint64_t hash) {
    ++rows;
    sum += hash;
  }
  friend bool operator==(const Digest&, const Digest&) = default;
};

/// Of one row, value by value in the columns' order. Against mistakes, not against malice.
class RowHash {
 public:
  void null() { mix(0x9e3779b97f4a7c15U); }
  void integer(std::int64_t value) { mix(static_cast<std::uint64_t>(value)); }
  /// What is not a number is NULL in both engines.
  void number(double value) {
    std::isnan(value) ? null() : mix(std::bit_cast<std::uint64_t>(value));
  }
  void bytes(std::string_view value) {
    mix(value.size());
    for (; !value.empty(); value.remove_prefix(value.size() < 8 ? value.size() : 8)) {
      std::uint64_t word = 0;
      std::memcpy(&word, value.data(), value.size() < 8 ? value.size() : 8);
      mix(word);
    }
  }
  [[nodiscard]] std::uint64_t value() const { return state_; }

 private:
  void mix(std::uint64_t value) {  // the finishing step of splitmix64
    auto x = state_ + 0x9e3779b97f4a7c15U + value;
    x = (x ^ x >> 30U) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27U) * 0x94d049bb133111ebU;
    state_ = std::rotl(state_, 17) ^ x ^ x >> 31U;
  }
  std::uint64_t state_ = 0;
};

}  // namespace lapwing::hub::migration
