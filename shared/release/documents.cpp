// SPDX-License-Identifier: Apache-2.0
#include "shared/release/documents.hpp"

#include "schemas/release_generated.h"
#include "schemas/verified.hpp"
#include "shared/base/hex.hpp"
#include "shared/base/utf8.hpp"
#include "shared/trust/token.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::release {
namespace {

constexpr unsigned kDocumentVersion = 1;
constexpr flatbuffers::uoffset_t kTablesMax = 8;
constexpr std::size_t kDigestDigits = 64;

Error impossible(const std::string& what) { return {Errc::bad_input, "release: " + what}; }

std::string text(const flatbuffers::String* given) {
  return given == nullptr ? std::string() : given->str();
}

using Keys = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>;

std::vector<std::string> texts(const Keys* given) {
  std::vector<std::string> all;
  if (given == nullptr) return all;
  for (const auto* one : *given) all.push_back(text(one));
  return all;
}

bool good_name(const std::string& name, bool may_be_empty) {
  return (may_be_empty || !name.empty()) && name.size() <= model::kNameBytesMax &&
         valid_utf8(name) && name.find('\0') == name.npos;
}

bool good_digest(const std::string& digest) {
  return digest.size() == kDigestDigits && is_hex(digest);
}

bool good_keys(const std::vector<std::string>& keys) {
  auto sorted = keys;
  std::ranges::sort(sorted);
  return !keys.empty() && keys.size() <= kKeysMax &&
         std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end() &&
         std::ranges::all_of(
             keys, [](const auto& key) { return !key.empty() && key.size() <= kKeyBytesMax; });
}

bool counted(std::uint64_t number) { return number > 0 && number < kNumberMax; }

/// What is wrong with it; empty: nothing.
std::string problem(const KeyList& list) {
  if (!counted(list.number)) return "a key list's number that nobody counted up to";
  if (!good_keys(list.roots) || !good_keys(list.releases) || !good_keys(list.hubs)) {
    return "1 to 16 keys of each role are wanted, none of them twice";
  }
  if (list.threshold < 1 || list.threshold > list.roots.size()) {
    return "a threshold of " + std::to_string(list.threshold) + " with " +
           std::to_string(list.roots.size()) + " root keys";
  }
  return "";
}

std::string problem(const Manifest& m) {
  if (!counted(m.number)) return "a version that nobody counted up to";
  if (!good_name(m.model, false) || !good_name(m.tenant, false) ||
      !good_name(m.device_class, true) || !good_name(m.minimum_agent, true)) {
    return "a name in the manifest is empty, too long or no text";
  }
  if (!good_digest(m.sha256) || !good_digest(m.schema_sha256) || m.length == 0) {
    return "a digest or the length in the manifest is none";
  }
  return "";
}

std::string problem(const Assignment& a) {
  if (!good_name(a.tenant, false) || !good_name(a.device, false)) {
    return "a name in the assignment is empty, too long or no text";
  }
  if (!good_digest(a.manifest_sha256)) return "the assignment's digest is none";
  return a.issued < a.expires ? "" : "an assignment that ends before it begins";
}

using Builder = flatbuffers::FlatBufferBuilder;

flatbuffers::Offset<void> put(Builder& b, const KeyList& list) {
  return fbs::CreateKeyList(
             b, kDocumentVersion, list.number, static_cast<std::uint8_t>(list.threshold),
             b.CreateVectorOfStrings(list.roots), b.CreateVectorOfStrings(list.releases),
             b.CreateVectorOfStrings(list.hubs), to_micros(list.expires))
      .Union();
}

flatbuffers::Offset<void> put(Builder& b, const Manifest& m) {
  return fbs::CreateManifest(b, kDocumentVersion, b.CreateString(m.model), m.number,
                             b.CreateString(m.sha256), m.length, b.CreateString(m.tenant),
                             b.CreateString(m.device_class), b.CreateString(m.schema_sha256),
                             b.CreateString(m.minimum_agent))
      .Union();
}

flatbuffers::Offset<void> put(Builder& b, const Assignment& a) {
  return fbs::CreateAssignment(b, kDocumentVersion, b.CreateString(a.tenant),
                               b.CreateString(a.device), b.CreateString(a.manifest_sha256),
                               to_micros(a.issued), to_micros(a.expires))
      .Union();
}

KeyList read(const fbs::KeyList& t) {
  return {t.number(),          t.threshold(),   texts(t.roots()),
          texts(t.releases()), texts(t.hubs()), from_micros(t.expires_us())};
}
Manifest read(const fbs::Manifest& t) {
  return {text(t.model()),         t.number(),
          text(t.sha256()),        t.length(),
          text(t.tenant()),        text(t.device_class()),
          text(t.schema_sha256()), text(t.minimum_agent())};
}
Assignment read(const fbs::Assignment& t) {
  return {text(t.tenant()), text(t.device()), text(t.manifest_sha256()), from_micros(t.issued_us()),
          from_micros(t.expires_us())};
}

template <class Table>
Result<Document> checked(const Table& table) {
  if (table.version() > kDocumentVersion) {
    return Error{Errc::unsupported, "release document version " + std::to_string(table.version()) +
                                        " is newer than this program: update it"};
  }
  auto document = read(table);
  if (const auto wrong = problem(document); !wrong.empty()) return impossible(wrong);
  return Document(std::move(document));
}

}  // namespace

std::string encode(const Document& document) {
  Builder b;
  const auto kind = std::array{fbs::Document::KeyList, fbs::Document::Manifest,
                               fbs::Document::Assignment}[document.index()];
  const auto body = std::visit([&](const auto& one) { return put(b, one); }, document);
  fbs::FinishBodyBuffer(b, fbs::CreateBody(b, kind, body));
  return {reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()};
}

Result<Document> decode(std::string_view bytes) {
  if (bytes.size() > kDocumentBytesMax) return Error{Errc::limit, "release document too long"};
  const schemas::Verified<fbs::Body> body(bytes, fbs::BodyIdentifier(), kTablesMax);
  if (!body) return Error{Errc::corrupt, "release document: damaged bytes"};
  if (const auto* t = body->document_as<fbs::KeyList>()) return checked(*t);
  if (const auto* t = body->document_as<fbs::Manifest>()) return checked(*t);
  if (const auto* t = body->document_as<fbs::Assignment>()) return checked(*t);
  return Error{Errc::unsupported, "a release document this program does not know: update it"};
}

std::string schema_digest(const std::vector<model::Sensor>& sensors) {
  std::string all;
  for (const auto& sensor : sensors) {  // no name has a zero byte
    all.append(sensor.name).push_back('\0');
    all.append(sensor.unit).push_back('\0');
  }
  return trust::sha256_hex(all);
}

}  // namespace lapwing::release
