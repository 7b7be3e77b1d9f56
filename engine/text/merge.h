#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <queue>
#include <vector>

// The greedy merging that byte-level BPE and SentencePiece share: join the two neighbours of best
// rank, the leftmost on a tie, until no two neighbours may be joined.
namespace forge {

// A stretch of text that has become one symbol. `id` is negative if no token has this text.
struct Symbol {
  uint32_t begin;
  uint32_t size;  // bytes
  int32_t id;

  uint32_t end() const { return begin + size; }
};

// What two neighbours may become; a smaller rank goes first.
struct MergeCandidate {
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  uint32_t rank = kNone;
  int32_t id = -1;
};

namespace internal {

// For few symbols: looks at every pair again for every merge, which is quadratic, but of arrays
// that stay in registers and the nearest cache.
template <typename CandidateOf>
void MergeFew(std::vector<Symbol>& symbols, std::vector<MergeCandidate>& candidates,
              const CandidateOf& candidate_of) {
  candidates.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i)
    candidates.push_back(candidate_of(symbols[i], symbols[i + 1]));
  while (!candidates.empty()) {
    size_t best = 0;
    for (size_t i = 1; i < candidates.size(); ++i)
      if (candidates[i].rank < candidates[best].rank) best = i;
    if (candidates[best].rank == MergeCandidate::kNone) return;

    symbols[best].size += symbols[best + 1].size;
    symbols[best].id = candidates[best].id;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    candidates.erase(candidates.begin() + static_cast<ptrdiff_t>(best));
    if (best < candidates.size()) candidates[best] = candidate_of(symbols[best], symbols[best + 1]);
    if (best > 0) candidates[best - 1] = candidate_of(symbols[best - 1], symbols[best]);
  }
}

// For any number of symbols: a heap of candidates over a linked list, O(n log n).
template <typename CandidateOf>
void MergeMany(std::vector<Symbol>& symbols, const CandidateOf& candidate_of) {
  struct Entry {
    uint32_t rank;
    uint32_t left;  // index of the left symbol: its position, which breaks ties
    uint32_t size;  // of both symbols when this was queued; differs once either has changed
    int32_t id;
    bool operator>(const Entry& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  const auto n = static_cast<uint32_t>(symbols.size());  // doubles as "no neighbour"
  std::vector<uint32_t> next(n), previous(n);
  for (uint32_t i = 0; i < n; ++i) {
    next[i] = i + 1;
    previous[i] = i == 0 ? n : i - 1;
  }
  std::vector<Entry> entries;
  entries.reserve(n);
  const auto candidate_at = [&](uint32_t left) -> Entry {
    const uint32_t right = next[left];
    const MergeCandidate candidate = candidate_of(symbols[left], symbols[right]);
    return {candidate.rank, left, symbols[left].size + symbols[right].size, candidate.id};
  };
  for (uint32_t i = 0; i + 1 < n; ++i)
    if (const Entry entry = candidate_at(i); entry.rank != MergeCandidate::kNone)
      entries.push_back(entry);
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue(std::greater<>(),
                                                                       std::move(entries));
  const auto push = [&](uint32_t left) {
    if (left == n || next[left] == n) return;
    if (const Entry entry = candidate_at(left); entry.rank != MergeCandidate::kNone)
      queue.push(entry);
  };
  while (!queue.empty()) {
    const Entry top = queue.top();
    queue.pop();
    const uint32_t left = top.left;
    if (symbols[left].size == 0 || next[left] == n) continue;
    const uint32_t right = next[left];
    if (symbols[left].size + symbols[right].size != top.size) continue;
    symbols[left].size = top.size;
    symbols[left].id = top.id;
    symbols[right].size = 0;  // gone
    next[left] = next[right];
    if (next[left] != n) previous[next[left]] = left;
    push(previous[left]);
    push(left);
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.size == 0; });
}

}  // namespace internal

// Merges `symbols`, none of them empty, in place. `candidate_of(left, right)` says what two
// neighbours may become; `scratch` is memory to reuse between calls.
template <typename CandidateOf>
void MergeSymbols(std::vector<Symbol>& symbols, std::vector<MergeCandidate>& scratch,
                  const CandidateOf& candidate_of) {
  constexpr size_t kFew = 48;  // where the heap overtakes: tokenizer_bench, x86-64
  if (symbols.size() <= kFew) {
    internal::MergeFew(symbols, scratch, candidate_of);
  } else {
    internal::MergeMany(symbols, candidate_of);
  }
}

}  // namespace forge
