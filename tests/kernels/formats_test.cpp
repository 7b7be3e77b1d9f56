#include "kernels/formats/formats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

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
      {"F32", 0, 1, 4},       {"F16", 1, 1, 2},         {"Q4_0", 2, 32, 18},
      {"Q4_1", 3, 32, 20},    {"Q5_0", 6, 32, 22},      {"Q5_1", 7, 32, 24},
      {"Q8_0", 8, 32, 34},    {"Q2_K", 10, 256, 84},    {"Q3_K", 11, 256, 110},
      {"Q4_K", 12, 256, 144}, {"Q5_K", 13, 256, 176},   {"Q6_K", 14, 256, 210},
      {"IQ4_NL", 20, 32, 18}, {"IQ4_XS", 23, 256, 136}, {"BF16", 30, 1, 2},
      {"TQ2_0", 35, 256, 66}, {"MXFP4", 39, 32, 17}};
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
