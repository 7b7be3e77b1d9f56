#pragma once

#include <cstdint>
#include <string_view>

namespace forge {

namespace jinja {
class Template;
}

// How a family of models writes the calls of tools. docs/chat-templates.md says which models.
enum class ToolFormat : uint8_t {
  kNone,  // calls are not looked for
  // Between <tool_call> and </tool_call>, any number of times: {"name": ..., "arguments": {...}},
  // or <function=NAME><parameter=KEY>VALUE</parameter>...</function> as Qwen3-Coder writes it.
  kQwen,
  kQwenCoder,  // the same, of a template that shows the latter
  kSeed,       // the latter, or the former, between <seed:tool_call> and </seed:tool_call>
  kGlm,        // <tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>...</tool_call>
  kMiniMax,    // <minimax:tool_call><invoke name="NAME"><parameter name="KEY">VALUE</parameter>...
  kOlmo,       // <function_calls>NAME(key=value, ...) NAME(...)</function_calls>
  kLfm2,       // <|tool_call_start|>[NAME(key=value, ...), NAME(...)]<|tool_call_end|>
  kLlama3,     // {"name": ..., "parameters": {...}} as the whole answer, or after <|python_tag|>
  // At the end, [TOOL_CALLS][{"name": ..., "arguments": {...}}, ...], or as newer models write it
  // [TOOL_CALLS]NAME[ARGS]{...} any number of times, with [CALL_ID]ID after the name or not.
  kMistral,
  kMistralNamed,  // the same, of a template that shows the latter
  kGranite,       // <|tool_call|>[{"name": ..., "arguments": {...}}, ...] at the end
  kCommand,       // <|START_ACTION|>[{"tool_name": ..., "parameters": {...}}, ...]<|END_ACTION|>
  // Between <｜tool▁calls▁begin｜> and <｜tool▁calls▁end｜>, for each call
  // <｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{...}<｜tool▁call▁end｜>, or in place of NAME and the
  // object function<｜tool▁sep｜>NAME and the object as a fenced block.
  kDeepSeek,
  kGemma4,  // <|tool_call>call:NAME{key:value,...}<tool_call|>, any number of times
  kGptOss,  // a message to functions.NAME, see ChatOutputOptions::has_channels
};

// What stands before a call, or a row of them, and what ends it.
struct CallMarkers {
  std::string_view begin;  // empty: the format has none
  std::string_view end;    // empty: the end of the answer
};
CallMarkers FindCallMarkers(ToolFormat format);

// True for the markers of a call and what else in it may be a control token, whose text a decoder
// leaves out.
bool IsCallMarker(std::string_view token);

// The format that a chat template shows.
ToolFormat FindToolFormat(const jinja::Template& chat_template);

// The tokens inside of DeepSeek's calls, and Gemma 4's quotation mark.
inline constexpr std::string_view kDeepSeekCall = "<｜tool▁call▁begin｜>";
inline constexpr std::string_view kDeepSeekSeparator = "<｜tool▁sep｜>";
inline constexpr std::string_view kDeepSeekEndCall = "<｜tool▁call▁end｜>";
inline constexpr std::string_view kGemmaQuote = "<|\"|>";

}  // namespace forge
