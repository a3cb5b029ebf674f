// SPDX-License-Identifier: Apache-2.0
/// The registry: model files by their content, versions as they were signed, and who may sign.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// A model file. It is the same file whoever made it: its SHA-256 is its key within the tenant.
struct ModelFileRow {
  std::string tenant;
  std::string sha256;  ///< of the file, 64 hex digits
  std::uint64_t length = 0;
  std::string kind;       ///< of detector
  std::string header;     ///< JSON, as `lapwing-agent model inspect --json` prints it
  std::string report;     ///< JSON: what its training said of it; empty: it came as a file
  std::string picture;    ///< SVG of the same; empty likewise
  std::uint64_t job = 0;  ///< that made it; 0: none
  std::string actor;      ///< as in AuditRow
  Time created_at{};
};

/// One version of a model, as a release key signed it.
struct ModelVersionRow {
  std::string tenant;
  std::string model;
  std::uint64_t number = 0;
  std::string sha256;        ///< of its file
  std::string manifest;      ///< the signed document's bytes (release::Signed)
  std::string device_class;  ///< empty: any
  std::string actor;
  Time created_at{};
};

/// A model's newest version, and how many it has.
struct ModelRow {
  ModelVersionRow newest;
  std::uint64_t versions = 0;
};

/// Bounds: files of kFileBytesMax; kFilesMax and kVersionsMax of a tenant; kKeyListsMax.
/// Errors: not_found, exists (another content, or a number not above the newest), limit, io,
///   corrupt. Threads: as Store.
class Models {
 public:
  static constexpr std::size_t kPartBytes = std::size_t{64} << 10U;
  static constexpr std::uint64_t kFileBytesMax = std::uint64_t{256} << 20U;
  static constexpr std::size_t kFilesMax = 10'000;
  static constexpr std::size_t kVersionsMax = 10'000;
  static constexpr std::size_t kKeyListsMax = 1'000;

  virtual ~Models() = default;
  Models(const Models&) = delete;
  Models& operator=(const Models&) = delete;

  /// All of it or nothing. One that is there already keeps what is told of it: no error. `length`
  /// is taken from `bytes`; that `sha256` is theirs is for the caller to see.
  /// Cost: a part at a time, no copy of the file; on SQLite intake waits, about a second for
  /// 100 MiB.
  virtual Result<void> add_file(const ModelFileRow& row, std::string_view bytes) = 0;
  virtual Result<ModelFileRow> file(std::string_view tenant, std::string_view sha256) = 0;
  /// Newest first; without header, report and picture, which are long.
  virtual Result<Page<ModelFileRow>> files(std::string_view tenant, const PageRequest& page) = 0;
  /// The file's bytes [number * kPartBytes, + kPartBytes), cut at its end.
  virtual Result<std::string> part(std::string_view tenant, std::string_view sha256,
                                   std::uint64_t number) = 0;
  /// denied: a version is made of it.
  virtual Result<void> drop_file(std::string_view tenant, std::string_view sha256) = 0;

  /// Its number is above all of the model's; its file is there. The same version again is no error.
  virtual Result<void> add_version(const ModelVersionRow& row) = 0;
  /// It is as if it had never been: for one whose release key was taken out of the key list.
  virtual Result<void> drop_version(std::string_view tenant, std::string_view model,
                                    std::uint64_t number) = 0;
  virtual Result<ModelVersionRow> version(std::string_view tenant, std::string_view model,
                                          std::uint64_t number) = 0;
  /// By name.
  virtual Result<Page<ModelRow>> models(std::string_view tenant, const PageRequest& page) = 0;
  /// Of one model, or of all where it is empty; newest first.
  virtual Result<Page<ModelVersionRow>> versions(std::string_view tenant, std::string_view model,
                                                 const PageRequest& page) = 0;

  /// A signed key list, checked by the caller; its number is above all there are. The newest again
  /// is no error.
  virtual Result<void> add_keys(std::uint64_t number, std::string_view list, Time at) = 0;
  /// Lists above `after`, oldest first, at most `limit`.
  virtual Result<std::vector<std::string>> keys_after(std::uint64_t after, std::size_t limit) = 0;
  /// Absent: nobody has given one.
  virtual Result<std::optional<std::string>> newest_keys() = 0;

 protected:
  Models() = default;
};

}  // namespace lapwing::hub
