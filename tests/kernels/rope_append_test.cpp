#include "kernels/base/half.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/paged_cache.h"

namespace forge {
namespace {

using testing::Batch;
using testing::CacheShape;
using testing::KvPlace;
using testing::OpRig;
using testing::PagedCache;
using testing::Piece;

class RopeAppendTest : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, KvDType>> {
 protected:
  std::unique_ptr<OpRig> rig_ = std::get<0>(GetParam()).Create();
};

double Element(const KvPlace& place, int64_t d, KvDType dtype) {
  const auto* halves = reinterpret_cast<const uint16_t*>(place.elements);
  switch (dtype) {
    case KvDType::kF32:
      return reinterpret_cast<const float*>(place.elements)[d * place.stride];
    case KvDType::kF16:
      return ToFloat(F16{halves[d * place.stride]});
    case KvDType::kBf16:
      return ToFloat(Bf16{halves[d * place.stride]});
    case KvDType::kQ8_0:
      break;
  }
  return reinterpret_cast<const int8_t*>(place.elements)[d * place.stride] *
         static_cast<double>(ToFloat(F16{place.scales[d / 32 * place.stride]}));
}

// Counts the bytes of [first, first + n) that are not 0xff any more.
size_t BytesWritten(std::span<const std::byte> bytes) {
  size_t n = 0;
  for (const std::byte byte : bytes) n += byte != std::byte{0xff} ? 1 : 0;
  return n;
}

void CheckToken(const OpRig& rig, PagedCache& cache, const CacheShape& shape, int sequence,
                int position, int table_entry) {
  const KvLayerView view = cache.view();
  const int64_t block = cache.table_of(sequence)[table_entry];
  const int64_t offset = position % shape.block_tokens;
  const auto check = [&](const float* head_values, int dim, const KvPlace& place) {
    std::vector<double> want(static_cast<size_t>(dim));
    ReferenceKvElements(head_values, dim, shape.dtype, want.data());
    for (int d = 0; d < dim; ++d)
      ASSERT_EQ(Element(place, d, shape.dtype), want[static_cast<size_t>(d)]) << d;
  };
  for (int head = 0; head < shape.n_kv_heads; ++head) {
    check(cache.keys_of(sequence, position) + head * shape.head_dim, shape.head_dim,
          rig.KeyPlace(view, block, head, offset));
    check(cache.values_of(sequence, position) + head * shape.value_dim, shape.value_dim,
          rig.ValuePlace(view, block, head, offset));
  }
}

TEST_P(RopeAppendTest, StoresEachTokenAtItsPositionAndNothingElse) {
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
                                .head_dim = testing::HeadSize(dtype, head_dim),
                                .value_dim = testing::HeadSize(dtype, value_dim)};
      PagedCache cache(shape, 3, 70, random);
      const std::vector<Piece> pieces = {{2, 0, 1}, {0, 3, 40}, {1, 69, 1}};
      Batch batch(cache, shape, pieces);
      ASSERT_TRUE(rig_->Run(batch.append_args(cache)).ok());
      for (const Piece& piece : pieces)
        for (int i = 0; i < piece.n_tokens; ++i)
          CheckToken(*rig_, cache, shape, piece.sequence, piece.first_position + i,
                     (piece.first_position + i) / block_tokens);
      EXPECT_TRUE(cache.GuardsIntact());
      const auto rows = static_cast<uint64_t>(batch.n_tokens() * shape.n_kv_heads);
      EXPECT_LE(BytesWritten(cache.key_bytes().span()),
                KvBytes(dtype, rows * static_cast<uint64_t>(shape.head_dim)));
      EXPECT_LE(BytesWritten(cache.value_bytes().span()),
                KvBytes(dtype, rows * static_cast<uint64_t>(shape.value_dim)));
    }
  }
}

// The third block of a sequence takes the place of the first, and nothing else.
TEST_P(RopeAppendTest, WritesRoundTheRing) {
  std::mt19937 random(9);
  const CacheShape shape = {.dtype = std::get<1>(GetParam()), .block_tokens = 8};
  PagedCache cache(shape, 1, 40, random);
  cache.UseRing(2);
  Batch batch(cache, shape, {{0, 13, 7}});
  ASSERT_TRUE(rig_->Run(batch.append_args(cache)).ok());
  for (int position = 13; position < 20; ++position)
    CheckToken(*rig_, cache, shape, 0, position, position / 8 % 2);
  const uint64_t n_elements = 7 * 2 * 64;
  EXPECT_LE(BytesWritten(cache.key_bytes().span()), KvBytes(shape.dtype, n_elements));
  Batch too_long(cache, shape, {{0, 0, 17}});
  if (rig_->refuses_indices()) {
    EXPECT_EQ(rig_->Run(too_long.append_args(cache)).code(), StatusCode::kInvalidArgument);
  }
}

