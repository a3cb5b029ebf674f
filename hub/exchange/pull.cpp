// SPDX-License-Identifier: Apache-2.0
#include "hub/exchange/pull.hpp"

#include "shared/base/log.hpp"

#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::string_view kAddress = "/api/v1/export/";
constexpr std::size_t kListRows = 1000;
constexpr std::size_t kAnomalyRows = 500;
/// Pages of one list whose ETag is remembered; beyond it all are asked for anew.
constexpr std::size_t kKnownPagesMax = 1000;
/// A cursor that moved without rows is kept so often.
constexpr Micros kKeepEvery = std::chrono::minutes(1);

std::size_t index(ExchangeKind kind) { return static_cast<std::size_t>(kind); }

Error refusal(const http::Response& response) {
  const auto detail = http::problem_detail(response);
  const bool denied = response.status == 401 || response.status == 403;
  return {denied                   ? Errc::denied
          : response.status == 400 ? Errc::bad_input
          : response.status == 429 ? Errc::limit
                                   : Errc::io,
          "the region answers " + std::to_string(response.status) + ": " + detail};
}

}  // namespace

Pull::Pull(Peer peer, Exchange& exchange, Feed& feed, Metrics& metrics, Fetch fetch)
    : peer_(std::move(peer)),
      exchange_(exchange),
      feed_(feed),
      fetch_(std::move(fetch)),
      counters_([&] {
        const auto of = [&](std::string_view kind) {
          const auto counter = [&](const char* outcome) -> Counter& {
            return metrics.counter("hub_peer_rows_total", "Rows that other regions told",
                                   {{"region", peer_.region},
                                    {"tenant", peer_.tenant},
                                    {"kind", std::string(kind)},
                                    {"outcome", outcome}});
          };
          return Counters{counter("changed"), counter("known"), counter("refused"),
                          counter("unknown_device")};
        };
        return std::array{of(kExchangeKinds[0]), of(kExchangeKinds[1]), of(kExchangeKinds[2])};
      }()) {}

Result<bool> Pull::round(Time at, const std::function<bool()>& going) {
  if (auto done = devices(at, false, going); !done) return std::move(done).error();
  if (!going()) return false;
  if (auto done = ledgers(at); !done) return std::move(done).error();
  return anomalies(at, going);
}

Result<http::Response> Pull::ask(ExchangeKind kind, const std::string& cursor,
                                 const std::string& etag) {
  const auto rows = kind == ExchangeKind::anomalies ? kAnomalyRows : kListRows;
  auto target = std::string(kAddress)
                    .append(kExchangeKinds.at(index(kind)))
                    .append("?limit=")
                    .append(std::to_string(rows));
  if (!cursor.empty()) target.append("&after=").append(http::percent_encode(cursor));
  auto response = fetch_(target, etag);
  if (!response) return response;
  if (response->status != 200 && response->status != 304) return refusal(*response);
  return response;
}

Result<Pull::Page> Pull::read(ExchangeKind kind, const std::string& body) {
  const std::string_view text = body;
  const Error cut{Errc::corrupt, "the region's page of " +
                                     std::string(kExchangeKinds.at(index(kind))) +
                                     " has no end; it was cut off, or is none"};
  if (!text.ends_with('\n')) return cut;
  const auto before_last = text.rfind('\n', text.size() - 2);
  const auto last = before_last == std::string_view::npos ? 0 : before_last + 1;
  auto end = parse_page_end(text.substr(last, text.size() - 1 - last));
  if (!end) return cut;
  if (end->kind != kExchangeKinds.at(index(kind))) return cut;
  if (end->tenant != peer_.tenant) {
    return Error{Errc::denied, "the token is of tenant " + end->tenant + ", not " + peer_.tenant};
  }
  Page page{.rows = {}, .end = *std::move(end)};
  for (std::size_t at = 0; at < last;) {
    const auto stop = text.find('\n', at);
    auto row = parse_line(kind, text.substr(at, stop - at));
    at = stop + 1;
    if (row) {
      page.rows.push_back(*std::move(row));
      continue;
    }
    counters_.at(index(kind)).refused.add();
    log::warn("a row of another region was refused",
              {{"region", peer_.region}, {"kind", page.end.kind}, row.error()});
  }
  return page;
}

