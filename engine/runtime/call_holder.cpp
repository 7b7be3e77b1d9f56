#include "engine/runtime/call_holder.h"

#include <optional>
#include <string>

namespace forge {

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
