// SPDX-License-Identifier: Apache-2.0
/// The store's rows as JSON text, as openapi.json describes them: snake_case, RFC 3339 times, null
/// for what is not known (NaN).
#pragma once

#include "hub/exchange/peer_state.hpp"
#include "hub/store/exchange.hpp"
#include "hub/store/store.hpp"

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::hub {

inline constexpr std::array<std::string_view, 2> kStates{"open", "closed"};
/// In the order of wire::Severity, from 1.
inline constexpr std::array<std::string_view, 3> kSeverities{"minor", "major", "critical"};
/// In the order of wire::Reason, from 1.
inline constexpr std::array<std::string_view, 7> kReasons{"unusual", "out_of_range", "stuck", "gap",
                                                          "rate",    "not_a_number", "clock"};
/// In the order of wire::LossReason, from 1.
inline constexpr std::array<std::string_view, 4> kLossReasons{"quota", "corrupt", "vanished",
                                                              "poison"};

[[nodiscard]] std::string to_json(const DeviceRow& row);
[[nodiscard]] std::string to_json(const AnomalyRow& row);
/// An anomaly with the step's `phase`.
[[nodiscard]] std::string to_json(const FeedRow& row);
[[nodiscard]] std::string to_json(const TokenRow& row);  ///< never the hash
[[nodiscard]] std::string to_json(const Page<DeviceRow>& page);
[[nodiscard]] std::string to_json(const Page<LossRow>& page);
[[nodiscard]] std::string to_json(const Page<StreamRow>& page);
[[nodiscard]] std::string to_json(const Page<AnomalyRow>& page);
[[nodiscard]] std::string to_json(const Page<TokenRow>& page);
[[nodiscard]] std::string to_json(const Page<AuditRow>& page);
[[nodiscard]] std::string to_json(const Page<DeadLetterRow>& page);
[[nodiscard]] std::string to_json(const std::vector<RegionRow>& rows);
/// An array; without the tenants: health is told without a token.
[[nodiscard]] std::string to_json(const std::vector<PeerState>& states);
[[nodiscard]] std::string to_json(const std::vector<std::pair<std::string, ExchangedLedger>>& rows);
[[nodiscard]] std::string history_json(std::string_view stream, const History& history);
[[nodiscard]] std::string anomaly_id(std::uint64_t id);

}  // namespace lapwing::hub
