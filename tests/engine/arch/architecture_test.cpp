#include "engine/arch/architecture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "tests/engine/arch/described.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::Describe;
using testing::Described;
using testing::Find;
using testing::GgufBuilder;
using testing::MakeTinyModel;
using testing::TinyModelOptions;
using testing::TinyVocabulary;

TEST(ArchitectureTest, ListsFamiliesByName) {
  std::vector<std::string_view> names;
  for (const Architecture& architecture : Architectures()) names.push_back(architecture.name);
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(names.size(), 58u);
  for (const std::string_view name : names) EXPECT_EQ(FindArchitecture(name)->name, name);
  EXPECT_EQ(FindArchitecture("mamba"), nullptr);
  EXPECT_EQ(FindArchitecture(""), nullptr);
}

TEST(ArchitectureTest, ReadsTheConfigurationOfEveryFamily) {
  for (const Architecture& architecture : Architectures()) {
    SCOPED_TRACE(architecture.name);
    const ModelConfig config =
        Described(TinyModelOptions{.architecture = std::string(architecture.name),
                                   .name = "caf\xe9",
                                   .n_layers = 3,
                                   .n_embd = 96,
                                   .n_heads = 6,
                                   .n_kv_heads = 2,
                                   .n_ff = 160,
                                   .n_context = 777})
            .config;
    EXPECT_EQ(config.architecture, architecture.name);
    EXPECT_EQ(config.name, "caf\xef\xbf\xbd");
    EXPECT_EQ(config.n_layers, 3u);
    EXPECT_EQ(config.n_embd, 96u);
    EXPECT_EQ(config.n_heads, 6u);
    EXPECT_EQ(config.n_kv_heads, config.has_latent() ? 1u : config.is_encoder ? 6u : 2u);
    EXPECT_EQ(config.n_ff, 160u);
    EXPECT_EQ(config.n_context_train, 777u);
    EXPECT_EQ(config.n_vocab, testing::TinyVocabularySize(TinyVocabulary::kBpe));
    EXPECT_FLOAT_EQ(config.rms_epsilon, 1e-5f);
    EXPECT_EQ(config.rope.base, 10000.0);
    EXPECT_EQ(config.rope.factor, 1.0);
  }
}

TEST(ArchitectureTest, PairsRotaryElementsAsTheFamilyDoes) {
  EXPECT_EQ(Described(TinyModelOptions{.architecture = "llama"}).config.rope.layout,
            RopeLayout::kInterleaved);
  EXPECT_EQ(Described(TinyModelOptions{.architecture = "qwen2"}).config.rope.layout,
            RopeLayout::kHalves);
}

// Three faults of the ancestor, which took head_dim from rope.dimension_count.
TEST(ArchitectureTest, HeadDimIsEmbeddingByHeadsWithoutARopeDimension) {
  const ModelConfig config =
      Described(TinyModelOptions{.n_embd = 96, .n_heads = 4, .rope_dimension = 0}).config;
  EXPECT_EQ(config.head_dim, 24u);
  EXPECT_EQ(config.value_dim, 24u);
  EXPECT_EQ(config.rope.dimension, 24u);
}

TEST(ArchitectureTest, AnExplicitKeyLengthWins) {
  const ModelDescription model =
      Described(TinyModelOptions{.n_embd = 64, .n_heads = 4, .n_kv_heads = 2, .head_dim = 40});
  EXPECT_EQ(model.config.head_dim, 40u);
  EXPECT_EQ(model.config.value_dim, 40u);
  EXPECT_EQ(model.config.rope.dimension, 40u);
  EXPECT_EQ(Find(model, WeightRole::kAttnQ, 0)->n_rows, 160u);
  EXPECT_EQ(Find(model, WeightRole::kAttnK, 0)->n_rows, 80u);
  EXPECT_EQ(Find(model, WeightRole::kAttnOutput, 0)->n_cols, 160u);
}

TEST(ArchitectureTest, ASmallerRotaryWidthStaysItsOwn) {
  const ModelConfig config =
      Described(TinyModelOptions{.n_embd = 64, .n_heads = 4, .rope_dimension = 8}).config;
  EXPECT_EQ(config.head_dim, 16u);
  EXPECT_EQ(config.rope.dimension, 8u);
}

