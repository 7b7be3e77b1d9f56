// Tensors that families refuse: one row for each case of docs/gguf.md, under its id.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/engine/arch/rejection_case.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::Case;
using testing::GgufBuilder;
using testing::MakeTinyModel;
using testing::Refused;
using testing::TinyModelOptions;

constexpr StatusCode kUnimplemented = StatusCode::kUnimplemented;

// A tiny model of the family with one more tensor.
Case WithTensor(std::string name, const TinyModelOptions& options, const std::string& tensor,
                const std::vector<uint64_t>& shape) {
  const auto file = [=] {
    uint64_t n = 1;
    for (const uint64_t extent : shape) n *= extent;
    return MakeTinyModel(options).AddF32Tensor(tensor, shape, std::vector<float>(n)).Build();
  };
  return Refused(std::move(name), file, tensor, "F32", kUnimplemented);
}

// A tiny model one of whose tensors has another name of the same length, and so is missing.
Case WithoutTensor(std::string name, const TinyModelOptions& options, const std::string& tensor) {
  const auto file = [=] {
    std::string bytes = MakeTinyModel(options).Build();
    return bytes.replace(bytes.find(tensor), tensor.size(), std::string(tensor.size(), 'x'));
  };
  return Refused(std::move(name), file, tensor, "absent");
}

// The model's keys under another family's name: its tensors are not that family's.
Case Renamed(std::string name, const TinyModelOptions& options, const std::string& family,
             const std::string& field, const std::string& value) {
  const auto file = [=] {
    std::string bytes = MakeTinyModel(options).Build();
    FORGE_CHECK(options.architecture.size() == family.size(), "names of one length");
    for (size_t at = 0; (at = bytes.find(options.architecture, at)) != std::string::npos;)
      bytes.replace(at, family.size(), family);
    return bytes;
  };
  return Refused(std::move(name), file, field, value,
                 value == "absent" ? StatusCode::kInvalidArgument : kUnimplemented);
}

std::vector<Case> SinglePartCases() {
  // Layer 0 is a state space, 1 a net and 2 attention.
  const TinyModelOptions parts = {.architecture = "nemotron_h", .n_layers = 3},
                         parts_of_experts = {.architecture = "nemotron_h_moe", .n_layers = 3};
  return {
      WithTensor("T_nemotron_h_NetBesideAStateSpace", parts, "blk.0.ffn_up.weight", {64, 96}),
      WithTensor("T_nemotron_h_NormBesideAttention", parts, "blk.2.ffn_norm.weight", {64}),
      WithTensor("T_nemotron_h_Gate", parts, "blk.1.ffn_gate.weight", {64, 96}),
      WithTensor("T_nemotron_h_GateOfExperts", parts_of_experts, "blk.1.ffn_gate_exps.weight",
                 {64, 96, 4}),
      WithTensor("T_nemotron_h_LatentOfExperts", parts_of_experts, "blk.1.ffn_latent_down.weight",
                 {64, 32}),
      WithoutTensor("T_nemotron_h_NormOfANet", parts, "blk.1.attn_norm.weight"),
      WithoutTensor("T_nemotron_h_SharedExpert", parts_of_experts, "blk.1.ffn_up_shexp.weight"),
  };
}

