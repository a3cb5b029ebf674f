// SPDX-License-Identifier: Apache-2.0
#include "shared/sql/connection.hpp"

namespace lapwing::sql {

Connection::~Connection() = default;

void Connection::commit() {
  if (!failed()) sync();
  run("COMMIT");
}

void Connection::rollback() noexcept {
  clear_failure();
  run("ROLLBACK");
  clear_failure();
}

}  // namespace lapwing::sql
