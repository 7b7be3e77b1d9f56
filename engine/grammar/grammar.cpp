#include "engine/grammar/grammar.h"

#include <utility>

namespace forge {

using Kind = GrammarNode::Kind;

GrammarNodeId Grammar::Add(GrammarNode node) {
  nodes_.push_back(std::move(node));
  return static_cast<GrammarNodeId>(nodes_.size() - 1);
}

GrammarNodeId Grammar::Literal(std::string bytes) {
  literals_.push_back(std::move(bytes));
  return Add({Kind::kLiteral, static_cast<uint32_t>(literals_.size() - 1), 0, 0, {}});
}

GrammarNodeId Grammar::Chars(CharSet characters) {
  char_sets_.push_back(std::move(characters));
  return Add({Kind::kChars, static_cast<uint32_t>(char_sets_.size() - 1), 0, 0, {}});
}

GrammarNodeId Grammar::Reference(GrammarRuleId rule) { return Add({Kind::kRule, rule, 0, 0, {}}); }

GrammarNodeId Grammar::Sequence(std::vector<GrammarNodeId> parts) {
  if (parts.size() == 1) return parts.front();
  return Add({Kind::kSequence, 0, 0, 0, std::move(parts)});
}

GrammarNodeId Grammar::Choice(std::vector<GrammarNodeId> alternatives) {
  if (alternatives.size() == 1) return alternatives.front();
  return Add({Kind::kChoice, 0, 0, 0, std::move(alternatives)});
}

GrammarNodeId Grammar::Repeat(GrammarNodeId body, uint32_t min, uint32_t max) {
  return Add({Kind::kRepeat, 0, min, max, {body}});
}

GrammarRuleId Grammar::Import(const Grammar& other) {
  const auto first_node = static_cast<uint32_t>(nodes_.size());
  const auto first_rule = static_cast<uint32_t>(rules_.size());
  const auto first_literal = static_cast<uint32_t>(literals_.size());
  const auto first_set = static_cast<uint32_t>(char_sets_.size());
  for (GrammarNode node : other.nodes_) {
    if (node.kind == Kind::kLiteral) node.index += first_literal;
    if (node.kind == Kind::kChars) node.index += first_set;
    if (node.kind == Kind::kRule) node.index += first_rule;
    for (GrammarNodeId& child : node.children) child += first_node;
    nodes_.push_back(std::move(node));
  }
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
