#include "engine/runtime/call_holder.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar/tool_calls.h"

namespace forge {
namespace {

// Looks through the vocabulary: a marker is found once for each turn with tools.
std::optional<TokenId> FindControlToken(const Tokenizer& tokenizer, std::string_view text) {
  for (TokenId token = 0; static_cast<size_t>(token) < tokenizer.n_tokens(); ++token)
    if (tokenizer.IsControl(token) && tokenizer.TokenBytes(token, /*render_special=*/true) == text)
      return token;
  return std::nullopt;
}

std::vector<TokenId> EndTokens(const Tokenizer& tokenizer) {
  std::vector<TokenId> tokens;
  for (TokenId token = 0; static_cast<size_t>(token) < tokenizer.n_tokens(); ++token)
    if (tokenizer.EndsGeneration(token)) tokens.push_back(token);
  return tokens;
}

}  // namespace

Result<ConstraintPtr> CompileCallConstraint(const GenerateRequest& request,
                                            const Tokenizer& tokenizer,
                                            ConstraintCompiler& compiler) {
  if (!request.chat || request.constraint) return ConstraintPtr();
  const ChatOutputOptions& chat = *request.chat;
  std::string_view end = FindCallMarkers(chat.tool_format).end;
  // A control token stands for no text: the constraint ends before it.
  const std::optional<TokenId> end_token =
      end.empty() ? std::nullopt : FindControlToken(tokenizer, end);
  if (end_token) end = {};
  const std::optional<OutputConstraint> calls =
      MakeCallConstraint(chat.tool_format, end, chat.tools);
  if (!calls) return ConstraintPtr();
  std::vector<TokenId> end_tokens;
  if (end_token) end_tokens = {*end_token};
  if (!end_token && end.empty()) end_tokens = EndTokens(tokenizer);
  return compiler.Compile(*calls, std::move(end_tokens));
}

const TokenMask* CallHolder::AllowedTokens() {
  if (!is_holding_) return nullptr;
  const Result<const TokenMask*> allowed = constraint_->AllowedTokens();
  is_holding_ = allowed.ok();
  return allowed.ok() ? *allowed : nullptr;
}

void CallHolder::Follow(TokenId token, const AnswerText& answer) {
  if (constraint_ == nullptr) return;
  if (!answer.in_call()) {
    is_holding_ = has_tried_ = false;
  } else if (is_holding_) {
    is_holding_ = constraint_->Accept(token).ok() && constraint_->CanContinue();
  } else if (!has_tried_) {
    const std::optional<std::string> text = answer.CallText();
    if (!text) return;
    has_tried_ = true;
    constraint_->BeginAgain();
    is_holding_ = constraint_->AcceptText(*text).ok() && constraint_->CanContinue();
  }
}

}  // namespace forge
