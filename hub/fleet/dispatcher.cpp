// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/dispatcher.hpp"

#include "shared/base/log.hpp"
#include "shared/wire/codec.hpp"
#include "shared/wire/topics.hpp"

#include <utility>

namespace lapwing::hub {
namespace {

std::string topic_of(const DeviceKey& key, wire::Channel channel) {
  return wire::topic(wire::Identity{key.tenant, key.device}, channel);
}

}  // namespace

Dispatcher::Dispatcher(std::string replica, Store& store, Send send, Metrics& metrics)
    : replica_(std::move(replica)),
      store_(store),
      send_(std::move(send)),
      sent_(metrics.counter("hub_commands_sent_total",
                            "Commands handed to the broker, repeated ones included")),
      done_(metrics.counter("hub_commands_answered_total", "Commands that devices answered",
                            {{"state", "done"}})),
      failed_(metrics.counter("hub_commands_answered_total", "Commands that devices answered",
                              {{"state", "failed"}})),
      unknown_(metrics.counter("hub_commands_answered_total", "Commands that devices answered",
                               {{"state", "not_open"}})),
      dropped_(metrics.counter("hub_command_answers_dropped_total",
                               "Answers beyond the queue's bound; their commands are sent again")),
      settings_(metrics.counter("hub_desired_sent_total",
                                "Desired settings handed to the broker, repeated ones included")),
      errors_(metrics.counter("hub_dispatch_errors_total",
                              "Looks for commands and settings that the store failed")) {}

Dispatcher::~Dispatcher() { stop(); }

Result<void> Dispatcher::start() {
  auto watch = store_.commands().watch([this] { look_soon(); });
  if (!watch) return watch.error();
  watch_ = *std::move(watch);
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
  return {};
}

void Dispatcher::stop() {
  if (!thread_.joinable()) return;
  watch_.reset();
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  store_answers(now());
}

void Dispatcher::look_soon() {
  {
    const std::scoped_lock lock(mutex_);
    wanted_ = true;
  }
  changed_.notify_one();
}

void Dispatcher::answered(std::vector<CommandAnswer> answers) {
  {
    const std::scoped_lock lock(mutex_);
    for (auto& answer : answers) {
      if (answers_.size() >= kAnswersMax) {
        dropped_.add();
        continue;
      }
      answers_.push_back(std::move(answer));
    }
    wanted_ = true;
  }
  changed_.notify_one();
}

void Dispatcher::run() {
  for (;;) {
    const bool more = round(now());
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, more ? Micros(0) : kLookEvery,
                      [this] { return stopping_ || std::exchange(wanted_, false); });
    if (stopping_) return;
  }
}

bool Dispatcher::round(Time at) {
  store_answers(at);
  bool more = send_commands(at);
  more = send_desired(at) || more;
  return (also_ && also_(at)) || more;
}

void Dispatcher::failed(const char* what, const Error& error) {
  errors_.add();
  log::warn(what, {error});
}

/// One that the store does not take is lost: its command is sent again, and answered again.
void Dispatcher::store_answers(Time at) {
  std::vector<CommandAnswer> answers;
  {
    const std::scoped_lock lock(mutex_);
    answers.swap(answers_);
  }
  for (const auto& [key, result] : answers) {
    const bool done = result.state == wire::CommandState::done;
    const auto ended = store_.commands().finish(
        key, result.id, done ? CommandStatus::done : CommandStatus::failed, result.result, at);
    if (!ended) {
      failed("an answer to a command cannot be stored", ended.error());
    } else {
      (!*ended ? unknown_ : done ? done_ : failed_).add();
    }
  }
}

bool Dispatcher::send_commands(Time at) {
  auto due = store_.commands().due(replica_, at, kRoundMax);
  if (!due) {
    failed("cannot look for commands", due.error());
    return false;
  }
  std::vector<DueCommand> sent;
  for (auto& one : *due) {
    const auto& c = one.command;
    const auto body = wire::encode(wire::Command{
        .id = c.id, .kind = c.kind, .arguments = c.arguments, .expires = c.expires_at});
    if (!send_(topic_of(c.key, wire::Channel::command), writer_.seal(body))) break;
    sent_.add();
    sent.push_back(std::move(one));
  }
  if (sent.empty()) return false;
  if (const auto marked = store_.commands().mark_sent(sent, at); !marked) {
    failed("cannot note that commands were sent", marked.error());
    return false;
  }
  return sent.size() == kRoundMax;
}

bool Dispatcher::send_desired(Time at) {
  const auto due = store_.commands().desired_due(replica_, kRoundMax);
  if (!due) {
    failed("cannot look for desired settings", due.error());
    return false;
  }
  std::map<DeviceKey, SentDesired> still;
  for (const auto& [row, connection_id] : *due) {
    const auto known = sent_desired_.find(row.key);
    const bool fresh = known != sent_desired_.end() && known->second.version == row.version &&
                       known->second.connection_id == connection_id &&
                       at - known->second.at < Commands::kResendAfter;
    if (fresh) {
      still.insert(*known);
      continue;
    }
    const auto body = wire::encode(wire::Desired{row.version, row.document});
    if (!send_(topic_of(row.key, wire::Channel::desired), writer_.seal(body))) break;
    settings_.add();
    still[row.key] = {row.version, connection_id, at};
  }
  sent_desired_ = std::move(still);
  return false;
}

}  // namespace lapwing::hub