TEST(ArchitectureTest, KvHeadsDefaultToHeads) {
  GgufBuilder builder;
  builder.AddString("general.architecture", "llama").AddUint32("llama.block_count", 1);
  builder.AddUint32("llama.context_length", 16).AddUint32("llama.embedding_length", 64);
  builder.AddUint32("llama.feed_forward_length", 32).AddUint32("llama.attention.head_count", 4);
  builder.AddFloat32("llama.attention.layer_norm_rms_epsilon", 1e-6f);
  builder.AddUint32("llama.vocab_size", 99);
  const testing::TempFile path(builder.Build());
  const auto file = GgufFile::Open(path.path());
  const auto config = FindArchitecture("llama")->read_config(**file);
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->n_kv_heads, 4u);
  EXPECT_EQ(config->rope.base, 10000.0);
  EXPECT_EQ(config->n_vocab, 99u);
}

TEST(ArchitectureTest, AcceptsOneKvHeadCountPerLayerWhereAllAreEqual) {
  GgufBuilder builder;
  builder.AddString("general.architecture", "llama").AddUint32("llama.block_count", 3);
  builder.AddUint32("llama.context_length", 16).AddUint32("llama.embedding_length", 64);
  builder.AddUint32("llama.feed_forward_length", 32).AddUint32("llama.attention.head_count", 4);
  builder.AddFloat32("llama.attention.layer_norm_rms_epsilon", 1e-6f);
  const int32_t kv_heads[] = {2, 2, 2};
  builder.AddInt32Array("llama.attention.head_count_kv", kv_heads);
  const std::string tokens[] = {"a", "b"};
  builder.AddStringArray("tokenizer.ggml.tokens", tokens);
  const testing::TempFile path(builder.Build());
  const auto file = GgufFile::Open(path.path());
  const auto config = FindArchitecture("llama")->read_config(**file);
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->n_kv_heads, 2u);
  EXPECT_EQ(config->n_vocab, 2u);
}

TEST(ArchitectureTest, ReadsRopeScaling) {
  const auto scaled = [](auto add) {
    GgufBuilder builder = MakeTinyModel({});
    add(builder);
    return Described(builder).config.rope;
  };
  const RopeConfig linear = scaled([](GgufBuilder& b) {
    b.AddString("llama.rope.scaling.type", "linear").AddFloat32("llama.rope.scaling.factor", 2);
  });
  EXPECT_EQ(linear.scaling, RopeScaling::kLinear);
  EXPECT_EQ(linear.factor, 2.0);
  const RopeConfig legacy =
      scaled([](GgufBuilder& b) { b.AddFloat32("llama.rope.scale_linear", 8); });
  EXPECT_EQ(legacy.scaling, RopeScaling::kLinear);
  EXPECT_EQ(legacy.factor, 8.0);
  const RopeConfig unscaled =
      scaled([](GgufBuilder& b) { b.AddFloat32("llama.rope.scale_linear", 0); });
  EXPECT_EQ(unscaled.scaling, RopeScaling::kNone);
  EXPECT_EQ(unscaled.factor, 1.0);
  const RopeConfig none = scaled([](GgufBuilder& b) {
    b.AddString("llama.rope.scaling.type", "none").AddFloat32("llama.rope.scaling.factor", 4);
  });
  EXPECT_EQ(none.scaling, RopeScaling::kNone);
  EXPECT_EQ(none.factor, 1.0);
}

