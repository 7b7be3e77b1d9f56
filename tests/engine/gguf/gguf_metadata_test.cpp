#include "engine/gguf/gguf_metadata.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_file.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using testing::GgufBuilder;
using testing::LittleEndian32;
using testing::LittleEndian64;

// The metadata of a file, read back from disk.
class Loaded {
 public:
  explicit Loaded(const GgufBuilder& builder) {
    const testing::TempFile path(builder.Build());
    auto file = GgufFile::Open(path.path());
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    if (file.ok()) file_ = std::move(file).value();
  }
  const GgufMetadata* operator->() const { return &file_->metadata(); }

 private:
  std::unique_ptr<GgufFile> file_;
};

template <typename T>
void ExpectRefused(const Result<T>& result, std::string_view key, std::string_view expected) {
  ASSERT_FALSE(result.ok());
  const Status& status = result.status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.reason(), kModelFileInvalid);
  EXPECT_NE(status.message().find(key), std::string::npos) << status.ToString();
  EXPECT_NE(status.message().find(expected), std::string::npos) << status.ToString();
  ASSERT_EQ(status.details().size(), 3u);
  EXPECT_EQ(status.details()[0].second, key);
  EXPECT_NE(status.details()[2].second, "0");
}

TEST(GgufMetadataTest, ReadsEveryIntegerWidthAsUnsigned) {
  GgufBuilder builder;
  builder.AddRaw("u8", 0, "\xff").AddRaw("i8", 1, "\x7f").AddRaw("u16", 2, "\xff\xff");
  builder.AddRaw("i16", 3, "\xff\x7f").AddRaw("u32", 4, "\xff\xff\xff\xff");
  builder.AddRaw("i32", 5, "\xff\xff\xff\x7f").AddRaw("u64", 10, LittleEndian64(5));
  builder.AddRaw("i64", 11, LittleEndian64(6));
  const Loaded metadata(builder);
  const std::pair<std::string, uint32_t> expected[] = {
      {"u8", 255},         {"i8", 127},         {"u16", 65535}, {"i16", 32767},
      {"u32", 4294967295}, {"i32", 2147483647}, {"u64", 5},     {"i64", 6}};
  for (const auto& [key, value] : expected) {
    const auto read = metadata->Uint32(key);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(*read, value) << key;
    EXPECT_EQ(*metadata->Uint64(key), value) << key;
  }
}

TEST(GgufMetadataTest, AnswersNulloptForAnAbsentKey) {
  const Loaded metadata{GgufBuilder()};
  EXPECT_FALSE(metadata->Has("absent"));
  EXPECT_EQ(metadata->Uint32("absent").value(), std::nullopt);
  EXPECT_EQ(metadata->Uint64("absent").value(), std::nullopt);
  EXPECT_EQ(metadata->Float("absent").value(), std::nullopt);
  EXPECT_EQ(metadata->Bool("absent").value(), std::nullopt);
  EXPECT_EQ(metadata->String("absent").value(), std::nullopt);
  EXPECT_EQ(metadata->StringArray("absent").value(), nullptr);
  EXPECT_EQ(metadata->Array("absent").value(), nullptr);
  EXPECT_EQ(metadata->FloatArray("absent").value(), std::nullopt);
  EXPECT_EQ(metadata->Int32Array("absent").value(), std::nullopt);
}

TEST(GgufMetadataTest, RefusesIntegersOutOfRange) {
  GgufBuilder builder;
  builder.AddInt32("negative", -1).AddUint64("wide", uint64_t{1} << 32);
  const Loaded metadata(builder);
  ExpectRefused(metadata->Uint32("negative"), "negative", "-1");
  ExpectRefused(metadata->Uint64("negative"), "negative", "-1");
  ExpectRefused(metadata->Uint32("wide"), "wide", "4294967296");
  EXPECT_EQ(metadata->Uint64("wide").value(), uint64_t{1} << 32);
}

