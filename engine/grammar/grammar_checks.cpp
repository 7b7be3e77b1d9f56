#include "engine/grammar/grammar_checks.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <string>
#include <utility>

#include "engine/grammar/grammar_limits.h"

namespace forge {
namespace {

using Kind = GrammarNode::Kind;
constexpr uint64_t kMostBytes = GrammarFacts::kNever - 1;

uint64_t SaturatingAdd(uint64_t a, uint64_t b) { return b > kMostBytes - a ? kMostBytes : a + b; }

uint64_t SaturatingMultiply(uint64_t a, uint64_t b) {
  return a != 0 && b > kMostBytes / a ? kMostBytes : a * b;
}

uint64_t Utf8Bytes(char32_t character) {
  return character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
}

// Knuth, "A generalization of Dijkstra's algorithm", 1977: settles nodes by ascending cost, so that
// each is looked at once however the rules refer to each other.
class ShortestTexts {
 public:
  explicit ShortestTexts(const Grammar& grammar)
      : grammar_(grammar),
        shortest_(grammar.n_nodes(), GrammarFacts::kNever),
        sums_(grammar.n_nodes(), 0),
        n_open_(grammar.n_nodes(), 0),
        first_user_(grammar.n_nodes() + 1, 0) {
    ForEachUse([this](GrammarNodeId used, GrammarNodeId) { ++first_user_[used]; });
    // Now each place is the end of its list, and filling from there moves it to the first user.
    std::partial_sum(first_user_.begin(), first_user_.end(), first_user_.begin());
    users_.resize(first_user_.back());
    ForEachUse(
        [this](GrammarNodeId used, GrammarNodeId user) { users_[--first_user_[used]] = user; });
    for (GrammarNodeId id = 0; id < grammar.n_nodes(); ++id)
      n_open_[id] = grammar.node(id).n_children;
  }

  std::vector<uint64_t> Compute() {
    for (GrammarNodeId id = 0; id < grammar_.n_nodes(); ++id) Begin(id);
    while (!queue_.empty()) {
      const auto [bytes, id] = queue_.top();
      queue_.pop();
      if (shortest_[id] != GrammarFacts::kNever) continue;
      shortest_[id] = bytes;
      for (uint32_t i = first_user_[id]; i < first_user_[id + 1]; ++i) Tell(users_[i], bytes);
    }
    return std::move(shortest_);
  }

 private:
  // A part is used by what it is a part of, a rule's body by the references to the rule.
  template <typename Use>
  void ForEachUse(const Use& use) const {
    for (GrammarNodeId id = 0; id < grammar_.n_nodes(); ++id) {
      const GrammarNode& node = grammar_.node(id);
      for (const GrammarNodeId child : grammar_.children(node)) use(child, id);
      if (node.kind == Kind::kRule) use(grammar_.rule_body(node.index), id);
    }
  }

  void Offer(GrammarNodeId id, uint64_t bytes) { queue_.push({bytes, id}); }

  void Begin(GrammarNodeId id) {
    const GrammarNode& node = grammar_.node(id);
    if (node.kind == Kind::kLiteral) Offer(id, grammar_.literal(node.index).size());
    if (node.kind == Kind::kChars && !grammar_.char_set(node.index).empty())
      Offer(id, Utf8Bytes(grammar_.char_set(node.index).ranges().front().first));
    if (node.kind == Kind::kSequence && node.n_children == 0) Offer(id, 0);
    if (node.kind == Kind::kRepeat && node.min == 0) Offer(id, 0);
  }

  // A part of `id` is settled.
  void Tell(GrammarNodeId id, uint64_t bytes) {
    const GrammarNode& node = grammar_.node(id);
    if (node.kind == Kind::kSequence) {
      sums_[id] = SaturatingAdd(sums_[id], bytes);
      if (--n_open_[id] == 0) Offer(id, sums_[id]);
    } else {
      Offer(id, node.kind == Kind::kRepeat ? SaturatingMultiply(bytes, node.min) : bytes);
    }
  }

  using Entry = std::pair<uint64_t, GrammarNodeId>;
  const Grammar& grammar_;
  std::vector<uint64_t> shortest_;
  std::vector<uint64_t> sums_;        // of a sequence's settled parts
  std::vector<uint32_t> n_open_;      // parts of a sequence that are not settled
  std::vector<uint32_t> first_user_;  // [n_nodes + 1], of users_
  std::vector<GrammarNodeId> users_;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
};

// Finds a rule that can come to itself before anything is read.
class LeftRecursion {
 public:
  LeftRecursion(const Grammar& grammar, const GrammarFacts& facts)
      : grammar_(grammar), facts_(facts), first_rules_(grammar.n_rules()) {
    for (GrammarRuleId rule = 0; rule < grammar.n_rules(); ++rule)
      Collect(grammar.rule_body(rule), first_rules_[rule]);
  }

  Status Check() {
    std::vector<Mark> marks(grammar_.n_rules(), Mark::kNew);
    for (GrammarRuleId rule = 0; rule < grammar_.n_rules(); ++rule)
      if (marks[rule] == Mark::kNew) FORGE_TRY(Visit(rule, marks));
    return Status();
  }

