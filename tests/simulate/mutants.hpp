// SPDX-License-Identifier: Apache-2.0
/// Protocols that are broken on purpose: the simulation is worth what it catches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lapwing::simulate {

enum class Mutant : std::uint8_t {
  none,
  ack_before_commit,
  delete_on_send,
  reuse_numbers,
  send_before_sync,
  take_gaps,
  trust_restored,
  any_will,
  forget_keys,
  region_blind,
  elsewhere_trusted,
  elsewhere_twice,
};

struct MutantKind {
  std::string_view name;
  std::string_view what;
};
inline constexpr std::array<MutantKind, 12> kMutants = {{
    {"none", "the protocol as it is"},
    {"ack_before_commit", "the hub acknowledges before it commits"},
    {"delete_on_send", "the agent deletes what it has sent"},
    {"reuse_numbers", "an outbox that forgot commits gives their numbers again"},
    {"send_before_sync", "the agent sends what is not durable yet"},
    {"take_gaps", "the hub takes batches that do not follow its watermark"},
    {"trust_restored", "nobody compares hashes: a restored outbox goes on"},
    {"any_will", "any connection's will marks the device offline"},
    {"forget_keys", "the hub stores again what it has"},
    {"region_blind", "regions grant the next epoch, whoever else may grant it"},
    {"elsewhere_trusted", "a region calls elsewhere what it acknowledged itself"},
    {"elsewhere_twice", "what a region holds is counted as elsewhere too"},
}};

}  // namespace lapwing::simulate
