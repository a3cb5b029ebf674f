// SPDX-License-Identifier: Apache-2.0
#include "agent/models/slots.hpp"

#include "shared/base/files.hpp"
#include "shared/base/hex.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <system_error>

namespace lapwing::agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json to_json(const ModelVersion& version) {
  return {{"number", version.number}, {"sha256", version.sha256}, {"length", version.length}};
}

ModelVersion version_of(const json& from) {
  ModelVersion version{
      .number = from.at("number"), .sha256 = from.at("sha256"), .length = from.at("length")};
  if (version.sha256.size() != 64 || !is_hex(version.sha256)) {
    throw std::invalid_argument("no digest");
  }
  return version;
}

json to_json(const std::optional<HeldModel>& held) {
  if (!held) return nullptr;
  json out = to_json(held->version);
  out["since_us"] = to_micros(held->since);
  return out;
}

std::optional<HeldModel> held_of(const json& from) {
  if (from.is_null()) return std::nullopt;
  return HeldModel{version_of(from), from_micros(from.at("since_us"))};
}

/// Digests of the files a state names.
std::set<std::string> files_of(const ActivationState& state) {
  std::set<std::string> files;
  for (const auto* held : {&state.active, &state.previous, &state.shadow}) {
    if (*held) files.insert((*held)->version.sha256);
  }
  if (state.wanted) files.insert(state.wanted->version.sha256);
  return files;
}

}  // namespace

std::string to_text(const ActivationState& state) {
  json out = {{"offer", state.offer},
              {"rollout", state.rollout},
              {"active", to_json(state.active)},
              {"previous", to_json(state.previous)},
              {"shadow", to_json(state.shadow)},
              {"wanted", nullptr},
              {"confirmed", state.confirmed},
              {"unclean_starts", state.unclean_starts},
              {"told", state.told},
              {"told_version", state.told_version},
              {"told_detail", state.told_detail}};
  if (state.wanted) {
    out["wanted"] = to_json(state.wanted->version);
    out["wanted"]["active"] = state.wanted->stage == wire::ModelStage::active;
  }
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

bool from_text(std::string_view text, ActivationState& state) {
  const auto from = json::parse(text, nullptr, false);
  if (!from.is_object()) return false;
  try {
    ActivationState read;
    read.offer = from.at("offer");
    read.rollout = from.at("rollout");
    read.active = held_of(from.at("active"));
    read.previous = held_of(from.at("previous"));
    read.shadow = held_of(from.at("shadow"));
    if (const auto& wanted = from.at("wanted"); !wanted.is_null()) {
      read.wanted = {version_of(wanted), wanted.at("active").get<bool>()
                                             ? wire::ModelStage::active
                                             : wire::ModelStage::shadow};
    }
    read.confirmed = from.at("confirmed");
    read.unclean_starts = from.at("unclean_starts");
    read.told = from.at("told");
    read.told_version = from.at("told_version");
    read.told_detail = from.at("told_detail");
    state = std::move(read);
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

ActivationState ModelSlots::read(std::string& problem) {
  const auto kept = text_.read();
  problem = kept.problem;
  ActivationState state;
  for (const std::size_t i : {kept.newest(), 1 - kept.newest()}) {
    if (kept.texts[i] && from_text(*kept.texts[i], state)) break;
  }
  kept_ = state;
  return state;
}

Result<void> ModelSlots::keep(const ActivationState& state) {
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (failed) return Error{Errc::io, folder_.string() + ": " + failed.message()};
  if (auto done = text_.write(to_text(state)); !done) return done;
  clear(state);
  kept_ = state;
  return {};
}

/// The state before is in the other copy: its files stay until the next change.
void ModelSlots::clear(const ActivationState& state) const {
  auto named = files_of(state);
  named.merge(files_of(kept_));
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder_, failed)) {
    const std::string name = entry.path().filename().string();
    const auto dot = name.find(".lw");
    if (dot == std::string::npos || named.contains(name.substr(0, dot))) continue;
    std::error_code ignored;
    fs::remove(entry.path(), ignored);
  }
}

Result<std::shared_ptr<const model::LiveModel>> ModelSlots::open(
    std::string_view model, const ModelVersion& version) const {
  const fs::path path = file(version.sha256);
  auto opened = model::Model::open(path);
  if (!opened) return std::move(opened).error();
  if (opened->file_bytes().size() != version.length || opened->sha256() != version.sha256) {
    return Error{Errc::denied, "mismatch: " + path.string() + " is another file than version " +
                                   std::to_string(version.number)};
  }
  auto live = model::LiveModel::of(std::make_shared<const model::Model>(*std::move(opened)),
                                   std::string(model) + " " + std::to_string(version.number));
  if (!live) return within(path.string(), std::move(live).error());
  return std::make_shared<const model::LiveModel>(*std::move(live));
}

Result<void> ModelSlots::ask_rollback() const {
  return write_file_atomic(folder_ / "rollback", "", 0600);
}

bool ModelSlots::rollback_asked() const {
  std::error_code ignored;
  return fs::exists(folder_ / "rollback", ignored);
}

void ModelSlots::rollback_done() const {
  std::error_code ignored;
  fs::remove(folder_ / "rollback", ignored);
}

std::vector<std::string> ModelSlots::names(const fs::path& models) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(models, failed)) {
    if (entry.is_directory(failed)) names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace lapwing::agent
