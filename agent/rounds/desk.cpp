// SPDX-License-Identifier: Apache-2.0
#include "agent/rounds/desk.hpp"

#include "shared/base/files.hpp"
#include "shared/base/hex.hpp"
#include "shared/base/log.hpp"
#include "shared/detect/random.hpp"
#include "shared/detect/snapshot.hpp"
#include "shared/federate/contribute.hpp"
#include "shared/model/live.hpp"
#include "shared/release/documents.hpp"
#include "shared/trust/token.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

namespace lapwing::agent {
namespace {

constexpr int kSendTries = 30;
constexpr Micros kSendAgain = std::chrono::seconds(1);
constexpr std::size_t kLeftOutNamed = 8;  // in a line of the log

bool fits(const detect::GroupConfig& group, const RoundOrder& order) {
  return (order.model.empty() || group.model == order.model) &&
         release::schema_digest(model::sensors_of(group)) == order.schema;
}

bool shares(const detect::GroupConfig& group, const RoundOrder& order) {
  return group.share == detect::Share::samples ||
         (group.share == detect::Share::summaries && order.kind != "samples");
}

}  // namespace

Result<RoundOrder> read_round_order(std::string_view arguments) {
  const auto json = nlohmann::json::parse(arguments, nullptr, false);
  if (!json.is_object()) return Error{Errc::bad_input, "the arguments are no JSON object"};
  RoundOrder order;
  bool fine = true;
  const auto text = [&](const char* key, std::string& to, std::size_t bytes_max) {
    const auto at = json.find(key);
    if (at == json.end()) return;
    fine = fine && at->is_string() && at->get_ref<const std::string&>().size() <= bytes_max;
    if (fine) to = at->get<std::string>();
  };
  const auto number = [&](const char* key, auto& to, std::uint64_t most) {
    const auto at = json.find(key);
    if (at == json.end()) return;
    fine = fine && at->is_number_unsigned() && at->template get<std::uint64_t>() <= most;
    if (fine) to = at->template get<std::remove_reference_t<decltype(to)>>();
  };
  number("round", order.round, std::uint64_t{1} << 62U);
  number("pass", order.pass, 16);
  text("kind", order.kind, 64);
  text("schema", order.schema, 64);
  text("model", order.model, 64);
  number("seed", order.seed, std::uint64_t{1} << 53U);
  number("trees", order.trees, 100);
  number("sample", order.sample, 256);
  number("rows", order.rows, 4096);
  text("candidate", order.candidate, 64);
  number("length", order.length, RoundDesk::kCandidateBytesMax);
  const bool whole = fine && order.round > 0 && order.pass > 0 && order.schema.size() == 64 &&
                     federate::parse_kind(order.kind).has_value() &&
                     (order.pass == 1 || (order.candidate.size() == 64 && is_hex(order.candidate) &&
                                          order.length > 0));
  if (!whole) return Error{Errc::bad_input, "no round asks for that"};
  return order;
}

RoundDesk::RoundDesk(RoundParts parts)
    : parts_(std::move(parts)),
      told_(parts_.metrics.counter("rounds_total", "Passes of federated rounds that were answered",
                                   {{"outcome", "told"}})),
      refused_(parts_.metrics.counter("rounds_total",
                                      "Passes of federated rounds that were answered",
                                      {{"outcome", "refused"}})),
      bytes_(parts_.metrics.counter("rounds_bytes_sent_total",
                                    "Bytes told in federated rounds, repeated ones included")),
      left_out_(parts_.metrics.counter(
          "rounds_groups_left_out_total",
          "Groups whose rows had no room in what was told of a pass of a federated round")) {}

RoundDesk::~RoundDesk() { stop(); }

void RoundDesk::start() {
  thread_ = std::thread([this] { run(); });
}

void RoundDesk::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  parts_.files.cancel();
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<std::string> RoundDesk::take(std::string_view arguments) {
  auto order = read_round_order(arguments);
  if (!order) return order.error();
  {
    const std::lock_guard lock(mutex_);
    const bool same = (running_round_ == order->round && running_pass_ == order->pass) ||
                      std::ranges::any_of(waiting_, [&](const RoundOrder& one) {
                        return one.round == order->round && one.pass == order->pass;
                      });
    if (same) return std::string("at it");
    if (waiting_.size() >= kWaitingMax) {
      return Error{Errc::limit, "too many rounds wait already; ask again"};
    }
    waiting_.push_back(*std::move(order));
  }
  changed_.notify_all();
  return std::string("taken");
}

void RoundDesk::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) return;
    const auto order = std::move(waiting_.front());
    waiting_.pop_front();
    running_round_ = order.round;
    running_pass_ = order.pass;
    lock.unlock();
    work(order);
    lock.lock();
    running_round_ = 0;
  }
}

/// False: it stops.
bool RoundDesk::wait(Micros time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return stop_; });
}