Result<void> Pull::take(ExchangeKind kind, const Page& page, bool keep_cursor, Time at) {
  std::optional<std::string> cursor;
  if (keep_cursor) cursor = page.end.next;
  auto taken = exchange_.take(peer_, kind, page.rows, cursor, false, at);
  if (!taken && taken.error().code == Errc::not_found) {
    // It was enrolled there since its list was read.
    if (auto done = devices(at, true, [] { return true; }); !done) return done;
    taken = exchange_.take(peer_, kind, page.rows, cursor, true, at);
  }
  if (!taken) return std::move(taken).error();
  auto& counters = counters_.at(index(kind));
  counters.changed.add(static_cast<double>(taken->changed));
  counters.known.add(static_cast<double>(taken->known));
  counters.unknown_device.add(static_cast<double>(taken->unknown_devices));
  if (taken->feed_newest > 0) feed_.grew(taken->feed_newest);
  return {};
}

Result<Pull::KnownPage> Pull::list_page(ExchangeKind kind, const std::string& cursor, bool anew,
                                        Time at) {
  auto& pages = known_.at(index(kind));
  if (pages.size() > kKnownPagesMax) pages.clear();
  const auto known = pages.find(cursor);
  const auto response = ask(kind, cursor, known == pages.end() || anew ? "" : known->second.etag);
  if (!response) return response.error();
  if (response->status == 304 && known != pages.end()) return known->second;
  auto page = read(kind, response->body);
  if (!page) return std::move(page).error();
  if (!page->rows.empty()) {
    if (auto taken = take(kind, *page, false, at); !taken) return std::move(taken).error();
  }
  KnownPage now{std::string(response->header("etag").value_or("")), page->end.next, page->end.more};
  pages[cursor] = now;
  return now;
}

Result<void> Pull::devices(Time at, bool anew, const std::function<bool()>& going) {
  std::string cursor;
  do {
    const auto page = list_page(ExchangeKind::devices, cursor, anew, at);
    if (!page) return page.error();
    // A list that does not move on would be read for ever.
    cursor = page->more && page->next != cursor ? page->next : "";
  } while (!cursor.empty() && going());
  return {};
}

Result<void> Pull::ledgers(Time at) {
  const auto page = list_page(ExchangeKind::ledgers, std::exchange(ledgers_cursor_, ""), false, at);
  if (!page) {
    return page.error().code == Errc::bad_input ? Result<void>() : Result<void>(page.error());
  }
  ledgers_cursor_ = page->more ? page->next : "";
  return {};
}

Result<bool> Pull::anomalies(Time at, const std::function<bool()>& going) {
  constexpr auto kKind = ExchangeKind::anomalies;
  if (!cursor_read_) {
    auto cursor = exchange_.cursor(peer_, kKind);
    if (!cursor) return std::move(cursor).error();
    cursor_ = *std::move(cursor);
    cursor_read_ = true;
  }
  while (going()) {
    const auto response = ask(kKind, cursor_, "");
    if (!response && response.error().code == Errc::bad_input && !cursor_.empty()) {
      log::warn(
          "another region does not know our cursor; its anomalies are read from the beginning",
          {{"region", peer_.region}});
      cursor_.clear();
      continue;
    }
    if (!response) return response.error();
    const auto page = read(kKind, response->body);
    if (!page) return page.error();
    const bool moved = page->end.next != cursor_;
    if (!page->rows.empty() || page->end.more || (moved && at - cursor_kept_at_ >= kKeepEvery)) {
      if (auto taken = take(kKind, *page, true, at); !taken) return std::move(taken).error();
      cursor_kept_at_ = at;
    }
    cursor_ = page->end.next;
    if (!page->end.more) return true;
    if (!moved) return Error{Errc::corrupt, "the region's list of anomalies does not move on"};
  }
  return false;
}

}  // namespace lapwing::hub
