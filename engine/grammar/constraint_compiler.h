#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/grammar/constraint.h"
#include "kernels/base/mutex.h"

namespace forge {

class ConstraintCompiler;

// Gives a constraint back to its compiler. Does not throw.
struct ReturnConstraint {
  ConstraintCompiler* home = nullptr;
  void operator()(Constraint* constraint) const;
};
using ConstraintPtr = std::unique_ptr<Constraint, ReturnConstraint>;

// Makes the constraints of one model's turns.
//
// The tree of the vocabulary is built with the first one. Constraints that turns gave back are
// kept, with the masks that they know, for the next turn with the same text; the oldest go first.
// Thread-safe. Lifetime: the tokenizer must outlive it, and it the constraints.
class ConstraintCompiler {
 public:
  ConstraintCompiler(const Tokenizer& tokenizer, size_t n_vocab);

  // A constraint for one answer, which `end_tokens` may end where it is complete. Takes up to 100
  // ms of this thread, and with the first call the time to sort the vocabulary. Errors as of
  // CompileConstraint.
  Result<ConstraintPtr> Compile(const OutputConstraint& constraint,
                                std::vector<TokenId> end_tokens);

 private:
  friend struct ReturnConstraint;
  static constexpr size_t kMostKept = 4;

  std::unique_ptr<Constraint> TakeKept(const OutputConstraint& source);
  std::shared_ptr<const TokenTrie> Trie();
  void Keep(std::unique_ptr<Constraint> constraint);

  // Constant after construction.
  const Tokenizer& tokenizer_;
  const size_t n_vocab_;

  Mutex mutex_;
  std::shared_ptr<const TokenTrie> trie_ FORGE_GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<Constraint>> kept_ FORGE_GUARDED_BY(mutex_);  // the latest last
};

}  // namespace forge
