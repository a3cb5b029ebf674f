// SPDX-License-Identifier: Apache-2.0
/// Keys, lists and manifests as those who release models make them.
#pragma once

#include "shared/model/model.hpp"
#include "shared/model/train_csv.hpp"
#include "shared/release/signed.hpp"
#include "shared/trust/key.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lapwing::testing {

inline trust::PrivateKey new_key() { return trust::PrivateKey::generate_ed25519().value(); }

/// Two roots that must both sign, a release key and a hub's.
struct Signers {
  trust::PrivateKey root_1 = new_key();
  trust::PrivateKey root_2 = new_key();
  trust::PrivateKey release = new_key();
  trust::PrivateKey hub = new_key();

  [[nodiscard]] release::KeyList list(std::uint64_t number, Time expires) const {
    return {.number = number,
            .threshold = 2,
            .roots = {root_1.public_pem(), root_2.public_pem()},
            .releases = {release.public_pem()},
            .hubs = {hub.public_pem()},
            .expires = expires};
  }
  [[nodiscard]] std::string signed_list(const release::KeyList& list) const {
    release::Signed document{list};
    EXPECT_TRUE(document.sign(root_1));
    EXPECT_TRUE(document.sign(root_2));
    return document.encode();
  }
};

inline std::string signed_by(const trust::PrivateKey& key, const release::Document& one) {
  release::Signed document{one};
  EXPECT_TRUE(document.sign(key));
  return document.encode();
}

inline release::Manifest manifest_of(const model::Model& model, std::uint64_t number,
                                     const std::string& tenant = "acme",
                                     const std::string& name = "pumps") {
  return {.model = name,
          .number = number,
          .sha256 = model.sha256(),
          .length = model.file_bytes().size(),
          .tenant = tenant,
          .device_class = {},
          .schema_sha256 = release::schema_digest(model.header().sensors),
          .minimum_agent = {}};
}

/// Rows of two sensors, a minute apart.
inline std::string pump_csv(std::int64_t rows) {
  std::string text = "timestamp,flow,pressure,label\n";
  for (std::int64_t i = 0; i < rows; ++i) {
    text += std::to_string(1'700'000'000 + 60 * i) + "," + std::to_string((i * 7919) % 101) + "." +
            std::to_string((i * 104'729) % 10) + "," + std::to_string((i * 15'485'863) % 53) +
            ",0\n";
  }
  return text;
}

inline const model::Model& small_model() {
  static const auto model =
      model::Model::read(model::train_csv({.reading = {.file = "pump.csv", .value_columns = {"*"}},
                                           .text = pump_csv(300),
                                           .units = {{"pressure", "bar"}},
                                           .parameters = {{"trees", 10}}})
                             .value()
                             .trained.file)
          .value();
  return model;
}

}  // namespace lapwing::testing
