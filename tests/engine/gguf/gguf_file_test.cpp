#include "engine/gguf/gguf_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "engine/gguf/gguf_fault.h"
#include "tests/support/conformance.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using testing::GgufBuilder;
using testing::LittleEndian32;
using testing::LittleEndian64;
using testing::TempFile;

constexpr uint32_t kF32 = 0, kF16 = 1, kQ8_0 = 8;

// A valid file that holds every type of value, alone and in arrays, and several tensors.
std::string EveryFeature(uint32_t version = 3) {
  GgufBuilder builder;
  builder.SetVersion(version).AddString("general.architecture", "test");
  constexpr uint32_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  for (uint32_t type = 0; type < 13; ++type) {
    if (kSizes[type] == 0) continue;
    const std::string name = "type" + std::to_string(type);
    const std::string one = std::string(kSizes[type] - 1, '\0') + '\1';
    builder.AddRaw(name, type, one);
    builder.AddRaw(name + ".array", 9, LittleEndian32(type) + LittleEndian64(2) + one + one);
  }
  const std::string texts[] = {"one", "", "three"};
  builder.AddString("text", "hello").AddStringArray("texts", texts);
  builder.AddInt32Array("empty", {});
  const uint64_t vector[] = {7}, matrix[] = {32, 2}, cube[] = {8, 2, 2};
  builder.AddTensor("vector", vector, kF32, std::string(28, 'v'));
  builder.AddTensor("matrix", matrix, kQ8_0, std::string(68, 'm'));
  builder.AddTensor("cube", cube, kF16, std::string(64, 'c'));
  return builder.Build();
}

// A file in memory: quicker than one on disk where thousands are opened.
int MemoryFile(std::string_view contents) {
  const int descriptor = memfd_create("gguf", MFD_CLOEXEC);
  EXPECT_GE(descriptor, 0);
  EXPECT_EQ(pwrite(descriptor, contents.data(), contents.size(), 0),
            static_cast<ssize_t>(contents.size()));
  return descriptor;
}

Result<std::unique_ptr<GgufFile>> OpenBytes(std::string_view contents) {
  return GgufFile::FromDescriptor(MemoryFile(contents), "(memory)");
}

std::string Bytes(const GgufFile& file, const GgufTensor& tensor) {
  std::string bytes(tensor.size_bytes, '\0');
  const Status status = file.ReadAt(tensor.offset_bytes, std::as_writable_bytes(std::span(bytes)));
  return status.ok() ? bytes : status.ToString();
}

TEST(GgufFileTest, ReadsVersions2And3) {
  for (const uint32_t version : {2u, 3u}) {
    const auto file = OpenBytes(EveryFeature(version));
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    EXPECT_EQ((*file)->version(), version);
    EXPECT_EQ((*file)->metadata().size(), 26u);
  }
}

TEST(GgufFileTest, DescribesTensorsAndReadsTheirData) {
  const std::string contents = EveryFeature();
  const auto file = OpenBytes(contents);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ((*file)->size_bytes(), contents.size());
  ASSERT_EQ((*file)->tensors().size(), 3u);
  const GgufTensor* const matrix = (*file)->FindTensor("matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->dtype, DType{kQ8_0});
  EXPECT_EQ(matrix->n_dims, 2);
  EXPECT_EQ(matrix->row_elements(), 32u);
  EXPECT_EQ(matrix->n_rows(), 2u);
  EXPECT_EQ(matrix->size_bytes, 68u);
  EXPECT_EQ(matrix->offset_bytes % 32, 0u);
  EXPECT_EQ(Bytes(**file, *matrix), std::string(68, 'm'));
  EXPECT_EQ(Bytes(**file, *(*file)->FindTensor("vector")), std::string(28, 'v'));
  EXPECT_EQ(Bytes(**file, *(*file)->FindTensor("cube")), std::string(64, 'c'));
  EXPECT_EQ((*file)->FindTensor("cube")->n_rows(), 4u);
  EXPECT_EQ((*file)->FindTensor("absent"), nullptr);
}

TEST(GgufFileTest, KeepsKeysInFileOrder) {
  const auto file =
      OpenBytes(GgufBuilder().AddUint32("b", 1).AddUint32("a", 2).AddUint32("c", 3).Build());
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->metadata().keys(), (std::vector<std::string_view>{"b", "a", "c"}));
}

TEST(GgufFileTest, RecordsTheOffsetOfEachValueAndEntry) {
  const auto file = OpenBytes(EveryFeature());
  ASSERT_TRUE(file.ok());
  const std::string contents = EveryFeature();
  // The type follows the key, the entry starts with the length of the name.
  EXPECT_EQ((*file)->metadata().Find("texts")->offset, contents.find("texts") + 5);
  EXPECT_EQ((*file)->FindTensor("matrix")->info_offset_bytes, contents.find("matrix") - 8);
}

