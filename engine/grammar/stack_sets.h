#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/grammar_limits.h"
#include "kernels/base/status.h"

namespace forge {

// Reads text byte by byte along a grammar's automaton, in every way at once, and remembers where
// each byte led.
//
// A way to read is a stack: the state within a rule, and below it the states to return to. A set of
// stacks is kept as one frame for each state on top, with the set of all stacks below it (a
// graph-structured stack), so that ambiguous grammars take polynomial, not exponential room. Equal
// sets have equal ids, and what a byte does to a set is computed once.
//
// Limits (grammar_limits.h): past them status() is an error, and everything returned is kNothing.
// Not thread-safe. Lifetime: the automaton must outlive it.
class StackSets {
 public:
  using SetId = uint32_t;
  static constexpr SetId kNothing = 0;   // no way to read
  static constexpr SetId kComplete = 1;  // the text is complete, and nothing may follow

  struct Frame {
    Automaton::StateId state;
    uint32_t count;  // rounds begun, of a repetition; 0 of other states
    SetId below;

    friend bool operator==(const Frame&, const Frame&) = default;
  };

  struct Limits {
    size_t work = kMaxMaskWork;     // frames looked at between two calls of BeginWork
    size_t bytes = kMaxStoreBytes;  // of what is remembered
  };

  explicit StackSets(const Automaton& automaton) : StackSets(automaton, Limits()) {}
  StackSets(const Automaton& automaton, Limits limits);

  // What may come first in a text.
  SetId Start();
  // What may come after `byte`. REQUIRES: `set` came from Start, Next, Resume or Only.
  SetId Next(SetId set, uint8_t byte) {
    if (set <= kComplete) return kNothing;
    const uint32_t row = sets_[set].row;
    if (row != kNoRow) {
      const SetId known = rows_[row + automaton_.class_of(byte)];
      if (known != kUnknown) return known;
    }
    return ComputeNext(set, automaton_.class_of(byte));
  }
  // What may come after a rule that returns to `below`.
  SetId Resume(SetId below);
  // The stack of this one state, whose rule's end completes the text.
  SetId Only(Automaton::StateId state);

  bool IsComplete(SetId set) const { return sets_[set].is_complete; }
  bool CanContinue(SetId set) const { return sets_[set].n_frames > 0; }
  // The bytes that Next can read. Takes as long as the set has frames, and remembers nothing.
  std::bitset<256> BytesAfter(SetId set) const;
  std::span<const Frame> frames(SetId set) const {
    return std::span(frames_).subspan(sets_[set].first_frame, sets_[set].n_frames);
  }

  // Starts counting work anew: a limit holds for what is done between two calls.
  void BeginWork() { work_ = 0; }
  const Status& status() const { return status_; }
  // Makes status() an error of reason GRAMMAR_TOO_COMPLEX; the first one stays.
  void Fail(const std::string& problem);

  size_t bytes() const;
  // Forgets everything but `set`, whose new id it returns.
  SetId Compact(SetId set);

 private:
  static constexpr uint32_t kNoRow = UINT32_MAX;
  static constexpr SetId kUnknown = UINT32_MAX;

  struct Set {
    size_t first_frame = 0;
    uint32_t n_frames = 0;
    uint32_t depth = 0;     // of its deepest stack
    uint32_t row = kNoRow;  // into rows_
    SetId resumed = kUnknown;
    bool is_complete = false;  // holds the empty stack
  };

  // The frames met in one step, each once.
  class FrameList {
   public:
    void Clear();
    void Add(const Frame& frame);
    size_t size() const { return frames_.size(); }
    const Frame& operator[](size_t i) const { return frames_[i]; }

   private:
    std::vector<Frame> frames_;
    std::vector<uint32_t> slots_;  // indices into frames_, plus one; a power of two of them
  };

  void Reset();
  SetId ComputeNext(SetId set, size_t byte_class);
  // Follows calls, repetitions and ends from the frames in open_ until all wait for a byte.
  SetId Settle();
  void Follow(const Frame& frame);
  void FollowRepeat(const Frame& frame, const Automaton::Repeat& repeat);
  SetId Push(const Frame& frame);
  SetId Union(SetId a, SetId b);
  // The set of these frames, which are sorted and merged here.
  SetId Merge(std::vector<Frame>& frames, bool is_complete);
  SetId Intern(std::span<const Frame> frames, bool is_complete);
  void GrowTable();
  SetId CopyFrom(const StackSets& other, SetId set, std::unordered_map<SetId, SetId>& copies);

  // Constant after construction.
  const Automaton& automaton_;
  const Limits limits_;

  std::vector<Set> sets_;
  std::vector<Frame> frames_;
  std::vector<SetId> rows_;   // [n_rows, n_classes]
  std::vector<SetId> table_;  // hash table of sets_; kNothing: free
  std::unordered_map<uint64_t, SetId> unions_;

  FrameList open_;
  std::vector<Frame> ready_;  // frames of open_ that wait for a byte
  bool complete_ = false;     // and whether the text may end
  size_t work_ = 0;
  Status status_;
};

}  // namespace forge