TEST_P(RopeAppendTest, ShowsNumbersThatAreNotFinite) {
  std::mt19937 random(10);
  const CacheShape shape = {.dtype = std::get<1>(GetParam()), .n_kv_heads = 1};
  PagedCache cache(shape, 1, 32, random);
  Batch batch(cache, shape, {{0, 0, 1}});
  for (const float bad : {NAN, INFINITY}) {
    std::vector<float> row(64, 1.0f);
    row[40] = bad;
    RopeAppendArgs args = batch.append_args(cache);
    args.keys = row.data();
    args.values = row.data();
    ASSERT_TRUE(rig_->Run(args).ok());
    const int64_t block = cache.table_of(0)[0];
    const KvPlace key = rig_->KeyPlace(cache.view(), block, 0, 0);
    const KvPlace value = rig_->ValuePlace(cache.view(), block, 0, 0);
    EXPECT_FALSE(std::isfinite(Element(key, 40, shape.dtype)));
    EXPECT_FALSE(std::isfinite(Element(value, 40, shape.dtype)));
    EXPECT_NEAR(Element(value, 3, shape.dtype), 1.0, 0.01) << "of another block of 32";
  }
}

// Tiny and huge numbers, halves between two codes, and every exponent.
TEST_P(RopeAppendTest, RoundsEveryMagnitudeAsTheReference) {
  std::mt19937 random(11);
  const CacheShape shape = {.dtype = std::get<1>(GetParam()), .n_kv_heads = 1};
  PagedCache cache(shape, 1, 32, random);
  Batch batch(cache, shape, {{0, 0, 1}});
  for (int exponent = -149; exponent < 14; ++exponent) {
    SCOPED_TRACE("exponent " + std::to_string(exponent));
    std::vector<float> row = testing::NormalFloats(64, random);
    for (size_t i = 0; i < 64; ++i)
      row[i] = std::ldexp(i < 32 ? row[i] : static_cast<float>(i % 7) * 63.5f, exponent);
    RopeAppendArgs args = batch.append_args(cache);
    args.keys = row.data();
    args.values = row.data();
    ASSERT_TRUE(rig_->Run(args).ok());
    std::vector<double> want(64);
    ReferenceKvElements(row.data(), 64, shape.dtype, want.data());
    const KvPlace value = rig_->ValuePlace(cache.view(), cache.table_of(0)[0], 0, 0);
    for (int d = 0; d < 64; ++d)
      ASSERT_EQ(Element(value, d, shape.dtype), want[static_cast<size_t>(d)])
          << row[static_cast<size_t>(d)];
  }
}

TEST_P(RopeAppendTest, TakesNoTokensAsNoWork) { EXPECT_TRUE(rig_->Run(RopeAppendArgs{}).ok()); }

TEST_P(RopeAppendTest, RefusesBadArguments) {
  std::mt19937 random(1);
  const CacheShape shape = {.dtype = std::get<1>(GetParam())};
  PagedCache cache(shape, 2, 64, random);
  Batch batch(cache, shape, {{0, 0, 3}, {1, 5, 2}});
  const auto code_with = [&](auto change) {
    RopeAppendArgs args = batch.append_args(cache);
    change(args);
    return rig_->Run(args).code();
  };
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.keys = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.values = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.cache.keys = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.cache.values = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.cache.n_blocks = 0; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.cache.block_tokens = 0; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.cache.n_kv_heads = -1; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.cache.head_dim = 0; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.cache.value_dim = 0; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.batch.n_tokens = -1; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.batch.n_sequences = 0; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.batch.n_sequences = 6; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.batch.max_blocks = 0; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.batch.positions = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.batch.n_decodes = a.batch.n_sequences + 1; }),
            refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.batch.token_sequence = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.batch.first_token = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.batch.block_tables = nullptr; }), refused);
  EXPECT_EQ(BytesWritten(cache.key_bytes().span()), 0u);
}

// Whether or not the device can look at the arrays, a wrong one must not write outside of the
// cache.
TEST_P(RopeAppendTest, StaysInTheCacheWhereABatchContradictsItself) {
  std::mt19937 random(1);
  const CacheShape shape = {.dtype = std::get<1>(GetParam())};
  PagedCache cache(shape, 2, 64, random);
  Batch batch(cache, shape, {{0, 0, 3}, {1, 31, 2}});
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
    RopeAppendArgs args = batch.append_args(cache);
    change();
    args.batch.positions = positions.data();
    args.batch.token_sequence = sequences.data();
    args.batch.first_token = first.data();
    args.batch.block_tables = tables.data();
    return rig_->Run(args).code();
  };
  const StatusCode refused =
      rig_->refuses_indices() ? StatusCode::kInvalidArgument : StatusCode::kOk;
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
  if (rig_->refuses_indices()) {
    EXPECT_EQ(BytesWritten(cache.key_bytes().span()), 0u);
  }
  EXPECT_TRUE(cache.GuardsIntact());
  EXPECT_EQ(code_with([&] { tables[1] = -1; }), StatusCode::kOk) << "an entry that no token needs";
}

INSTANTIATE_TEST_SUITE_P(Devices, RopeAppendTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::ValuesIn(testing::KvDTypes())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" +
                                  std::string(KvDTypeName(std::get<1>(test.param)));
                         });

}  // namespace
}  // namespace forge
