// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/csv.hpp"
#include "hub/jobs/round_plan.hpp"
#include "hub/jobs/rounds.hpp"
#include "hub/store/models.hpp"
#include "hub/store/rounds.hpp"
#include "hub/store/uploads.hpp"
#include "shared/base/log.hpp"
#include "shared/federate/merge.hpp"
#include "shared/model/model.hpp"
#include "shared/model/text.hpp"
#include "shared/trust/token.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::hub {
namespace {

using OrderedJson = nlohmann::ordered_json;

/// What came of a pass, before it is kept.
struct Outcome {
  std::string file;
  double rows = 0;
  std::vector<federate::Left> left;
  std::vector<federate::SensorSpread> spreads;
  std::size_t devices = 0;
  std::uint64_t upload = 0;  ///< samples: where they are
};

struct Told {
  std::vector<RoundMember> members;
  std::vector<federate::Contribution> contributions;  ///< of those that can be read
  std::vector<federate::Member> whole;
  std::vector<federate::Left> left;  ///< of the others
};

Result<Told> read_told(JobRun& run, const RoundRow& round) {
  auto members = run.store().rounds().told(round.id);
  if (!members) return members.error();
  Told told;
  told.members = *std::move(members);
  told.contributions.reserve(told.members.size());
  for (const auto& member : told.members) {
    const auto done = told.contributions.size();
    if (auto on = run.progress(done, told.members.size(), "reading what devices told"); !on) {
      return on.error();
    }
    const auto bytes = run.store().rounds().contribution(round.id, {round.tenant, member.device});
    if (!bytes) return bytes.error();
    auto contribution = federate::decode(*bytes);
    if (!contribution) {
      told.left.push_back({member.device, contribution.error().context});
      continue;
    }
    told.contributions.push_back(*std::move(contribution));
    told.whole.push_back({member.device, &told.contributions.back()});
  }
  return told;
}

Result<std::string> read_file_of(Store& store, const RoundRow& round) {
  std::string bytes;
  const auto row = store.models().file(round.tenant, round.result);
  if (!row) return row.error();
  for (std::uint64_t part = 0; bytes.size() < row->length; ++part) {
    const auto piece = store.models().part(round.tenant, round.result, part);
    if (!piece) return piece.error();
    if (piece->empty()) return Error{Errc::corrupt, "the candidate is shorter than it should be"};
    bytes += *piece;
  }
  return bytes;
}

/// As an upload, which a training takes.
Result<std::uint64_t> keep_table(JobRun& run, const RoundRow& round, std::string_view lines) {
  auto& uploads = run.store().uploads();
  const auto upload = uploads.add({.tenant = round.tenant,
                                   .name = round.name,
                                   .sha256 = {},
                                   .actor = round.actor,
                                   .created_at = now(),
                                   .completed_at = {}});
  if (!upload) return upload.error();
  for (std::size_t at = 0; at < lines.size(); at += Uploads::kPieceBytesMax) {
    if (auto on = run.progress(at, lines.size(), "keeping the samples"); !on) return on.error();
    const auto piece = lines.substr(at, Uploads::kPieceBytesMax);
    if (auto kept = uploads.append(round.tenant, upload->id, at, piece); !kept) return kept.error();
  }
  const auto done = uploads.complete(round.tenant, upload->id, trust::sha256_hex(lines), now());
  if (!done) return done.error();
  return upload->id;
}

/// All rows, and whose they are.
Result<Outcome> write_samples(JobRun& run, const RoundRow& round, const RoundOrder& order,
                              const Told& told) {
  const std::size_t least = std::max(order.plan.rules.devices_min, federate::kCohortMin);
  const std::size_t width = order.plan.sensors.size();
  Outcome outcome{.file = {}, .rows = 0, .left = {}, .spreads = {}, .devices = 0, .upload = 0};
  CsvLine line;
  line.text("device");
  for (const auto& sensor : order.plan.sensors) line.text(sensor.name);
  std::string lines = line.end();
  for (const auto& [device, contribution] : told.whole) {
    if (contribution->width != width || contribution->samples.empty()) {
      outcome.left.push_back({device, "it does not hold what was asked for"});
      continue;
    }
    ++outcome.devices;
    const auto& values = contribution->samples;
    outcome.rows += static_cast<double>(values.size()) / static_cast<double>(width);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i % width == 0) line.text(device);
      line.number(values[i]);
      if (i % width == width - 1) lines += line.end();
    }
    if (lines.size() > Uploads::kBytesMax) {
      return Error{Errc::limit, "more samples than an upload holds; ask for fewer rows"};
    }
  }
  if (outcome.devices < least) {
    return Error{Errc::bad_input, std::to_string(outcome.devices) + " devices, where at least " +
                                      std::to_string(least) + " are wanted"};
  }
  const auto upload = keep_table(run, round, lines);
  if (!upload) return upload.error();
  outcome.upload = *upload;
  return outcome;
}

Result<Outcome> make(JobRun& run, const RoundRow& round, const RoundOrder& order,
                     const Told& told) {
  if (order.plan.kind == federate::Kind::samples) return write_samples(run, round, order, told);
  std::string candidate;
  if (round.pass > 1) {
    auto read = read_file_of(run.store(), round);
    if (!read) return read.error();
    candidate = *std::move(read);
  }
  auto plan = order.plan;
  plan.tool = std::string("lapwing-hub ") + LAPWING_VERSION;
  auto merged = federate::merge(plan, round.pass, candidate, told.whole);
  if (!merged) return merged.error();
  return Outcome{.file = std::move(merged->file),
                 .rows = merged->rows,
                 .left = std::move(merged->left),
                 .spreads = std::move(merged->spreads),
                 .devices = merged->devices.size(),
                 .upload = 0};
}

