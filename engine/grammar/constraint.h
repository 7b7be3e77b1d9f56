#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/mask_builder.h"
#include "engine/grammar/output_constraint.h"
#include "engine/grammar/stack_sets.h"
#include "engine/grammar/token_mask.h"
#include "engine/grammar/token_trie.h"
#include "kernels/base/result.h"

namespace forge {

// Compiles the constraint's text. Errors as of ParseGbnf, CompileJsonSchema, CompileToolCalls and
// CheckGrammar.
Result<Automaton> CompileConstraint(const OutputConstraint& constraint);

// Follows one answer along a grammar: says which tokens may come next, and takes the one chosen.
//
// Invariant: as long as every token that Accept takes was allowed, the text can still become one of
// the grammar's. Not thread-safe.
class Constraint {
 public:
  // REQUIRES: the trie was made of the same tokenizer and n_vocab. Lifetime: the tokenizer must
  // outlive it.
  Constraint(OutputConstraint source, Automaton automaton, const Tokenizer& tokenizer,
             std::shared_ptr<const TokenTrie> trie, size_t n_vocab);
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;

  // What it was compiled from.
  const OutputConstraint& source() const { return source_; }
  const Automaton& automaton() const { return automaton_; }

  // Begins an answer. `end_tokens` are allowed where it is complete. What earlier answers computed
  // is kept.
  void Begin(std::vector<TokenId> end_tokens);

  // Begins another answer with the same end tokens.
  void BeginAgain() { Begin(std::move(end_tokens_)); }

  // The tokens that may come next, valid until the next call of any method. kResourceExhausted
  // (reason GRAMMAR_TOO_COMPLEX) past a limit; kFailedPrecondition (reason GRAMMAR_DEAD_END) if the
  // vocabulary has no token with which the text could go on.
  Result<const TokenMask*> AllowedTokens();
  // kResourceExhausted as above. REQUIRES: AllowedTokens allows `token`, and it is no end token.
  Status Accept(TokenId token);
  // The same of a text; afterwards CanContinue is false also if the text was not allowed.
  Status AcceptText(std::string_view text);

  // The text so far belongs to the grammar.
  bool IsComplete() const { return sets_.IsComplete(now_); }
  // It does not end here by necessity.
  bool CanContinue() const { return sets_.CanContinue(now_); }

  // No limit was passed, and no call ended with an exception: it may serve another answer.
  bool ok() const { return is_whole_ && sets_.status().ok(); }
  // Drops what it has computed if that is much.
  void Trim();

 private:
  const OutputConstraint source_;
  const Automaton automaton_;
  const Tokenizer& tokenizer_;
  const std::shared_ptr<const TokenTrie> trie_;
  StackSets sets_;
  MaskBuilder masks_;
  StackSets::SetId now_ = StackSets::kNothing;
  std::vector<TokenId> end_tokens_;
  TokenMask with_ends_;
  bool is_whole_ = true;  // false while sets_ and masks_ change
};

}  // namespace forge
