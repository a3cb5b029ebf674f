// SPDX-License-Identifier: Apache-2.0
// What is signed: back and forth, damage, bounds.
#include "shared/release/signed.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace lapwing::release {
namespace {

const Time kNow = from_micros(1'790'000'000'000'000);
const std::string kDigest(64, 'a');

Manifest manifest() {
  return {.model = "pumps",
          .number = 5,
          .sha256 = kDigest,
          .length = 1000,
          .tenant = "acme",
          .device_class = "jetson",
          .schema_sha256 = std::string(64, 'b'),
          .minimum_agent = "0.1.0"};
}
Assignment assignment() {
  return {"acme", "edge-1", kDigest, kNow, kNow + std::chrono::hours(24 * 7)};
}
KeyList key_list() {
  return {.number = 1,
          .threshold = 2,
          .roots = {"r1", "r2", "r3"},
          .releases = {"m1"},
          .hubs = {"h1", "h2"},
          .expires = kNow + std::chrono::hours(24 * 365)};
}

TEST(ReleaseDocuments, ComeBackAsTheyWere) {
  for (const Document& document :
       {Document(key_list()), Document(manifest()), Document(assignment())}) {
    const auto again = decode(encode(document));
    ASSERT_TRUE(again) << again.error().context;
    EXPECT_EQ(*again, document);
  }
}

TEST(ReleaseDocuments, RefuseWhatNobodyWouldSign) {
  const auto refused = [](auto document, const auto& change) {
    change(document);
    EXPECT_FALSE(decode(encode(document)));
  };
  refused(key_list(), [](KeyList& k) { k.threshold = 0; });
  refused(key_list(), [](KeyList& k) { k.threshold = 4; });
  refused(key_list(), [](KeyList& k) { k.roots[1] = k.roots[0]; });
  refused(key_list(), [](KeyList& k) { k.releases.clear(); });
  refused(key_list(), [](KeyList& k) { k.hubs.resize(17, "x"); });
  refused(key_list(), [](KeyList& k) { k.hubs[0] = std::string(600, 'x'); });
  refused(manifest(), [](Manifest& m) { m.number = 0; });
  refused(manifest(), [](Manifest& m) { m.number = kNumberMax; });
  refused(manifest(), [](Manifest& m) { m.sha256 = "AA"; });
  refused(manifest(), [](Manifest& m) { m.length = 0; });
  refused(manifest(), [](Manifest& m) { m.tenant = ""; });
  refused(manifest(), [](Manifest& m) { m.model = std::string(300, 'x'); });
  refused(manifest(), [](Manifest& m) { m.device_class = "\xFF"; });
  refused(assignment(), [](Assignment& a) { a.device = ""; });
  refused(assignment(), [](Assignment& a) { a.expires = a.issued; });
}

TEST(ReleaseDocuments, SignaturesAreOverTheKindAndEveryByte) {
  const auto key = trust::PrivateKey::generate_ed25519().value();
  const auto other = trust::PrivateKey::generate_ed25519().value();
  const std::vector keys{key.public_pem(), other.public_pem()};
  Signed document{Document(manifest())};
  EXPECT_TRUE(document.signers_among(keys).empty());
  ASSERT_TRUE(document.sign(key));
  ASSERT_TRUE(document.sign(key));  // twice is once
  const auto bytes = document.encode();
  EXPECT_EQ(Signed::decode(bytes)->signers_among(keys), std::vector{key.public_pem()});
  // No byte can change and leave a document that this key signed and that says something else.
  std::size_t unread = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x01);
    const auto read = Signed::decode(changed);
    unread += read ? 0 : 1;
    if (!read || read->signers_among(keys).empty()) continue;
    EXPECT_EQ(read->document(), document.document()) << at;
  }
  EXPECT_GT(unread, 20U);
}

TEST(ReleaseDocuments, DamageCrashesNothing) {
  const auto key = trust::PrivateKey::generate_ed25519().value();
  Signed document{Document(key_list())};
  ASSERT_TRUE(document.sign(key));
  const auto bytes = document.encode();
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    auto changed = bytes;
    for (int n = 0; n < 4; ++n) changed[random() % changed.size()] = static_cast<char>(random());
    if (round % 4 == 0) changed.resize(random() % changed.size());
    static_cast<void>(Signed::decode(changed));
  }
}

}  // namespace
}  // namespace lapwing::release
