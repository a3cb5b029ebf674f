// SPDX-License-Identifier: Apache-2.0
/// Inside of the codecs: bytes of a schema, verified before anything of them is read.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lapwing::schemas {

/// The root table of verified bytes. FlatBuffers wants them aligned; odd addresses are copied.
/// Ownership: borrows `bytes` where it need not copy them.
template <class Table>
class Verified {
 public:
  static constexpr flatbuffers::uoffset_t kDepthMax = 8;

  Verified(std::string_view bytes, const char* identifier, flatbuffers::uoffset_t tables_max) {
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(std::uint64_t) != 0) {
      copy_.assign((bytes.size() + 7) / 8, 0);
      std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(copy_.data()));
      bytes = {reinterpret_cast<const char*>(copy_.data()), bytes.size()};
    }
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    flatbuffers::Verifier verifier(data, bytes.size(), kDepthMax, tables_max);
    if (verifier.VerifyBuffer<Table>(identifier)) table_ = flatbuffers::GetRoot<Table>(data);
  }
  explicit operator bool() const { return table_ != nullptr; }
  const Table* operator->() const { return table_; }
  const Table& operator*() const { return *table_; }

 private:
  std::vector<std::uint64_t> copy_;
  const Table* table_ = nullptr;
};

}  // namespace lapwing::schemas
