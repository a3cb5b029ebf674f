// SPDX-License-Identifier: Apache-2.0
/// What taking a region's rows means, without sockets, clocks or threads.
#pragma once

#include "hub/exchange/lines.hpp"
#include "hub/store/exchange.hpp"
#include "hub/store/feed.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/http/message.hpp"

#include <array>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace lapwing::hub {

/// Asks a region what is new and merges it, page by page; every page with its cursor is one
/// transaction, so that it may end anywhere.
///
/// Memory: one page. Threads: one object belongs to one thread; blocks on the store.
class Pull {
 public:
  /// The answer to a GET of `target`; `etag` may be empty. Of status 304 when it names what is
  /// there.
  using Fetch =
      std::function<Result<http::Response>(const std::string& target, const std::string& etag)>;

  /// Borrows store, feed and metrics, which must outlive it.
  Pull(Peer peer, Exchange& exchange, Feed& feed, Metrics& metrics, Fetch fetch);

  /// One round: all devices, the next page of ledgers, then what is new of anomalies, until the
  /// region has no more to tell or `going` says no: false.
  /// Errors: the transport's; denied (the token, or another tenant's rows); corrupt (not a page);
  ///   the store's. What was taken before stays.
  Result<bool> round(Time at, const std::function<bool()>& going);

 private:
  struct Page {
    std::vector<ExchangedRow> rows;
    PageEnd end;
  };
  /// What a page was the last time: nothing of it is new while its ETag stays.
  struct KnownPage {
    std::string etag;
    std::string next;
    bool more = false;
  };
  struct Counters {
    Counter& changed;
    Counter& known;
    Counter& refused;
    Counter& unknown_device;
  };

  Result<http::Response> ask(ExchangeKind kind, const std::string& cursor, const std::string& etag);
  Result<Page> read(ExchangeKind kind, const std::string& body);
  Result<KnownPage> list_page(ExchangeKind kind, const std::string& cursor, bool anew, Time at);
  Result<void> devices(Time at, bool anew, const std::function<bool()>& going);
  Result<void> ledgers(Time at);
  Result<bool> anomalies(Time at, const std::function<bool()>& going);
  Result<void> take(ExchangeKind kind, const Page& page, bool keep_cursor, Time at);

  Peer peer_;
  Exchange& exchange_;
  Feed& feed_;
  Fetch fetch_;
  std::array<Counters, kExchangeKinds.size()> counters_;
  std::array<std::map<std::string, KnownPage>, kExchangeKinds.size()> known_;  ///< by cursor
  std::string ledgers_cursor_;
  std::string cursor_;  ///< of anomalies
  bool cursor_read_ = false;
  Time cursor_kept_at_{};
};

}  // namespace lapwing::hub
