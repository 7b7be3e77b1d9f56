// Published chat templates render byte for byte as Jinja2 does, and refuse what it refuses.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/text/chat_template.h"
#include "tests/engine/text/vocabulary_builder.h"
#include "tests/support/conformance.h"

namespace forge {
namespace {

using testing::Int32sValue;
using testing::StringsValue;
using testing::StringValue;
using testing::Uint32Value;
using testing::VocabularyBuilder;
using Json = nlohmann::ordered_json;

std::tm TimeOfTheReference() {
  std::tm time{};  // 2025-01-02
  time.tm_year = 125;
  time.tm_mday = 2;
  time.tm_wday = 4;
  time.tm_yday = 1;
  return time;
}

Result<ChatTemplate> Create(const Json& reference) {
  EXPECT_EQ(reference["now"], "2025-01-02");
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  builder
      .Set("tokenizer.ggml.tokens",
           StringsValue({"<unk>", reference["bos_token"].get<std::string>(),
                         reference["eos_token"].get<std::string>()}))
      .Set("tokenizer.ggml.token_type", Int32sValue({2, 3, 3}))
      .Set("tokenizer.ggml.bos_token_id", Uint32Value(1))
      .Set("tokenizer.ggml.eos_token_id", Uint32Value(2))
      .Set("tokenizer.chat_template", StringValue(reference["template"].get<std::string>()));
  return ChatTemplate::Create(builder.Build(), TimeOfTheReference);
}

ChatMessage MessageOf(const Json& entry) {
  ChatMessage message{.role = entry["role"], .content = entry["content"]};
  message.tool_call_id = entry.value("tool_call_id", "");
  message.name = entry.value("name", "");
  if (!entry.contains("tool_calls")) return message;
  for (const Json& call : entry["tool_calls"])
    message.tool_calls.push_back(
        {call.value("id", ""), call["function"]["name"], call["function"]["arguments"].dump()});
  return message;
}

Conversation ConversationOf(const Json& entry) {
  Conversation conversation;
  for (const Json& message : entry["messages"]) conversation.messages.push_back(MessageOf(message));
  if (!entry.contains("tools")) return conversation;
  for (const Json& tool : entry["tools"])
    conversation.tools.push_back({tool["function"]["name"], tool["function"]["description"],
                                  tool["function"]["parameters"].dump()});
  return conversation;
}

TEST(ChatTemplateConformanceTest, RendersEveryConversationByteForByte) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  size_t n_passed = 0;
  size_t n_cases = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(testing::ConformanceDir() / "chat_templates")) {
    if (file.path().extension() != ".json") continue;
    std::ifstream stream(file.path());
    const Json reference = Json::parse(stream);
    const Result<ChatTemplate> chat_template = Create(reference);
    ASSERT_TRUE(chat_template.ok()) << chat_template.status().ToString();
    for (const Json& entry : reference["cases"]) {
      SCOPED_TRACE(file.path().stem().string() + ": " + entry["messages"].dump());
      ++n_cases;
      const Result<jinja::Text> prompt =
          chat_template->Render(ConversationOf(entry), entry["add_generation_prompt"].get<bool>());
      if (entry.contains("error")) {
        EXPECT_EQ(prompt.status().reason(), "CHAT_TEMPLATE_REFUSED");
        const bool is_same = prompt.status().message().find(entry["error"].get<std::string>()) !=
                             std::string_view::npos;
        EXPECT_TRUE(is_same) << prompt.status().ToString();
        n_passed += is_same ? 1 : 0;
        continue;
      }
      ASSERT_TRUE(prompt.ok()) << prompt.status().ToString();
      EXPECT_EQ(prompt->bytes, entry["expect"].get<std::string>());
      n_passed += prompt->bytes == entry["expect"].get<std::string>() ? 1 : 0;
    }
  }
  std::cout << "chat_templates: " << n_passed << " of " << n_cases << " passed\n";
  EXPECT_GE(n_cases, 48u);
}

}  // namespace
}  // namespace forge
