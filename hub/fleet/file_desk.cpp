// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/file_desk.hpp"

#include "shared/base/log.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::size_t kQuestionBytesMax = 4 * 1024;

}  // namespace

FileDesk::FileDesk(std::uint64_t bytes_per_second, Store& store, Metrics& metrics, Send send)
    : bytes_per_second_(bytes_per_second),
      store_(store),
      send_(std::move(send)),
      answered_(metrics.counter("hub_model_pieces_total", "Pieces of model files asked for",
                                {{"outcome", "sent"}})),
      refused_(metrics.counter("hub_model_pieces_total", "Pieces of model files asked for",
                               {{"outcome", "refused"}})),
      dropped_(metrics.counter("hub_model_pieces_total", "Pieces of model files asked for",
                               {{"outcome", "dropped"}})),
      bytes_(metrics.counter("hub_model_bytes_sent_total", "Bytes of model files sent to devices")),
      waiting_gauge_(metrics.gauge("hub_model_pieces_waiting",
                                   "Pieces of model files asked for and not sent yet")),
      cache_(store, metrics.counter("hub_model_part_reads_total",
                                    "Parts of model files read from the store")),
      reader_({.frame_bytes_max = kQuestionBytesMax, .body_bytes_max = kQuestionBytesMax}) {}

FileDesk::~FileDesk() { stop(); }

void FileDesk::start() {
  thread_ = std::thread([this] { run(); });
}

void FileDesk::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void FileDesk::ask(const wire::Identity& device, std::string_view frame) {
  {
    const std::lock_guard lock(mutex_);
    auto at = waiting_.find(device);
    const bool full =
        count_ >= kWaitingMax || (at != waiting_.end() && at->second.size() >= kEachMax);
    if (stop_ || full || frame.size() > kQuestionBytesMax) {
      dropped_.add();
      return;
    }
    if (at == waiting_.end()) {
      at = waiting_.try_emplace(device).first;
      turns_.push_back(device);
    }
    at->second.emplace_back(frame);
    waiting_gauge_.set(static_cast<double>(++count_));
  }
  changed_.notify_one();
}

/// Of the device whose turn it is; it goes to the end of the line. With mutex_.
std::optional<FileDesk::Question> FileDesk::next() {
  if (turns_.empty()) return std::nullopt;
  const auto at = waiting_.find(turns_.front());
  turns_.pop_front();
  Question question{at->first, std::move(at->second.front())};
  at->second.pop_front();
  if (at->second.empty()) {
    waiting_.erase(at);
  } else {
    turns_.push_back(question.device);
  }
  waiting_gauge_.set(static_cast<double>(--count_));
  return question;
}

void FileDesk::run() {
  Ticks free{};
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (ticks_now() < free) {
      changed_.wait_until(lock, free, [this] { return stop_; });
      continue;
    }
    const auto question = next();
    if (!question) {
      changed_.wait(lock, [this] { return stop_ || !turns_.empty(); });
      continue;
    }
    lock.unlock();
    const auto bytes = handle(*question);
    if (bytes > 0) free = pace(bytes, ticks_now());
    lock.lock();
  }
}

Ticks FileDesk::pace(std::uint64_t bytes, Ticks at) {
  const auto of = [this](std::uint64_t count) {
    return Micros(static_cast<std::int64_t>(count * 1'000'000 / bytes_per_second_));
  };
  paid_until_ = std::max(paid_until_, at) + of(bytes);
  return paid_until_ - of(kBurstBytes);
}

/// Bytes of the file that were sent.
std::uint64_t FileDesk::handle(const Question& question) {
  const auto body = reader_.open(question.frame);
  const auto fetch = body ? wire::decode_fetch(*body) : body.error();
  if (!fetch) {
    refused_.add();
    log::debug("question for a piece of a model cannot be read",
               {{"device", wire::to_string(question.device)}, fetch.error()});
    return 0;
  }
  const auto chunk = answer({question.device.tenant, question.device.device}, *fetch, ticks_now());
  if (!send_(question.device, writer_.seal(wire::encode(chunk)))) {
    dropped_.add();
    return 0;
  }
  if (!chunk.problem.empty()) {
    refused_.add();
    log::warn("no piece of a model for a device",
              {{"device", wire::to_string(question.device)}, {"reason", chunk.problem}});
    return 0;
  }
  answered_.add();
  bytes_.add(static_cast<double>(chunk.bytes.size()));
  return chunk.bytes.size();
}

wire::Chunk FileDesk::answer(const DeviceKey& key, const wire::Fetch& fetch, Ticks at) {
  auto chunk = read(key, fetch, at);
  if (chunk) return *std::move(chunk);
  // The store's own words are for the log.
  const bool away = chunk.error().code == Errc::io || chunk.error().code == Errc::corrupt;
  if (away) log::warn("a model file cannot be read", {chunk.error()});
  return {.sha256 = fetch.sha256,
          .offset = fetch.offset,
          .total = 0,
          .bytes = {},
          .problem = away ? "the hub's store does not answer" : chunk.error().context};
}

Result<wire::Chunk> FileDesk::read(const DeviceKey& key, const wire::Fetch& fetch, Ticks at) {
  if (auto good = known(key, at); !good) return good.error();
  const auto length = cache_.length(key.tenant, fetch.sha256);
  if (!length) return length.error();
  if (fetch.offset >= *length) {
    return Error{Errc::bad_input, "the file has " + std::to_string(*length) + " bytes"};
  }
  const auto part = cache_.part(key.tenant, fetch.sha256, fetch.offset / Models::kPartBytes);
  if (!part) return part.error();
  const auto from = fetch.offset % Models::kPartBytes;
  if (from >= part->size()) {
    return Error{Errc::corrupt, "a part of model file " + fetch.sha256 + " is cut short"};
  }
  return wire::Chunk{.sha256 = fetch.sha256,
                     .offset = fetch.offset,
                     .total = *length,
                     .bytes = std::string(part->substr(from, fetch.length)),
                     .problem = {}};
}

Result<void> FileDesk::known(const DeviceKey& key, Ticks at) {
  const auto seen = known_.find(key);
  if (seen != known_.end() && at < seen->second + kKnownFor) return {};
  const auto device = store_.device(key);
  if (!device && device.error().code == Errc::not_found) {
    return Error{Errc::not_found, "this device is not enrolled at this hub"};
  }
  if (!device) return device.error();
  if (device->revoked_at) {
    known_.erase(key);
    return Error{Errc::denied, "this device is revoked"};
  }
  if (known_.size() >= kKnownMax) known_.clear();
  known_[key] = at;
  return {};
}

}  // namespace lapwing::hub
