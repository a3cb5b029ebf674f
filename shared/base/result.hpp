// SPDX-License-Identifier: Apache-2.0
/// Result<T>: a value or the reason there is none, in the manner of std::expected (C++23).
#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace lapwing {

/// What a caller can do about a failure. Callers branch on this; `Error::context` is for people.
enum class Errc {
  bad_config,     ///< a setting is missing, malformed or out of range: correct it
  bad_input,      ///< a payload, file or request cannot be read: refuse it and go on
  bad_shape,      ///< sizes of the arguments do not agree
  corrupt,        ///< stored or received bytes fail a check
  denied,         ///< credentials are missing, expired or not allowed to do this
  exists,         ///< it is there already, or another writer was first
  io,             ///< disk or network failed: retrying may help
  limit,          ///< a stated bound is reached: retry later or raise the bound
  no_device,      ///< built without CUDA, or no usable device
  not_found,      ///< the named thing does not exist
  shutting_down,  ///< stop was requested: do not retry
  timeout,        ///< no answer within the deadline: retrying may help
  unsupported,    ///< understood, but not offered by this version
};

/// The code as a word, for logs and metrics: `bad_config`.
[[nodiscard]] std::string_view to_string(Errc code) noexcept;

/// Why an operation failed. `context` names the thing, the place and the remedy; never a secret.
struct Error {
  Errc code = Errc::io;
  std::string context;
};

/// The same error with what was being done put in front: `open outbox: disk full`.
[[nodiscard]] Error within(std::string_view what, Error error);

/// A value or an Error. Dropping one is a compiler warning; reading the absent side is a bug
/// (assert). Threads: as its T: distinct objects are safe, shared ones are not.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& value() & {
    assert(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& value() const& {
    assert(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& value() && {
    assert(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const& {
    assert(!has_value());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] Error&& error() && {
    assert(!has_value());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

/// Done, or the reason it was not: `return {};` means done.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}  // NOLINT: implicit

  [[nodiscard]] bool has_value() const noexcept { return !failed_; }
  explicit operator bool() const noexcept { return !failed_; }
  [[nodiscard]] const Error& error() const& {
    assert(failed_);
    return error_;
  }
  [[nodiscard]] Error&& error() && {
    assert(failed_);
    return std::move(error_);
  }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace lapwing
