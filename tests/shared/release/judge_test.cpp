// SPDX-License-Identifier: Apache-2.0
// Rows 24 and 25 of the fault matrix: who may release what to whom.
#include "shared/release/judge.hpp"

#include "shared/detect/kinds.hpp"
#include "shared/model/train.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

namespace lapwing::release {
namespace {

using std::chrono::hours;
using ::testing::StartsWith;

class JudgeTest : public ::testing::Test {
 protected:
  JudgeTest() : judge_({.keys = key_list(1, {"r1", "r2", "r3"}, {"release"})}) {}

  const trust::PrivateKey& key(const std::string& name) {
    auto at = keys_.find(name);
    if (at == keys_.end()) {
      at = keys_.emplace(name, trust::PrivateKey::generate_ed25519().value()).first;
    }
    return at->second;
  }
  KeyList key_list(std::uint64_t number, const std::vector<std::string>& roots,
                   const std::vector<std::string>& releases) {
    KeyList list{.number = number,
                 .threshold = 2,
                 .roots = {},
                 .releases = {},
                 .hubs = {key("hub").public_pem()},
                 .expires = now_ + hours(24 * 365)};
    for (const auto& name : roots) list.roots.push_back(key(name).public_pem());
    for (const auto& name : releases) list.releases.push_back(key(name).public_pem());
    return list;
  }
  Signed signed_by(const Document& document, const std::vector<std::string>& names) {
    Signed made(document);
    for (const auto& name : names) EXPECT_TRUE(made.sign(key(name)));
    return Signed::decode(made.encode()).value();  // as it comes over the line
  }
  Manifest manifest(std::uint64_t number = 5, char content = 'a') const {
    return {.model = "pumps",
            .number = number,
            .sha256 = std::string(64, content),
            .length = 1000,
            .tenant = device_.tenant,
            .device_class = device_.device_class,
            .schema_sha256 = device_.schema_sha256,
            .minimum_agent = "0.9.0"};
  }
  Assignment assignment(const Signed& to) const {
    return {device_.tenant, device_.name, to.body_sha256(), now_, now_ + hours(24 * 7)};
  }
  /// What the device says of a version that all is well with, but for what is changed.
  Result<Approved> ask(const Manifest& m, const std::function<void(Assignment&)>& change = {},
                       const std::string& release = "release", const std::string& hub = "hub") {
    const auto document = signed_by(m, {release});
    auto a = assignment(document);
    if (change) change(a);
    return judge_.approve(document, signed_by(a, {hub}), device_, now_);
  }
  void expect_refused(const Result<Approved>& answer, const char* reason) {
    ASSERT_FALSE(answer) << reason;
    EXPECT_EQ(answer.error().code, Errc::denied);
    EXPECT_THAT(answer.error().context, StartsWith(std::string(reason) + ": "));
  }
  void expect_refused(const Result<void>& answer, const char* reason) {
    ASSERT_FALSE(answer) << reason;
    EXPECT_THAT(answer.error().context, StartsWith(std::string(reason) + ": "));
  }