TEST(ArchitectureTest, ReadsYarn) {
  GgufBuilder builder = MakeTinyModel({});
  builder.AddString("llama.rope.scaling.type", "yarn").AddFloat32("llama.rope.scaling.factor", 4);
  const RopeConfig defaults = Described(builder).config.rope;
  EXPECT_EQ(defaults.scaling, RopeScaling::kYarn);
  EXPECT_EQ(defaults.factor, 4.0);
  EXPECT_EQ(defaults.original_context, 512u);
  EXPECT_EQ(defaults.yarn_beta_fast, 32.0);
  EXPECT_EQ(defaults.yarn_beta_slow, 1.0);
  EXPECT_EQ(defaults.yarn_ext_factor, 1.0);
  EXPECT_EQ(defaults.attn_factor, 1.0);
  builder.AddUint32("llama.rope.scaling.original_context_length", 128);
  builder.AddFloat32("llama.rope.scaling.attn_factor", 0.5f);
  builder.AddFloat32("llama.rope.scaling.yarn_attn_factor", 3.0f);
  builder.AddFloat32("llama.rope.scaling.yarn_ext_factor", 0.25f);
  builder.AddFloat32("llama.rope.scaling.yarn_beta_fast", 16.0f);
  builder.AddFloat32("llama.rope.scaling.yarn_beta_slow", 2.0f);
  const RopeConfig all = Described(builder).config.rope;
  EXPECT_EQ(all.original_context, 128u);
  EXPECT_EQ(all.attn_factor, 0.5);
  EXPECT_EQ(all.yarn_ext_factor, 0.25);
  EXPECT_EQ(all.yarn_beta_fast, 16.0);
  EXPECT_EQ(all.yarn_beta_slow, 2.0);
}

// Olmo 3 has attention_factor = 1 + 0.1 ln 8 beside factor = 8: its queries are not scaled twice.
TEST(ArchitectureTest, TheMagnitudeOfYarnIsItsOwnUnlessItDoesNotExtrapolate) {
  GgufBuilder builder = MakeTinyModel({});
  builder.AddString("llama.rope.scaling.type", "yarn")
      .AddFloat32("llama.rope.scaling.factor", 8)
      .AddFloat32("llama.rope.scaling.yarn_attn_factor", 1.25f);
  EXPECT_EQ(Described(builder).config.rope.attn_factor, 1.0);
  builder.AddFloat32("llama.rope.scaling.yarn_ext_factor", 0.0f);
  EXPECT_EQ(Described(builder).config.rope.attn_factor, 1.25);
  builder.AddFloat32("llama.rope.scaling.attn_factor", 2.0f);
  EXPECT_EQ(Described(builder).config.rope.attn_factor, 2.5);
}

TEST(ArchitectureTest, ListsSeparateProjections) {
  const ModelDescription model = Described(TinyModelOptions{.n_layers = 2});
  EXPECT_FALSE(model.config.has_fused_qkv);
  EXPECT_FALSE(model.config.has_qkv_bias);
  EXPECT_EQ(model.tensors.size(), 3u + 2 * 9);
  const TensorSpec* const key = Find(model, WeightRole::kAttnK, 1);
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->file_tensor, "blk.1.attn_k.weight");
  EXPECT_EQ(key->first_row, 0u);
  EXPECT_EQ(key->n_rows, 32u);
  EXPECT_EQ(key->n_cols, 64u);
  EXPECT_FALSE(key->is_vector);
  EXPECT_EQ(Find(model, WeightRole::kAttnKBias, 1), nullptr);
}

TEST(ArchitectureTest, SplitsFusedProjectionsIntoRowsAndElements) {
  const ModelDescription model =
      Described(TinyModelOptions{.architecture = "qwen2", .n_layers = 1, .has_fused_qkv = true});
  EXPECT_TRUE(model.config.has_fused_qkv);
  EXPECT_TRUE(model.config.has_qkv_bias);
  const std::pair<WeightRole, WeightRole> roles[] = {{WeightRole::kAttnQ, WeightRole::kAttnQBias},
                                                     {WeightRole::kAttnK, WeightRole::kAttnKBias},
                                                     {WeightRole::kAttnV, WeightRole::kAttnVBias}};
  const uint64_t rows[] = {64, 32, 32};
  uint64_t first_row = 0;
  for (int i = 0; i < 3; ++i) {
    const TensorSpec* const weight = Find(model, roles[i].first, 0);
    ASSERT_NE(weight, nullptr);
    EXPECT_EQ(weight->file_tensor, "blk.0.attn_qkv.weight");
    EXPECT_EQ(weight->first_row, first_row);
    EXPECT_EQ(weight->n_rows, rows[i]);
    const TensorSpec* const bias = Find(model, roles[i].second, 0);
    ASSERT_NE(bias, nullptr);
    EXPECT_EQ(bias->file_tensor, "blk.0.attn_qkv.bias");
    EXPECT_TRUE(bias->is_vector);
    EXPECT_EQ(bias->first_row, first_row);
    EXPECT_EQ(bias->n_rows, 1u);
    EXPECT_EQ(bias->n_cols, rows[i]);
    first_row += rows[i];
  }
}