TEST(GgufFileTest, LaysDataOutByTheAlignmentOfTheFile) {
  for (const uint32_t alignment : {1u, 8u, 64u, 65536u}) {
    GgufBuilder builder;
    const uint64_t shape[] = {3};
    builder.AddUint32("general.alignment", alignment).SetAlignment(alignment);
    builder.AddTensor("a", shape, kF32, std::string(12, 'a'));
    builder.AddTensor("b", shape, kF32, std::string(12, 'b'));
    const auto file = OpenBytes(builder.Build());
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    EXPECT_EQ(Bytes(**file, *(*file)->FindTensor("b")), std::string(12, 'b')) << alignment;
  }
}

TEST(GgufFileTest, ToleratesWhatRealFilesHold) {
  const uint64_t shape[] = {3};
  const std::string name("caf\xe9\0x", 6);  // Latin-1, and a NUL
  GgufBuilder builder;
  builder.AddUint32("gpt-oss.block_count", 1).AddString("general.name", name);
  builder.AddRaw("split.count", 2, std::string("\1\0", 2));
  builder.AddString(std::string(65535, 'k'), "longest key");
  builder.AddTensor(std::string(63, 't'), shape, kF32, std::string(12, 'x'));
  std::string contents = builder.Build();
  contents.resize(contents.size() - 20);  // no padding after the last tensor
  const auto file = OpenBytes(contents);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ(*(*file)->metadata().String("general.name").value(), name);
  EXPECT_TRUE(OpenBytes(contents + std::string(100, 'z')).ok()) << "bytes after the last tensor";
}

TEST(GgufFileTest, AcceptsTensorTypesWithoutAFormat) {
  constexpr uint32_t kQ8_K = 15;
  const uint64_t shape[] = {256, 3};
  const auto file =
      OpenBytes(GgufBuilder().AddTensor("t", shape, kQ8_K, std::string(3 * 292, 'q')).Build());
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ((*file)->FindTensor("t")->size_bytes, 3u * 292);
}

// F1: a file that ends at any byte before the end of its last tensor.
TEST(GgufFileTest, RefusesAFileCutAtAnyByte) {
  const std::string contents = EveryFeature();
  ASSERT_TRUE(OpenBytes(contents).ok());
  for (size_t n = 0; n < contents.size(); ++n) {
    const auto file = OpenBytes(contents.substr(0, n));
    ASSERT_FALSE(file.ok()) << "cut at byte " << n;
    ASSERT_EQ(file.status().code(), StatusCode::kDataLoss) << file.status().ToString();
    ASSERT_EQ(file.status().reason(), kModelFileTruncated) << file.status().ToString();
  }
}

TEST(GgufFileTest, SurvivesEveryFlippedBit) {
  const std::string contents = EveryFeature();
  int n_refused = 0;
  for (size_t bit = 0; bit < contents.size() * 8; ++bit) {
    std::string flipped = contents;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto file = OpenBytes(flipped);
    if (!file.ok()) {
      ++n_refused;
      ASSERT_FALSE(file.status().reason().empty()) << "bit " << bit;
      continue;
    }
    for (const GgufTensor& tensor : (*file)->tensors())
      ASSERT_EQ(Bytes(**file, tensor).size(), tensor.size_bytes) << "bit " << bit;
  }
  EXPECT_GT(n_refused, 1000);
}

// R3: paths that are no model.
TEST(GgufFileTest, RefusesWhatIsNoRegularFile) {
  const TempFile fifo;
  std::filesystem::remove(fifo.path());
  ASSERT_EQ(mkfifo(fifo.path().c_str(), 0600), 0);
  const std::string directory = std::filesystem::temp_directory_path().string();
  for (const std::string& path :
       {fifo.path().string(), directory, std::string("/dev/zero"), std::string("/dev/null"),
        std::string("/proc/self/mem"), std::string("/proc/self/maps")}) {
    const auto file = GgufFile::Open(path);  // must not wait for somebody to write the FIFO
    ASSERT_FALSE(file.ok()) << path;
    EXPECT_EQ(file.status().code(), StatusCode::kInvalidArgument) << file.status().ToString();
    EXPECT_EQ(file.status().reason(), kModelFileInvalid);
    EXPECT_NE(file.status().message().find(path), std::string::npos) << file.status().ToString();
  }
}

TEST(GgufFileTest, RefusesASocket) {
  const TempFile name;
  std::filesystem::remove(name.path());
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  name.path().string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(GgufFile::Open(name.path()).status().code(), StatusCode::kInvalidArgument);
  close(listener);
}

