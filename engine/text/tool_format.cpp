#include "engine/text/tool_format.h"

#include <algorithm>

#include "engine/text/jinja/template.h"

namespace forge {
namespace {

constexpr ToolFormat kFormatsWithMarkers[] = {
    ToolFormat::kQwen,    ToolFormat::kSeed,     ToolFormat::kMiniMax, ToolFormat::kOlmo,
    ToolFormat::kLfm2,    ToolFormat::kLlama3,   ToolFormat::kMistral, ToolFormat::kGranite,
    ToolFormat::kCommand, ToolFormat::kDeepSeek, ToolFormat::kGemma4,
};

constexpr CallMarkers MarkersOf(ToolFormat format) {
  switch (format) {
    case ToolFormat::kQwen:
    case ToolFormat::kQwenCoder:
    case ToolFormat::kGlm:
      return {"<tool_call>", "</tool_call>"};
    case ToolFormat::kSeed:
      return {"<seed:tool_call>", "</seed:tool_call>"};
    case ToolFormat::kMiniMax:
      return {"<minimax:tool_call>", "</minimax:tool_call>"};
    case ToolFormat::kOlmo:
      return {"<function_calls>", "</function_calls>"};
    case ToolFormat::kLfm2:
      return {"<|tool_call_start|>", "<|tool_call_end|>"};
    case ToolFormat::kLlama3:
      return {"<|python_tag|>", ""};
    case ToolFormat::kMistral:
    case ToolFormat::kMistralNamed:
      return {"[TOOL_CALLS]", ""};
    case ToolFormat::kGranite:
      return {"<|tool_call|>", ""};
    case ToolFormat::kCommand:
      return {"<|START_ACTION|>", "<|END_ACTION|>"};
    case ToolFormat::kDeepSeek:
      return {"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"};
    case ToolFormat::kGemma4:
      return {"<|tool_call>", "<tool_call|>"};
    case ToolFormat::kGptOss:
    case ToolFormat::kNone:
      break;
  }
  return {};
}

constexpr std::string_view kInnerMarkers[] = {
    "[ARGS]", "[CALL_ID]", kDeepSeekCall, kDeepSeekSeparator, kDeepSeekEndCall, kGemmaQuote,
};

// A template that names both texts shows the format; the first row that fits counts.
struct Sign {
  std::string_view text;
  std::string_view other;
  ToolFormat format;
};

constexpr Sign kSigns[] = {
    {"<|channel|>", "", ToolFormat::kGptOss},
    {"<tool_call>", "<arg_key>", ToolFormat::kGlm},
    {"<tool_call>", "<function=", ToolFormat::kQwenCoder},
    {"<tool_call>", "", ToolFormat::kQwen},
    {"<seed:tool_call>", "", ToolFormat::kSeed},
    {"<minimax:tool_call>", "", ToolFormat::kMiniMax},
    {"<function_calls>", "", ToolFormat::kOlmo},
    {"<|tool_call|>", "", ToolFormat::kGranite},
    {"<|tool_call>", "", ToolFormat::kGemma4},
    {"[TOOL_CALLS][", "", ToolFormat::kMistral},
    {"[TOOL_CALLS] [", "", ToolFormat::kMistral},
    {"[TOOL_CALLS]", "", ToolFormat::kMistralNamed},
    {"<｜tool▁calls▁begin｜>", "", ToolFormat::kDeepSeek},
    {"<|START_ACTION|>", "", ToolFormat::kCommand},
    // LFM 2's templates list the tools and leave calls to the content of messages.
    {"<|tool_call_start|>", "", ToolFormat::kLfm2},
    {"List of tools: ", "<|im_start|>", ToolFormat::kLfm2},
    {"<|python_tag|>", "", ToolFormat::kLlama3},
    {"<|start_header_id|>", "\"parameters\"", ToolFormat::kLlama3},
};

}  // namespace

CallMarkers FindCallMarkers(ToolFormat format) { return MarkersOf(format); }

bool IsCallMarker(std::string_view token) {
  if (token.empty()) return false;
  const auto is_of = [token](ToolFormat format) {
    const CallMarkers markers = MarkersOf(format);
    return token == markers.begin || token == markers.end;
  };
  return std::ranges::any_of(kFormatsWithMarkers, is_of) ||
         std::ranges::find(kInnerMarkers, token) != std::ranges::end(kInnerMarkers);
}

ToolFormat FindToolFormat(const jinja::Template& chat_template) {
  for (const Sign& sign : kSigns)
    if (chat_template.Mentions(sign.text) && chat_template.Mentions(sign.other)) return sign.format;
  return ToolFormat::kNone;
}

}  // namespace forge
