// SPDX-License-Identifier: Apache-2.0
#include "agent/models/offer_judge.hpp"

#include "shared/release/signed.hpp"

namespace lapwing::agent {

Result<std::string> OfferJudge::take_keys(const wire::Offer& offer, Time now) {
  release::Judge& judge = *trust_.judge();
  const auto before = judge.remembered().keys.number;
  std::string problem;
  for (const std::string& list : offer.keys) {
    const auto keys = release::Signed::decode(list);
    const auto taken = keys ? judge.take_keys(*keys, now) : Result<void>(keys.error());
    // Lists the device has already are older; one that is wrong shows in what follows.
    if (!taken && !taken.error().context.starts_with("rollback")) {
      problem = " (" + taken.error().context + ")";
    }
  }
  if (judge.remembered().keys.number != before) {
    if (auto kept = trust_.keep(); !kept) return kept.error();
  }
  return problem;
}

Result<Offered> OfferJudge::judge(const wire::Offer& offer, const std::string& schema, Time now) {
  Offered offered{.offer = offer.offer,
                  .rollout = offer.rollout,
                  .version = {.number = offer.number},
                  .stage = offer.stage};
  if (offer.number == 0) return offered;
  const auto about_keys = take_keys(offer, now);
  if (!about_keys) return about_keys.error();
  const auto manifest = release::Signed::decode(offer.manifest);
  if (!manifest) return within("manifest", manifest.error());
  const auto assignment = release::Signed::decode(offer.assignment);
  if (!assignment) return within("assignment", assignment.error());
  device_.schema_sha256 = schema;
  release::Judge& judge = *trust_.judge();
  auto approved = judge.approve(*manifest, *assignment, device_, now);
  if (!approved) {
    auto why = std::move(approved).error();
    why.context += *about_keys;
    return why;
  }
  const auto& m = approved->manifest;
  if (m.model != offer.model || m.number != offer.number) {
    return Error{Errc::denied, "mismatch: the manifest is of version " + std::to_string(m.number) +
                                   " of " + m.model};
  }
  judge.accept(*approved);
  if (auto kept = trust_.keep(); !kept) return kept.error();
  offered.version = {.number = m.number, .sha256 = m.sha256, .length = m.length};
  return offered;
}

}  // namespace lapwing::agent
