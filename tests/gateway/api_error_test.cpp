#include "gateway/api_error.h"

#include <google/protobuf/util/time_util.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace forge::gateway {
namespace {

constexpr char kAddress[] = "unix:///run/forge/forge.sock";

// As daemon/rpc/status_map.cpp makes them.
grpc::Status FromDaemon(grpc::StatusCode code, const std::string& reason,
                        const std::string& field = {}, int64_t retry_ms = 0) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  details.add_details()->PackFrom(info);
  if (!field.empty()) {
    google::rpc::BadRequest request;
    request.add_field_violations()->set_field(field);
    details.add_details()->PackFrom(request);
  }
  if (retry_ms > 0) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() =
        google::protobuf::util::TimeUtil::MillisecondsToDuration(retry_ms);
    details.add_details()->PackFrom(retry);
  }
  return grpc::Status(code, "what the daemon said", details.SerializeAsString());
}

TEST(ApiErrorTest, GivesEachReasonItsStatus) {
  using enum grpc::StatusCode;
  const struct {
    grpc::StatusCode code;
    const char* reason;
    int http_status;
  } kCases[] = {
      {INVALID_ARGUMENT, "INVALID_REQUEST", 400},
      {INVALID_ARGUMENT, "SCHEMA_UNSUPPORTED", 400},
      {OUT_OF_RANGE, "CONTEXT_LENGTH_EXCEEDED", 400},
      {FAILED_PRECONDITION, "CHAT_TOOLS_UNSUPPORTED", 400},
      {RESOURCE_EXHAUSTED, "GRAMMAR_TOO_COMPLEX", 400},
      {UNIMPLEMENTED, "ARCHITECTURE_UNSUPPORTED", 400},
      {NOT_FOUND, "MODEL_NOT_FOUND", 404},
      {RESOURCE_EXHAUSTED, "GPU_BUDGET_EXCEEDED", 429},
      {RESOURCE_EXHAUSTED, "QUEUE_FULL", 429},
      {RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", 429},
      {FAILED_PRECONDITION, "PINNED_MODELS_IN_THE_WAY", 429},
      {UNAVAILABLE, "MODEL_BUSY", 503},
      {UNAVAILABLE, "MODEL_COOLING_DOWN", 503},
      {UNAVAILABLE, "SHUTTING_DOWN", 503},
      {UNAVAILABLE, "DEVICE_LOST", 503},
      {FAILED_PRECONDITION, "MODEL_NOT_LOADED", 503},
      {CANCELLED, "MODEL_NOT_LOADED", 503},
      {CANCELLED, "LOAD_CANCELLED", 503},
      {RESOURCE_EXHAUSTED, "HOST_MEMORY_EXHAUSTED", 503},
      {DEADLINE_EXCEEDED, "TURN_TOO_SLOW", 500},
      {FAILED_PRECONDITION, "LOAD_CRASHED", 500},
      {DATA_LOSS, "MODEL_FILE_TRUNCATED", 500},
      {INTERNAL, "INTERNAL", 500},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.reason);
    const ApiError error = ErrorOf(FromDaemon(test_case.code, test_case.reason), kAddress);
    EXPECT_EQ(error.http_status, test_case.http_status);
    EXPECT_EQ(error.message, "what the daemon said");
    const bool may_retry = error.http_status == 429 || error.http_status == 503;
    EXPECT_EQ(error.retry_after.has_value(), may_retry);
  }
}

TEST(ApiErrorTest, SpeaksOfTheReasonAsOpenAiDoes) {
  EXPECT_EQ(ErrorOf(FromDaemon(grpc::NOT_FOUND, "MODEL_NOT_FOUND"), kAddress).code,
            "model_not_found");
  EXPECT_EQ(ErrorOf(FromDaemon(grpc::OUT_OF_RANGE, "CONTEXT_LENGTH_EXCEEDED"), kAddress).code,
            "context_length_exceeded");
}

