#include "engine/text/chat_builtin.h"

namespace forge {
namespace {

using Builtin = ChatTemplate::Builtin;

// Templates of Qwen2.5, SmolLM2, Hermes and many others, which differ in the system message that
// they put where there is none, and in tools.
constexpr Builtin kChatMl = {
    .name = "chatml",
    .required = {"{{'<|im_start|>'+message['role']+'\\n'+message['content']+'<|im_end|>\\n'}}",
                 "ifadd_generation_prompt", "{{'<|im_start|>assistant\\n'}}"},
    .forbidden = {"think>", "strftime_now", "raise_exception", "eos_token", "|trim", ".strip(",
                  "setsystem_message", "namespace("},
    .system_prefix = "<|im_start|>system\n",
    .user_prefix = "<|im_start|>user\n",
    .assistant_prefix = "<|im_start|>assistant\n",
    .user_suffix = "<|im_end|>\n",
    .assistant_suffix = "<|im_end|>\n",
    .turn_end = "<|im_end|>",
    .generation_prompt = "<|im_start|>assistant\n",
    .may_lack_bos = true,
};

// Llama 3.1, 3.2 and 3.3.
constexpr Builtin kLlama31 = {
    .name = "llama3.1",
    .required = {"{{bos_token}}", "{{'<|start_header_id|>system<|end_header_id|>\\n\\n'}}",
                 "{{'Cutting Knowledge Date: December 2023\\n'}}"
                 "{{'Today Date: '+date_string+'\\n\\n'}}",
                 "setsystem_message=messages[0]['content']|trim",
                 "{{system_message}}{{'<|eot_id|>'}}",
                 "{{'<|start_header_id|>'+message['role']+'<|end_header_id|>\\n\\n'+"
                 "message['content']|trim+'<|eot_id|>'}}",
                 "{%ifadd_generation_prompt%}"
                 "{{'<|start_header_id|>assistant<|end_header_id|>\\n\\n'}}"},
    .system_prefix = "<|start_header_id|>system<|end_header_id|>\n\n",
    .user_prefix = "<|start_header_id|>user<|end_header_id|>\n\n",
    .assistant_prefix = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .user_suffix = "<|eot_id|>",
    .assistant_suffix = "<|eot_id|>",
    .turn_end = "<|eot_id|>",
    .generation_prompt = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .strips_content = true,
    .system = Builtin::System::kPreamble,
};

constexpr Builtin kLlama3 = {
    .name = "llama3",
    .required = {"setcontent='<|start_header_id|>'+message['role']+'<|end_header_id|>\\n\\n'+"
                 "message['content']|trim+'<|eot_id|>'",
                 "{%ifloop.index0==0%}{%setcontent=bos_token+content%}{%endif%}{{content}}",
                 "{%ifadd_generation_prompt%}"
                 "{{'<|start_header_id|>assistant<|end_header_id|>\\n\\n'}}"},
    .forbidden = {"Cutting Knowledge", "raise_exception", "strftime_now"},
    .system_prefix = "<|start_header_id|>system<|end_header_id|>\n\n",
    .user_prefix = "<|start_header_id|>user<|end_header_id|>\n\n",
    .assistant_prefix = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .user_suffix = "<|eot_id|>",
    .assistant_suffix = "<|eot_id|>",
    .turn_end = "<|eot_id|>",
    .generation_prompt = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .strips_content = true,
};

constexpr Builtin kLlama2 = {
    .name = "llama2",
    .required = {"{%setcontent='<<SYS>>\\n'+system_message+'\\n<</SYS>>\\n\\n'+"
                 "message['content']%}",
                 "{%ifloop.index0==0andsystem_message!=false%}",
                 "{{bos_token+'[INST] '+content.strip()+' [/INST]'}}",
                 "{{' '+content.strip()+' '+eos_token}}",
                 "{%if(message['role']=='user')!=(loop.index0%2==0)%}{{raise_exception("},
    .user_prefix = "\x01[INST] ",
    .assistant_prefix = " ",
    .user_suffix = " [/INST]",
    .assistant_suffix = " \x04",
    .turn_end = "\x04",
    .starts_with_bos = false,
    .strips_content = true,
    .alternates = true,
    .system = Builtin::System::kInFirstUser,
    .system_open = "<<SYS>>\n",
    .system_close = "\n<</SYS>>\n\n",
};

// Mistral 7B Instruct v0.1 and v0.2, which differ in the space after an answer.
constexpr Builtin MistralV1(std::string_view answer, std::string_view suffix) {
  return {
      .name = "mistral-v1",
      .required = {"{{bos_token}}{%formessageinmessages%}"
                   "{%if(message['role']=='user')!=(loop.index0%2==0)%}{{raise_exception(",
                   "{{'[INST] '+message['content']+' [/INST]'}}", answer},
      .forbidden = {"system_message"},
      .user_prefix = "[INST] ",
      .user_suffix = " [/INST]",
      .assistant_suffix = suffix,
      .turn_end = "\x04",
      .alternates = true,
      .system = Builtin::System::kRefused,
  };
}

// Mistral Nemo.
constexpr Builtin kMistralV3Tekken = {
    .name = "mistral-v3-tekken",
    .required = {"{{bos_token}}", "{%if(message['role']=='user')!=(loop.index0%2==0)%}",
                 "{%ifloop.lastandsystem_messageisdefined%}"
                 "{{'[INST]'+system_message+'\\n\\n'+message['content']+'[/INST]'}}",
                 "{{'[INST]'+message['content']+'[/INST]'}}", "{{message['content']+eos_token}}"},
    .user_prefix = "[INST]",
    .user_suffix = "[/INST]",
    .assistant_suffix = "\x04",
    .turn_end = "\x04",
    .alternates = true,
    .system = Builtin::System::kInLastUser,
    .system_close = "\n\n",
};

// Zephyr and TinyLlama Chat. The line breaks after the tags are printed.
constexpr Builtin kZephyr = {
    .name = "zephyr",
    .required = {"{{'<|user|>\\n'+message['content']+eos_token}}\x02\n\x03",
                 "{{'<|system|>\\n'+message['content']+eos_token}}\x02\n\x03",
                 "{{'<|assistant|>\\n'+message['content']+eos_token}}\x02\n\x03",
                 "{%ifloop.lastandadd_generation_prompt%}{{'<|assistant|>'}}\x02\n\x03"},
    .forbidden = {"bos_token", "raise_exception", "|trim", ".strip("},
    .n_texts = 4,
    .system_prefix = "<|system|>\n",
    .user_prefix = "<|user|>\n",
    .assistant_prefix = "<|assistant|>\n",
    .user_suffix = "\x04\n",
    .assistant_suffix = "\x04\n",
    .turn_end = "\x04",
    .generation_prompt = "<|assistant|>\n",
    .starts_with_bos = false,
};

constexpr Builtin kBuiltins[] = {
    kChatMl,
    kLlama31,
    kLlama3,
    kLlama2,
    kMistralV3Tekken,
    MistralV1("{{message['content']+eos_token}}", "\x04"),
    MistralV1("{{message['content']+eos_token+' '}}", "\x04 "),
    kZephyr,
};

}  // namespace

std::span<const ChatTemplate::Builtin> ChatBuiltins() { return kBuiltins; }

}  // namespace forge
