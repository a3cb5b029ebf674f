// SPDX-License-Identifier: Apache-2.0
#include "agent/decode/message_batch.hpp"

#include "agent/decode/decoder.hpp"

#include <algorithm>
#include <cstring>

namespace lapwing::agent {

void MessageBatch::add(std::string_view topic, std::string_view payload, Time received) {
  const std::size_t needed = used_ + topic.size() + payload.size() + kPayloadPadding;
  if (needed > bytes_.size())
    bytes_.resize(std::max({needed, bytes_.size() * 2, std::size_t{4096}}));
  const std::size_t offset = used_;
  std::copy(topic.begin(), topic.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(used_));
  used_ += topic.size();
  std::copy(payload.begin(), payload.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(used_));
  used_ += payload.size();
  entries_.push_back({static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(topic.size()),
                      static_cast<std::uint32_t>(payload.size()), received});
}

void MessageBatch::clear(std::size_t keep_bytes) {
  if (bytes_.size() > keep_bytes) {
    bytes_ = {};
    entries_ = {};
  }
  used_ = 0;
  entries_.clear();
}

}  // namespace lapwing::agent