TEST(GgufFileTest, RefusesAPathWithNul) {
  const TempFile file(EveryFeature());
  std::string path = file.path().string();
  path += std::string("\0.txt", 5);
  const auto opened = GgufFile::Open(path);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(opened.status().message().find("\\x00"), std::string::npos);
}

TEST(GgufFileTest, SaysWhenThereIsNoFile) {
  for (const std::string path : {"/no/such/model.gguf", "", "/etc/passwd/model.gguf"}) {
    const auto file = GgufFile::Open(path);
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.status().code(), StatusCode::kNotFound) << file.status().ToString();
    EXPECT_EQ(file.status().reason(), kModelNotFound);
  }
}

TEST(GgufFileTest, SaysWhenTheFileMayNotBeRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file";
  const TempFile file(EveryFeature());
  ASSERT_EQ(chmod(file.path().c_str(), 0), 0);
  EXPECT_EQ(GgufFile::Open(file.path()).status().code(), StatusCode::kPermissionDenied);
}

TEST(GgufFileTest, ClosesItsDescriptorWhateverHappens) {
  for (const std::string& contents : {EveryFeature(), std::string("no model")}) {
    const int descriptor = MemoryFile(contents);
    { const auto file = GgufFile::FromDescriptor(descriptor, "(memory)"); }
    EXPECT_EQ(fcntl(descriptor, F_GETFD), -1);
  }
}

TEST(GgufFileTest, RefusesAReadPastTheEnd) {
  const auto file = OpenBytes(EveryFeature());
  ASSERT_TRUE(file.ok());
  std::vector<std::byte> bytes(2);
  const uint64_t size = (*file)->size_bytes();
  EXPECT_TRUE((*file)->ReadAt(size - 2, bytes).ok());
  EXPECT_TRUE((*file)->ReadAt(size, {}).ok());
  EXPECT_EQ((*file)->ReadAt(size - 1, bytes).code(), StatusCode::kOutOfRange);
  const uint64_t max = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ((*file)->ReadAt(max, bytes).code(), StatusCode::kOutOfRange);
}

TEST(GgufFileTest, ReportsATruncatedFileAsDataLoss) {
  const TempFile path(EveryFeature());
  const auto file = GgufFile::Open(path.path());
  ASSERT_TRUE(file.ok());
  const GgufTensor& last = (*file)->tensors().back();
  std::filesystem::resize_file(path.path(), last.offset_bytes);
  std::vector<std::byte> bytes(last.size_bytes);
  const Status status = (*file)->ReadAt(last.offset_bytes, bytes);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
  EXPECT_EQ(status.reason(), kModelFileTruncated);
}

TEST(GgufFileTest, ReportsAFileThatWasWrittenTo) {
  const TempFile path(EveryFeature());
  const auto file = GgufFile::Open(path.path());
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
  // Same size, other time of modification.
  const timespec times[] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 1}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.path().c_str(), times, 0), 0);
  std::vector<std::byte> bytes(1);
  const Status status = (*file)->ReadAt(0, bytes);
  EXPECT_EQ(status.code(), StatusCode::kAborted) << status.ToString();
  EXPECT_EQ(status.reason(), kModelFileChanged);
  EXPECT_EQ((*file)->CheckUnchanged().code(), StatusCode::kAborted);
}

TEST(GgufFileTest, ReportsAFileThatWasReplaced) {
  const TempFile path(EveryFeature());
  const auto file = GgufFile::Open(path.path());
  ASSERT_TRUE(file.ok());
  const TempFile replacement(EveryFeature());
  std::filesystem::rename(replacement.path(), path.path());
  EXPECT_EQ((*file)->CheckUnchanged().reason(), kModelFileChanged);
}

TEST(GgufFileTest, TakesThePathOfADescriptorForAName) {
  const TempFile other(EveryFeature());
  const auto file = GgufFile::FromDescriptor(MemoryFile(EveryFeature()), other.path());
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
}

TEST(GgufFileTest, KeepsADeletedFileReadable) {
  const TempFile path(EveryFeature());
  const auto file = GgufFile::Open(path.path());
  ASSERT_TRUE(file.ok());
  std::filesystem::remove(path.path());
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
  EXPECT_EQ(Bytes(**file, (*file)->tensors()[0]), std::string(28, 'v'));
}

TEST(GgufFileTest, OpensEveryConformanceFile) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  int n_files = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(testing::ConformanceDir())) {
    if (entry.path().extension() != ".gguf") continue;
    const auto file = GgufFile::Open(entry.path());
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    ++n_files;
  }
  EXPECT_GE(n_files, 40);
}

}  // namespace
}  // namespace forge
