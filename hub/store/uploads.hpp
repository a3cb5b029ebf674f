// SPDX-License-Identifier: Apache-2.0
/// Bytes that people bring piece by piece: tables to train on, model files.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::hub {

struct UploadRow {
  std::string tenant;
  std::uint64_t id = 0;     ///< over all tenants; grows, never used twice
  std::string name;         ///< of the file, for people
  std::uint64_t bytes = 0;  ///< there so far
  std::string sha256;       ///< of all of them, 64 hex digits; empty: more may come
  std::string actor;        ///< as in AuditRow
  Time created_at{};
  std::optional<Time> completed_at;
};

/// Bounds: kPieceBytesMax a piece, kBytesMax an upload, kUploadsMax and kTenantBytesMax a tenant.
/// Errors: not_found, exists (the piece does not begin where the bytes end), denied (it is
///   complete, or not yet), limit, io, corrupt. Threads: as Store.
class Uploads {
 public:
  static constexpr std::size_t kPieceBytesMax = std::size_t{512} << 10U;
  static constexpr std::uint64_t kBytesMax = std::uint64_t{256} << 20U;
  static constexpr std::uint64_t kTenantBytesMax = std::uint64_t{4} << 30U;
  static constexpr std::size_t kUploadsMax = 100;

  virtual ~Uploads() = default;
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;

  /// Of `upload` counts tenant, name, actor and created_at.
  virtual Result<UploadRow> add(const UploadRow& upload) = 0;
  virtual Result<UploadRow> get(std::string_view tenant, std::uint64_t id) = 0;
  virtual Result<Page<UploadRow>> list(std::string_view tenant,
                                       const PageRequest& page) = 0;  ///< newest first
  /// Appends. A piece that is there already, whole, is taken as sent again: of no effect.
  virtual Result<UploadRow> append(std::string_view tenant, std::uint64_t id, std::uint64_t offset,
                                   std::string_view bytes) = 0;
  /// No more comes. Repeatable with the same digest.
  virtual Result<UploadRow> complete(std::string_view tenant, std::uint64_t id,
                                     std::string_view sha256, Time at) = 0;
  /// The piece that begins at `offset`, as it was appended; empty: the bytes end there. To read
  /// all, begin at 0 and go on by what came. not_found: no piece begins there.
  virtual Result<std::string> piece(std::string_view tenant, std::uint64_t id,
                                    std::uint64_t offset) = 0;
  virtual Result<void> drop(std::string_view tenant, std::uint64_t id) = 0;
  /// Those that were begun before and never completed go, a bounded number a call. The count.
  virtual Result<std::uint64_t> trim(Time begun_before) = 0;

 protected:
  Uploads() = default;
};

}  // namespace lapwing::hub
