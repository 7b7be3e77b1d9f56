#include "tests/conformance/llama_cpp_model.h"

#include <utility>

namespace forge::testing {
namespace {

TinyModelOptions Family(std::string architecture) {
  // Four layers reach what each fourth does otherwise.
  return {.architecture = std::move(architecture), .n_layers = 4, .seed = 7};
}

LlamaCppModel Plain(const std::string& architecture) {
  return {architecture, Family(architecture)};
}

LlamaCppModel Recurrent(const std::string& architecture) {
  return {.name = architecture, .options = Family(architecture), .is_recurrent = true};
}

LlamaCppModel WithGelu(const std::string& name, const TinyModelOptions& options) {
  return {.name = name, .options = options, .rounds_gelu = true};
}
LlamaCppModel Falcon() { return WithGelu("falcon", Family("falcon")); }
LlamaCppModel GptNeox() { return WithGelu("gptneox", Family("gptneox")); }
LlamaCppModel StarCoder2() { return WithGelu("starcoder2", Family("starcoder2")); }

LlamaCppModel LlamaWithBiases() {
  TinyModelOptions options = Family("llama");
  options.has_qkv_bias = options.has_ffn_bias = true;
  return {"llama-biases", options};
}

LlamaCppModel LlamaOfLongContexts() {
  TinyModelOptions options = Family("llama");
  options.has_long_rope = true;
  return {"llama-longrope", options};
}

// Of six layers, a state space, a net and attention twice.
LlamaCppModel NemotronH() {
  TinyModelOptions options = Family("nemotron_h");
  options.n_layers = 6;
  return {"nemotron_h", options};
}

LlamaCppModel NemotronHOfExperts() {
  TinyModelOptions options = Family("nemotron_h_moe");
  options.n_layers = 6;
  options.n_experts = 12;
  options.n_experts_used = 3;
  return {"nemotron_h_moe", options};
}

LlamaCppModel NemotronHOfGroups() {
  TinyModelOptions options = Family("nemotron_h_moe");
  options.n_layers = 6;
  options.n_experts = 12;
  options.n_experts_used = 3;
  return {"nemotron_h_moe-groups", options, [](GgufBuilder& file) {
            file.AddUint32("nemotron_h_moe.expert_group_count", 4)
                .AddUint32("nemotron_h_moe.expert_group_used_count", 2);
          }};
}

// llama.cpp takes these families' keys for as long as their queries.
LlamaCppModel OfEqualHeads(const std::string& architecture) {
  TinyModelOptions options = Family(architecture);
  options.n_kv_heads = options.n_heads;
  return {architecture, options};
}
LlamaCppModel OlmoeOfEqualHeads() { return OfEqualHeads("olmoe"); }
LlamaCppModel Dots1OfEqualHeads() { return OfEqualHeads("dots1"); }

// As Ministral 3: queries that grow from the 65th token on, and YaRN that does not magnify.
LlamaCppModel Ministral3() {
  return {"mistral3-yarn", Family("mistral3"), [](GgufBuilder& file) {
            file.AddString("mistral3.rope.scaling.type", "yarn")
                .AddFloat32("mistral3.rope.scaling.factor", 16.0f)
                .AddFloat32("mistral3.rope.scaling.yarn_log_multiplier", 1.0f);
          }};
}

// llama.cpp 0.7.0 does not read this family's epsilon and takes 0.
LlamaCppModel Qwen2VlOfNoEpsilon() {
  TinyModelOptions options = Family("qwen2vl");
  options.rms_epsilon = 1e-9f;
  return {"qwen2vl", options};
}

// As OLMo 3: a window that prompts are longer than, and YaRN where there is none.
LlamaCppModel Olmo3() {
  TinyModelOptions options = Family("olmo2");
  options.window = 8;
  return {"olmo2-window", options, [](GgufBuilder& file) {
            file.AddString("olmo2.rope.scaling.type", "yarn")
                .AddFloat32("olmo2.rope.scaling.factor", 8.0f)
                .AddFloat32("olmo2.rope.scaling.attn_factor", 1.2f)
                .AddUint32("olmo2.rope.scaling.original_context_length", 64);
          }};
}

// As Ling 2.0: experts in groups, half of each head is turned.
LlamaCppModel Ling2() {
  TinyModelOptions options = Family("bailingmoe2");
  options.rope_dimension = 8;
  options.n_experts = 12;
  options.n_experts_used = 3;
  return {"bailingmoe2", options};
}

// llama.cpp demands that all of a head is turned but in this family.
LlamaCppModel MiniMaxOfHalfARotation() {
  TinyModelOptions options = Family("minimax-m2");
  options.rope_dimension = 8;
  return {"minimax-m2", options};
}

// As GLM 4.5 and after, which are larger than 4.5 Air: norms of heads, half of which is turned.
LlamaCppModel GlmOfNorms() {
  TinyModelOptions options = Family("glm4moe");
  options.rope_dimension = 8;
  options.has_qk_norm = true;
  options.n_experts = 12;
  options.n_experts_used = 4;
  return {"glm4moe-norms", options};
}

void AddYarnOfDeepSeek(float multiplier, GgufBuilder& file) {
  file.AddString("deepseek2.rope.scaling.type", "yarn")
      .AddFloat32("deepseek2.rope.scaling.factor", 40.0f)
      .AddUint32("deepseek2.rope.scaling.original_context_length", 64)
      .AddFloat32("deepseek2.rope.scaling.yarn_log_multiplier", multiplier);
}

LlamaCppModel DeepSeekV3() {
  TinyModelOptions options = Family("deepseek2");
  options.n_experts = 16;
  options.n_experts_used = 5;
  return {"deepseek2", options, [](GgufBuilder& file) {
            file.AddUint32("deepseek2.expert_group_count", 4)
                .AddUint32("deepseek2.expert_group_used_count", 2);
            AddYarnOfDeepSeek(0.1f, file);
          }};
}

// llama.cpp demands a latent of queries but in files of 26 and 27 layers.
LlamaCppModel DeepSeekV2Lite() {
  TinyModelOptions options = Family("deepseek2");
  options.n_layers = 26;
  options.n_embd = options.n_ff = 32;
  options.n_heads = 2;
  options.is_lite = true;
  return {"deepseek2-lite", options, [](GgufBuilder& file) { AddYarnOfDeepSeek(0.0707f, file); }};
}

// As before the matrices of the heads were taken apart.
LlamaCppModel OlderDeepSeek() {
  TinyModelOptions options = Family("deepseek2");
  options.has_fused_latent = true;
  return {"deepseek2-fused", options, [](GgufBuilder& file) { AddYarnOfDeepSeek(0.1f, file); }};
}

// As Mistral Large 3: queries that grow from the 65th token on.
LlamaCppModel DeepSeekOfGrowingQueries() {
  return {"deepseek2-growth", Family("deepseek2"), [](GgufBuilder& file) {
            file.AddFloat32("deepseek2.attention.temperature_scale", 0.5f)
                .AddUint32("deepseek2.attention.temperature_length", 64);
          }};
}

LlamaCppModel GraniteWithoutPositions() {
  return {"granite-nope", Family("granite"),
          [](GgufBuilder& file) { file.AddBool("granite.rope.scaling.finetuned", false); }};
}

LlamaCppModel GraniteHybridOfExperts() {
  TinyModelOptions options = Family("granitehybrid");
  options.n_experts = 4;
  return {"granitehybrid-experts", options};
}

LlamaCppModel GraniteOfLargeEpsilon() {
  TinyModelOptions options = Family("granite");
  options.rms_epsilon = 0.3f;
  return {"granite-epsilon", options};
}

// As Command R7B: a window that prompts are longer than.
LlamaCppModel Cohere2OfASmallWindow() {
  TinyModelOptions options = Family("cohere2");
  options.window = 8;
  return {"cohere2", options};
}

// As Falcon 40B: a norm for attention and one for the net.
LlamaCppModel FalconOfTwoNorms() {
  TinyModelOptions options = Family("falcon");
  options.has_second_norm = true;
  return WithGelu("falcon-two-norms", options);
}

// As Pythia: a quarter of each head is turned, attention and the net are beside each other.
LlamaCppModel Pythia() {
  TinyModelOptions options = Family("gptneox");
  options.n_kv_heads = options.n_heads;
  options.rope_dimension = 4;
  options.is_parallel = true;
  return WithGelu("gptneox-parallel", options);
}

// llama.cpp gives norms of heads to the models of 64 layers.
LlamaCppModel CommandRPlus() {
  TinyModelOptions options = Family("command-r");
  options.has_qk_norm = true;
  options.n_layers = 64;
  options.n_embd = 32;
  options.n_heads = 2;
  options.n_kv_heads = 2;
  options.n_ff = 32;
  return {"command-r-plus", options};
}

// As StableLM 3B: a quarter of each head is turned.
LlamaCppModel StableLmOfPartialRotation() {
  TinyModelOptions options = Family("stablelm");
  options.rope_dimension = 4;
  return {"stablelm", options};
}

// As StableLM 2 12B: norms of heads, and one norm before attention and the net.
LlamaCppModel StableLmOf12B() {
  TinyModelOptions options = Family("stablelm");
  options.rope_dimension = 4;
  options.has_qk_norm = options.is_parallel = true;
  return {"stablelm-parallel", options};
}

LlamaCppModel NemotronOfHalfARotation() {
  TinyModelOptions options = Family("nemotron");
  options.rope_dimension = 8;
  return {"nemotron", options};
}

LlamaCppModel Phi2OfPartialRotation() {
  TinyModelOptions options = Family("phi2");
  options.rope_dimension = 6;
  return WithGelu("phi2", options);
}

// Files of 64 layers are the ones with a window for llama.cpp.
LlamaCppModel Exaone4Of32B() {
  TinyModelOptions options = Family("exaone4");
  options.n_layers = 64;
  options.window = 8;
  options.n_embd = 32;
  options.n_heads = 2;
  options.n_kv_heads = 1;
  options.n_ff = 32;
  return {"exaone4-window", options};
}

// As E2B: half the layers have no keys and values of their own, all have inputs.
LlamaCppModel Gemma4OfInputs() {
  TinyModelOptions options = Family("gemma4");
  options.window = 8;
  return WithGelu("gemma4-e2b", options);
}

// As 31B: values of layers without a window are their keys.
LlamaCppModel Gemma4OfDenseNets() {
  TinyModelOptions options = Family("gemma4");
  options.n_layers = 3;
  options.window = 8;
  options.is_large = true;
  return WithGelu("gemma4-31b", options);
}

LlamaCppModel Gemma4OfExperts() {
  TinyModelOptions options = Family("gemma4");
  options.n_layers = 3;
  options.window = 8;
  options.is_large = true;
  options.n_experts = 12;
  options.n_experts_used = 3;
  return WithGelu("gemma4-26b", options);
}

}  // namespace

std::string LlamaCppModel::Build() const {
  GgufBuilder file = MakeTinyModel(options);
  if (add_keys != nullptr) add_keys(file);
  return file.Build();
}

std::vector<LlamaCppModel> LlamaCppModels() {
  std::vector<LlamaCppModel> models;
  for (const char* family :
       {"command-r",     "arcee",        "hunyuan-dense", "hunyuan-moe", "internlm2", "bailingmoe",
        "ernie4_5",      "ernie4_5-moe", "exaone",        "exaone4",     "glm4moe",   "granite",
        "granitehybrid", "granitemoe",   "lfm2",          "lfm2moe",     "mistral3",  "olmo2",
        "qwen3vl",       "qwen3vlmoe",   "seed_oss",      "smollm3"})
    models.push_back(Plain(family));
  for (const char* family : {"qwen35", "qwen35moe", "qwen3next"})
    models.push_back(Recurrent(family));
  for (auto* const make : {Cohere2OfASmallWindow,
                           CommandRPlus,
                           DeepSeekOfGrowingQueries,
                           DeepSeekV2Lite,
                           DeepSeekV3,
                           OlderDeepSeek,
                           Falcon,
                           FalconOfTwoNorms,
                           GptNeox,
                           StarCoder2,
                           Pythia,
                           NemotronOfHalfARotation,
                           NemotronH,
                           NemotronHOfExperts,
                           NemotronHOfGroups,
                           Phi2OfPartialRotation,
                           StableLmOf12B,
                           StableLmOfPartialRotation,
                           Dots1OfEqualHeads,
                           Exaone4Of32B,
                           Gemma4OfInputs,
                           Gemma4OfDenseNets,
                           Gemma4OfExperts,
                           GlmOfNorms,
                           GraniteHybridOfExperts,
                           GraniteOfLargeEpsilon,
                           GraniteWithoutPositions,
                           Ling2,
                           LlamaOfLongContexts,
                           LlamaWithBiases,
                           MiniMaxOfHalfARotation,
                           Ministral3,
                           Olmo3,
                           OlmoeOfEqualHeads,
                           Qwen2VlOfNoEpsilon})
    models.push_back(make());
  return models;
}

std::vector<LlamaCppModel> LlamaCppEncoders() {
  return {WithGelu("bert", Family("bert")), Plain("nomic-bert")};
}

uint64_t HashOf(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001b3;
  }
  return hash;
}

}  // namespace forge::testing
