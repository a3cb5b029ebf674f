// SPDX-License-Identifier: Apache-2.0
/// State as bytes: little-endian fields inside a frame with magic, tag, length and CRC-32, so that
/// a snapshot from one machine restores on another and a damaged one is refused.
///
/// A type is stored by one function used both ways: `template <class A> void fields(A& archive)`
/// calls `archive(a, b, c)` on its members.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lapwing::detect {

[[nodiscard]] std::uint32_t crc32(std::span<const std::byte> bytes) noexcept;

template <std::size_t Bytes>
using BitsOf = std::conditional_t<
    Bytes == 1, std::uint8_t,
    std::conditional_t<Bytes == 2, std::uint16_t,
                       std::conditional_t<Bytes == 4, std::uint32_t, std::uint64_t>>>;

/// Appends fields to a vector.
class StateWriter {
 public:
  explicit StateWriter(std::vector<std::byte>& out) : out_(&out) {}

  template <class... Ts>
  void operator()(const Ts&... values) {
    (one(values), ...);
  }

 private:
  template <class T>
  void one(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      put(static_cast<std::uint8_t>(value ? 1 : 0));
    } else if constexpr (std::is_enum_v<T>) {
      put(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_arithmetic_v<T>) {
      put(std::bit_cast<BitsOf<sizeof(T)>>(value));
    } else if constexpr (std::is_same_v<T, Time>) {
      put(static_cast<std::uint64_t>(to_micros(value)));
    } else if constexpr (requires { value.begin(); }) {
      for (const auto& item : value) one(item);
    } else {
      const_cast<T&>(value).fields(*this);  // fields() only reads when given a writer
    }
  }
  template <std::integral T>
  void put(T value) {
    const auto bits = static_cast<std::make_unsigned_t<T>>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      out_->push_back(static_cast<std::byte>((static_cast<std::uint64_t>(bits) >> (8 * i)) & 0xFF));
    }
  }

  std::vector<std::byte>* out_;
};

/// Takes fields from bytes; once they run out, `ok()` stays false and fields keep their values.
class StateReader {
 public:
  explicit StateReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <class... Ts>
  void operator()(Ts&... values) {
    (one(values), ...);
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::span<const std::byte> rest() const noexcept { return rest_; }

 private:
  template <class T>
  void one(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t bits = value ? 1 : 0;
      take(bits);
      value = bits != 0;
    } else if constexpr (std::is_enum_v<T>) {
      auto bits = static_cast<BitsOf<sizeof(T)>>(value);
      take(bits);
      value = static_cast<T>(bits);
    } else if constexpr (std::is_arithmetic_v<T>) {
      auto bits = std::bit_cast<BitsOf<sizeof(T)>>(value);
      take(bits);
      value = std::bit_cast<T>(bits);
    } else if constexpr (std::is_same_v<T, Time>) {
      auto bits = static_cast<std::uint64_t>(to_micros(value));
      take(bits);
      value = from_micros(static_cast<std::int64_t>(bits));
    } else if constexpr (requires { value.begin(); }) {
      for (auto& item : value) one(item);
    } else {
      value.fields(*this);
    }
  }
  template <std::unsigned_integral T>
  void take(T& value) {
    if (rest_.size() < sizeof(T)) {
      ok_ = false;
      rest_ = {};
      return;
    }
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bits |= static_cast<std::uint64_t>(rest_[i]) << (8 * i);
    }
    value = static_cast<T>(bits);
    rest_ = rest_.subspan(sizeof(T));
  }

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

/// Names what a frame holds: changes with the kind, the version of its fields and what shapes them.
[[nodiscard]] std::uint64_t frame_tag(std::string_view kind, std::uint32_t version,
                                      std::uint64_t shape = 0) noexcept;

/// Appends one frame; the content is what `write(StateWriter&)` puts.
std::size_t begin_frame(std::vector<std::byte>& out, std::uint64_t tag);
void end_frame(std::vector<std::byte>& out, std::size_t begun);

/// The content of the frame at the start of `bytes`, which then points behind it.
/// Errors: corrupt (too short, wrong magic, length or CRC), unsupported (another tag).
Result<std::span<const std::byte>> open_frame(std::span<const std::byte>& bytes, std::uint64_t tag);

/// Appends one frame that holds one state: what most detectors are.
template <class State>
void snapshot_state(std::vector<std::byte>& out, std::uint64_t tag, const State& state) {
  const std::size_t begun = begin_frame(out, tag);
  StateWriter writer(out);
  writer(state);
  end_frame(out, begun);
}

/// Takes the state of such a frame; whether its values are possible is for the caller to judge.
/// Errors: as open_frame, and corrupt when the fields do not fill the frame.
template <class State>
Result<State> restore_state(std::span<const std::byte> bytes, std::uint64_t tag) {
  const auto content = open_frame(bytes, tag);
  if (!content) return content.error();
  State state;
  StateReader reader(*content);
  reader(state);
  if (!reader.ok() || !reader.rest().empty()) {
    return Error{Errc::corrupt, "the snapshot's fields do not fill its frame"};
  }
  return state;
}

}  // namespace lapwing::detect
