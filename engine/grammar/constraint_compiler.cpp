#include "engine/grammar/constraint_compiler.h"

#include <algorithm>
#include <new>
#include <utility>

namespace forge {

void ReturnConstraint::operator()(Constraint* constraint) const {
  std::unique_ptr<Constraint> owned(constraint);
  if (home == nullptr) return;
  try {
    home->Keep(std::move(owned));
  } catch (const std::bad_alloc&) {
    // Nothing is lost: the next turn compiles its constraint anew.
  }
}

ConstraintCompiler::ConstraintCompiler(const Tokenizer& tokenizer, size_t n_vocab)
    : tokenizer_(tokenizer), n_vocab_(n_vocab) {}

Result<ConstraintPtr> ConstraintCompiler::Compile(const OutputConstraint& source,
                                                  std::vector<TokenId> end_tokens) {
  std::unique_ptr<Constraint> constraint = TakeKept(source);
  if (constraint == nullptr) {
    FORGE_ASSIGN_OR_RETURN(Automaton automaton, CompileConstraint(source));
    constraint =
        std::make_unique<Constraint>(source, std::move(automaton), tokenizer_, Trie(), n_vocab_);
  }
  constraint->Begin(std::move(end_tokens));
  return ConstraintPtr(constraint.release(), ReturnConstraint{this});
}

std::unique_ptr<Constraint> ConstraintCompiler::TakeKept(const OutputConstraint& source) {
  MutexLock lock(mutex_);
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& constraint) {
    return constraint->source() == source;
  });
  if (found == kept_.end()) return nullptr;
  std::unique_ptr<Constraint> constraint = std::move(*found);
  kept_.erase(found);
  return constraint;
}

std::shared_ptr<const TokenTrie> ConstraintCompiler::Trie() {
  MutexLock lock(mutex_);
  if (trie_ == nullptr) trie_ = std::make_shared<const TokenTrie>(tokenizer_, n_vocab_);
  return trie_;
}

void ConstraintCompiler::Keep(std::unique_ptr<Constraint> constraint) {
  if (!constraint->ok()) return;
  constraint->Trim();
  std::unique_ptr<Constraint> oldest;  // freed without the lock
  MutexLock lock(mutex_);
  kept_.push_back(std::move(constraint));
  if (kept_.size() <= kMostKept) return;
  oldest = std::move(kept_.front());
  kept_.pop_front();
}

}  // namespace forge
