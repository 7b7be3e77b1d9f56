#include "engine/model/model_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/formats/formats.h"
#include "tests/engine/model/opened_model.h"
#include "tests/engine/model/row_device.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using ::testing::HasSubstr;
using testing::OpenedModel;
using testing::RowDevice;
using testing::TinyModelOptions;

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Geometry of published models, as their files have it.
ModelConfig Qwen25_7B() {
  ModelConfig config;
  config.n_layers = 28;
  config.n_embd = 3584;
  config.n_heads = 28;
  config.n_kv_heads = 4;
  config.head_dim = 128;
  config.value_dim = 128;
  config.n_context_train = 32768;
  return config;
}

uint64_t KvBytes(const ModelConfig& config, const LoadOptions& options) {
  const Result<KvPlan> kv = PlanKv(config, options);
  EXPECT_TRUE(kv.ok()) << kv.status().message();
  return kv.ok() ? kv->total_bytes : 0;
}

TEST(KvPlanTest, FollowsTheNumberOfKvHeadsNotOfHeads) {
  const LoadOptions options = {.context_length = 2048, .max_sequences = 1};
  EXPECT_EQ(KvBytes(Qwen25_7B(), options), 112 * kMiB);
  ModelConfig multi_head = Qwen25_7B();
  multi_head.n_kv_heads = multi_head.n_heads;
  EXPECT_EQ(KvBytes(multi_head, options), 784 * kMiB);
}

TEST(KvPlanTest, GrowsWithSequencesContextAndElementSize) {
  const ModelConfig config = Qwen25_7B();
  EXPECT_EQ(KvBytes(config, {.context_length = 2048, .max_sequences = 4}), 448 * kMiB);
  EXPECT_EQ(KvBytes(config, {.context_length = 4096, .max_sequences = 1}), 224 * kMiB);
  EXPECT_EQ(
      KvBytes(config, {.context_length = 2048, .max_sequences = 1, .kv_dtype = KvDType::kF32}),
      224 * kMiB);
  EXPECT_EQ(
      KvBytes(config, {.context_length = 2048, .max_sequences = 1, .kv_dtype = KvDType::kBf16}),
      112 * kMiB);
  EXPECT_EQ(
      KvBytes(config, {.context_length = 2048, .max_sequences = 1, .kv_dtype = KvDType::kQ8_0}),
      112 * kMiB / 64 * 34);
}

TEST(KvPlanTest, RefusesQ8WhereHeadsAreNotWholeBlocks) {
  const LoadOptions options = {
      .context_length = 64, .max_sequences = 1, .kv_dtype = KvDType::kQ8_0};
  ModelConfig odd_keys = Qwen25_7B(), odd_values = Qwen25_7B();
  odd_keys.head_dim = 80;
  odd_values.value_dim = 48;
  for (const ModelConfig& config : {odd_keys, odd_values}) {
    const Status status = PlanKv(config, options).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(status.reason(), "INVALID_REQUEST");
    EXPECT_NE(status.message().find("multiple of 32"), std::string::npos) << status.message();
  }
  EXPECT_TRUE(PlanKv(odd_keys, {.context_length = 64, .max_sequences = 1}).ok());
}

TEST(KvPlanTest, RoundsEachSequenceUpToWholeBlocks) {
  const Result<KvPlan> kv = PlanKv(Qwen25_7B(), {.context_length = 33, .max_sequences = 3});
  ASSERT_TRUE(kv.ok());
  ASSERT_EQ(kv->groups.size(), 1u);
  EXPECT_EQ(kv->groups[0].blocks_per_sequence, 2u);
  EXPECT_EQ(kv->groups[0].n_blocks, 6u);
  ASSERT_EQ(kv->layers.size(), 28u);
  const KvLayerPlan& layer = kv->layers[0];
  EXPECT_EQ(layer.key_bytes, uint64_t{6} * 32 * 4 * 128 * 2);
  EXPECT_EQ(kv->total_bytes, 28 * (layer.key_bytes + layer.value_bytes));
}

TEST(KvPlanTest, TakesKeysAndValuesOfDifferentWidth) {
  ModelConfig config = Qwen25_7B();
  config.value_dim = 64;
  const Result<KvPlan> kv = PlanKv(config, {.context_length = 32, .max_sequences = 1});
  ASSERT_TRUE(kv.ok());
  EXPECT_EQ(kv->layers[0].key_bytes, 2 * kv->layers[0].value_bytes);
}

