// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/check.hpp"

#include "hub/store/ingest_transaction.hpp"
#include "shared/http/client.hpp"
#include "tests/bench/fleet/hub_store.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <random>

namespace lapwing::fleet {
namespace {

/// The accounts of all devices of the tenant, by name.
Result<std::map<std::string, nlohmann::json>> ledgers(const LedgerCheck& at) {
  auto origin = http::parse_origin(at.url);
  if (!origin) return origin.error();
  const http::Client client({.origin = *origin,
                             .ca_file = at.ca_file,
                             .bearer = Secret<std::string>(at.token),
                             .request_timeout = std::chrono::seconds(60)});
  std::map<std::string, nlohmann::json> found;
  std::string cursor;
  do {
    const auto page =
        client.get("/api/v1/devices?limit=1000" + (cursor.empty() ? "" : "&cursor=" + cursor));
    if (!page) return page.error();
    const auto json = nlohmann::json::parse(page->body, nullptr, false);
    if (page->status != 200 || !json.is_object()) {
      return Error{Errc::denied, "GET /api/v1/devices answers " + std::to_string(page->status) +
                                     " " + page->body};
    }
    for (const auto& device : json["items"]) found[device["device"]] = device;
    const auto next = json.find("next_cursor");
    cursor = next != json.end() && next->is_string() ? next->get<std::string>() : "";
  } while (!cursor.empty());
  return found;
}

}  // namespace

Result<Account> check_ledgers(const LedgerCheck& at, const Members& members, std::size_t devices) {
  const auto found = ledgers(at);
  if (!found) return found.error();
  Account account;
  for (std::size_t i = 0; i < devices; ++i) {
    const auto& member = members.all[i];
    const std::uint64_t made = member.position.next_seq - 1;
    ++account.devices;
    account.made += made;
    std::string wrong;
    if (const auto one = found->find(member.device); one == found->end()) {
      wrong = "the hub does not know it";
    } else {
      const auto& ledger = one->second;
      const auto produced = ledger["produced"].get<std::uint64_t>();
      const auto stored = ledger["stored"].get<std::uint64_t>();
      const auto outstanding = ledger["outstanding"].get<std::uint64_t>();
      const auto lost = ledger["lost"].get<std::uint64_t>();
      account.stored += stored;
      account.lost += lost;
      account.outstanding += outstanding;
      if (produced != stored + lost + outstanding || stored != made || lost != 0) {
        wrong = "made " + std::to_string(made) + ", the hub says " + ledger.dump();
      }
    }
    if (!wrong.empty() && account.differ++ == 0) account.first = member.device + ": " + wrong;
  }
  return account;
}

Result<HashCheck> check_hashes(const std::filesystem::path& hub_dir, const Members& members,
                               const Records& records, std::uint64_t samples, std::uint64_t seed) {
  auto store = open_hub_store(hub_dir);
  if (!store) return store.error();
  auto transaction = (*store)->begin_ingest();
  if (!transaction) return transaction.error();
  std::mt19937_64 random(seed);
  HashCheck check;
  for (std::uint64_t n = 0; n < samples; ++n) {
    const std::size_t index = random() % members.all.size();
    const auto& member = members.all[index];
    if (member.position.acked_seq == 0) continue;
    const std::uint64_t seq = 1 + random() % member.position.acked_seq;
    const hub::DeviceKey key{members.tenant, member.device};
    if (const auto device = (*transaction)->device(key); !device) return device.error();
    const auto stored = (*transaction)->record_hash(key, member.position.epoch, seq);
    if (!stored) return stored.error();
    ++check.compared;
    if (!*stored) {
      ++check.missing;
    } else if (**stored != records.hash(index, seq)) {
      ++check.wrong;
    }
  }
  return check;
}

}  // namespace lapwing::fleet
