// Tells an answer apart, in pieces of a size that its first byte gives, in every format. Checks
// that no text gets lost: what is taken is what the parser keeps by kind.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/text/chat_output.h"
#include "kernels/base/check.h"

namespace forge {
namespace {

void Run(std::string_view answer, size_t n_bytes_each, const ChatOutputOptions& options) {
  ChatOutputParser parser(options);
  std::array<std::string, 3> taken;  // by kind
  const auto keep = [&taken](const TextPiece& piece) {
    taken[static_cast<size_t>(piece.kind)] += piece.text;
  };
  for (size_t i = 0; i < answer.size(); i += n_bytes_each) {
    parser.Add(answer.substr(i, n_bytes_each));
    keep(parser.Take());
  }
  parser.Finish();
  for (TextPiece piece = parser.Take(); !piece.text.empty(); piece = parser.Take()) keep(piece);
  FORGE_CHECK(taken[0] == parser.content(), "content got lost");
  FORGE_CHECK(taken[1] == parser.reasoning(), "reasoning got lost");
  FORGE_CHECK(taken[2].empty() == parser.tool_calls().empty(), "a call has no text");
}

}  // namespace
}  // namespace forge

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view answer(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t n_bytes_each = data[0] % 16 + 1;
  for (const forge::ToolFormat format :
       {forge::ToolFormat::kNone, forge::ToolFormat::kQwen, forge::ToolFormat::kSeed,
        forge::ToolFormat::kGlm, forge::ToolFormat::kOlmo, forge::ToolFormat::kLlama3,
        forge::ToolFormat::kMistral, forge::ToolFormat::kGranite, forge::ToolFormat::kMiniMax,
        forge::ToolFormat::kLfm2, forge::ToolFormat::kCommand, forge::ToolFormat::kDeepSeek,
        forge::ToolFormat::kGemma4})
    for (const std::string_view open_thinking : {"", "<think>"})
      forge::Run(answer, n_bytes_each, {.open_thinking = open_thinking, .tool_format = format});
  for (const forge::ToolFormat format : {forge::ToolFormat::kNone, forge::ToolFormat::kGptOss})
    forge::Run(answer, n_bytes_each, {.has_channels = true, .tool_format = format});
  return 0;
}
