#include "gateway/http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <utility>

namespace forge::gateway {

namespace {

namespace http = boost::beast::http;

// Of a piece that the parser wants whole: the size of a chunk, or its trailer.
constexpr size_t kMaxPieceBytes = size_t{16} << 10;

std::string LowerCase(boost::beast::string_view text) {
  std::string lower(text.data(), text.size());
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

}  // namespace

struct RequestParser::Beast {
  http::request_parser<http::string_body> parser;
};

RequestParser::RequestParser(const Limits& limits, std::string begin)
    : limits_(limits), beast_(std::make_unique<Beast>()), pending_(std::move(begin)) {
  beast_->parser.header_limit(static_cast<uint32_t>(limits.header_bytes));
  beast_->parser.body_limit(limits.body_bytes);
}

RequestParser::~RequestParser() = default;

RequestParser::State RequestParser::Feed(std::string_view bytes) {
  auto& parser = beast_->parser;
  pending_ += bytes;
  // Some clients end a body with a line break that they did not count (RFC 9112, 2.2).
  if (state_ == State::kHeader && !parser.got_some())
    pending_.erase(0, std::min(pending_.find_first_not_of("\r\n"), pending_.size()));
  has_begun_ = has_begun_ || !pending_.empty();
  // Dropped once and not piece by piece: a body may be of very many small chunks.
  size_t n_taken = 0;
  while (n_taken < pending_.size() && (state_ == State::kHeader || state_ == State::kBody)) {
    boost::system::error_code fault;
    n_taken += parser.put(
        boost::asio::const_buffer(pending_.data() + n_taken, pending_.size() - n_taken), fault);
    const bool is_cut = fault == http::error::need_more;
    if (fault == http::error::header_limit)
      return Fail(431, "the header of the request has more than " +
                           std::to_string(limits_.header_bytes) + " bytes");
    // Found in the header already where that says how long the body is.
    if (fault == http::error::body_limit && state_ == State::kHeader) ReadHeader();
    if (fault == http::error::body_limit)
      return Fail(413, "the body of the request has more than " +
                           std::to_string(limits_.body_bytes) + " bytes");
    if (fault && !is_cut) return Fail(400, "the request is no HTTP/1.1 (" + fault.message() + ")");
    if (state_ == State::kHeader && parser.is_header_done()) ReadHeader();
    if (parser.is_done()) {
      request_.body = std::move(parser.get().body());
      state_ = State::kDone;
    }
    if (!is_cut) continue;
    if (state_ == State::kBody && pending_.size() - n_taken > kMaxPieceBytes)
      return Fail(400, "the request is no HTTP/1.1 (a chunk's size or trailer is too long)");
    break;
  }
  pending_.erase(0, n_taken);
  return state_;
}

RequestParser::State RequestParser::Fail(int http_status, const std::string& message) {
  error_.http_status = http_status;
  error_.message = message;
  return state_ = State::kFailed;
}

void RequestParser::ReadHeader() {
  const auto& header = beast_->parser.get();
  request_.method = std::string(header.method_string());
  request_.target = std::string(header.target());
  for (const auto& field : header)
    request_.headers.emplace_back(LowerCase(field.name_string()), std::string(field.value()));
  request_.is_http_1_0 = header.version() < 11;
  request_.keep_alive = beast_->parser.is_header_done() && beast_->parser.keep_alive();
  const auto expects = request_.Values("expect");
  request_.expects_continue =
      !expects.empty() && LowerCase({expects[0].data(), expects[0].size()}) == "100-continue";
  state_ = State::kBody;
}

}  // namespace forge::gateway
