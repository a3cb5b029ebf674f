// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/sql/connection.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// Read connections, lent to one caller at a time; callers beyond the last one wait.
class Readers {
 public:
  void add(std::unique_ptr<sql::Connection> connection) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(std::move(connection));
  }

  template <class Query>
  auto lend(Query&& query) {
    Loan loan(*this);
    return query(*loan.connection);
  }

 private:
  struct Loan {
    explicit Loan(Readers& from) : readers(from) {
      std::unique_lock lock(readers.mutex_);
      readers.returned_.wait(lock, [this] { return !readers.free_.empty(); });
      connection = std::move(readers.free_.back());
      readers.free_.pop_back();
      lock.unlock();
      connection->clear_failure();
      connection->begin(sql::Connection::Access::read);  // several statements see one state
    }
    ~Loan() {
      connection->rollback();
      readers.add(std::move(connection));
      readers.returned_.notify_one();
    }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

    Readers& readers;
    std::unique_ptr<sql::Connection> connection;
  };

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<sql::Connection>> free_;
};

}  // namespace lapwing::hub