std::vector<Case> TensorCases() {
  const std::string block = "blk.0.";
  return {
      WithTensor("T_qwen3_BiasOfTheRouter", {.architecture = "qwen3moe"},
                 block + "ffn_gate_inp.bias", {4}),
      WithTensor("T_llama_SharedExpert", {.n_experts = 4}, block + "ffn_up_shexp.weight", {64, 96}),
      WithTensor("T_llama_MergedBesideSplit", {.n_experts = 2, .has_split_experts = true},
                 block + "ffn_up_exps.weight", {64, 96, 2}),
      WithTensor("T_llama_OneExpertTooMany", {.n_experts = 2, .has_split_experts = true},
                 block + "ffn_up.2.weight", {64, 96}),
      WithTensor("T_gemma_PostNorm", {.architecture = "gemma"}, block + "post_ffw_norm.weight",
                 {64}),
      WithTensor("T_gemma4_ScaleOfAnOutput", {.architecture = "gemma4", .n_layers = 6},
                 block + "attn_output.scale", {64}),
      WithTensor("T_gemma4_ExpertsWithoutTheirKeys", {.architecture = "gemma4"},
                 block + "ffn_gate_inp.weight", {64, 4}),
      WithoutTensor("T_gemma4_RopeFactorsAbsent", {.architecture = "gemma4"}, "rope_freqs.weight"),
      WithoutTensor("T_gemma4_KeysOfALayerThatKeepsThem", {.architecture = "gemma4", .n_layers = 6},
                    "blk.2.attn_k.weight"),
      WithoutTensor("T_gemma4_ScaleOfOneLayer", {.architecture = "gemma4"},
                    "blk.1.layer_output_scale.weight"),
      WithTensor("T_gpt_oss_SecondNorm", {.architecture = "gpt-oss"}, block + "ffn_norm.weight",
                 {64}),
      WithTensor("T_seed_oss_SecondNorm", {.architecture = "seed_oss"}, block + "ffn_norm.weight",
                 {64}),
      WithTensor("T_olmo2_NormBeforeABlock", {.architecture = "olmo2"}, block + "attn_norm.weight",
                 {64}),
      WithTensor("T_exaone4_NormBeforeABlock", {.architecture = "exaone4"},
                 block + "ffn_norm.weight", {64}),
      WithTensor("T_granitemoe_GateOfTheSharedExpert", {.architecture = "granitemoe"},
                 block + "ffn_gate_inp_shexp.weight", {64}),
      WithTensor("T_llama_BiasBesideExperts", {.n_experts = 4}, block + "ffn_up.bias", {96}),
      WithTensor("T_qwen3moe_BiasOfTheChoice", {.architecture = "qwen3moe"},
                 block + "exp_probs_b.bias", {4}),
      WithTensor("T_glm4moe_ExpertsInADenseLayer", {.architecture = "glm4moe"},
                 block + "ffn_gate_inp.weight", {64, 4}),
      WithTensor("T_glm4moe_LayerBeyondThoseLeftOut", {.architecture = "glm4moe"},
                 "blk.3.attn_norm.weight", {64}),
      WithTensor("T_ernie4_5_moe_LayerBeyondTheLast", {.architecture = "ernie4_5-moe"},
                 "blk.2.attn_norm.weight", {64}),
      WithoutTensor("T_glm4moe_NeedsABiasOfTheChoice", {.architecture = "glm4moe"},
                    "blk.1.exp_probs_b.bias"),
      WithTensor("T_bailingmoe_BiasOfTheChoice", {.architecture = "bailingmoe"},
                 block + "exp_probs_b.bias", {4}),
      WithoutTensor("T_minimax_m2_NeedsABiasOfTheChoice", {.architecture = "minimax-m2"},
                    "blk.0.exp_probs_b.bias"),
      WithoutTensor("T_minimax_m2_NeedsNorms", {.architecture = "minimax-m2"},
                    "blk.1.attn_q_norm.weight"),
      WithTensor("T_minimax_m2_SharedExpert", {.architecture = "minimax-m2"},
                 block + "ffn_up_shexp.weight", {64, 96}),
      WithoutTensor("T_dots1_NeedsNorms", {.architecture = "dots1"}, "blk.1.attn_k_norm.weight"),
      WithoutTensor("T_glm4moe_NeedsBothNormsOfHeads",
                    {.architecture = "glm4moe", .has_qk_norm = true}, "blk.0.attn_k_norm.weight"),
      WithoutTensor("T_ernie4_5_moe_NeedsTheDenseNet", {.architecture = "ernie4_5-moe"},
                    "blk.0.ffn_gate.weight"),
      WithoutTensor("T_ernie4_5_moe_NeedsTheSharedExpert", {.architecture = "ernie4_5-moe"},
                    "blk.1.ffn_up_shexp.weight"),
  };
}

