#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/synth/format_mix.h"
#include "tools/synth/synth_model.h"

namespace forge {

// Appends the tensors of a model in the order in which converters write them.
class TensorList {
 public:
  TensorList(const FormatMix& mix, SynthModel& model) : mix_(mix), model_(model) {}

  void set_layer(uint32_t layer) {
    layer_ = layer;
    prefix_ = "blk." + std::to_string(layer) + ".";
  }
  Status Matrix(std::string_view name, MatrixRole role, uint64_t n_cols, uint64_t n_rows) {
    FORGE_ASSIGN_OR_RETURN(const FormatInfo* const format,
                           mix_.Choose({role, layer_, n_cols, /*is_expert=*/false}));
    Add(name, {n_cols, n_rows}, format, SynthValues::kMatrix);
    return Status();
  }
  Status Experts(std::string_view name, MatrixRole role, uint64_t n_cols, uint64_t n_rows) {
    FORGE_ASSIGN_OR_RETURN(const FormatInfo* const format,
                           mix_.Choose({role, layer_, n_cols, /*is_expert=*/true}));
    Add(name, {n_cols, n_rows, model_.shape.n_experts}, format, SynthValues::kMatrix);
    return Status();
  }
  Status Heads(std::string_view name, uint64_t n_cols, uint64_t n_rows) {
    FORGE_ASSIGN_OR_RETURN(
        const FormatInfo* const format,
        mix_.Choose({MatrixRole::kAttnLatent, layer_, n_cols, /*is_expert=*/false}));
    Add(name, {n_cols, n_rows, model_.shape.n_heads}, format, SynthValues::kMatrix);
    return Status();
  }
  void Float32(std::string_view name, std::vector<uint64_t> extents, SynthValues values) {
    Add(name, std::move(extents), FindFormat(DType{0}), values);
  }
  void Float16(std::string_view name, std::vector<uint64_t> extents, SynthValues values) {
    Add(name, std::move(extents), FindFormat(DType{1}), values);
  }

 private:
  void Add(std::string_view name, std::vector<uint64_t> extents, const FormatInfo* format,
           SynthValues values) {
    const bool is_whole = name.ends_with(".bias") || name == "ssm_a" || name == "ssm_d";
    model_.tensors.push_back({.name = prefix_ + std::string(name) + (is_whole ? "" : ".weight"),
                              .extents = std::move(extents),
                              .format = format});
    model_.values.push_back(values);
  }

  const FormatMix& mix_;
  SynthModel& model_;
  uint32_t layer_ = 0;
  std::string prefix_;
};

}  // namespace forge
