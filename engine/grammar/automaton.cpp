#include "engine/grammar/automaton.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "engine/grammar/grammar_limits.h"
#include "engine/grammar/utf8_ranges.h"

namespace forge {
namespace {

using Kind = GrammarNode::Kind;
using StateId = Automaton::StateId;
using Edge = Automaton::Edge;
constexpr StateId kNoState = Automaton::kNoState;

// Counted repetitions up to this many states are written out; longer ones count while they run.
constexpr uint64_t kMostUnrolledStates = 64;
// Rules up to this many states become part of their callers, in grammars up to this many nodes.
constexpr uint64_t kMostInlinedStates = 48;
constexpr size_t kMostNodesToInline = 20'000;
constexpr uint64_t kEndless = UINT64_MAX / 4;

Status TooLarge(std::string_view what, uint64_t limit) {
  return InvalidArgument("grammar is too complex: its automaton needs more than " +
                         std::to_string(limit) + " " + std::string(what))
      .WithReason("GRAMMAR_TOO_COMPLEX")
      .WithDetail("limit", limit);
}

// About how many states an expression takes; kEndless if it loops, is recursive or large.
class Sizes {
 public:
  explicit Sizes(const Grammar& grammar) : grammar_(grammar), rules_(grammar.n_rules(), kUnknown) {}

  uint64_t OfNode(GrammarNodeId id, int depth = 0) {
    const GrammarNode& node = grammar_.node(id);
    if (node.kind == Kind::kLiteral) return grammar_.literal(node.index).size();
    if (node.kind == Kind::kChars) return 1 + 2 * grammar_.char_set(node.index).ranges().size();
    if (node.kind == Kind::kRule) return OfRule(node.index, depth);
    uint64_t size = 1;
    for (const GrammarNodeId child : grammar_.children(node)) {
      if (node.kind == Kind::kRepeat && node.max == Grammar::kUnbounded) return kEndless;
      size += OfNode(child, depth);
      if (size > kMostInlinedStates * 16) return kEndless;
    }
    return node.kind == Kind::kRepeat ? std::min(kEndless, size * node.max) : size;
  }

  uint64_t OfRule(GrammarRuleId rule, int depth = 0) {
    constexpr int kMostDepth = 8;
    if (depth >= kMostDepth) return kEndless;
    if (rules_[rule] != kUnknown) return rules_[rule];
    rules_[rule] = kEndless;  // what a recursive use of it sees
    rules_[rule] = OfNode(grammar_.rule_body(rule), depth + 1);
    return rules_[rule];
  }

 private:
  static constexpr uint64_t kUnknown = UINT64_MAX;
  const Grammar& grammar_;
  std::vector<uint64_t> rules_;
};

}  // namespace

// Builds Thompson's automaton from the end backwards, with steps that read nothing, and then drops
// those steps.
class AutomatonBuilder {
 public:
  AutomatonBuilder(const Grammar& grammar, const GrammarFacts& facts)
      : grammar_(grammar),
        facts_(facts),
        sizes_(grammar),
        may_inline_(grammar.n_nodes() <= kMostNodesToInline),
        starts_(grammar.n_rules(), kNoState) {}

  Result<Automaton> Build() {
    StartOf(grammar_.root());
    while (!open_rules_.empty()) {
      const GrammarRuleId rule = open_rules_.back();
      open_rules_.pop_back();
      const StateId body = Compile(grammar_.rule_body(rule), NewFinal());
      SetJumps(starts_[rule], {&body, 1});
      if (is_too_large_) return TooLarge("states", kMaxAutomatonStates);
    }
    FORGE_TRY(Flatten());
    MarkTailCalls();
    MakeByteClasses();
    return std::move(automaton_);
  }

 private:
  struct RawState {
    uint32_t first_jump = 0, n_jumps = 0;  // of raw_jumps_
    uint32_t first_edge = 0, n_edges = 0;  // of raw_edges_
    StateId call = kNoState, return_to = kNoState;
    Automaton::Repeat repeat;  // of a repetition; body is kNoState otherwise
    bool is_final = false;
  };

  StateId NewState() {
    if (raw_.size() >= kMaxAutomatonStates) {
      is_too_large_ = true;
      return 0;
    }
    raw_.emplace_back();
    return static_cast<StateId>(raw_.size() - 1);
  }
  StateId NewFinal() {
    const StateId state = NewState();
    raw_[state].is_final = true;
    return state;
  }
  StateId NewFork(std::span<const StateId> jumps) {
    const StateId state = NewState();
    SetJumps(state, jumps);
    return state;
  }
  // REQUIRES: the state has none.
  void SetJumps(StateId state, std::span<const StateId> jumps) {
    raw_[state].first_jump = static_cast<uint32_t>(raw_jumps_.size());
    raw_[state].n_jumps = static_cast<uint32_t>(jumps.size());
    raw_jumps_.insert(raw_jumps_.end(), jumps.begin(), jumps.end());
  }
  // As with the jumps.
  void SetEdges(StateId state, std::span<const Edge> edges) {
    raw_[state].first_edge = static_cast<uint32_t>(raw_edges_.size());
    raw_[state].n_edges = static_cast<uint32_t>(edges.size());
    raw_edges_.insert(raw_edges_.end(), edges.begin(), edges.end());
  }
  // A state from which one edge leads.
  StateId NewReader(const Edge& edge) {
    const StateId state = NewState();
    SetEdges(state, {&edge, 1});
    return state;
  }