// P6: a key of the wrong type, for each getter.
TEST(GgufMetadataTest, RefusesTheWrongType) {
  const float numbers[] = {1.0f};
  GgufBuilder builder;
  builder.AddString("text", "12\n").AddUint32("number", 1).AddFloat32("real", 1.0f);
  builder.AddBool("truth", true).AddFloat32Array("reals", numbers);
  const Loaded metadata(builder);
  ExpectRefused(metadata->Uint32("text"), "text", "12\\x0a");
  ExpectRefused(metadata->Uint32("real"), "real", "FLOAT32");
  ExpectRefused(metadata->Uint32("truth"), "truth", "BOOL");
  ExpectRefused(metadata->Uint32("reals"), "reals", "array of 1 FLOAT32");
  ExpectRefused(metadata->Float("number"), "number", "UINT32");
  ExpectRefused(metadata->Bool("number"), "number", "UINT32");
  ExpectRefused(metadata->String("number"), "number", "STRING");
  ExpectRefused(metadata->Array("number"), "number", "ARRAY");
  ExpectRefused(metadata->StringArray("reals"), "reals", "ARRAY of STRING");
  ExpectRefused(metadata->Int32Array("reals"), "reals", "INT32");
  ExpectRefused(metadata->FloatArray("text"), "text", "ARRAY");
}

TEST(GgufMetadataTest, RefusesNumbersThatAreNotFinite) {
  GgufBuilder builder;
  builder.AddFloat32("nan", std::numeric_limits<float>::quiet_NaN());
  builder.AddFloat32("inf", std::numeric_limits<float>::infinity());
  const float numbers[] = {1.0f, -std::numeric_limits<float>::infinity()};
  builder.AddFloat32Array("array", numbers);
  const std::string huge = LittleEndian64(std::bit_cast<uint64_t>(1e300));
  builder.AddRaw("doubles", 9, LittleEndian32(12) + LittleEndian64(1) + huge);
  const Loaded metadata(builder);
  ExpectRefused(metadata->Float("nan"), "nan", "finite");
  ExpectRefused(metadata->Float("inf"), "inf", "finite");
  ExpectRefused(metadata->FloatArray("array"), "array", "element 1");
  ExpectRefused(metadata->FloatArray("doubles"), "doubles", "element 0");
}

TEST(GgufMetadataTest, ReadsArrays) {
  const std::string texts[] = {"a", "", std::string("\0b", 2)};
  const int32_t numbers[] = {-1, 2};
  const uint32_t unsigned_numbers[] = {3, 4};
  const float reals[] = {0.5f, -2.0f};
  GgufBuilder builder;
  builder.AddStringArray("texts", texts).AddInt32Array("numbers", numbers);
  builder.AddUint32Array("unsigned", unsigned_numbers).AddFloat32Array("reals", reals);
  builder.AddRaw("bools", 9, LittleEndian32(7) + LittleEndian64(2) + std::string("\1\0", 2));
  const Loaded metadata(builder);
  const GgufStrings* const strings = metadata->StringArray("texts").value();
  ASSERT_EQ(strings->size(), std::size(texts));
  for (size_t i = 0; i < std::size(texts); ++i) EXPECT_EQ((*strings)[i], texts[i]) << i;
  EXPECT_EQ(metadata->Int32Array("numbers").value(), (std::vector<int32_t>{-1, 2}));
  EXPECT_EQ(metadata->Int32Array("unsigned").value(), (std::vector<int32_t>{3, 4}));
  EXPECT_EQ(metadata->FloatArray("reals").value(), (std::vector<float>{0.5f, -2.0f}));
  const GgufArray* const bools = metadata->Array("bools").value();
  EXPECT_EQ(bools->size(), 2u);
  EXPECT_EQ(bools->element_type, GgufType::kBool);
  EXPECT_EQ(std::get<std::vector<bool>>(bools->values), (std::vector<bool>{true, false}));
}

TEST(GgufMetadataTest, RefusesUnsignedElementsThatDoNotFit) {
  const uint32_t numbers[] = {1, 1u << 31};
  const Loaded metadata(GgufBuilder().AddUint32Array("ids", numbers));
  ExpectRefused(metadata->Int32Array("ids"), "ids", "element 1");
}

TEST(GgufMetadataTest, RefusesAKeyTwiceAndKeepsTheFirst) {
  GgufMetadata metadata;
  ASSERT_TRUE(metadata.Add("key", {GgufType::kUint32, 10, uint64_t{1}}).ok());
  const Status status = metadata.Add("key", {GgufType::kUint32, 20, uint64_t{2}});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("key = 2 at byte 20"), std::string::npos) << status.ToString();
  EXPECT_EQ(metadata.Uint32("key").value(), 1u);
  EXPECT_EQ(metadata.size(), 1u);
  EXPECT_EQ(metadata.keys().size(), 1u);
}

}  // namespace
}  // namespace forge
