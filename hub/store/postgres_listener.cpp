// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres_listener.hpp"

#include "shared/base/log.hpp"

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

class Listener final : public PostgresListener {
 public:
  Listener(std::unique_ptr<postgres::Connection> connection, std::string channel, std::string what,
           Look look)
      : listen_("LISTEN " + channel),
        what_(std::move(what)),
        look_(std::move(look)),
        db_(std::move(connection)),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~Listener() override {
    thread_.request_stop();
    wake_.now();
  }

 private:
  void run(const std::stop_token& stop) {
    bool told = false;
    while (!stop.stop_requested()) {
      ask();
      if (!db_->failed()) {
        told = false;
        db_->notifications(kAskEvery, wake_.descriptor());
      }
      if (!db_->failed()) continue;
      if (!std::exchange(told, true)) log::warn(what_, {db_->failure()});
      db_->rollback();
      wait(stop);
    }
  }

  /// Listens, also on a connection made anew.
  void ask() {
    db_->begin(sql::Connection::Access::write);
    db_->run(listen_);
    db_->commit();
    if (!db_->failed()) look_(*db_);
  }

  void wait(const std::stop_token& stop) const {
    pollfd one{wake_.descriptor(), POLLIN, 0};
    if (!stop.stop_requested()) poll(&one, 1, 1000);
  }

  const std::string listen_;
  const std::string what_;
  const Look look_;
  Wake wake_;
  std::unique_ptr<postgres::Connection> db_;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<PostgresListener>> PostgresListener::start(const postgres::Options& options,
                                                                  std::string channel,
                                                                  std::string what, Look look) {
  auto connection = postgres::Connection::open(options);
  if (!connection) return connection.error();
  return std::unique_ptr<PostgresListener>(std::make_unique<Listener>(
      *std::move(connection), std::move(channel), std::move(what), std::move(look)));
}

}  // namespace lapwing::hub
