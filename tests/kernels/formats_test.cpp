#include "kernels/formats/formats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/formats/codebooks.h"
#include "kernels/formats/format.h"
#include "tests/support/conformance.h"

namespace forge {
namespace {

std::vector<std::byte> ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> chars((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
  std::vector<std::byte> bytes(chars.size());
  std::transform(chars.begin(), chars.end(), bytes.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

std::string NameOf(const FormatInfo& format) { return std::string(format.name); }

class EveryFormatTest : public ::testing::TestWithParam<FormatInfo> {};

// FNV-1a of 64 bits.
uint64_t HashOf(std::span<const std::byte> bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const std::byte byte : bytes) hash = (hash ^ static_cast<uint64_t>(byte)) * 0x100000001b3u;
  return hash;
}

// What the blocks in tests/kernels/dequantize/ stand for, by llama.cpp: the hash of the float32
// values, little-endian. The blocks and the values themselves are conformance data, which not every
// clone has; the hashes test the same bits.
struct {
  std::string_view name;
  uint64_t hash;
} constexpr kValuesOfBlocks[] = {
    {"F16", 0xfce838ba6d092163},    {"Q4_0", 0x2c629b77c2d02eca},
    {"Q4_1", 0x8ca7e18978c560d1},   {"Q5_0", 0x5ec2d57369ba73e3},
    {"Q5_1", 0xd6fc10245d1ed378},   {"Q8_0", 0xfe05ff7efd9a5889},
    {"Q2_K", 0x0a4b5f52380567ad},   {"Q3_K", 0xff64361d86169862},
    {"Q4_K", 0x4a2ec6dd8aadbbbb},   {"Q5_K", 0x02439b29b19d1b19},
    {"Q6_K", 0xa06b27f23542b1a8},   {"IQ2_XXS", 0x091674a078f2585d},
    {"IQ2_XS", 0xe3b458dc0d2414e6}, {"IQ3_XXS", 0x3f87877cdff5f864},
    {"IQ1_S", 0x2a8c7650743f09cb},  {"IQ4_NL", 0xa736a614e9fde441},
    {"IQ3_S", 0xa6ba9697c4a16dad},  {"IQ2_S", 0x9002cf2e8bab9519},
    {"IQ4_XS", 0x1c34330fa682c579}, {"IQ1_M", 0xc21e3b53f5caa3ac},
    {"BF16", 0x668c447c8a373ba9},   {"TQ1_0", 0x8828ef2ff1789bc3},
    {"TQ2_0", 0x77e102e6b4680676},  {"MXFP4", 0x2ebb98d97ae53e0f},
};

TEST_P(EveryFormatTest, DequantizesTheBlocksOfTheRepositoryToTheBitsOfTheReference) {
  const FormatInfo& format = GetParam();
  if (NameOf(format) == "F32") return;  // is its own reference
  const auto* const reference =
      std::find_if(std::begin(kValuesOfBlocks), std::end(kValuesOfBlocks),
                   [&format](const auto& entry) { return entry.name == format.name; });
  ASSERT_NE(reference, std::end(kValuesOfBlocks));
  const std::vector<std::byte> blocks = ReadFile(
      std::string(FORGE_SOURCE_DIR) + "/tests/kernels/dequantize/" + NameOf(format) + ".bin");
  const uint64_t n_blocks = blocks.size() / format.block_bytes;
  ASSERT_GT(n_blocks, 0u);
  std::vector<float> values(n_blocks * format.block_elements);
  format.dequantize(blocks.data(), n_blocks, values.data());
  EXPECT_EQ(HashOf(std::as_bytes(std::span(values))), reference->hash);
}

TEST_P(EveryFormatTest, DequantizesToTheBitsOfTheReference) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  const FormatInfo& format = GetParam();
  // F32 has no files of its own: there the values of another format are both blocks and result.
  const std::filesystem::path dir = testing::ConformanceDir() / "dequantize";
  const std::vector<std::byte> blocks =
      ReadFile(dir / (NameOf(format) == "F32" ? "F16.f32" : NameOf(format) + ".bin"));
  const std::vector<std::byte> expected =
      ReadFile(dir / (NameOf(format) == "F32" ? "F16.f32" : NameOf(format) + ".f32"));
  const uint64_t n_blocks = blocks.size() / format.block_bytes;
  ASSERT_GT(n_blocks, 0u);
  ASSERT_EQ(n_blocks * format.block_bytes, blocks.size());
  ASSERT_EQ(n_blocks * format.block_elements * sizeof(float), expected.size());

  std::vector<float> actual(n_blocks * format.block_elements);
  format.dequantize(blocks.data(), n_blocks, actual.data());
  for (size_t i = 0; i < actual.size(); ++i) {
    float want = 0.0f;
    std::memcpy(&want, expected.data() + i * sizeof(float), sizeof(float));
    ASSERT_EQ(std::bit_cast<uint32_t>(actual[i]), std::bit_cast<uint32_t>(want))
        << "element " << i << ": " << actual[i] << " instead of " << want;
  }
}

TEST_P(EveryFormatTest, ReadsBlocksAtAnyAddressAndWritesOnlyWholeBlocks) {
  const FormatInfo& format = GetParam();
  constexpr uint64_t kBlocks = 3;
  std::vector<std::byte> aligned(kBlocks * format.block_bytes);
  for (size_t i = 0; i < aligned.size(); ++i) aligned[i] = static_cast<std::byte>(i * 37 % 113);
  std::vector<std::byte> shifted(aligned.size() + 1);
  std::copy(aligned.begin(), aligned.end(), shifted.begin() + 1);

  const size_t n = kBlocks * format.block_elements;
  std::vector<float> from_aligned(n + 1, 1234.5f);
  std::vector<float> from_shifted(n + 1, 1234.5f);
  format.dequantize(aligned.data(), kBlocks, from_aligned.data());
  format.dequantize(shifted.data() + 1, kBlocks, from_shifted.data());
  EXPECT_EQ(0, std::memcmp(from_aligned.data(), from_shifted.data(), n * sizeof(float)));
  EXPECT_EQ(from_aligned[n], 1234.5f);
}

TEST_P(EveryFormatTest, IsFoundByItsId) {
  const FormatInfo* found = FindFormat(GetParam().dtype);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->name, GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(All, EveryFormatTest, ::testing::ValuesIn(KnownFormats()),
                         [](const auto& format) { return NameOf(format.param); });

// The random blocks of the other tests do not use every entry.
TEST(CodebookTest, HoldsTheTablesOfTheFileFormat) {
  const auto hash = [](const auto& codebook) {
    return HashOf(std::as_bytes(std::span(codebook.entries)));
  };
  EXPECT_EQ(hash(kIq2XxsCodebook), 0xbb4ee025b5ac6e8eu);
  EXPECT_EQ(hash(kIq2XsCodebook), 0xc9b1ee61e79909bdu);
  EXPECT_EQ(hash(kIq2SCodebook), 0x123edd38a3b62b90u);
  EXPECT_EQ(hash(kIq3XxsCodebook), 0xdfa5dc83d6a155d5u);
  EXPECT_EQ(hash(kIq3SCodebook), 0xfa37020c25b44829u);
  auto iq1 = kIq1Codebook;
  for (auto& entry : iq1.entries)
    for (int8_t& value : entry) value = static_cast<int8_t>(value / 8);
  EXPECT_EQ(hash(iq1), 0x6703ed863501ae2eu);
}

template <size_t kElements, size_t kEntries>
void ExpectSame(const Codebook<kElements, kEntries>& book,
                const CodebookWords<kElements, kEntries>& words) {
  constexpr size_t kBits = 16 / kElements;
  for (size_t i = 0; i < kEntries; ++i)
    for (size_t k = 0; k < kElements; ++k) {
      const size_t field = words.words[i] >> (kBits * k) & ((1u << kBits) - 1);
      ASSERT_LT(field, std::size(words.levels)) << "entry " << i;
      EXPECT_EQ(words.levels[field], book.entries[i][k]) << "entry " << i;
    }
}

TEST(CodebookTest, HasTheSameEntriesInWords) {
  ExpectSame(kIq2XxsCodebook, kIq2XxsWords);
  ExpectSame(kIq2XsCodebook, kIq2XsWords);
  ExpectSame(kIq3XxsCodebook, kIq3XxsWords);
  ExpectSame(kIq3SCodebook, kIq3SWords);
}

TEST(FormatsTest, NamesNoFormatForAnUnknownId) {
  EXPECT_EQ(FindFormat(DType{4}), nullptr);
  EXPECT_EQ(FindFormat(DType{4000000000u}), nullptr);
}

TEST(FormatsTest, HasTheBlockSizesOfTheFileFormat) {
  struct Expected {
    std::string_view name;
    uint32_t id, elements, bytes;
  };
  const Expected expected[] = {
      {"F32", 0, 1, 4},         {"F16", 1, 1, 2},         {"Q4_0", 2, 32, 18},
      {"Q4_1", 3, 32, 20},      {"Q5_0", 6, 32, 22},      {"Q5_1", 7, 32, 24},
      {"Q8_0", 8, 32, 34},      {"Q2_K", 10, 256, 84},    {"Q3_K", 11, 256, 110},
      {"Q4_K", 12, 256, 144},   {"Q5_K", 13, 256, 176},   {"Q6_K", 14, 256, 210},
      {"IQ2_XXS", 16, 256, 66}, {"IQ2_XS", 17, 256, 74},  {"IQ3_XXS", 18, 256, 98},
      {"IQ1_S", 19, 256, 50},   {"IQ4_NL", 20, 32, 18},   {"IQ3_S", 21, 256, 110},
      {"IQ2_S", 22, 256, 82},   {"IQ4_XS", 23, 256, 136}, {"IQ1_M", 29, 256, 56},
      {"BF16", 30, 1, 2},       {"TQ1_0", 34, 256, 54},   {"TQ2_0", 35, 256, 66},
      {"MXFP4", 39, 32, 17}};
  ASSERT_EQ(KnownFormats().size(), std::size(expected));
  for (size_t i = 0; i < std::size(expected); ++i) {
    const FormatInfo& format = KnownFormats()[i];
    EXPECT_EQ(format.name, expected[i].name);
    EXPECT_EQ(static_cast<uint32_t>(format.dtype), expected[i].id) << format.name;
    EXPECT_EQ(format.block_elements, expected[i].elements) << format.name;
    EXPECT_EQ(format.block_bytes, expected[i].bytes) << format.name;
  }
}

}  // namespace
}  // namespace forge
