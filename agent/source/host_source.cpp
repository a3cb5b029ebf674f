// SPDX-License-Identifier: Apache-2.0
/// Kind `host`: the machine's own telemetry, sampled at an interval.
#include "agent/source/source.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <unordered_map>

namespace lapwing::agent {
namespace {

std::string machine_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

class HostSource final : public Source {
 public:
  HostSource(const SourceConfig& config, const SourceContext& context)
      : config_(config),
        context_(context),
        probe_(config.host.probe),
        prefix_("host/" +
                level_word(config.host.hostname.empty() ? machine_name() : config.host.hostname) +
                "/") {
    if (context_.metrics != nullptr) {
      readings_counter_ = &context_.metrics->counter("readings_total", "Readings decoded",
                                                     {{"source", config_.name}});
    }
  }
  ~HostSource() override { HostSource::stop(); }

  Result<void> start() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = false;
    }
    state_ = SourceState::running;
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void stop() noexcept override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    state_ = SourceState::stopped;
  }

  [[nodiscard]] SourceHealth health() const override {
    SourceHealth health;
    health.name = config_.name;
    health.kind = "host";
    health.state = state_;
    health.messages = samples_;
    health.readings = readings_;
    health.refused = refused_;
    health.last_message = from_micros(last_);
    return health;
  }

 private:
  void run() {
    auto due = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      sample();
      lock.lock();
      due += config_.host.interval;
      // After a sleep of the machine the missed samples are not made up for.
      due = std::max(due, std::chrono::steady_clock::now());
      changed_.wait_until(lock, due, [this] { return stopping_; });
    }
  }

  void sample() {
    const Time time = now();
    batch_.clear();
    for (const HostValue& value : probe_.sample(ticks_now())) {
      if (const auto stream = stream_of(value.name, time)) {
        batch_.push_back({*stream, time, value.value});
      }
    }
    if (!context_.sink.submit(batch_)) return;  // only when the engine is stopping
    ++samples_;
    readings_ += batch_.size();
    last_ = to_micros(time);
    if (readings_counter_ != nullptr) readings_counter_->add(static_cast<double>(batch_.size()));
  }

  std::optional<StreamId> stream_of(const std::string& name, Time time) {
    const auto known = streams_.find(name);
    if (known != streams_.end()) return known->second;
    const auto slash = name.find('/');
    const std::array<wire::Tag, 2> tags{wire::Tag{"host", prefix_.substr(5, prefix_.size() - 6)},
                                        wire::Tag{"measurement", name.substr(0, slash)}};
    const auto stream = context_.namer.stream_for(prefix_ + name, tags);
    if (!stream) {
      ++refused_;
      context_.quarantine.add(config_.name, prefix_ + name, {}, Refusal::streams,
                              "the maximum number of streams is reached: raise "
                              "engine.streams_max or name fewer `groups`",
                              time);
      return std::nullopt;
    }
    streams_.emplace(name, *stream);
    return *stream;
  }

  SourceConfig config_;
  SourceContext context_;
  HostProbe probe_;
  std::string prefix_;
  Counter* readings_counter_ = nullptr;

  std::unordered_map<std::string, StreamId> streams_;  // of the thread
  std::vector<Reading> batch_;

  std::mutex mutex_;  // guards stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
  std::atomic<SourceState> state_{SourceState::stopped};
  std::atomic<std::uint64_t> samples_{0};
  std::atomic<std::uint64_t> readings_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::int64_t> last_{0};
};

}  // namespace

std::unique_ptr<Source> make_host_source(const SourceConfig& config, const SourceContext& context) {
  return std::make_unique<HostSource>(config, context);
}

}  // namespace lapwing::agent
