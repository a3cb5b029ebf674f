// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hub/store/sql_access.hpp"
#include "hub/store/uploads.hpp"

namespace lapwing::hub {

class SqlUploads final : public Uploads {
 public:
  /// Borrows `access`, which must outlive it.
  explicit SqlUploads(SqlAccess& access) : access_(access) {}

  Result<UploadRow> add(const UploadRow& upload) override;
  Result<UploadRow> get(std::string_view tenant, std::uint64_t id) override;
  Result<Page<UploadRow>> list(std::string_view tenant, const PageRequest& page) override;
  Result<UploadRow> append(std::string_view tenant, std::uint64_t id, std::uint64_t offset,
                           std::string_view bytes) override;
  Result<UploadRow> complete(std::string_view tenant, std::uint64_t id, std::string_view sha256,
                             Time at) override;
  Result<std::string> piece(std::string_view tenant, std::uint64_t id,
                            std::uint64_t offset) override;
  Result<void> drop(std::string_view tenant, std::uint64_t id) override;
  Result<std::uint64_t> trim(Time begun_before) override;

 private:
  SqlAccess& access_;
};

}  // namespace lapwing::hub