TEST(ArchitectureTest, TakesBiasesFromTheFile) {
  const ModelDescription model = Described(TinyModelOptions{.n_layers = 1, .has_qkv_bias = true});
  EXPECT_TRUE(model.config.has_qkv_bias);
  EXPECT_FALSE(model.config.has_output_bias);
  EXPECT_EQ(Find(model, WeightRole::kAttnQBias, 0)->n_cols, 64u);
  GgufBuilder builder = MakeTinyModel({.n_layers = 1});
  const uint64_t shape[] = {64};
  builder.AddF32Tensor("blk.0.attn_output.bias", shape, std::vector<float>(64));
  const ModelDescription with_output_bias = Described(builder);
  EXPECT_TRUE(with_output_bias.config.has_output_bias);
  EXPECT_EQ(Find(with_output_bias, WeightRole::kAttnOutputBias, 0)->n_cols, 64u);
}

TEST(ArchitectureTest, SharesTheEmbeddingWhereThereIsNoOutput) {
  const ModelDescription tied = Described(TinyModelOptions{.has_tied_output = true});
  EXPECT_TRUE(tied.config.has_tied_output);
  EXPECT_EQ(Find(tied, WeightRole::kOutput, -1), nullptr);
  const ModelDescription untied = Described(TinyModelOptions{});
  EXPECT_FALSE(untied.config.has_tied_output);
  EXPECT_EQ(Find(untied, WeightRole::kOutput, -1)->n_rows, untied.config.n_vocab);
}

TEST(ArchitectureTest, ReadsRopeFactors) {
  GgufBuilder builder = MakeTinyModel({.n_embd = 64, .n_heads = 4});
  const uint64_t shape[] = {8};
  builder.AddF32Tensor("rope_freqs.weight", shape, std::vector<float>(8, 1.0f));
  const ModelDescription model = Described(builder);
  EXPECT_TRUE(model.config.has_rope_factors);
  EXPECT_EQ(Find(model, WeightRole::kRopeFactors, -1)->n_cols, 8u);
}

TEST(ArchitectureTest, EverySpecHasItsOwnRoleInItsLayer) {
  for (const Architecture& architecture : Architectures()) {
    const ModelDescription model =
        Described(TinyModelOptions{.architecture = std::string(architecture.name)});
    std::set<std::tuple<int, WeightRole, uint32_t>> seen;
    for (const TensorSpec& spec : model.tensors) {
      EXPECT_TRUE(seen.emplace(spec.layer, spec.role, spec.expert).second) << spec.file_tensor;
      EXPECT_NE(WeightRoleName(spec.role), "unknown");
      EXPECT_GE(spec.layer, -1);
      EXPECT_LT(spec.layer, static_cast<int>(model.config.n_layers));
    }
  }
}

TEST(ArchitectureTest, AcceptsHalfPrecisionVectorsAndRedundantRotaryTensors) {
  constexpr uint32_t kF16 = 1, kBf16 = 30;
  const uint64_t shape[] = {64}, rotary[] = {8};
  for (const uint32_t type : {kF16, kBf16}) {
    GgufBuilder builder = MakeTinyModel({.n_layers = 1});
    builder.AddTensor("blk.0.attn_output.bias", shape, type, std::string(128, '\0'));
    builder.AddF32Tensor("blk.0.attn_rot_embd.weight", rotary, std::vector<float>(8));
    EXPECT_TRUE(Describe(builder).ok()) << Describe(builder).status().ToString();
  }
}

