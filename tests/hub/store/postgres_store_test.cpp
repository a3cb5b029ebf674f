// SPDX-License-Identifier: Apache-2.0
/// The contract on PostgreSQL, and what only PostgreSQL has.
#include "hub/store/postgres_store.hpp"

#include "tests/hub/store/store_contract.hpp"
#include "tests/support/postgres.hpp"

#include <gtest/gtest.h>

namespace lapwing::hub {
namespace {

using testing::PostgresServer;

class PostgresPlace final : public StorePlace {
 public:
  explicit PostgresPlace(PostgresServer& server) : url_(server.new_database()) {}

  Result<std::unique_ptr<Store>> open(const Retention& retention) override {
    return open_postgres_store({.connection = {.url = url_}, .readers = 2, .retention = retention});
  }

 private:
  std::string url_;
};

std::unique_ptr<StorePlace> make_postgres_place() {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return nullptr;
  return std::make_unique<PostgresPlace>(*server);
}

INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract,
                         ::testing::Values(StoreEngine{"postgres", make_postgres_place, true}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace lapwing::hub
