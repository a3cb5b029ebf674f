// SPDX-License-Identifier: Apache-2.0
/// Messages as plain structs <-> FlatBuffers bytes (schemas/). Bytes come out whole or not at all.
///
/// Errors of every decoder: corrupt (fails the verifier or a bound), unsupported (a newer version
///   or an unknown kind), bad_input (understood, but against the protocol: names too long, not
///   UTF-8, entries out of order). Hostile bytes never crash: size, depth and count are bounded.
/// Threads: free functions without state.
#pragma once

#include "shared/base/result.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lapwing::wire {

inline constexpr std::size_t kNameBytesMax = 512;   ///< streams, watches, ids, tags
inline constexpr std::size_t kTextBytesMax = 4096;  ///< texts for people
inline constexpr std::size_t kTagsMax = 64;         ///< per record
inline constexpr std::size_t kContributionsMax = 256;
inline constexpr std::size_t kEntriesMax = 20'000;  ///< per batch
inline constexpr std::size_t kRecordBytesMax = std::size_t{256} << 10;

[[nodiscard]] std::string encode(const Hello& hello);
[[nodiscard]] std::string encode(const Welcome& welcome);
[[nodiscard]] std::string encode(const Ack& ack);
[[nodiscard]] std::string encode(const Status& status);
[[nodiscard]] std::string encode(const Command& command);
[[nodiscard]] std::string encode(const CommandResult& result);
[[nodiscard]] std::string encode(const Desired& desired);
[[nodiscard]] std::string encode(const RecordBatch& batch);
Result<Hello> decode_hello(std::string_view bytes);
Result<Welcome> decode_welcome(std::string_view bytes);
Result<Ack> decode_ack(std::string_view bytes);
Result<Status> decode_status(std::string_view bytes);
Result<Command> decode_command(std::string_view bytes);
Result<CommandResult> decode_command_result(std::string_view bytes);
Result<Desired> decode_desired(std::string_view bytes);
/// Entries' payloads are not looked into: see decode_record.
Result<RecordBatch> decode_batch(std::string_view bytes);

[[nodiscard]] std::string encode_record(const RecordBody& body);
Result<RecordBody> decode_record(std::string_view bytes);
[[nodiscard]] RecordClass class_of(const RecordBody& body) noexcept;

/// Identifies a record's content on both sides: the first 8 bytes of the SHA-256 of its payload,
/// little-endian.
[[nodiscard]] std::uint64_t record_hash(std::string_view payload);

}  // namespace lapwing::wire
