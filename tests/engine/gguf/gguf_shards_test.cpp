// Models that are split into several files.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_file.h"
#include "engine/gguf/shard_name.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

namespace fs = std::filesystem;
using testing::GgufBuilder;
using testing::WriteFile;

constexpr uint32_t kF32 = 0;

// What the split.* keys of a shard say; gguf-split writes UINT16, UINT16 and INT32.
struct SplitKeys {
  uint16_t number;
  uint16_t count;
  int32_t n_tensors;
};

void AddSplitKeys(const SplitKeys& keys, GgufBuilder& builder) {
  const auto two_bytes = [](uint16_t value) {
    return std::string{static_cast<char>(value & 255), static_cast<char>(value >> 8)};
  };
  builder.AddRaw("split.no", 2, two_bytes(keys.number));
  builder.AddRaw("split.count", 2, two_bytes(keys.count));
  builder.AddInt32("split.tensors.count", keys.n_tensors);
}

void AddTensor(const std::string& name, char fill, GgufBuilder& builder) {
  const uint64_t shape[] = {3};
  builder.AddTensor(name, shape, kF32, std::string(12, fill));
}

// Three shards: metadata and tensor "a"; tensors "b" and "c"; tensor "d".
class GgufShardsTest : public ::testing::Test {
 protected:
  GgufShardsTest() {
    WriteShards([](int, SplitKeys&, GgufBuilder&) {});
  }

  std::string PathOf(int number) const {
    return directory_ / ShardName{"m", static_cast<uint32_t>(number), 3}.FileName();
  }

  // Writes all shards; `change` may alter the keys of shard 1, 2 or 3, or add to it.
  void WriteShards(const std::function<void(int, SplitKeys&, GgufBuilder&)>& change) {
    const std::vector<std::string> tensors[] = {{"a"}, {"b", "c"}, {"d"}};
    for (int number = 1; number <= 3; ++number) {
      GgufBuilder builder;
      if (number == 1) builder.AddString("general.name", "split");
      SplitKeys keys = {static_cast<uint16_t>(number - 1), 3, 4};
      change(number, keys, builder);
      AddSplitKeys(keys, builder);
      for (const std::string& name : tensors[number - 1]) AddTensor(name, name[0], builder);
      WriteFile(PathOf(number), builder.Build());
    }
  }

  // The refusal of the model by its first shard.
  Status Refusal() const {
    const auto file = GgufFile::Open(PathOf(1));
    return file.ok() ? Status() : file.status();
  }

  void ExpectRefusal(StatusCode code, std::string_view reason, std::string_view text) const {
    const Status status = Refusal();
    EXPECT_EQ(status.code(), code) << status.ToString();
    EXPECT_EQ(status.reason(), reason) << status.ToString();
    EXPECT_NE(status.message().find(text), std::string::npos) << status.ToString();
  }

  const testing::TempDirectory temporary_;
  const fs::path directory_ = temporary_.path();
};

std::string Bytes(const GgufFile& file, const std::string& name) {
  const GgufTensor& tensor = *file.FindTensor(name);
  std::string bytes(tensor.size_bytes, '\0');
  const Status read = file.ReadAt(tensor.offset_bytes, std::as_writable_bytes(std::span(bytes)));
  EXPECT_TRUE(read.ok()) << read.ToString();
  return bytes;
}

TEST_F(GgufShardsTest, AreOneFileWhicheverShardIsOpened) {
  for (int number = 1; number <= 3; ++number) {
    const auto file = GgufFile::Open(PathOf(number));
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    EXPECT_EQ((*file)->path(), PathOf(1));
    EXPECT_EQ(*(*file)->metadata().String("general.name").value(), "split");
    ASSERT_EQ((*file)->tensors().size(), 4u);
    for (const char* name : {"a", "b", "c", "d"})
      EXPECT_EQ(Bytes(**file, name), std::string(12, name[0]));
    EXPECT_EQ((*file)->size_bytes(),
              fs::file_size(PathOf(1)) + fs::file_size(PathOf(2)) + fs::file_size(PathOf(3)));
    EXPECT_TRUE((*file)->CheckUnchanged().ok());
  }
}

TEST_F(GgufShardsTest, MayHaveAFirstShardWithoutTensors) {
  GgufBuilder first, second;
  first.AddString("general.name", "split");
  AddSplitKeys({0, 2, 1}, first);
  AddSplitKeys({1, 2, 1}, second);
  AddTensor("a", 'a', second);
  WriteFile(directory_ / "n-00001-of-00002.gguf", first.Build());
  WriteFile(directory_ / "n-00002-of-00002.gguf", second.Build());
  const auto file = GgufFile::Open(directory_ / "n-00002-of-00002.gguf");
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ(Bytes(**file, "a"), std::string(12, 'a'));
}

TEST_F(GgufShardsTest, MayBeLinksToFilesOfOtherNames) {
  for (int number = 1; number <= 3; ++number) {
    const fs::path blob = directory_ / ("blob" + std::to_string(number));
    fs::rename(PathOf(number), blob);
    fs::create_symlink(blob, PathOf(number));
  }
  const auto file = GgufFile::Open(PathOf(1));
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ(Bytes(**file, "d"), std::string(12, 'd'));
}

