// SPDX-License-Identifier: Apache-2.0
/// Model files in parts, versions that only grow, key lists.
#include "hub/store/models.hpp"
#include "tests/hub/store/store_contract.hpp"

namespace lapwing::hub {
namespace {

using std::chrono::seconds;

constexpr std::size_t kPart = Models::kPartBytes;

std::string digest(char digit) { return std::string(64, digit); }

ModelFileRow model_file(Time at, const std::string& sha256, const std::string& tenant = "acme") {
  return {.tenant = tenant,
          .sha256 = sha256,
          .kind = "isolation_forest",
          .header = R"({"kind":"isolation_forest"})",
          .report = R"({"held_out":null})",
          .picture = "<svg/>",
          .job = 7,
          .actor = "t1",
          .created_at = at};
}

ModelVersionRow model_version(Time at, std::uint64_t number, const std::string& sha256,
                              const std::string& model = "pumps",
                              const std::string& tenant = "acme") {
  return {.tenant = tenant,
          .model = model,
          .number = number,
          .sha256 = sha256,
          .manifest = std::string("signed\0", 7) + std::to_string(number),
          .device_class = "edge",
          .actor = "t1",
          .created_at = at};
}

/// No two parts alike.
std::string content(std::size_t length) {
  std::string bytes(length, '\0');
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(i % 251 + i / kPart);
  return bytes;
}

}  // namespace

TEST_P(StoreContract, KeepsAModelFileWholeAtEveryLength) {
  char digit = '0';
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, kPart - 1, kPart, kPart + 1, 2 * kPart, 3 * kPart + 17}) {
    const auto bytes = content(length);
    const auto sha256 = digest(digit++);
    ASSERT_TRUE(store_->models().add_file(model_file(t0_, sha256), bytes)) << length;
    EXPECT_EQ(store_->models().file("acme", sha256)->length, length);
    std::string back;
    const auto parts = (length + kPart - 1) / kPart;
    for (std::size_t i = 0; i < parts; ++i) {
      const auto part = store_->models().part("acme", sha256, i);
      ASSERT_TRUE(part) << length << ", part " << i;
      EXPECT_EQ(part->size(), std::min(kPart, length - i * kPart));
      back += *part;
    }
    EXPECT_TRUE(back == bytes) << length;
    for (const auto beyond : {std::uint64_t{parts}, ~std::uint64_t{0}}) {
      EXPECT_EQ(store_->models().part("acme", sha256, beyond).error().code, Errc::not_found);
    }
  }
}

TEST_P(StoreContract, KeepsWhatIsToldOfAModelFile) {
  const auto row = model_file(t0_, digest('a'));
  ASSERT_TRUE(store_->models().add_file(row, "bytes"));
  auto again = model_file(t0_ + seconds(9), digest('a'));
  again.kind = "pca";
  ASSERT_TRUE(store_->models().add_file(again, "bytes")) << "the same file again";
  reopen();
  const auto kept = store_->models().file("acme", digest('a')).value();
  EXPECT_EQ(kept.kind, "isolation_forest");
  EXPECT_EQ(kept.header, row.header);
  EXPECT_EQ(kept.report, row.report);
  EXPECT_EQ(kept.picture, "<svg/>");
  EXPECT_EQ(kept.job, 7U);
  EXPECT_EQ(kept.actor, "t1");
  EXPECT_EQ(kept.created_at, t0_);
  EXPECT_EQ(kept.length, 5U);
  EXPECT_EQ(store_->models().files("acme", {})->items.size(), 1U);
}

TEST_P(StoreContract, KeepsTenantsModelsApart) {
  auto& models = store_->models();
  ASSERT_TRUE(models.add_file(model_file(t0_, digest('a')), "ours"));
  EXPECT_EQ(models.file("other", digest('a')).error().code, Errc::not_found);
  EXPECT_EQ(models.part("other", digest('a'), 0).error().code, Errc::not_found);
  EXPECT_EQ(models.drop_file("other", digest('a')).error().code, Errc::not_found);
  ASSERT_TRUE(models.add_file(model_file(t0_, digest('a'), "other"), "ours"));
  ASSERT_TRUE(models.add_version(model_version(t0_, 4, digest('a'))));
  EXPECT_EQ(models.version("other", "pumps", 4).error().code, Errc::not_found);
  EXPECT_TRUE(models.versions("other", "", {})->items.empty());
  EXPECT_TRUE(models.models("other", {})->items.empty());
  ASSERT_TRUE(models.add_version(model_version(t0_, 1, digest('a'), "pumps", "other")))
      << "numbers are a tenant's own";
  EXPECT_EQ(models.models("acme", {})->items.at(0).newest.number, 4U);
  ASSERT_TRUE(models.add_file(model_file(t0_, digest('b'), "other"), "theirs"));
  EXPECT_EQ(models.add_version(model_version(t0_, 5, digest('b'))).error().code, Errc::not_found)
      << "another's file";
  ASSERT_TRUE(models.drop_file("other", digest('b')));
  EXPECT_EQ(models.part("acme", digest('a'), 0).value(), "ours");
}

