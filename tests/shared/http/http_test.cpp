// SPDX-License-Identifier: Apache-2.0
/// What needs no socket: routes, targets, messages, events.
#include "shared/http/client.hpp"
#include "shared/http/events.hpp"
#include "shared/http/request_target.hpp"
#include "shared/http/router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace lapwing::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Handler says(const char* text) {
  return [text](const Request&) { return text_response(text); };
}

Response ask(const Router& router, Method method, std::string_view target) {
  auto request = parse_target(target);
  if (!request) return problem(request.error());
  request->method = method;
  return router.answer(*request);
}

TEST(Router, LiteralWinsOverVariable) {
  Router router;
  router.add(Method::get, "/a/{x}", says("variable"));
  router.add(Method::get, "/a/b", says("literal"));
  router.add(Method::get, "/a/{x}/c", says("deeper"));
  EXPECT_EQ(ask(router, Method::get, "/a/b").body, "literal");
  EXPECT_EQ(ask(router, Method::get, "/a/%62").body, "literal");
  EXPECT_EQ(ask(router, Method::get, "/a/z").body, "variable");
  EXPECT_EQ(ask(router, Method::get, "/a/b/c").body, "deeper");
  EXPECT_EQ(ask(router, Method::get, "/a/").status, 404U) << "a variable is not empty";
  EXPECT_EQ(ask(router, Method::get, "/a/b/").status, 404U);
}

TEST(Router, VariableIsOneDecodedSegment) {
  Router router;
  router.add(Method::get, "/a/{x}/b",
             [](const Request& request) { return text_response(request.parameter("x")); });
  EXPECT_EQ(ask(router, Method::get, "/a/p%2Fq%20r/b").body, "p/q r");
  EXPECT_EQ(ask(router, Method::get, "/a/p/q/b").status, 404U);
  EXPECT_EQ(ask(router, Method::get, "/a/p+q/b").body, "p+q");
}

TEST(Router, WrongMethodNamesTheRightOnes) {
  Router router;
  router.add(Method::post, "/a", says("post"));
  router.add(Method::get, "/a", says("get"));
  const auto response = ask(router, Method::del, "/a");
  EXPECT_EQ(response.status, 405U);
  EXPECT_EQ(response.header("allow"), "GET, HEAD, POST");
}

TEST(Router, ServesOnlyTheFilesOfItsTable) {
  static constexpr std::array kFiles{StaticFile{"/index.html", "text/html", "<p>"},
                                     StaticFile{"/v/app.js", "text/javascript", "1"}};
  Router router;
  router.add_files(kFiles);
  EXPECT_EQ(ask(router, Method::get, "/").body, "<p>");
  EXPECT_EQ(ask(router, Method::get, "/index.html").content_type, "text/html");
  EXPECT_EQ(ask(router, Method::get, "/v/app.js").body, "1");
  for (const auto* outside :
       {"/../etc/passwd", "/v/../../etc/passwd", "/v/%2e%2e/index.html", "/%2e%2e%2fetc%2fpasswd",
        "/v/..%2findex.html", "//index.html", "/v", "/v/", "/./index.html", "/index.html/"}) {
    EXPECT_EQ(ask(router, Method::get, outside).status, 404U) << outside;
  }
  EXPECT_EQ(ask(router, Method::post, "/index.html").status, 405U);
}

TEST(Target, IsSplitAndDecoded) {
  const auto request = parse_target("/a%20b?x=1&y=a+b%26c&&z&=v#part");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->path, "/a%20b");
  EXPECT_THAT(request->query,
              ElementsAre(Pair("x", "1"), Pair("y", "a b&c"), Pair("z", ""), Pair("", "v")));
  for (const auto* bad : {"", "a", "*", "/%", "/%1", "/%g1", "/?%", "/?a=%00", "/?a=%c0%af"}) {
    EXPECT_FALSE(parse_target(bad)) << bad;
  }
}

TEST(Target, TellsTheNamesOfThisMachine) {
  for (const auto* local :
       {"localhost", "LocalHost:9273", "127.0.0.1", "127.9.9.9:80", "[::1]:80"}) {
    EXPECT_TRUE(is_local_host(local)) << local;
  }
  for (const auto* other : {"localhost.evil.example", "evil.example:9273", "10.0.0.1", "[::2]",
                            "[::1", "127.0.0.1.evil.example", ":80", "", "["}) {
    EXPECT_FALSE(is_local_host(other)) << other;
  }
}

TEST(Target, EncodingIsUndoneByDecoding) {
  std::string all;
  for (int c = 1; c < 128; ++c) all += static_cast<char>(c);
  all += "ü…";
  const auto encoded = percent_encode(all);
  EXPECT_EQ(encoded.find_first_of(" /?&=#+%\n") == std::string::npos,
            encoded.find('%') == std::string::npos);
  EXPECT_EQ(percent_decode(encoded).value(), all);
  EXPECT_EQ(percent_decode(encoded, true).value(), all);
}

