#pragma once

#include <string>
#include <string_view>

#include "engine/grammar/constraint.h"
#include "engine/grammar/stack_sets.h"

namespace forge::testing {

// Reads texts along a constraint, without a vocabulary. REQUIRES: it compiles.
class GrammarReader {
 public:
  explicit GrammarReader(Automaton automaton)
      : automaton_(std::move(automaton)), sets_(automaton_) {}
  static GrammarReader OfGbnf(std::string_view text) {
    return GrammarReader(
        CompileConstraint({OutputConstraint::Kind::kGrammar, std::string(text)}).value());
  }
  static GrammarReader OfSchema(std::string_view text) {
    return GrammarReader(
        CompileConstraint({OutputConstraint::Kind::kJsonSchema, std::string(text)}).value());
  }
  GrammarReader(GrammarReader&& other) noexcept
      : automaton_(std::move(other.automaton_)), sets_(automaton_) {}

  // The whole text belongs to the grammar.
  bool Accepts(std::string_view text) { return sets_.IsComplete(Read(text)); }
  // The text is the beginning of one that does.
  bool Begins(std::string_view text) { return Read(text) != StackSets::kNothing; }
  // The text belongs to the grammar, and no longer one begins with it.
  bool EndsWith(std::string_view text) { return Read(text) == StackSets::kComplete; }
  const StackSets& sets() const { return sets_; }

 private:
  StackSets::SetId Read(std::string_view text) {
    sets_.BeginWork();
    StackSets::SetId set = sets_.Start();
    for (const char byte : text) set = sets_.Next(set, static_cast<uint8_t>(byte));
    return set;
  }

  Automaton automaton_;
  StackSets sets_;
};

inline Status CompileStatus(OutputConstraint::Kind kind, std::string_view text) {
  return CompileConstraint({kind, std::string(text)}).status();
}
inline Status GbnfStatus(std::string_view text) {
  return CompileStatus(OutputConstraint::Kind::kGrammar, text);
}
inline Status SchemaStatus(std::string_view text) {
  return CompileStatus(OutputConstraint::Kind::kJsonSchema, text);
}

}  // namespace forge::testing
