#include "engine/grammar/json_text.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include "engine/text/utf8.h"

namespace forge {
namespace {

// What JSON allows in a string without an escape.
const CharSet& PlainCharacters() {
  static const CharSet plain = CharSet({{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}).Complement();
  return plain;
}

struct Escape {
  char character;
  const char* text;
};
constexpr Escape kShortEscapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\b', "\\b"}, {'\f', "\\f"},
                                    {'\n', "\\n"}, {'\r', "\\r"},  {'\t', "\\t"}};

std::string EscapeOf(char32_t character) {
  for (const Escape& escape : kShortEscapes)
    if (static_cast<char32_t>(escape.character) == character) return escape.text;
  char text[8];
  std::snprintf(text, sizeof(text), "\\u%04x", static_cast<unsigned>(character));
  return text;
}

// The keys to avoid, by their characters.
struct KeyTree {
  std::map<char32_t, KeyTree> children;
  bool is_key = false;
};

KeyTree TreeOf(const std::vector<std::string>& names) {
  KeyTree root;
  for (const std::string& name : names) {
    std::vector<char32_t> characters;
    bool is_plain = true;  // others cannot be written without escapes
    for (size_t i = 0; i < name.size() && is_plain;) {
      const Utf8Step step = DecodeUtf8(name, i);
      is_plain = PlainCharacters().Contains(step.code_point);
      characters.push_back(step.code_point);
      i += step.size;
    }
    if (!is_plain) continue;
    KeyTree* node = &root;
    for (const char32_t character : characters) node = &node->children[character];
    node->is_key = true;
  }
  return root;
}

}  // namespace

GrammarNodeId JsonText::Shared(std::optional<GrammarRuleId>& rule, std::string_view name,
                               GrammarNodeId (JsonText::*make)()) {
  if (!rule) {
    rule = grammar_.AddRule(std::string(name));
    const GrammarNodeId body = (this->*make)();
    grammar_.SetBody(*rule, body);
  }
  return grammar_.Reference(*rule);
}

GrammarNodeId JsonText::Space() { return Shared(space_, "space", &JsonText::MakeSpace); }

GrammarNodeId JsonText::MakeSpace() {
  const GrammarNodeId line = grammar_.Sequence({grammar_.Literal("\n"), Some(" \t", 0, 20)});
  return grammar_.Choice({grammar_.Empty(), grammar_.Literal(" "), line});
}

GrammarNodeId JsonText::StringCharacter() {
  return Shared(string_character_, "character", &JsonText::MakeStringCharacter);
}

GrammarNodeId JsonText::MakeStringCharacter() {
  const GrammarNodeId escape =
      grammar_.Sequence({grammar_.Literal("\\"), grammar_.Chars(CharSet::Of("\"\\/bfnrt"))});
  // No surrogates: half a pair is no character, and the grammar does not count a pair as one.
  const GrammarNodeId low = grammar_.Sequence({OneOf("0-9a-cA-Ce-fE-F"), Some("0-9a-fA-F", 3, 3)});
  const GrammarNodeId high =
      grammar_.Sequence({OneOf("dD"), OneOf("0-7"), Some("0-9a-fA-F", 2, 2)});
  const GrammarNodeId unicode =
      grammar_.Sequence({grammar_.Literal("\\u"), grammar_.Choice({low, high})});
  return grammar_.Choice({grammar_.Chars(PlainCharacters()), escape, unicode});
}

GrammarNodeId JsonText::StringCharacter(const CharSet& characters) {
  std::vector<GrammarNodeId> choices;
  if (characters.ranges().size() == 1 &&
      characters.ranges()[0].first == characters.ranges()[0].last) {
    const char32_t character = characters.ranges()[0].first;
    std::string bytes;
    AppendUtf8(character, bytes);
    return grammar_.Literal(PlainCharacters().Contains(character) ? bytes : EscapeOf(character));
  }
  const CharSet plain = characters.Intersection(PlainCharacters());
  if (!plain.empty()) choices.push_back(grammar_.Chars(plain));
  const CharSet escaped = characters.Intersection(PlainCharacters().Complement());
  for (const CodePointRange& range : escaped.ranges())
    for (char32_t character = range.first; character <= range.last; ++character)
      choices.push_back(grammar_.Literal(EscapeOf(character)));
  return grammar_.Choice(choices);
}

GrammarNodeId JsonText::Quoted(GrammarNodeId content) {
  return grammar_.Sequence({grammar_.Literal("\""), content, grammar_.Literal("\"")});
}

GrammarNodeId JsonText::String(uint32_t min_length, uint32_t max_length) {
  if (min_length == 0 && max_length == Grammar::kUnbounded)
    return Shared(free_string_, "string", &JsonText::MakeFreeString);
  return Quoted(grammar_.Repeat(StringCharacter(), min_length, max_length));
}

GrammarNodeId JsonText::MakeFreeString() {
  return Quoted(grammar_.Repeat(StringCharacter(), 0, Grammar::kUnbounded));
}

GrammarNodeId JsonText::KeyOtherThan(const std::vector<std::string>& names) {
  const KeyTree root = TreeOf(names);
  const GrammarRuleId first = grammar_.AddRule("key");
  std::vector<std::pair<const KeyTree*, GrammarRuleId>> open = {{&root, first}};
  while (!open.empty()) {
    const auto [node, rule] = open.back();
    open.pop_back();
    std::vector<GrammarNodeId> choices;
    if (!node->is_key) choices.push_back(grammar_.Empty());
    std::vector<CodePointRange> begun;
    for (const auto& [character, child] : node->children) {
      begun.push_back({character, character});
      const GrammarRuleId next = grammar_.AddRule("key");
      open.emplace_back(&child, next);
      std::string bytes;
      AppendUtf8(character, bytes);
      choices.push_back(grammar_.Sequence({grammar_.Literal(bytes), grammar_.Reference(next)}));
    }
    const CharSet others = PlainCharacters().Intersection(CharSet(std::move(begun)).Complement());
    const GrammarNodeId rest =
        grammar_.Repeat(grammar_.Chars(PlainCharacters()), 0, Grammar::kUnbounded);
    choices.push_back(grammar_.Sequence({grammar_.Chars(others), rest}));
    grammar_.SetBody(rule, grammar_.Choice(choices));
  }
  return Quoted(grammar_.Reference(first));
}

GrammarNodeId JsonText::AnyOf(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts.empty() ? grammar_.Nothing() : Tails(texts, 0, texts.size(), 0);
}

GrammarNodeId JsonText::Tails(const std::vector<std::string>& texts, size_t begin, size_t end,
                              size_t offset) {
  const std::string& first = texts[begin];
  const std::string& last = texts[end - 1];
  size_t shared = offset;  // in a sorted list, what its ends share is shared by all
  while (shared < first.size() && shared < last.size() && first[shared] == last[shared]) ++shared;
  const GrammarNodeId prefix = grammar_.Literal(first.substr(offset, shared - offset));
  if (begin + 1 == end) return prefix;
  std::vector<GrammarNodeId> choices;
  if (first.size() == shared) {
    choices.push_back(grammar_.Empty());
    ++begin;
  }
  while (begin < end) {
    size_t group_end = begin + 1;
    while (group_end < end && texts[group_end][shared] == texts[begin][shared]) ++group_end;
    choices.push_back(Tails(texts, begin, group_end, shared));
    begin = group_end;
  }
  return grammar_.Sequence({prefix, grammar_.Choice(choices)});
}

GrammarNodeId JsonText::OneOf(std::string_view ascii) {
  std::vector<CodePointRange> ranges;
  for (size_t i = 0; i < ascii.size(); ++i) {
    const auto first = static_cast<char32_t>(ascii[i]);
    const bool is_range = i + 2 < ascii.size() && ascii[i + 1] == '-';
    ranges.push_back({first, is_range ? static_cast<char32_t>(ascii[i + 2]) : first});
    if (is_range) i += 2;
  }
  return grammar_.Chars(CharSet(std::move(ranges)));
}

GrammarNodeId JsonText::Some(std::string_view ascii, uint32_t min, uint32_t max) {
  const GrammarNodeId one = OneOf(ascii);
  return min == 1 && max == 1 ? one : grammar_.Repeat(one, min, max);
}

}  // namespace forge
