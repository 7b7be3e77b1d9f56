#pragma once

#include <utility>

#include "engine/grammar/constraint_compiler.h"
#include "engine/runtime/answer_text.h"

namespace forge {

// Holds the calls of tools within an answer to their form: from behind the marker that begins them
// to their end, tokens are chosen from those that the constraint allows. Where the beginning does
// not fit it, or it becomes too complex, the model writes on as it likes.
//
// Not thread-safe.
class CallHolder {
 public:
  // `constraint` may be null: then nothing is held.
  explicit CallHolder(ConstraintPtr constraint) : constraint_(std::move(constraint)) {}

  bool is_holding() const { return is_holding_; }
  // The tokens that may come next; null: all. Valid until the next call of any method.
  const TokenMask* AllowedTokens();
  // Takes the token that was chosen, whose text `answer` has.
  void Follow(TokenId token, const AnswerText& answer);

 private:
  ConstraintPtr constraint_;
  bool is_holding_ = false;
  bool has_tried_ = false;  // of the call that is being written
};

}  // namespace forge
