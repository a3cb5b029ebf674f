// SPDX-License-Identifier: Apache-2.0
/// Whether a hub has what the fleet made: no more, no less, and the same bytes.
#pragma once

#include "shared/base/result.hpp"
#include "tests/bench/fleet/members.hpp"
#include "tests/bench/fleet/records.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace lapwing::fleet {

struct LedgerCheck {
  std::string url;  ///< of the hub's API
  std::string token;
  std::filesystem::path ca_file;
};

/// The sums over the fleet, in records.
struct Account {
  std::uint64_t devices = 0;
  std::uint64_t made = 0;
  std::uint64_t stored = 0;
  std::uint64_t lost = 0;
  std::uint64_t outstanding = 0;
  std::uint64_t differ = 0;  ///< devices whose account is wrong
  std::string first;         ///< what is wrong with the first of them
};

/// Asks the API for the ledger of `devices` members: produced = stored + lost + outstanding, and
/// stored is what the device made. Errors: of the connection; denied (the token).
Result<Account> check_ledgers(const LedgerCheck& at, const Members& members, std::size_t devices);

struct HashCheck {
  std::uint64_t compared = 0;
  std::uint64_t wrong = 0;
  std::uint64_t missing = 0;  ///< their keys are no longer kept, or never were
};
/// Compares the hashes of `samples` records, chosen by `seed`, in the store itself. A hub on SQLite
/// must not be running. Errors: of the store.
Result<HashCheck> check_hashes(const std::filesystem::path& hub_dir, const Members& members,
                               const Records& records, std::uint64_t samples, std::uint64_t seed);

}  // namespace lapwing::fleet