TEST_P(StoreContract, TakesGreaterVersionsOnly) {
  auto& models = store_->models();
  EXPECT_EQ(models.add_version(model_version(t0_, 1, digest('a'))).error().code, Errc::not_found);
  ASSERT_TRUE(models.add_file(model_file(t0_, digest('a')), "a"));
  ASSERT_TRUE(models.add_file(model_file(t0_, digest('b')), "b"));
  ASSERT_TRUE(models.add_version(model_version(t0_, 3, digest('a'))));
  ASSERT_TRUE(models.add_version(model_version(t0_, 3, digest('a')))) << "the same again";
  EXPECT_EQ(models.add_version(model_version(t0_, 2, digest('b'))).error().code, Errc::exists);
  auto other = model_version(t0_, 3, digest('b'));
  other.manifest = "another";
  EXPECT_EQ(models.add_version(other).error().code, Errc::exists);
  ASSERT_TRUE(models.add_version(model_version(t0_, 5, digest('b'))));
  ASSERT_TRUE(models.add_version(model_version(t0_, 1, digest('b'), "fans")));
  reopen();
  auto& again = store_->models();
  const auto row = again.version("acme", "pumps", 3).value();
  EXPECT_EQ(row.manifest, std::string("signed\0", 7) + "3");
  EXPECT_EQ(row.device_class, "edge");
  EXPECT_EQ(row.sha256, digest('a'));
  EXPECT_EQ(again.version("acme", "pumps", 4).error().code, Errc::not_found);
  EXPECT_EQ(again.drop_file("acme", digest('a')).error().code, Errc::denied);
  EXPECT_EQ(again.drop_version("other", "pumps", 5).error().code, Errc::not_found);
  EXPECT_EQ(again.drop_version("acme", "pumps", 4).error().code, Errc::not_found);
  ASSERT_TRUE(again.drop_version("acme", "pumps", 5));
  ASSERT_TRUE(again.add_version(model_version(t0_, 4, digest('b')))) << "as if it had never been";
  ASSERT_TRUE(again.add_version(model_version(t0_, 5, digest('b'))));
  const auto names = again.models("acme", {.limit = 1}).value();
  ASSERT_EQ(names.items.size(), 1U);
  EXPECT_EQ(names.items[0].newest.model, "fans");
  EXPECT_EQ(names.items[0].versions, 1U);
  const auto rest = again.models("acme", {.limit = 1, .cursor = *names.next_cursor}).value();
  ASSERT_EQ(rest.items.size(), 1U);
  EXPECT_EQ(rest.items[0].newest.number, 5U);
  EXPECT_EQ(rest.items[0].versions, 3U);
  EXPECT_FALSE(rest.next_cursor);
}

TEST_P(StoreContract, ListsModelFilesAndVersionsNewestFirst) {
  auto& models = store_->models();
  for (const char digit : {'a', 'b', 'c'}) {
    ASSERT_TRUE(models.add_file(model_file(t0_, digest(digit)), std::string(1, digit)));
  }
  const auto first = models.files("acme", {.limit = 2}).value();
  ASSERT_EQ(first.items.size(), 2U);
  EXPECT_EQ(first.items[0].sha256, digest('c'));
  EXPECT_EQ(first.items[0].header, "") << "long texts stay out of lists";
  const auto next = models.files("acme", {.limit = 2, .cursor = *first.next_cursor}).value();
  ASSERT_EQ(next.items.size(), 1U);
  EXPECT_EQ(next.items[0].sha256, digest('a'));
  for (const std::uint64_t number : {1U, 2U, 3U}) {
    ASSERT_TRUE(models.add_version(model_version(t0_, number, digest('a'))));
    ASSERT_TRUE(models.add_version(model_version(t0_, number, digest('b'), "fans")));
  }
  const auto one = models.versions("acme", "pumps", {.limit = 2}).value();
  ASSERT_EQ(one.items.size(), 2U);
  EXPECT_EQ(one.items[0].number, 3U);
  EXPECT_EQ(models.versions("acme", "pumps", {.limit = 2, .cursor = *one.next_cursor})
                ->items.at(0)
                .number,
            1U);
  const auto all = models.versions("acme", "", {}).value();
  ASSERT_EQ(all.items.size(), 6U);
  EXPECT_EQ(all.items[0].model, "fans");
  ASSERT_TRUE(models.drop_file("acme", digest('c')));
  EXPECT_EQ(models.part("acme", digest('c'), 0).error().code, Errc::not_found);
  EXPECT_EQ(models.file("acme", digest('c')).error().code, Errc::not_found);
}

TEST_P(StoreContract, KeepsTheChainOfKeyLists) {
  auto& models = store_->models();
  EXPECT_FALSE(models.newest_keys().value());
  ASSERT_TRUE(models.add_keys(1, std::string("one\0", 4), t0_));
  ASSERT_TRUE(models.add_keys(1, std::string("one\0", 4), t0_)) << "the same again";
  EXPECT_EQ(models.add_keys(1, "another", t0_).error().code, Errc::exists);
  ASSERT_TRUE(models.add_keys(3, "three", t0_));
  EXPECT_EQ(models.add_keys(2, "two", t0_).error().code, Errc::exists);
  ASSERT_TRUE(models.add_keys(7, "seven", t0_));
  reopen();
  using Lists = std::vector<std::string>;
  EXPECT_EQ(store_->models().newest_keys().value(), "seven");
  EXPECT_EQ(store_->models().keys_after(0, 2).value(), (Lists{std::string("one\0", 4), "three"}));
  EXPECT_EQ(store_->models().keys_after(1, 10).value(), (Lists{"three", "seven"}));
  EXPECT_TRUE(store_->models().keys_after(7, 10)->empty());
  EXPECT_TRUE(store_->models().keys_after(~std::uint64_t{0}, 10)->empty());
}

TEST_P(StoreContract, RefusesAModelFileThatIsTooLong) {
  constexpr std::size_t kLength = Models::kFileBytesMax + 1;
  const auto bytes = std::make_unique_for_overwrite<char[]>(kLength);  // no page of it is touched
  EXPECT_EQ(
      store_->models().add_file(model_file(t0_, digest('a')), {bytes.get(), kLength}).error().code,
      Errc::limit);
}

}  // namespace lapwing::hub
