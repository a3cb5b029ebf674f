// SPDX-License-Identifier: Apache-2.0
/// The parts of model files that are asked for now, so that a fleet that fetches one file costs the
/// store one read of each part.
#pragma once

#include "hub/store/models.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace lapwing::hub {

/// Bound: kPartsMax parts of 64 KiB; the one that was asked for longest ago goes. Lengths of
///   kFilesMax files: with one more all are forgotten.
/// Threads: one at a time.
class PartCache {
 public:
  static constexpr std::size_t kPartsMax = 512;
  static constexpr std::size_t kFilesMax = 1'000;

  /// Borrows both, which must outlive it. `reads` counts what the store was asked.
  PartCache(Store& store, Counter& reads) : store_(store), reads_(reads) {}

  /// The file's length. Errors: the store's; not_found: the tenant has no such file.
  Result<std::uint64_t> length(const std::string& tenant, const std::string& sha256) {
    const auto known = lengths_.find({tenant, sha256});
    if (known != lengths_.end()) return known->second;
    const auto file = store_.models().file(tenant, sha256);
    if (!file) return file.error();
    if (lengths_.size() >= kFilesMax) lengths_.clear();
    lengths_[{tenant, sha256}] = file->length;
    return file->length;
  }

  /// Valid until the next call. Errors: as above.
  Result<std::string_view> part(const std::string& tenant, const std::string& sha256,
                                std::uint64_t number) {
    const Key key(tenant, sha256, number);
    if (const auto known = parts_.find(key); known != parts_.end()) {
      order_.splice(order_.begin(), order_, known->second.second);
      return std::string_view(known->second.first);
    }
    reads_.add();
    auto bytes = store_.models().part(tenant, sha256, number);
    if (!bytes) return bytes.error();
    if (parts_.size() >= kPartsMax) {
      parts_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(key);
    const auto [at, made] = parts_.emplace(key, std::pair(*std::move(bytes), order_.begin()));
    return std::string_view(at->second.first);
  }

 private:
  using Key = std::tuple<std::string, std::string, std::uint64_t>;
  Store& store_;
  Counter& reads_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> lengths_;
  std::list<Key> order_;  ///< the newest first
  std::map<Key, std::pair<std::string, std::list<Key>::iterator>> parts_;
};

}  // namespace lapwing::hub
