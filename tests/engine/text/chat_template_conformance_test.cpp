// Published chat templates: what is accepted renders byte for byte as Jinja does.

#include <gtest/gtest.h>

#include <fstream>
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

std::chrono::year_month_day DayOfTheReference() {
  return std::chrono::year(2025) / std::chrono::January / 2;
}

nlohmann::json ReadReference(const std::string& name) {
  std::ifstream stream(testing::ConformanceDir() / "chat_templates" / (name + ".json"));
  return nlohmann::json::parse(stream);
}

Result<ChatTemplate> Create(const nlohmann::json& reference) {
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
  return ChatTemplate::Create(builder.Build(), DayOfTheReference);
}

std::vector<ChatMessage> MessagesOf(const nlohmann::json& entry) {
  std::vector<ChatMessage> messages;
  for (const nlohmann::json& message : entry["messages"])
    messages.push_back({message["role"], message["content"]});
  return messages;
}

class ChatTemplateConformanceTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { FORGE_NEEDS_CONFORMANCE_DATA(); }
};

TEST_P(ChatTemplateConformanceTest, RendersConversationsWithoutToolsByteForByte) {
  const nlohmann::json reference = ReadReference(GetParam());
  const Result<ChatTemplate> chat_template = Create(reference);
  ASSERT_TRUE(chat_template.ok()) << chat_template.status().ToString();
  int n_rendered = 0;
  for (const nlohmann::json& entry : reference["cases"]) {
    if (entry.contains("tools")) continue;
    SCOPED_TRACE(entry["messages"].dump());
    const Result<std::string> prompt =
        chat_template->Render(MessagesOf(entry), entry["add_generation_prompt"].get<bool>());
    EXPECT_EQ(prompt.ok(), entry.contains("expect"));
    if (!prompt.ok()) {
      EXPECT_EQ(prompt.status().code(), StatusCode::kInvalidArgument);
    } else {
      EXPECT_EQ(*prompt, entry["expect"].get<std::string>());
    }
    ++n_rendered;
  }
  EXPECT_EQ(n_rendered, 6);
}

// The first turn, the answer, and the continuation add up to the whole conversation.
TEST_P(ChatTemplateConformanceTest, ContinuesByteForByte) {
  const ChatTemplate chat_template = Create(ReadReference(GetParam())).value();
  const ChatMessage user = {"user", "Hi"};
  const ChatMessage answer = {"assistant", "Hello!"};
  const ChatMessage second = {"user", "2+2?"};
  EXPECT_EQ(chat_template.Render({user, answer, second}, true).value(),
            chat_template.Render({user}, true).value() + answer.content +
                chat_template.RenderContinuation({second}, false).value());
}

INSTANTIATE_TEST_SUITE_P(Accepted, ChatTemplateConformanceTest,
                         ::testing::Values("chatml", "qwen2_5", "llama3_2", "mistral_nemo"),
                         [](const auto& p) { return std::string(p.param); });

TEST(ChatTemplateRefusalConformanceTest, RefusesTemplatesThatNoBuiltinRenders) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  for (const char* name : {"qwen3", "gemma3"}) {
    const Result<ChatTemplate> chat_template = Create(ReadReference(name));
    ASSERT_FALSE(chat_template.ok()) << name;
    EXPECT_EQ(chat_template.status().reason(), "CHAT_TEMPLATE_UNSUPPORTED");
  }
}

}  // namespace
}  // namespace forge
