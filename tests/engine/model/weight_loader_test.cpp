#include "engine/model/weight_loader.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <chrono>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/model/transposed_matrix.h"
#include "kernels/base/half.h"
#include "kernels/formats/formats.h"
#include "tests/engine/model/opened_model.h"
#include "tests/engine/model/row_device.h"
#include "tests/kernels/random_weights.h"

namespace forge {
namespace {

using testing::OpenedModel;
using testing::RowDevice;

// The weights of the tiny model loaded under `options` onto `device`, as bytes of the arena.
std::vector<std::byte> LoadedBytes(const OpenedModel& opened, RowDevice& device,
                                   const WeightLoaderOptions& options) {
  const Result<ModelPlan> plan = opened.Plan({}, device);
  Ledger ledger(device, {});
  const Result<Arena> arena = Arena::Create(device, *ledger.Admit(plan->weights_bytes));
  std::byte* const data = *arena->View(0, plan->weights_bytes);
  std::memset(data, 0, plan->weights_bytes);  // padding too can be compared then
  const LoadProgress silent;
  ProgressReporter reporter(silent, plan->file_bytes);
  const Status status =
      LoadWeights(opened.file(), plan->weights, device, *arena, reporter, options);
  EXPECT_TRUE(status.ok()) << status.message();
  return std::vector<std::byte>(data, data + plan->weights_bytes);
}

class WeightSlicingTest : public ::testing::TestWithParam<std::tuple<uint64_t, unsigned>> {};

TEST_P(WeightSlicingTest, LoadsTheSameBytesWhateverTheSlicesAndThreads) {
  const OpenedModel opened({.n_embd = 40, .n_ff = 101});  // rows that fill no group
  RowDevice reference_device, device;
  const auto expected = LoadedBytes(opened, reference_device, {.n_threads = 1});
  const auto [slice_bytes, n_threads] = GetParam();
  EXPECT_EQ(LoadedBytes(opened, device, {.slice_bytes = slice_bytes, .n_threads = n_threads}),
            expected);
}

INSTANTIATE_TEST_SUITE_P(SlicesAndThreads, WeightSlicingTest,
                         ::testing::Combine(::testing::Values(1, 577, 4096, 1 << 20),
                                            ::testing::Values(1, 2, 7)));

TEST(WeightLoaderTest, StagingStaysWithinItsBoundWhateverTheFile) {
  const OpenedModel opened({.n_layers = 8, .n_embd = 128, .n_ff = 512});
  ASSERT_GT(opened.file().size_bytes(), 1u << 20);
  for (const uint64_t staging_bytes : {uint64_t{1}, uint64_t{100'000}, uint64_t{300'000}}) {
    RowDevice device;
    LoadedBytes(opened, device,
                {.slice_bytes = 16384, .staging_bytes = staging_bytes, .n_threads = 8});
    // At least one thread works, with one slice.
    EXPECT_LE(device.staging_bytes(), std::max<uint64_t>(staging_bytes, 16384));
    EXPECT_GT(device.pack_calls(), 64u);
  }
}

TEST(WeightLoaderTest, StartsNoMoreThreadsThanTheProcessMayKeepBusy) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  const OpenedModel opened({.n_layers = 8});
  RowDevice device;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  device.OnPackRows([&] {
    // Long enough for all others to take a slice.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
    return Status();
  });
  LoadedBytes(opened, device, {});
  EXPECT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(threads.size(), 1u);
}

// A file's attn_kv_b has what attn_k_b has transposed and attn_v_b has as it is.
TEST(WeightLoaderTest, MatricesOfHeadsAreTheSameHoweverTheFileHasThem) {
  const OpenedModel apart({.architecture = "deepseek2"});
  const OpenedModel fused({.architecture = "deepseek2", .has_fused_latent = true});
  RowDevice device;
  const auto expected = LoadedBytes(apart, device, {});
  for (const uint64_t slice_bytes : {uint64_t{1}, uint64_t{1} << 20})
    EXPECT_EQ(LoadedBytes(fused, device, {.slice_bytes = slice_bytes}), expected);
}

// Of 288 columns and 5 rows: more rows of the weight than are written at once.
template <typename Format>
std::vector<float> Transposed(const std::vector<std::byte>& file_rows) {
  constexpr int64_t kRows = 5, kCols = 288;
  const FormatInfo& format = *FindFormat(Format::kDType);
  WeightPlacement weight = {};
  weight.file_dtype = Format::kDType;
  weight.file_row_bytes = kCols / format.block_elements * format.block_bytes;
  weight.n_file_rows = kRows;
  const bool is_kept = format.name == "F32" || format.name == "BF16";
  weight.shape = {is_kept ? Format::kDType : F16Format::kDType, kCols, kRows};
  const TransposedMatrix matrix(weight, file_rows.data());
  std::vector<std::byte> rows = matrix.Rows(0, 256);
  const std::vector<std::byte> rest = matrix.Rows(256, 32);
  rows.insert(rows.end(), rest.begin(), rest.end());
  std::vector<float> numbers(kRows * kCols);
  FindFormat(weight.shape.dtype)->dequantize(rows.data(), numbers.size(), numbers.data());
  return numbers;
}

template <typename Format>
void ExpectTransposed() {
  SCOPED_TRACE(Format::kName);
  constexpr int64_t kRows = 5, kCols = 288;
  std::mt19937 random(1);
  const std::vector<std::byte> file_rows =
      testing::RandomWeightsOfSize(Format::kDType, kRows, kCols, 1.0f, random);
  std::vector<float> expected(kRows * kCols);
  const FormatInfo& format = *FindFormat(Format::kDType);
  format.dequantize(file_rows.data(), expected.size() / format.block_elements, expected.data());
  const std::vector<float> numbers = Transposed<Format>(file_rows);
  for (size_t row = 0; row < kRows; ++row)
    for (size_t column = 0; column < kCols; ++column) {
      const float wanted = expected[row * kCols + column];
      const float got = numbers[column * kRows + row];
      EXPECT_EQ(got, format.block_elements == 1 ? wanted : ToFloat(ToF16(wanted)));
    }
}

TEST(WeightLoaderTest, ATransposedMatrixHasTheFilesNumbersToTheirNearestF16) {
  ExpectTransposed<F32Format>();
  ExpectTransposed<F16Format>();
  ExpectTransposed<Bf16Format>();
  ExpectTransposed<Q8_0>();
  ExpectTransposed<Q5_0>();
}

TEST(WeightLoaderTest, LongVectorsAreReadInSlices) {
  // 20,000 elements: more than a slice of a vector, and no multiple of one.
  const OpenedModel opened({.n_layers = 1,
                            .n_embd = 8,
                            .n_heads = 4,
                            .n_kv_heads = 4,
                            .head_dim = 5000,
                            .n_ff = 8,
                            .has_qkv_bias = true});
  RowDevice device;
  const Result<ModelPlan> plan = opened.Plan({}, device);
  const auto loaded = LoadedBytes(opened, device, {.n_threads = 3});
  int n_long = 0;
  for (const WeightPlacement& weight : plan->weights) {
    if (!weight.spec.is_vector || weight.spec.n_cols != 20'000) continue;
    ++n_long;
    std::vector<std::byte> expected(weight.file_bytes());
    ASSERT_TRUE(opened.file().ReadAt(weight.file_offset, expected).ok());
    EXPECT_EQ(std::memcmp(&loaded[weight.offset_bytes], expected.data(), expected.size()), 0)
        << weight.spec.file_tensor;
  }
  EXPECT_EQ(n_long, 3);
}

TEST(ProgressReporterTest, NeverCallsAgainOnceCancelled) {
  int n_calls = 0;
  const LoadProgress progress = [&](uint64_t, uint64_t) { return ++n_calls < 2; };
  ProgressReporter reporter(progress, 10);
  EXPECT_TRUE(reporter.ReportNow(1));
  EXPECT_FALSE(reporter.ReportNow(2));
  EXPECT_FALSE(reporter.ReportNow(3));
  EXPECT_FALSE(reporter.Report(4));
  EXPECT_EQ(n_calls, 2);
}

TEST(ProgressReporterTest, PassesOnAtMostOneReportPerInterval) {
  int n_calls = 0;
  const LoadProgress progress = [&](uint64_t, uint64_t) { return ++n_calls > 0; };
  ProgressReporter reporter(progress, 10);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(reporter.Report(1));
  const auto elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_LE(n_calls, 1 + elapsed / ProgressReporter::kInterval);
}

TEST(ProgressReporterTest, WorksWithoutACallback) {
  const LoadProgress none;
  ProgressReporter reporter(none, 10);
  EXPECT_TRUE(reporter.Report(1));
  EXPECT_TRUE(reporter.ReportNow(10));
}

}  // namespace
}  // namespace forge
