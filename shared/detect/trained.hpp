// SPDX-License-Identifier: Apache-2.0
/// What trained kinds have in common: always warm, and nothing to remember but the model.
#pragma once

#include "shared/detect/detector.hpp"
#include "shared/detect/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lapwing::detect {

/// A snapshot is an empty frame that names the model, so that it restores on the same one only.
class TrainedDetector : public Detector {
 public:
  [[nodiscard]] std::size_t warmup_rows() const noexcept final { return 0; }
  [[nodiscard]] bool warm() const noexcept final { return true; }
  void snapshot(std::vector<std::byte>& out) const final { end_frame(out, begin_frame(out, tag_)); }
  Result<void> restore(std::span<const std::byte> bytes) final {
    const auto content = open_frame(bytes, tag_);
    if (!content) return content.error();
    if (!content->empty()) return Error{Errc::corrupt, "a trained detector has no state"};
    return {};
  }

 protected:
  TrainedDetector(std::string_view kind, std::span<const std::byte> model)
      : tag_(frame_tag(kind, 1, crc32(model))) {}

 private:
  std::uint64_t tag_;
};

/// Shares that add up to 1 from weights that are not negative; equal ones where all are 0.
inline void to_shares(std::span<float> weights) noexcept {
  double sum = 0;
  for (const float weight : weights) sum += static_cast<double>(weight);
  for (float& weight : weights) {
    weight = sum > 0 ? static_cast<float>(static_cast<double>(weight) / sum)
                     : 1.0F / static_cast<float>(weights.size());
  }
}

}  // namespace lapwing::detect
