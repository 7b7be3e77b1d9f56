// Bytes of a connection to forge-gateway: the HTTP parser, the checks of headers, the routes and
// the translation of bodies must refuse or take whatever comes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/access.h"
#include "gateway/endpoints/endpoints.h"
#include "gateway/http/request_parser.h"
#include "gateway/translate/anthropic_request.h"
#include "gateway/translate/chat_request.h"
#include "gateway/translate/completion_request.h"
#include "gateway/translate/embedding_request.h"
#include "gateway/translate/responses_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace forge::gateway;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  RequestParser parser({.header_bytes = 4096, .body_bytes = 1 << 16}, "");
  const size_t cut = size == 0 ? 0 : data[size - 1] % size;
  parser.Feed(bytes.substr(0, cut));
  parser.Feed(bytes.substr(cut));
  const Access access({"http://localhost:3000"}, {"key"});
  for (const auto& refused :
       {access.CheckSender(parser.request()), access.CheckKey(parser.request())}) {
    if (refused) ToJson(*refused, ApiDialect::kAnthropic);
  }
  FindRoute(parser.request());
  const forge::Result<Json> body = ParseBody(parser.request().body);
  if (!body.ok()) {
    ToJson(ErrorOf(body.status()));
    return 0;
  }
  for (const forge::Status& status :
       {ReadChatRequest(*body).status(), ReadCompletionRequest(*body).status(),
        ReadEmbeddingRequest(*body).status(), ReadAnthropicRequest(*body).status(),
        ReadCountRequest(*body).status(), ReadResponsesRequest(*body).status()}) {
    if (!status.ok()) ToJson(ErrorOf(status));
  }
  return 0;
}