std::vector<Case> MoreTensorCases() {
  const std::string block = "blk.0.";
  return {
      WithTensor("T_deepseek2_PlainKeys", {.architecture = "deepseek2"}, block + "attn_k.weight",
                 {64, 32}),
      WithTensor("T_deepseek2_BothKindsOfMatrices", {.architecture = "deepseek2"},
                 block + "attn_kv_b.weight", {24, 128}),
      WithTensor("T_deepseek2_QueriesWithAndWithoutALatent", {.architecture = "deepseek2"},
                 block + "attn_q.weight", {64, 80}),
      WithoutTensor("T_deepseek2_NeedsKeysOfTheHeads", {.architecture = "deepseek2"},
                    "blk.1.attn_k_b.weight"),
      WithoutTensor("T_deepseek2_NeedsTheNormOfTheLatent", {.architecture = "deepseek2"},
                    "blk.0.attn_kv_a_norm.weight"),
      WithoutTensor("T_deepseek2_NeedsMatricesOfTheHeads",
                    {.architecture = "deepseek2", .has_fused_latent = true},
                    "blk.1.attn_kv_b.weight"),
      WithTensor("T_arcee_Gate", {.architecture = "arcee"}, block + "ffn_gate.weight", {64, 96}),
      WithoutTensor("T_arcee_NeedsAllBiases", {.architecture = "arcee", .has_ffn_bias = true},
                    block + "ffn_down.bias"),
      WithoutTensor("T_hunyuan_dense_NeedsNorms", {.architecture = "hunyuan-dense"},
                    block + "attn_q_norm.weight"),
      WithoutTensor("T_hunyuan_moe_NeedsTheSharedExpert", {.architecture = "hunyuan-moe"},
                    block + "ffn_up_shexp.weight"),
      WithTensor("T_internlm2_QueryNorm", {.architecture = "internlm2"},
                 block + "attn_q_norm.weight", {16}),
      WithTensor("T_qwen2_Sinks", {.architecture = "qwen2"}, block + "attn_sinks.weight", {4}),
      Renamed("T_qwen3_NormsMissing", {.architecture = "qwen2"}, "qwen3",
              "blk.0.attn_q_norm.weight", "absent"),
      Renamed("T_gemma2_HasNoQueryNorm", {.architecture = "gemma3"}, "gemma2",
              "blk.0.attn_q_norm.weight", "F32"),
      Renamed("T_gemma3_NeedsQueryNorm", {.architecture = "gemma2"}, "gemma3",
              "blk.0.attn_q_norm.weight", "absent"),
      Renamed("T_glm4_NeedsPostNorms", {.architecture = "phi3"}, "glm4",
              "blk.0.post_attention_norm.weight", "absent"),
  };
}

