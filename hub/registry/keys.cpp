// SPDX-License-Identifier: Apache-2.0
#include "hub/registry/keys.hpp"

#include "hub/store/models.hpp"
#include "shared/base/log.hpp"
#include "shared/release/judge.hpp"
#include "shared/release/signed.hpp"

#include <utility>

namespace lapwing::hub {
namespace {

using release::KeyList;
using release::Signed;

/// The first list: nobody was there before who could speak for it but its own roots.
Result<void> check_first(const Signed& document, const KeyList& list, Time at) {
  if (document.signers_among(list.roots).size() < list.threshold) {
    return Error{Errc::denied, "wrong_key: key list " + std::to_string(list.number) +
                                   " is signed by fewer than " + std::to_string(list.threshold) +
                                   " of its own root keys"};
  }
  if (at >= list.expires) {
    return Error{Errc::denied, "expired: key list " + std::to_string(list.number) + " held until " +
                                   to_rfc3339(list.expires)};
  }
  return {};
}

}  // namespace

Result<std::optional<KeyList>> known_keys(Store& store) {
  const auto bytes = store.models().newest_keys();
  if (!bytes) return bytes.error();
  if (!*bytes) return std::optional<KeyList>();
  auto document = Signed::decode(**bytes);
  if (!document) return within("the stored key list", std::move(document).error());
  const auto* const list = std::get_if<KeyList>(&document->document());
  if (list == nullptr) return Error{Errc::corrupt, "the stored key list is another document"};
  return std::optional(*list);
}

Result<KeyList> take_keys(Store& store, std::string_view signed_list, const std::string& tenant,
                          const std::string& actor, Time at) {
  const auto document = Signed::decode(signed_list);
  if (!document) return document.error();
  const auto* const list = std::get_if<KeyList>(&document->document());
  if (list == nullptr) return Error{Errc::bad_input, "it is no key list"};
  auto known = known_keys(store);
  if (!known) return known.error();
  if (*known) {
    release::Judge judge({.keys = **known});
    if (auto taken = judge.take_keys(*document, at); !taken) return taken.error();
    if (**known == *list) return *list;
  } else if (auto good = check_first(*document, *list, at); !good) {
    return good.error();
  }
  if (auto kept = store.models().add_keys(list->number, signed_list, at); !kept) {
    return kept.error();
  }
  const auto name = "key list " + std::to_string(list->number);
  log::info("key list taken", {{"number", list->number}, {"actor", actor}});
  auto noted = store.add_audit({.tenant = tenant,
                                .at = at,
                                .actor = actor,
                                .action = "keys.import",
                                .subject = name,
                                .detail = *known ? "" : "the first, trusted as it is"});
  if (!noted) return noted.error();
  return *list;
}

}  // namespace lapwing::hub
