// What a file makes the reader hold: no more than the file's own bytes, whatever is in it.

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_file.h"
#include "tests/support/gguf_builder.h"

namespace {

// Bytes that operator new has handed out in this process and not taken back, and the most there
// were since the last reset.
size_t live_bytes = 0;
size_t peak_bytes = 0;

void* CountedAllocation(size_t bytes) {
  void* const block = std::malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  live_bytes += malloc_usable_size(block);
  peak_bytes = std::max(peak_bytes, live_bytes);
  return block;
}

void CountedFree(void* block) {
  live_bytes -= malloc_usable_size(block);  // 0 for nullptr
  std::free(block);
}

}  // namespace

void* operator new(size_t bytes) { return CountedAllocation(bytes); }
void* operator new[](size_t bytes) { return CountedAllocation(bytes); }
void operator delete(void* block) noexcept { CountedFree(block); }
void operator delete[](void* block) noexcept { CountedFree(block); }
void operator delete(void* block, size_t) noexcept { CountedFree(block); }
void operator delete[](void* block, size_t) noexcept { CountedFree(block); }

namespace forge {
namespace {

using testing::GgufBuilder;
using testing::GgufString;
using testing::LittleEndian32;
using testing::LittleEndian64;

constexpr uint32_t kUint8 = 0, kInt16 = 3, kFloat32 = 6, kBool = 7, kString = 8, kArray = 9,
                   kFloat64 = 12;
// As many keys and tensors as there may be, and the fewest that make the tables grow to that size.
constexpr size_t kCounts[] = {32769, 65536};

// What a file of a few keys may take beyond its size: the objects themselves, the first buckets of
// the tables, one message, and each block rounded up to a page.
constexpr size_t kAllowance = size_t{64} << 10;
// What docs/gguf.md grants each key beyond its bytes in the file, and each tensor altogether.
constexpr size_t kBytesPerKey = 256;
constexpr size_t kBytesPerTensor = 640;

int MemoryFile(std::string_view contents) {
  const int descriptor = memfd_create("gguf", MFD_CLOEXEC);
  EXPECT_GE(descriptor, 0);
  EXPECT_EQ(write(descriptor, contents.data(), contents.size()),
            static_cast<ssize_t>(contents.size()));
  return descriptor;
}

struct Outcome {
  Result<std::unique_ptr<GgufFile>> file;
  size_t peak_bytes;  // held while the file was opened, beyond what was held before
};

Outcome Open(int descriptor) {
  const size_t before = live_bytes;
  peak_bytes = before;
  auto file = GgufFile::FromDescriptor(descriptor, "(memory)");
  return {std::move(file), peak_bytes - before};
}

Outcome Open(std::string_view contents) { return Open(MemoryFile(contents)); }

std::string ArrayOf(uint32_t element_type, uint64_t n, std::string_view elements) {
  return LittleEndian32(element_type) + LittleEndian64(n) + std::string(elements);
}

std::string FileWithArray(uint32_t element_type, uint64_t n, std::string_view elements) {
  return GgufBuilder().AddRaw("a", kArray, ArrayOf(element_type, n, elements)).Build();
}

TEST(GgufMemoryTest, KeepsNumbersAtTheirWidthInTheFile) {
  constexpr size_t kBytes = size_t{4} << 20;
  const std::string bytes(kBytes, '\1');
  const std::pair<uint32_t, size_t> types[] = {
      {kUint8, 1}, {kBool, 1}, {kInt16, 2}, {kFloat32, 4}, {kFloat64, 8}};
  for (const auto& [type, width] : types) {
    const std::string contents = FileWithArray(type, kBytes / width, bytes);
    const Outcome outcome = Open(contents);
    ASSERT_TRUE(outcome.file.ok()) << outcome.file.status().ToString();
    EXPECT_LE(outcome.peak_bytes, contents.size() + kAllowance) << "type " << type;
    EXPECT_EQ((*outcome.file)->metadata().Array("a").value()->size(), kBytes / width);
  }
}

// The longest array there may be; its elements are a hole in the file.
TEST(GgufMemoryTest, TakesTheLongestArray) {
  constexpr uint64_t kElements = 64 << 20;
  const int descriptor = MemoryFile(FileWithArray(kUint8, kElements, ""));
  ASSERT_EQ(ftruncate(descriptor, kElements + 4096), 0);
  const Outcome outcome = Open(descriptor);
  ASSERT_TRUE(outcome.file.ok()) << outcome.file.status().ToString();
  EXPECT_LE(outcome.peak_bytes, (*outcome.file)->size_bytes() + kAllowance);
}

// The elements are a hole, which takes no room on the disk.
TEST(GgufMemoryTest, RefusesAHeaderThatIsMostlyHoles) {
  constexpr uint64_t kElements = 64 << 20;
  const std::string start = FileWithArray(kFloat32, kElements, "");
  const int descriptor = MemoryFile(start);
  ASSERT_EQ(ftruncate(descriptor, int64_t{8} << 30), 0);
  const Outcome outcome = Open(descriptor);
  ASSERT_FALSE(outcome.file.ok());
  EXPECT_EQ(outcome.file.status().reason(), kModelFileInvalid);
  ASSERT_FALSE(outcome.file.status().details().empty());
  EXPECT_EQ(outcome.file.status().details()[0].second, "a (value)");
  EXPECT_LE(outcome.peak_bytes, kAllowance);
}

TEST(GgufMemoryTest, TakesForEmptyStringsWhatTheirLengthsTake) {
  constexpr size_t kStrings = size_t{1} << 20;
  const std::string contents =
      FileWithArray(kString, kStrings, std::string(kStrings * sizeof(uint64_t), '\0'));
  const Outcome outcome = Open(contents);
  ASSERT_TRUE(outcome.file.ok()) << outcome.file.status().ToString();
  EXPECT_LE(outcome.peak_bytes, contents.size() + kAllowance);
  EXPECT_EQ((*outcome.file)->metadata().StringArray("a").value()->size(), kStrings);
}

// Texts around the cursor's buffer of 64 KiB, which the lengths are read through before the texts.
TEST(GgufMemoryTest, TakesForStringsTheirTextAndLengths) {
  std::vector<std::string> texts;
  for (const size_t size : {1u, 7u, 65535u, 0u, 65536u, 65537u, 131072u, 0u, 1u << 20})
    for (int i = 0; i < 3; ++i)
      texts.emplace_back(size, static_cast<char>('a' + texts.size() % 26));
  for (int i = 0; i < 50'000; ++i) texts.push_back(std::to_string(i));
  const std::string contents = GgufBuilder().AddStringArray("a", texts).AddUint32("z", 7).Build();
  const Outcome outcome = Open(contents);
  ASSERT_TRUE(outcome.file.ok()) << outcome.file.status().ToString();
  EXPECT_LE(outcome.peak_bytes, contents.size() + kAllowance);
  const GgufStrings& strings = *(*outcome.file)->metadata().StringArray("a").value();
  ASSERT_EQ(strings.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) ASSERT_EQ(strings[i], texts[i]) << i;
  EXPECT_EQ((*outcome.file)->metadata().Uint32("z").value(), 7u);
}

TEST(GgufMemoryTest, TakesForALoneStringItsText) {
  const std::string contents =
      GgufBuilder().AddString("a", std::string(size_t{16} << 20, 'x')).Build();
  const Outcome outcome = Open(contents);
  ASSERT_TRUE(outcome.file.ok()) << outcome.file.status().ToString();
  EXPECT_LE(outcome.peak_bytes, contents.size() + kAllowance);
}

TEST(GgufMemoryTest, TakesNothingForElementsThatTheFileLacks) {
  constexpr uint64_t kClaimed = uint64_t{1} << 26;
  for (uint32_t type = kUint8; type <= kFloat64; ++type) {
    if (type == kArray) continue;
    const std::string contents = FileWithArray(type, kClaimed, std::string(1000, '\0'));
    const Outcome outcome = Open(contents);
    ASSERT_FALSE(outcome.file.ok()) << "type " << type;
    EXPECT_EQ(outcome.file.status().reason(), kModelFileTruncated);
    EXPECT_LE(outcome.peak_bytes, contents.size() + kAllowance) << "type " << type;
  }
}

// Enough bytes for the lengths, of which one in the middle leads past the end.
TEST(GgufMemoryTest, TakesNothingForTextThatTheFileLacks) {
  constexpr size_t kStrings = 100'000;
  const std::string lengths(kStrings / 2 * sizeof(uint64_t), '\0');
  const std::string contents =
      FileWithArray(kString, kStrings, lengths + LittleEndian64(uint64_t{16} << 20) + lengths);
  const Outcome outcome = Open(contents);
  ASSERT_FALSE(outcome.file.ok());
  EXPECT_EQ(outcome.file.status().reason(), kModelFileTruncated);
  EXPECT_LE(outcome.peak_bytes, contents.size() + kAllowance);
}

TEST(GgufMemoryTest, TakesABoundedAmountForEachKey) {
  for (const size_t n_keys : kCounts) {
    GgufBuilder builder;
    for (size_t i = 0; i < n_keys; ++i) builder.AddRaw(std::to_string(i), kUint8, "\1");
    const std::string contents = builder.Build();
    const Outcome outcome = Open(contents);
    ASSERT_TRUE(outcome.file.ok()) << outcome.file.status().ToString();
    EXPECT_LE(outcome.peak_bytes, contents.size() + n_keys * kBytesPerKey) << n_keys;
  }
}

TEST(GgufMemoryTest, KeepsTheTextOfAKeyOnce) {
  constexpr size_t kKeys = 200;
  GgufBuilder builder;
  for (size_t i = 0; i < kKeys; ++i)
    builder.AddBool(std::to_string(i) + std::string(60'000, 'k'), true);
  const std::string contents = builder.Build();
  const Outcome outcome = Open(contents);
  ASSERT_TRUE(outcome.file.ok()) << outcome.file.status().ToString();
  EXPECT_LE(outcome.peak_bytes, contents.size() + kAllowance + kKeys * kBytesPerKey);
  for (const std::string_view key : (*outcome.file)->metadata().keys())
    ASSERT_TRUE((*outcome.file)->metadata().Has(key));
}

TEST(GgufMemoryTest, TakesABoundedAmountForEachTensor) {
  constexpr uint32_t kI8 = 24;
  const uint64_t shape[] = {32};
  for (const size_t n_tensors : kCounts) {
    GgufBuilder builder;
    for (size_t i = 0; i < n_tensors; ++i) {
      std::string name = std::to_string(i);
      name.resize(63, 'n');  // the longest there may be
      builder.AddTensor(name, shape, kI8, std::string(32, '\0'));
    }
    const Outcome outcome = Open(builder.Build());
    ASSERT_TRUE(outcome.file.ok()) << outcome.file.status().ToString();
    EXPECT_LE(outcome.peak_bytes, n_tensors * kBytesPerTensor) << n_tensors;
  }
}

}  // namespace
}  // namespace forge