TEST(Problem, TellsPeersNothingAboutTheInside) {
  const auto response = problem(Error{Errc::io, "/secret/path: disk on fire"}, "/x");
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
  const auto missing = problem(Error{Errc::not_found, "no device \"\xff\""}, "/x");
  EXPECT_EQ(missing.status, 404U);
  EXPECT_THAT(missing.body, HasSubstr("\"title\":\"Not Found\",\"status\":404"));
  EXPECT_THAT(missing.body, HasSubstr("\"instance\":\"/x\""));
}

TEST(Events, SurviveAnyCuttingOfTheirBytes) {
  const std::vector<Event> sent{{"1", "anomaly", "one"},
                                {"2", "", "two\nlines\n"},
                                {"3", "", ""},
                                {"", "gap", ""},
                                {"4", "x", "a: b"}};
  std::string bytes = ": hello\n\n";
  for (const auto& event : sent) bytes += format_event(event);
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string text = bytes;
    if (round % 2 == 1) {
      for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) {
        text.replace(at, 1, "\r\n");
      }
    }
    EventParser parser;
    std::vector<Event> got;
    for (std::string_view rest = text; !rest.empty();) {
      const auto piece = std::min<std::size_t>(1 + random() % 9, rest.size());
      const auto done = parser.feed(rest.substr(0, piece)).value();
      got.insert(got.end(), done.begin(), done.end());
      rest.remove_prefix(piece);
    }
    ASSERT_EQ(got.size(), sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      EXPECT_EQ(got[i].id, sent[i].id);
      EXPECT_EQ(got[i].name, sent[i].name);
      EXPECT_EQ(got[i].data, sent[i].data);
    }
  }
}

TEST(Events, NothingCanBeSmuggledIntoAnId) {
  EXPECT_EQ(format_event({"1\ndata: x", "a\r\nb", "d"}), "id: 1data: x\nevent: ab\ndata: d\n\n");
}

TEST(Events, ParserIsBounded) {
  EventParser parser(100);
  EXPECT_EQ(parser.feed("data: " + std::string(200, 'x')).error().code, Errc::limit);
}

TEST(Events, StreamEndsAtItsBound) {
  int closed = 0;
  EventStream stream({.bytes_max = 30, .on_close = [&] { ++closed; }});
  EXPECT_TRUE(stream.push({"1", "", "0123456789"}));
  EXPECT_FALSE(stream.push({"2", "", "0123456789"}));
  EXPECT_FALSE(stream.push({"3", "", ""}));
  const auto taken = stream.take();
  EXPECT_EQ(taken.bytes, "id: 1\ndata: 0123456789\n\n") << "whole events only";
  EXPECT_TRUE(taken.end);
  EXPECT_TRUE(taken.overflowed);
  stream.detach();
  stream.detach();
  EXPECT_EQ(closed, 1);
}

TEST(Events, SharedOnesComeInTheirTurn) {
  EventStream stream({.bytes_max = 20});
  const auto events = std::make_shared<const std::string>("id: 1\n\n");
  EXPECT_TRUE(stream.push_shared(events));
  EXPECT_TRUE(stream.push({"2", "", ""}));
  EXPECT_EQ(stream.waiting_bytes(), 14U);
  auto taken = stream.take();
  EXPECT_EQ(taken.shared, events) << "not a copy";
  EXPECT_EQ(taken.bytes, "id: 2\n\n");
  EXPECT_EQ(stream.waiting_bytes(), 0U);
  EXPECT_TRUE(stream.push({"2", "", ""}));
  EXPECT_TRUE(stream.push_shared(events));
  EXPECT_FALSE(stream.push_shared(events)) << "beyond the bound";
  taken = stream.take();
  EXPECT_EQ(taken.shared, nullptr);
  EXPECT_EQ(taken.bytes, "id: 2\n\nid: 1\n\n");
  EXPECT_TRUE(taken.overflowed);
}

TEST(Origin, IsReadAndWritten) {
  const auto plain = parse_origin("http://127.0.0.1:8080").value();
  EXPECT_FALSE(plain.tls);
  EXPECT_EQ(plain.port, 8080);
  EXPECT_EQ(parse_origin("https://hub.example/").value().text(), "https://hub.example:443");
  EXPECT_EQ(parse_origin("https://[::1]:8443").value().text(), "https://[::1]:8443");
  for (const auto* bad : {"", "hub", "ftp://hub", "https://", "https://hub:0", "https://hub:99999",
                          "https://hub:x", "https://hub:", "https://hub/path", "https://a@hub",
                          "https://hub?x", "https://[::1", "https://[::1]x"}) {
    EXPECT_FALSE(parse_origin(bad)) << bad;
  }
}

}  // namespace
}  // namespace lapwing::http
