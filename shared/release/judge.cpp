// SPDX-License-Identifier: Apache-2.0
#include "shared/release/judge.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace lapwing::release {
namespace {

Error refuse(Refusal refusal, const std::string& what) {
  return {Errc::denied, std::string(word(refusal)) + ": " + what};
}

Error another_document(const char* wanted) {
  return {Errc::bad_input, std::string("another document where ") + wanted + " was expected"};
}

/// `1.2.3` as numbers; what is missing or no number is 0.
std::array<unsigned, 3> version_of(std::string_view text) {
  std::array<unsigned, 3> parts{};
  for (auto& part : parts) {
    const auto* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, part);
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    if (!text.starts_with('.')) break;
    text.remove_prefix(1);
  }
  return parts;
}

std::string called(const Manifest& m) {
  return "version " + std::to_string(m.number) + " of " + m.model;
}

}  // namespace

std::string_view word(Refusal refusal) {
  constexpr std::array<std::string_view, 9> kWords{"wrong_key",   "expired",      "rollback",
                                                   "mismatch",    "wrong_tenant", "wrong_device",
                                                   "wrong_class", "wrong_schema", "agent_too_old"};
  return kWords[static_cast<std::size_t>(refusal)];
}

Result<void> Judge::take_keys(const Signed& list, Time now) {
  const auto* const next = std::get_if<KeyList>(&list.document());
  if (next == nullptr) return another_document("a key list");
  auto& keys = remembered_.keys;
  if (*next == keys) return {};
  const auto name = "key list " + std::to_string(next->number);
  if (next->number <= keys.number) {
    return refuse(Refusal::rollback, name + " after " + std::to_string(keys.number));
  }
  if (list.signers_among(keys.roots).size() < keys.threshold) {
    return refuse(Refusal::wrong_key, name + " is signed by fewer than " +
                                          std::to_string(keys.threshold) +
                                          " of the root keys known here");
  }
  if (list.signers_among(next->roots).size() < next->threshold) {
    return refuse(Refusal::wrong_key, name + " is signed by fewer than " +
                                          std::to_string(next->threshold) +
                                          " of its own root keys");
  }
  if (now >= next->expires) {
    return refuse(Refusal::expired, name + " held until " + to_rfc3339(next->expires));
  }
  keys = *next;
  std::erase_if(remembered_.models, [&keys](const auto& one) {
    return std::ranges::find(keys.releases, one.second.release_key) == keys.releases.end();
  });
  return {};
}

Result<Approved> Judge::approve(const Signed& signed_manifest, const Signed& signed_assignment,
                                const Device& device, Time now) const {
  const auto* const m = std::get_if<Manifest>(&signed_manifest.document());
  const auto* const a = std::get_if<Assignment>(&signed_assignment.document());
  if (m == nullptr) return another_document("a manifest");
  if (a == nullptr) return another_document("an assignment");
  const auto& keys = remembered_.keys;
  if (now >= keys.expires) {
    return refuse(Refusal::expired, "the key list held until " + to_rfc3339(keys.expires));
  }
  auto signer = release_key(keys, signed_manifest);
  if (!signer) return signer.error();
  if (signed_assignment.signers_among(keys.hubs).empty()) {
    return refuse(Refusal::wrong_key, "the assignment is signed by no hub's key of the list");
  }
  if (a->manifest_sha256 != signed_manifest.body_sha256()) {
    return refuse(Refusal::mismatch, "the assignment names another manifest than " + called(*m));
  }
  if (m->tenant != device.tenant || a->tenant != device.tenant) {
    return refuse(
        Refusal::wrong_tenant,
        called(*m) + " is " + (m->tenant != device.tenant ? m->tenant : a->tenant) + "'s");
  }
  if (a->device != device.name) {
    return refuse(Refusal::wrong_device, "the assignment is for " + a->device);
  }
  if (!m->device_class.empty() && m->device_class != device.device_class) {
    return refuse(Refusal::wrong_class, called(*m) + " is for the class " + m->device_class);
  }
  if (m->schema_sha256 != device.schema_sha256) {
    return refuse(Refusal::wrong_schema,
                  called(*m) + " takes other sensors, units or another order than this device has");
  }
  if (version_of(device.agent_version) < version_of(m->minimum_agent)) {
    return refuse(Refusal::agent_too_old, called(*m) + " needs the agent " + m->minimum_agent);
  }
  if (now >= a->expires) {
    return refuse(Refusal::expired, "the assignment held until " + to_rfc3339(a->expires));
  }
  if (a->expires - a->issued > kAssignmentMax) {
    return refuse(Refusal::expired, "the assignment is valid for longer than 31 days");
  }
  if (const auto known = remembered_.models.find(m->model); known != remembered_.models.end()) {
    if (m->number < known->second.number) {
      return refuse(Refusal::rollback,
                    called(*m) + " after " + std::to_string(known->second.number));
    }
    if (m->number == known->second.number && m->sha256 != known->second.sha256) {
      return refuse(Refusal::mismatch, called(*m) + " has another content than before");
    }
  }
  return Approved{*m, *std::move(signer), a->expires};
}

Result<std::string> Judge::release_key(const KeyList& keys, const Signed& manifest) {
  auto signers = manifest.signers_among(keys.releases);
  if (!signers.empty()) return std::move(signers.front());
  return refuse(Refusal::wrong_key, "the manifest is signed by no release key of the list");
}

Result<void> Judge::check_file(const Manifest& manifest, const model::Model& file) {
  if (file.file_bytes().size() != manifest.length || file.sha256() != manifest.sha256) {
    return refuse(Refusal::mismatch, "the file is not " + called(manifest));
  }
  if (schema_digest(file.header().sensors) != manifest.schema_sha256) {
    return refuse(Refusal::mismatch, "the file takes other sensors than its manifest says");
  }
  return {};
}

void Judge::accept(const Approved& approved) {
  remembered_.models[approved.manifest.model] = {approved.manifest.number, approved.manifest.sha256,
                                                 approved.release_key};
  remembered_.until = approved.until;
}

}  // namespace lapwing::release
