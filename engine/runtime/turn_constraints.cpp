#include "engine/runtime/turn_constraints.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/grammar/tool_calls.h"

namespace forge {
namespace {

// A model may have more logits than the vocabulary has tokens.
bool IsToken(const Tokenizer& tokenizer, TokenId token) {
  return static_cast<size_t>(token) < tokenizer.n_tokens();
}

// What may end the answer where a constraint is complete.
std::vector<TokenId> EndTokens(const GenerateRequest& request, const Tokenizer& tokenizer) {
  // With ignore_end the model cannot end the answer; it goes on as long as the constraint lets it.
  std::vector<TokenId> tokens;
  for (TokenId token = 0; IsToken(tokenizer, token) && !request.ignore_end; ++token)
    if (tokenizer.EndsGeneration(token)) tokens.push_back(token);
  // A control token stands for no text, so the constraint by itself would never allow it.
  for (const TokenId token : request.stop_tokens)
    if (IsToken(tokenizer, token) && tokenizer.TokenBytes(token, /*render_special=*/false).empty())
      tokens.push_back(token);
  return tokens;
}

// Null where the calls cannot be held to anything.
Result<ConstraintPtr> CompileCalls(const GenerateRequest& request, const Tokenizer& tokenizer,
                                   ConstraintCompiler& compiler) {
  const ChatOutputOptions& chat = *request.chat;
  if (!CanHoldCalls(chat.tool_format) || chat.tools.empty()) return ConstraintPtr();
  const std::string_view end = FindCallMarkers(chat.tool_format).end;
  // A control token stands for no text: the constraint ends before it.
  const std::optional<TokenId> end_token = tokenizer.FindToken(end);
  const bool ends_with_token = end_token && tokenizer.IsControl(*end_token);
  std::vector<TokenId> end_tokens;
  if (ends_with_token) end_tokens = {*end_token};
  if (end.empty()) end_tokens = EndTokens(request, tokenizer);
  return compiler.Compile(
      MakeCallConstraint(chat.tool_format, ends_with_token ? std::string_view() : end, chat.tools),
      std::move(end_tokens));
}

}  // namespace

Result<TurnConstraints> CompileConstraints(const GenerateRequest& request,
                                           const Tokenizer& tokenizer,
                                           ConstraintCompiler& compiler) {
  TurnConstraints constraints;
  if (request.constraint) {
    FORGE_ASSIGN_OR_RETURN(constraints.answer,
                           compiler.Compile(*request.constraint, EndTokens(request, tokenizer)));
  } else if (request.chat) {
    FORGE_ASSIGN_OR_RETURN(constraints.calls, CompileCalls(request, tokenizer, compiler));
  }
  return constraints;
}

}  // namespace forge
