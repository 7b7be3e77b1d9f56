#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_file.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_files.h"

namespace forge::testing {

// A well-formed file that describes no model this engine can run, and what is said of it.
struct Case {
  std::string name;
  std::function<std::string()> file;  // its bytes; all cases are listed to run one
  StatusCode code;
  std::string field;  // detail "field"
  std::string value;  // detail "value" contains this
};

inline void PrintTo(const Case& c, std::ostream* stream) { *stream << c.name; }

// The keys of a valid model of 2 layers, embedding 64, 4 heads and 2 KV heads, without those whose
// name a test gives itself.
class Keys {
 public:
  explicit Keys(std::string_view replaced = "", std::string family = "llama")
      : builder(std::move(GgufBuilder().AddString("general.architecture", family))),
        family_(std::move(family)),
        replaced_(replaced) {
    constexpr uint32_t kUint32 = 4, kFloat32 = 6;
    Add("block_count", kUint32, LittleEndian32(2));
    Add("context_length", kUint32, LittleEndian32(512));
    Add("embedding_length", kUint32, LittleEndian32(64));
    if (!HasSingleParts(family_)) Add("feed_forward_length", kUint32, LittleEndian32(96));
    Add("attention.head_count", kUint32, LittleEndian32(4));
    if (HasKvHeadsOfLayers(family_))
      AddKvHeadsOfLayers();
    else if (family_ != "gemma4")  // without the key as many as heads
      Add("attention.head_count_kv", kUint32, LittleEndian32(family_ == "deepseek2" ? 1 : 2));
    Add(HasLayerNorms(family_) || HasSingleParts(family_) ? "attention.layer_norm_epsilon"
                                                          : "attention.layer_norm_rms_epsilon",
        kFloat32, Float(1e-5f));
    Add("vocab_size", kUint32, LittleEndian32(10));
    if (family_ == "gemma2" || family_ == "gemma3" || family_ == "gemma4" || family_ == "gpt-oss" ||
        family_ == "cohere2")
      Add("attention.sliding_window", kUint32, LittleEndian32(16));
    if (family_ == "mixtral" || family_ == "gpt-oss" || family_ == "deepseek2" ||
        family_ == "dots1" || family_ == "minimax-m2" || family_ == "bailingmoe2" ||
        family_.ends_with("moe") || family_ == "qwen3next") {
      Add("expert_count", kUint32, LittleEndian32(4));
      Add("expert_used_count", kUint32, LittleEndian32(2));
      Add("expert_feed_forward_length", kUint32, LittleEndian32(32));
    }
    if (family_ == "deepseek2") AddLatent();
    if (family_ == "gemma4") AddLayerKinds();
    if (family_.starts_with("qwen35") || family_ == "qwen3next") AddDeltaNet();
    if (family_.starts_with("lfm2")) Add("shortconv.l_cache", kUint32, LittleEndian32(3));
    if (family_ == "granitehybrid" || HasSingleParts(family_)) AddStateSpace();
    if (family_.starts_with("granite") || family_ == "command-r" || family_ == "cohere2")
      Add("logit_scale", kFloat32, Float(8.0f));
    constexpr std::string_view kOrder = "use_parallel_residual";
    if (family_ == "gptneox" && replaced_ != kOrder) builder.AddBool(Key(kOrder), true);
    const int32_t sections[] = {3, 3, 2, 0};
    constexpr std::string_view kSections = "rope.dimension_sections";
    if (family_.find("vl") != std::string::npos && replaced_ != kSections)
      builder.AddInt32Array(Key(kSections), sections);
  }
  static std::string Float(float value) { return FloatBytes({&value, 1}); }
  static bool HasLayerNorms(std::string_view family) {
    return family == "command-r" || family == "cohere2" || family == "falcon" ||
           family == "gptneox" || family == "nemotron" || family == "phi2" ||
           family == "stablelm" || family == "starcoder2";
  }
  std::string Key(std::string_view name) const { return family_ + "." + std::string(name); }

  GgufBuilder builder;

 private:
  void Add(std::string_view name, uint32_t type, const std::string& bytes) {
    if (name != replaced_) builder.AddRaw(Key(name), type, bytes);
  }
  // A latent of 32 elements; heads of 24, of which 8 are turned, and values of 16.
  void AddLatent() {
    const std::pair<std::string_view, uint32_t> keys[] = {
        {"attention.kv_lora_rank", 32},   {"rope.dimension_count", 8},
        {"attention.key_length", 40},     {"attention.value_length", 32},
        {"attention.key_length_mla", 24}, {"attention.value_length_mla", 16}};
    for (const auto& [name, value] : keys) Add(name, 4, LittleEndian32(value));
  }