  // The rule's first state; its body follows when its turn comes.
  StateId StartOf(GrammarRuleId rule) {
    if (starts_[rule] == kNoState) {
      starts_[rule] = NewState();
      open_rules_.push_back(rule);
    }
    return starts_[rule];
  }

  // The state from which `id` is read and then `next`. REQUIRES: `id` is productive.
  StateId Compile(GrammarNodeId id, StateId next);
  StateId CompileLiteral(const std::string& bytes, StateId next);
  StateId CompileChars(const CharSet& characters, StateId next);
  StateId CompileRule(GrammarRuleId rule, StateId next);
  StateId CompileChoice(const GrammarNode& node, StateId next);
  StateId CompileRepeat(const GrammarNode& node, StateId next);

  Status Flatten();
  StateId Land(StateId raw);
  void FlattenState(StateId raw);
  void MarkTailCalls();
  void MakeByteClasses();

  const Grammar& grammar_;
  const GrammarFacts& facts_;
  Sizes sizes_;
  const bool may_inline_;
  bool is_too_large_ = false;
  std::deque<RawState> raw_;        // grows without moving what is there
  std::vector<StateId> raw_jumps_;  // steps that read nothing
  std::vector<Edge> raw_edges_;
  std::vector<StateId> starts_;  // of each rule
  std::vector<GrammarRuleId> open_rules_;

  Automaton automaton_;
  std::deque<Edge> flat_edges_;    // the automaton's, as raw_
  std::vector<StateId> landed_;    // raw state of each final one
  std::vector<StateId> final_id_;  // of each raw state, or kNoState
  std::vector<uint32_t> seen_in_;  // the final state whose jumps came last to a raw one
  size_t n_visits_ = 0;
};

StateId AutomatonBuilder::Compile(GrammarNodeId id, StateId next) {
  if (is_too_large_) return next;  // the rest costs time and changes nothing
  const GrammarNode& node = grammar_.node(id);
  switch (node.kind) {
    case Kind::kLiteral:
      return CompileLiteral(grammar_.literal(node.index), next);
    case Kind::kChars:
      return CompileChars(grammar_.char_set(node.index), next);
    case Kind::kRule:
      return CompileRule(node.index, next);
    case Kind::kChoice:
      return CompileChoice(node, next);
    case Kind::kRepeat:
      return CompileRepeat(node, next);
    case Kind::kSequence:
      break;
  }
  const auto parts = grammar_.children(node);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) next = Compile(*part, next);
  return next;
}

StateId AutomatonBuilder::CompileLiteral(const std::string& bytes, StateId next) {
  for (auto byte = bytes.rbegin(); byte != bytes.rend() && !is_too_large_; ++byte)
    next = NewReader({static_cast<uint8_t>(*byte), static_cast<uint8_t>(*byte), next});
  return next;
}

StateId AutomatonBuilder::CompileChars(const CharSet& characters, StateId next) {
  std::vector<Edge> heads;
  std::map<std::tuple<uint8_t, uint8_t, StateId>, StateId> tails;  // equal ends are shared
  for (const CodePointRange& range : characters.ranges()) {
    for (const ByteRangeSequence& sequence : Utf8Ranges(range)) {
      StateId to = next;
      for (size_t i = sequence.size - 1; i > 0; --i) {
        const ByteRange bytes = sequence.bytes[i];
        const auto [tail, is_new] = tails.try_emplace({bytes.first, bytes.last, to}, kNoState);
        if (is_new) tail->second = NewReader({bytes.first, bytes.last, to});
        to = tail->second;
      }
      heads.push_back({sequence.bytes[0].first, sequence.bytes[0].last, to});
    }
  }
  const StateId state = NewState();
  SetEdges(state, heads);
  return state;
}

StateId AutomatonBuilder::CompileRule(GrammarRuleId rule, StateId next) {
  if (may_inline_ && sizes_.OfRule(rule) <= kMostInlinedStates)
    return Compile(grammar_.rule_body(rule), next);
  const StateId start = StartOf(rule);
  const StateId state = NewState();
  raw_[state].call = start;
  raw_[state].return_to = next;
  return state;
}

StateId AutomatonBuilder::CompileChoice(const GrammarNode& node, StateId next) {
  std::vector<StateId> jumps;
  for (const GrammarNodeId child : grammar_.children(node))
    if (facts_.IsProductive(child)) jumps.push_back(Compile(child, next));
  return NewFork(jumps);
}

