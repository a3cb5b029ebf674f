// SPDX-License-Identifier: Apache-2.0
/// The server on real sockets: limits, malformed requests, streams, TLS, stopping.
#include "shared/http/server.hpp"

#include "shared/base/metrics.hpp"
#include "shared/http/client.hpp"
#include "shared/http/events.hpp"
#include "tests/shared/http/raw_client.hpp"
#include "tests/support/pki.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <thread>
#include <vector>

namespace lapwing::http {
namespace {

using lapwing::testing::eventually;
using lapwing::testing::Pki;
using lapwing::testing::RawClient;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;

constexpr std::string_view kGet = "GET /echo?x=1 HTTP/1.1\r\nHost: t\r\n\r\n";

class HttpServer : public ::testing::Test {
 protected:
  HttpServer() {
    router_.add(Method::get, "/echo", [](const Request& request) {
      return text_response("x=" + std::string(request.query_value("x").value_or("none")));
    });
    router_.add(Method::post, "/echo",
                [](const Request& request) { return text_response(request.body, 201); });
    router_.add(Method::get, "/items/{item}", [](const Request& request) {
      return with_etag(request, text_response("item " + request.parameter("item")));
    });
    router_.add(Method::get, "/fails",
                [](const Request&) -> Response { throw std::runtime_error("inside"); });
    router_.add(Method::get, "/events", [this](const Request&) {
      stream_ = std::make_shared<EventStream>(
          EventStream::Options{.bytes_max = 64 * 1024, .on_close = [this] { ++closed_; }});
      ready_.set_value();
      return Response{.stream = stream_};
    });
    options_.metrics = &metrics_;
  }

  void start() {
    auto started = Server::start(options_, router_);
    ASSERT_TRUE(started) << started.error().context;
    server_ = *std::move(started);
  }
  std::string ask(std::string_view bytes) {
    RawClient client(server_->port());
    client.send(bytes);
    client.finish_sending();
    return client.read_all();
  }
  double refused(const char* reason) {
    return metrics_.counter("http_refused_total", "", {{"reason", reason}}).value();
  }
  Client client(std::filesystem::path ca = {}, std::string host = "127.0.0.1") {
    return Client({.origin = {.tls = options_.tls.has_value(),
                              .host = std::move(host),
                              .port = server_->port()},
                   .ca_file = std::move(ca)});
  }

