#include "bench/op_profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "bench/model_runner.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

TEST(OpProfileTest, CountsTheOpsOfARun) {
  const testing::TempFile file;
  testing::WriteTinyModel(file.path(), {.n_layers = 3});
  OpProfile profile;
  const auto runner = ModelRunner::Create(
      {.model_path = file.path(), .n_threads = 1, .context_length = 64, .profile = &profile});
  ASSERT_TRUE(runner.ok()) << runner.status().ToString();
  profile.Reset();
  ASSERT_TRUE((*runner)->Run({.n_prompt = 8}).ok());
  const std::vector<OpRecord> records = profile.Records();
  const auto find = [&](const std::string& name) {
    const auto found = std::find_if(records.begin(), records.end(),
                                    [&](const OpRecord& record) { return record.name == name; });
    return found == records.end() ? OpRecord() : *found;
  };
  EXPECT_EQ(find("embed").n_calls, 1u);
  EXPECT_EQ(find("attention").n_calls, 3u);
  // Eight positions of two KV heads of 16 elements, keys and values, f16, in three layers.
  EXPECT_EQ(find("attention").bytes, 3u * 8 * 2 * 32 * 2);
  const OpRecord qkv = find("matmul F32 64 -> 128");
  EXPECT_EQ(qkv.n_calls, 3u);
  EXPECT_EQ(qkv.bytes, 3u * 64 * 128 * 4);
  EXPECT_EQ(qkv.operations, 3u * 2 * 8 * 64 * 128);
  EXPECT_GT(qkv.seconds, 0);
  for (size_t i = 1; i < records.size(); ++i) EXPECT_LE(records[i].seconds, records[i - 1].seconds);
}

// Steps of 24 streams: without those of prompts, and those in which only some of them generate.
TEST(OpProfileTest, CountsOnlyWhatIsMeasured) {
  const testing::TempFile file;
  testing::WriteTinyModel(file.path(), {.n_layers = 3});
  OpProfile profile;
  const auto runner = ModelRunner::Create({.model_path = file.path(),
                                           .n_threads = 1,
                                           .context_length = 128,
                                           .max_sequences = 24,
                                           .profile = &profile});
  ASSERT_TRUE(runner.ok()) << runner.status().ToString();
  const auto qkv = [&](const SpeedTest& test) {
    profile.Reset();
    const auto time = (*runner)->Run(test);
    EXPECT_TRUE(time.ok()) << test.Name();
    double seconds = 0.0;
    OpRecord found;
    for (const OpRecord& record : profile.Records()) {
      seconds += record.seconds;
      if (record.name == "matmul F32 64 -> 128") found = record;
    }
    EXPECT_LE(seconds, time->count()) << test.Name();
    return found;
  };
  const OpRecord streams = qkv({.n_gen = 5, .n_depth = 32, .n_streams = 24});
  EXPECT_EQ(streams.n_calls, 3u * 5);
  EXPECT_EQ(streams.operations, 3u * 5 * 2 * 24 * 64 * 128);
  EXPECT_EQ(qkv({.n_gen = 5, .n_depth = 32}).operations, 3u * 5 * 2 * 64 * 128);
  EXPECT_EQ(qkv({.n_prompt = 8, .n_depth = 32}).operations, 3u * 2 * 8 * 64 * 128);
}

TEST(OpProfileTest, TimesEveryOpOfTheDevice) {
  Result<std::unique_ptr<Device>> device = CreateCpuDevice({.n_threads = 1});
  ASSERT_TRUE(device.ok());
  const OpTable plain = (*device)->ops();
  OpProfile profile;
  const std::unique_ptr<Device> timed = profile.Wrap(std::move(*device));
  // All members are pointers of one size; one that is equal in both tables is not timed.
  const auto* const before = reinterpret_cast<void* const*>(&plain);
  const auto* const after = reinterpret_cast<void* const*>(&timed->ops());
  for (size_t i = 0; i < sizeof(OpTable) / sizeof(void*); ++i)
    EXPECT_NE(before[i], after[i]) << "op " << i << " is missing in bench/op_profile.cpp";
}

}  // namespace
}  // namespace forge
