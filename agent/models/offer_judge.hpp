// SPDX-License-Identifier: Apache-2.0
/// Which offers this device takes.
#pragma once

#include "agent/models/activation.hpp"
#include "agent/models/remembered.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/release/judge.hpp"
#include "shared/wire/models.hpp"

#include <string>
#include <utility>

namespace lapwing::agent {

/// Brings an offer before the judge, and keeps what the judge then remembers: also newer keys of an
/// offer that is refused.
/// Threads: one at a time.
class OfferJudge {
 public:
  /// Borrows `trust`, which has a judge at each call. `device`: without the schema.
  OfferJudge(ModelTrust& trust, release::Device device)
      : trust_(trust), device_(std::move(device)) {}

  /// What may be taken of it; it is accepted then. `schema`: of the rows that the model scores, see
  /// release::schema_digest. Errors: denied (the refusal), corrupt and what decoding says; io,
  /// limit: what is to be remembered could not be kept, try again.
  Result<Offered> judge(const wire::Offer& offer, const std::string& schema, Time now);

 private:
  /// What is wrong with the newest list, in brackets; empty: nothing.
  Result<std::string> take_keys(const wire::Offer& offer, Time now);

  ModelTrust& trust_;
  release::Device device_;
};

}  // namespace lapwing::agent
