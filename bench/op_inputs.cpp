#include "bench/op_inputs.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kernels/base/check.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/rope_append.h"

namespace forge {
namespace {

constexpr int kBlockTokens = 32;

int BlocksOf(const AttentionSize& size) {
  return (size.depth + size.n_tokens + kBlockTokens - 1) / kBlockTokens;
}

uint64_t CacheBytes(const AttentionSize& size) {
  const auto n_block = static_cast<uint64_t>(size.n_kv_heads) *
                       static_cast<uint64_t>(size.head_dim) * uint64_t{kBlockTokens};
  return KvBytes(size.dtype, n_block) * static_cast<uint64_t>(BlocksOf(size));
}

std::vector<int32_t> Ascending(int n) {
  std::vector<int32_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

}  // namespace

OpMemory AllocateOpMemory(uint64_t bytes) {
  return {static_cast<std::byte*>(AllocatePages(bytes).value()), FreeOpMemory{bytes}};
}

std::vector<float> NormalFloats(size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  std::generate(values.begin(), values.end(), [&] { return normal(random); });
  return values;
}

AttentionInputs::AttentionInputs(const AttentionSize& size, CpuStream& stream)
    : keys_(AllocateOpMemory(CacheBytes(size))),
      values_(AllocateOpMemory(CacheBytes(size))),
      workspace_(
          AllocateOpMemory(CpuAttentionWorkspaceBytes(size.n_tokens, size.n_heads, size.head_dim))),
      positions_(Ascending(size.depth + size.n_tokens)),
      sequences_(positions_.size()),
      table_(Ascending(BlocksOf(size))),
      first_token_{0, size.n_tokens},
      q_(NormalFloats(static_cast<size_t>(size.n_tokens * size.n_heads * size.head_dim))),
      y_(q_.size()) {
  const auto n_positions = static_cast<int32_t>(positions_.size());
  args_.cache = {.keys = keys_.get(),
                 .values = values_.get(),
                 .dtype = size.dtype,
                 .n_blocks = BlocksOf(size),
                 .block_tokens = kBlockTokens,
                 .n_kv_heads = size.n_kv_heads,
                 .head_dim = size.head_dim,
                 .value_dim = size.head_dim};
  args_.batch = {.n_tokens = n_positions,
                 .n_sequences = 1,
                 .positions = positions_.data(),
                 .token_sequence = sequences_.data(),
                 .first_token = nullptr,
                 .block_tables = table_.data(),
                 .max_blocks = BlocksOf(size)};
  const int32_t all[] = {0, n_positions};
  RopeAppendArgs append = {.batch = args_.batch, .cache = args_.cache};
  append.batch.first_token = all;
  std::vector<float> history =
      NormalFloats(positions_.size() * static_cast<size_t>(size.n_kv_heads * size.head_dim));
  append.keys = history.data();
  append.values = history.data();
  FORGE_CHECK(CpuRopeAppend(append, stream).ok(), "rope_append");
  args_.batch.n_tokens = size.n_tokens;
  args_.batch.positions += size.depth;
  args_.batch.first_token = first_token_;
  args_.q = q_.data();
  args_.y = y_.data();
  args_.n_heads = size.n_heads;
  args_.scale = 1.0f / std::sqrt(static_cast<float>(size.head_dim));
  args_.window = size.window;
  args_.workspace = {workspace_.get(), workspace_.get_deleter().bytes};
}

}  // namespace forge
