// The memory of models whose layers differ in their heads, their nets and what they keep.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/model/model_plan.h"
#include "tests/engine/model/opened_model.h"
#include "tests/engine/model/row_device.h"

namespace forge {
namespace {

using testing::OpenedModel;
using testing::RowDevice;
using testing::TinyModelOptions;

// As Gemma 4 E2B: four layers of five with a window, which have heads of half the size; of 35
// layers the first 15 keep keys and values.
ModelConfig Gemma4_E2B() {
  ModelConfig config;
  config.n_layers = 35;
  config.n_heads = 8;
  config.n_kv_heads = 1;
  config.head_dim = config.value_dim = 512;
  config.window_heads = HeadShape{.n_kv_heads = 1, .head_dim = 256, .value_dim = 256};
  config.window = 512;
  for (int layer = 0; layer < 35; ++layer) config.windowed.push_back(layer % 5 != 4);
  config.n_shared_kv_layers = 20;
  config.n_context_train = 131072;
  return config;
}

TEST(KvPlanTest, LayersHaveTheHeadsOfTheirKindAndSharedOnesCostNothing) {
  const LoadOptions options = {.context_length = 4096, .max_sequences = 2, .prefill_chunk = 128};
  const ModelConfig config = Gemma4_E2B();
  const Result<KvPlan> kv = PlanKv(config, options);
  ASSERT_TRUE(kv.ok());
  ASSERT_EQ(kv->groups.size(), 2u);
  ASSERT_EQ(kv->layers.size(), 35u);
  EXPECT_EQ(kv->groups[kv->layers[0].group].blocks_per_sequence, 21u);
  EXPECT_EQ(kv->groups[kv->layers[4].group].blocks_per_sequence, 128u);
  constexpr uint64_t kRing = 2 * 21 * 32 * 256 * 2, kWhole = 2 * 128 * 32 * 512 * 2;
  EXPECT_EQ(kv->layers[0].key_bytes, kRing);
  EXPECT_EQ(kv->layers[4].value_bytes, kWhole);
  EXPECT_EQ(kv->total_bytes, 2 * (12 * kRing + 3 * kWhole));
  for (uint32_t layer = 15; layer < 35; ++layer) {
    const uint32_t source = layer % 5 == 4 ? 14 : 13;
    EXPECT_EQ(config.KvLayerOf(layer), source);
    EXPECT_EQ(kv->layers[layer].group, kv->layers[source].group);
    EXPECT_EQ(kv->layers[layer].key_offset_bytes, kv->layers[source].key_offset_bytes);
    EXPECT_EQ(kv->layers[layer].value_offset_bytes, kv->layers[source].value_offset_bytes);
  }
}

TEST(KvPlanTest, RefusesQ8WhereHeadsOfOneKindAreNotWholeBlocks) {
  ModelConfig config = Gemma4_E2B();
  const LoadOptions options = {
      .context_length = 64, .max_sequences = 1, .kv_dtype = KvDType::kQ8_0};
  EXPECT_TRUE(PlanKv(config, options).ok());
  config.window_heads->head_dim = 80;
  EXPECT_EQ(PlanKv(config, options).status().code(), StatusCode::kInvalidArgument);
}

// Heads of 16 elements with a window and of 32 without, nets of 96 and 192, inputs of 20.
TEST(ModelPlanTest, ScratchHoldsTheWidestLayer) {
  const RowDevice device;
  const OpenedModel model(TinyModelOptions{.architecture = "gemma4", .n_layers = 6});
  const LoadOptions options = {.context_length = 100, .max_sequences = 3, .prefill_chunk = 13};
  const ScratchPlan scratch = model.Plan(options, device)->scratch;
  EXPECT_EQ(scratch.q.size_bytes, 16u * 4 * 32 * 4);
  EXPECT_EQ(scratch.k.size_bytes, 16u * 2 * 32 * 4);
  EXPECT_EQ(scratch.v.size_bytes, 16u * 2 * 32 * 4);
  EXPECT_EQ(scratch.attention.size_bytes, 16u * 4 * 32 * 4);
  EXPECT_EQ(scratch.gate.size_bytes, 16u * 192 * 4);
  EXPECT_EQ(scratch.layer_inputs.size_bytes, 16u * 6 * 20 * 4);
  EXPECT_EQ(scratch.layer_products.size_bytes, 16u * 6 * 20 * 4);
  EXPECT_EQ(scratch.attention_workspace.size_bytes, device.AttentionWorkspaceBytes(16, 4, 32));
  ASSERT_EQ(scratch.rope_frequencies.size(), 2u);
  EXPECT_EQ(scratch.rope_frequencies[0].size_bytes, 64u);
  // 40 layers: the rows that are looked up are far longer than any that is multiplied.
  const OpenedModel deep(TinyModelOptions{.architecture = "gemma4", .n_layers = 40});
  EXPECT_EQ(deep.Plan(options, device)->scratch.matmul_workspace.size_bytes,
            device.MatmulWorkspaceBytes(16, 192));
}

// A table of layers' inputs stays as it is in the file.
TEST(ModelPlanTest, TheTableOfInputsTakesWhatItsRowsTake) {
  const RowDevice device;
  const OpenedModel model(TinyModelOptions{.architecture = "gemma4", .n_layers = 6});
  const ModelPlan plan = *model.Plan({}, device);
  const auto table =
      std::ranges::find(plan.weights, WeightRole::kLayerInputs,
                        [](const WeightPlacement& weight) { return weight.spec.role; });
  ASSERT_NE(table, plan.weights.end());
  const GgufTensor& tensor = *model.file().FindTensor("per_layer_token_embd.weight");
  EXPECT_EQ(table->file_bytes(), tensor.size_bytes);
  EXPECT_EQ(table->shape.dtype, tensor.dtype);
  EXPECT_EQ(table->size_bytes, *device.PackedWeightBytes(table->shape));
}

TEST(ModelPlanTest, HalvesOfExpertsMatricesAreTakenApart) {
  const RowDevice device;
  const OpenedModel model(
      TinyModelOptions{.architecture = "gemma4", .n_layers = 1, .n_experts = 3, .is_large = true});
  const ModelPlan plan = *model.Plan({}, device);
  const GgufTensor& tensor = *model.file().FindTensor("blk.0.ffn_gate_up_exps.weight");
  const uint64_t half = tensor.size_bytes / 6;
  for (const WeightPlacement& weight : plan.weights) {
    if (weight.spec.file_tensor != tensor.name) continue;
    EXPECT_EQ(weight.file_bytes(), half);
    const uint64_t is_up = weight.spec.role == WeightRole::kExpertUp ? 1 : 0;
    EXPECT_EQ(weight.file_offset, tensor.offset_bytes + (2 * weight.expert + is_up) * half);
  }
}

// Of six layers two are a state space, two a net and two attention.
TEST(ModelPlanTest, ALayerOfOnePartTakesNoMemoryForOthers) {
  const RowDevice device;
  for (const char* family : {"nemotron_h", "nemotron_h_moe"}) {
    SCOPED_TRACE(family);
    const OpenedModel opened({.architecture = family, .n_layers = 6});
    const Result<ModelPlan> plan = opened.Plan({.context_length = 32, .max_sequences = 3}, device);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    const StatePlan& state = plan->kv.state;
    EXPECT_EQ(state.slot_bytes, 2u * (3 * 176 * 4 + 4 * 12 * 32 * 4));
    for (uint32_t layer = 0; layer < 6; ++layer) {
      const bool attends = layer % 3 == 2;
      const uint64_t bytes = attends ? 3u * 32 * 2 * 16 * 2 : 0;
      EXPECT_EQ(plan->kv.layers[layer].key_bytes, bytes) << layer;
      EXPECT_EQ(plan->kv.layers[layer].value_bytes, bytes) << layer;
    }
    EXPECT_EQ(plan->kv.total_bytes,
              2u * 2 * (3 * 32 * 2 * 16 * 2) + state.n_slots * state.slot_bytes);
    EXPECT_EQ(plan->scratch.up.size_bytes, 0u) << "there is no gate";
  }
}

}  // namespace
}  // namespace forge
