// SPDX-License-Identifier: Apache-2.0
#include "shared/mqtt/client.hpp"

#include "shared/base/backoff.hpp"
#include "shared/base/ids.hpp"
#include "shared/mqtt/connection.hpp"
#include "shared/mqtt/probe.hpp"
#include "shared/mqtt/resolve.hpp"

#include <MQTTAsync.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace lapwing::mqtt {
namespace {

/// A connection that lasted this long was a good one: the next back-off is short again.
constexpr Micros kLasted = std::chrono::seconds(5);
/// How often at most the reason of failures is looked for.
constexpr Micros kProbeEvery = std::chrono::seconds(30);
/// For what was published to leave a connection that is ended on purpose.
constexpr Micros kFlush = std::chrono::seconds(1);

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
    Backoff backoff(options_.backoff_min, options_.backoff_max,
                    options_.backoff_seed == 0 ? random_u64() : options_.backoff_seed);
    while (may_connect()) {
      const auto reason = hold_one_connection(backoff);
      if (stopping()) return;
      if (handlers_.on_disconnected) handlers_.on_disconnected(reason);
      std::unique_lock lock(mutex_);
      if (paused_) continue;
      if (!hurried_) {
        changed_.wait_for(lock, backoff.next(), [this] { return stopping_ || hurried_; });
      }
    }
  }

  Options options_;
  Handlers handlers_;
  std::vector<Subscription> subscriptions_;
  std::thread thread_;
  std::atomic<std::uint64_t> connects_{0};
  std::atomic<std::uint64_t> losses_{0};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<std::uint64_t> published_{0};
  std::atomic<std::uint64_t> refused_{0};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  bool paused_ = false;
  bool hurried_ = false;  ///< what is under way is to end, the next attempt begins at once
  std::shared_ptr<Connection> connection_;  // shared with a publish that is under way

  std::shared_ptr<Connection> current() {
    const std::lock_guard lock(mutex_);
    return connection_;
  }

 private:
  /// Waits while paused. False: stopping.
  bool may_connect() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || !paused_; });
    return !stopping_;
  }

  bool stopping() {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  bool given_up() {
    const std::lock_guard lock(mutex_);
    return stopping_ || hurried_;
  }

  Options options_of_attempt() {
    {
      const std::lock_guard lock(mutex_);
      hurried_ = false;
    }
    Options options = options_;
    if (handlers_.identify) options.tls = handlers_.identify();
    if (!handlers_.choose) return options;
    Target target = handlers_.choose();
    options.host = std::move(target.host);
    options.port = target.port;
    if (options.tls) options.tls->ca_file = std::move(target.ca_file);
    return options;
  }

  /// Connects, subscribes, and stays until the connection ends; why it did.
  Error hold_one_connection(Backoff& backoff) {
    const Options options = options_of_attempt();
    const auto stop_asked = [this] { return given_up(); };
    if (auto found = resolve(options.host, options.port, options.connect_timeout, stop_asked);
        !found) {
      ++failures_;
      return about(options, std::move(found).error());
    }
    const auto connection = std::make_shared<Connection>(options, handlers_);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return {Errc::shutting_down, "stopping"};
      if (hurried_) return {Errc::shutting_down, "given up for another broker"};
      connection_ = connection;
    }
    Error reason = use(*connection, options, backoff);
    {
      const std::lock_guard lock(mutex_);
      connection_.reset();
    }
    connection->disconnect(given_up() ? kFlush : Micros(0));
    return reason;
  }

  Error use(Connection& connection, const Options& options, Backoff& backoff) {
    auto present = connection.connect(handlers_.make_will ? handlers_.make_will() : std::nullopt);
    if (!present) {
      ++failures_;
      return present.error().code == Errc::denied ? present.error()
                                                  : look_for_reason(options, present.error());
    }
    if (auto done = connection.subscribe(subscriptions_); !done) {
      ++failures_;
      return std::move(done).error();
    }
    ++connects_;
    probed_.reset();
    const auto since = std::chrono::steady_clock::now();
    if (handlers_.on_connected) handlers_.on_connected(*present);
    auto reason = connection.wait_until_lost();
    ++losses_;
    if (std::chrono::steady_clock::now() - since >= kLasted) backoff.reset();
    return reason;
  }

  /// What is wrong, where the library's own words do not say it.
  Error look_for_reason(const Options& options, const Error& told) {
    if (given_up()) return told;
    const auto at = std::chrono::steady_clock::now();
    const std::string where = options.host + ":" + std::to_string(options.port);
    if (probed_ && probed_->where == where && at - probed_->at < kProbeEvery) {
      return probed_->found;
    }
    const auto well = probe(options, [this] { return given_up(); });
    const Error found =
        well ? Error{told.code, told.context + "; the way there is open" +
                                    (options.tls ? std::string(" and TLS works")
                                                 : std::string(": is this its TLS port, or "
                                                               "something else than MQTT?"))}
             : about(options, well.error());
    probed_ = Probed{where, at, found};
    return found;
  }

  struct Probed {
    std::string where;
    std::chrono::steady_clock::time_point at;
    Error found;
  };
  std::optional<Probed> probed_;  // of the client's thread
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
  impl_->paused_ = false;
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
  auto done = connection ? connection->publish(topic, payload, qos, retain)
                         : Result<void>(Error{Errc::io, "not connected"});
  (done ? impl_->published_ : impl_->refused_).fetch_add(1, std::memory_order_relaxed);
  return done;
}

bool Client::connected() const noexcept {
  const auto connection = impl_->current();
  return connection && connection->connected();
}

Counters Client::counters() const noexcept {
  return {.connects = impl_->connects_,
          .losses = impl_->losses_,
          .failures = impl_->failures_,
          .published = impl_->published_,
          .refused = impl_->refused_};
}

void Client::reconnect(const std::string& reason) {
  if (const auto connection = impl_->current()) connection->give_up({Errc::io, reason});
}

void Client::move(const std::string& reason) {
  {
    const std::lock_guard lock(impl_->mutex_);
    impl_->hurried_ = true;
    if (impl_->connection_) impl_->connection_->give_up({Errc::io, reason});
  }
  impl_->changed_.notify_all();
}

void Client::pause(const std::string& reason) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->paused_ = true;
  if (impl_->connection_) impl_->connection_->give_up({Errc::limit, reason});
}

void Client::resume() {
  {
    const std::lock_guard lock(impl_->mutex_);
    impl_->paused_ = false;
  }
  impl_->changed_.notify_all();
}

}  // namespace lapwing::mqtt
