// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/members.hpp"

#include "shared/base/files.hpp"

#include <nlohmann/json.hpp>

namespace lapwing::fleet {
namespace {

constexpr std::uint64_t kFileBytesMax = std::uint64_t{256} << 20U;

std::filesystem::path positions_of(std::filesystem::path file) { return file += ".position"; }

}  // namespace

std::string Members::database_id(std::size_t index) const {
  return "fleet-" + std::to_string(to_micros(made)) + "-" + std::to_string(index);
}

Result<void> Members::write(const std::filesystem::path& file) const {
  nlohmann::json json{{"tenant", tenant},
                      {"made_us", to_micros(made)},
                      {"authority", authority.pem()},
                      {"key", key.pem().reveal()},
                      {"devices", nlohmann::json::array()}};
  for (const auto& member : all) {
    json["devices"].push_back({{"name", member.device}, {"certificate", member.certificate.pem()}});
  }
  if (auto done = write_file_atomic(file, json.dump(), 0600); !done) return done;
  return write_positions(file);
}

Result<void> Members::write_positions(const std::filesystem::path& file) const {
  auto json = nlohmann::json::array();
  for (const auto& member : all) {
    const auto& at = member.position;
    json.push_back({at.epoch, at.acked_seq, at.next_seq});
  }
  return write_file_atomic(positions_of(file), json.dump());
}

Result<Members> Members::read(const std::filesystem::path& file) {
  const auto text = read_file(file, kFileBytesMax);
  if (!text) return text.error();
  const auto positions = read_file(positions_of(file), kFileBytesMax);
  if (!positions) return positions.error();
  const Error unreadable{Errc::bad_input, file.string() + ": make it with `bench_fleet prepare`"};
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const auto at = nlohmann::json::parse(*positions, nullptr, false);
  if (!json.is_object() || !at.is_array() || at.size() != json["devices"].size()) return unreadable;
  auto authority = trust::Certificate::from_pem(json["authority"].get<std::string>());
  if (!authority) return authority.error();
  auto key = trust::PrivateKey::from_pem(json["key"].get<std::string>());
  if (!key) return key.error();
  Members members{.tenant = json["tenant"],
                  .made = from_micros(json["made_us"]),
                  .authority = *std::move(authority),
                  .key = *std::move(key),
                  .all = {}};
  for (std::size_t i = 0; i < at.size(); ++i) {
    const auto& device = json["devices"][i];
    auto certificate = trust::Certificate::from_pem(device["certificate"].get<std::string>());
    if (!certificate) return certificate.error();
    members.all.push_back({.device = device["name"],
                           .certificate = *std::move(certificate),
                           .position = {at[i][0], at[i][1], at[i][2]}});
  }
  return members;
}

}  // namespace lapwing::fleet
