// SPDX-License-Identifier: Apache-2.0
/// Model files that come piece by piece, over restarts, wrong part files and hubs that are wrong.
#include "agent/uplink/download.hpp"

#include "shared/base/files.hpp"
#include "shared/trust/token.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>

namespace lapwing::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() {
    for (std::size_t i = 0; i < file_.size(); ++i) {
      file_[i] = static_cast<char>(i * 31 + i / 257);
    }
    digest_ = trust::sha256_hex(file_);
  }

  /// The agent's process begins, and its hub answers.
  void begin() {
    sync::FetchLimits limits;
    limits.first_timeout = limits.answer_timeout = milliseconds(20);
    limits.rest = milliseconds(20);
    limits.rest_max = milliseconds(40);
    download_ = std::make_unique<Download>(
        metrics_, [this](std::string_view frame) { return answer(frame); }, limits);
  }

  /// On the download's own thread.
  bool answer(std::string_view frame) {
    const auto fetch = wire::decode_fetch(wire::FrameReader().open(frame).value()).value();
    EXPECT_EQ(fetch.sha256, digest_);
    connections_asked_.push_back(fetch.connection_id);
    ++asked_;
    if (asked_ == cut_after_) {
      silent_ = true;
      cut_.set_value();
      return false;
    }
    if (silent_) return false;  // the agent may be ending: its download is not to be touched
    EXPECT_EQ(download_->figures().sha256, digest_)
        << "or the uplink cannot tell whose answer it is";
    wire::Chunk chunk{.sha256 = digest_, .offset = fetch.offset, .total = file_.size()};
    if (problems_ > 0) {
      --problems_;
      chunk.problem = "not here";
    } else {
      chunk.bytes = file_.substr(fetch.offset, fetch.length);
      if (wrong_) chunk.bytes[0] = static_cast<char>(chunk.bytes[0] ^ 1);
      sent_ += chunk.bytes.size();
    }
    download_->chunk(chunk);
    download_->chunk(std::move(chunk));  // twice is once
    return true;
  }

  std::future<Result<void>> fetch() {
    auto outcome = std::make_shared<std::promise<Result<void>>>();
    download_->start(digest_, file_.size(), destination_,
                     [outcome](Result<void> done) { outcome->set_value(std::move(done)); });
    return outcome->get_future();
  }
  static Result<void> wait(std::future<Result<void>>& outcome) {
    if (outcome.wait_for(seconds(10)) != std::future_status::ready) {
      return Error{Errc::timeout, "no outcome"};
    }
    return outcome.get();
  }
  void expect_whole() {
    EXPECT_TRUE(read_file(destination_, 1U << 24U).value() == file_);
    EXPECT_FALSE(std::filesystem::exists(part_));
  }

  lapwing::testing::TempDir folder_;
  const std::filesystem::path destination_ = folder_.path() / "model.lw";
  const std::filesystem::path part_ = folder_.path() / "model.lw.part";
  std::string file_ = std::string(1'500'000, '\0');
  std::string digest_;
  Metrics metrics_;
  std::vector<std::string> connections_asked_;
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::uint64_t> cut_after_{0};
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<bool> silent_{false};
  std::atomic<bool> wrong_{false};
  std::atomic<int> problems_{0};
  std::promise<void> cut_;
  std::unique_ptr<Download> download_;  // last: it asks the above
};

TEST_F(DownloadTest, BringsTheFileOnceTheHubTakesRecords) {
  begin();
  auto done = fetch();
  EXPECT_EQ(done.wait_for(milliseconds(50)), std::future_status::timeout);
  EXPECT_EQ(asked_, 0U) << "there is no hub yet";
  download_->connected("1-x");
  const auto outcome = wait(done);
  ASSERT_TRUE(outcome) << outcome.error().context;
  expect_whole();
  EXPECT_EQ(sent_, file_.size()) << "each byte once";
  EXPECT_EQ(connections_asked_.front(), "1-x");
  EXPECT_EQ(metrics_.counter("uplink_model_bytes_total", "").value(),
            static_cast<double>(file_.size()));
  const auto before = asked_.load();
  auto again = fetch();
  EXPECT_TRUE(wait(again));
  EXPECT_EQ(asked_, before) << "it is there";
}