// Keys as the converters of the published models write them.
TEST(ArchitectureTest, ReadsExpertsAsTheFamilyWeighsThem) {
  const auto experts = [](const char* family) {
    return Described(TinyModelOptions{.architecture = family, .n_experts = 4}).config.experts;
  };
  EXPECT_TRUE(experts("llama").normalizes_weights);
  EXPECT_TRUE(experts("mixtral").normalizes_weights);
  EXPECT_TRUE(experts("qwen3moe").normalizes_weights);
  EXPECT_FALSE(experts("qwen2moe").normalizes_weights);
  EXPECT_FALSE(experts("olmoe").normalizes_weights);
  EXPECT_EQ(experts("qwen2moe").n_shared_ff, 48u);
  EXPECT_EQ(experts("qwen3moe").n_shared_ff, 0u);
  EXPECT_TRUE(experts("qwen2moe").has_shared_gate);
  EXPECT_TRUE(experts("granitemoe").normalizes_weights);
  EXPECT_EQ(experts("granitemoe").n_shared_ff, 48u);
  EXPECT_FALSE(experts("granitemoe").has_shared_gate);
  EXPECT_EQ(experts("gpt-oss").gating, ExpertGating::kSoftmaxOfChosen);
  EXPECT_TRUE(experts("gpt-oss").has_bias);
  EXPECT_FALSE(Described(TinyModelOptions{.n_experts = 4}).config.experts.is_split);
  EXPECT_TRUE(Described(TinyModelOptions{.n_experts = 4, .has_split_experts = true})
                  .config.experts.is_split);
}

// Mixtral's files have no length of an expert, the first of Qwen 1.5 none either.
TEST(ArchitectureTest, TakesTheLengthOfAnExpertFromTheDenseOneWhereItHasNone) {
  const auto read = [](const std::string& family) {
    GgufBuilder builder;
    builder.AddString("general.architecture", family).AddUint32(family + ".block_count", 1);
    builder.AddUint32(family + ".context_length", 16).AddUint32(family + ".embedding_length", 64);
    builder.AddUint32(family + ".feed_forward_length", 128);
    builder.AddUint32(family + ".attention.head_count", 4);
    builder.AddFloat32(family + ".attention.layer_norm_rms_epsilon", 1e-6f);
    builder.AddUint32(family + ".vocab_size", 99).AddUint32(family + ".expert_count", 8);
    builder.AddUint32(family + ".expert_used_count", 4);
    const testing::TempFile path(builder.Build());
    return FindArchitecture(family)->read_config(**GgufFile::Open(path.path())).value().experts;
  };
  EXPECT_EQ(read("llama").n_ff, 128u);
  EXPECT_EQ(read("qwen2moe").n_ff, 32u);
  EXPECT_EQ(read("qwen2moe").n_shared_ff, 128u);
  EXPECT_EQ(read("qwen3moe").n_ff, 32u);
}

TEST(ArchitectureTest, ReadsWindows) {
  const auto windowed = [](const TinyModelOptions& options) {
    return Described(options).config.windowed;
  };
  using Flags = std::vector<bool>;
  EXPECT_EQ(windowed({.architecture = "gemma2", .n_layers = 4}), (Flags{1, 0, 1, 0}));
  EXPECT_EQ(windowed({.architecture = "gpt-oss", .n_layers = 3}), (Flags{1, 0, 1}));
  EXPECT_EQ(windowed({.architecture = "gemma3", .n_layers = 8}), (Flags{1, 1, 1, 1, 1, 0, 1, 1}));
  EXPECT_EQ(windowed({.architecture = "mistral", .window = 100}), (Flags{1, 1}));
  for (const char* family : {"exaone4", "olmo2"}) {
    EXPECT_EQ(windowed({.architecture = family, .n_layers = 5, .window = 9}),
              (Flags{1, 1, 1, 0, 1}));
    EXPECT_EQ(windowed({.architecture = family, .n_layers = 5}), Flags());
  }
  // None: absent, 0 as Phi's converter writes it, or no shorter than the context.
  EXPECT_EQ(windowed({}), Flags());
  EXPECT_EQ(windowed({.architecture = "phi3", .window = 512}), Flags());
  GgufBuilder phi = MakeTinyModel({.architecture = "phi3"});
  phi.AddUint32("phi3.attention.sliding_window", 0);
  EXPECT_EQ(Described(phi).config.windowed, Flags());
}