void RoundDesk::work(const RoundOrder& order) {
  const auto parts = tell(order);
  if (!parts) {
    log::warn("a federated round waits", {{"round", order.round}, parts.error()});
    return;
  }
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    if (i > 0 && !wait(parts_.pace)) return;
    for (int tries = 1; !parts_.send((*parts)[i]); ++tries) {
      if (tries == kSendTries || !wait(kSendAgain)) return;
    }
    bytes += (*parts)[i].bytes.size();
  }
  const auto& problem = parts->front().problem;
  (problem.empty() ? told_ : refused_).add();
  bytes_.add(static_cast<double>(bytes));
  log::info("federated round", {{"round", order.round},
                                {"pass", order.pass},
                                {"kind", order.kind},
                                {"rows", parts->front().rows},
                                {"bytes", bytes},
                                {"problem", problem}});
}

/// Why nothing is told; empty: something is.
std::string RoundDesk::refusal(const RoundOrder& order) const {
  bool any = false;
  for (const auto& group : parts_.groups) {
    if (!fits(group, order)) continue;
    if (shares(group, order)) return {};
    any = true;
  }
  if (!any) return "no group here has these sensors and units, in this order";
  return order.kind == "samples" ? "its groups do not share samples (share, in [[group]])"
                                 : "its groups share nothing (share, in [[group]])";
}

Result<std::string> RoundDesk::candidate(const RoundOrder& order) {
  std::error_code failed;
  std::filesystem::create_directories(parts_.folder, failed);
  if (failed) return Error{Errc::io, parts_.folder.string() + ": " + failed.message()};
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<void>> outcome;
  };
  const auto shared = std::make_shared<Shared>();
  const auto path = parts_.folder / "candidate.lw";
  parts_.files.start(order.candidate, order.length, path, [shared](Result<void> outcome) {
    const std::lock_guard lock(shared->mutex);
    shared->outcome = std::move(outcome);
    shared->changed.notify_all();
  });
  const Ticks until = ticks_now() + kCandidateWait;
  for (;;) {
    {
      std::unique_lock lock(shared->mutex);
      if (shared->changed.wait_for(lock, std::chrono::milliseconds(200),
                                   [&] { return shared->outcome.has_value(); })) {
        if (!*shared->outcome) return shared->outcome->error();
        break;
      }
    }
    const std::lock_guard lock(mutex_);
    if (stop_) return Error{Errc::shutting_down, "the agent stops"};
    if (ticks_now() > until) return Error{Errc::timeout, "the candidate did not come"};
  }
  auto bytes = read_file(path, kCandidateBytesMax);
  std::filesystem::remove(path, failed);
  return bytes;
}

/// The model does not learn of them: whoever runs the device is to know.
void RoundDesk::note_left_out(const RoundOrder& order, const std::vector<std::string>& groups) {
  if (groups.empty()) return;
  left_out_.add(static_cast<double>(groups.size()));
  std::string names;
  for (std::size_t i = 0; i < std::min(groups.size(), kLeftOutNamed); ++i) {
    names += (i == 0 ? "" : ", ") + groups[i];
  }
  log::warn("groups have no room in a federated round; nothing is told of their rows",
            {{"round", order.round},
             {"pass", order.pass},
             {"groups", groups.size()},
             {"first", names},
             {"numbers_max", parts_.numbers_max}});
}

Result<std::vector<wire::ContributionPart>> RoundDesk::tell(const RoundOrder& order) {
  wire::ContributionPart head{.round = order.round,
                              .pass = order.pass,
                              .part = 0,
                              .parts = 0,
                              .rows = 0,
                              .sha256 = {},
                              .bytes = {},
                              .problem = refusal(order)};
  if (!head.problem.empty()) return std::vector{head};
  std::string bytes;
  if (order.pass > 1) {
    auto got = candidate(order);
    if (!got) return got.error();
    bytes = *std::move(got);
  }
  std::size_t width = 1;
  const auto kept = parts_.engine.kept_rows(
      [&](const detect::GroupConfig& group) {
        const bool wanted = fits(group, order) && shares(group, order);
        if (wanted) width = group.watch.streams.size();
        return wanted;
      },
      parts_.numbers_max);
  note_left_out(order, kept.left_out);
  const auto told =
      federate::contribute({.kind = federate::parse_kind(order.kind).value(),
                            .pass = order.pass,
                            .seed = detect::mixed(order.seed ^ detect::frame_tag(parts_.device, 1)),
                            .trees = order.trees,
                            .sample = order.sample,
                            .rows_max = order.rows,
                            .candidate = bytes},
                           {.values = kept.values, .width = width});
  if (!told) {
    head.problem = told.error().context;
    return std::vector{head};
  }
  const auto whole = federate::encode(*told);
  if (whole.size() > wire::kContributionBytesMax) {
    head.problem = "what it would tell is longer than 1 MiB";
    return std::vector{head};
  }
  head.rows = told->rows;
  head.sha256 = trust::sha256_hex(whole);
  return wire::pieces_of(head, whole);
}

}  // namespace lapwing::agent
