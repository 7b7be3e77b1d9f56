#include "engine/grammar/stack_sets.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace forge {
namespace {

using Frame = StackSets::Frame;

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

uint64_t HashOf(const Frame& frame) { return Mix(Mix(frame.state, frame.count), frame.below); }

uint64_t HashOf(std::span<const Frame> frames, bool is_complete) {
  uint64_t hash = is_complete ? 1 : 2;
  for (const Frame& frame : frames) hash = Mix(hash, HashOf(frame));
  return hash;
}

}  // namespace

void StackSets::FrameList::Clear() {
  frames_.clear();
  std::fill(slots_.begin(), slots_.end(), 0);
  if (slots_.size() > 4096) slots_.assign(64, 0);
}

void StackSets::FrameList::Add(const Frame& frame) {
  if (frames_.size() * 2 >= slots_.size()) {
    slots_.assign(std::max<size_t>(64, slots_.size() * 2), 0);
    for (size_t i = 0; i < frames_.size(); ++i) {
      size_t slot = HashOf(frames_[i]) & (slots_.size() - 1);
      while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = static_cast<uint32_t>(i + 1);
    }
  }
  size_t slot = HashOf(frame) & (slots_.size() - 1);
  for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1))
    if (frames_[slots_[slot] - 1] == frame) return;
  frames_.push_back(frame);
  slots_[slot] = static_cast<uint32_t>(frames_.size());
}

StackSets::StackSets(const Automaton& automaton, Limits limits)
    : automaton_(automaton), limits_(limits) {
  Reset();
}

void StackSets::Reset() {
  sets_.assign(2, Set());
  sets_[kComplete].is_complete = true;
  frames_.clear();
  rows_.clear();
  unions_.clear();
  table_.assign(1024, kNothing);
  table_[HashOf({}, true) & (table_.size() - 1)] = kComplete;
}

StackSets::SetId StackSets::Start() { return Only(automaton_.start()); }

StackSets::SetId StackSets::Only(Automaton::StateId state) {
  open_.Clear();
  open_.Add({state, 0, kComplete});
  return Settle();
}

StackSets::SetId StackSets::Resume(SetId below) {
  if (below <= kComplete) return below;
  if (sets_[below].resumed != kUnknown) return sets_[below].resumed;
  open_.Clear();
  for (const Frame& frame : frames(below)) open_.Add(frame);
  complete_ = sets_[below].is_complete;
  const SetId resumed = Settle();
  if (status_.ok()) sets_[below].resumed = resumed;
  return resumed;
}

std::bitset<256> StackSets::BytesAfter(SetId set) const {
  std::bitset<256> bytes;
  for (const Frame& frame : frames(set))
    for (const Automaton::Edge& edge : automaton_.edges(frame.state))
      for (size_t byte = edge.first; byte <= edge.last; ++byte) bytes.set(byte);
  return bytes;
}

StackSets::SetId StackSets::ComputeNext(SetId set, size_t byte_class) {
  if (!status_.ok()) return kNothing;
  const uint8_t byte = automaton_.byte_of_class(byte_class);
  open_.Clear();
  for (const Frame& frame : frames(set)) {
    ++work_;
    for (const Automaton::Edge& edge : automaton_.edges(frame.state))
      if (edge.first <= byte && byte <= edge.last) open_.Add({edge.to, 0, frame.below});
  }
  const SetId next = Settle();
  if (!status_.ok()) return kNothing;
  if (sets_[set].row == kNoRow) {
    sets_[set].row = static_cast<uint32_t>(rows_.size());
    rows_.resize(rows_.size() + automaton_.n_classes(), kUnknown);
  }
  return rows_[sets_[set].row + byte_class] = next;
}

StackSets::SetId StackSets::Settle() {
  ready_.clear();
  bool complete = std::exchange(complete_, false);
  for (size_t i = 0; i < open_.size() && status_.ok(); ++i) {
    if (++work_ > limits_.work) Fail("there are too many ways to read what was written");
    const Frame frame = open_[i];  // open_ grows
    Follow(frame);
    complete |= std::exchange(complete_, false);
  }
  return status_.ok() ? Merge(ready_, complete) : kNothing;
}

void StackSets::Follow(const Frame& frame) {
  if (const Automaton::Repeat* repeat = automaton_.repeat(frame.state))
    return FollowRepeat(frame, *repeat);
  if (automaton_.is_final(frame.state)) {
    for (size_t i = 0; i < sets_[frame.below].n_frames; ++i)
      open_.Add(frames_[sets_[frame.below].first_frame + i]);
    complete_ = sets_[frame.below].is_complete;
  }
  for (const Automaton::Call& call : automaton_.calls(frame.state)) {
    const bool is_tail = call.return_to == Automaton::kNoState;
    open_.Add({call.start, 0, is_tail ? frame.below : Push({call.return_to, 0, frame.below})});
  }
  for (const Automaton::StateId repetition : automaton_.entered(frame.state))
    open_.Add({repetition, 0, frame.below});
  if (!automaton_.edges(frame.state).empty()) ready_.push_back(frame);
}

