// SPDX-License-Identifier: Apache-2.0
/// A device's files while they are replaced, with the process killed at each of its system calls.
#include "agent/uplink/identity_files.hpp"

#include "shared/base/files.hpp"
#include "shared/trust/authority.hpp"
#include "shared/trust/certificate.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

int g_calls_left = -1;  // negative: nobody is killed

void maybe_die() {
  if (g_calls_left == 0) ::_exit(9);
  if (g_calls_left > 0) --g_calls_left;
}

}  // namespace

// In the place of the C library's, for the whole program: each is a point to die at, before and
// after it.
extern "C" int fsync(int file) {
  maybe_die();
  const auto done = ::syscall(SYS_fsync, file);
  maybe_die();
  return static_cast<int>(done);
}
extern "C" int rename(const char* from, const char* to) {
  maybe_die();
  const auto done = ::syscall(SYS_rename, from, to);
  maybe_die();
  return static_cast<int>(done);
}

namespace lapwing::agent {
namespace identity_files_test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct Pair {
  trust::PrivateKey key;
  std::string pem;
};

class IdentityFilesOnDisk : public ::testing::Test {
 protected:
  Pair pair(const trust::Authority& authority) {
    auto key = trust::PrivateKey::generate().value();
    auto pem = authority.issue_client(key, "acme/edge-1", {now(), 24h}).value().pem();
    return {std::move(key), std::move(pem)};
  }
  void put(const Pair& pair, const std::string& authorities) {
    folder_.put("ca.pem", authorities);
    folder_.put("device.pem", pair.pem);
    folder_.put("device.key", pair.key.pem().reveal());
  }
  /// The pair that would be used now fits, and either authority's server is trusted or the old
  /// one's.
  std::string serial_in_use() {
    const auto certificate = trust::Certificate::load(files_.certificate);
    EXPECT_TRUE(certificate);
    const auto key = trust::PrivateKey::load(files_.key_in_use());
    EXPECT_TRUE(key) << key.error().context;
    if (!certificate || !key) return "";
    EXPECT_TRUE(certificate->matches(*key));
    const auto authorities =
        trust::Certificate::all_from_pem(read_file(files_.ca, trust::kPemBytesMax).value());
    EXPECT_TRUE(authorities);
    EXPECT_TRUE(trust::verify(*certificate, *authorities, now(), trust::Purpose::client));
    return certificate->info().serial;
  }

  lapwing::testing::TempDir folder_;
  const IdentityFiles files_{folder_.path() / "ca.pem", folder_.path() / "device.pem",
                             folder_.path() / "device.key"};
  trust::Authority first_ = trust::Authority::create("first", {now(), 24h}).value();
  trust::Authority second_ = trust::Authority::create("second", {now(), 24h}).value();
};

TEST_F(IdentityFilesOnDisk, AreReplacedWithModeAndKeyInPlace) {
  put(pair(first_), first_.certificate().pem());
  EXPECT_EQ(files_.key_in_use(), files_.key);
  const auto next = pair(first_);
  ASSERT_TRUE(replace_identity(files_, {next.pem, next.key.pem(), first_.certificate().pem()}));
  EXPECT_EQ(files_.key_in_use(), files_.certificate);
  EXPECT_EQ(serial_in_use(), trust::Certificate::from_pem(next.pem)->info().serial);
  EXPECT_TRUE(trust::Certificate::load(files_.certificate)
                  ->matches(trust::PrivateKey::load(files_.key).value()))
      << "also for tools that read the key's own file";
  struct stat status {};
  ASSERT_EQ(::stat(files_.certificate.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U) << "it holds a key";
}

TEST_F(IdentityFilesOnDisk, HoldAPairThatFitsWhereverTheProcessIsKilled) {
  const std::string both = second_.certificate().pem() + first_.certificate().pem();
  int killed = 0;
  bool finished = false;
  std::set<std::string> seen;
  for (int calls = 0; !finished; ++calls) {
    ASSERT_LT(calls, 100);
    const auto old = pair(first_);
    const auto next = pair(second_);
    put(old, first_.certificate().pem());
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      g_calls_left = calls;
      const auto done = replace_identity(files_, {next.pem, next.key.pem(), both});
      ::_exit(done ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    finished = WEXITSTATUS(status) == 0;
    killed += finished ? 0 : 1;
    const auto serial = serial_in_use();
    const auto old_serial = trust::Certificate::from_pem(old.pem)->info().serial;
    const auto new_serial = trust::Certificate::from_pem(next.pem)->info().serial;
    EXPECT_TRUE(serial == old_serial || serial == new_serial);
    seen.insert(serial == old_serial ? "old" : "new");
    // A next attempt goes through.
    const auto again = pair(second_);
    ASSERT_TRUE(replace_identity(files_, {again.pem, again.key.pem(), both}));
    EXPECT_EQ(serial_in_use(), trust::Certificate::from_pem(again.pem)->info().serial);
  }
  EXPECT_GE(killed, 12) << "three files, each fsynced, renamed, its folder fsynced";
  EXPECT_EQ(seen.size(), 2U);
}

TEST_F(IdentityFilesOnDisk, StayWhenTheFolderCannotBeWritten) {
  const auto old = pair(first_);
  put(old, first_.certificate().pem());
  const IdentityFiles elsewhere{files_.ca, folder_.path() / "none" / "device.pem", files_.key};
  const auto next = pair(first_);
  EXPECT_FALSE(replace_identity(elsewhere, {next.pem, next.key.pem(), first_.certificate().pem()}));
  EXPECT_EQ(serial_in_use(), trust::Certificate::from_pem(old.pem)->info().serial);
}

}  // namespace identity_files_test
}  // namespace lapwing::agent
