// SPDX-License-Identifier: Apache-2.0
#include "shared/postgres/values.hpp"

#include "shared/base/utf8.hpp"

#include <bit>
#include <cmath>
#include <limits>

namespace lapwing::postgres {
namespace {

/// Object ids of the server's types: fixed for all time (src/include/catalog/pg_type.dat).
enum Type : std::uint32_t {
  kBool = 16,
  kBytea = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kFloat4 = 700,
  kFloat8 = 701,
};

constexpr auto kBorrowed = std::numeric_limits<std::size_t>::max();

template <class T>
T load(const char* bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << (sizeof(T) > 1 ? 8U : 0U));
    value = static_cast<T>(value | static_cast<unsigned char>(bytes[i]));
  }
  return value;
}

template <class T>
bool fits(std::int64_t value) {
  return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

}  // namespace

template <class T>
bool Arguments::put(T value) {
  begins_.push_back(bytes_.size());
  lengths_.push_back(sizeof(T));
  for (std::size_t i = sizeof(T); i-- > 0;) {
    bytes_ += static_cast<char>((value >> (8 * i)) & 0xffU);
  }
  return true;
}

bool Arguments::encode_one(std::uint32_t type, const sql::Value& value) {
  using Kind = sql::Value::Kind;
  const bool no_number = value.kind() == Kind::number && std::isnan(value.number());
  if (value.kind() == Kind::null || no_number) {
    begins_.push_back(kBorrowed);
    pointers_.back() = nullptr;
    lengths_.push_back(0);
    return true;
  }
  if (value.kind() == Kind::text || value.kind() == Kind::blob) {
    const auto bytes = value.bytes();
    if (value.kind() == Kind::text && type != kBytea &&
        (bytes.find('\0') != std::string_view::npos || !valid_utf8(bytes))) {
      problem_ = "text that is not UTF-8, or holds a zero byte";
      return false;
    }
    begins_.push_back(kBorrowed);
    pointers_.back() = bytes.data() == nullptr ? "" : bytes.data();
    lengths_.push_back(static_cast<int>(bytes.size()));
    return true;
  }
  const bool whole = value.kind() == Kind::integer;
  const auto integer = value.integer();
  switch (type) {
    case kInt8:
      if (whole) return put(static_cast<std::uint64_t>(integer));
      break;
    case kInt4:
      if (whole && fits<std::int32_t>(integer)) return put(static_cast<std::uint32_t>(integer));
      break;
    case kInt2:
      if (whole && fits<std::int16_t>(integer)) return put(static_cast<std::uint16_t>(integer));
      break;
    case kBool:
      if (whole) return put(static_cast<std::uint8_t>(integer != 0));
      break;
    case kFloat8:
      return put(
          std::bit_cast<std::uint64_t>(whole ? static_cast<double>(integer) : value.number()));
    default:
      break;
  }
  problem_ = "a number that does not fit the column's type";
  return false;
}

bool Arguments::encode(std::span<const std::uint32_t> types, std::span<const sql::Value> values) {
  bytes_.clear();
  begins_.clear();
  pointers_.clear();
  lengths_.clear();
  formats_.assign(values.size(), 1);
  if (types.size() != values.size()) {
    problem_ = std::to_string(values.size()) + " arguments for " + std::to_string(types.size());
    return false;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    pointers_.push_back(nullptr);
    if (!encode_one(types[i], values[i])) return false;
  }
  for (std::size_t i = 0; i < begins_.size(); ++i) {
    if (begins_[i] != kBorrowed) pointers_[i] = bytes_.data() + begins_[i];
  }
  return true;
}

std::int64_t integer_from(std::uint32_t type, const char* bytes) {
  switch (type) {
    case kInt8:
      return static_cast<std::int64_t>(load<std::uint64_t>(bytes));
    case kInt4:
      return static_cast<std::int32_t>(load<std::uint32_t>(bytes));
    case kInt2:
      return static_cast<std::int16_t>(load<std::uint16_t>(bytes));
    case kBool:
      return bytes[0];
    default:
      return 0;
  }
}

double number_from(std::uint32_t type, const char* bytes) {
  if (type == kFloat8) return std::bit_cast<double>(load<std::uint64_t>(bytes));
  if (type == kFloat4) return std::bit_cast<float>(load<std::uint32_t>(bytes));
  if (type == kInt8 || type == kInt4 || type == kInt2) {
    return static_cast<double>(integer_from(type, bytes));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::string numbered(std::string_view sql) {
  std::string out;
  out.reserve(sql.size() + 16);
  int next = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (sql[i] == '\'') quoted = !quoted;
    if (quoted || sql[i] != '?') {
      out += sql[i];
      continue;
    }
    out += '$';
    const bool named = i + 1 < sql.size() && sql[i + 1] >= '0' && sql[i + 1] <= '9';
    if (!named) out += std::to_string(++next);
  }
  return out;
}

}  // namespace lapwing::postgres
