// SPDX-License-Identifier: Apache-2.0
/// What the hub takes in of models, and what it refuses.
#include "hub/registry/files.hpp"
#include "hub/registry/keys.hpp"
#include "hub/registry/versions.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/trust/token.hpp"
#include "tests/hub/registry/signing.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::hub {
namespace {

using lapwing::testing::manifest_of;
using lapwing::testing::signed_by;
using lapwing::testing::small_model;
using std::chrono::hours;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Why it was refused; what succeeded has no reason.
template <class T>
std::string why(const Result<T>& result) {
  return result ? "it was taken" : result.error().context;
}

class Registry : public ::testing::Test {
 protected:
  Registry() : store_(open_sqlite_store(folder_.path() / "hub.db").value()) {}

  void give_keys() {
    ASSERT_TRUE(take_keys(*store_, signers_.signed_list(signers_.list(1, at_ + hours(24))), "acme",
                          "cli", at_));
  }
  void give_file() {
    ASSERT_TRUE(take_model_file(*store_, {.tenant = "acme", .actor = "t1", .created_at = at_},
                                std::string(small_model().file_bytes())));
  }
  Result<ModelVersionRow> take(const std::string& manifest, Time at) {
    return take_version(*store_, "acme", manifest, "t1", at);
  }
  Result<ModelVersionRow> take(const std::string& manifest) { return take(manifest, at_); }
  std::string audit() {
    std::string text;
    const auto rows = store_->audit("acme", {}).value();
    for (const auto& row : rows.items) text += row.action + " " + row.subject + "\n";
    return text;
  }