  std::map<std::string, trust::PrivateKey> keys_;
  Time now_ = from_micros(1'790'000'000'000'000);
  Device device_{.tenant = "acme",
                 .name = "edge-1",
                 .device_class = "jetson",
                 .agent_version = "1.0.0",
                 .schema_sha256 = std::string(64, 'b')};
  Judge judge_;
};

TEST_F(JudgeTest, ApprovesWhatIsInOrder) {
  const auto approved = ask(manifest());
  ASSERT_TRUE(approved) << approved.error().context;
  EXPECT_EQ(approved->manifest.number, 5U);
  EXPECT_EQ(approved->until, now_ + hours(24 * 7));
}

/// Each key in each place, for each tenant, class and device: one way is right.
TEST_F(JudgeTest, TheCrossTableHasOneWay) {
  int right = 0;
  int tried = 0;
  for (const std::string release : {"release", "hub", "r1", "stranger"}) {
    for (const std::string hub : {"hub", "release", "r1", "stranger"}) {
      for (const std::string tenant : {"acme", "rival"}) {
        for (const std::string device : {"edge-1", "edge-2"}) {
          for (const std::string device_class : {"jetson", "server"}) {
            auto m = manifest();
            m.tenant = tenant;
            m.device_class = device_class;
            const auto answer = ask(
                m,
                [&](Assignment& a) {
                  a.tenant = tenant;
                  a.device = device;
                },
                release, hub);
            ++tried;
            right += answer ? 1 : 0;
          }
        }
      }
    }
  }
  EXPECT_EQ(tried, 128);
  EXPECT_EQ(right, 1);
}

TEST_F(JudgeTest, SaysWhyItRefuses) {
  expect_refused(ask(manifest(), {}, "stranger"), "wrong_key");
  expect_refused(ask(manifest(), {}, "release", "stranger"), "wrong_key");
  expect_refused(ask(manifest(), [](Assignment& a) { a.device = "edge-2"; }), "wrong_device");
  expect_refused(ask(manifest(), [](Assignment& a) { a.tenant = "rival"; }), "wrong_tenant");
  expect_refused(ask(manifest(), [](Assignment& a) { a.manifest_sha256 = std::string(64, 'c'); }),
                 "mismatch");
  expect_refused(ask(manifest(),
                     [&](Assignment& a) {
                       a.issued = now_ - hours(24 * 8);
                       a.expires = now_;
                     }),
                 "expired");
  expect_refused(ask(manifest(), [&](Assignment& a) { a.expires = now_ + hours(24 * 3650); }),
                 "expired");
  auto m = manifest();
  m.tenant = "rival";
  expect_refused(ask(m), "wrong_tenant");
  m = manifest();
  m.device_class = "server";
  expect_refused(ask(m), "wrong_class");
  m.device_class = "";
  EXPECT_TRUE(ask(m)) << "no class is any";
  m.schema_sha256 = std::string(64, 'd');
  expect_refused(ask(m), "wrong_schema");
  m = manifest();
  m.minimum_agent = "1.0.1";
  expect_refused(ask(m), "agent_too_old");
  m.minimum_agent = "0.10.0";
  EXPECT_TRUE(ask(m));
  now_ += hours(24 * 366);
  expect_refused(ask(manifest()), "expired");
}

TEST_F(JudgeTest, NoOlderVersionAndNoOtherContentOfTheSame) {
  judge_.accept(ask(manifest(5)).value());
  EXPECT_TRUE(ask(manifest(5))) << "again is fine";
  expect_refused(ask(manifest(4)), "rollback");
  expect_refused(ask(manifest(5, 'e')), "mismatch");
  EXPECT_TRUE(ask(manifest(6, 'a'))) << "old content as a new version";
  auto other = manifest(1);
  other.model = "fans";
  EXPECT_TRUE(ask(other)) << "each model counts for itself";
}

TEST_F(JudgeTest, AKeyThatIsTakenOutUndoesItsFastForward) {
  judge_.accept(ask(manifest(kNumberMax - 1)).value());  // by a thief
  expect_refused(ask(manifest(6)), "rollback");
  const auto next = key_list(2, {"r1", "r2", "r3"}, {"release-2"});
  ASSERT_TRUE(judge_.take_keys(signed_by(next, {"r1", "r3"}), now_));
  expect_refused(ask(manifest(kNumberMax - 1)), "wrong_key");
  EXPECT_TRUE(ask(manifest(6), {}, "release-2"));
}

TEST_F(JudgeTest, TwoOfThreeRootsMakeAList) {
  const auto next = key_list(2, {"r1", "r2", "r3"}, {"release-2"});
  expect_refused(judge_.take_keys(signed_by(next, {}), now_), "wrong_key");
  expect_refused(judge_.take_keys(signed_by(next, {"r1"}), now_), "wrong_key");
  expect_refused(judge_.take_keys(signed_by(next, {"r1", "release", "hub"}), now_), "wrong_key");
  EXPECT_EQ(judge_.remembered().keys.number, 1U);
  ASSERT_TRUE(judge_.take_keys(signed_by(next, {"r2", "r3"}), now_));
  EXPECT_EQ(judge_.remembered().keys.number, 2U);
  EXPECT_TRUE(judge_.take_keys(signed_by(next, {"r2", "r3"}), now_)) << "again is fine";
  expect_refused(
      judge_.take_keys(signed_by(key_list(1, {"r1", "r2", "r3"}, {"release"}), {"r1", "r2"}), now_),
      "rollback");
}

TEST_F(JudgeTest, RootsAreReplacedByBothListsRoots) {
  const auto next = key_list(2, {"n1", "n2"}, {"release"});
  expect_refused(judge_.take_keys(signed_by(next, {"n1", "n2"}), now_), "wrong_key");
  expect_refused(judge_.take_keys(signed_by(next, {"r1", "r2"}), now_), "wrong_key");
  expect_refused(
      judge_.take_keys(signed_by(next, {"r1", "r2", "n1", "n2"}), now_ + hours(24 * 366)),
      "expired");
  ASSERT_TRUE(judge_.take_keys(signed_by(next, {"r1", "r2", "n1", "n2"}), now_));
  const auto after = key_list(3, {"n1", "n2"}, {"release"});
  expect_refused(judge_.take_keys(signed_by(after, {"r1", "r2", "r3"}), now_), "wrong_key");
}

TEST_F(JudgeTest, OneDocumentIsNotTakenForAnother) {
  const auto m = signed_by(manifest(), {"release", "r1", "r2"});
  EXPECT_FALSE(judge_.take_keys(m, now_));
  EXPECT_FALSE(judge_.approve(m, m, device_, now_));
}

TEST_F(JudgeTest, TellsThatNobodyTellsItAnything) {
  EXPECT_FALSE(judge_.frozen(now_ + hours(24 * 1000))) << "it was never given one";
  judge_.accept(ask(manifest()).value());
  EXPECT_FALSE(judge_.frozen(now_ + hours(24 * 6)));
  EXPECT_TRUE(judge_.frozen(now_ + hours(24 * 8)));
  EXPECT_TRUE(Judge(judge_.remembered()).frozen(now_ + hours(24 * 8))) << "after a restart too";
  now_ += hours(24 * 8);
  judge_.accept(ask(manifest()).value());  // the same version, assigned anew
  EXPECT_FALSE(judge_.frozen(now_));
}

TEST_F(JudgeTest, TheFileIsTheOneOfTheManifest) {
  std::vector<double> values;
  for (int i = 0; i < 400; ++i) values.push_back(std::sin(i * 0.7) + 0.1 * std::cos(i * 3.1));
  const auto file_of = [&](const char* sensor) {
    model::TrainRequest request;
    request.kind = detect::find_kind("pca", detect::Input::rows);
    request.table = {.values = values, .width = 2};
    request.sensors = {{.name = sensor}, {.name = "pressure"}};
    return model::Model::read(model::train(request).value().file).value();
  };
  const auto flow = file_of("flow");
  Manifest m = manifest();
  m.sha256 = flow.sha256();
  m.length = flow.file_bytes().size();
  m.schema_sha256 = schema_digest(flow.header().sensors);
  EXPECT_TRUE(Judge::check_file(m, flow));
  expect_refused(Judge::check_file(m, file_of("level")), "mismatch");
  m.schema_sha256 = std::string(64, 'b');
  expect_refused(Judge::check_file(m, flow), "mismatch");
}

}  // namespace
}  // namespace lapwing::release
