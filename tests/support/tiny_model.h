#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/support/gguf_builder.h"

namespace forge::testing {

enum class TinyVocabulary {
  kSentencePiece,  // <unk> <s> </s>, 256 byte tokens, letters and a few words
  kBpe,            // 256 byte-level symbols, merges of a few words, ChatML tokens
};

// Describes a complete model with random weights that is small enough for any test.
struct TinyModelOptions {
  std::string architecture = "llama";  // "llama" or "qwen2"
  std::string name = "tiny";           // general.name
  uint32_t n_layers = 2;
  uint32_t n_embd = 64;
  uint32_t n_heads = 4;
  uint32_t n_kv_heads = 2;
  uint32_t head_dim = 0;  // 0: n_embd / n_heads, and no attention.key_length key
  uint32_t n_ff = 96;
  uint32_t n_context = 512;
  uint32_t rope_dimension = 0;  // 0: no rope.dimension_count key
  bool has_fused_qkv = false;
  bool has_qkv_bias = false;  // qwen2 always has it
  bool has_tied_output = false;
  TinyVocabulary vocabulary = TinyVocabulary::kBpe;
  bool has_chat_template = true;  // ChatML
  uint64_t seed = 1;              // the same seed gives the same file, byte for byte
};

// The model as a builder, to which a test may add keys or tensors of its own. Weights are float32,
// uniform with a deviation that keeps activations near 1. Fused and separate QKV of one seed hold
// the same numbers.
GgufBuilder MakeTinyModel(const TinyModelOptions& options);

// MakeTinyModel, written to `path`.
void WriteTinyModel(const std::filesystem::path& path, const TinyModelOptions& options = {});

// Number of tokens of a vocabulary, the n_vocab of the models that use it.
uint32_t TinyVocabularySize(TinyVocabulary vocabulary);

}  // namespace forge::testing
