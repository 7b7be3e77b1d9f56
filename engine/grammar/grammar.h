#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/grammar/char_set.h"

namespace forge {

using GrammarNodeId = uint32_t;
using GrammarRuleId = uint32_t;

// One node of a rule's expression, a tree.
struct GrammarNode {
  enum class Kind : uint8_t {
    kLiteral,   // Grammar::literal(index), UTF-8
    kChars,     // one character of Grammar::char_set(index)
    kRule,      // what the rule `index` matches
    kSequence,  // the children one after another; without children the empty text
    kChoice,    // one of the children; without children nothing at all
    kRepeat,    // the child, `min` to `max` times
  };
  Kind kind;
  uint32_t index = 0;
  uint32_t min = 0;
  uint32_t max = 0;          // Grammar::kUnbounded: any number
  uint32_t first_child = 0;  // what Grammar::children() gives
  uint32_t n_children = 0;
};

// A context-free grammar whose rules are expressions over characters. A text belongs to it if the
// root rule matches all of it.
//
// Invariant: every id in a node or rule is below n_nodes() or n_rules(), and a node is the child of
// at most one other. Not thread-safe while it is built.
class Grammar {
 public:
  static constexpr uint32_t kUnbounded = UINT32_MAX;
  static constexpr GrammarNodeId kNoBody = UINT32_MAX;

  GrammarNodeId Literal(std::string bytes);
  GrammarNodeId Chars(CharSet characters);
  GrammarNodeId Reference(GrammarRuleId rule);
  GrammarNodeId Sequence(const std::vector<GrammarNodeId>& parts);
  GrammarNodeId Choice(const std::vector<GrammarNodeId>& alternatives);
  GrammarNodeId Repeat(GrammarNodeId body, uint32_t min, uint32_t max);
  GrammarNodeId Optional(GrammarNodeId body) { return Repeat(body, 0, 1); }
  GrammarNodeId Empty() { return Sequence({}); }
  GrammarNodeId Nothing() { return Choice({}); }

  // Takes another grammar in; returns what its root is here.
  GrammarRuleId Import(const Grammar& other);

  // A rule whose body comes later; until then it has kNoBody.
  GrammarRuleId AddRule(std::string name);
  void SetBody(GrammarRuleId rule, GrammarNodeId body) { rules_[rule].body = body; }
  void SetRoot(GrammarRuleId rule) { root_ = rule; }

  size_t n_nodes() const { return nodes_.size(); }
  size_t n_rules() const { return rules_.size(); }
  const GrammarNode& node(GrammarNodeId id) const { return nodes_[id]; }
  std::span<const GrammarNodeId> children(const GrammarNode& node) const {
    return std::span(children_).subspan(node.first_child, node.n_children);
  }
  const std::string& literal(uint32_t index) const { return literals_[index]; }
  const CharSet& char_set(uint32_t index) const { return char_sets_[index]; }
  const std::string& rule_name(GrammarRuleId rule) const { return rules_[rule].name; }
  GrammarNodeId rule_body(GrammarRuleId rule) const { return rules_[rule].body; }
  GrammarRuleId root() const { return root_; }

 private:
  struct Rule {
    std::string name;
    GrammarNodeId body = kNoBody;
  };

  GrammarNodeId Add(GrammarNode node, std::span<const GrammarNodeId> children = {});

  std::vector<GrammarNode> nodes_;
  std::vector<GrammarNodeId> children_;  // of all nodes
  std::vector<std::string> literals_;
  std::vector<CharSet> char_sets_;
  std::vector<Rule> rules_;
  GrammarRuleId root_ = 0;
};

}  // namespace forge