StateId AutomatonBuilder::CompileRepeat(const GrammarNode& node, StateId next) {
  const GrammarNodeId body = grammar_.children(node).front();
  if (node.max == 0 || !facts_.IsProductive(body)) return next;
  if (node.max == Grammar::kUnbounded && node.min <= 1) {
    const StateId loop = NewState();
    const StateId first = Compile(body, loop);
    SetJumps(loop, std::array{first, next});
    return node.min == 0 ? loop : first;
  }
  const uint32_t n_copies = node.max == Grammar::kUnbounded ? node.min : node.max;
  const uint64_t size = std::max<uint64_t>(1, sizes_.OfNode(body));  // "" costs time, too
  if (n_copies <= 1 || (size < kEndless && size * n_copies <= kMostUnrolledStates)) {
    if (node.max == Grammar::kUnbounded) {
      const StateId loop = NewState();
      const StateId first = Compile(body, loop);
      SetJumps(loop, std::array{first, next});
      next = loop;
    }
    const StateId end = next;
    for (uint32_t i = n_copies; i > 0; --i) {
      const StateId copy = Compile(body, next);
      next = i > node.min ? NewFork(std::array{copy, end}) : copy;
    }
    return next;
  }
  const StateId inner = Compile(body, NewFinal());
  const StateId state = NewState();
  // Rounds that read nothing can be left out, so a body that may do so has no least number.
  raw_[state].repeat = {inner, next, facts_.IsNullable(body) ? 0 : node.min, node.max};
  return state;
}

// ---- Without the jumps

StateId AutomatonBuilder::Land(StateId raw) {
  if (final_id_[raw] == kNoState) {
    final_id_[raw] = static_cast<StateId>(landed_.size());
    landed_.push_back(raw);
  }
  return final_id_[raw];
}

Status AutomatonBuilder::Flatten() {
  final_id_.assign(raw_.size(), kNoState);
  seen_in_.assign(raw_.size(), kNoState);
  automaton_.start_ = Land(starts_[grammar_.root()]);
  for (size_t i = 0; i < landed_.size(); ++i) {
    FlattenState(landed_[i]);
    const size_t n_steps =
        flat_edges_.size() + automaton_.calls_.size() + automaton_.entered_.size();
    if (n_steps > kMaxAutomatonEdges || n_visits_ > 4 * kMaxAutomatonEdges)
      return TooLarge("steps", kMaxAutomatonEdges);
  }
  automaton_.states_.emplace_back();
  automaton_.states_.back().first_edge = static_cast<uint32_t>(flat_edges_.size());
  automaton_.states_.back().first_call = static_cast<uint32_t>(automaton_.calls_.size());
  automaton_.states_.back().first_entered = static_cast<uint32_t>(automaton_.entered_.size());
  automaton_.edges_.assign(flat_edges_.begin(), flat_edges_.end());
  return Status();
}

// Everything that the state's jumps lead to.
void AutomatonBuilder::FlattenState(StateId raw) {
  Automaton::State state;
  state.first_edge = static_cast<uint32_t>(flat_edges_.size());
  state.first_call = static_cast<uint32_t>(automaton_.calls_.size());
  state.first_entered = static_cast<uint32_t>(automaton_.entered_.size());
  if (const Automaton::Repeat& repeat = raw_[raw].repeat; repeat.body != kNoState) {
    state.repeat = static_cast<uint32_t>(automaton_.repeats_.size());
    automaton_.repeats_.push_back({Land(repeat.body), Land(repeat.next), repeat.min, repeat.max});
    automaton_.states_.push_back(state);
    return;
  }
  std::vector<StateId> open = {raw};
  while (!open.empty()) {
    const StateId id = open.back();
    open.pop_back();
    if (seen_in_[id] == raw) continue;
    seen_in_[id] = raw;
    ++n_visits_;
    const RawState& from = raw_[id];
    state.is_final |= from.is_final;
    for (const Edge& edge : std::span(raw_edges_).subspan(from.first_edge, from.n_edges))
      flat_edges_.push_back({edge.first, edge.last, Land(edge.to)});
    if (from.call != kNoState) automaton_.calls_.push_back({Land(from.call), Land(from.return_to)});
    if (from.repeat.body != kNoState) automaton_.entered_.push_back(Land(id));
    const auto jumps = std::span(raw_jumps_).subspan(from.first_jump, from.n_jumps);
    open.insert(open.end(), jumps.begin(), jumps.end());
  }
  automaton_.states_.push_back(state);
}

void AutomatonBuilder::MarkTailCalls() {
  for (Automaton::Call& call : automaton_.calls_) {
    const StateId to = call.return_to;
    const bool only_ends = automaton_.is_final(to) && automaton_.edges(to).empty() &&
                           automaton_.calls(to).empty() && automaton_.entered(to).empty();
    if (only_ends) call.return_to = kNoState;
  }
}

void AutomatonBuilder::MakeByteClasses() {
  std::array<bool, 257> begins{};
  begins[0] = true;
  for (const Edge& edge : automaton_.edges_) begins[edge.first] = begins[edge.last + 1u] = true;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (begins[byte]) automaton_.class_bytes_.push_back(static_cast<uint8_t>(byte));
    automaton_.byte_classes_[byte] = static_cast<uint8_t>(automaton_.class_bytes_.size() - 1);
  }
}

Result<Automaton> Automaton::Build(const Grammar& grammar, const GrammarFacts& facts) {
  return AutomatonBuilder(grammar, facts).Build();
}

}  // namespace forge
