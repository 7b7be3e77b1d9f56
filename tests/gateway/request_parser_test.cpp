#include "gateway/http/request_parser.h"

#include <gtest/gtest.h>

#include <chrono>

namespace forge::gateway {
namespace {

using State = RequestParser::State;

constexpr char kPost[] =
    "POST /v1/completions?a=1 HTTP/1.1\r\nHost: localhost:8080\r\nX-Thing: a\r\nx-thing: b\r\n"
    "Content-Length: 5\r\n\r\nhello";

RequestParser::Limits Small() { return {.header_bytes = 256, .body_bytes = 10}; }

TEST(RequestParserTest, ReadsARequestHoweverItIsCut) {
  const std::string text = kPost;
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    SCOPED_TRACE(cut);
    RequestParser parser({}, "");
    parser.Feed(text.substr(0, cut));
    ASSERT_EQ(parser.Feed(text.substr(cut)), State::kDone);
    const HttpRequest& request = parser.request();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.target, "/v1/completions?a=1");
    EXPECT_EQ(request.body, "hello");
    EXPECT_EQ(request.Values("x-thing"), (std::vector<std::string_view>{"a", "b"}));
    EXPECT_TRUE(request.keep_alive);
    EXPECT_FALSE(request.is_http_1_0);
  }
}

TEST(RequestParserTest, ReadsAByteAtATime) {
  RequestParser parser({}, "");
  State state = State::kHeader;
  for (const char c : std::string(kPost)) state = parser.Feed({&c, 1});
  EXPECT_EQ(state, State::kDone);
  EXPECT_EQ(parser.request().body, "hello");
}

TEST(RequestParserTest, ShowsTheHeaderBeforeTheBodyIsThere) {
  RequestParser parser({}, "");
  const std::string text = kPost;
  EXPECT_EQ(parser.Feed(text.substr(0, text.size() - 3)), State::kBody);
  EXPECT_EQ(parser.request().target, "/v1/completions?a=1");
}

TEST(RequestParserTest, ReadsChunksHoweverTheyAreCut) {
  const std::string text =
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfox\r\n4;x=y\r\n and\r\n0\r\n\r\n";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    SCOPED_TRACE(cut);
    RequestParser parser({}, "");
    parser.Feed(text.substr(0, cut));
    ASSERT_EQ(parser.Feed(text.substr(cut)), State::kDone) << parser.error().message;
    EXPECT_EQ(parser.request().body, "fox and");
  }
}

TEST(RequestParserTest, ReadsManySmallChunksInNoTime) {
  std::string text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 500'000; ++i) text += "1\r\nx\r\n";
  const auto begin = std::chrono::steady_clock::now();
  RequestParser parser({}, "");
  ASSERT_EQ(parser.Feed(text + "0\r\n\r\n"), State::kDone) << parser.error().message;
  EXPECT_EQ(parser.request().body.size(), 500'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(RequestParserTest, OverlooksLineBreaksBeforeARequest) {
  RequestParser parser({}, "\r\n");
  parser.Feed({});
  EXPECT_FALSE(parser.has_begun());
  parser.Feed("\r");
  parser.Feed(std::string("\n") + kPost);
  EXPECT_EQ(parser.state(), State::kDone) << parser.error().message;
  EXPECT_EQ(parser.request().body, "hello");
}

TEST(RequestParserTest, TakesAnEmptyBodyOfAGetAndAnOfferOfHttp2) {
  RequestParser get({}, "GET /v1/models HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(get.Feed({}), State::kDone);
  // As Java's HttpClient sends requests.
  RequestParser offer({},
                      "POST / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                      "HTTP2-Settings: AAEA\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_EQ(offer.Feed({}), State::kDone);
  EXPECT_EQ(offer.request().body, "{}");
  EXPECT_TRUE(offer.request().keep_alive);
}

TEST(RequestParserTest, LeavesTheNextRequestAlone) {
  RequestParser first({}, "");
  ASSERT_EQ(first.Feed(std::string("GET /a HTTP/1.1\r\n\r\n") + kPost), State::kDone);
  RequestParser second({}, first.TakeRest());
  EXPECT_EQ(second.Feed({}), State::kDone);
  EXPECT_TRUE(second.has_begun());
  EXPECT_EQ(second.request().body, "hello");
}

TEST(RequestParserTest, SaysWhetherTheConnectionGoesOn) {
  RequestParser closes({}, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  closes.Feed({});
  EXPECT_FALSE(closes.request().keep_alive);
  RequestParser old({}, "GET / HTTP/1.0\r\n\r\n");
  old.Feed({});
  EXPECT_FALSE(old.request().keep_alive);
  EXPECT_TRUE(old.request().is_http_1_0);
  RequestParser waits({}, "POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n");
  waits.Feed({});
  EXPECT_TRUE(waits.request().expects_continue);
}

TEST(RequestParserTest, RefusesALongHeaderALongBodyAndWhatIsNoHttp) {
  const struct {
    std::string text;
    int http_status;
  } kCases[] = {
      {"GET /" + std::string(300, 'a') + " HTTP/1.1\r\n\r\n", 431},
      {"GET / HTTP/1.1\r\nX: " + std::string(300, 'a'), 431},
      {"POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello hello\r\n0\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"GET / HTTP/9\r\n\r\n", 400},
      {std::string("\x16\x03\x01\x02", 4) + "\r\n\r\n", 400},  // TLS
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.text.substr(0, 60));
    RequestParser parser(Small(), "");
    ASSERT_EQ(parser.Feed(test_case.text), State::kFailed);
    EXPECT_EQ(parser.error().http_status, test_case.http_status);
    EXPECT_FALSE(parser.error().message.empty());
    EXPECT_EQ(parser.request().target, test_case.http_status == 413 ? "/" : "");
  }
}

TEST(RequestParserTest, DoesNotGatherAChunkSizeThatNeverEnds) {
  RequestParser parser({}, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;");
  for (int i = 0; i < 100 && parser.state() != State::kFailed; ++i)
    parser.Feed(std::string(1000, 'a'));
  EXPECT_EQ(parser.state(), State::kFailed);
  EXPECT_EQ(parser.error().http_status, 400);
}

}  // namespace
}  // namespace forge::gateway
