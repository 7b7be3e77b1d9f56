#include "kernels/cpu/batch_check.h"

#include <algorithm>
#include <string>

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

}  // namespace

Status CheckBatch(const RaggedBatch& batch, const KvLayerView& cache, int window) {
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