TEST_F(DownloadTest, GoesOnAfterARestartWhereItWas) {
  cut_after_ = 12;
  begin();
  download_->connected("1-x");
  auto done = fetch();
  ASSERT_EQ(cut_.get_future().wait_for(seconds(10)), std::future_status::ready);
  download_.reset();  // the agent ends
  EXPECT_EQ(wait(done).error().code, Errc::shutting_down);
  const auto have = std::filesystem::file_size(part_);
  EXPECT_GT(have, 0U);
  EXPECT_LT(have, file_.size());
  silent_ = false;
  sent_ = 0;
  begin();
  download_->connected("2-y");
  auto rest = fetch();
  ASSERT_TRUE(wait(rest));
  expect_whole();
  EXPECT_EQ(sent_, file_.size() - have) << "resumed, not begun anew";
}

TEST_F(DownloadTest, GoesOnWithTheNextConnectionAtOnce) {
  cut_after_ = 12;
  begin();
  download_->connected("1-x");
  auto done = fetch();
  ASSERT_EQ(cut_.get_future().wait_for(seconds(10)), std::future_status::ready);
  download_->connected("");
  silent_ = false;
  download_->connected("2-y");
  ASSERT_TRUE(wait(done));
  expect_whole();
  EXPECT_EQ(connections_asked_.back(), "2-y");
}

TEST_F(DownloadTest, APartFileOfSomethingElseCostsOneMoreTransfer) {
  ASSERT_TRUE(write_file_atomic(part_, std::string(700'000, 'x')));
  begin();
  download_->connected("1-x");
  auto done = fetch();
  ASSERT_TRUE(wait(done));
  expect_whole();
  ASSERT_TRUE(write_file_atomic(part_, std::string(2'000'000, 'x'))) << "longer than the file";
  std::filesystem::remove(destination_);
  auto again = fetch();
  ASSERT_TRUE(wait(again));
  expect_whole();
}

TEST_F(DownloadTest, AHubThatGivesWrongBytesIsFoundOut) {
  wrong_ = true;
  begin();
  download_->connected("1-x");
  auto done = fetch();
  EXPECT_EQ(wait(done).error().code, Errc::corrupt);
  EXPECT_FALSE(std::filesystem::exists(destination_));
  EXPECT_EQ(sent_, 2 * file_.size()) << "once more, and no more";
}

TEST_F(DownloadTest, AProblemOfTheHubIsShownAndWaitedOut) {
  problems_ = 3;
  begin();
  download_->connected("1-x");
  auto done = fetch();
  ASSERT_TRUE(wait(done));
  expect_whole();
}

TEST_F(DownloadTest, IsCancelledByTheNextAndKeepsWhatHasCome) {
  cut_after_ = 12;
  begin();
  download_->connected("1-x");
  auto first = fetch();
  ASSERT_EQ(cut_.get_future().wait_for(seconds(10)), std::future_status::ready);
  silent_ = false;
  sent_ = 0;
  auto second = fetch();
  EXPECT_EQ(wait(first).error().code, Errc::shutting_down);
  ASSERT_TRUE(wait(second));
  EXPECT_LT(sent_, file_.size());
  expect_whole();
  std::filesystem::remove(destination_);
  silent_ = true;
  auto third = fetch();
  download_->cancel();
  EXPECT_EQ(wait(third).error().code, Errc::shutting_down);
  EXPECT_TRUE(download_->figures().sha256.empty());
}

TEST_F(DownloadTest, AFolderThatCannotBeWrittenEndsIt) {
  begin();
  download_->connected("1-x");
  auto outcome = std::make_shared<std::promise<Result<void>>>();
  auto done = outcome->get_future();
  download_->start(digest_, file_.size(), folder_.path() / "none" / "model.lw",
                   [outcome](Result<void> one) { outcome->set_value(std::move(one)); });
  EXPECT_EQ(wait(done).error().code, Errc::io);
}

}  // namespace
}  // namespace lapwing::agent
