#include "engine/model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/cpu/host_memory.h"
#include "tests/engine/model/bound_address.h"
#include "tests/engine/model/opened_model.h"
#include "tests/engine/model/row_device.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::OpenedModel;
using ::testing::Pair;
using testing::RowDevice;
using testing::TinyModelOptions;
using testing::TinyVocabulary;

struct Case {
  const char* name;
  TinyModelOptions model;
  LoadOptions load;
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"Llama", {}, {}},
      {"Qwen2", {.architecture = "qwen2"}, {}},
      {"FusedQkv", {.has_fused_qkv = true, .has_qkv_bias = true}, {}},
      {"TiedOutput", {.has_tied_output = true}, {}},
      {"SentencePiece", {.vocabulary = TinyVocabulary::kSentencePiece}, {}},
      {"OneKvHead", {.n_kv_heads = 1}, {}},
      {"OwnHeadSize", {.head_dim = 32}, {}},
      {"OddRows", {.n_layers = 1, .n_embd = 40, .n_ff = 101}, {}},
      {"MergedExperts", {.n_experts = 3}, {}},
      {"SplitExperts", {.n_ff = 101, .n_experts = 3, .has_split_experts = true}, {}},
      {"Qwen2Moe", {.architecture = "qwen2moe"}, {}},
      {"DeepSeek2", {.architecture = "deepseek2"}, {}},
      {"Gemma3", {.architecture = "gemma3", .n_layers = 6}, {.prefill_chunk = 5}},
      {"Gemma4", {.architecture = "gemma4", .n_layers = 6}, {.prefill_chunk = 5}},
      {"Gemma4Large",
       {.architecture = "gemma4", .n_layers = 3, .n_experts = 3, .is_large = true},
       {.context_length = 200, .max_sequences = 3}},
      {"Glm4", {.architecture = "glm4"}, {}},
      {"GptOss", {.architecture = "gpt-oss"}, {.prefill_chunk = 5}},
      {"Qwen35", {.architecture = "qwen35"}, {}},
      {"Phi3", {.architecture = "phi3", .has_long_rope = true}, {.context_length = 65}},
      {"OneSequence", {}, {.context_length = 1, .max_sequences = 1, .prefill_chunk = 1}},
      {"Float32Cache", {}, {.context_length = 333, .max_sequences = 7, .kv_dtype = KvDType::kF32}},
      {"Bfloat16Cache", {}, {.context_length = 70, .kv_dtype = KvDType::kBf16}},
      {"Q8Cache", {.head_dim = 32}, {.context_length = 333, .kv_dtype = KvDType::kQ8_0}}};
  return cases;
}

class ModelTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Model>> Load(const OpenedModel& opened, const LoadOptions& options = {},
                                      const LoadProgress& progress = {}) {
    return Model::Load(opened.file(), options, ledger_, progress);
  }
  void ExpectBaseline() const {
    EXPECT_EQ(ledger_.reserved_bytes(), 0u);
    EXPECT_EQ(device_.allocation_count().allocations, 0u);
    EXPECT_EQ(device_.allocation_count().bytes, 0u);
  }

  RowDevice device_;
  Ledger ledger_{device_, {}};
};

class LoadedModelTest : public ModelTest, public ::testing::WithParamInterface<Case> {};

INSTANTIATE_TEST_SUITE_P(Models, LoadedModelTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(LoadedModelTest, AllocatesItsPlanByteForByte) {
  const OpenedModel opened(GetParam().model);
  const Result<ModelPlan> plan = opened.Plan(GetParam().load, device_);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  {
    const auto model = Load(opened, GetParam().load);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->plan().total_bytes(), plan->total_bytes());
    EXPECT_EQ(device_.allocation_count().bytes, plan->total_bytes());
    EXPECT_EQ(device_.allocation_count().allocations, 3u);
    EXPECT_EQ(ledger_.reserved_bytes(), plan->total_bytes());
  }
  ExpectBaseline();
}

// The bytes of `spec` in the file.
std::vector<std::byte> FileBytes(const WeightPlacement& weight, const GgufFile& file) {
  std::vector<std::byte> bytes(weight.file_bytes());
  EXPECT_TRUE(file.ReadAt(weight.file_offset, bytes).ok());
  return bytes;
}