TEST(ArchitectureTest, Gemma2HasItsPublishedCapsWhereAnOldFileNamesNone) {
  const ModelConfig config = Described(TinyModelOptions{.architecture = "gemma2"}).config;
  EXPECT_EQ(config.attention_soft_cap, 50.0);
  EXPECT_EQ(config.final_soft_cap, 30.0);
  EXPECT_DOUBLE_EQ(config.embedding_scale, 8.0);
  EXPECT_DOUBLE_EQ(config.attention_scale, 0.25);
  const ModelConfig largest =
      Described(TinyModelOptions{.architecture = "gemma2", .n_layers = 46, .head_dim = 8}).config;
  EXPECT_DOUBLE_EQ(largest.attention_scale, 0.25);  // of 64 / 4, not of the head's 8
}

TEST(ArchitectureTest, LeavesOutRotationWhereTheFamilyDoes) {
  const auto rotated = [](const TinyModelOptions& options) {
    const ModelConfig config = Described(options).config;
    std::vector<uint32_t> dims;
    for (uint32_t layer = 0; layer < config.n_layers; ++layer)
      dims.push_back(config.RotaryDimOf(layer));
    return dims;
  };
  using Dims = std::vector<uint32_t>;
  EXPECT_EQ(rotated({.n_layers = 4}), (Dims{16, 16, 16, 16}));
  EXPECT_EQ(rotated({.architecture = "smollm3", .n_layers = 5}), (Dims{16, 16, 16, 0, 16}));
  EXPECT_EQ(rotated({.architecture = "exaone4", .n_layers = 5}), (Dims{16, 16, 16, 16, 16}));
  EXPECT_EQ(rotated({.architecture = "exaone4", .n_layers = 5, .window = 9}),
            (Dims{16, 16, 16, 0, 16}));
  GgufBuilder granite = MakeTinyModel({.architecture = "granite"});
  EXPECT_EQ(Described(granite).config.RotaryDimOf(1), 16u);
  granite.AddBool("granite.rope.scaling.finetuned", false);
  EXPECT_EQ(Described(granite).config.RotaryDimOf(1), 0u);
}

TEST(ArchitectureTest, Olmo3ScalesNoRotationUnderAWindow) {
  GgufBuilder builder = MakeTinyModel({.architecture = "olmo2", .n_layers = 4, .window = 9});
  builder.AddString("olmo2.rope.scaling.type", "yarn")
      .AddFloat32("olmo2.rope.scaling.factor", 8.0f);
  const ModelConfig config = Described(builder).config;
  EXPECT_EQ(config.RopeOf(0).scaling, RopeScaling::kNone);
  EXPECT_EQ(config.RopeOf(3).scaling, RopeScaling::kYarn);
}

TEST(ArchitectureTest, Mistral3GrowsItsQueriesBeyondTheOriginalContext) {
  GgufBuilder builder = MakeTinyModel({.architecture = "mistral3"});
  builder.AddFloat32("mistral3.rope.scaling.yarn_log_multiplier", 1.0f);
  const ModelConfig config = Described(builder).config;
  EXPECT_EQ(config.query_growth.scale, 0.5);
  EXPECT_EQ(config.query_growth.period, 64u);
  EXPECT_EQ(config.rope.yarn_log_multiplier, 1.0);
  EXPECT_EQ(Described(TinyModelOptions{}).config.query_growth.scale, 0.0);
}

