#include "kernels/cpu/kv_append.h"

#include "kernels/base/half.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/paged_cache.h"

namespace forge {
namespace {

using testing::Batch;
using testing::CacheShape;
using testing::CpuRig;
using testing::PagedCache;
using testing::Piece;

class KvAppendTest : public ::testing::TestWithParam<std::tuple<CpuLevel, KvDType>> {
 protected:
  CpuRig rig_{std::get<0>(GetParam())};
};

double Element(const void* data, int64_t index, KvDType dtype) {
  if (dtype == KvDType::kF32) return static_cast<const float*>(data)[index];
  return ToFloat(F16{static_cast<const uint16_t*>(data)[index]});
}

// Counts the bytes of [first, first + n) that are not 0xff any more.
size_t BytesWritten(std::span<const std::byte> bytes) {
  size_t n = 0;
  for (const std::byte byte : bytes) n += byte != std::byte{0xff} ? 1 : 0;
  return n;
}

void CheckToken(PagedCache& cache, const CacheShape& shape, int sequence, int position) {
  const KvLayerView view = cache.view();
  const int64_t block = cache.table_of(sequence)[position / shape.block_tokens];
  const int64_t offset = position % shape.block_tokens;
  for (int head = 0; head < shape.n_kv_heads; ++head) {
    for (int d = 0; d < shape.head_dim; ++d) {
      const float key = cache.keys_of(sequence, position)[head * shape.head_dim + d];
      const int64_t index = CpuKeyIndex(view, block, head, offset) + d * shape.block_tokens;
      ASSERT_EQ(Element(view.keys, index, shape.dtype), ReferenceKvElement(key, shape.dtype));
    }
    for (int d = 0; d < shape.value_dim; ++d) {
      const float value = cache.values_of(sequence, position)[head * shape.value_dim + d];
      const int64_t index = CpuValueIndex(view, block, head, offset) + d;
      ASSERT_EQ(Element(view.values, index, shape.dtype), ReferenceKvElement(value, shape.dtype));
    }
  }
}

TEST_P(KvAppendTest, StoresEachTokenAtItsPositionAndNothingElse) {
  const KvDType dtype = std::get<1>(GetParam());
  uint32_t seed = 1;
  for (const int block_tokens : {1, 5, 16, 32, 64}) {
    for (const auto& [head_dim, value_dim] :
         std::vector<std::pair<int, int>>{{1, 1}, {15, 33}, {64, 64}, {128, 96}, {300, 17}}) {
      SCOPED_TRACE("block_tokens " + std::to_string(block_tokens) + ", head_dim " +
                   std::to_string(head_dim) + ", seed " + std::to_string(seed));
      std::mt19937 random(seed++);
      const CacheShape shape = {.dtype = dtype,
                                .block_tokens = block_tokens,
                                .n_kv_heads = 3,
                                .head_dim = head_dim,
                                .value_dim = value_dim};
      PagedCache cache(shape, 3, 70, random);
      const std::vector<Piece> pieces = {{2, 0, 1}, {0, 3, 40}, {1, 69, 1}};
      const Batch batch(cache, shape, pieces);
      ASSERT_TRUE(CpuKvAppend(batch.append_args(cache), rig_.stream()).ok());
      for (const Piece& piece : pieces)
        for (int i = 0; i < piece.n_tokens; ++i)
          CheckToken(cache, shape, piece.sequence, piece.first_position + i);
      EXPECT_TRUE(cache.GuardsIntact());
      const size_t elements = static_cast<size_t>(batch.n_tokens() * shape.n_kv_heads);
      const size_t element_bytes = KvElementBytes(dtype);
      EXPECT_LE(BytesWritten(cache.key_bytes().span()),
                elements * static_cast<size_t>(head_dim) * element_bytes);
      EXPECT_LE(BytesWritten(cache.value_bytes().span()),
                elements * static_cast<size_t>(value_dim) * element_bytes);
    }
  }
}

TEST_P(KvAppendTest, TakesNoTokensAsNoWork) { EXPECT_TRUE(CpuKvAppend({}, rig_.stream()).ok()); }

TEST_P(KvAppendTest, RefusesBadArguments) {
  std::mt19937 random(1);
  const CacheShape shape = {.dtype = std::get<1>(GetParam())};
  PagedCache cache(shape, 2, 64, random);
  const Batch batch(cache, shape, {{0, 0, 3}, {1, 5, 2}});
  const auto code_with = [&](auto change) {
    KvAppendArgs args = batch.append_args(cache);
    change(args);
    return CpuKvAppend(args, rig_.stream()).code();
  };
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.keys = nullptr; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.values = nullptr; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.cache.keys = nullptr; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.cache.values = nullptr; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.cache.n_blocks = 0; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.cache.block_tokens = 0; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.cache.n_kv_heads = -1; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.cache.head_dim = 0; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.cache.value_dim = 0; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.batch.n_tokens = -1; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.batch.n_sequences = 0; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.batch.n_sequences = 6; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.batch.max_blocks = 0; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.batch.positions = nullptr; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.batch.token_sequence = nullptr; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.batch.first_token = nullptr; }), refused);
  EXPECT_EQ(code_with([](KvAppendArgs& a) { a.batch.block_tables = nullptr; }), refused);
  EXPECT_EQ(BytesWritten(cache.key_bytes().span()), 0u);
}

