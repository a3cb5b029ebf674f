// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/offer_desk.hpp"

#include "hub/store/models.hpp"
#include "shared/base/log.hpp"
#include "shared/release/signed.hpp"
#include "shared/wire/topics.hpp"

#include <algorithm>
#include <variant>

namespace lapwing::hub {
namespace {

constexpr std::size_t kManifestsMax = 1'000;
constexpr std::size_t kKeysPage = 100;
constexpr std::size_t kEndingMax = 500;

}  // namespace

OfferDesk::OfferDesk(std::string replica, std::optional<trust::PrivateKey> key, Store& store,
                     Send send, Metrics& metrics)
    : replica_(std::move(replica)),
      key_(std::move(key)),
      store_(store),
      send_(std::move(send)),
      sent_(metrics.counter("hub_model_offers_sent_total",
                            "Offers of models handed to the broker, repeated ones included")),
      signed_(metrics.counter("hub_model_assignments_signed_total",
                              "Assignments of models to devices that were signed")),
      renewed_(metrics.counter("hub_model_assignments_renewed_total",
                               "Targets offered again because their assignment ends")),
      unsent_(metrics.counter("hub_model_offers_held_total",
                              "Offers that could not be made: no signing key, or no such version")),
      errors_(metrics.counter("hub_model_offer_errors_total",
                              "Looks for offers that the store failed")) {}

void OfferDesk::failed(const char* what, const Error& error) {
  errors_.add();
  log::warn(what, {error});
}

bool OfferDesk::round(Time at) {
  if (at >= next_renewal_ || next_renewal_ - at > kLookForEnding) {
    next_renewal_ = at + kLookForEnding;
    if (key_) renew(at);
  }
  const auto due = store_.targets().due(replica_, at, kRoundMax);
  if (!due) {
    failed("cannot look for offers", due.error());
    return false;
  }
  if (due->empty()) return false;
  if (auto read = read_keys(); !read) failed("key lists cannot be read", read.error());
  std::vector<DueTarget> sent;
  for (const auto& one : *due) {
    const auto& key = one.row.target.key;
    const auto offer = offer_of(one.row, at);
    if (!offer) {
      unsent_.add();
      log::warn("model not offered", {{"device", key.tenant + "/" + key.device},
                                      {"model", one.row.target.model},
                                      offer.error()});
    } else {
      const auto topic = wire::topic({key.tenant, key.device}, wire::Channel::offer);
      if (!send_(topic, writer_.seal(wire::encode(*offer)))) break;
      sent_.add();
    }
    sent.push_back(one);  // one that cannot be made is looked at again as late as one that was sent
  }
  if (const auto marked = store_.targets().mark_sent(sent, at); !marked) {
    failed("cannot note that offers were sent", marked.error());
    return false;
  }
  return sent.size() == kRoundMax;
}

void OfferDesk::renew(Time at) {
  const auto ending = store_.targets().ending(at + kRenewBefore, kEndingMax);
  if (!ending) return failed("cannot look for assignments that end", ending.error());
  for (const auto& row : *ending) {
    const auto done = store_.targets().offer_again(row.target.key, row.target.model, row.offer, at);
    if (!done) return failed("an assignment that ends cannot be renewed", done.error());
    renewed_.add();
  }
  if (ending->size() == kEndingMax) next_renewal_ = at;
}

Result<wire::Offer> OfferDesk::offer_of(const TargetRow& row, Time at) {
  wire::Offer offer{.offer = row.offer,
                    .model = row.target.model,
                    .number = row.target.number,
                    .stage = row.target.stage,
                    .rollout = row.target.rollout};
  if (row.target.number != 0) {
    auto manifest = manifest_of(row.target);
    if (!manifest) return manifest.error();
    auto assignment = assign(row, *manifest, at);
    if (!assignment) return assignment.error();
    offer.manifest = *std::move(manifest);
    offer.assignment = *std::move(assignment);
  }
  const auto used = offer.manifest.size() + offer.assignment.size() + 8 * 1024;
  offer.keys = keys_above(row, wire::kOfferBytesMax - used);
  return offer;
}

Result<std::string> OfferDesk::manifest_of(const Target& target) {
  const auto key = std::pair(target.key.tenant, std::pair(target.model, target.number));
  const auto known = manifests_.find(key);
  if (known != manifests_.end()) return known->second;
  auto version = store_.models().version(target.key.tenant, target.model, target.number);
  if (!version) return version.error();
  if (manifests_.size() >= kManifestsMax) manifests_.clear();
  return manifests_[key] = std::move(version->manifest);
}

/// The one there is, while it holds long enough.
Result<std::string> OfferDesk::assign(const TargetRow& row, const std::string& manifest, Time at) {
  if (!row.assignment.empty() && row.until && *row.until >= at + kRenewBefore) {
    return row.assignment;
  }
  if (!key_) {
    return Error{Errc::bad_config, "the hub has no signing key: see [models] signing_key"};
  }
  const auto read = release::Signed::decode(manifest);
  if (!read) return read.error();
  const Time until = at + kHolds;
  release::Signed document(release::Assignment{.tenant = row.target.key.tenant,
                                               .device = row.target.key.device,
                                               .manifest_sha256 = read->body_sha256(),
                                               .issued = at,
                                               .expires = until});
  if (auto done = document.sign(*key_); !done) return done.error();
  auto bytes = document.encode();
  if (auto kept =
          store_.targets().assign(row.target.key, row.target.model, row.offer, bytes, until);
      !kept) {
    return kept.error();
  }
  signed_.add();
  return bytes;
}

/// Those that came since.
Result<void> OfferDesk::read_keys() {
  for (;;) {
    const auto lists =
        store_.models().keys_after(keys_.empty() ? 0 : keys_.back().first, kKeysPage);
    if (!lists) return lists.error();
    for (const auto& bytes : *lists) {
      const auto list = release::Signed::decode(bytes);
      if (!list) return list.error();
      const auto* keys = std::get_if<release::KeyList>(&list->document());
      if (keys == nullptr) return Error{Errc::corrupt, "a key list is another document"};
      keys_.emplace_back(keys->number, bytes);
    }
    if (keys_.size() > kKeysMax) {
      keys_.erase(keys_.begin(), keys_.end() - static_cast<std::ptrdiff_t>(kKeysMax));
    }
    if (lists->size() < kKeysPage) return {};
  }
}

std::vector<std::string> OfferDesk::keys_above(const TargetRow& row, std::size_t bytes_max) const {
  std::vector<std::string> lists;
  const auto number = row.report.keys_number;
  auto at = std::find_if(keys_.begin(), keys_.end(),
                         [number](const auto& one) { return one.first > number; });
  if (number == 0 && keys_.size() > wire::kOfferKeysMax) {
    at = keys_.end() - static_cast<std::ptrdiff_t>(wire::kOfferKeysMax);
  }
  for (std::size_t bytes = 0; at != keys_.end() && lists.size() < wire::kOfferKeysMax; ++at) {
    bytes += at->second.size();
    if (bytes > bytes_max) break;
    lists.push_back(at->second);
  }
  return lists;
}

Result<std::optional<trust::PrivateKey>> load_signing_key(const std::string& file, bool required) {
  auto key = trust::PrivateKey::load(file);
  if (!key && key.error().code == Errc::not_found && !required) {
    return std::optional<trust::PrivateKey>();
  }
  if (!key) return Error{Errc::bad_config, "models.signing_key: " + key.error().context};
  if (auto works = trust::sign(*key, ""); !works) {
    return Error{Errc::bad_config, "models.signing_key: " + file +
                                       " is no Ed25519 key; `lapwing keys new` makes one"};
  }
  return std::optional(*std::move(key));
}

}  // namespace lapwing::hub
