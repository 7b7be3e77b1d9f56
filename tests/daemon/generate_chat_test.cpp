#include <gmock/gmock.h>

#include "tests/daemon/generate_fixture.h"

namespace forge {
namespace {

using ::testing::ElementsAre;
using testing::FakeEngine;
using testing::OpenStream;
using testing::ReadTurn;
using testing::TextTurn;

using GenerateChatTest = testing::GenerateTest;

v1::GenerateRequest ChatTurn(const std::string& content) {
  v1::GenerateRequest request;
  request.mutable_turn()->set_model("tiny");
  auto* message = request.mutable_turn()->mutable_chat()->add_messages();
  message->set_role("user");
  message->set_content(content);
  return request;
}

void AddTool(v1::GenerateRequest& request) {
  auto* tool = request.mutable_turn()->mutable_chat()->add_tools();
  tool->set_name("get_weather");
  tool->set_parameters_json("{}");
}

TEST_F(GenerateChatTest, ToolCallsComeBackStructured) {
  OpenStream open(*stub_);
  v1::GenerateRequest request = ChatTurn("Weather?");
  AddTool(request);
  open.stream->Write(request);
  const v1::GenerateResponse::Finished finished = *ReadTurn(*open.stream).finished;
  EXPECT_EQ(finished.reason(), v1::FINISH_REASON_TOOL_CALLS);
  ASSERT_EQ(finished.tool_calls_size(), 1);
  EXPECT_EQ(finished.tool_calls(0).id(), "call00001");
  EXPECT_EQ(finished.tool_calls(0).name(), "get_weather");
  EXPECT_EQ(finished.tool_calls(0).arguments_json(), R"({"city": "Paris"})");
  EXPECT_EQ(finished.kind(), v1::TEXT_KIND_CONTENT);

  // The result goes on with the conversation, and with its tools.
  v1::GenerateRequest result = ChatTurn("18 C");
  auto* message = result.mutable_turn()->mutable_chat()->mutable_messages(0);
  message->set_role("tool");
  message->set_tool_call_id("call00001");
  open.stream->Write(result);
  EXPECT_EQ(ReadTurn(*open.stream).finished->reason(), v1::FINISH_REASON_TOOL_CALLS);
  EXPECT_THAT(daemon_.engine().last_request().prompt,
              ElementsAre(FakeEngine::kContinuation, 8, 3, 4));
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
}

TEST_F(GenerateChatTest, RefusesToolsThatTheTemplateWouldLeaveOut) {
  daemon_.AddModel("toolless");
  daemon_.LoadModel("toolless");
  v1::GenerateRequest request = ChatTurn("Weather?");
  request.mutable_turn()->set_model("toolless");
  EXPECT_TRUE(StatusOf(request).ok());
  AddTool(request);
  const grpc::Status status = StatusOf(request);
  EXPECT_ERROR(status, FAILED_PRECONDITION, "CHAT_TOOLS_UNSUPPORTED");
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("'toolless'"));
}

TEST_F(GenerateChatTest, WhatIsHeldToAFormIsNeitherThoughtsNorCalls) {
  v1::GenerateRequest request = ChatTurn("As JSON!");
  AddTool(request);
  EXPECT_TRUE(StatusOf(request).ok());
  EXPECT_EQ(daemon_.engine().last_request().chat->tool_format, ToolFormat::kQwen);
  EXPECT_EQ(daemon_.engine().last_request().chat->open_thinking, "<think>");
  request.mutable_turn()->set_json_schema("{}");
  EXPECT_TRUE(StatusOf(request).ok());
  ASSERT_TRUE(daemon_.engine().last_request().chat);
  EXPECT_EQ(daemon_.engine().last_request().chat->tool_format, ToolFormat::kNone);
  EXPECT_EQ(daemon_.engine().last_request().chat->open_thinking, "");
}

TEST_F(GenerateChatTest, AChatBehindOtherTextHasItsNewMessagesOnly) {
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  ReadTurn(*open.stream);
  for (int i = 0; i < 2; ++i) {
    open.stream->Write(ChatTurn("hello"));
    ReadTurn(*open.stream);
    EXPECT_THAT(daemon_.engine().last_request().prompt, ElementsAre(FakeEngine::kContinuation, 5));
  }
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
}

TEST_F(GenerateChatTest, RefusesChatsPastTheirLimitsNamingTheField) {
  const auto field_of = [&](const v1::GenerateRequest& request) {
    const grpc::Status status = StatusOf(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    const std::string message = status.error_message();
    return message.substr(0, message.find(' '));
  };
  v1::GenerateRequest request = ChatTurn("x");
  request.mutable_turn()->mutable_chat()->mutable_messages(0)->clear_role();
  EXPECT_EQ(field_of(request), "turn.chat.messages[0].role");
  request = ChatTurn("x");
  request.mutable_turn()->mutable_chat()->mutable_messages(0)->add_tool_calls();
  EXPECT_EQ(field_of(request), "turn.chat.messages[0].tool_calls[0].name");
  request = ChatTurn("x");
  request.mutable_turn()->mutable_chat()->add_tools();
  EXPECT_EQ(field_of(request), "turn.chat.tools[0].name");
  request = ChatTurn("x");
  for (int i = 0; i < 300; ++i) AddTool(request);
  EXPECT_EQ(field_of(request), "turn.chat.tools");
  request = ChatTurn("x");
  for (int i = 0; i < 5000; ++i)
    request.mutable_turn()->mutable_chat()->add_messages()->set_role("user");
  EXPECT_EQ(field_of(request), "turn.chat.messages");
}

}  // namespace
}  // namespace forge