TEST(ApiErrorTest, NamesTheFieldOfTheRequest) {
  const struct {
    const char* ours;
    const char* theirs;
  } kCases[] = {
      {"turn.chat.messages[2].role", "messages[2].role"},
      {"turn.chat.tools", "tools"},
      {"chat.messages", "messages"},
      {"temperature", "temperature"},
      {"turn.sampling.top_p", "top_p"},
      {"json_schema", "response_format"},
      {"stop_strings", "stop"},
      {"stop_tokens", "stop_token_ids"},
      {"penalty_window", "repeat_last_n"},
      {"logit_bias.token", "logit_bias"},
      {"turn.tokens.ids", "prompt"},
      {"inputs[1].text.text", "input[1]"},
      {"model", "model"},
  };
  for (const auto& test_case : kCases) {
    const grpc::Status status =
        FromDaemon(grpc::INVALID_ARGUMENT, "INVALID_REQUEST", test_case.ours);
    EXPECT_EQ(ErrorOf(status, kAddress).param, test_case.theirs);
  }
}

TEST(ApiErrorTest, TakesTheDaemonsTimeToTryAgainInWholeSeconds) {
  const auto retry = [](int64_t ms) {
    const grpc::Status status = FromDaemon(grpc::UNAVAILABLE, "MODEL_COOLING_DOWN", "", ms);
    return ErrorOf(status, kAddress).retry_after->count();
  };
  EXPECT_EQ(retry(1), 1);
  EXPECT_EQ(retry(1001), 2);
  EXPECT_EQ(retry(60000), 60);
}

TEST(ApiErrorTest, TellsThatNoDaemonAnswersAndHowToNameAnother) {
  const ApiError error =
      ErrorOf(grpc::Status(grpc::UNAVAILABLE, "failed to connect to all addresses"), kAddress);
  EXPECT_EQ(error.http_status, 503);
  EXPECT_EQ(error.code, "daemon_unavailable");
  EXPECT_NE(error.message.find(kAddress), std::string::npos);
  EXPECT_NE(error.message.find("--forge or FORGE_ADDRESS"), std::string::npos);
  EXPECT_EQ(error.message.find("--address"), std::string::npos);
  EXPECT_TRUE(error.retry_after.has_value());
}

TEST(ApiErrorTest, TellsAMessageThatIsTooLargeFromAFullQueue) {
  const ApiError error =
      ErrorOf(grpc::Status(grpc::RESOURCE_EXHAUSTED, "Received message larger than max (5 vs. 4)"),
              kAddress);
  EXPECT_EQ(error.http_status, 413);
  EXPECT_NE(error.message.find("limits.max_message"), std::string::npos);
}

TEST(ApiErrorTest, IsWrittenWithAllFourFields) {
  const auto json = [](const ApiError& error) { return nlohmann::json::parse(ToJson(error)); };
  const auto bad = json(ErrorOf(BadField("n", "is 2, but must be 1")));
  EXPECT_EQ(bad, nlohmann::json::parse(R"({"error": {"message": "n is 2, but must be 1",
      "type": "invalid_request_error", "param": "n", "code": "invalid_request"}})"));
  ApiError no_more;
  no_more.message = "no";
  const auto plain = json(no_more);
  EXPECT_EQ(
      plain,
      nlohmann::json::parse(
          R"({"error": {"message": "no", "type": "server_error", "param": null, "code": null}})"));
}

TEST(ApiErrorTest, IsWrittenForAnthropicsClients) {
  const struct {
    int http_status;
    const char* type;
  } kCases[] = {
      {400, "invalid_request_error"}, {401, "authentication_error"},
      {403, "permission_error"},      {404, "not_found_error"},
      {405, "invalid_request_error"}, {413, "request_too_large"},
      {429, "rate_limit_error"},      {500, "api_error"},
      {503, "overloaded_error"},
  };
  for (const auto& test_case : kCases) {
    ApiError error;
    error.http_status = test_case.http_status;
    error.message = "no";
    error.param = "model";
    error.code = "some_code";
    EXPECT_EQ(ToJson(error, ApiDialect::kAnthropic),
              std::string(R"({"type":"error","error":{"type":")") + test_case.type +
                  R"(","message":"no"}})");
  }
}

TEST(ApiErrorTest, TellsAnthropicsClientsInTheirWordsThatAConversationIsTooLong) {
  const ApiError error =
      ErrorOf(FromDaemon(grpc::OUT_OF_RANGE, "CONTEXT_LENGTH_EXCEEDED"), kAddress);
  EXPECT_EQ(
      ToJson(error, ApiDialect::kAnthropic),
      R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: what the daemon said"}})");
}

}  // namespace
}  // namespace forge::gateway