TEST(ArchitectureTest, GraniteScalesWhatItsKeysSay) {
  const ModelDescription model = Described(TinyModelOptions{.architecture = "granite"});
  EXPECT_FLOAT_EQ(static_cast<float>(model.config.embedding_scale), 3.0f);
  EXPECT_FLOAT_EQ(static_cast<float>(model.config.residual_scale), 0.4f);
  EXPECT_FLOAT_EQ(static_cast<float>(model.config.attention_scale), 0.3f);
  EXPECT_DOUBLE_EQ(model.config.logit_scale, 1.0 / 1.5);
  EXPECT_DOUBLE_EQ(Find(model, WeightRole::kOutputNorm, -1)->scale, 1.0 / 1.5);
  EXPECT_EQ(Find(model, WeightRole::kAttnNorm, 0)->scale, 1.0);
}

TEST(ArchitectureTest, NormsProjectionsOrHeads) {
  const auto dims = [](const char* family) {
    const ModelDescription model = Described(TinyModelOptions{.architecture = family});
    return std::pair(Find(model, WeightRole::kAttnQNorm, 0)->n_cols,
                     Find(model, WeightRole::kAttnKNorm, 0)->n_cols);
  };
  EXPECT_EQ(dims("exaone4"), (std::pair<uint64_t, uint64_t>(16, 16)));
  EXPECT_EQ(dims("olmo2"), (std::pair<uint64_t, uint64_t>(64, 32)));
  EXPECT_EQ(dims("olmoe"), (std::pair<uint64_t, uint64_t>(64, 32)));
}

TEST(ArchitectureTest, TakesBiasesOfTheDenseNetFromTheFile) {
  const ModelDescription plain = Described(TinyModelOptions{.has_ffn_bias = true});
  EXPECT_EQ(Find(plain, WeightRole::kFfnGateBias, 1)->file_tensor, "blk.1.ffn_gate.bias");
  EXPECT_EQ(Find(plain, WeightRole::kFfnDownBias, 1)->n_cols, 64u);
  const ModelDescription fused =
      Described(TinyModelOptions{.architecture = "phi3", .has_ffn_bias = true});
  EXPECT_EQ(Find(fused, WeightRole::kFfnGateBias, 1)->file_tensor, "blk.1.ffn_up.bias");
  EXPECT_EQ(Find(fused, WeightRole::kFfnUpBias, 1)->first_row, 96u);
}

TEST(ArchitectureTest, Phi3TakesLongRopeWithAndWithoutItsName) {
  for (const bool is_named : {false, true}) {
    GgufBuilder builder = MakeTinyModel({.architecture = "phi3", .has_long_rope = true});
    if (is_named) builder.AddString("phi3.rope.scaling.type", "longrope");
    const ModelConfig config = Described(builder).config;
    EXPECT_EQ(config.rope.scaling, RopeScaling::kLongRope);
    EXPECT_EQ(config.rope.original_context, 64u);
    EXPECT_FLOAT_EQ(static_cast<float>(config.rope.attn_factor), 1.19f);
    EXPECT_TRUE(config.has_long_rope_factors);
  }
}

TEST(ArchitectureTest, LlamaTakesLongRopeWhereItIsNamed) {
  const ModelConfig config = Described(TinyModelOptions{.has_long_rope = true}).config;
  EXPECT_EQ(config.rope.scaling, RopeScaling::kLongRope);
  EXPECT_EQ(config.rope.original_context, 64u);
  EXPECT_TRUE(config.has_long_rope_factors);
  EXPECT_EQ(Described(TinyModelOptions{}).config.rope.scaling, RopeScaling::kNone);
}

TEST(ArchitectureTest, SplitsFusedGateAndUp) {
  for (const char* family : {"chatglm", "glm4", "phi3"}) {
    const ModelDescription model = Described(TinyModelOptions{.architecture = family});
    const TensorSpec* const gate = Find(model, WeightRole::kFfnGate, 1);
    const TensorSpec* const up = Find(model, WeightRole::kFfnUp, 1);
    ASSERT_TRUE(gate != nullptr && up != nullptr);
    EXPECT_EQ(gate->file_tensor, "blk.1.ffn_up.weight");
    EXPECT_EQ(up->file_tensor, "blk.1.ffn_up.weight");
    EXPECT_EQ(gate->first_row, 0u);
    EXPECT_EQ(up->first_row, 96u);
  }
}

}  // namespace
}  // namespace forge
