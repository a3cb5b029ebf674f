// SPDX-License-Identifier: Apache-2.0
/// An outbox in a folder of its own.
#pragma once

#include "agent/outbox/outbox.hpp"
#include "shared/base/metrics.hpp"
#include "tests/agent/outbox/faulty_vfs.hpp"
#include "tests/agent/outbox/support.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <utility>

namespace lapwing::agent {

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() { config_.retry_after = std::chrono::milliseconds(2); }
  ~OutboxTest() override { lapwing::testing::FaultyVfs::disarm(); }

  std::unique_ptr<Outbox> open() {
    auto outbox = Outbox::open(config_, folder_.path(), metrics_);
    EXPECT_TRUE(outbox) << outbox.error().context;
    return outbox ? std::move(*outbox) : nullptr;
  }
  static Account read_all(Outbox& outbox, std::uint64_t from = 1) {
    Account account;
    const std::uint64_t next = outbox.position().next_seq;
    while (from < next) {
      const auto entries = outbox.read(from, 500, 1U << 20U);
      EXPECT_TRUE(entries) << entries.error().context;
      if (!entries || entries->empty()) break;
      from = add_entries(account, *entries, from);
    }
    EXPECT_EQ(from, next);
    return account;
  }

  OutboxConfig config_;
  const lapwing::testing::TempDir folder_;
  Metrics metrics_;
};

}  // namespace lapwing::agent
