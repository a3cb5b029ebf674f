// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres_feed.hpp"

#include "hub/store/postgres_listener.hpp"

#include <cstdint>
#include <optional>
#include <utility>

namespace lapwing::hub {
namespace {

class PostgresFeedWatch final : public FeedWatch {
 public:
  static Result<std::unique_ptr<FeedWatch>> start(const postgres::Options& options, Feed& feed) {
    std::unique_ptr<PostgresFeedWatch> watch(new PostgresFeedWatch(feed));
    auto listener =
        PostgresListener::start(options, "lapwing_feed", "live feed of other replicas",
                                [one = watch.get()](sql::Connection& db) { one->look(db); });
    if (!listener) return listener.error();
    watch->listener_ = *std::move(listener);
    return std::unique_ptr<FeedWatch>(std::move(watch));
  }

 private:
  explicit PostgresFeedWatch(Feed& feed) : feed_(feed) {}

  void look(sql::Connection& db) {
    std::optional<std::int64_t> newest;
    db.rows("SELECT value FROM meta WHERE key = 'feed_seq'",
            [&](const sql::Row& row) { newest = row.integer(0); });
    if (!newest) return;
    if (seen_ && *newest > *seen_) feed_.grew(static_cast<std::uint64_t>(*newest));
    seen_ = newest;
  }

  Feed& feed_;
  std::optional<std::int64_t> seen_;  ///< of the listener's thread
  std::unique_ptr<PostgresListener> listener_;
};

}  // namespace

Result<std::unique_ptr<FeedWatch>> watch_postgres_feed(const postgres::Options& options,
                                                       Feed& feed) {
  return PostgresFeedWatch::start(options, feed);
}

}  // namespace lapwing::hub
