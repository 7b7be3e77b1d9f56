#include "engine/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/engine/text/vocabulary_builder.h"

namespace forge {
namespace {

using ::testing::HasSubstr;
using testing::StringValue;
using testing::VocabularyBuilder;

constexpr char kChatMl[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' "
    "}}{% endif %}";
constexpr char kSmolLm2[] =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
    "'<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
    "Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\n' }}{% endif %}";
constexpr char kLlama2[] =
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set "
    "system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set "
    "system_message = false %}{% endif %}{% for message in loop_messages %}{% if "
    "(message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation "
    "roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 "
    "and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + "
    "'\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% "
    "endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' "
    "[/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + "
    "eos_token }}{% endif %}{% endfor %}";
constexpr char kMistralV1[] =
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != "
    "(loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate "
    "user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ "
    "'[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ "
    "message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles "
    "are supported!') }}{% endif %}{% endfor %}";
constexpr char kZephyr[] =
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + "
    "message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ "
    "'<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' "
    "%}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last "
    "and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}";
constexpr char kLlama3[] =
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif "
    "%}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";

const ChatMessage kSystem = {"system", "Be brief. "};
const ChatMessage kUser = {"user", " Hi\n"};
const ChatMessage kAnswer = {"assistant", "Hello!"};
const ChatMessage kSecond = {"user", "2+2?"};

Result<ChatTemplate> Create(const std::string& source) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  builder.Set("tokenizer.chat_template", StringValue(source));
  return ChatTemplate::Create(builder.Build());
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// The expected prompts are what Jinja 3.1 made of the same templates.
TEST(ChatTemplateTest, RendersAsJinjaDoes) {
  struct Case {
    std::string source;
    std::string name;
    std::vector<ChatMessage> messages;
    bool add_generation_prompt;
    std::string prompt;
  };
  const Case cases[] = {
      {kLlama2,
       "llama2",
       {kSystem, kUser, kAnswer, kSecond},
       true,
       "<s>[INST] <<SYS>>\nBe brief. \n<</SYS>>\n\n Hi [/INST] Hello! </s><s>[INST] 2+2? [/INST]"},
      {kLlama2, "llama2", {kUser, kAnswer}, false, "<s>[INST] Hi [/INST] Hello! </s>"},
      {kMistralV1,
       "mistral-v1",
       {kUser, kAnswer, kSecond},
       true,
       "<s>[INST]  Hi\n [/INST]Hello!</s>[INST] 2+2? [/INST]"},
      {Replaced(kMistralV1, "+ eos_token}}", "+ eos_token + ' ' }}"),
       "mistral-v1",
       {kUser, kAnswer, kSecond},
       true,
       "<s>[INST]  Hi\n [/INST]Hello!</s> [INST] 2+2? [/INST]"},
      {kZephyr,
       "zephyr",
       {kSystem, kUser, kAnswer, kSecond},
       true,
       "<|system|>\nBe brief. </s>\n<|user|>\n Hi\n</s>\n<|assistant|>\nHello!</s>\n<|user|>\n"
       "2+2?</s>\n<|assistant|>\n"},
      {kZephyr,
       "zephyr",
       {kUser, kAnswer},
       false,
       "<|user|>\n Hi\n</s>\n<|assistant|>\nHello!</s>\n"},
      {kLlama3,
       "llama3",
       {kSystem, kUser, kAnswer, kSecond},
       true,
       "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
       "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello!"
       "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|><|start_header_id|>"
       "assistant<|end_header_id|>\n\n"},
      {kSmolLm2,
       "chatml",
       {kUser},
       true,
       "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
       "<|im_end|>\n<|im_start|>user\n Hi\n<|im_end|>\n<|im_start|>assistant\n"},
      {kSmolLm2,
       "chatml",
       {kSystem, kUser},
       true,
       "<|im_start|>system\nBe brief. <|im_end|>\n<|im_start|>user\n Hi\n<|im_end|>\n"
       "<|im_start|>assistant\n"},
      {kChatMl, "chatml", {kUser}, false, "<|im_start|>user\n Hi\n<|im_end|>\n"},
      {std::string("{{ bos_token }}") + kChatMl,
       "chatml",
       {kSecond},
       true,
       "<s><|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"},
  };
  for (const Case& expected : cases) {
    SCOPED_TRACE(expected.name);
    const Result<ChatTemplate> chat_template = Create(expected.source);
    ASSERT_TRUE(chat_template.ok()) << chat_template.status().ToString();
    EXPECT_EQ(chat_template->name(), expected.name);
    const Result<std::string> prompt =
        chat_template->Render(expected.messages, expected.add_generation_prompt);
    ASSERT_TRUE(prompt.ok()) << prompt.status().ToString();
    EXPECT_EQ(*prompt, expected.prompt);
  }
}

TEST(ChatTemplateTest, ContinuesWhereARenderedAnswerEnds) {
  const std::string sources[] = {kChatMl, kSmolLm2, kZephyr, kLlama3, kMistralV1};
  for (const std::string& source : sources) {
    const Result<ChatTemplate> chat_template = Create(source);
    ASSERT_TRUE(chat_template.ok());
    SCOPED_TRACE(chat_template->name());
    const std::string first = chat_template->Render({kUser}, true).value();
    const std::string continuation = chat_template->RenderContinuation({kSecond}, false).value();
    EXPECT_EQ(chat_template->Render({kUser, kAnswer, kSecond}, true).value(),
              first + kAnswer.content + continuation);
  }
  // Llama 2 writes a space on either side of an answer; its models generate the first themselves.
  const ChatTemplate llama2 = Create(kLlama2).value();
  EXPECT_EQ(llama2.Render({kUser, kAnswer, kSecond}, true).value(),
            llama2.Render({kUser}, true).value() + " " + kAnswer.content +
                llama2.RenderContinuation({kSecond}, false).value());
}

TEST(ChatTemplateTest, ClosesATurnOnlyOnce) {
  const auto continuation = [](const char* source, bool turn_closed) {
    return Create(source).value().RenderContinuation({kSecond}, turn_closed).value();
  };
  EXPECT_EQ(continuation(kChatMl, false), "<|im_end|>" + continuation(kChatMl, true));
  EXPECT_EQ(continuation(kChatMl, true),
            "\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(continuation(kZephyr, true), "\n<|user|>\n2+2?</s>\n<|assistant|>\n");
  EXPECT_EQ(continuation(kLlama2, true), "<s>[INST] 2+2? [/INST]");
  EXPECT_EQ(continuation(kMistralV1, false), "</s>[INST] 2+2? [/INST]");
}

TEST(ChatTemplateTest, RefusesWhatTheTemplateCannotExpress) {
  const auto refusal = [](const char* source, const std::vector<ChatMessage>& messages) {
    const Status status = Create(source).value().Render(messages, true).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(kChatMl, {}), HasSubstr("no message"));
  EXPECT_THAT(refusal(kChatMl, {{"tool", "18 C"}}), HasSubstr("role \"tool\""));
  EXPECT_THAT(refusal(kLlama2, {kUser, kSecond}), HasSubstr("message 1"));
  EXPECT_THAT(refusal(kLlama2, {kSystem}), HasSubstr("message 0"));
  EXPECT_THAT(refusal(kLlama2, {kUser, kSystem}), HasSubstr("role \"system\""));
  EXPECT_THAT(refusal(kMistralV1, {kSystem, kUser}), HasSubstr("no system message"));
  EXPECT_EQ(Create(kLlama2).value().RenderContinuation({kSystem, kUser}, true).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Create(kChatMl).value().RenderContinuation({}, true).status().code(),
            StatusCode::kInvalidArgument);
}

// A template that looks like a built-in one but does something else gets no prompt at all.
TEST(ChatTemplateTest, RefusesTemplatesThatDoSomethingElse) {
  const std::string sources[] = {
      "",
      "{{ messages }}",
      "{{ unclosed",
      "{% for i in range(1000000000) %}x{% endfor %}",
      Replaced(kChatMl, "message['content']", "message['content'] | trim"),
      Replaced(kChatMl, "{% endfor %}", "\n{% endfor %}"),
      Replaced(kChatMl, "{% endfor %}", "{{ eos_token }}{% endfor %}"),
      Replaced(kChatMl, "{% for message in messages %}",
               "{% for message in messages %}{{ bos_token }}"),
      Replaced(kChatMl, "{% if add_generation_prompt %}", ""),
      Replaced(kLlama3, "| trim", ""),
      Replaced(kZephyr, "eos_token }}\n", "eos_token -}}\n"),
      Replaced(kMistralV1, "' [/INST]'", "'[/INST]'"),
      std::string(256 * 1024, ' ') + kChatMl,
  };
  for (const std::string& source : sources) {
    const Result<ChatTemplate> chat_template = Create(source);
    ASSERT_FALSE(chat_template.ok()) << source.substr(0, 200);
    EXPECT_EQ(chat_template.status().code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(chat_template.status().reason(), "CHAT_TEMPLATE_UNSUPPORTED");
    EXPECT_THAT(std::string(chat_template.status().message()), HasSubstr("token ids"));
  }
}

TEST(ChatTemplateTest, RefusesAFileWithoutTemplate) {
  const Status status = ChatTemplate::Create(VocabularyBuilder::SentencePiece().Build()).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.reason(), "CHAT_TEMPLATE_UNSUPPORTED");
}

TEST(ChatTemplateTest, RefusesATemplateOfTheWrongType) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  builder.Set("tokenizer.chat_template", testing::Uint32Value(1));
  EXPECT_EQ(ChatTemplate::Create(builder.Build()).status().code(), StatusCode::kInvalidArgument);
}

TEST(ChatTemplateTest, KnowsTheDate) {
  EXPECT_TRUE(ChatTemplate::LocalToday().ok());
  EXPECT_GE(ChatTemplate::LocalToday().year(), std::chrono::year(2024));
}

}  // namespace
}  // namespace forge