/// What was there of the passes before, and this one.
std::string report_of(const RoundRow& round, const RoundOrder& order, const Told& told,
                      const Outcome& outcome) {
  auto report = OrderedJson::parse(round.report.empty() ? "[]" : round.report, nullptr, false);
  if (!report.is_array()) report = OrderedJson::array();
  OrderedJson left = OrderedJson::array();
  for (const auto* list : {&told.left, &outcome.left}) {
    for (const auto& one : *list) left.push_back({{"device", one.device}, {"why", one.why}});
  }
  std::uint64_t bytes = 0;
  std::uint64_t most = 0;
  for (const auto& member : told.members) {
    bytes += member.bytes;
    most = std::max(most, member.bytes);
  }
  OrderedJson pass{
      {"pass", round.pass},    {"devices", outcome.devices}, {"rows", std::llround(outcome.rows)},
      {"bytes_so_far", bytes}, {"bytes_so_far_most", most},  {"left_out", std::move(left)}};
  if (outcome.upload > 0) pass["upload"] = outcome.upload;
  for (std::size_t i = 0; i < outcome.spreads.size(); ++i) {
    const auto& spread = outcome.spreads[i];
    pass["sensors"].push_back({{"name", order.plan.sensors[i].name},
                               {"quartiles", spread.quartiles},
                               {"histogram", spread.histogram}});
  }
  report.push_back(std::move(pass));
  return report.dump();
}

Result<std::string> keep_file(JobRun& run, const RoundRow& round, const std::string& file,
                              const std::string& report) {
  const auto read = model::Model::read(file);
  if (!read) return read.error();
  const auto sha256 = read->sha256();
  const auto kept = run.store().models().add_file({.tenant = round.tenant,
                                                   .sha256 = sha256,
                                                   .length = file.size(),
                                                   .kind = round.kind,
                                                   .header = model::to_json(read->header()).dump(),
                                                   .report = report,
                                                   .picture = {},
                                                   .job = run.job().id,
                                                   .actor = round.actor,
                                                   .created_at = now()},
                                                  file);
  if (!kept) return kept.error();
  return sha256;
}

Result<void> step(JobRun& run, const RoundRow& round, RoundStep step) {
  step.id = round.id;
  step.pass = round.pass;
  step.at = now();
  const auto stepped = run.store().rounds().step(step);
  if (!stepped) return stepped.error();
  if (!*stepped) return Error{Errc::shutting_down, "the round has ended, or goes on elsewhere"};
  return {};
}

Result<void> merge_pass(JobRun& run, const RoundRow& round) {
  const auto order = read_round_order(round.plan);
  if (!order) return order.error();
  const auto told = read_told(run, round);
  if (!told) return told.error();
  const auto outcome = make(run, round, *order, *told);
  if (!outcome) return outcome.error();
  RoundStep next;
  next.report = report_of(round, *order, *told, *outcome);
  for (const auto* list : {&told->left, &outcome->left}) {
    for (const auto& one : *list) next.left.emplace_back(one.device, one.why);
  }
  if (!outcome->file.empty()) {
    auto kept = keep_file(run, round, outcome->file, next.report);
    if (!kept) return kept.error();
    next.result = *std::move(kept);
  }
  const bool last = round.pass == federate::passes(order->plan.kind);
  next.state = last ? RoundState::done : RoundState::gathering;
  const auto what = std::to_string(outcome->devices) + " devices, " +
                    std::to_string(std::llround(outcome->rows)) + " rows";
  next.text = last ? "made of " + what : "pass " + std::to_string(round.pass) + " took " + what;
  const auto result = next.result;
  if (auto stepped = step(run, round, next); !stepped) return stepped;
  if (!round.result.empty() && round.result != result) {
    static_cast<void>(run.store().models().drop_file(round.tenant, round.result));
  }
  return run.progress(outcome->devices, outcome->devices, next.text);
}

}  // namespace

Result<void> check_federate(std::string_view arguments) {
  const auto json = OrderedJson::parse(arguments, nullptr, false);
  const bool fine = json.is_object() && json.size() == 1 && json.contains("round") &&
                    json["round"].is_number_unsigned();
  if (!fine) return Error{Errc::bad_input, "\"round\": the number of a round is wanted"};
  return {};
}

Result<void> run_federate(JobRun& run) {
  if (auto fine = check_federate(run.job().arguments); !fine) return fine;
  const auto id = OrderedJson::parse(run.job().arguments)["round"].get<std::uint64_t>();
  auto& rounds = run.store().rounds();
  auto round = rounds.get(run.job().tenant, id);
  if (!round) return round.error();
  if (round->state == RoundState::gathering) {
    // Asked for by hand, or before its keeper could say so.
    const auto begun = rounds.begin_merge(id, round->pass, run.job().id);
    if (!begun) return begun.error();
    if (*begun) round->job = run.job().id;
  }
  round = rounds.get(run.job().tenant, id);
  if (!round) return round.error();
  if (round->state != RoundState::merging || round->job != run.job().id) {
    return Error{Errc::bad_input, "round " + std::to_string(id) + " does not wait for this job"};
  }
  auto merged = merge_pass(run, *round);
  const bool for_good =
      !merged && merged.error().code != Errc::io && merged.error().code != Errc::shutting_down;
  if (for_good) {
    const auto ended = step(run, *round,
                            {.state = RoundState::failed,
                             .result = {},
                             .report = round->report,
                             .text = merged.error().context,
                             .left = {}});
    if (!ended) log::warn("a round's end cannot be stored", {ended.error()});
  }
  return merged;
}

}  // namespace lapwing::hub
