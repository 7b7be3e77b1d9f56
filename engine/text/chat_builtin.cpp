#include "engine/text/chat_builtin.h"

#include <algorithm>
#include <array>

#include "engine/text/vocabulary_checks.h"

namespace forge {
namespace {

constexpr ChatBuiltin kChatMl = {
    "chatml",
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"};

constexpr ChatBuiltin kLlama3 = {
    "llama3",
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content|trim +"
    " '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
    "{% endif %}"};

// A system message opens the first user message.
constexpr ChatBuiltin kLlama2 = {
    "llama2",
    "{% set ns = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message.role == 'system' %}"
    "{% set ns.system = '<<SYS>>\\n' + message.content|trim + '\\n<</SYS>>\\n\\n' %}"
    "{% elif message.role == 'assistant' %}"
    "{{ ' ' + message.content|trim + ' ' + eos_token }}"
    "{% else %}"
    "{{ bos_token + '[INST] ' + ns.system + message.content|trim + ' [/INST]' }}"
    "{% set ns.system = '' %}"
    "{% endif %}"
    "{% endfor %}"};

constexpr ChatBuiltin kMistral = {"mistral",
                                  "{{ bos_token }}"
                                  "{% set ns = namespace(system='') %}"
                                  "{% for message in messages %}"
                                  "{% if message.role == 'system' %}"
                                  "{% set ns.system = message.content|trim + '\\n\\n' %}"
                                  "{% elif message.role == 'assistant' %}"
                                  "{{ message.content|trim + eos_token }}"
                                  "{% else %}"
                                  "{{ '[INST]' + ns.system + message.content|trim + '[/INST]' }}"
                                  "{% set ns.system = '' %}"
                                  "{% endif %}"
                                  "{% endfor %}"};

constexpr ChatBuiltin kGemma = {
    "gemma",
    "{{ bos_token }}"
    "{% set ns = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message.role == 'system' %}"
    "{% set ns.system = message.content|trim + '\\n\\n' %}"
    "{% else %}"
    "{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' +"
    " ns.system + message.content|trim + '<end_of_turn>\\n' }}"
    "{% set ns.system = '' %}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"};

constexpr ChatBuiltin kPhi3 = {
    "phi3",
    "{% for message in messages %}"
    "{{ '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"};

constexpr ChatBuiltin kGlm4 = {"glm4",
                               "{{ '[gMASK]<sop>' }}"
                               "{% for message in messages %}"
                               "{{ '<|' + message.role + '|>\\n' + message.content }}"
                               "{% endfor %}"
                               "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"};

constexpr ChatBuiltin kGptOss = {
    "gpt-oss",
    "{% for message in messages %}"
    "{{ '<|start|>' + message.role + ('<|channel|>final' if message.role == 'assistant' else '') +"
    " '<|message|>' + message.content + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"};

constexpr ChatBuiltin kGranite = {
    "granite",
    "{% for message in messages %}"
    "{{ '<|start_of_role|>' + message.role + '<|end_of_role|>' + message.content +"
    " '<|end_of_text|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"};

struct Choice {
  std::string_view token;   // that the vocabulary has, or
  std::string_view family;  // the start of general.architecture
  const ChatBuiltin* builtin;
};

// The first that fits is taken; tokens before families.
constexpr std::array<Choice, 18> kChoices = {{
    {"<|im_start|>", "", &kChatMl},
    {"<|start_header_id|>", "", &kLlama3},
    {"<start_of_turn>", "", &kGemma},
    {"<|start_of_role|>", "", &kGranite},
    {"<|channel|>", "", &kGptOss},
    {"[gMASK]", "", &kGlm4},
    {"<|assistant|>", "", &kPhi3},
    {"[INST]", "", &kMistral},
    {"", "qwen", &kChatMl},
    {"", "gemma", &kGemma},
    {"", "phi3", &kPhi3},
    {"", "gpt-oss", &kGptOss},
    {"", "granite", &kGranite},
    {"", "glm", &kGlm4},
    {"", "chatglm", &kGlm4},
    {"", "mistral", &kMistral},
    {"", "mixtral", &kMistral},
    {"", "llama", &kLlama2},
}};

}  // namespace

Result<const ChatBuiltin*> ChooseChatBuiltin(const GgufMetadata& metadata) {
  FORGE_ASSIGN_OR_RETURN(const GgufStrings* const tokens, metadata.StringArray(kTokensKey));
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> family,
                         metadata.String("general.architecture"));
  std::array<bool, kChoices.size()> has_token{};
  for (size_t id = 0; tokens != nullptr && id < tokens->size(); ++id)
    for (size_t i = 0; i < kChoices.size(); ++i)
      if (!kChoices[i].token.empty() && (*tokens)[id] == kChoices[i].token) has_token[i] = true;
  for (size_t i = 0; i < kChoices.size(); ++i) {
    const bool is_family =
        !kChoices[i].family.empty() && family && family->starts_with(kChoices[i].family);
    if (has_token[i] || is_family) return kChoices[i].builtin;
  }
  return &kChatMl;
}

}  // namespace forge