// As Gemma 2 9B: every other layer sees 4096 positions.
ModelConfig Gemma2_9B() {
  ModelConfig config;
  config.n_layers = 42;
  config.n_kv_heads = 8;
  config.head_dim = 256;
  config.value_dim = 256;
  config.window = 4096;
  for (int layer = 0; layer < 42; ++layer) config.windowed.push_back(layer % 2 == 0);
  config.n_context_train = 8192;
  return config;
}

TEST(KvPlanTest, WindowedLayersHoldTheirWindowAndOneStep) {
  const LoadOptions options = {.context_length = 8192, .max_sequences = 2, .prefill_chunk = 128};
  const Result<KvPlan> kv = PlanKv(Gemma2_9B(), options);
  ASSERT_TRUE(kv.ok());
  ASSERT_EQ(kv->groups.size(), 2u);
  const KvGroup& ring = kv->groups[kv->layers[0].group];
  const KvGroup& full = kv->groups[kv->layers[1].group];
  EXPECT_EQ(full.window, 0u);
  EXPECT_EQ(full.blocks_per_sequence, 256u);
  EXPECT_EQ(ring.window, 4096u);
  EXPECT_EQ(ring.blocks_per_sequence, 133u);  // (4096 + 128 - 2) / 32, rounded up, and one
  EXPECT_EQ(ring.n_blocks, 2u * 133u);
  const uint64_t block_bytes = 32 * 8 * 256 * 2 * 2;
  EXPECT_EQ(kv->total_bytes, 2 * 21 * block_bytes * (256 + 133));
  uint64_t end = 0;
  for (const KvLayerPlan& layer : kv->layers) {
    EXPECT_EQ(layer.key_offset_bytes, end);
    EXPECT_EQ(layer.value_offset_bytes, end + layer.key_bytes);
    end = layer.value_offset_bytes + layer.value_bytes;
  }
  EXPECT_EQ(end, kv->total_bytes);
}

TEST(KvPlanTest, AWindowBeyondTheContextTakesNoMoreThanTheContext) {
  const LoadOptions options = {.context_length = 4096, .max_sequences = 1};
  const Result<KvPlan> kv = PlanKv(Gemma2_9B(), options);
  ASSERT_TRUE(kv.ok());
  for (const KvGroup& group : kv->groups) EXPECT_EQ(group.blocks_per_sequence, 128u);
}

// Every position that some token of a step sees, and all of the step's own, in blocks of their own:
// tried out for every place that a step may begin at.
TEST(KvPlanTest, ARingIsAsSmallAsItCanBe) {
  for (const uint32_t window : {1u, 2u, 16u, 31u, 32u, 33u, 100u})
    for (const uint32_t n_tokens : {1u, 2u, 7u, 32u, 65u}) {
      uint32_t most = 0;
      for (uint32_t first = 1000; first < 1000 + kKvBlockTokens; ++first) {
        const uint32_t first_block = (first - window + 1) / kKvBlockTokens;
        const uint32_t last_block = (first + n_tokens - 1) / kKvBlockTokens;
        most = std::max(most, last_block - first_block + 1);
      }
      EXPECT_EQ(RingBlocks(window, n_tokens), most) << window << ", " << n_tokens;
    }
}

TEST(KvPlanTest, LargestContextGivesATrueSizeAndNeverWraps) {
  ModelConfig config = Qwen25_7B();
  config.n_context_train = 0x7fffffff;
  const LoadOptions options = {.context_length = 0x7fffffff, .max_sequences = 1};
  EXPECT_EQ(KvBytes(config, options), (uint64_t{1} << 31) * 4 * 128 * 2 * 2 * 28);
}

