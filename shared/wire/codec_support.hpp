// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/wire: what the codecs share.
#pragma once

#include "schemas/verified.hpp"
#include "shared/base/result.hpp"
#include "shared/base/utf8.hpp"
#include "shared/wire/codec.hpp"

#include <flatbuffers/flatbuffers.h>

#include <string>
#include <string_view>

namespace lapwing::wire {

inline constexpr std::uint16_t kMessageVersion = 1;

using schemas::Verified;

/// Collects the first thing wrong with texts while a message is read.
class Texts {
 public:
  std::string name(const flatbuffers::String* text, const char* what) {
    return take(text, what, kNameBytesMax);
  }
  std::string sentence(const flatbuffers::String* text, const char* what) {
    return take(text, what, kTextBytesMax);
  }
  std::string bounded(const flatbuffers::String* text, const char* what, std::size_t bytes_max) {
    return take(text, what, bytes_max);
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  std::string take(const flatbuffers::String* text, const char* what, std::size_t bytes_max) {
    if (text == nullptr) return {};
    const std::string_view view(text->c_str(), text->size());
    // A zero byte is UTF-8, but no name has one, and PostgreSQL takes none.
    if (view.size() > bytes_max || !valid_utf8(view) || view.find('\0') != view.npos) {
      if (problem_.empty()) {
        problem_ = std::string(what) +
                   (view.size() > bytes_max ? " is too long" : " is not UTF-8, or has a zero byte");
      }
      return {};
    }
    return std::string(view);
  }
  std::string problem_;
};

inline std::string bytes_of(const flatbuffers::FlatBufferBuilder& builder) {
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

inline Error too_new(const char* what, unsigned version) {
  return {Errc::unsupported, std::string(what) + " version " + std::to_string(version) +
                                 " is newer than this program: update it"};
}

/// Of one message that is no batch and no record.
inline constexpr std::size_t kMessageBytesMax = 64 * 1024;

/// Verifies a message of the union `Root`, picks the wanted kind, and lets `read` fill the struct.
template <class Root, class Table, class Message, class Read>
Result<Message> read_message(std::string_view bytes, const char* identifier, const char* what,
                             Read read, std::size_t bytes_max = kMessageBytesMax) {
  if (bytes.size() > bytes_max) return Error{Errc::limit, std::string(what) + " too long"};
  const Verified<Root> root(bytes, identifier, 16);
  if (!root) return Error{Errc::corrupt, std::string(what) + ": damaged bytes"};
  const Table* table = root->template message_as<Table>();
  if (table == nullptr) {
    return Error{Errc::bad_input, "another message where " + std::string(what) + " was expected"};
  }
  if (table->version() > kMessageVersion) return too_new(what, table->version());
  Texts texts;
  Message message = read(*table, texts);
  if (!texts.problem().empty()) {
    return Error{Errc::bad_input, std::string(what) + ": " + texts.problem()};
  }
  return message;
}

}  // namespace lapwing::wire
