// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/contribution_desk.hpp"

#include "hub/store/rounds.hpp"
#include "shared/base/log.hpp"
#include "shared/wire/contributions.hpp"

#include <utility>

namespace lapwing::hub {
namespace {

constexpr const char* kPieces = "hub_contribution_pieces_total";
constexpr const char* kPiecesHelp = "Pieces of contributions to federated rounds that came";

}  // namespace

ContributionDesk::ContributionDesk(Store& store, Metrics& metrics)
    : store_(store),
      kept_(metrics.counter(kPieces, kPiecesHelp, {{"outcome", "kept"}})),
      ignored_(metrics.counter(kPieces, kPiecesHelp, {{"outcome", "ignored"}})),
      refused_(metrics.counter(kPieces, kPiecesHelp, {{"outcome", "refused"}})),
      dropped_(metrics.counter(kPieces, kPiecesHelp, {{"outcome", "dropped"}})),
      bytes_(metrics.counter("hub_contribution_bytes_total",
                             "Bytes of contributions to federated rounds that were kept")),
      reader_({.frame_bytes_max = kFrameBytesMax, .body_bytes_max = kFrameBytesMax}) {}

ContributionDesk::~ContributionDesk() { stop(); }

void ContributionDesk::start() {
  thread_ = std::thread([this] { run(); });
}

void ContributionDesk::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ContributionDesk::take(const wire::Identity& device, std::string_view frame) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || waiting_.size() >= kWaitingMax || frame.size() > kFrameBytesMax) {
      dropped_.add();
      return;
    }
    waiting_.push_back({device, std::string(frame)});
  }
  changed_.notify_one();
}

void ContributionDesk::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) return;
    const auto one = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    handle(one.device, one.frame);
    lock.lock();
  }
}

void ContributionDesk::handle(const wire::Identity& device, std::string_view frame) {
  const auto body = reader_.open(frame);
  auto part = body ? wire::decode_contribution(*body) : body.error();
  if (!part) {
    refused_.add();
    log::warn("a contribution cannot be read", {{"device", wire::to_string(device)}, part.error()});
    return;
  }
  const DeviceKey key{device.tenant, device.device};
  const auto row = store_.device(key);
  if (!row || row->revoked_at) {
    refused_.add();
    return;
  }
  const auto bytes = part->bytes.size();
  const auto kept = store_.rounds().take(key,
                                         {.round = part->round,
                                          .pass = part->pass,
                                          .part = part->part,
                                          .parts = part->parts,
                                          .sha256 = std::move(part->sha256),
                                          .rows = part->rows,
                                          .bytes = std::move(part->bytes),
                                          .problem = std::move(part->problem)},
                                         now());
  if (!kept) {
    dropped_.add();
    log::warn("a contribution cannot be stored; it is asked for again", {kept.error()});
    return;
  }
  (*kept ? kept_ : ignored_).add();
  if (*kept) bytes_.add(static_cast<double>(bytes));
}

}  // namespace lapwing::hub
