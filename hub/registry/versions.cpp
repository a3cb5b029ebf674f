// SPDX-License-Identifier: Apache-2.0
#include "hub/registry/versions.hpp"

#include "hub/registry/keys.hpp"
#include "shared/release/judge.hpp"
#include "shared/release/signed.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

using release::KeyList;
using release::Manifest;
using release::Signed;

Error refuse(release::Refusal refusal, const std::string& what) {
  return {Errc::denied, std::string(release::word(refusal)) + ": " + what};
}

std::string called(const Manifest& m) {
  return "version " + std::to_string(m.number) + " of " + m.model;
}

/// Names and units of the stored header's sensors.
Result<std::vector<model::Sensor>> sensors_of(const ModelFileRow& file) {
  const auto header = nlohmann::json::parse(file.header, nullptr, false);
  std::vector<model::Sensor> sensors;
  if (header.is_object() && header.contains("sensors") && header["sensors"].is_array()) {
    for (const auto& one : header["sensors"]) {
      if (!one.is_object() || !one.contains("name") || !one["name"].is_string()) break;
      model::Sensor sensor{.name = one["name"].get<std::string>()};
      if (one.contains("unit") && one["unit"].is_string()) {
        sensor.unit = one["unit"].get<std::string>();
      }
      sensors.push_back(std::move(sensor));
    }
    if (sensors.size() == header["sensors"].size()) return sensors;
  }
  return Error{Errc::corrupt, "the stored header of " + file.sha256 + " cannot be read"};
}

/// What can be said without a device: the judge's first words (release/judge.cpp).
Result<void> check_manifest(const KeyList& keys, const Signed& document, const Manifest& m,
                            std::string_view tenant, Time at) {
  if (at >= keys.expires) {
    return refuse(release::Refusal::expired,
                  "the hub's key list held until " + to_rfc3339(keys.expires));
  }
  if (auto signer = release::Judge::release_key(keys, document); !signer) return signer.error();
  if (m.tenant != tenant) {
    return refuse(release::Refusal::wrong_tenant, called(m) + " is " + m.tenant + "'s");
  }
  return {};
}

Result<void> check_file(Store& store, const Manifest& m) {
  const auto file = store.models().file(m.tenant, m.sha256);
  if (!file && file.error().code == Errc::not_found) {
    return Error{Errc::not_found,
                 "the file of " + called(m) + " is not here: bring it first (" + m.sha256 + ")"};
  }
  if (!file) return file.error();
  if (file->length != m.length) {
    return refuse(release::Refusal::mismatch, "the file has " + std::to_string(file->length) +
                                                  " bytes, the manifest says " +
                                                  std::to_string(m.length));
  }
  const auto sensors = sensors_of(*file);
  if (!sensors) return sensors.error();
  if (release::schema_digest(*sensors) != m.schema_sha256) {
    return refuse(release::Refusal::mismatch,
                  "the file takes other sensors than its manifest says");
  }
  return {};
}

/// Versions from `number` on that no key of the list signed go.
Result<void> drop_disowned(Store& store, const KeyList& keys, const Manifest& m,
                           const std::string& actor, Time at) {
  for (;;) {
    const auto page = store.models().versions(m.tenant, m.model, {.limit = 1});
    if (!page) return page.error();
    if (page->items.empty() || page->items.front().number < m.number) return {};
    const auto& newest = page->items.front();
    const auto document = Signed::decode(newest.manifest);
    if (document && release::Judge::release_key(keys, *document)) return {};
    auto gone = store.models().drop_version(m.tenant, m.model, newest.number);
    if (!gone) return gone;
    auto noted = store.add_audit({.tenant = m.tenant,
                                  .at = at,
                                  .actor = actor,
                                  .action = "model.disown",
                                  .subject = m.model + " " + std::to_string(newest.number),
                                  .detail = "its release key is not in the key list any more"});
    if (!noted) return noted;
  }
}

}  // namespace

Result<ModelVersionRow> take_version(Store& store, std::string_view tenant,
                                     std::string_view signed_manifest, const std::string& actor,
                                     Time at) {
  const auto document = Signed::decode(signed_manifest);
  if (!document) return document.error();
  const auto* const m = std::get_if<Manifest>(&document->document());
  if (m == nullptr) return Error{Errc::bad_input, "it is no manifest"};
  const auto keys = known_keys(store);
  if (!keys) return keys.error();
  if (!*keys) {
    return Error{Errc::denied,
                 "wrong_key: the hub has no key list yet; `lapwing-hub keys import` gives it one"};
  }
  if (auto good = check_manifest(**keys, *document, *m, tenant, at); !good) return good.error();
  if (auto good = check_file(store, *m); !good) return good.error();
  if (auto done = drop_disowned(store, **keys, *m, actor, at); !done) return done.error();
  const ModelVersionRow row{.tenant = m->tenant,
                            .model = m->model,
                            .number = m->number,
                            .sha256 = m->sha256,
                            .manifest = std::string(signed_manifest),
                            .device_class = m->device_class,
                            .actor = actor,
                            .created_at = at};
  if (auto kept = store.models().add_version(row); !kept) return kept.error();
  auto noted = store.add_audit({.tenant = row.tenant,
                                .at = at,
                                .actor = actor,
                                .action = "model.version",
                                .subject = row.model + " " + std::to_string(row.number),
                                .detail = row.sha256});
  if (!noted) return noted.error();
  return store.models().version(row.tenant, row.model, row.number);
}

}  // namespace lapwing::hub
