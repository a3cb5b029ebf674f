// SPDX-License-Identifier: Apache-2.0
#include "agent/models/remembered.hpp"

#include "agent/models/slots.hpp"
#include "shared/base/files.hpp"
#include "shared/base/hex.hpp"
#include "shared/base/log.hpp"
#include "shared/release/signed.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <system_error>
#include <utility>

namespace lapwing::agent {
namespace {

using nlohmann::json;

}  // namespace

std::string to_text(const release::Remembered& remembered) {
  json models = json::object();
  for (const auto& [name, one] : remembered.models) {
    models[name] = {
        {"number", one.number}, {"sha256", one.sha256}, {"release_key", one.release_key}};
  }
  const json out = {
      {"keys", hex(release::encode(remembered.keys))},
      {"models", std::move(models)},
      {"until_us", remembered.until ? json(to_micros(*remembered.until)) : json(nullptr)}};
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::optional<release::Remembered> remembered_from(std::string_view text) {
  const auto from = json::parse(text, nullptr, false);
  if (!from.is_object()) return std::nullopt;
  try {
    release::Remembered read;
    const auto bytes = bytes_from_hex(from.at("keys").get<std::string>());
    if (!bytes) return std::nullopt;
    auto document = release::decode(*bytes);
    if (!document) return std::nullopt;
    auto* keys = std::get_if<release::KeyList>(&*document);
    if (keys == nullptr) return std::nullopt;
    read.keys = std::move(*keys);
    for (const auto& [name, one] : from.at("models").items()) {
      read.models[name] = {one.at("number"), one.at("sha256"), one.at("release_key")};
    }
    if (const auto& until = from.at("until_us"); !until.is_null()) read.until = from_micros(until);
    return read;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

release::Remembered greater_of(release::Remembered a, const release::Remembered& b) {
  if (b.keys.number > a.keys.number) a.keys = b.keys;
  for (const auto& [name, one] : b.models) {
    auto& mine = a.models[name];
    if (one.number > mine.number) mine = one;
  }
  if (b.until && (!a.until || *b.until > *a.until)) a.until = b.until;
  std::erase_if(a.models, [&](const auto& one) {
    return std::ranges::find(a.keys.releases, one.second.release_key) == a.keys.releases.end();
  });
  return a;
}

bool ModelTrust::had_models() const {
  std::string ignored;
  return std::ranges::any_of(ModelSlots::names(files_.models), [&](const std::string& name) {
    return ModelSlots(files_.models / name).read(ignored) != ActivationState{} || !ignored.empty();
  });
}

Result<release::KeyList> ModelTrust::first_keys() const {
  const auto bytes = read_file(files_.keys_file, release::kSignedBytesMax);
  if (!bytes) return bytes.error();
  const auto list = release::Signed::decode(*bytes);
  if (!list) return within(files_.keys_file.string(), list.error());
  const auto* keys = std::get_if<release::KeyList>(&list->document());
  if (keys == nullptr) {
    return Error{Errc::bad_input, files_.keys_file.string() + ": no key list, another document"};
  }
  return *keys;
}

void ModelTrust::load() {
  if (judge_) return;
  const auto kept = text_.read();
  std::optional<release::Remembered> remembered;
  for (const auto& text : kept.texts) {
    auto one = text ? remembered_from(*text) : std::nullopt;
    if (!one) continue;
    remembered = remembered ? greater_of(*std::move(remembered), *one) : *std::move(one);
  }
  if (remembered) {
    judge_.emplace(*std::move(remembered));
    problem_.clear();
    if (files_.second.empty() || kept.texts[0] == kept.texts[1]) return;
    log::warn("models: one of two copies of what is remembered is written anew",
              {{"why", kept.problem.empty() ? "it was gone or older" : kept.problem}});
    if (auto done = keep(); !done) log::warn("models: a copy cannot be mended", {done.error()});
    return;
  }
  if (!kept.problem.empty() || had_models()) {
    problem_ = "what this device remembered of releases is lost (" +
               (kept.problem.empty() ? "both copies are gone" : kept.problem) +
               "): no offer of a model is taken, since an older one could not be told. If that is "
               "as it should be: lapwing-agent model trust";
    return;
  }
  if (auto begun = begin_anew(); !begun) {
    problem_ = "no list of keys to check models with: " + begun.error().context +
               "; enrol anew, or put the hub's there";
  }
}

Result<void> ModelTrust::begin_anew() {
  auto keys = first_keys();
  if (!keys) return std::move(keys).error();
  judge_.emplace(release::Remembered{.keys = *std::move(keys)});
  problem_.clear();
  if (auto done = keep(); !done) {
    judge_.reset();
    return done;
  }
  return {};
}

Result<void> ModelTrust::keep() {
  std::error_code failed;
  std::filesystem::create_directories(files_.models, failed);
  return text_.write_both(to_text(judge_->remembered()));
}

}  // namespace lapwing::agent
