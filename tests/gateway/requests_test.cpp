// Completions, embeddings, and what clients really send.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "gateway/endpoints/endpoints.h"
#include "gateway/translate/anthropic_request.h"
#include "gateway/translate/chat_request.h"
#include "gateway/translate/completion_request.h"
#include "gateway/translate/embedding_request.h"
#include "gateway/translate/responses_request.h"
#include "tests/gateway/refused_field.h"

namespace forge::gateway {
namespace {

Result<CompletionRequest> ReadCompletion(const std::string& fields) {
  return ReadCompletionRequest(*ParseBody(R"({"model": "demo", )" + fields + "}"));
}

Result<EmbeddingRequest> ReadEmbedding(const std::string& fields) {
  return ReadEmbeddingRequest(*ParseBody(R"({"model": "demo", )" + fields + "}"));
}

TEST(CompletionRequestTest, TakesATextOrTokens) {
  const auto text = ReadCompletion(R"("prompt": "<|fim_prefix|>a")");
  EXPECT_EQ(text->turn.text().text(), "<|fim_prefix|>a");
  EXPECT_TRUE(text->turn.text().parse_special());
  EXPECT_EQ(ReadCompletion(R"("prompt": ["a"])")->turn.text().text(), "a");
  EXPECT_EQ(ReadCompletion(R"("prompt": [5, 6])")->turn.tokens().ids_size(), 2);
  EXPECT_EQ(ReadCompletion(R"("prompt": [[5, 6]])")->turn.tokens().ids(1), 6);
}

TEST(CompletionRequestTest, RefusesWhatItCannotDo) {
  for (const char* prompt : {R"("prompt": ["a", "b"])", R"("prompt": 5)", R"("prompt": [])",
                             R"("prompt": [-1])", R"("prompt": [1, "a"])", R"("stream": true)"})
    EXPECT_EQ(RefusedField(ReadCompletion(prompt)), "prompt") << prompt;
  for (const char* field : {"echo", "suffix", "best_of", "n", "logprobs"}) {
    const std::string value = std::string_view(field) == "suffix" ? "\"x\"" : "30";
    EXPECT_EQ(
        RefusedField(ReadCompletion(R"("prompt": "a", ")" + std::string(field) + "\": " + value)),
        field);
  }
}

TEST(CompletionRequestTest, AsksForLogprobsByTheirNumber) {
  EXPECT_FALSE(ReadCompletion(R"("prompt": "a")")->logprobs);
  const auto request = ReadCompletion(R"("prompt": "a", "logprobs": 3)");
  EXPECT_TRUE(request->logprobs);
  EXPECT_EQ(request->turn.top_logprobs(), 3u);
}

TEST(EmbeddingRequestTest, TakesTextsAndTokens) {
  EXPECT_EQ(ReadEmbedding(R"("input": "a")")->embed.inputs(0).text().text(), "a");
  EXPECT_EQ(ReadEmbedding(R"("input": ["a", "b"])")->embed.inputs(1).text().text(), "b");
  EXPECT_EQ(ReadEmbedding(R"("input": [1, 2])")->embed.inputs(0).tokens().ids_size(), 2);
  EXPECT_EQ(ReadEmbedding(R"("input": [[1], [2, 3]])")->embed.inputs(1).tokens().ids_size(), 2);
  EXPECT_TRUE(ReadEmbedding(R"("input": "a", "encoding_format": "base64")")->is_base64);
}

TEST(EmbeddingRequestTest, RefusesWhatItCannotDo) {
  EXPECT_EQ(RefusedField(ReadEmbedding(R"("input": "a", "dimensions": 64)")), "dimensions");
  EXPECT_EQ(RefusedField(ReadEmbedding(R"("input": "a", "encoding_format": "int8")")),
            "encoding_format");
  EXPECT_EQ(RefusedField(ReadEmbedding(R"("x": 1)")), "input");
  EXPECT_EQ(RefusedField(ReadEmbedding(R"("input": [])")), "input");
  EXPECT_EQ(RefusedField(ReadEmbedding(R"("input": ["a", {}])")), "input[1]");
}

Status Translate(std::string path, const Json& body) {
  path = path.substr(0, path.find('?'));
  if (path == "/v1/responses") return ReadResponsesRequest(body).status();
  if (path == "/v1/messages") return ReadAnthropicRequest(body).status();
  if (path == "/v1/messages/count_tokens") return ReadCountRequest(body).status();
  if (path == "/v1/chat/completions") return ReadChatRequest(body).status();
  if (path == "/v1/completions") return ReadCompletionRequest(body).status();
  if (path == "/v1/embeddings") return ReadEmbeddingRequest(body).status();
  return NotFound(path);
}

TEST(ClientRequestsTest, AreAllUnderstood) {
  int n_requests = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(FORGE_SOURCE_DIR "/tests/gateway/requests")) {
    if (entry.path().extension() != ".json") continue;
    SCOPED_TRACE(entry.path());
    std::ifstream file(entry.path());
    const Json recorded = Json::parse(file);
    const Status status = Translate(recorded["path"], *ParseBody(recorded["body"].dump()));
    EXPECT_TRUE(status.ok()) << status.message();
    ++n_requests;
  }
  EXPECT_GE(n_requests, 13);
}

TEST(RouteTest, FindsEndpointsAndTellsWhatThereIs) {
  const auto find = [](const char* method, const char* target) {
    HttpRequest request;
    request.method = method;
    request.target = target;
    return FindRoute(request);
  };
  EXPECT_EQ(find("GET", "/v1/models").endpoint->answer, &AnswerModels);
  EXPECT_EQ(find("GET", "/v1/models/?limit=1").endpoint->answer, &AnswerModels);
  EXPECT_EQ(find("GET", "/v1/models/qwen%2Fqwen2.5").rest, "qwen/qwen2.5");
  EXPECT_EQ(find("GET", "/v1/models/qwen/qwen2.5?x").rest, "qwen/qwen2.5");
  EXPECT_EQ(find("POST", "/v1/chat/completions").endpoint->answer, &AnswerChat);
  EXPECT_EQ(find("POST", "/v1/messages?beta=true").endpoint->answer, &AnswerMessages);
  EXPECT_EQ(find("POST", "/v1/messages/count_tokens").endpoint->answer, &AnswerCountTokens);
  EXPECT_EQ(find("POST", "/v1/messages/batches").error.http_status, 404);
  EXPECT_EQ(find("GET", "/v1/chat/completions").error.http_status, 405);
  EXPECT_STREQ(find("GET", "/v1/chat/completions").allowed_method, "POST");
  EXPECT_EQ(find("POST", "/v1/responses").endpoint->answer, &AnswerResponses);
  EXPECT_EQ(find("POST", "/v1/audio").error.http_status, 404);
  EXPECT_NE(find("POST", "/v1/audio").error.message.find("/v1/chat/completions"),
            std::string::npos);
  EXPECT_EQ(find("GET", "/v1/models/%zz").error.http_status, 400);
  EXPECT_EQ(find("GET", "/v1/models/%2").error.http_status, 400);
  EXPECT_EQ(find("GET", "").error.http_status, 404);
}

}  // namespace
}  // namespace forge::gateway
