// SPDX-License-Identifier: Apache-2.0
/// A value that must not reach a log, an error text or a status page.
#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>

namespace lapwing {

/// Holds a secret; printing it gives a placeholder, reading it needs the word `reveal`.
/// Ownership: by value; the bytes are overwritten when the object dies.
template <class T>
class Secret {
 public:
  Secret() = default;
  explicit Secret(T value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
  Secret& operator=(const Secret&) = default;
  Secret& operator=(Secret&& other) noexcept {
    wipe();
    value_ = std::move(other.value_);
    other.wipe();
    return *this;
  }
  ~Secret() { wipe(); }

  [[nodiscard]] const T& reveal() const noexcept { return value_; }
  [[nodiscard]] bool empty() const noexcept { return value_.empty(); }

  friend std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "[secret]"; }

 private:
  void wipe() noexcept {
    volatile auto* bytes = value_.data();  // volatile: the writes are not optimised away
    for (std::size_t i = 0; i < value_.size(); ++i) bytes[i] = {};
  }

  T value_{};
};

}  // namespace lapwing
