// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres_feed.hpp"

#include "shared/base/log.hpp"

#include <optional>
#include <poll.h>
#include <stop_token>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr Micros kAskEvery = std::chrono::seconds(2);

/// Made readable once, to end a wait.
class Wake {
 public:
  Wake() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Wake() { close(descriptor_); }
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  void now() const { eventfd_write(descriptor_, 1); }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

class PostgresFeedWatch final : public FeedWatch {
 public:
  PostgresFeedWatch(std::unique_ptr<postgres::Connection> connection, Feed& feed)
      : db_(std::move(connection)),
        feed_(feed),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~PostgresFeedWatch() override {
    thread_.request_stop();
    wake_.now();
  }

 private:
  void run(const std::stop_token& stop) {
    std::optional<std::int64_t> seen;
    bool told = false;
    while (!stop.stop_requested()) {
      if (const auto newest = ask()) {
        if (seen && *newest > *seen) feed_.grew(static_cast<std::uint64_t>(*newest));
        seen = newest;
        told = false;
        db_->notifications(kAskEvery, wake_.descriptor());
      }
      if (!db_->failed()) continue;
      if (!std::exchange(told, true)) log::warn("live feed of other replicas", {db_->failure()});
      db_->rollback();
      wait(stop);
    }
  }

  /// Listens, also on a connection made anew.
  std::optional<std::int64_t> ask() {
    std::optional<std::int64_t> newest;
    db_->begin(sql::Connection::Access::write);
    db_->run("LISTEN lapwing_feed");
    db_->commit();
    db_->rows("SELECT value FROM meta WHERE key = 'feed_seq'",
              [&](const sql::Row& row) { newest = row.integer(0); });
    return newest;
  }

  void wait(const std::stop_token& stop) const {
    pollfd one{wake_.descriptor(), POLLIN, 0};
    if (!stop.stop_requested()) poll(&one, 1, 1000);
  }

  Wake wake_;
  std::unique_ptr<postgres::Connection> db_;
  Feed& feed_;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<FeedWatch>> watch_postgres_feed(const postgres::Options& options,
                                                       Feed& feed) {
  auto connection = postgres::Connection::open(options);
  if (!connection) return connection.error();
  return std::unique_ptr<FeedWatch>(
      std::make_unique<PostgresFeedWatch>(*std::move(connection), feed));
}

}  // namespace lapwing::hub
