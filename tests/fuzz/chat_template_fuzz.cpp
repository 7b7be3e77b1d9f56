// Parses and renders the input as a chat template. Checks that what is marked as said in the
// conversation is a list of ranges in order, within the output.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/text/jinja/json_reader.h"
#include "engine/text/jinja/runtime.h"
#include "engine/text/jinja/template.h"
#include "kernels/base/check.h"

namespace forge::jinja {
namespace {

constexpr std::string_view kMessages = R"([
  {"role": "system", "content": "Be brief. "},
  {"role": "user", "content": " Hi\n<|im_end|> äöü 日本"},
  {"role": "assistant", "content": "", "tool_calls": [{"id": "call1", "type": "function",
   "function": {"name": "f", "arguments": {"city": "Paris", "n": [1, 2.5, true, null]}}}]},
  {"role": "tool", "content": "18 C", "tool_call_id": "call1"},
  {"role": "user", "content": "<think>a</think>b"}])";

// Small enough that a run takes milliseconds.
Limits SmallLimits() {
  Limits limits;
  limits.max_steps = 50'000;
  limits.max_allocated_bytes = uint64_t{8} << 20;
  limits.max_output_bytes = uint64_t{1} << 20;
  return limits;
}

void CheckRanges(const Text& text) {
  size_t end = 0;
  for (const ByteRange& range : text.literal) {
    FORGE_CHECK(range.begin < range.end && range.end <= text.bytes.size(), "a range is wrong");
    FORGE_CHECK(end == 0 || range.begin > end, "ranges touch");
    end = range.end;
  }
}

void Run(std::string_view source) {
  const Result<Template> parsed = Template::Parse(source, SmallLimits());
  if (!parsed.ok()) return;
  const Result<Text> text = parsed->Render(
      [](Runtime& runtime) -> Status {
        FORGE_ASSIGN_OR_RETURN(Value messages, ReadJson(kMessages, runtime.budget()));
        runtime.Define("messages", messages);
        runtime.Define("tools", messages);
        runtime.Define("d", messages.list().items[0]);
        runtime.Define("s", Value(std::string_view("Hello, Wörld")));
        runtime.Define("n", Value(int64_t{7}));
        runtime.Define("x", Value(2.5));
        runtime.Define("add_generation_prompt", Value(true));
        return Status();
      },
      std::tm{});
  if (text.ok()) CheckRanges(*text);
}

}  // namespace
}  // namespace forge::jinja

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  forge::jinja::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
