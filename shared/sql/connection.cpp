// SPDX-License-Identifier: Apache-2.0
#include "shared/sql/connection.hpp"

namespace lapwing::sql {

Connection::~Connection() = default;

void Connection::commit() { run("COMMIT"); }

void Connection::rollback() noexcept {
  clear_failure();
  run("ROLLBACK");
  clear_failure();
}

Result<void> Connection::transaction(Access access, const std::function<void()>& work) {
  clear_failure();
  begin(access);
  if (!failed()) work();
  commit();
  if (!failed()) return {};
  auto why = failure();
  rollback();
  return why;
}

}  // namespace lapwing::sql
