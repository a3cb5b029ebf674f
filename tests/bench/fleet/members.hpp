// SPDX-License-Identifier: Apache-2.0
/// The devices of a simulated fleet: names, certificates, and where each stands with the hub.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/trust/certificate.hpp"
#include "shared/trust/key.hpp"
#include "shared/wire/topics.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lapwing::fleet {

/// What an outbox would remember of itself.
struct Position {
  std::uint64_t epoch = 0;
  std::uint64_t acked_seq = 0;
  std::uint64_t next_seq = 1;
};

struct Member {
  std::string device;
  trust::Certificate certificate;
  Position position;
};

/// Ownership: movable. One private key serves all members' certificates: making thousands of keys
/// would take the time, and the broker cannot tell.
struct Members {
  std::string tenant;
  Time made{};
  trust::Certificate authority;
  trust::PrivateKey key;
  std::vector<Member> all;

  [[nodiscard]] wire::Identity identity(std::size_t index) const {
    return {tenant, all[index].device};
  }
  /// The same in every run.
  [[nodiscard]] std::string database_id(std::size_t index) const;

  /// Certificates to FILE (mode 0600, it holds the key), positions to FILE.position.
  Result<void> write(const std::filesystem::path& file) const;
  Result<void> write_positions(const std::filesystem::path& file) const;
  /// Errors: as read_file; bad_input.
  static Result<Members> read(const std::filesystem::path& file);
};

struct Preparation {
  std::filesystem::path hub_dir;  ///< of `lapwing-hub init`; its authority signs, its store is used
  std::string tenant = "demo";
  std::string prefix = "bench-";
  std::size_t devices = 100;
};
/// Signs a certificate for each device and registers it in the hub's store. A hub on SQLite must
/// not be running. Errors: of the store and of the authority.
Result<Members> prepare(const Preparation& preparation, Time at);

}  // namespace lapwing::fleet
