#include "daemon/residency/memory_advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forge {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kGiB = uint64_t{1} << 30;

ModelFileInfo Plan(uint64_t weights_bytes, uint64_t kv_bytes, uint64_t scratch_bytes) {
  ModelFileInfo plan;
  plan.context_length = 32768;
  plan.max_sequences = 4;
  plan.prefill_chunk = 512;
  plan.head_dim = 128;
  plan.weights_bytes = weights_bytes;
  plan.kv_bytes = kv_bytes;
  plan.scratch_bytes = scratch_bytes;
  return plan;
}

TEST(MemoryAdviceTest, NamesTheCacheWhereItIsLargestAndWhatMakesItSmaller) {
  ModelFileInfo plan = Plan(4 * kGiB, 16 * kGiB, kGiB);
  const std::string advice = MemoryAdvice(plan, 10 * kGiB);
  EXPECT_THAT(advice, HasSubstr("its KV cache takes 16.0 GiB for 4 sequences of 32768 tokens"));
  EXPECT_THAT(advice, HasSubstr("--context"));
  EXPECT_THAT(advice, HasSubstr("--parallel"));
  EXPECT_THAT(advice, HasSubstr("--kv-cache-type q8_0"));
  EXPECT_THAT(advice, Not(HasSubstr("weights")));
  EXPECT_THAT(advice, Not(HasSubstr("unload")));

  plan.max_sequences = 1;
  plan.head_dim = 80;  // q8_0 takes blocks of 32
  EXPECT_THAT(MemoryAdvice(plan, 10 * kGiB), Not(HasSubstr("--parallel")));
  EXPECT_THAT(MemoryAdvice(plan, 10 * kGiB), Not(HasSubstr("--kv-cache-type")));
  plan.kv_dtype = KvDType::kF32;
  EXPECT_THAT(MemoryAdvice(plan, 10 * kGiB), HasSubstr("--kv-cache-type f16"));
}

TEST(MemoryAdviceTest, SaysThatNoOptionHelpsWhereTheWeightsAloneAreTooLarge) {
  const std::string advice = MemoryAdvice(Plan(40 * kGiB, kGiB, kGiB), 10 * kGiB);
  EXPECT_THAT(advice, HasSubstr("its weights take 40.0 GiB"));
  EXPECT_THAT(advice, HasSubstr("quantisation"));
  EXPECT_THAT(advice, Not(HasSubstr("--context")));
}

TEST(MemoryAdviceTest, NamesTheChunkWhereScratchIsLargest) {
  const std::string advice = MemoryAdvice(Plan(kGiB, kGiB, 8 * kGiB), 9 * kGiB);
  EXPECT_THAT(advice, HasSubstr("chunks of 512 tokens"));
  EXPECT_THAT(advice, HasSubstr("--prefill-chunk"));
}

}  // namespace
}  // namespace forge