  // The first of two layers has a window; heads of 16 and 32 elements.
  void AddLayerKinds() {
    const std::pair<std::string_view, uint32_t> keys[] = {{"attention.key_length", 32},
                                                          {"attention.value_length", 32},
                                                          {"attention.key_length_swa", 16},
                                                          {"attention.value_length_swa", 16}};
    for (const auto& [name, value] : keys) Add(name, 4, LittleEndian32(value));
    Add("rope.freq_base_swa", 6, Float(500.0f));
    Add("attention.sliding_window_pattern", 9,
        LittleEndian32(7) + LittleEndian64(2) + std::string{1, 0});
  }

  // 2 key heads and 4 value heads of 16 elements; the second layer attends to all positions.
  void AddDeltaNet() {
    const std::pair<std::string_view, uint32_t> keys[] = {
        {"ssm.group_count", 2}, {"ssm.time_step_rank", 4}, {"ssm.state_size", 16},
        {"ssm.inner_size", 64}, {"ssm.conv_kernel", 4},    {"full_attention_interval", 2}};
    for (const auto& [name, value] : keys) Add(name, 4, LittleEndian32(value));
  }

  // 2 groups of 4 heads of 16 elements, each remembered by 12.
  void AddStateSpace() {
    const std::pair<std::string_view, uint32_t> keys[] = {{"ssm.group_count", 2},
                                                          {"ssm.time_step_rank", 4},
                                                          {"ssm.state_size", 12},
                                                          {"ssm.inner_size", 64},
                                                          {"ssm.conv_kernel", 4}};
    for (const auto& [name, value] : keys) Add(name, 4, LittleEndian32(value));
  }

  static bool HasKvHeadsOfLayers(std::string_view family) {
    return family.starts_with("lfm2") || family == "granitehybrid" || HasSingleParts(family);
  }
  static bool HasSingleParts(std::string_view family) { return family.starts_with("nemotron_h"); }
  void AddOfLayers(std::string_view name, const std::vector<int32_t>& of_layers) {
    if (replaced_ != name) builder.AddInt32Array(Key(name), of_layers);
  }
  // The first layer is recurrent, or attends and the second is a net.
  void AddKvHeadsOfLayers() {
    const bool has_single_parts = HasSingleParts(family_);
    AddOfLayers("attention.head_count_kv",
                has_single_parts ? std::vector{2, 0} : std::vector{0, 2});
    if (has_single_parts) AddOfLayers("feed_forward_length", {0, 96});
  }

  const std::string family_;
  const std::string_view replaced_;
};

inline Case Refused(std::string name, std::function<std::string()> file, std::string field,
                    std::string value, StatusCode code = StatusCode::kInvalidArgument) {
  return {std::move(name), std::move(file), code, std::move(field), std::move(value)};
}
inline Case Refused(std::string name, const GgufBuilder& builder, std::string field,
                    std::string value, StatusCode code = StatusCode::kInvalidArgument) {
  return Refused(
      std::move(name), [builder] { return builder.Build(); }, std::move(field), std::move(value),
      code);
}

inline std::string Detail(const Status& status, std::string_view key) {
  for (const auto& [name, value] : status.details())
    if (name == key) return value;
  return "(none)";
}

// Describes the file, which must be refused so.
inline void ExpectRefused(const Case& c) {
  const std::string bytes = c.file();
  const TempFile path(bytes);
  const auto file = GgufFile::Open(path.path());
  ASSERT_TRUE(file.ok()) << "the file itself is well-formed: " << file.status().ToString();
  const auto model = DescribeModel(**file);
  ASSERT_FALSE(model.ok());
  const Status& status = model.status();
  EXPECT_EQ(status.code(), c.code) << status.ToString();
  EXPECT_EQ(status.reason(),
            c.code == StatusCode::kUnimplemented ? kArchitectureUnsupported : kModelFileInvalid);
  EXPECT_EQ(Detail(status, "field"), c.field) << status.ToString();
  EXPECT_NE(Detail(status, "value").find(c.value), std::string::npos) << status.ToString();
  EXPECT_NE(status.message().find(path.path().filename().string()), std::string::npos);
  if (c.value == "absent") return;
  // The offset is that of the value's type, right after the key, or of the tensor's entry.
  const std::string name = c.field.substr(0, c.field.find(" ("));
  const std::string entry = GgufString(name);
  const size_t at = bytes.find(entry);
  ASSERT_NE(at, std::string::npos);
  const bool is_tensor = (*file)->FindTensor(name) != nullptr;
  EXPECT_EQ(Detail(status, "offsetBytes"), std::to_string(is_tensor ? at : at + entry.size()))
      << status.ToString();
}

}  // namespace forge::testing