TEST_F(GgufShardsTest, DoNotReadFromOneFileIntoTheNext) {
  const auto file = GgufFile::Open(PathOf(1));
  ASSERT_TRUE(file.ok());
  std::byte bytes[8];
  EXPECT_EQ((*file)->ReadAt(fs::file_size(PathOf(1)) - 4, bytes).code(), StatusCode::kOutOfRange);
  EXPECT_EQ((*file)->ReadAt((*file)->size_bytes(), bytes).code(), StatusCode::kOutOfRange);
}

TEST_F(GgufShardsTest, NoticeWhenAnyOfThemChanges) {
  for (int number = 1; number <= 3; ++number) {
    WriteShards([](int, SplitKeys&, GgufBuilder&) {});
    const auto file = GgufFile::Open(PathOf(1));
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    fs::resize_file(PathOf(number), fs::file_size(PathOf(number)) + 1);
    EXPECT_EQ((*file)->CheckUnchanged().reason(), kModelFileChanged) << number;
  }
}

TEST_F(GgufShardsTest, AreRefusedWhenOneIsMissing) {
  for (int number = 1; number <= 3; ++number) {
    WriteShards([](int, SplitKeys&, GgufBuilder&) {});
    fs::remove(PathOf(number));
    const auto file = GgufFile::Open(PathOf(number == 1 ? 2 : 1));
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.status().code(), StatusCode::kNotFound);
    EXPECT_EQ(file.status().reason(), kModelNotFound);
    EXPECT_NE(file.status().message().find(fs::path(PathOf(number)).filename().string()),
              std::string::npos)
        << file.status().ToString();
  }
}

TEST_F(GgufShardsTest, AreRefusedWhenOneIsTruncatedOrNoModelFile) {
  fs::resize_file(PathOf(3), fs::file_size(PathOf(3)) - 30);
  ExpectRefusal(StatusCode::kDataLoss, kModelFileTruncated, "m-00003-of-00003.gguf");
  WriteFile(PathOf(3), "not a model");
  ExpectRefusal(StatusCode::kInvalidArgument, kModelFileInvalid, "m-00003-of-00003.gguf");
  fs::remove(PathOf(3));
  fs::create_directory(PathOf(3));
  ExpectRefusal(StatusCode::kInvalidArgument, kModelFileInvalid, "m-00003-of-00003.gguf");
}

TEST_F(GgufShardsTest, AreRefusedWhenOneBelongsToAnotherModel) {
  struct {
    const char* text;
    std::function<void(int, SplitKeys&, GgufBuilder&)> change;
  } const kCases[] = {
      {"split.count", [](int n, SplitKeys& keys, GgufBuilder&) { keys.count = n == 2 ? 4 : 3; }},
      {"split.count", [](int n, SplitKeys& keys, GgufBuilder&) { keys.count = n == 2 ? 1 : 3; }},
      {"split.no", [](int n, SplitKeys& keys, GgufBuilder&) { keys.number = n == 3 ? 1 : n - 1; }},
      {"split.no", [](int n, SplitKeys& keys, GgufBuilder&) { keys.number = n == 1 ? 2 : n - 1; }},
      {"split.tensors.count",
       [](int n, SplitKeys& keys, GgufBuilder&) { keys.n_tensors = n == 2 ? 5 : 4; }},
      {"split.tensors.count", [](int, SplitKeys& keys, GgufBuilder&) { keys.n_tensors = 5; }},
      {"split.tensors.count", [](int, SplitKeys& keys, GgufBuilder&) { keys.n_tensors = -4; }},
      {"\"a\"",
       [](int n, SplitKeys&, GgufBuilder& b) {
         if (n == 3) AddTensor("a", 'x', b);
       }},
  };
  for (const auto& [text, change] : kCases) {
    WriteShards(change);
    ExpectRefusal(StatusCode::kInvalidArgument, kModelFileInvalid, text);
  }
  WriteShards([](int, SplitKeys&, GgufBuilder&) {});
  WriteFile(PathOf(2), GgufBuilder().Build());
  ExpectRefusal(StatusCode::kInvalidArgument, kModelFileInvalid, "split.count");
}

TEST_F(GgufShardsTest, AreRefusedUnderNamesThatDoNotSayWhichTheyAre) {
  for (const char* name : {"m.gguf", "m-00001-of-00004.gguf", "m-1-of-3.gguf",
                           "m-00000-of-00003.gguf", "m-00004-of-00003.gguf"}) {
    fs::copy_file(PathOf(1), directory_ / name);
    const auto file = GgufFile::Open(directory_ / name);
    ASSERT_FALSE(file.ok()) << name;
    EXPECT_EQ(file.status().reason(), kModelFileInvalid) << name;
    EXPECT_NE(file.status().message().find("-00001-of-00003.gguf"), std::string::npos)
        << file.status().ToString();
  }
}

TEST(ShardNameTest, IsReadAndWritten) {
  const auto name = ParseShardName("llama-3.1-70b-00002-of-00003.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->prefix, "llama-3.1-70b");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 3u);
  EXPECT_EQ(name->FileName(), "llama-3.1-70b-00002-of-00003.gguf");
  for (const char* other :
       {"", "m.gguf", "-00001-of-00002.gguf", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf",
        "m-00001-of-00000.gguf", "m-0001-of-0002.gguf", "m-00001-of-00257.gguf",
        "m-00001-of-00002.GGUF", "m-00001-of-00002.gguf.part", "m_00001-of-00002.gguf"})
    EXPECT_FALSE(ParseShardName(other).has_value()) << other;
}

}  // namespace
}  // namespace forge
