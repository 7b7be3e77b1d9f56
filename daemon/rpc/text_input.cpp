#include "daemon/rpc/text_input.h"

#include <fmt/format.h>

#include "daemon/rpc/call_errors.h"

namespace forge {
namespace {

Result<std::vector<TokenId>> Encode(const Engine& engine, ModelId model, const v1::TextInput& input,
                                    const std::string& field) {
  switch (input.input_case()) {
    case v1::TextInput::kText:
      if (input.text().text().empty()) return BadField(field + ".text.text", "is empty");
      return engine.Tokenize(model, input.text().text(), !input.text().skip_special(),
                             input.text().parse_special());
    case v1::TextInput::kTokens:
      if (input.tokens().ids().empty()) return BadField(field + ".tokens.ids", "is empty");
      return std::vector<TokenId>(input.tokens().ids().begin(), input.tokens().ids().end());
    case v1::TextInput::INPUT_NOT_SET:
      break;
  }
  return BadField(field, "is empty: set text or tokens");
}

}  // namespace

Result<std::vector<TokenId>> TokensOf(const Engine& engine, const ModelSnapshot& model,
                                      const v1::TextInput& input, const std::string& field) {
  FORGE_ASSIGN_OR_RETURN(std::vector<TokenId> tokens, Encode(engine, model.id, input, field));
  if (tokens.empty()) return BadField(field, "has no tokens");
  if (tokens.size() <= model.info.context_length) return tokens;
  return Status(StatusCode::kOutOfRange,
                fmt::format("{} does not fit the context: {} tokens exceed the {} that the model "
                            "was loaded with",
                            field, tokens.size(), model.info.context_length))
      .WithReason("CONTEXT_LENGTH_EXCEEDED")
      .WithDetail("field", field)
      .WithDetail("inputTokens", tokens.size())
      .WithDetail("contextTokens", model.info.context_length);
}

}  // namespace forge