TEST_P(LoadedModelTest, HoldsEveryWeightOfTheFile) {
  const OpenedModel opened(GetParam().model);
  const auto model = Load(opened, GetParam().load);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const ModelWeights& weights = (*model)->weights();
  for (const WeightPlacement& weight : (*model)->plan().weights) {
    SCOPED_TRACE(weight.spec.file_tensor + ", " + std::string(WeightRoleName(weight.spec.role)));
    const void* const data = testing::BoundAddress(weights, weight);
    ASSERT_NE(data, nullptr);
    if (weight.spec.scale != 1.0) continue;  // not as in the file
    const std::vector<std::byte> expected = FileBytes(weight, opened.file());
    EXPECT_EQ(std::memcmp(data, expected.data(), expected.size()), 0);
  }
  EXPECT_EQ(weights.layers.size(), (*model)->config().n_layers);
  EXPECT_EQ(weights.output.data == weights.token_embedding.data,
            (*model)->config().has_tied_output);
}

TEST_P(LoadedModelTest, StartsWithAnEmptyCacheOfAllLayers) {
  const OpenedModel opened(GetParam().model);
  const auto model = Load(opened, GetParam().load);
  ASSERT_TRUE(model.ok());
  const KvPlan& kv = (*model)->plan().kv;
  const ModelConfig& config = (*model)->config();
  const std::byte* next = nullptr;
  for (uint32_t layer = 0; layer < config.n_layers; ++layer) {
    const KvLayerView view = (*model)->KvLayer(layer);
    if (!config.HasOwnKv(layer)) {
      EXPECT_EQ(view.keys, (*model)->KvLayer(config.KvLayerOf(layer)).keys);
      EXPECT_EQ(view.values, (*model)->KvLayer(config.KvLayerOf(layer)).values);
      continue;
    }
    const auto* const keys = static_cast<const std::byte*>(view.keys);
    const auto* const values = static_cast<const std::byte*>(view.values);
    EXPECT_TRUE(layer == 0 || keys == next) << layer;
    EXPECT_EQ(values, view.values_in_keys ? nullptr : keys + kv.layers[layer].key_bytes);
    next = keys + kv.layers[layer].key_bytes + kv.layers[layer].value_bytes;
    for (const std::byte* byte = keys; byte < next; ++byte) ASSERT_EQ(*byte, std::byte{0});
    const KvGroup& group = kv.groups[kv.layers[layer].group];
    EXPECT_EQ(static_cast<uint32_t>(view.n_blocks), kv.max_sequences * group.blocks_per_sequence);
    EXPECT_EQ(static_cast<uint32_t>(view.block_tokens), kKvBlockTokens);
    EXPECT_EQ(view.n_kv_heads, static_cast<int>(config.HeadsOf(layer).n_kv_heads));
    EXPECT_EQ(view.head_dim, static_cast<int>(config.HeadsOf(layer).head_dim));
    EXPECT_EQ(view.dtype, GetParam().load.kv_dtype);
  }
  const StatePlan& state = kv.state;
  EXPECT_EQ(state.n_slots > 0, (*model)->config().IsHybrid());
  if (state.n_slots == 0) return;
  const auto* const slots = reinterpret_cast<const std::byte*>((*model)->ConvState(0).data);
  EXPECT_EQ(slots, next) << "they lie behind the cache";
  for (uint64_t i = 0; i < state.n_slots * state.slot_bytes; ++i) ASSERT_EQ(slots[i], std::byte{0});
}

TEST_F(ModelTest, KeepsItsRotaryFrequenciesOnHostAndDevice) {
  const std::vector<float> factors = {1, 2, 4, 8, 1, 2, 4, 8};
  const uint64_t shape[] = {8};
  testing::GgufBuilder builder = testing::MakeTinyModel({});
  builder.AddF32Tensor("rope_freqs.weight", shape, factors);
  const OpenedModel opened(builder);
  const auto model = Load(opened);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const std::vector<float>& frequencies = (*model)->rope_table(0).frequencies;
  const RopeTable expected = *ComputeRopeTable((*model)->config().rope, factors);
  EXPECT_EQ(frequencies, expected.frequencies);
  const float* const on_device = (*model)->RopeFrequencies(0);
  EXPECT_EQ(std::vector<float>(on_device, on_device + frequencies.size()), frequencies);
}

TEST_F(ModelTest, RotatesLayersWithAWindowByATableOfTheirOwn) {
  const OpenedModel opened(TinyModelOptions{.architecture = "gemma3", .n_layers = 6});
  const auto model = Load(opened);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ((*model)->config().RopeOf(0).base, 10000.0);
  EXPECT_EQ(&(*model)->rope_table(0), &(*model)->rope_table(4));
  EXPECT_NE(&(*model)->rope_table(0), &(*model)->rope_table(5));
  EXPECT_NE((*model)->RopeFrequencies(0), (*model)->RopeFrequencies(5));
}