// On the CPU the arrays can be read, and a wrong one would write outside of the cache.
TEST_P(KvAppendTest, RefusesABatchThatContradictsItself) {
  std::mt19937 random(1);
  const CacheShape shape = {.dtype = std::get<1>(GetParam())};
  PagedCache cache(shape, 2, 64, random);
  const Batch batch(cache, shape, {{0, 0, 3}, {1, 31, 2}});
  std::vector<int32_t> positions, sequences, first, tables;
  const auto reset = [&] {
    const RaggedBatch view = batch.view();
    positions.assign(view.positions, view.positions + 5);
    sequences.assign(view.token_sequence, view.token_sequence + 5);
    first.assign(view.first_token, view.first_token + 3);
    tables.assign(view.block_tables, view.block_tables + 2 * view.max_blocks);
  };
  const auto code_with = [&](auto change) {
    reset();
    KvAppendArgs args = batch.append_args(cache);
    change();
    args.batch.positions = positions.data();
    args.batch.token_sequence = sequences.data();
    args.batch.first_token = first.data();
    args.batch.block_tables = tables.data();
    return CpuKvAppend(args, rig_.stream()).code();
  };
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([&] { positions[0] = -1; }), refused);
  EXPECT_EQ(code_with([&] { positions[1] = 0; }), refused);
  EXPECT_EQ(code_with([&] { positions[4] = 64; }), refused);
  EXPECT_EQ(code_with([&] { sequences[0] = 1; }), refused);
  EXPECT_EQ(code_with([&] { sequences[4] = 2; }), refused);
  EXPECT_EQ(code_with([&] { first[0] = 1; }), refused);
  EXPECT_EQ(code_with([&] { first[1] = 0; }), refused);
  EXPECT_EQ(code_with([&] { first[1] = 9; }), refused);
  EXPECT_EQ(code_with([&] { first[2] = 4; }), refused);
  EXPECT_EQ(code_with([&] { tables[0] = 4; }), refused);
  EXPECT_EQ(code_with([&] { tables[3] = -1; }), refused);
  EXPECT_EQ(BytesWritten(cache.key_bytes().span()), 0u);
  EXPECT_EQ(code_with([&] { tables[1] = -1; }), StatusCode::kOk) << "an entry that no token needs";
}

INSTANTIATE_TEST_SUITE_P(Levels, KvAppendTest,
                         ::testing::Combine(::testing::ValuesIn(testing::AvailableLevels()),
                                            ::testing::Values(KvDType::kF16, KvDType::kF32)),
                         [](const auto& test) {
                           return std::string(CpuLevelName(std::get<0>(test.param))) +
                                  (std::get<1>(test.param) == KvDType::kF16 ? "F16" : "F32");
                         });

}  // namespace
}  // namespace forge