  Metrics metrics_;
  Router router_;
  ServerOptions options_;
  std::shared_ptr<EventStream> stream_;
  std::promise<void> ready_;
  std::atomic<int> closed_{0};
  std::unique_ptr<Server> server_;  // last: its handlers use the members above
};

TEST_F(HttpServer, AnswersWithSecurityHeadersAndKeepsTheConnection) {
  start();
  RawClient client(server_->port());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(client.send(kGet));
    EXPECT_THAT(client.read_until("x=1"), StartsWith("HTTP/1.1 200 OK\r\n"));
  }
  const auto got = client.read_until("x=1");
  EXPECT_THAT(got, HasSubstr("Content-Security-Policy: default-src 'self'"));
  EXPECT_THAT(got, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(got, HasSubstr("X-Frame-Options: DENY"));
  EXPECT_THAT(got, HasSubstr("Date: "));
}

TEST_F(HttpServer, AnswersPipelinedRequestsInOrder) {
  start();
  const auto got =
      ask(std::string(kGet) + "GET /items/7 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  EXPECT_LT(got.find("x=1"), got.find("item 7"));
  EXPECT_THAT(got, EndsWith("item 7"));
}

TEST_F(HttpServer, HeadHasTheLengthAndNoBody) {
  start();
  const auto got = ask("HEAD /echo?x=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(got, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(got, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServer, TakesChunkedBodies) {
  start();
  const auto got =
      ask("POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
          "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_THAT(got, StartsWith("HTTP/1.1 201 Created"));
  EXPECT_THAT(got, EndsWith("abcde"));
}

TEST_F(HttpServer, TakesRequestsInAnyPieces) {
  start();
  RawClient client(server_->port());
  const std::string post =
      "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  const auto last = "GET /items/7 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
  for (const char byte : post) {
    ASSERT_TRUE(client.send({&byte, 1}));
    std::this_thread::sleep_for(100us);
  }
  EXPECT_THAT(client.read_until("abc"), EndsWith("abc"));
  ASSERT_TRUE(client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nwx"));
  ASSERT_TRUE(client.send(std::string("yz") + std::string(kGet) + last));
  const auto got = client.read_all();
  EXPECT_LT(got.find("wxyz"), got.find("x=1"));
  EXPECT_THAT(got, EndsWith("item 7"));
}

TEST_F(HttpServer, ARequestThatEndsInTheMiddleIsNotAnswered) {
  start();
  for (const std::string_view part :
       {"G", "GET /echo HTTP/1.1\r\nHost: t\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}) {
    SCOPED_TRACE(part);
    EXPECT_EQ(ask(part), "");
  }
  EXPECT_EQ(refused("malformed"), 0);
}

TEST_F(HttpServer, RefusesWhatIsNotHttp) {
  start();
  for (const std::string_view bad :
       {"nonsense\r\n\r\n", "GET /echo\r\n\r\n", "GET /echo HTTP/9.9\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: t\r\nbroken header\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n", "GET /echo HTTP/1.1\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET http://t/echo HTTP/1.1\r\nHost: t\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: t\r\n\r\n", "GET /%ff HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /echo?x=%4 HTTP/1.1\r\nHost: t\r\n\r\n"}) {
    SCOPED_TRACE(bad);
    const auto got = ask(bad);
    EXPECT_THAT(got, StartsWith("HTTP/1.1 400 Bad Request"));
    EXPECT_THAT(got, HasSubstr("application/problem+json"));
  }
  EXPECT_THAT(ask("BREW /echo HTTP/1.1\r\nHost: t\r\n\r\n"), StartsWith("HTTP/1.1 501"));
  EXPECT_THAT(ask(kGet), StartsWith("HTTP/1.1 200")) << "and goes on";
}

TEST_F(HttpServer, TakesLongerBodiesWhereTheRouteAllowsThem) {
  options_.limits.body_bytes = 1'000;
  const auto length = [](const Request& request) {
    return text_response(std::to_string(request.body.size()));
  };
  router_.add(Method::put, "/big/{id}", length);
  router_.add(Method::post, "/big/{id}", length);
  router_.allow_body(Method::put, "/big/{id}", 3'000);
  start();
  const auto sent = [&](const std::string& what, int bytes) {
    return ask(what + " HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: " +
               std::to_string(bytes) + "\r\n\r\n" +
               std::string(static_cast<std::size_t>(bytes), 'x'));
  };
  EXPECT_THAT(sent("PUT /big/7?offset=1", 3'000), ::testing::EndsWith("3000"));
  EXPECT_THAT(sent("PUT /big/7", 3'001), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(sent("POST /big/7", 1'001), StartsWith("HTTP/1.1 413")) << "another method";
  EXPECT_THAT(sent("PUT /big", 1'001), StartsWith("HTTP/1.1 413")) << "no such route";
  EXPECT_THAT(sent("POST /big/7", 1'000), ::testing::EndsWith("1000"));
  const auto chunked = [&](const std::string& what, const std::string& digits, int bytes) {
    return ask(what +
               " HTTP/1.1\r\nHost: t\r\nConnection: close\r\nTransfer-Encoding: chunked"
               "\r\n\r\n" +
               digits + "\r\n" + std::string(static_cast<std::size_t>(bytes), 'x') +
               "\r\n0\r\n\r\n");
  };
  EXPECT_THAT(chunked("PUT /big/7", "bb8", 3'000), ::testing::EndsWith("3000"));
  EXPECT_THAT(chunked("PUT /big/7", "bb9", 3'001), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(chunked("POST /big/7", "3e9", 1'001), StartsWith("HTTP/1.1 413"));
}

TEST_F(HttpServer, AnswersOtherNamesOnlyWhereAllowed) {
  options_.local_names_only = true;
  start();
  EXPECT_THAT(ask("GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n"), StartsWith("HTTP/1.1 421 "));
  EXPECT_EQ(refused("host"), 1);
  EXPECT_THAT(ask("GET /echo HTTP/1.1\r\nHost: localhost:1\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServer, RefusesWhatIsTooLarge) {
  options_.limits = {.header_bytes = 2'000, .body_bytes = 1'000, .target_bytes = 500};
  start();
  EXPECT_THAT(ask("GET /echo HTTP/1.1\r\nHost: t\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(ask("GET /echo?x=" + std::string(600, 'x') + " HTTP/1.1\r\nHost: t\r\n\r\n"),
              StartsWith("HTTP/1.1 414"));
  EXPECT_THAT(ask("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\n\r\n" +
                  std::string(1'001, 'x')),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(ask("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(ask("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" +
                  std::string(1'001, 'x') + "\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(ask("POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 1000"
                  "\r\n\r\n" +
                  std::string(1'000, 'x')),
              StartsWith("HTTP/1.1 201"));
  EXPECT_EQ(refused("body_bytes"), 3);
  EXPECT_EQ(refused("header_bytes"), 1);
  std::string many = "GET /echo?a=1";
  for (int i = 0; i < 80; ++i) many += "&b=1";
  EXPECT_THAT(ask(many + " HTTP/1.1\r\nHost: t\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

TEST_F(HttpServer, ClosesClientsThatAreTooSlow) {
  options_.limits.read = 200ms;
  options_.limits.idle = 200ms;
  start();
  RawClient silent(server_->port());
  RawClient slow(server_->port());
  slow.send("GET /echo HTTP/1.1\r\nHos");
  EXPECT_EQ(slow.read_all(), "");
  EXPECT_TRUE(slow.closed());
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_TRUE(silent.closed());
  EXPECT_TRUE(eventually([&] { return refused("read_timeout") == 2; }));
}

TEST_F(HttpServer, APeerThatNeverBeganIsNotGivenTheTimeOfAnIdleOne) {
  options_.limits.read = 100ms;
  options_.limits.idle = 30s;
  start();
  const auto began = std::chrono::steady_clock::now();
  RawClient silent(server_->port());
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_TRUE(silent.closed());
  EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
}

// Connections that say nothing, or half a request, kept everybody else out until they timed out.
TEST_F(HttpServer, AtTheLimitWhoIsWaitedForLongestGivesWay) {
  options_.limits.connections = 3;
  start();
  RawClient idle(server_->port());
  idle.send(kGet);
  EXPECT_THAT(idle.read_until("x=1"), StartsWith("HTTP/1.1 200"));
  RawClient half(server_->port());
  half.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\na");
  RawClient live(server_->port());
  live.send("GET /events HTTP/1.1\r\nHost: t\r\n\r\n");
  ready_.get_future().wait();
  for (int i = 0; i < 20; ++i) EXPECT_THAT(ask(kGet), StartsWith("HTTP/1.1 200")) << i;
  EXPECT_THAT(idle.read_all(), Not(HasSubstr("x=1HTTP")));
  EXPECT_TRUE(idle.closed());
  EXPECT_EQ(half.read_all(), "");
  EXPECT_TRUE(half.closed());
  EXPECT_GE(refused("connections"), 1);
  EXPECT_LE(metrics_.gauge("http_connections", "").value(), 3);
  EXPECT_EQ(closed_, 0) << "a stream does not wait for its client";
  EXPECT_TRUE(stream_->push({"1", "", "still here"}));
  EXPECT_THAT(live.read_until("still here"), HasSubstr("still here"));
}

TEST_F(HttpServer, AtTheLimitOfConnectionsThatAnswerTheNewestIsClosed) {
  options_.limits.connections = 1;
  start();
  {
    RawClient live(server_->port());
    live.send("GET /events HTTP/1.1\r\nHost: t\r\n\r\n");
    ready_.get_future().wait();
    RawClient extra(server_->port());
    extra.send(kGet);
    EXPECT_EQ(extra.read_all(), "");
    EXPECT_TRUE(extra.closed());
    EXPECT_EQ(refused("connections"), 1);
  }
  EXPECT_TRUE(eventually([&] { return ask(kGet).starts_with("HTTP/1.1 200"); }));
}

TEST_F(HttpServer, ClosesAfterAsManyRequestsAsAllowed) {
  options_.limits.connection_requests = 2;
  start();
  RawClient client(server_->port());
  client.send(std::string(kGet) + std::string(kGet) + std::string(kGet));
  const auto got = client.read_all();
  EXPECT_TRUE(client.closed());
  EXPECT_THAT(got, HasSubstr("Connection: close"));
  std::size_t answers = 0;
  for (auto at = got.find("HTTP/1.1 200"); at != std::string::npos;
       at = got.find("HTTP/1.1 200", at + 1)) {
    ++answers;
  }
  EXPECT_EQ(answers, 2U);
}

TEST_F(HttpServer, HandlersFailureIsA500WithoutItsText) {
  options_.workers = 1;
  start();
  const auto got = ask("GET /fails HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(got, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(got, Not(HasSubstr("inside")));
}

TEST_F(HttpServer, WorkersAnswerManyAtOnce) {
  options_.workers = 4;
  start();
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto answer = client().get("/items/" + std::to_string(t * 100 + i));
        right += answer && answer->body == "item " + std::to_string(t * 100 + i) ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 160);
}

TEST_F(HttpServer, AnswersWhatIsQuickWhileAllWorkersWait) {
  options_.workers = 2;
  std::promise<void> release;
  std::latch waiting(2);
  router_.add(Method::get, "/waits", [&, released = release.get_future().share()](const Request&) {
    waiting.count_down();
    released.wait();
    return Response{.body = "done"};
  });
  router_.add_quick(Method::get, "/quick", [](const Request&) { return Response{.body = "now"}; });
  start();
  const auto wait = [&] { return client().get("/waits"); };
  auto first = std::async(std::launch::async, wait);
  auto second = std::async(std::launch::async, wait);
  waiting.wait();
  const auto answer = client().get("/quick");
  release.set_value();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "now");
  EXPECT_EQ(first.get()->body, "done");
  EXPECT_EQ(second.get()->body, "done");
}

TEST_F(HttpServer, KnownEtagIsNotSentAgain) {
  start();
  const auto first = client().get("/items/a%2Fb");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->body, "item a/b");
  const std::string tag(first->header("etag").value_or(""));
  const auto got =
      ask("GET /items/a%2Fb HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
          "If-None-Match: \"x\", W/" +
          tag + "\r\n\r\n");
  EXPECT_THAT(got, StartsWith("HTTP/1.1 304 Not Modified"));
  EXPECT_THAT(got, EndsWith("\r\n\r\n"));
}

// --- event streams -------------------------------------------------------------------------------

TEST_F(HttpServer, EventsArriveInOrderFromAnyThread) {
  start();
  std::vector<std::string> got;
  std::thread reader([&] {
    EXPECT_TRUE(client().events("/events", "", {.on_event = [&](const Event& event) {
                                  got.push_back(event.id + event.name + event.data);
                                  return got.size() < 100;
                                }}));
  });
  ready_.get_future().wait();
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(stream_->push({std::to_string(i), "n", "two\nlines"}));
  }
  reader.join();
  ASSERT_EQ(got.size(), 100U);
  EXPECT_EQ(got[99], "99ntwo\nlines");
  EXPECT_TRUE(eventually([&] { return closed_ == 1; })) << "the server saw the client leave";
  EXPECT_FALSE(stream_->push({"x", "", ""}));
}

TEST_F(HttpServer, QuietStreamsGetHeartbeats) {
  options_.limits.heartbeat = 20ms;
  start();
  RawClient client(server_->port());
  client.send("GET /events HTTP/1.1\r\nHost: t\r\n\r\n");
  const auto got = client.read_until(": \n\n: \n\n");
  EXPECT_THAT(got, HasSubstr("Content-Type: text/event-stream"));
  EXPECT_THAT(got, HasSubstr(": \n\n: \n\n"));
}

TEST_F(HttpServer, DropsAStreamWhoseClientDoesNotRead) {
  start();
  RawClient client(server_->port());
  client.send("GET /events HTTP/1.1\r\nHost: t\r\n\r\n");
  ready_.get_future().wait();
  const std::string data(16 * 1024, 'x');
  int pushed = 0;
  while (pushed < 100'000 && stream_->push({"1", "", data})) ++pushed;
  EXPECT_LT(pushed, 100'000) << "bounded whatever the client does";
  EXPECT_TRUE(stream_->closed());
  client.read_all();
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(eventually([&] { return closed_ == 1; }));
  EXPECT_EQ(metrics_.counter("http_event_streams_dropped_total", "").value(), 1);
}

TEST_F(HttpServer, AStreamWhoseClientTakesNothingInTimeIsDroppedAndCounted) {
  options_.limits.event_write = 300ms;
  start();
  RawClient client(server_->port());
  client.send("GET /events HTTP/1.1\r\nHost: t\r\n\r\n");
  ready_.get_future().wait();
  const std::string data(16 * 1024, 'x');
  const auto end = std::chrono::steady_clock::now() + 20s;
  std::size_t pushed = 0;
  while (!stream_->closed() && std::chrono::steady_clock::now() < end) {  // one at a time
    if (stream_->waiting_bytes() == 0 && stream_->push({"1", "", data})) pushed += data.size();
  }
  EXPECT_LT(pushed, 1U << 20U) << "the kernel's buffer is bounded too";
  EXPECT_TRUE(eventually([&] { return closed_ == 1; }));
  EXPECT_EQ(metrics_.counter("http_event_streams_dropped_total", "").value(), 1);
  EXPECT_EQ(refused("write_timeout"), 1);
}

TEST_F(HttpServer, RefusesMoreStreamsThanAllowed) {
  options_.limits.event_streams = 0;
  start();
  EXPECT_THAT(ask("GET /events HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(closed_, 1);
}

TEST_F(HttpServer, StopEndsStreamsAndIdleConnectionsAtOnce) {
  options_.workers = 2;
  start();
  RawClient idle(server_->port());
  idle.send(kGet);
  idle.read_until("x=1");
  RawClient live(server_->port());
  live.send("GET /events HTTP/1.1\r\nHost: t\r\n\r\n");
  ready_.get_future().wait();
  const auto began = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2500ms) << "not by the deadline";
  live.read_all();
  EXPECT_TRUE(live.closed());
  idle.read_all();
  EXPECT_TRUE(idle.closed());
  EXPECT_EQ(closed_, 1);
  server_->stop();
}

// --- listening and TLS ---------------------------------------------------------------------------

TEST_F(HttpServer, PortInUseNamesAddressPortAndRemedy) {
  start();
  auto options = options_;
  options.port = server_->port();
  const auto second = Server::start(options, router_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::exists);
  EXPECT_THAT(second.error().context, HasSubstr("127.0.0.1:" + std::to_string(server_->port())));
  EXPECT_THAT(second.error().context, HasSubstr("in use"));
  EXPECT_THAT(second.error().context, HasSubstr("listen on another port"));
}

TEST_F(HttpServer, NamesWhatItCannotUse) {
  options_.address = "localhost";
  EXPECT_THAT(Server::start(options_, router_).error().context, HasSubstr("not an IP address"));
  options_.address = "203.0.113.7";
  EXPECT_THAT(Server::start(options_, router_).error().context, HasSubstr("203.0.113.7"));
  options_.address = "127.0.0.1";
  Pki pki;
  const auto a = pki.server("a", {"127.0.0.1"});
  const auto b = pki.server("b", {"127.0.0.1"});
  options_.tls = TlsFiles{"/nowhere/server.pem", a.key_file};
  EXPECT_THAT(Server::start(options_, router_).error().context, HasSubstr("/nowhere/server.pem"));
  options_.tls = TlsFiles{a.certificate_file, b.key_file};
  const auto mixed = Server::start(options_, router_);
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().code, Errc::bad_config);
  EXPECT_THAT(mixed.error().context, HasSubstr(b.key_file.string()));
}

TEST_F(HttpServer, TlsClientTrustsOnlyTheRightAuthorityAndName) {
  Pki pki;
  Pki stranger("another authority");
  const auto identity = pki.server("server", {"127.0.0.1", "localhost"});
  options_.tls = TlsFiles{identity.certificate_file, identity.key_file};
  options_.workers = 1;
  start();
  const auto good = client(pki.ca_file()).get("/echo?x=a%20b");
  ASSERT_TRUE(good) << good.error().context;
  EXPECT_EQ(good->body, "x=a b");
  EXPECT_TRUE(client(pki.ca_file(), "localhost").get("/echo"));
  const auto bad = client(stranger.ca_file()).get("/echo");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::denied);
  EXPECT_THAT(bad.error().context, HasSubstr("not trusted"));
  EXPECT_EQ(client("/nowhere/ca.pem").get("/echo").error().code, Errc::bad_config);
  const Client plain({.origin = {.tls = false, .host = "127.0.0.1", .port = server_->port()}});
  EXPECT_FALSE(plain.get("/echo"));
  RawClient garbage(server_->port());
  garbage.send("this is not a handshake\r\n\r\n");
  garbage.read_all();
  EXPECT_TRUE(garbage.closed());
  EXPECT_TRUE(client(pki.ca_file()).get("/echo")) << "and goes on";
}

TEST_F(HttpServer, TlsClientRefusesACertificateOfAnotherName) {
  Pki pki;
  const auto identity = pki.server("server", {"elsewhere.example"});
  options_.tls = TlsFiles{identity.certificate_file, identity.key_file};
  start();
  for (const auto* host : {"127.0.0.1", "localhost"}) {
    const auto refused = client(pki.ca_file(), host).get("/echo");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::denied) << refused.error().context;
  }
}

TEST_F(HttpServer, TlsCarriesStreamsLargeBodiesAndRefusals) {
  Pki pki;
  const auto identity = pki.server("server", {"127.0.0.1"});
  options_.tls = TlsFiles{identity.certificate_file, identity.key_file};
  options_.limits.body_bytes = 300'000;
  start();
  const auto secure = client(pki.ca_file());
  const std::string big(250'000, 'b');
  const auto echoed = secure.post("/echo", big);
  ASSERT_TRUE(echoed) << echoed.error().context;
  EXPECT_EQ(echoed->body, big);
  const auto refused = secure.post("/echo", std::string(310'000, 'b'));
  ASSERT_TRUE(refused) << refused.error().context;
  EXPECT_EQ(refused->status, 413U);
  std::thread reader([&] {
    EXPECT_TRUE(secure.events(
        "/events", "", {.on_event = [](const Event& event) { return event.data != "last"; }}));
  });
  ready_.get_future().wait();
  for (int i = 0; i < 50; ++i) stream_->push({"", "", std::string(1'000, 'x')});
  stream_->push({"", "", "last"});
  reader.join();
  EXPECT_TRUE(eventually([&] { return closed_ == 1; }));
}

TEST_F(HttpServer, ClientSaysWhatIsWrong) {
  start();
  const auto port = server_->port();
  server_.reset();
  const Client nobody({.origin = {.tls = false, .host = "127.0.0.1", .port = port}});
  const auto refused = nobody.get("/");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("connection refused"));
  EXPECT_THAT(refused.error().context, HasSubstr("http://127.0.0.1:" + std::to_string(port)));
}

TEST_F(HttpServer, ClientBoundsAnswersAndTime) {
  start();
  const ClientOptions options{
      .origin = {.tls = false, .host = "127.0.0.1", .port = server_->port()},
      .silence_max = 200ms,
      .body_bytes_max = 100};
  EXPECT_EQ(Client(options).post("/echo", std::string(200, 'x')).error().code, Errc::limit);
  const auto silent =
      Client(options).events("/events", "", {.on_event = [](const Event&) { return true; }});
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, Errc::timeout);
}

}  // namespace
}  // namespace lapwing::http
