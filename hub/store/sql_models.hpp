// SPDX-License-Identifier: Apache-2.0
/// Model files, versions and key lists in SQL that every engine understands.
#pragma once

#include "hub/store/models.hpp"
#include "hub/store/sql_access.hpp"

namespace lapwing::hub {

class SqlModels final : public Models {
 public:
  /// Borrows `access`, which must outlive it.
  explicit SqlModels(SqlAccess& access) : access_(access) {}

  Result<void> add_file(const ModelFileRow& row, std::string_view bytes) override;
  Result<ModelFileRow> file(std::string_view tenant, std::string_view sha256) override;
  Result<Page<ModelFileRow>> files(std::string_view tenant, const PageRequest& page) override;
  Result<std::string> part(std::string_view tenant, std::string_view sha256,
                           std::uint64_t number) override;
  Result<void> drop_file(std::string_view tenant, std::string_view sha256) override;

  Result<void> add_version(const ModelVersionRow& row) override;
  Result<void> drop_version(std::string_view tenant, std::string_view model,
                            std::uint64_t number) override;
  Result<ModelVersionRow> version(std::string_view tenant, std::string_view model,
                                  std::uint64_t number) override;
  Result<Page<ModelRow>> models(std::string_view tenant, const PageRequest& page) override;
  Result<Page<ModelVersionRow>> versions(std::string_view tenant, std::string_view model,
                                         const PageRequest& page) override;

  Result<void> add_keys(std::uint64_t number, std::string_view list, Time at) override;
  Result<std::vector<std::string>> keys_after(std::uint64_t after, std::size_t limit) override;
  Result<std::optional<std::string>> newest_keys() override;

 private:
  SqlAccess& access_;
};

}  // namespace lapwing::hub