void StackSets::FollowRepeat(const Frame& frame, const Automaton::Repeat& repeat) {
  if (frame.count >= repeat.min) open_.Add({repeat.next, 0, frame.below});
  if (frame.count >= repeat.max) return;
  // Without an upper bound, rounds past the least number need not be told apart.
  const uint32_t count =
      repeat.max == Grammar::kUnbounded ? std::min(frame.count + 1, repeat.min) : frame.count + 1;
  open_.Add({repeat.body, 0, Push({frame.state, count, frame.below})});
}

StackSets::SetId StackSets::Push(const Frame& frame) {
  const SetId set = Intern({&frame, 1}, false);
  if (sets_[set].depth > kMaxStackDepth)
    Fail("rules are nested deeper than " + std::to_string(kMaxStackDepth));
  return set;
}

StackSets::SetId StackSets::Union(SetId a, SetId b) {
  if (a == b || b == kNothing) return a;
  if (a == kNothing) return b;
  if (!status_.ok()) return kNothing;
  if (a > b) std::swap(a, b);
  const uint64_t key = (uint64_t{a} << 32) | b;
  if (const auto known = unions_.find(key); known != unions_.end()) return known->second;
  std::vector<Frame> both(frames(a).begin(), frames(a).end());
  both.insert(both.end(), frames(b).begin(), frames(b).end());
  work_ += both.size();
  const SetId merged = Merge(both, sets_[a].is_complete || sets_[b].is_complete);
  unions_[key] = merged;
  return merged;
}

StackSets::SetId StackSets::Merge(std::vector<Frame>& frames, bool is_complete) {
  std::sort(frames.begin(), frames.end(), [](const Frame& a, const Frame& b) {
    return std::tie(a.state, a.count, a.below) < std::tie(b.state, b.count, b.below);
  });
  size_t n_merged = 0;
  for (const Frame& frame : frames) {
    if (n_merged > 0 && frames[n_merged - 1].state == frame.state &&
        frames[n_merged - 1].count == frame.count)
      frames[n_merged - 1].below = Union(frames[n_merged - 1].below, frame.below);
    else
      frames[n_merged++] = frame;
  }
  if (n_merged > kMaxFramesOfSet) Fail("there are too many ways to read what was written");
  if (!status_.ok()) return kNothing;
  return Intern(std::span(frames).first(n_merged), is_complete);
}

StackSets::SetId StackSets::Intern(std::span<const Frame> frames, bool is_complete) {
  if (frames.empty() && !is_complete) return kNothing;
  const auto matches = [&](const Set& set) {
    return set.is_complete == is_complete && set.n_frames == frames.size() &&
           std::equal(frames.begin(), frames.end(),
                      frames_.begin() + static_cast<ptrdiff_t>(set.first_frame));
  };
  size_t slot = HashOf(frames, is_complete) & (table_.size() - 1);
  for (; table_[slot] != kNothing; slot = (slot + 1) & (table_.size() - 1))
    if (matches(sets_[table_[slot]])) return table_[slot];
  Set set;
  set.first_frame = frames_.size();
  set.n_frames = static_cast<uint32_t>(frames.size());
  set.is_complete = is_complete;
  for (const Frame& frame : frames) set.depth = std::max(set.depth, sets_[frame.below].depth + 1);
  frames_.insert(frames_.end(), frames.begin(), frames.end());
  sets_.push_back(set);
  const auto id = static_cast<SetId>(sets_.size() - 1);
  table_[slot] = id;
  if (sets_.size() * 2 > table_.size()) GrowTable();
  if (bytes() > limits_.bytes) Fail("it takes more memory than one step may");
  return id;
}

void StackSets::GrowTable() {
  table_.assign(table_.size() * 2, kNothing);
  for (SetId id = kComplete; id < sets_.size(); ++id) {
    size_t slot = HashOf(frames(id), sets_[id].is_complete) & (table_.size() - 1);
    while (table_[slot] != kNothing) slot = (slot + 1) & (table_.size() - 1);
    table_[slot] = id;
  }
}

void StackSets::Fail(const std::string& problem) {
  if (!status_.ok()) return;
  status_ = ResourceExhausted("the grammar is too complex for this answer: " + problem)
                .WithReason("GRAMMAR_TOO_COMPLEX");
}

size_t StackSets::bytes() const {
  constexpr size_t kBytesOfUnion = 48;  // with its list node
  return sets_.size() * sizeof(Set) + frames_.size() * sizeof(Frame) +
         (rows_.size() + table_.size()) * sizeof(SetId) + unions_.size() * kBytesOfUnion;
}

StackSets::SetId StackSets::Compact(SetId set) {
  StackSets old(automaton_);
  std::swap(old.sets_, sets_);
  std::swap(old.frames_, frames_);
  Reset();
  std::unordered_map<SetId, SetId> copies = {{kNothing, kNothing}, {kComplete, kComplete}};
  return CopyFrom(old, set, copies);
}

// Recursion is as deep as the stacks, which kMaxStackDepth bounds.
StackSets::SetId StackSets::CopyFrom(const StackSets& other, SetId set,
                                     std::unordered_map<SetId, SetId>& copies) {
  if (const auto copy = copies.find(set); copy != copies.end()) return copy->second;
  std::vector<Frame> frames;
  for (const Frame& frame : other.frames(set))
    frames.push_back({frame.state, frame.count, CopyFrom(other, frame.below, copies)});
  return copies[set] = Merge(frames, other.sets_[set].is_complete);
}

}  // namespace forge