std::vector<Case> LayerNormTensorCases() {
  const TinyModelOptions plus = {.architecture = "command-r", .has_qk_norm = true};
  const std::string block = "blk.0.", last = "blk.1.";
  Case one_norm_of_all = WithTensor("T_command_r_OneNormOfAllHeads", {.architecture = "command-r"},
                                    block + "attn_q_norm.weight", {16});
  one_norm_of_all.code = StatusCode::kInvalidArgument;
  one_norm_of_all.field += " (shape)";
  one_norm_of_all.value = "[16]";
  return {
      one_norm_of_all,
      WithoutTensor("T_command_r_NeedsBothNormsOfHeads", plus, last + "attn_k_norm.weight"),
      WithTensor("T_command_r_SecondNorm", {.architecture = "command-r"}, block + "ffn_norm.weight",
                 {64}),
      WithTensor("T_cohere2_NormsOfHeads", {.architecture = "cohere2"},
                 block + "attn_q_norm.weight", {16, 4}),
      WithTensor("T_starcoder2_Gate", {.architecture = "starcoder2"}, block + "ffn_gate.weight",
                 {64, 96}),
      WithoutTensor("T_starcoder2_NeedsAllBiasesOfNorms", {.architecture = "starcoder2"},
                    last + "ffn_norm.bias"),
      WithoutTensor("T_nemotron_NeedsTheBiasOfTheOutputNorm", {.architecture = "nemotron"},
                    "output_norm.bias"),
      WithoutTensor("T_stablelm_NeedsEachSecondNorm", {.architecture = "stablelm"},
                    last + "ffn_norm.weight"),
      WithTensor("T_stablelm_BiasOfTheLogits", {.architecture = "stablelm"}, "output.bias", {300}),
      WithoutTensor("T_phi2_NeedsTheBiasOfTheLogits", {.architecture = "phi2"}, "output.bias"),
      WithoutTensor("T_falcon_NeedsEachSecondNorm",
                    {.architecture = "falcon", .has_second_norm = true},
                    last + "attn_norm_2.weight"),
      WithTensor("T_falcon_NormOfTheNet", {.architecture = "falcon"}, block + "ffn_norm.weight",
                 {64}),
      WithoutTensor("T_gptneox_NeedsBothNorms", {.architecture = "gptneox", .is_parallel = true},
                    last + "ffn_norm.weight"),
      WithTensor("T_llama_BiasOfANorm", {}, block + "attn_norm.bias", {64}),
  };
}

std::vector<Case> AllCases() {
  std::vector<Case> all = TensorCases();
  for (const auto& part : {MoreTensorCases(), LayerNormTensorCases(), SinglePartCases()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

class FamilyTensorRejectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(FamilyTensorRejectionTest, NamesFieldValueAndOffset) { testing::ExpectRefused(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Refuses, FamilyTensorRejectionTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& test) { return test.param.name; });

Status Describe(const GgufBuilder& builder) {
  const testing::TempFile path(builder.Build());
  return DescribeModel(**GgufFile::Open(path.path())).status();
}

TEST(FamilyTensorRejectionTest, AMissingExpertIsNamedBeforeATableIsMade) {
  GgufBuilder builder = MakeTinyModel({.n_layers = 1});
  builder.AddUint32("llama.expert_count", 1000).AddUint32("llama.expert_used_count", 2);
  const uint64_t shape[] = {64, 96};
  for (const char* name : {"blk.0.ffn_gate.0.weight", "blk.0.ffn_up.0.weight"})
    builder.AddF32Tensor(name, shape, std::vector<float>(64 * 96));
  const Status status = Describe(builder);
  EXPECT_EQ(status.reason(), kModelFileInvalid);
  EXPECT_EQ(testing::Detail(status, "field"), "blk.0.ffn_down.0.weight") << status.ToString();
}

TEST(FamilyTensorRejectionTest, ExpertsOfOneLayerHaveOneType) {
  GgufBuilder builder = MakeTinyModel({.n_layers = 1});
  builder.AddUint32("llama.expert_count", 2).AddUint32("llama.expert_used_count", 1);
  const uint64_t router[] = {64, 2}, up[] = {64, 96}, down[] = {96, 64};
  builder.AddF32Tensor("blk.0.ffn_gate_inp.weight", router, std::vector<float>(128));
  constexpr uint32_t kF32 = 0, kF16 = 1;
  for (const uint32_t type : {kF32, kF16}) {
    const std::string expert = type == kF32 ? "0" : "1";
    const std::string bytes(64 * 96 * (type == kF32 ? 4 : 2), '\0');
    builder.AddTensor("blk.0.ffn_gate." + expert + ".weight", up, type, bytes)
        .AddTensor("blk.0.ffn_up." + expert + ".weight", up, type, bytes)
        .AddTensor("blk.0.ffn_down." + expert + ".weight", down, type, bytes);
  }
  const Status status = Describe(builder);
  EXPECT_EQ(status.reason(), kArchitectureUnsupported);
  EXPECT_EQ(testing::Detail(status, "field"), "blk.0.ffn_gate.1.weight (type)")
      << status.ToString();
}

}  // namespace
}  // namespace forge
