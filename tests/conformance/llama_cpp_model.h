#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/gguf_builder.h"
#include "tests/support/tiny_model.h"

namespace forge::testing {

// A small random model of which tests/conformance/llama_cpp/<name>.json says what llama.cpp makes.
struct LlamaCppModel {
  std::string Build() const;  // its file, the same bytes each time

  std::string name;
  TinyModelOptions options;
  void (*add_keys)(GgufBuilder& file) = nullptr;  // beside those of `options`
  bool rounds_gelu = false;   // llama.cpp's GELU, see ReferenceTransformer::Gelu
  bool is_recurrent = false;  // llama.cpp computes such layers for 64 tokens at once
};

// At least one for each family that the shared reference data lacks.
std::vector<LlamaCppModel> LlamaCppModels();

// Encoders, of which that file says what hidden states llama.cpp makes.
std::vector<LlamaCppModel> LlamaCppEncoders();

// Of a file's bytes: FNV-1a, 64 bits. Tells a model that is made otherwise from an engine that
// computes otherwise.
uint64_t HashOf(const std::string& bytes);

}  // namespace forge::testing
