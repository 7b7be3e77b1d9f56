#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/api/ragged_batch.h"
#include "kernels/api/recurrent_state.h"
#include "kernels/cpu/parallel_rows.h"

// What the ops have in common whose heads remember a matrix of `n_elements` each.
namespace forge {

inline float Softplus(float x) { return x > 20.0f ? x : std::log1p(std::exp(x)); }

inline float* HeadStateOf(const RecurrentState& state, int32_t slot, int head, int64_t n_elements) {
  return state.data + slot * state.slot_stride + head * n_elements;
}

// Makes the slot that the step writes what the sequence's state was before it.
inline void BeginHeadState(const RecurrentState& state, int sequence, int head,
                           int64_t n_elements) {
  const int32_t from = state.from[sequence], to = state.to[sequence];
  if (from < 0)
    std::fill_n(HeadStateOf(state, to, head, n_elements), n_elements, 0.0f);
  else if (from != to)
    std::copy_n(HeadStateOf(state, from, head, n_elements), n_elements,
                HeadStateOf(state, to, head, n_elements));
}

// Once the step has computed kept_after tokens of the sequence.
inline void KeepHeadState(const RecurrentState& state, int sequence, int head, int64_t n_elements) {
  if (state.kept_after[sequence] == 0) return;
  std::copy_n(HeadStateOf(state, state.to[sequence], head, n_elements), n_elements,
              HeadStateOf(state, state.kept_to[sequence], head, n_elements));
}

// run(sequence, head) for each head of each sequence, on all threads. A head's state has
// `n_elements`. What a sequence costs depends on its tokens; heads of short ones are soon done.
template <typename RunHead>
void ForEachHead(ThreadPool& pool, const RaggedBatch& batch, int n_heads, int64_t n_elements,
                 const RunHead& run) {
  const int64_t cost = int64_t{batch.n_tokens} * n_elements / batch.n_sequences;
  ParallelRows(pool, int64_t{batch.n_sequences} * n_heads, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      run(static_cast<int>(i / n_heads), static_cast<int>(i % n_heads));
  });
}

}  // namespace forge
