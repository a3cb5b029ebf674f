// SPDX-License-Identifier: Apache-2.0
/// A small text that must survive: two copies, written in turn, each with its digest.
#pragma once

#include "shared/base/result.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::agent {

/// The first line of a copy: generation and SHA-256 of the generation and what follows.
///
/// A write replaces the older copy (beside it, synced, renamed), so that at any instant, and after
/// damage to one, the other can be read. Both have names: they may lie in different folders.
/// Threads: one at a time.
class KeptText {
 public:
  static constexpr std::uint64_t kBytesMax = 1 << 20;

  explicit KeptText(std::array<std::filesystem::path, 2> copies) : copies_(std::move(copies)) {}

  struct Read {
    std::array<std::optional<std::string>, 2> texts;  ///< of each copy; nullopt: none, or damaged
    std::array<std::uint64_t, 2> generations{};
    std::string problem;  ///< what is wrong with a copy that is there; empty: nothing
    [[nodiscard]] bool any() const { return texts[0] || texts[1]; }
    /// The newer one that can be read.
    [[nodiscard]] std::size_t newest() const {
      return !texts[0] || (texts[1] && generations[1] > generations[0]) ? 1 : 0;
    }
  };
  /// Never an error: what cannot be read is told.
  Read read();
  /// Durable when it returns. Errors: denied, limit, io: one copy at least is as it was.
  Result<void> write(std::string_view text);
  /// Likewise, into both copies, one after the other.
  Result<void> write_both(std::string_view text);

 private:
  std::array<std::filesystem::path, 2> copies_;
  std::uint64_t generation_ = 0;
  std::size_t newest_ = 1;
};

}  // namespace lapwing::agent