TEST_F(ModelTest, ChoosesTheDivisorsThatItsContextTakes) {
  const OpenedModel opened(TinyModelOptions{.architecture = "phi3", .has_long_rope = true});
  const auto near = Load(opened, {.context_length = 64});
  const auto far = Load(opened, {.context_length = 65});
  ASSERT_TRUE(near.ok() && far.ok());
  EXPECT_FLOAT_EQ((*near)->rope_table(0).frequencies[0], 1.0f);
  EXPECT_FLOAT_EQ((*far)->rope_table(0).frequencies[0], 1.0f / 1.5f);
  EXPECT_FLOAT_EQ((*far)->rope_table(0).scale, 1.19f);
}

TEST_F(ModelTest, ConvertsHalfPrecisionVectorsToFloat32) {
  // 1.0, 0.5, -2.0, 0.25 over and over.
  constexpr uint16_t kHalfs[] = {0x3c00, 0x3800, 0xc000, 0x3400};
  constexpr float kFloats[] = {1.0f, 0.5f, -2.0f, 0.25f};
  std::string data(128, '\0');
  for (size_t i = 0; i < 64; ++i) std::memcpy(&data[2 * i], &kHalfs[i % 4], 2);
  const uint64_t shape[] = {64};
  testing::GgufBuilder builder = testing::MakeTinyModel({.has_qkv_bias = false});
  for (const char* name : {"blk.0.attn_output.bias", "blk.1.attn_output.bias"})
    builder.AddTensor(name, shape, /*type=*/1, data);
  const OpenedModel opened(builder);
  const auto model = Load(opened);
  ASSERT_TRUE(model.ok()) << model.status().message();
  for (const LayerWeights& layer : (*model)->weights().layers)
    for (size_t i = 0; i < 64; ++i) ASSERT_EQ(layer.attn_output_bias[i], kFloats[i % 4]) << i;
}

TEST_F(ModelTest, LoadingAndUnloading200TimesLeavesNothingBehind) {
  const OpenedModel opened;
  for (int i = 0; i < 200; ++i) {
    const auto model = Load(opened, {.context_length = 64, .max_sequences = 1});
    ASSERT_TRUE(model.ok()) << model.status().message();
    ASSERT_EQ(device_.allocation_count().allocations, 3u);
  }
  ExpectBaseline();
}

TEST_F(ModelTest, LoadThatDoesNotFitTouchesNoDeviceMemory) {
  const OpenedModel opened;
  const uint64_t needed = opened.Plan({}, device_)->total_bytes();
  RowDevice small(needed);  // 70 % of it are less than needed
  Ledger ledger(small, {});
  const auto model = Model::Load(opened.file(), {}, ledger, {});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(model.status().reason(), "GPU_BUDGET_EXCEEDED");
  EXPECT_THAT(model.status().details(), Contains(Pair("requestedBytes", std::to_string(needed))));
  EXPECT_EQ(small.allocate_calls(), 0u);
  EXPECT_EQ(small.pack_calls(), 0u);
  EXPECT_EQ(ledger.reserved_bytes(), 0u);
}

TEST_F(ModelTest, FailureOfAnyAllocationLeavesLedgerAndDeviceAtBaseline) {
  const OpenedModel opened;
  for (const bool for_ever : {false, true}) {
    for (uint64_t n = 1; n <= 4; ++n) {
      SCOPED_TRACE("allocation " + std::to_string(n) + (for_ever ? " and all later" : " only"));
      device_.FailAllocation(n, for_ever);
      const auto model = Load(opened);
      if (n == 4) {  // a load has three
        EXPECT_TRUE(model.ok());
        continue;
      }
      ASSERT_FALSE(model.ok());
      EXPECT_EQ(model.status().code(), StatusCode::kResourceExhausted);
      EXPECT_EQ(model.status().reason(), "GPU_MEMORY_TAKEN_BY_OTHERS");
      ExpectBaseline();
    }
    device_.FailAllocation(0, false);
    EXPECT_TRUE(Load(opened).ok());
  }
  ExpectBaseline();
}

