// SPDX-License-Identifier: Apache-2.0
/// Rollouts and targets in memory, as their interfaces promise it, for tests and the simulation. A
/// hook runs before and after each write: a process may be killed there.
#pragma once

#include "hub/store/rollouts.hpp"
#include "hub/store/targets.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::hub {

class MemoryTargets final : public Targets {
 public:
  Result<void> want(std::span<const Target> targets, Time at) override {
    for (const auto& target : targets) {
      auto& row = rows_[{target.key, target.model}];
      const auto& had = row.target;
      if (row.offer != 0 && had.number == target.number && had.stage == target.stage &&
          had.rollout == target.rollout) {
        continue;
      }
      row.target = target;
      row.offer = 1 + std::max(row.offer, row.report.offer);
      row.assignment.clear();
      row.changed_at = at;
      if (on_want) on_want(row);
    }
    return {};
  }
  Result<TargetRow> get(const DeviceKey& key, std::string_view model) override {
    const auto* row = find(key, model);
    if (row == nullptr) return Error{Errc::not_found, "nothing is known of " + key.device};
    return *row;
  }
  Result<Page<TargetRow>> list(std::string_view tenant, const Filter& filter,
                               const PageRequest& page) override {
    Page<TargetRow> out;
    for (const auto& [key, row] : rows_) {
      if (key.first.tenant != tenant || key.first.device <= page.cursor) continue;
      if (filter.rollout != 0 && row.target.rollout != filter.rollout) continue;
      if (out.items.size() == page.limit) {
        out.next_cursor = out.items.back().target.key.device;
        break;
      }
      out.items.push_back(row);
    }
    return out;
  }
  Result<std::vector<DueTarget>> due(std::string_view, Time, std::size_t) override {
    return unused();
  }
  Result<void> mark_sent(std::span<const DueTarget>, Time) override { return unused(); }
  Result<std::vector<TargetRow>> ending(Time, std::size_t) override { return unused(); }
  Result<void> assign(const DeviceKey&, std::string_view, std::uint64_t, std::string_view,
                      Time) override {
    return unused();
  }
  Result<void> offer_again(const DeviceKey&, std::string_view, std::uint64_t, Time) override {
    return unused();
  }

  /// As an ingest transaction keeps it.
  void report(const DeviceKey& key, const wire::ModelReport& report, Time at) {
    auto& row = rows_[{key, report.model}];
    row.target.key = key;
    row.target.model = report.model;
    if (report.statistics) row.statistics = report.statistics;
    if (!report.statistics && report.version != row.report.version) row.statistics.reset();
    row.report = report;
    row.reported_at = at;
  }
  const TargetRow* find(const DeviceKey& key, std::string_view model) const {
    const auto at = rows_.find({key, std::string(model)});
    return at == rows_.end() ? nullptr : &at->second;
  }

  std::function<void(const TargetRow&)> on_want;

 private:
  static Error unused() { return {Errc::unsupported, "not used here"}; }
  std::map<std::pair<DeviceKey, std::string>, TargetRow> rows_;
};

class MemoryRollouts final : public Rollouts {
 public:
  explicit MemoryRollouts(MemoryTargets& targets) : targets_(targets) {}

  Result<RolloutRow> add(const RolloutRow& row, const Order& order) override {
    for (const auto& one : rows_) {
      if (one.row.model == row.model && !has_ended(one.row.state.phase)) {
        return Error{Errc::exists, "one is open"};
      }
    }
    Kept kept{.row = row, .members = {}, .decisions = {}};
    kept.row.id = rows_.size() + 1;
    kept.row.revision = 1;
    kept.members = order(kept.row.id);
    rows_.push_back(kept);
    return kept.row;
  }
  Result<RolloutRow> get(std::string_view tenant, std::uint64_t id) override {
    auto* kept = find(tenant, id);
    if (kept == nullptr) return Error{Errc::not_found, "no such rollout"};
    return kept->row;
  }
  Result<Page<RolloutRow>> list(std::string_view, const PageRequest&) override {
    Page<RolloutRow> page;
    for (const auto& one : rows_) page.items.push_back(one.row);
    return page;
  }
  Result<std::vector<RolloutRow>> open(std::size_t) override {
    std::vector<RolloutRow> open;
    for (const auto& one : rows_) {
      const auto phase = one.row.state.phase;
      if (!has_ended(phase) && phase != RolloutPhase::paused) open.push_back(one.row);
    }
    return open;
  }
  Result<Page<RolloutMember>> members(std::string_view tenant, std::uint64_t id,
                                      const PageRequest& page) override {
    Page<RolloutMember> out;
    auto* kept = find(tenant, id);
    if (kept == nullptr) return Error{Errc::not_found, "no such rollout"};
    for (auto member : kept->members) {
      if (member.device <= page.cursor) continue;
      if (out.items.size() == page.limit) {
        out.next_cursor = out.items.back().device;
        break;
      }
      if (is_online) member.online = is_online(member.device);
      out.items.push_back(std::move(member));
    }
    return out;
  }
  Result<Page<RolloutDecision>> decisions(std::string_view tenant, std::uint64_t id,
                                          const PageRequest&) override {
    auto* kept = find(tenant, id);
    if (kept == nullptr) return Error{Errc::not_found, "no such rollout"};
    return Page<RolloutDecision>{.items = {kept->decisions.rbegin(), kept->decisions.rend()},
                                 .next_cursor = std::nullopt};
  }
  Result<bool> step(const RolloutStep& step) override {
    if (on_write && !on_write(false)) return Error{Errc::io, "killed before the write"};
    auto* kept = find(step.tenant, step.id);
    const bool takes = kept != nullptr && !has_ended(kept->row.state.phase) &&
                       (kept->row.revision == step.revision || break_compare);
    if (takes) {
      kept->row.state = step.state;
      ++kept->row.revision;
      if (has_ended(step.state.phase)) kept->row.ended_at = step.at;
      if (step.decision) {
        kept->decisions.push_back(*step.decision);
        kept->decisions.back().number = kept->decisions.size();
      }
      for (auto& member : kept->members) {
        if (std::ranges::find(step.left_out, member.device) != step.left_out.end()) {
          member.left_out = true;
        }
      }
      if (auto wanted = targets_.want(step.targets, step.at); !wanted) return wanted.error();
    }
    if (on_write && !on_write(true)) return Error{Errc::io, "killed after the write"};
    return takes;
  }

  /// Called before (false) and after (true) each write; false: the writer dies there.
  std::function<bool(bool after)> on_write;
  std::function<bool(const std::string& device)> is_online;
  bool break_compare = false;  ///< as if steps were kept whatever was stepped meanwhile

 private:
  struct Kept {
    RolloutRow row;
    std::vector<RolloutMember> members;
    std::vector<RolloutDecision> decisions;
  };
  Kept* find(std::string_view tenant, std::uint64_t id) {
    if (id == 0 || id > rows_.size() || rows_[id - 1].row.tenant != tenant) return nullptr;
    return &rows_[id - 1];
  }

  MemoryTargets& targets_;
  std::vector<Kept> rows_;
};

}  // namespace lapwing::hub
