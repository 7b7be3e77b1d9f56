#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/grammar/grammar.h"
#include "engine/grammar/grammar_checks.h"
#include "kernels/base/result.h"

namespace forge {

// A grammar as one automaton over bytes for each rule; an automaton may call another.
//
// A state reads a byte (edges), calls a rule and goes on at `return_to`, enters a counted
// repetition, or ends its rule. A state that is a repetition counts: see Repeat. There are no steps
// that read nothing beside calls and repetitions. Small rules without loops are part of their
// callers, so that a loop over them (the characters of a string) stays within one rule.
//
// Thread-safe: immutable.
class Automaton {
 public:
  using StateId = uint32_t;
  static constexpr StateId kNoState = UINT32_MAX;

  struct Edge {
    uint8_t first;
    uint8_t last;  // inclusive
    StateId to;
  };
  struct Call {
    StateId start;
    StateId return_to;  // kNoState: the caller ends with the call
  };
  // Runs `body`, which matches no empty text unless min is 0, between min and max times, then goes
  // on at `next`.
  struct Repeat {
    StateId body = kNoState;
    StateId next = kNoState;
    uint32_t min = 0;
    uint32_t max = 0;  // Grammar::kUnbounded
  };

  // REQUIRES: `facts` are the grammar's. kInvalidArgument (reason GRAMMAR_TOO_COMPLEX) past a
  // limit.
  static Result<Automaton> Build(const Grammar& grammar, const GrammarFacts& facts);

  StateId start() const { return start_; }
  size_t n_states() const { return states_.size(); }
  std::span<const Edge> edges(StateId state) const {
    return std::span(edges_).subspan(states_[state].first_edge,
                                     states_[state + 1].first_edge - states_[state].first_edge);
  }
  std::span<const Call> calls(StateId state) const {
    return std::span(calls_).subspan(states_[state].first_call,
                                     states_[state + 1].first_call - states_[state].first_call);
  }
  // The repetitions that `state` may enter.
  std::span<const StateId> entered(StateId state) const {
    return std::span(entered_).subspan(
        states_[state].first_entered,
        states_[state + 1].first_entered - states_[state].first_entered);
  }
  bool is_final(StateId state) const { return states_[state].is_final; }
  // Null for an ordinary state.
  const Repeat* repeat(StateId state) const {
    const uint32_t index = states_[state].repeat;
    return index == kNoRepeat ? nullptr : &repeats_[index];
  }

  // Bytes that no state tells apart share a class.
  size_t n_classes() const { return class_bytes_.size(); }
  uint8_t class_of(uint8_t byte) const { return byte_classes_[byte]; }
  uint8_t byte_of_class(size_t byte_class) const { return class_bytes_[byte_class]; }

 private:
  friend class AutomatonBuilder;
  static constexpr uint32_t kNoRepeat = UINT32_MAX;

  struct State {
    uint32_t first_edge = 0, first_call = 0, first_entered = 0;
    uint32_t repeat = kNoRepeat;
    bool is_final = false;
  };

  Automaton() = default;

  StateId start_ = 0;
  std::vector<State> states_;  // one more than there are, to end the last one's lists
  std::vector<Edge> edges_;
  std::vector<Call> calls_;
  std::vector<StateId> entered_;
  std::vector<Repeat> repeats_;
  std::array<uint8_t, 256> byte_classes_{};
  std::vector<uint8_t> class_bytes_;  // one byte of each class
};

}  // namespace forge