TEST_F(ModelTest, FailureOfAnyPackingLeavesLedgerAndDeviceAtBaseline) {
  const OpenedModel opened;
  ASSERT_TRUE(Load(opened).ok());
  const uint64_t n_calls = device_.pack_calls();
  for (uint64_t failing = 1; failing <= n_calls; ++failing) {
    std::atomic<uint64_t> call = 0;
    device_.OnPackRows([&call, failing] {
      return ++call == failing ? Unavailable("the device is lost") : Status();
    });
    const auto model = Load(opened);
    ASSERT_FALSE(model.ok()) << failing;
    EXPECT_EQ(model.status().code(), StatusCode::kUnavailable);
    EXPECT_THAT(std::string(model.status().message()), HasSubstr("tensor \""));
    ExpectBaseline();
  }
}

TEST_F(ModelTest, FileCutAfterItsHeaderIsDataLoss) {
  const OpenedModel opened;
  std::filesystem::resize_file(opened.path(), opened.file().tensors()[0].offset_bytes);
  const auto model = Load(opened);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(model.status().reason(), "MODEL_FILE_TRUNCATED");
  ExpectBaseline();
}

TEST_F(ModelTest, FileCutDuringTheLoadIsAnError) {
  const OpenedModel opened;
  const uint64_t size_bytes = opened.file().size_bytes();
  std::atomic<int> call = 0;
  device_.OnPackRows([&] {
    if (++call == 3) std::filesystem::resize_file(opened.path(), size_bytes / 2);
    return Status();
  });
  const auto model = Load(opened);
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.status().code(), AnyOf(StatusCode::kDataLoss, StatusCode::kAborted));
  EXPECT_THAT(std::string(model.status().reason()),
              AnyOf("MODEL_FILE_TRUNCATED", "MODEL_FILE_CHANGED"));
  ExpectBaseline();
}

TEST_F(ModelTest, FileReplacedDuringTheLoadIsAnError) {
  const OpenedModel opened;
  const testing::TempFile other(testing::MakeTinyModel({.seed = 2}).Build());
  std::atomic<int> call = 0;
  device_.OnPackRows([&] {
    if (++call != 2) return Status();
    std::filesystem::rename(opened.path(), opened.path().string() + ".old");
    std::filesystem::copy_file(other.path(), opened.path());
    return Status();
  });
  const auto model = Load(opened);
  std::filesystem::remove(opened.path().string() + ".old");
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), StatusCode::kAborted);
  EXPECT_EQ(model.status().reason(), "MODEL_FILE_CHANGED");
  ExpectBaseline();
}

// The last slices may be read before the file changes; the check at the end sees it all the same.
TEST_F(ModelTest, FileWrittenToAtTheEndOfTheLoadIsAnError) {
  const OpenedModel opened;
  const auto write = [&](uint64_t done, uint64_t total) {
    if (done == total) testing::WriteFile(opened.path(), "not a model any more");
    return true;
  };
  const auto model = Load(opened, {}, write);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().reason(), "MODEL_FILE_CHANGED");
  ExpectBaseline();
}

TEST_F(ModelTest, ReportsFromNothingToEverythingOnTheLoadingThread) {
  const OpenedModel opened;
  device_.OnPackRows([] {  // longer than the interval, so that there is a report in between
    std::this_thread::sleep_for(ProgressReporter::kInterval * 3 / 2);
    return Status();
  });
  std::vector<std::pair<uint64_t, uint64_t>> reports;
  const auto thread = std::this_thread::get_id();
  const auto start = std::chrono::steady_clock::now();
  const auto model = Load(opened, {}, [&](uint64_t done, uint64_t total) {
    EXPECT_EQ(std::this_thread::get_id(), thread);
    reports.emplace_back(done, total);
    return true;
  });
  const auto elapsed = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(model.ok());
  const uint64_t total = (*model)->plan().file_bytes;
  ASSERT_GE(reports.size(), 3u);
  EXPECT_LE(static_cast<int64_t>(reports.size()), 2 + elapsed / ProgressReporter::kInterval);
  EXPECT_EQ(reports.front(), std::make_pair(uint64_t{0}, total));
  EXPECT_EQ(reports.back(), std::make_pair(total, total));
  EXPECT_TRUE(std::is_sorted(reports.begin(), reports.end()));
}

TEST_F(ModelTest, CancellingAtTheStartReadsNoWeight) {
  const OpenedModel opened;
  const auto model = Load(opened, {}, [](uint64_t, uint64_t) { return false; });
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(device_.pack_calls(), 0u);
  ExpectBaseline();
}

