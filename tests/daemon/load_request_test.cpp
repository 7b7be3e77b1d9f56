#include "daemon/residency/load_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forge {
namespace {

TEST(LoadRequestTest, TakesDefaultsForWhatIsLeftOpen) {
  LoadRequest request;
  request.max_sequences = 9;
  const ResolvedLoadOptions resolved =
      ResolveLoadOptions(request, {"cpu", LoadOptions{2048, 4, 64, KvDType::kF32}});
  EXPECT_EQ(resolved.device, "cpu");
  EXPECT_EQ(resolved.options.context_length, 2048u);
  EXPECT_EQ(resolved.options.max_sequences, 9u);
  EXPECT_EQ(resolved.options.prefill_chunk, 64u);
  EXPECT_EQ(resolved.options.kv_dtype, KvDType::kF32);
}

TEST(LoadRequestTest, AnErrorAboutADefaultNamesItsKey) {
  const Status status = InvalidArgument("kv_cache_type q8_0 does not go")
                            .WithReason("INVALID_REQUEST")
                            .WithDetail("field", "kv_cache_type")
                            .WithDetail("value", "q8_0");
  LoadRequest request;
  const Status blaming = BlameDefaults(status, request);
  EXPECT_THAT(std::string(blaming.message()),
              ::testing::AllOf(::testing::StartsWith("kv_cache_type q8_0 does not go"),
                               ::testing::HasSubstr("defaults.kv_cache_type")));
  EXPECT_EQ(blaming.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(blaming.reason(), "INVALID_REQUEST");
  EXPECT_THAT(blaming.details(), ::testing::Contains(::testing::Pair("value", "q8_0")));
  request.kv_dtype = KvDType::kQ8_0;
  EXPECT_EQ(BlameDefaults(status, request).message(), status.message());
  EXPECT_EQ(BlameDefaults(DataLoss("cut"), LoadRequest()).message(), "cut");
}

TEST(LoadRequestTest, OnlyOptionsThatWereGivenCanDiffer) {
  const ResolvedLoadOptions actual{"cpu", LoadOptions{2048, 4, 128, KvDType::kF16}};
  EXPECT_TRUE(CheckSameOptions("m", "ready", LoadRequest(), actual).ok());
  LoadRequest request;
  request.device = "cpu";
  request.context_length = 2048;
  EXPECT_TRUE(CheckSameOptions("m", "ready", request, actual).ok());
  request.device = kAutoDevice;
  EXPECT_TRUE(CheckSameOptions("m", "ready", request, actual).ok());
  request.prefill_chunk = 1;
  const Status status = CheckSameOptions("m", "ready", request, actual);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "model 'm' is ready with prefill_chunk 128 instead of 1; unload it first to load it "
            "anew");
}

}  // namespace
}  // namespace forge
