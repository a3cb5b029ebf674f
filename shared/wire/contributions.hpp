// SPDX-License-Identifier: Apache-2.0
/// How a device's part of a federated round reaches the hub: `up/contribution`, in pieces. Errors
/// and threads as in codec.hpp.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::wire {

inline constexpr std::size_t kContributionPieceBytes = std::size_t{16} << 10;
inline constexpr std::size_t kContributionBytesMax = std::size_t{1} << 20;  ///< of one pass

struct ContributionPart {
  std::uint64_t round = 0;
  std::uint32_t pass = 0;  ///< of the round, from 1
  std::uint32_t part = 0;  ///< below `parts`
  std::uint32_t parts = 0;
  std::uint64_t rows = 0;  ///< that it is told of
  std::string sha256;      ///< of the whole: pieces of another one do not belong to it
  std::string bytes;       ///< all but the last piece: kContributionPieceBytes
  std::string problem;     ///< why it tells nothing, for people; then there is no piece
};

[[nodiscard]] std::string encode(const ContributionPart& part);
Result<ContributionPart> decode_contribution(std::string_view bytes);

/// `whole` cut up; of `head` its pieces have round, pass, rows and the whole's digest.
/// Not longer than kContributionBytesMax, not empty.
[[nodiscard]] std::vector<ContributionPart> pieces_of(const ContributionPart& head,
                                                      std::string_view whole);

}  // namespace lapwing::wire