TEST_F(ModelTest, CancellingMidwayLetsEachThreadFinishItsSliceOnly) {
  const OpenedModel opened(TinyModelOptions{.n_layers = 8});
  std::atomic<bool> cancelled = false;
  device_.OnPackRows([&cancelled] {
    while (!cancelled) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // The loader learns of it a moment later than this thread.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return Status();
  });
  const auto model = Load(opened, {}, [&](uint64_t, uint64_t) {
    cancelled = device_.pack_calls() > 0;
    return !cancelled;
  });
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), StatusCode::kCancelled);
  EXPECT_GE(device_.pack_calls(), 1u);
  EXPECT_LE(device_.pack_calls(), static_cast<uint64_t>(CountUsableCpus()));
  ExpectBaseline();
}

TEST_F(ModelTest, CancellingAtTheLastReportStillCancels) {
  const OpenedModel opened;
  const auto model = Load(opened, {}, [](uint64_t done, uint64_t total) { return done < total; });
  EXPECT_EQ(model.status().code(), StatusCode::kCancelled);
  ExpectBaseline();
}

TEST_F(ModelTest, ReservesBeforeItAllocatesSoThatConcurrentLoadsShareTheBudget) {
  const OpenedModel opened;
  const uint64_t needed = opened.Plan({}, device_)->total_bytes();
  RowDevice device(needed * 2);  // 70 % of it holds one
  Ledger ledger(device, {});
  std::atomic<int> n_loaded = 0, n_refused = 0;
  std::vector<std::unique_ptr<Model>> models(4);
  {
    std::vector<std::jthread> threads;
    for (auto& slot : models)
      threads.emplace_back([&] {
        auto model = Model::Load(opened.file(), {}, ledger, {});
        if (model.ok()) slot = std::move(*model);
        ++(slot != nullptr ? n_loaded : n_refused);
      });
  }
  EXPECT_EQ(n_loaded, 1);
  EXPECT_EQ(n_refused, 3);
  EXPECT_EQ(device.peak_bytes(), needed);
}

// A llama of one layer with four tokens, and `n_rows` rows in its embedding.
testing::GgufBuilder MakeModelOfFourTokens(uint32_t n_rows) {
  testing::GgufBuilder builder;
  builder.AddString("general.architecture", "llama")
      .AddUint32("llama.block_count", 1)
      .AddUint32("llama.context_length", 32)
      .AddUint32("llama.embedding_length", 8)
      .AddUint32("llama.feed_forward_length", 8)
      .AddUint32("llama.attention.head_count", 1)
      .AddFloat32("llama.attention.layer_norm_rms_epsilon", 1e-5f)
      .AddUint32("llama.vocab_size", n_rows)
      .AddString("tokenizer.ggml.model", "llama")
      .AddStringArray("tokenizer.ggml.tokens",
                      std::vector<std::string>{"<unk>", "<s>", "</s>", "a"})
      .AddFloat32Array("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -1})
      .AddInt32Array("tokenizer.ggml.token_type", std::vector<int32_t>{2, 3, 3, 1})
      .AddUint32("tokenizer.ggml.unknown_token_id", 0)
      .AddUint32("tokenizer.ggml.bos_token_id", 1)
      .AddUint32("tokenizer.ggml.eos_token_id", 2);
  const auto add = [&builder](const char* name, std::vector<uint64_t> shape) {
    const uint64_t n = shape[0] * (shape.size() > 1 ? shape[1] : 1);
    builder.AddF32Tensor(name, shape, std::vector<float>(n, 1.0f));
  };
  add("token_embd.weight", {8, n_rows});
  for (const char* name : {"output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"})
    add(name, {8});
  for (const char* name :
       {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
    add(("blk.0." + std::string(name) + ".weight").c_str(), {8, 8});
  return builder;
}

TEST_F(ModelTest, RefusesAVocabularyOfAnotherSizeThanTheEmbedding) {
  EXPECT_TRUE(Load(OpenedModel(MakeModelOfFourTokens(4))).ok());
  const uint64_t n_calls = device_.allocate_calls();
  const auto model = Load(OpenedModel(MakeModelOfFourTokens(5)));
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(model.status().reason(), "MODEL_FILE_INVALID");
  EXPECT_THAT(std::string(model.status().message()),
              HasSubstr("tokenizer.ggml.tokens (elements) = 4"));
  EXPECT_EQ(device_.allocate_calls(), n_calls);
}

TEST_F(ModelTest, StandsInForAMissingChatTemplateAndSaysSo) {
  const OpenedModel opened(TinyModelOptions{.has_chat_template = false});
  const auto model = Load(opened);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ((*model)->chat_template()->description(), "chatml (built-in: the file has none)");
  EXPECT_EQ((*Load(OpenedModel()))->chat_template()->description(), "from the file");
}

}  // namespace
}  // namespace forge
