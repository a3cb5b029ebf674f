// SPDX-License-Identifier: Apache-2.0
#include "shared/mqtt/client.hpp"

#include "shared/base/backoff.hpp"
#include "shared/base/ids.hpp"
#include "shared/mqtt/connection.hpp"

#include <MQTTAsync.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace lapwing::mqtt {
namespace {

Error unreadable(const std::filesystem::path& path, const char* what) {
  return {Errc::bad_config, path.string() + ": the " + what +
                                " cannot be read; check that it exists and who may read it"};
}

Result<void> check_files(const Tls& tls) {
  const auto missing = [](const std::filesystem::path& path) {
    return !path.empty() && ::access(path.c_str(), R_OK) != 0;
  };
  if (missing(tls.ca_file)) return unreadable(tls.ca_file, "CA file");
  if (missing(tls.certificate_file)) return unreadable(tls.certificate_file, "certificate");
  if (missing(tls.key_file)) return unreadable(tls.key_file, "key");
  return {};
}

}  // namespace

class Client::Impl {
 public:
  Impl(Options options, Handlers handlers)
      : options_(std::move(options)), handlers_(std::move(handlers)) {}

  void run() {
    Backoff backoff(options_.backoff_min, options_.backoff_max, random_u64());
    while (!stopping()) {
      const auto reason = hold_one_connection(backoff);
      if (stopping()) return;
      if (handlers_.on_disconnected) handlers_.on_disconnected(reason);
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, backoff.next(), [this] { return stopping_; });
    }
  }

  Options options_;
  Handlers handlers_;
  std::vector<Subscription> subscriptions_;
  std::thread thread_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  std::shared_ptr<Connection> connection_;  // shared with a publish that is under way

  std::shared_ptr<Connection> current() {
    const std::lock_guard lock(mutex_);
    return connection_;
  }

 private:
  bool stopping() {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  /// Connects, subscribes, and stays until the connection ends; why it did.
  Error hold_one_connection(Backoff& backoff) {
    const auto connection = std::make_shared<Connection>(options_, handlers_);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return {Errc::shutting_down, "stopping"};
      connection_ = connection;
    }
    Error reason;
    auto present = connection->connect(handlers_.make_will ? handlers_.make_will() : std::nullopt);
    if (!present) {
      reason = std::move(present).error();
    } else if (auto done = connection->subscribe(subscriptions_); !done) {
      reason = std::move(done).error();
    } else {
      backoff.reset();
      if (handlers_.on_connected) handlers_.on_connected(*present);
      reason = connection->wait_until_lost();
    }
    {
      const std::lock_guard lock(mutex_);
      connection_.reset();
    }
    connection->disconnect(stopping() ? Micros(std::chrono::seconds(1)) : Micros(0));
    return reason;
  }
};

Client::Client(Options options, Handlers handlers)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handlers))) {
  static const bool initialised = [] {
    MQTTAsync_init_options options_once = MQTTAsync_init_options_initializer;
    options_once.do_openssl_init = 0;  // OpenSSL 3 initialises itself
    MQTTAsync_global_init(&options_once);
    return true;
  }();
  static_cast<void>(initialised);
}

Client::~Client() { stop(); }

void Client::subscribe(std::vector<Subscription> subscriptions) {
  impl_->subscriptions_ = std::move(subscriptions);
}

Result<void> Client::start() {
  if (impl_->options_.tls) {
    if (auto good = check_files(*impl_->options_.tls); !good) return good;
  }
  impl_->stopping_ = false;
  impl_->thread_ = std::thread([this] { impl_->run(); });
  return {};
}

void Client::stop() {
  if (!impl_->thread_.joinable()) return;
  {
    const std::lock_guard lock(impl_->mutex_);
    impl_->stopping_ = true;
    if (impl_->connection_) impl_->connection_->give_up({Errc::shutting_down, "stopping"});
  }
  impl_->changed_.notify_all();
  impl_->thread_.join();
}

Result<void> Client::publish(std::string_view topic, std::string_view payload, int qos,
                             bool retain) {
  const auto connection = impl_->current();
  if (!connection) return Error{Errc::io, "not connected to " + impl_->options_.host};
  return connection->publish(topic, payload, qos, retain);
}

bool Client::connected() const noexcept {
  const auto connection = impl_->current();
  return connection && connection->connected();
}

void Client::reconnect(const std::string& reason) {
  if (const auto connection = impl_->current()) connection->give_up({Errc::io, reason});
}

}  // namespace lapwing::mqtt
