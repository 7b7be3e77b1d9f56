#include "kernels/cpu/batch_check.h"

#include <algorithm>
#include <string>
#include <vector>

namespace forge {
namespace {

Status CheckTokens(const RaggedBatch& batch, int sequence) {
  const int first = batch.first_token[sequence], end = batch.first_token[sequence + 1];
  for (int token = first; token < end; ++token) {
    if (batch.token_sequence[token] != sequence)
      return InvalidArgument("a token is not of the sequence whose range holds it: token " +
                             std::to_string(token) + " names sequence " +
                             std::to_string(batch.token_sequence[token]) + " and lies in " +
                             std::to_string(sequence));
    const int before = token == first ? -1 : batch.positions[token - 1];
    if (batch.positions[token] <= before)
      return InvalidArgument(
          "positions of a sequence must rise from 0 or more: token " + std::to_string(token) +
          " is at " + std::to_string(batch.positions[token]) + " after " + std::to_string(before));
  }
  return Status();
}

Status CheckBlocks(const RaggedBatch& batch, const KvLayerView& cache, int window, int sequence) {
  const int last_position = batch.positions[batch.first_token[sequence + 1] - 1];
  const int first_position =
      window == 0 ? 0 : std::max(0, batch.positions[batch.first_token[sequence]] - window + 1);
  const int first_block = first_position / cache.block_tokens;
  const int last_block = last_position / cache.block_tokens;
  if (last_block - first_block >= batch.max_blocks)
    return InvalidArgument("a block table is too short: positions " +
                           std::to_string(first_position) + " to " + std::to_string(last_position) +
                           " of sequence " + std::to_string(sequence) + " need " +
                           std::to_string(last_block - first_block + 1) + " blocks of " +
                           std::to_string(cache.block_tokens) + " positions, max_blocks is " +
                           std::to_string(batch.max_blocks));
  const int32_t* table = batch.block_tables + static_cast<int64_t>(sequence) * batch.max_blocks;
  for (int block = first_block; block <= last_block; ++block) {
    const int entry = block % batch.max_blocks;
    if (table[entry] < 0 || table[entry] >= cache.n_blocks)
      return InvalidArgument("a block is not in the cache: entry " + std::to_string(entry) +
                             " of sequence " + std::to_string(sequence) + " is " +
                             std::to_string(table[entry]) + ", the cache has " +
                             std::to_string(cache.n_blocks));
  }
  return Status();
}

// A slot of a state that a sequence reads or writes in a step.
struct SlotUse {
  int32_t slot;
  int sequence;
  bool is_written;
};

Status CheckSlots(const RaggedBatch& batch, const RecurrentState& state, int sequence) {
  const auto refuse = [&](const char* what, int32_t value, int64_t end) {
    return InvalidArgument(std::string("a state is in none of the slots or after none of the ") +
                           "tokens: " + what + " of sequence " + std::to_string(sequence) + " is " +
                           std::to_string(value) + ", its limit is " + std::to_string(end));
  };
  const int32_t from = state.from[sequence], to = state.to[sequence];
  const int32_t kept_after = state.kept_after[sequence];
  const int n_tokens = batch.first_token[sequence + 1] - batch.first_token[sequence];
  if (from < -1 || from >= state.n_slots) return refuse("from", from, state.n_slots);
  if (to < 0 || to >= state.n_slots) return refuse("to", to, state.n_slots);
  if (kept_after < 0 || kept_after > n_tokens) return refuse("kept_after", kept_after, n_tokens);
  if (kept_after == 0) return Status();
  const int32_t kept_to = state.kept_to[sequence];
  if (kept_to < 0 || kept_to >= state.n_slots) return refuse("kept_to", kept_to, state.n_slots);
  if (kept_to != to) return Status();
  return InvalidArgument("a sequence keeps a state where its last goes: kept_to and to of " +
                         std::to_string(sequence) + " are slot " + std::to_string(to));
}

// That no sequence writes a slot that another reads or writes.
Status CheckSharedSlots(const RaggedBatch& batch, const RecurrentState& state) {
  if (batch.n_sequences == 1) return Status();
  std::vector<SlotUse> uses;
  uses.reserve(3 * static_cast<size_t>(batch.n_sequences));
  for (int s = 0; s < batch.n_sequences; ++s) {
    uses.push_back({state.to[s], s, true});
    if (state.from[s] >= 0) uses.push_back({state.from[s], s, false});
    if (state.kept_after[s] != 0) uses.push_back({state.kept_to[s], s, true});
  }
  // Of each slot those that write it first: then the first use conflicts if any does.
  std::sort(uses.begin(), uses.end(), [](const SlotUse& a, const SlotUse& b) {
    return a.slot != b.slot ? a.slot < b.slot : a.is_written > b.is_written;
  });
  const SlotUse* first = &uses[0];
  for (const SlotUse& use : uses) {
    if (use.slot != first->slot) first = &use;
    if (use.sequence == first->sequence || !first->is_written) continue;
    return InvalidArgument(
        "sequences share a slot that one of them writes: " + std::to_string(first->sequence) +
        " writes slot " + std::to_string(use.slot) + ", which is of " +
        std::to_string(use.sequence) + " as well");
  }
  return Status();
}

}  // namespace

Status CheckSequences(const RaggedBatch& batch) {
  if (batch.first_token[0] != 0 || batch.first_token[batch.n_sequences] != batch.n_tokens)
    return InvalidArgument("first_token must run from 0 to n_tokens: it runs from " +
                           std::to_string(batch.first_token[0]) + " to " +
                           std::to_string(batch.first_token[batch.n_sequences]) + ", n_tokens is " +
                           std::to_string(batch.n_tokens));
  // All ranges before any token: a range that is not within the batch must not be read.
  for (int s = 0; s < batch.n_sequences; ++s) {
    if (batch.first_token[s + 1] <= batch.first_token[s])
      return InvalidArgument("each sequence needs a token: sequence " + std::to_string(s) +
                             " runs from " + std::to_string(batch.first_token[s]) + " to " +
                             std::to_string(batch.first_token[s + 1]));
  }
  return Status();
}

Status CheckStates(const RaggedBatch& batch, const RecurrentState& state) {
  for (int s = 0; s < batch.n_sequences; ++s) FORGE_TRY(CheckSlots(batch, state, s));
  return CheckSharedSlots(batch, state);
}

Status CheckBatch(const RaggedBatch& batch, const KvLayerView& cache, int window) {
  FORGE_TRY(CheckSequences(batch));
  for (int s = 0; s < batch.n_sequences; ++s) {
    FORGE_TRY(CheckTokens(batch, s));
    FORGE_TRY(CheckBlocks(batch, cache, window, s));
  }
  return Status();
}

Status CheckLastSeen(const RaggedBatch& batch, const int32_t* last_seen) {
  for (int s = 0; s < batch.n_sequences; ++s) {
    const int end = batch.first_token[s + 1], last = batch.positions[end - 1];
    for (int token = batch.first_token[s], before = 0; token < end; before = last_seen[token++]) {
      if (last_seen[token] >= std::max(before, batch.positions[token]) && last_seen[token] <= last)
        continue;
      return InvalidArgument(
          "a token sees from its own position to that of the step's last token "
          "of its sequence, " +
          std::to_string(last) + ", and no less than the token before it: token " +
          std::to_string(token) + " sees " + std::to_string(last_seen[token]));
    }
  }
  return Status();
}

}  // namespace forge
