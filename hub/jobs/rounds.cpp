// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/rounds.hpp"

#include "hub/jobs/round_plan.hpp"
#include "hub/store/commands.hpp"
#include "hub/store/models.hpp"
#include "hub/store/rounds.hpp"
#include "shared/base/log.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kAskedAtOnce = 500;
constexpr std::size_t kDueAtOnce = 20;

/// What the device is told to do; it reads it with agent/rounds.
std::string arguments_of(const RoundRow& round, const RoundOrder& order,
                         std::uint64_t candidate_bytes) {
  OrderedJson json{
      {"round", round.id},         {"pass", round.pass},          {"kind", round.kind},
      {"schema", round.schema},    {"model", round.model},        {"seed", order.plan.seed},
      {"trees", order.task.trees}, {"sample", order.task.sample}, {"rows", order.task.rows_max}};
  if (round.pass > 1) {
    json["candidate"] = round.result;
    json["length"] = candidate_bytes;
  }
  return json.dump();
}

Result<void> ask(Store& store, const RoundRow& round, const DeviceKey& key, Time at) {
  const auto order = read_round_order(round.plan);
  if (!order) return order.error();
  std::uint64_t candidate_bytes = 0;
  if (round.pass > 1) {
    const auto file = store.models().file(round.tenant, round.result);
    if (!file) return file.error();
    candidate_bytes = file->length;
  }
  const auto asked =
      store.commands().add({.key = key,
                            .kind = "contribute",
                            .arguments = arguments_of(round, *order, candidate_bytes),
                            .actor = "round",
                            .created_at = at,
                            .expires_at = std::min(round.deadline, at + kAskAgain)});
  // One that has too many orders waits for its next turn.
  if (!asked && asked.error().code != Errc::limit) return asked.error();
  return store.rounds().mark_asked(round.id, key, at);
}

/// Its job was lost, or cancelled: nobody else will end it.
Result<void> end_orphan(Store& store, const RoundRow& round, Time at) {
  const auto done = store.rounds().step(
      {.id = round.id,
       .pass = round.pass,
       .state = RoundState::failed,
       .result = round.result,
       .report = round.report,
       .text = "job " + std::to_string(round.job) + " ended without it; see there why",
       .left = {},
       .at = at});
  if (!done) return done.error();
  return {};
}

Result<void> merge_soon(Store& store, const RoundRow& round, Time at) {
  const auto job = store.jobs().add({.tenant = round.tenant,
                                     .kind = "federate",
                                     .arguments = OrderedJson{{"round", round.id}}.dump(),
                                     .actor = round.actor,
                                     .created_at = at});
  if (!job) return job.error();
  const auto begun = store.rounds().begin_merge(round.id, round.pass, job->id);
  if (!begun) return begun.error();
  return {};
}

}  // namespace

Result<void> tend_rounds(Store& store, Time at) {
  const auto due = store.rounds().due(at, kDueAtOnce);
  if (!due) return due.error();
  for (const auto& round : *due) {
    const auto done = round.state == RoundState::merging ? end_orphan(store, round, at)
                                                         : merge_soon(store, round, at);
    if (!done) return within("round " + std::to_string(round.id), done.error());
  }
  const auto asked = store.rounds().to_ask(at, kAskAgain, kAskedAtOnce);
  if (!asked) return asked.error();
  for (const auto& [round, key] : *asked) {
    if (auto done = ask(store, round, key, at); !done) {
      return within("round " + std::to_string(round.id), done.error());
    }
  }
  return {};
}

}  // namespace lapwing::hub
