// SPDX-License-Identifier: Apache-2.0
#include "agent/models/kept_text.hpp"

#include "shared/base/files.hpp"
#include "shared/trust/token.hpp"

#include <algorithm>
#include <charconv>

namespace lapwing::agent {
namespace {

constexpr std::string_view kMagic = "lapwing-kept ";

std::string with_head(std::uint64_t generation, std::string_view text) {
  const std::string number = std::to_string(generation);
  const std::string digest = trust::sha256_hex(number + "\n" + std::string(text));
  return std::string(kMagic) + number + " " + digest + "\n" + std::string(text);
}

/// nullopt: not what was written.
std::optional<std::string> without_head(std::string_view bytes, std::uint64_t& generation) {
  const auto line = bytes.find('\n');
  if (line == bytes.npos || !bytes.starts_with(kMagic)) return std::nullopt;
  const auto* const end = bytes.data() + line;
  const auto [at, failed] = std::from_chars(bytes.data() + kMagic.size(), end, generation);
  if (failed != std::errc()) return std::nullopt;
  std::string text(bytes.substr(line + 1));
  if (with_head(generation, text) != bytes) return std::nullopt;
  return text;
}

}  // namespace

KeptText::Read KeptText::read() {
  Read out;
  for (std::size_t i = 0; i < copies_.size(); ++i) {
    if (copies_[i].empty()) continue;
    const auto bytes = read_file(copies_[i], kBytesMax);
    if (bytes) out.texts[i] = without_head(*bytes, out.generations[i]);
    if (out.texts[i] || (!bytes && bytes.error().code == Errc::not_found)) continue;
    out.problem = bytes ? copies_[i].string() + " is damaged" : bytes.error().context;
  }
  if (out.any()) {
    newest_ = out.newest();
    generation_ = out.generations[newest_];
  }
  return out;
}

Result<void> KeptText::write(std::string_view text) {
  std::size_t older = 1 - newest_;
  if (copies_[older].empty()) older = newest_;
  if (auto done = write_file_atomic(copies_[older], with_head(generation_ + 1, text), 0600);
      !done) {
    return done;
  }
  ++generation_;
  newest_ = older;
  return {};
}

Result<void> KeptText::write_both(std::string_view text) {
  if (auto done = write(text); !done) return done;
  return write(text);
}

}  // namespace lapwing::agent
