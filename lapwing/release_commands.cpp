// SPDX-License-Identifier: Apache-2.0
#include "lapwing/release_commands.hpp"

#include "lapwing/support.hpp"
#include "shared/base/config.hpp"
#include "shared/base/files.hpp"
#include "shared/model/model.hpp"
#include "shared/release/judge.hpp"
#include "shared/release/signed.hpp"
#include "shared/trust/key.hpp"

#include <ostream>
#include <utility>

namespace lapwing::cli {
namespace {

namespace fs = std::filesystem;
using release::KeyList;
using release::Manifest;
using release::Signed;

Result<Signed> load(const fs::path& file) {
  const auto bytes = read_file(file, release::kSignedBytesMax);
  if (!bytes) return bytes.error();
  auto document = Signed::decode(*bytes);
  if (!document) return within(file.string(), std::move(document).error());
  return document;
}

/// Checks what was made by reading it back: nobody is given a document that devices would refuse.
Result<void> store(const fs::path& file, const Signed& document) {
  const auto bytes = document.encode();
  if (auto good = Signed::decode(bytes); !good) return good.error();
  return write_file_atomic(file, bytes);
}

Result<std::vector<std::string>> public_keys(const std::vector<fs::path>& files) {
  std::vector<std::string> keys;
  for (const auto& file : files) {
    auto pem = read_file(file, release::kKeyBytesMax);
    if (!pem) return pem.error();
    if (!pem->starts_with("-----BEGIN PUBLIC KEY-----")) {
      return Error{Errc::bad_input,
                   file.string() + ": no public key; `lapwing keys new` makes one"};
    }
    keys.push_back(*std::move(pem));
  }
  return keys;
}

std::string ids(const std::vector<std::string>& keys) {
  std::string all;
  for (const auto& key : keys) all += (all.empty() ? "" : " ") + release::key_id(key);
  return all.empty() ? "-" : all;
}

fs::path manifest_of(const fs::path& model, const fs::path& given) {
  return given.empty() ? fs::path(model).replace_extension(".manifest") : given;
}

void print(const Signed& document, const KeyList& list, std::ostream& out) {
  out << "key list " << list.number << ", until " << to_rfc3339(list.expires) << "\n  roots     "
      << ids(list.roots) << " (" << list.threshold << " of them sign)\n  releases  "
      << ids(list.releases) << "\n  hubs      " << ids(list.hubs) << "\n  signed by "
      << ids(document.signers_among(list.roots)) << '\n';
}

void print(const Manifest& m, std::ostream& out) {
  out << "version " << m.number << " of " << m.model << ", " << m.length << " bytes, SHA-256 "
      << m.sha256 << "\n  tenant " << m.tenant << ", class "
      << (m.device_class.empty() ? "any" : m.device_class) << ", agent "
      << (m.minimum_agent.empty() ? "any" : "from " + m.minimum_agent) << '\n';
}

}  // namespace

int run_keys_new(const fs::path& name, std::ostream& out, std::ostream& err) {
  const auto key = trust::PrivateKey::generate_ed25519();
  if (!key) return fail(err, key.error());
  const auto secret = fs::path(name).concat(".key");
  const auto open = fs::path(name).concat(".pub");
  if (auto done = key->write_new(secret); !done) return fail(err, done.error());
  const auto pem = key->public_pem();
  if (auto done = write_file_atomic(open, pem); !done) return fail(err, done.error());
  out << secret.string() << ": keep it to yourself, and a copy of it elsewhere\n"
      << open.string() << ": key " << release::key_id(pem) << '\n';
  return 0;
}

int run_keys_list(const KeyListCommand& command, std::ostream& out, std::ostream& err) {
  auto roots = public_keys(command.roots);
  auto releases = public_keys(command.releases);
  auto hubs = public_keys(command.hubs);
  for (const auto* keys : {&roots, &releases, &hubs}) {
    if (!*keys) return fail(err, keys->error());
  }
  const auto lasts = config::parse_duration(command.expires);
  if (!lasts) return fail(err, within("--expires", lasts.error()));
  const Signed document{KeyList{.number = command.number,
                                .threshold = command.threshold,
                                .roots = *std::move(roots),
                                .releases = *std::move(releases),
                                .hubs = *std::move(hubs),
                                .expires = now() + *lasts}};
  if (auto done = store(command.out, document); !done) return fail(err, done.error());
  print(document, std::get<KeyList>(document.document()), out);
  out << command.out.string() << ": now `lapwing keys sign` it with " << command.threshold
      << " root keys, and with as many of the list's before it\n";
  return 0;
}

int run_keys_sign(const fs::path& file, const fs::path& key_file, std::ostream& out,
                  std::ostream& err) {
  auto document = load(file);
  if (!document) return fail(err, document.error());
  const auto key = trust::PrivateKey::load(key_file);
  if (!key) return fail(err, key.error());
  if (auto done = document->sign(*key); !done) return fail(err, done.error());
  if (auto done = store(file, *document); !done) return fail(err, done.error());
  out << file.string() << ": signed with " << release::key_id(key->public_pem()) << '\n';
  return 0;
}

int run_keys_show(const fs::path& file, std::ostream& out, std::ostream& err) {
  const auto document = load(file);
  if (!document) return fail(err, document.error());
  if (const auto* list = std::get_if<KeyList>(&document->document())) {
    print(*document, *list, out);
  } else if (const auto* manifest = std::get_if<Manifest>(&document->document())) {
    print(*manifest, out);
  } else {
    const auto& one = std::get<release::Assignment>(document->document());
    out << "assignment of " << one.tenant << '/' << one.device << " to the manifest "
        << one.manifest_sha256 << ", " << to_rfc3339(one.issued) << " to "
        << to_rfc3339(one.expires) << '\n';
  }
  return 0;
}

namespace {

/// Signs `file` as a version, into `into`.
Result<void> sign_version(const SignCommand& command, const fs::path& file, std::uint64_t number,
                          const trust::PrivateKey& key, const fs::path& into, std::ostream& out) {
  const auto model = model::Model::open(file);
  if (!model) return model.error();
  if (const auto detector = model->make_detector(); !detector) {
    return within(file.string(), detector.error());
  }
  const Manifest manifest{.model = command.model,
                          .number = number,
                          .sha256 = model->sha256(),
                          .length = model->file_bytes().size(),
                          .tenant = command.tenant,
                          .device_class = command.device_class,
                          .schema_sha256 = release::schema_digest(model->header().sensors),
                          .minimum_agent = command.minimum_agent};
  Signed document{manifest};
  if (auto done = document.sign(key); !done) return done;
  if (auto done = store(into, document); !done) return done;
  print(manifest, out);
  out << into.string() << ": signed with " << release::key_id(key.public_pem()) << '\n';
  return {};
}

}  // namespace

int run_model_sign(const SignCommand& command, std::ostream& out, std::ostream& err) {
  const auto key = trust::PrivateKey::load(command.key);
  if (!key) return fail(err, key.error());
  const auto manifest = manifest_of(command.file, command.out);
  auto done = sign_version(command, command.file, command.number, *key, manifest, out);
  if (done && !command.undo.empty()) {
    done = sign_version(command, command.undo, command.number + 1, *key,
                        fs::path(manifest).replace_extension(".undo.manifest"), out);
  }
  return done ? 0 : fail(err, done.error());
}

int run_model_verify(const VerifyCommand& command, std::ostream& out, std::ostream& err) {
  const auto list = load(command.keys);
  if (!list) return fail(err, list.error());
  const auto* const keys = std::get_if<KeyList>(&list->document());
  if (keys == nullptr) {
    return fail(err, Error{Errc::bad_input, command.keys.string() + ": no key list"});
  }
  if (list->signers_among(keys->roots).size() < keys->threshold) {
    return fail(err,
                Error{Errc::denied, command.keys.string() + ": signed by fewer than " +
                                        std::to_string(keys->threshold) + " of its root keys"});
  }
  const auto manifest_file = manifest_of(command.file, command.manifest);
  const auto document = load(manifest_file);
  if (!document) return fail(err, document.error());
  const auto* const manifest = std::get_if<Manifest>(&document->document());
  if (manifest == nullptr) {
    return fail(err, Error{Errc::bad_input, manifest_file.string() + ": no manifest"});
  }
  const auto signer = release::Judge::release_key(*keys, *document);
  if (!signer) return fail(err, signer.error());
  const auto model = model::Model::open(command.file);
  if (!model) return fail(err, model.error());
  if (auto same = release::Judge::check_file(*manifest, *model); !same) {
    return fail(err, within(command.file.string(), std::move(same).error()));
  }
  print(*manifest, out);
  out << command.file.string() << ": signed with " << release::key_id(*signer)
      << ", a release key of key list " << keys->number << '\n';
  return 0;
}

}  // namespace lapwing::cli
