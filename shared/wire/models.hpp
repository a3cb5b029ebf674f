// SPDX-License-Identifier: Apache-2.0
/// How a model reaches a device: `down/offer`, `up/fetch` and `down/chunk`. What comes of it is a
/// record (ModelReport in messages.hpp). Errors and threads as in codec.hpp.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::wire {

inline constexpr std::size_t kModelBlockBytes = std::size_t{64} << 10;
inline constexpr std::size_t kOfferKeysMax = 8;
inline constexpr std::size_t kOfferBytesMax = std::size_t{512} << 10;
inline constexpr std::size_t kSignedBytesMax = std::size_t{80} << 10;  ///< of each signed document

enum class ModelStage : std::uint8_t {
  shadow = 1,  ///< scores the same rows beside the active one; its anomalies are only counted
  active = 2,
};

/// What the device is to run under a model's name.
struct Offer {
  std::uint64_t offer = 0;  ///< of the device and model; grows, the newest counts
  std::string model;
  std::uint64_t number = 0;  ///< version; 0: none any more, and no manifest and assignment
  ModelStage stage = ModelStage::shadow;
  std::uint64_t rollout = 0;      ///< that wants it; 0: an operator
  std::vector<std::string> keys;  ///< signed key lists the device may lack, oldest first
  std::string manifest;           ///< signed
  std::string assignment;         ///< signed, for this device
};

/// Wants `length` bytes of a model file from `offset` on; they lie in one block.
struct Fetch {
  std::string connection_id;
  std::string sha256;  ///< of the file
  std::uint64_t offset = 0;
  std::uint32_t length = 0;  ///< [1, kModelBlockBytes]
};

struct Chunk {
  std::string sha256;
  std::uint64_t offset = 0;
  std::uint64_t total = 0;  ///< the file's length
  std::string bytes;        ///< empty with `problem`
  std::string problem;      ///< why the hub has none, for people; empty: it has
};

[[nodiscard]] std::string encode(const Offer& offer);
[[nodiscard]] std::string encode(const Fetch& fetch);
[[nodiscard]] std::string encode(const Chunk& chunk);
Result<Offer> decode_offer(std::string_view bytes);
Result<Fetch> decode_fetch(std::string_view bytes);
Result<Chunk> decode_chunk(std::string_view bytes);

}  // namespace lapwing::wire
