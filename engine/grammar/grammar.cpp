#include "engine/grammar/grammar.h"

#include <utility>

namespace forge {

using Kind = GrammarNode::Kind;

GrammarNodeId Grammar::Add(GrammarNode node, std::span<const GrammarNodeId> children) {
  node.first_child = static_cast<uint32_t>(children_.size());
  node.n_children = static_cast<uint32_t>(children.size());
  children_.insert(children_.end(), children.begin(), children.end());
  nodes_.push_back(node);
  return static_cast<GrammarNodeId>(nodes_.size() - 1);
}

GrammarNodeId Grammar::Literal(std::string bytes) {
  literals_.push_back(std::move(bytes));
  return Add({Kind::kLiteral, static_cast<uint32_t>(literals_.size() - 1)});
}

GrammarNodeId Grammar::Chars(CharSet characters) {
  // Hostile grammars repeat one set many times.
  if (char_sets_.empty() || char_sets_.back() != characters)
    char_sets_.push_back(std::move(characters));
  return Add({Kind::kChars, static_cast<uint32_t>(char_sets_.size() - 1)});
}

GrammarNodeId Grammar::Reference(GrammarRuleId rule) { return Add({Kind::kRule, rule}); }

GrammarNodeId Grammar::Sequence(const std::vector<GrammarNodeId>& parts) {
  if (parts.size() == 1) return parts.front();
  return Add({Kind::kSequence}, parts);
}

GrammarNodeId Grammar::Choice(const std::vector<GrammarNodeId>& alternatives) {
  if (alternatives.size() == 1) return alternatives.front();
  return Add({Kind::kChoice}, alternatives);
}

GrammarNodeId Grammar::Repeat(GrammarNodeId body, uint32_t min, uint32_t max) {
  return Add({Kind::kRepeat, 0, min, max}, {&body, 1});
}

GrammarRuleId Grammar::Import(const Grammar& other) {
  const auto first_node = static_cast<uint32_t>(nodes_.size());
  const auto first_rule = static_cast<uint32_t>(rules_.size());
  const auto first_child = static_cast<uint32_t>(children_.size());
  const auto first_literal = static_cast<uint32_t>(literals_.size());
  const auto first_set = static_cast<uint32_t>(char_sets_.size());
  for (GrammarNode node : other.nodes_) {
    if (node.kind == Kind::kLiteral) node.index += first_literal;
    if (node.kind == Kind::kChars) node.index += first_set;
    if (node.kind == Kind::kRule) node.index += first_rule;
    node.first_child += first_child;
    nodes_.push_back(node);
  }
  for (const GrammarNodeId child : other.children_) children_.push_back(child + first_node);
  for (Rule rule : other.rules_) {
    if (rule.body != kNoBody) rule.body += first_node;
    rules_.push_back(std::move(rule));
  }
  literals_.insert(literals_.end(), other.literals_.begin(), other.literals_.end());
  char_sets_.insert(char_sets_.end(), other.char_sets_.begin(), other.char_sets_.end());
  return first_rule + other.root_;
}

GrammarRuleId Grammar::AddRule(std::string name) {
  rules_.push_back({std::move(name), kNoBody});
  return static_cast<GrammarRuleId>(rules_.size() - 1);
}

}  // namespace forge
