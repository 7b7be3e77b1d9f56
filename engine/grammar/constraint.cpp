#include "engine/grammar/constraint.h"

#include <utility>

#include "engine/grammar/gbnf_parser.h"
#include "engine/grammar/grammar_checks.h"
#include "engine/grammar/grammar_limits.h"
#include "engine/grammar/json_schema.h"
#include "engine/grammar/tool_calls.h"

namespace forge {
namespace {

Result<Grammar> GrammarOf(const OutputConstraint& constraint) {
  if (constraint.text.size() > kMaxConstraintBytes)
    return InvalidArgument(
               "grammar or schema is too long: " + std::to_string(constraint.text.size()) +
               " bytes, at most " + std::to_string(kMaxConstraintBytes))
        .WithReason("GRAMMAR_TOO_COMPLEX")
        .WithDetail("sizeBytes", constraint.text.size())
        .WithDetail("limitBytes", kMaxConstraintBytes);
  switch (constraint.kind) {
    case OutputConstraint::Kind::kGrammar:
      return ParseGbnf(constraint.text);
    case OutputConstraint::Kind::kJsonSchema:
      return CompileJsonSchema(constraint.text);
    case OutputConstraint::Kind::kToolCalls:
      break;
  }
  return CompileToolCalls(constraint.text);
}

}  // namespace

Result<Automaton> CompileConstraint(const OutputConstraint& constraint) {
  FORGE_ASSIGN_OR_RETURN(const Grammar grammar, GrammarOf(constraint));
  const Result<GrammarFacts> facts = CheckGrammar(grammar);
  // Schemas know of no rules: what is wrong with their grammar is that nothing can be written.
  if (!facts.ok() && facts.status().reason() == "GRAMMAR_INVALID" &&
      constraint.kind != OutputConstraint::Kind::kGrammar)
    return InvalidArgument(
               "schema allows no value: its keywords contradict each other, or only "
               "endless values satisfy it")
        .WithReason("SCHEMA_INVALID");
  FORGE_TRY(facts.status());
  return Automaton::Build(grammar, *facts);
}

Constraint::Constraint(OutputConstraint source, Automaton automaton, const Tokenizer& tokenizer,
                       std::shared_ptr<const TokenTrie> trie, size_t n_vocab)
    : source_(std::move(source)),
      automaton_(std::move(automaton)),
      tokenizer_(tokenizer),
      trie_(std::move(trie)),
      sets_(automaton_),
      masks_(*trie_, sets_, n_vocab) {}

void Constraint::Begin(std::vector<TokenId> end_tokens) {
  end_tokens_ = std::move(end_tokens);
  is_whole_ = false;
  sets_.BeginWork();
  now_ = sets_.Start();
  is_whole_ = true;
}

Result<const TokenMask*> Constraint::AllowedTokens() {
  is_whole_ = false;
  sets_.BeginWork();
  FORGE_TRY(sets_.status());
  const TokenMask* mask = &masks_.MaskOf(now_);
  FORGE_TRY(sets_.status());
  if (IsComplete() && !end_tokens_.empty()) {
    with_ends_ = *mask;
    for (const TokenId token : end_tokens_) with_ends_.Allow(token);
    mask = &with_ends_;
  }
  is_whole_ = true;
  if (mask->empty())
    return FailedPrecondition(
               "the vocabulary has no token with which the answer could go on as the grammar wants")
        .WithReason("GRAMMAR_DEAD_END");
  return mask;
}

Status Constraint::Accept(TokenId token) {
  return AcceptText(tokenizer_.TokenBytes(token, /*render_special=*/false));
}

Status Constraint::AcceptText(std::string_view text) {
  is_whole_ = false;
  sets_.BeginWork();
  for (const char byte : text) now_ = sets_.Next(now_, static_cast<uint8_t>(byte));
  if (sets_.bytes() > kCompactStoreBytes) {
    now_ = sets_.Compact(now_);
    masks_.ForgetSets();
  }
  is_whole_ = true;
  return sets_.status();
}

void Constraint::Trim() {
  if (sets_.bytes() + masks_.bytes() <= kMaxKeptBytes) return;
  masks_.Clear();
  now_ = sets_.Compact(StackSets::kNothing);
}

}  // namespace forge
