// SPDX-License-Identifier: Apache-2.0
/// The outermost bytes of every message: `L` `W` version codec, then the body, raw or as one zstd
/// frame (RFC 8878).
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lapwing::wire {

inline constexpr std::uint8_t kFrameVersion = 1;

/// What a frame may be. A frame beyond is refused before memory is taken for it.
struct FrameLimits {
  std::size_t frame_bytes_max = std::size_t{2} << 20;
  std::size_t body_bytes_max = std::size_t{8} << 20;
};

/// Makes frames. Keeps its compression state between frames, so a frame costs one allocation.
/// Threads: distinct objects are safe.
class FrameWriter {
 public:
  /// `level`: of zstd, [1, 19].
  explicit FrameWriter(int level = 3);
  ~FrameWriter();
  FrameWriter(FrameWriter&&) noexcept;
  FrameWriter& operator=(FrameWriter&&) noexcept;
  /// Compressed where that makes it smaller.
  [[nodiscard]] std::string seal(std::string_view body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Opens frames. Threads: distinct objects are safe.
class FrameReader {
 public:
  explicit FrameReader(FrameLimits limits = {});
  ~FrameReader();
  FrameReader(FrameReader&&) noexcept;
  FrameReader& operator=(FrameReader&&) noexcept;
  /// The body; valid until the next call and while `frame` lives. Errors: bad_input (not a frame),
  /// unsupported (a newer version or codec), limit (too long, or would be), corrupt (damaged).
  Result<std::string_view> open(std::string_view frame);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::wire
