#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar/grammar.h"

namespace forge {

// Writes the parts of JSON texts into a grammar. Rules that many places share are added once.
//
// Not thread-safe. Lifetime: the grammar must outlive it.
class JsonText {
 public:
  explicit JsonText(Grammar& grammar) : grammar_(grammar) {}

  // Between two tokens: nothing, a space, or a line break and up to 20 spaces or tabs.
  GrammarNodeId Space();
  GrammarNodeId OptionalBlank() { return grammar_.Optional(grammar_.Literal(" ")); }
  // A separator and what follows it.
  GrammarNodeId Comma() { return grammar_.Sequence({grammar_.Literal(","), Space()}); }

  // One character within a string, as itself or escaped.
  GrammarNodeId StringCharacter();
  // One of these characters within a string, escaped where JSON demands it.
  GrammarNodeId StringCharacter(const CharSet& characters);
  // A string of any characters, with its quotes.
  GrammarNodeId String(uint32_t min_length, uint32_t max_length);
  GrammarNodeId Quoted(GrammarNodeId content);
  // Any key that is not among `names`, with its quotes, without escapes.
  GrammarNodeId KeyOtherThan(const std::vector<std::string>& names);

  // One of these texts. Their common beginnings are written once, so that a long list is read in
  // few ways at a time.
  GrammarNodeId AnyOf(std::vector<std::string> texts);

  // One of the characters of `ascii`, which may hold ranges: "0-9a-f".
  GrammarNodeId OneOf(std::string_view ascii);
  // `min` to `max` of them.
  GrammarNodeId Some(std::string_view ascii, uint32_t min, uint32_t max);

 private:
  GrammarNodeId Shared(std::optional<GrammarRuleId>& rule, std::string_view name,
                       GrammarNodeId (JsonText::*make)());
  // The texts [begin, end) of a sorted list from their byte `offset` on, up to which all agree.
  GrammarNodeId Tails(const std::vector<std::string>& texts, size_t begin, size_t end,
                      size_t offset);
  GrammarNodeId MakeSpace();
  GrammarNodeId MakeStringCharacter();
  GrammarNodeId MakeFreeString();

  Grammar& grammar_;
  std::optional<GrammarRuleId> space_, string_character_, free_string_;
};

}  // namespace forge