 private:
  enum class Mark : uint8_t { kNew, kOpen, kDone };
  struct Step {
    GrammarRuleId rule;
    size_t next;  // of its first rules
  };

  // The rules that may come first in `id`.
  void Collect(GrammarNodeId id, std::vector<GrammarRuleId>& rules) const {
    const GrammarNode& node = grammar_.node(id);
    if (!facts_.IsProductive(id) || (node.kind == Kind::kRepeat && node.max == 0)) return;
    if (node.kind == Kind::kRule) rules.push_back(node.index);
    for (const GrammarNodeId child : grammar_.children(node)) {
      Collect(child, rules);
      if (node.kind == Kind::kSequence && !facts_.IsNullable(child)) return;
    }
  }

  // Depth first without recursion: chains of rules may be long.
  Status Visit(GrammarRuleId start, std::vector<Mark>& marks) const {
    std::vector<Step> path = {{start, 0}};
    marks[start] = Mark::kOpen;
    while (!path.empty()) {
      Step& step = path.back();
      if (step.next == first_rules_[step.rule].size()) {
        marks[step.rule] = Mark::kDone;
        path.pop_back();
        continue;
      }
      const GrammarRuleId next = first_rules_[step.rule][step.next++];
      if (marks[next] == Mark::kOpen) return Cycle(path, next);
      if (marks[next] == Mark::kDone) continue;
      marks[next] = Mark::kOpen;
      path.push_back({next, 0});
    }
    return Status();
  }

  Status Cycle(const std::vector<Step>& path, GrammarRuleId again) const {
    constexpr size_t kMostNames = 8;
    std::string names;
    size_t n_names = 0;
    auto step = path.rbegin();
    while (step->rule != again) ++step;
    for (auto i = step.base() - 1; i != path.end() && n_names < kMostNames; ++i, ++n_names)
      names += grammar_.rule_name(i->rule) + " -> ";
    if (n_names == kMostNames) names += "... -> ";
    return InvalidArgument("grammar is left-recursive: a rule can begin with itself (" + names +
                           grammar_.rule_name(again) +
                           "); write the repetition after what is repeated")
        .WithReason("GRAMMAR_INVALID")
        .WithDetail("rule", grammar_.rule_name(again));
  }

  const Grammar& grammar_;
  const GrammarFacts& facts_;
  std::vector<std::vector<GrammarRuleId>> first_rules_;  // of each rule
};

// Whether any text but the empty one can be read.
bool MatchesOnlyNothing(const Grammar& grammar, const GrammarFacts& facts) {
  std::vector<bool> seen(grammar.n_rules(), false);
  std::vector<GrammarNodeId> open = {grammar.rule_body(grammar.root())};
  while (!open.empty()) {
    const GrammarNodeId id = open.back();
    open.pop_back();
    const GrammarNode& node = grammar.node(id);
    if (!facts.IsProductive(id) || (node.kind == Kind::kRepeat && node.max == 0)) continue;
    if (facts.shortest_bytes[id] > 0 || node.kind == Kind::kChars) return false;
    if (node.kind == Kind::kRule && !seen[node.index]) {
      seen[node.index] = true;
      open.push_back(grammar.rule_body(node.index));
    }
    const auto children = grammar.children(node);
    open.insert(open.end(), children.begin(), children.end());
  }
  return true;
}

Status TooComplex(const std::string& what, uint64_t value, uint64_t limit) {
  return InvalidArgument("grammar is too complex: " + what + " is " + std::to_string(value) +
                         ", at most " + std::to_string(limit))
      .WithReason("GRAMMAR_TOO_COMPLEX")
      .WithDetail("value", value)
      .WithDetail("limit", limit);
}

}  // namespace

Result<GrammarFacts> CheckGrammar(const Grammar& grammar) {
  if (grammar.n_rules() > kMaxGrammarRules)
    return TooComplex("the number of its rules", grammar.n_rules(), kMaxGrammarRules);
  if (grammar.n_nodes() > kMaxGrammarNodes)
    return TooComplex("the number of its parts", grammar.n_nodes(), kMaxGrammarNodes);
  GrammarFacts facts;
  facts.shortest_bytes = ShortestTexts(grammar).Compute();
  const uint64_t shortest = facts.shortest_bytes[grammar.rule_body(grammar.root())];
  if (shortest == GrammarFacts::kNever)
    return InvalidArgument("grammar matches no finite text: its root can never end")
        .WithReason("GRAMMAR_INVALID");
  if (shortest > kMaxShortestBytes)
    return TooComplex("the length of the shortest text that it allows", shortest,
                      kMaxShortestBytes);
  if (shortest == 0 && MatchesOnlyNothing(grammar, facts))
    return InvalidArgument("grammar matches only the empty text").WithReason("GRAMMAR_INVALID");
  FORGE_TRY(LeftRecursion(grammar, facts).Check());
  return facts;
}

}  // namespace forge