  lapwing::testing::TempDir folder_;
  std::unique_ptr<Store> store_;
  lapwing::testing::Signers signers_;
  const Time at_ = from_micros(1'790'000'000'000'000);
};

TEST_F(Registry, TrustsTheFirstKeyListAndLaterOnesAsDevicesDo) {
  EXPECT_FALSE(known_keys(*store_).value());
  const auto first = signers_.list(3, at_ + hours(24));
  const auto taken = [&](const std::string& list, Time at) {
    return why(take_keys(*store_, list, "acme", "cli", at));
  };
  const auto whole = signers_.signed_list(first);
  EXPECT_THAT(taken(signed_by(signers_.root_1, first), at_), StartsWith("wrong_key: "));
  EXPECT_THAT(taken(whole, at_ + hours(24)), StartsWith("expired: "));
  EXPECT_EQ(taken(whole, at_), "it was taken");
  EXPECT_EQ(taken(whole, at_), "it was taken") << "again";
  EXPECT_THAT(taken(signers_.signed_list(signers_.list(2, at_ + hours(24))), at_),
              StartsWith("rollback: "));
  const lapwing::testing::Signers strangers;
  EXPECT_THAT(taken(strangers.signed_list(strangers.list(4, at_ + hours(24))), at_),
              StartsWith("wrong_key: "));
  const auto next = signers_.list(4, at_ + hours(48));
  ASSERT_TRUE(take_keys(*store_, signers_.signed_list(next), "acme", "cli", at_));
  EXPECT_EQ(known_keys(*store_).value(), next);
  EXPECT_EQ(store_->models().keys_after(0, 10)->size(), 2U) << "the chain, for devices behind";
  EXPECT_EQ(audit(), "keys.import key list 4\nkeys.import key list 3\n");
  EXPECT_EQ(take_keys(*store_, signed_by(signers_.release, manifest_of(small_model(), 1)), "acme",
                      "cli", at_)
                .error()
                .code,
            Errc::bad_input);
  EXPECT_EQ(take_keys(*store_, "no document", "acme", "cli", at_).error().code, Errc::corrupt);
}

TEST_F(Registry, TakesAVersionThatAReleaseKeySigned) {
  give_keys();
  give_file();
  const auto row = take(signed_by(signers_.release, manifest_of(small_model(), 7)));
  ASSERT_TRUE(row) << row.error().context;
  EXPECT_EQ(row->number, 7U);
  EXPECT_EQ(row->sha256, small_model().sha256());
  EXPECT_TRUE(take(signed_by(signers_.release, manifest_of(small_model(), 7)))) << "again";
  EXPECT_THAT(audit(), StartsWith("model.version pumps 7\n"));
}

TEST_F(Registry, RefusesWhatADeviceWouldRefuse) {
  const auto good = manifest_of(small_model(), 7);
  const auto& release = signers_.release;
  EXPECT_THAT(why(take(signed_by(release, good))), HasSubstr("keys import"));
  give_keys();
  EXPECT_THAT(why(take(signed_by(release, good))), HasSubstr("bring it first"));
  give_file();
  const auto refused = [&](const std::string& manifest, const char* why, Time at) {
    const auto row = take(manifest, at);
    ASSERT_FALSE(row) << why;
    EXPECT_THAT(row.error().context, StartsWith(why));
    EXPECT_EQ(row.error().code, Errc::denied);
  };
  refused(signed_by(signers_.hub, good), "wrong_key: ", at_);
  refused(signed_by(release, good), "expired: ", at_ + hours(24));
  auto bad = good;
  bad.tenant = "other";
  refused(signed_by(release, bad), "wrong_tenant: ", at_);
  bad = good;
  ++bad.length;
  refused(signed_by(release, bad), "mismatch: ", at_);
  bad = good;
  bad.schema_sha256 = std::string(64, '0');
  refused(signed_by(release, bad), "mismatch: ", at_);
  EXPECT_EQ(take(signers_.signed_list(signers_.list(9, at_ + hours(1)))).error().code,
            Errc::bad_input);
  ASSERT_TRUE(take(signed_by(release, good)));
  bad = good;
  bad.number = 6;
  EXPECT_EQ(take(signed_by(release, bad)).error().code, Errc::exists);
  bad = good;
  bad.minimum_agent = "9.9.9";
  EXPECT_EQ(take(signed_by(release, bad)).error().code, Errc::exists) << "one number, two contents";
}

TEST_F(Registry, VersionsOfAStolenKeyBlockNothingOnceItIsTakenOut) {
  give_keys();
  give_file();
  const auto stolen = std::move(signers_.release);
  ASSERT_TRUE(take(signed_by(stolen, manifest_of(small_model(), 3))));
  ASSERT_TRUE(take(signed_by(stolen, manifest_of(small_model(), std::uint64_t{1} << 61U))));
  signers_.release = lapwing::testing::new_key();
  EXPECT_FALSE(take(signed_by(signers_.release, manifest_of(small_model(), 4)))) << "unknown yet";
  ASSERT_TRUE(take_keys(*store_, signers_.signed_list(signers_.list(2, at_ + hours(24))), "acme",
                        "cli", at_));
  ASSERT_TRUE(take(signed_by(signers_.release, manifest_of(small_model(), 4))));
  EXPECT_EQ(store_->models().models("acme", {})->items.at(0).newest.number, 4U);
  EXPECT_THAT(audit(), HasSubstr("model.disown pumps 2305843009213693952\n"));
}

TEST_F(Registry, KeepsOnlyModelFilesThatAreWhole) {
  const std::string good(small_model().file_bytes());
  const ModelFileRow told{.tenant = "acme", .actor = "t1", .created_at = at_};
  for (const std::size_t at : {std::size_t{0}, std::size_t{40}, good.size() / 2, good.size() - 1}) {
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_FALSE(take_model_file(*store_, told, bad)) << at;
  }
  EXPECT_FALSE(take_model_file(*store_, told, good.substr(0, good.size() - 1)));
  EXPECT_TRUE(store_->models().files("acme", {})->items.empty());
  const auto row = take_model_file(*store_, told, good).value();
  EXPECT_EQ(row.sha256, trust::sha256_hex(good));
  EXPECT_EQ(row.kind, "isolation_forest");
  EXPECT_THAT(row.header, HasSubstr("\"unit\":\"bar\""));
}

TEST_F(Registry, CompletesAnUploadThatArrivedAsItWasSent) {
  auto& uploads = store_->uploads();
  const auto id =
      uploads.add({.tenant = "acme", .name = "a", .actor = "t1", .created_at = at_}).value().id;
  ASSERT_TRUE(uploads.append("acme", id, 0, "hello, "));
  EXPECT_EQ(read_upload(*store_, "acme", id).error().code, Errc::denied);
  ASSERT_TRUE(uploads.append("acme", id, 7, "world"));
  EXPECT_THAT(why(complete_upload(*store_, "acme", id, std::string(64, '0'), at_)),
              HasSubstr("send it again"));
  const auto done = complete_upload(*store_, "acme", id, "", at_).value();
  EXPECT_EQ(done.sha256, trust::sha256_hex("hello, world"));
  EXPECT_EQ(read_upload(*store_, "acme", id).value(), "hello, world");
}

}  // namespace
}  // namespace lapwing::hub
