// Malformed files: one row for each case that docs/gguf.md lists, under its id.

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <new>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_file.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_files.h"

namespace {

// Largest block that operator new was asked for since the last reset, in this process.
size_t largest_allocation = 0;

void* CountedAllocation(size_t bytes) {
  largest_allocation = std::max(largest_allocation, bytes);
  if (void* block = std::malloc(bytes)) return block;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(size_t bytes) { return CountedAllocation(bytes); }
void* operator new[](size_t bytes) { return CountedAllocation(bytes); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t) noexcept { std::free(block); }

namespace forge {
namespace {

using testing::GgufBuilder;
using testing::GgufString;
using testing::LittleEndian32;
using testing::LittleEndian64;

constexpr uint64_t kMax64 = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kHeaderBytes = 24;
constexpr uint32_t kUint8 = 0, kBool = 7, kString = 8, kArray = 9, kUint64 = 10;
constexpr uint32_t kF32 = 0, kQ4_K = 12, kI8 = 24, kI64 = 27;

struct Case {
  std::string name;  // id, then what is wrong
  std::string file;
  StatusCode code;
  std::string_view reason;
  std::string field;  // detail "field" contains this
  std::string value;  // detail "value" contains this
  uint64_t offset;    // detail "offsetBytes"
};

void PrintTo(const Case& c, std::ostream* stream) { *stream << c.name; }

Case Invalid(std::string name, const GgufBuilder& builder, std::string field, std::string value,
             uint64_t offset) {
  return {std::move(name),
          builder.Build(),
          StatusCode::kInvalidArgument,
          kModelFileInvalid,
          std::move(field),
          std::move(value),
          offset};
}

Case Truncated(std::string name, const GgufBuilder& builder, std::string field, std::string value,
               uint64_t offset) {
  return {std::move(name),
          builder.Build(),
          StatusCode::kDataLoss,
          kModelFileTruncated,
          std::move(field),
          std::move(value),
          offset};
}

// A file whose only pair starts with this key length.
GgufBuilder KeyLength(uint64_t length) {
  return GgufBuilder().AddRawPair(LittleEndian64(length) + std::string(24, 'k'));
}

// A file whose only pair is "k", of this type and with these bytes; the type lies at byte 33.
GgufBuilder Value(uint32_t type, const std::string& bytes) {
  return GgufBuilder().AddRaw("k", type, bytes);
}
constexpr uint64_t kTypeOffset = kHeaderBytes + 8 + 1;

std::string ArrayOf(uint32_t element_type, uint64_t n, const std::string& elements = "") {
  return LittleEndian32(element_type) + LittleEndian64(n) + elements;
}

// A file whose only directory entry, at byte 24, is of a tensor "t" with these numbers.
GgufBuilder Tensor(std::vector<uint64_t> shape, uint32_t type, uint64_t offset = 0) {
  return GgufBuilder().AddTensorInfo("t", static_cast<uint32_t>(shape.size()), shape, type, offset);
}
constexpr uint64_t kDimsOffset = kHeaderBytes + 8 + 1;
constexpr uint64_t kShapeOffset = kDimsOffset + 4;

std::vector<Case> HeaderCases() {
  return {
      Invalid("H1OtherMagic", GgufBuilder().SetMagic("FUGG"), "magic", "FUGG", 0),
      Invalid("H1TextFile", GgufBuilder().SetMagic("Once upon a time, there was a "), "magic",
              "Once", 0),
      Invalid("H2Version0", GgufBuilder().SetVersion(0), "version", "0", 4),
      Invalid("H2Version1", GgufBuilder().SetVersion(1), "version", "1", 4),
      Invalid("H2Version4", GgufBuilder().SetVersion(4), "version", "4", 4),
      Invalid("H2BigEndian", GgufBuilder().SetVersion(0x03000000), "version", "50331648", 4),
      Invalid("H3AllTensors", GgufBuilder().SetTensorCount(kMax64), "n_tensors",
              std::to_string(kMax64), 8),
      Invalid("H3TensorsTimesInfoWraps", GgufBuilder().SetTensorCount(kMax64 / 56), "n_tensors",
              std::to_string(kMax64 / 56), 8),
      Invalid("H3TensorsAboveLimit", GgufBuilder().SetTensorCount(65537), "n_tensors", "65537", 8),
      Truncated("H3TensorsBeyondFile", GgufBuilder().SetTensorCount(65536), "n_tensors", "needed",
                kHeaderBytes),
      Invalid("H4AllKeys", GgufBuilder().SetKeyCount(kMax64), "n_kv", std::to_string(kMax64), 16),
      Invalid("H4Keys2Pow40", GgufBuilder().SetKeyCount(uint64_t{1} << 40), "n_kv", "1099511627776",
              16),
      Truncated("H4KeysBeyondFile", GgufBuilder().SetKeyCount(65536), "n_kv", "needed",
                kHeaderBytes),
  };
}

std::vector<Case> KeyCases() {
  const std::string nul("a\0b", 3);
  const GgufBuilder duplicate = GgufBuilder().AddUint32("same", 1).AddUint32("same", 2);
  // Pairs of 8 + 4 + 4 + 4 bytes; the second one's type follows its key.
  const uint64_t second_type = kHeaderBytes + 20 + 12;
  return {
      Invalid("K1KeyLengthMax", KeyLength(kMax64), "key length", std::to_string(kMax64), 24),
      Invalid("K1KeyLength65536", KeyLength(65536), "key length", "65536", 24),
      Truncated("K1KeyLengthBeyondFile", KeyLength(33), "key", "33 bytes needed", 32),
      Invalid("K2EmptyKey", KeyLength(0), "key", "\"\"", 24),
      Invalid("K3KeyWithNul", GgufBuilder().AddUint32(nul, 1), "key", "a\\x00b", 33),
      Invalid("K3KeyWithNewline", GgufBuilder().AddUint32("ab\nc", 1), "key", "ab\\x0ac", 34),
      Invalid("K3KeyWithEscape", GgufBuilder().AddUint32("\x1b[31m", 1), "key", "\\x1b", 32),
      Invalid("K3KeyWithDelete", GgufBuilder().AddUint32("a\x7f", 1), "key", "a\\x7f", 33),
      Invalid("K3KeyNotAscii", GgufBuilder().AddUint32("\xc3\xa9", 1), "key", "\\xc3\\xa9", 32),
      Invalid("K4DuplicateKey", duplicate, "same", "2", second_type),
  };
}

std::vector<Case> ValueCases() {
  // Arrays within arrays, 10,000 deep, innermost empty.
  std::string nested;
  for (int i = 0; i < 10'000; ++i) nested += ArrayOf(kArray, 1);
  const uint64_t element_type = kTypeOffset + 4, elements = element_type + 12;
  const std::string text = LittleEndian64(uint64_t{1} << 63) + "text";
  return {
      Invalid("K5Type13", Value(13, std::string(8, '\0')), "value type", "13", kTypeOffset),
      Invalid("K5TypeMax", Value(0xffffffff, std::string(8, '\0')), "value type", "4294967295",
              kTypeOffset),
      Invalid("K5TypeMaxSigned", Value(0x7fffffff, std::string(8, '\0')), "value type",
              "2147483647", kTypeOffset),
      Invalid("K5ElementType13", Value(kArray, ArrayOf(13, 1)), "element type", "13", element_type),
      Invalid("K6ArrayOfArray", Value(kArray, ArrayOf(kArray, 1, ArrayOf(kUint8, 0))),
              "element type", "9", element_type),
      Invalid("K6ArraysNestedDeep", Value(kArray, nested), "element type", "9", element_type),
      Truncated("K7ArrayBeyondFile", Value(kArray, ArrayOf(kUint8, 100, "abc")), "value",
                "100 bytes needed", elements),
      Invalid("K7Array2Pow61Of8Bytes", Value(kArray, ArrayOf(kUint64, uint64_t{1} << 61)),
              "array length", "2305843009213693952", element_type + 4),
      Invalid("K7Strings2Pow40", Value(kArray, ArrayOf(kString, uint64_t{1} << 40)), "array length",
              "1099511627776", element_type + 4),
      Truncated("K7StringsAtLimitBeyondFile", Value(kArray, ArrayOf(kString, 64 << 20)), "value",
                "536870912 bytes needed", elements),
      Truncated("K7BoolsAtLimitBeyondFile", Value(kArray, ArrayOf(kBool, 64 << 20)), "value",
                "67108864 bytes needed", elements),
      Invalid("K8StringLength2Pow63", Value(kString, text), "string length", "9223372036854775808",
              kTypeOffset + 4),
      Invalid("K8StringLengthAboveLimit", Value(kString, LittleEndian64((16 << 20) + 1)),
              "string length", "16777217", kTypeOffset + 4),
      // The builder pads the file to 64 bytes, of which 64 - 45 remain.
      Truncated("K8StringLengthBeyondFile", Value(kString, LittleEndian64(20) + "text"), "string",
                "20 bytes needed", kTypeOffset + 12),
      Invalid("K9Bool2", Value(kBool, "\2"), "value", "2", kTypeOffset + 4),
      Invalid("K9BoolElement255", Value(kArray, ArrayOf(kBool, 3, std::string("\0\1\xff", 3))),
              "value", "255", elements + 2),
  };
}

std::vector<Case> AlignmentCases() {
  constexpr std::string_view kKey = "general.alignment";
  constexpr uint64_t kOffset = kHeaderBytes + 8 + 17;
  std::vector<Case> cases;
  for (const uint32_t bad : {0u, 3u, 13u, 1u << 31, 1u << 17})
    cases.push_back(Invalid("A1Alignment" + std::to_string(bad), GgufBuilder().AddUint32(kKey, bad),
                            std::string(kKey), std::to_string(bad), kOffset));
  cases.push_back(Invalid("A2AlignmentInt32", GgufBuilder().AddInt32(kKey, 32), std::string(kKey),
                          "INT32", kOffset));
  cases.push_back(Invalid("A2AlignmentString", GgufBuilder().AddString(kKey, "32"),
                          std::string(kKey), "STRING", kOffset));
  return cases;
}

GgufBuilder Named(std::string_view name) {
  const uint64_t shape[] = {8};
  return GgufBuilder().AddTensor(name, shape, kF32, std::string(32, '\0'));
}

std::vector<Case> TensorCases() {
  const uint64_t shape[] = {8};
  const std::string data(32, '\0');
  const GgufBuilder duplicate =
      GgufBuilder().AddTensor("t", shape, kF32, data).AddTensor("t", shape, kF32, data);
  constexpr uint64_t kEntryBytes = 8 + 1 + 4 + 8 + 4 + 8;
  const auto dims = [](uint32_t n_dims) {
    return GgufBuilder().AddTensorInfo("t", n_dims, std::vector<uint64_t>(5, 1), kF32, 0);
  };
  const uint64_t int64_max = kMax64 / 2;
  std::vector<Case> cases = {
      Invalid("T1Name64Bytes", Named(std::string(64, 'n')), "name length", "64", 24),
      Invalid("T1EmptyName", Named(""), "name", "\"\"", 24),
      Invalid("T1NameWithNewline", Named("a\nb"), "name", "a\\x0ab", 24),
      Invalid("T1DuplicateName", duplicate, "name", "\"t\"", kHeaderBytes + kEntryBytes),
      Invalid("T2NoDims", dims(0), "t (n_dims)", "0", kDimsOffset),
      Invalid("T2FiveDims", dims(5), "t (n_dims)", "5", kDimsOffset),
      Invalid("T2MaxDims", dims(0xffffffff), "t (n_dims)", "4294967295", kDimsOffset),
      Invalid("T3NegativeExtent", Tensor({kMax64}, kF32), "t (ne[0])", std::to_string(kMax64),
              kShapeOffset),
      Invalid("T4ProductTurnsNegative", Tensor({int64_max, 2, 1, 1}, kI8), "t (ne[1])", "2",
              kShapeOffset + 8),
      Invalid("T5ZeroExtent", Tensor({8, 0}, kF32), "t (ne[1])", "0", kShapeOffset + 8),
      Invalid("T6BytesPass2Pow64", Tensor({uint64_t{1} << 61}, kI64), "t (elements)",
              "2305843009213693952", kShapeOffset + 8),
      Invalid("T7PaddingWraps", Tensor({kMax64 / 4}, kF32), "t (elements)",
              std::to_string(kMax64 / 4), kShapeOffset + 8),
      Invalid("T10RowNotWholeBlocks", Tensor({255, 2}, kQ4_K), "t (ne[0])", "255", kShapeOffset),
  };
  for (const uint32_t type : {0xffffffffu, 4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 40u})
    cases.push_back(Invalid("T9Type" + std::to_string(type), Tensor({256}, type), "t (type)",
                            std::to_string(type), kShapeOffset + 8));
  return cases;
}

std::vector<Case> LayoutCases() {
  const std::vector<uint64_t> huge = {0x7FFFFFFFFFFFFFC0};
  const GgufBuilder sum_wraps = GgufBuilder()
                                    .AddTensorInfo("a", 1, huge, kI8, 0)
                                    .AddTensorInfo("b", 1, huge, kI8, 0x7FFFFFFFFFFFFFC0);
  const uint64_t shape[] = {24};  // 96 bytes of F32: the next tensor belongs at 96
  const std::string data(96, '\0');
  const auto second_at = [&](uint64_t offset) {
    return GgufBuilder()
        .AddTensor("a", shape, kF32, data)
        .AddTensorInfo("b", 1, shape, kF32, offset);
  };
  constexpr uint64_t kOffsetField = kShapeOffset + 8 + 4;  // of a tensor of one dimension
  constexpr uint64_t kSecondOffsetField = kOffsetField + 33;
  return {
      Invalid("T8SumPasses2Pow63", sum_wraps, "b (offset)", "9223372036854775744",
              kSecondOffsetField),
      Invalid("T11OffsetNotAligned", Tensor({8}, kF32, 1), "t (offset)", "1", kOffsetField),
      Invalid("T11OffsetWraps", Tensor({8}, kF32, kMax64 - 31), "t (offset)",
              std::to_string(kMax64 - 31), kOffsetField),
      Truncated("T11DataBeyondFile", Tensor({8}, kF32), "t (data)", "32 bytes", 64),
      Invalid("T12Overlap", second_at(64), "b (offset)", "64", kSecondOffsetField),
      Invalid("T12SameOffset", second_at(0), "b (offset)", "0", kSecondOffsetField),
      Invalid("T12GapOfOneAlignment", second_at(128), "b (offset)", "128", kSecondOffsetField),
      Invalid("T12GapBeforeFirst", Tensor({8}, kF32, 32), "t (offset)", "32", kOffsetField),
  };
}

std::vector<Case> ShardCases() {
  constexpr std::string_view kKey = "split.count";
  constexpr uint64_t kOffset = kHeaderBytes + 8 + 11;
  return {
      Invalid("F2ShardUnderAnotherName", GgufBuilder().AddRaw(kKey, 2, std::string("\3\0", 2)),
              std::string(kKey), "3", kOffset),
      Invalid("F2NoShards", GgufBuilder().AddRaw(kKey, 2, std::string(2, '\0')), std::string(kKey),
              "0", kOffset),
      Invalid("F2Shards65535", GgufBuilder().AddRaw(kKey, 2, "\xff\xff"), std::string(kKey),
              "65535", kOffset),
      Invalid("F2ShardsAsText", GgufBuilder().AddString(kKey, "../x"), std::string(kKey), "../x",
              kOffset),
  };
}

std::vector<Case> AllCases() {
  std::vector<Case> all;
  for (const auto& part : {HeaderCases(), KeyCases(), ValueCases(), AlignmentCases(), TensorCases(),
                           LayoutCases(), ShardCases()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::string Detail(const Status& status, std::string_view key) {
  for (const auto& [name, value] : status.details())
    if (name == key) return value;
  return "(none)";
}

class GgufRejectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(GgufRejectionTest, NamesFieldValueAndOffset) {
  const Case& c = GetParam();
  const testing::TempFile file(c.file);
  largest_allocation = 0;
  const auto opened = GgufFile::Open(file.path());
  // A few hundred bytes for messages and the parser's own entries are no matter of the file.
  EXPECT_LE(largest_allocation, std::max<size_t>(2048, c.file.size()));
  ASSERT_FALSE(opened.ok());
  const Status& status = opened.status();
  EXPECT_EQ(status.code(), c.code) << status.ToString();
  EXPECT_EQ(status.reason(), c.reason) << status.ToString();
  EXPECT_NE(Detail(status, "field").find(c.field), std::string::npos) << status.ToString();
  EXPECT_NE(Detail(status, "value").find(c.value), std::string::npos) << status.ToString();
  EXPECT_EQ(Detail(status, "offsetBytes"), std::to_string(c.offset)) << status.ToString();
  for (const std::string_view key : {"field", "value", "offsetBytes"})
    EXPECT_NE(status.message().find(Detail(status, key)), std::string::npos) << status.ToString();
  EXPECT_NE(status.message().find(file.path().filename().string()), std::string::npos);
  for (const char ch : status.message()) EXPECT_TRUE(ch >= 0x20 && ch < 0x7f) << status.ToString();
}

INSTANTIATE_TEST_SUITE_P(Refuses, GgufRejectionTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