TEST(KvPlanTest, RefusesSizesThatDoNotFitIndicesOrArithmetic) {
  ModelConfig config = Qwen25_7B();
  const Status many = PlanKv(config, {.context_length = 0xffffffff, .max_sequences = 256}).status();
  EXPECT_EQ(many.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(many.message()), HasSubstr("34359738368 blocks of 32 tokens"));
  config.n_layers = 512;
  config.n_kv_heads = 4096;
  config.head_dim = 8192;
  config.value_dim = 8192;
  const Status large = PlanKv(config, {.context_length = 0xffffffff, .max_sequences = 1}).status();
  EXPECT_EQ(large.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(large.reason(), "INVALID_REQUEST");
}

TEST(LoadOptionsTest, DefaultToTheModelsContextButAtMost4096) {
  ModelConfig config = Qwen25_7B();
  EXPECT_EQ(ResolveOptions({}, config)->context_length, 4096u);
  config.n_context_train = 512;
  EXPECT_EQ(ResolveOptions({}, config)->context_length, 512u);
  EXPECT_EQ(ResolveOptions({.context_length = 100}, config)->context_length, 100u);
}

TEST(LoadOptionsTest, RefuseAContextBeyondTheTrainedOne) {
  const Status status = ResolveOptions({.context_length = 32769}, Qwen25_7B()).status();
  EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
  EXPECT_EQ(status.reason(), "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_THAT(std::string(status.message()), HasSubstr("32768"));
  EXPECT_TRUE(ResolveOptions({.context_length = 32768}, Qwen25_7B()).ok());
}

TEST(LoadOptionsTest, RefuseValuesOutOfRangeNamingFieldAndValue) {
  const std::pair<LoadOptions, const char*> bad[] = {
      {{.max_sequences = 0}, "max_sequences must be in 1..256: 0"},
      {{.max_sequences = 257}, "max_sequences must be in 1..256: 257"},
      {{.prefill_chunk = 0}, "prefill_chunk must be in 1..4096: 0"},
      {{.prefill_chunk = 4097}, "prefill_chunk must be in 1..4096: 4097"}};
  for (const auto& [options, text] : bad) {
    const Status status = ResolveOptions(options, Qwen25_7B()).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

// Named ranges of an arena.
using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;

// Each starts at a multiple of 64, none reaches into the next, and padding is below 64 bytes.
void ExpectTiles(Ranges ranges, uint64_t total_bytes) {
  std::sort(ranges.begin(), ranges.end());
  uint64_t end = 0;
  for (const auto& [offset, size] : ranges) {
    EXPECT_EQ(offset % 64, 0u);
    EXPECT_GT(size, 0u);
    EXPECT_EQ(offset, (end + 63) / 64 * 64);
    end = offset + size;
  }
  EXPECT_EQ(total_bytes, (end + 63) / 64 * 64);
}

TEST(ModelPlanTest, WeightsTileTheirArenaAndTheFile) {
  const OpenedModel model;
  const RowDevice device;
  const Result<ModelPlan> plan = model.Plan({}, device);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  Ranges ranges;
  uint64_t file_bytes = 0;
  for (const WeightPlacement& weight : plan->weights) {
    ranges.emplace_back(weight.offset_bytes, weight.size_bytes);
    file_bytes += weight.file_bytes();
  }
  ExpectTiles(ranges, plan->weights_bytes);
  uint64_t tensor_bytes = 0;
  for (const GgufTensor& tensor : model.file().tensors()) tensor_bytes += tensor.size_bytes;
  EXPECT_EQ(file_bytes, tensor_bytes);
  EXPECT_EQ(plan->file_bytes, tensor_bytes);
}

TEST(ModelPlanTest, FusedTensorFeedsThreeWeightsWithoutOverlap) {
  const OpenedModel model(TinyModelOptions{.has_fused_qkv = true, .has_qkv_bias = true});
  const RowDevice device;
  const Result<ModelPlan> plan = model.Plan({}, device);
  ASSERT_TRUE(plan.ok());
  const GgufTensor& fused = *model.file().FindTensor("blk.1.attn_qkv.weight");
  const GgufTensor& fused_bias = *model.file().FindTensor("blk.1.attn_qkv.bias");
  uint64_t next_row = fused.offset_bytes, next_bias = fused_bias.offset_bytes;
  for (const WeightPlacement& weight : plan->weights) {
    if (weight.spec.layer != 1) continue;
    if (weight.spec.file_tensor == fused.name) {
      EXPECT_EQ(weight.file_offset, next_row);
      next_row += weight.file_bytes();
    } else if (weight.spec.file_tensor == fused_bias.name) {
      EXPECT_EQ(weight.file_offset, next_bias);
      EXPECT_EQ(weight.size_bytes, weight.file_bytes());
      next_bias += weight.file_bytes();
    }
  }
  EXPECT_EQ(next_row, fused.offset_bytes + fused.size_bytes);
  EXPECT_EQ(next_bias, fused_bias.offset_bytes + fused_bias.size_bytes);
}

TEST(ModelPlanTest, TiedOutputIsPlannedOnce) {
  const OpenedModel tied(TinyModelOptions{.has_tied_output = true});
  const OpenedModel untied;
  const RowDevice device;
  const ModelPlan plan = *untied.Plan({}, device), tied_plan = *tied.Plan({}, device);
  uint64_t output_bytes = 0;
  for (const WeightPlacement& weight : plan.weights)
    if (weight.spec.role == WeightRole::kOutput) output_bytes = weight.size_bytes;
  EXPECT_GT(output_bytes, 0u);
  EXPECT_EQ(tied_plan.weights_bytes, plan.weights_bytes - output_bytes);
}

TEST(ModelPlanTest, RopeFactorsTakeNoDeviceMemory) {
  const std::vector<float> factors(8, 2.0f);
  const uint64_t shape[] = {8};
  testing::GgufBuilder builder = testing::MakeTinyModel({});
  builder.AddF32Tensor("rope_freqs.weight", shape, factors);
  const RowDevice device;
  EXPECT_EQ(OpenedModel(builder).Plan({}, device)->total_bytes(),
            OpenedModel().Plan({}, device)->total_bytes());
}

TEST(ModelPlanTest, ScratchHoldsEveryBufferOfALargestStep) {
  const OpenedModel model(TinyModelOptions{.head_dim = 32, .rope_dimension = 8});
  const RowDevice device;
  const LoadOptions options = {.context_length = 100, .max_sequences = 3, .prefill_chunk = 13};
  const Result<ModelPlan> plan = model.Plan(options, device);
  ASSERT_TRUE(plan.ok());
  const ModelConfig config = model.Describe().config;
  const ScratchPlan& s = plan->scratch;
  EXPECT_EQ(s.max_tokens, 16u);
  EXPECT_EQ(s.max_logit_rows, 3u);
  const std::pair<ScratchSlot, uint64_t> expected[] = {
      {s.hidden, 16 * 64},
      {s.normed, 16 * 64},
      {s.q, 16 * 4 * 32},
      {s.k, 16 * 2 * 32},
      {s.v, 16 * 2 * 32},
      {s.attention, 16 * 4 * 32},
      {s.gate, 16 * 96},
      {s.up, 16 * 96},
      {s.gathered, 3 * 64},
      {s.logits, 3 * uint64_t{config.n_vocab}},
      {s.indices, 3 * 16 + 16 + 16 + 16},  // each of the six from a multiple of 16 words on
      {s.top_logits, 3 * (2 + 64 + 64)},
      {s.rope_frequencies[0], 4},
      {s.matmul_workspace, device.MatmulWorkspaceBytes(16, 128) / 4},
      {s.attention_workspace, device.AttentionWorkspaceBytes(16, 4, 32) / 4}};
  Ranges ranges;
  for (size_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ(expected[i].first.size_bytes, 4 * expected[i].second) << i;
    ranges.emplace_back(expected[i].first.offset_bytes, expected[i].first.size_bytes);
  }
  ExpectTiles(ranges, s.total_bytes);
}

TEST(ModelPlanTest, ScratchHoldsOneRowForEachPairOfTokenAndExpert) {
  const OpenedModel model(TinyModelOptions{.architecture = "qwen2moe", .n_experts = 5});
  const RowDevice device;
  const Result<ModelPlan> plan =
      model.Plan({.context_length = 100, .max_sequences = 3, .prefill_chunk = 13}, device);
  ASSERT_TRUE(plan.ok());
  const ScratchPlan& s = plan->scratch;
  const std::pair<ScratchSlot, uint64_t> expected[] = {
      {s.gate, 16 * 2 * 96},  {s.up, 16 * 2 * 96},        {s.router_logits, 16 * 5},
      {s.expert_ids, 16 * 2}, {s.expert_weights, 16 * 2}, {s.expert_out, 16 * 2 * 64},
      {s.shared_gate, 16},    {s.shared_out, 16 * 64}};
  for (size_t i = 0; i < std::size(expected); ++i)
    EXPECT_EQ(expected[i].first.size_bytes, 4 * expected[i].second) << i;
  EXPECT_EQ(s.expert_workspace.size_bytes, device.ExpertMatmulWorkspaceBytes(16 * 2, 96, 5));
}

// A latent of 24 elements with 8 that are turned, whatever the file has.
TEST(ModelPlanTest, TheCacheOfALatentHoldsItOnceForAllHeads) {
  const RowDevice device;
  for (const bool is_fused : {false, true}) {
    const OpenedModel model(
        TinyModelOptions{.architecture = "deepseek2", .has_fused_latent = is_fused});
    const Result<ModelPlan> plan =
        model.Plan({.context_length = 64, .max_sequences = 3, .kv_dtype = KvDType::kF16}, device);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->kv.total_bytes, 2u * 3 * 64 * (24 + 8) * 2);
  }
}

// 96 channels of three tokens, and four heads of 12 x 12, in each of three layers of four.
TEST(ModelPlanTest, RecurrentLayersHaveSlotsOfOneSizeAndNoCache) {
  const OpenedModel opened({.architecture = "qwen35", .n_layers = 4});
  const RowDevice device;
  for (const uint32_t context : {32u, 512u}) {
    const Result<ModelPlan> plan =
        opened.Plan({.context_length = context, .max_sequences = 3}, device);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    const StatePlan& state = plan->kv.state;
    EXPECT_EQ(state.slot_bytes, 3u * (3 * 96 * 4 + 4 * 12 * 12 * 4));
    EXPECT_EQ(state.n_slots, 2u * 3 + 2);
    uint64_t cache_bytes = 0;
    for (const KvLayerPlan& layer : plan->kv.layers)
      cache_bytes += layer.key_bytes + layer.value_bytes;
    EXPECT_EQ(cache_bytes, uint64_t{3} * context * 2 * 2 * 16 * 2) << "of the one layer left";
    EXPECT_EQ(plan->kv.layers[0].key_bytes, 0u);
    EXPECT_EQ(plan->kv.total_bytes, cache_bytes + state.n_slots * state.slot_bytes);
    EXPECT_EQ(plan->scratch.max_draft_tokens, 0u);
  }
}

// 64 channels of two tokens; of the other 176 of three, and four heads of 32, each remembered
// by 12.
TEST(ModelPlanTest, ConvolutionsRememberTheirTokensAndStateSpacesAMatrixOfEachHead) {
  const RowDevice device;
  const auto slot_bytes = [&](std::string family) {
    const OpenedModel opened({.architecture = std::move(family), .n_layers = 4});
    const Result<ModelPlan> plan = opened.Plan({.context_length = 32, .max_sequences = 1}, device);
    return plan.ok() ? plan->kv.state.slot_bytes : 0;
  };
  EXPECT_EQ(slot_bytes("lfm2"), 3u * (2 * 64 * 4));
  EXPECT_EQ(slot_bytes("granitehybrid"), 3u * (3 * 176 * 4 + 4 * 12 * 32 * 4));
}

TEST(ModelPlanTest, TheScratchOfALatentHoldsEveryHead) {
  const RowDevice device;
  const OpenedModel model(TinyModelOptions{.architecture = "deepseek2"});
  const LoadOptions options = {.context_length = 64, .max_sequences = 2, .prefill_chunk = 14};
  const ScratchPlan scratch = model.Plan(options, device)->scratch;
  EXPECT_EQ(scratch.q.size_bytes, 16u * 4 * (8 + 24) * 4);
  EXPECT_EQ(scratch.attention.size_bytes, 16u * 4 * 24 * 4);
  EXPECT_EQ(scratch.heads.size_bytes, 16u * 4 * 20 * 4);
  EXPECT_EQ(scratch.turned_key.size_bytes, 16u * 8 * 4);
  EXPECT_EQ(scratch.query_latent.size_bytes, 16u * 40 * 4);
  EXPECT_EQ(scratch.head_ids.size_bytes, 16u * 4 * 4);
  // 64 heads times the latent, and their 4 matrices; experts are fewer.
  EXPECT_EQ(scratch.expert_workspace.size_bytes,
            std::max(device.ExpertMatmulWorkspaceBytes(16 * 4, 24, 4),
                     device.ExpertMatmulWorkspaceBytes(16 * 2, 96, 4)));
  // What is written once is not where logits come.
  EXPECT_GE(scratch.head_ids.offset_bytes,
            scratch.logit_area.offset_bytes + scratch.logit_area.size_bytes);
}

TEST(ModelPlanTest, TheGateHoldsTheWidestNetOfAnyLayer) {
  const RowDevice device;
  const auto gate_words = [&](const TinyModelOptions& options) {
    const OpenedModel model(options);
    return model.Plan({.max_sequences = 3, .prefill_chunk = 13}, device)->scratch.gate.size_bytes /
           4;
  };
  // Dense 96, each expert 48, the shared one 48.
  EXPECT_EQ(gate_words({.architecture = "ernie4_5-moe", .n_experts_used = 1}), 16u * 96);
  EXPECT_EQ(gate_words({.architecture = "ernie4_5-moe", .n_experts_used = 3}), 16u * 3 * 48);
  // The shared one of two experts' length.
  EXPECT_EQ(gate_words({.architecture = "glm4moe", .n_layers = 1, .n_ff = 80, .n_experts_used = 1}),
            16u * 80);
}

TEST(ModelPlanTest, PlansNothingForLayersThatGuessFurtherAhead) {
  const RowDevice device;
  const OpenedModel model(TinyModelOptions{.architecture = "glm4moe", .n_layers = 2});
  const Result<ModelPlan> plan = model.Plan({}, device);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->kv.layers.size(), 2u);
  uint64_t left_out = 0;
  for (const GgufTensor& tensor : model.file().tensors())
    if (tensor.name.starts_with("blk.2.")) left_out += tensor.size_bytes;
  uint64_t all = 0;
  for (const GgufTensor& tensor : model.file().tensors()) all += tensor.size_bytes;
  EXPECT_GT(left_out, 0u);
  EXPECT_EQ(plan->file_bytes, all - left_out);
}

TEST(ModelPlanTest, ExpertsLieOneAfterTheOtherHoweverTheFileHasThem) {
  const RowDevice device;
  const OpenedModel merged(TinyModelOptions{.n_ff = 101, .n_experts = 3});
  const OpenedModel split(TinyModelOptions{.n_ff = 101, .n_experts = 3, .has_split_experts = true});
  const ModelPlan a = *merged.Plan({}, device), b = *split.Plan({}, device);
  ASSERT_EQ(a.weights.size(), b.weights.size());
  EXPECT_EQ(a.weights_bytes, b.weights_bytes);
  for (size_t i = 0; i < a.weights.size(); ++i) {
    EXPECT_EQ(a.weights[i].spec.role, b.weights[i].spec.role);
    EXPECT_EQ(a.weights[i].expert, b.weights[i].expert);
    EXPECT_EQ(a.weights[i].offset_bytes, b.weights[i].offset_bytes);
    if (a.weights[i].expert == 0) continue;
    EXPECT_EQ(a.weights[i].offset_bytes, a.weights[i - 1].offset_bytes + a.weights[i].size_bytes);
  }
}

TEST(ModelPlanTest, RefusesRowsThatStagingMemoryCannotHold) {
  const uint64_t n_cols = testing::RowDevice::kGroupRows * kMaxRowGroupBytes / 4;
  ModelDescription description;
  description.config = Qwen25_7B();
  const uint64_t shape[] = {n_cols, 1};
  testing::GgufBuilder builder;
  builder.AddTensorInfo("wide", 2, shape, static_cast<uint32_t>(F32Format::kDType), 0);
  const testing::TempFile temporary(builder.Build());
  // The data is a hole in the file.
  std::filesystem::resize_file(temporary.path(),
                               std::filesystem::file_size(temporary.path()) + n_cols * 4 + 64);
  const auto file = GgufFile::Open(temporary.path().string());
  ASSERT_TRUE(file.ok()) << file.status().message();
  description.tensors = {{.role = WeightRole::kOutput,
                          .layer = -1,
                          .file_tensor = "wide",
                          .first_row = 0,
                          .n_rows = 1,
                          .n_cols = n_cols,
                          .is_vector = false}};
  const Status status = PlanModel(description, **file, {}, RowDevice()).status();
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  EXPECT_EQ(status.reason(), "ARCHITECTURE_UNSUPPORTED");
  EXPECT_THAT(std::string(status.message()), HasSubstr("16777216"));
}

TEST(ModelPlanTest, TotalIsTheSumOfItsParts) {
  const OpenedModel model;
  const Result<ModelPlan> plan = model.Plan({}, RowDevice());
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->total_bytes(),
            plan->weights_bytes + plan->kv.total_bytes + plan->scratch.total_bytes);
  EXPECT_EQ(plan->options.context_length, 512u);
  EXPECT_EQ(plan->kv.context_length, 512u);
}

}  // namespace
}  // namespace forge
