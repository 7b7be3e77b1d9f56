#include "tools/synth/format_mix.h"

#include <algorithm>

namespace forge {
namespace {

// Where in the model a rule holds. "n" is the number of layers.
enum Place : int {
  kEverywhere,
  kFirstEighth,     // layer < n / 8
  kFirstSixteenth,  // layer < n / 16
  kFirstTwo,
  kFirstFour,
  kMiddle,    // neither the first nor the last eighth
  kMoreBits,  // first and last eighth, and every third layer between
  kGrouped,   // models in which at least four query heads share a KV head
};

struct Rule {
  std::string_view mix;
  MatrixRole role;
  Place place;
  std::string_view format;
};

// In each mix the base format is for matrices that no rule names; of several rules for a matrix
// the first holds.
struct Mix {
  std::string_view name;
  std::string_view base;
  uint32_t file_type;  // LLAMA_FTYPE_*
};

constexpr Mix kMixes[] = {
    {"F32", "F32", 0},          {"F16", "F16", 1},        {"BF16", "BF16", 32},
    {"Q4_0", "Q4_0", 2},        {"Q4_1", "Q4_1", 3},      {"Q5_0", "Q5_0", 8},
    {"Q5_1", "Q5_1", 9},        {"Q8_0", "Q8_0", 7},      {"Q2_K", "Q2_K", 10},
    {"Q2_K_S", "Q2_K", 21},     {"Q3_K_S", "Q3_K", 11},   {"Q3_K_M", "Q3_K", 12},
    {"Q3_K_L", "Q3_K", 13},     {"Q4_K_S", "Q4_K", 14},   {"Q4_K_M", "Q4_K", 15},
    {"Q5_K_S", "Q5_K", 16},     {"Q5_K_M", "Q5_K", 17},   {"Q6_K", "Q6_K", 18},
    {"IQ1_S", "IQ1_S", 24},     {"IQ1_M", "IQ1_M", 31},   {"IQ2_XXS", "IQ2_XXS", 19},
    {"IQ2_XS", "IQ2_XS", 20},   {"IQ2_S", "IQ2_XS", 28},  {"IQ2_M", "IQ2_S", 29},
    {"IQ3_XXS", "IQ3_XXS", 23}, {"IQ3_XS", "IQ3_S", 22},  {"IQ3_S", "IQ3_S", 26},
    {"IQ3_M", "IQ3_S", 27},     {"IQ4_NL", "IQ4_NL", 25}, {"IQ4_XS", "IQ4_XS", 30},
    {"TQ1_0", "TQ1_0", 36},     {"TQ2_0", "TQ2_0", 37},   {"MXFP4_MOE", "MXFP4", 38},
};

constexpr Rule kRules[] = {
    {"Q2_K", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"Q2_K", MatrixRole::kAttnV, kEverywhere, "Q3_K"},
    {"Q2_K", MatrixRole::kAttnOutput, kEverywhere, "Q3_K"},
    {"Q2_K", MatrixRole::kFfnDown, kEverywhere, "Q3_K"},
    {"Q2_K_S", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"Q2_K_S", MatrixRole::kFfnDown, kFirstEighth, "Q4_K"},
    {"Q3_K_M", MatrixRole::kAttnV, kFirstTwo, "Q5_K"},
    {"Q3_K_M", MatrixRole::kAttnV, kEverywhere, "Q4_K"},
    {"Q3_K_M", MatrixRole::kAttnOutput, kEverywhere, "Q4_K"},
    {"Q3_K_M", MatrixRole::kFfnDown, kFirstSixteenth, "Q5_K"},
    {"Q3_K_M", MatrixRole::kFfnDown, kEverywhere, "Q4_K"},
    {"Q3_K_L", MatrixRole::kAttnV, kEverywhere, "Q5_K"},
    {"Q3_K_L", MatrixRole::kAttnOutput, kEverywhere, "Q5_K"},
    {"Q3_K_L", MatrixRole::kFfnDown, kEverywhere, "Q5_K"},
    {"Q4_K_S", MatrixRole::kAttnV, kFirstFour, "Q5_K"},
    {"Q4_K_S", MatrixRole::kFfnDown, kFirstEighth, "Q5_K"},
    {"Q4_K_M", MatrixRole::kAttnV, kMoreBits, "Q6_K"},
    {"Q4_K_M", MatrixRole::kFfnDown, kMoreBits, "Q6_K"},
    {"Q5_K_M", MatrixRole::kAttnV, kMoreBits, "Q6_K"},
    {"Q5_K_M", MatrixRole::kFfnDown, kMoreBits, "Q6_K"},
    {"IQ1_S", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"IQ1_S", MatrixRole::kAttnV, kEverywhere, "Q2_K"},
    {"IQ1_S", MatrixRole::kAttnOutput, kEverywhere, "IQ2_XXS"},
    {"IQ1_S", MatrixRole::kFfnDown, kFirstEighth, "Q2_K"},
    {"IQ1_M", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"IQ1_M", MatrixRole::kAttnV, kEverywhere, "Q2_K"},
    {"IQ1_M", MatrixRole::kAttnOutput, kEverywhere, "IQ2_XXS"},
    {"IQ1_M", MatrixRole::kFfnDown, kFirstEighth, "Q2_K"},
    {"IQ2_XXS", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"IQ2_XXS", MatrixRole::kAttnV, kEverywhere, "Q2_K"},
    {"IQ2_XXS", MatrixRole::kFfnDown, kFirstEighth, "Q2_K"},
    {"IQ2_XS", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"IQ2_XS", MatrixRole::kAttnV, kEverywhere, "Q2_K"},
    {"IQ2_XS", MatrixRole::kFfnDown, kFirstEighth, "Q2_K"},
    {"IQ2_S", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"IQ2_S", MatrixRole::kAttnV, kEverywhere, "IQ3_S"},
    {"IQ2_S", MatrixRole::kAttnOutput, kEverywhere, "IQ3_S"},
    {"IQ2_S", MatrixRole::kFfnDown, kFirstEighth, "IQ3_S"},
    {"IQ2_M", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"IQ2_M", MatrixRole::kAttnV, kEverywhere, "IQ3_S"},
    {"IQ2_M", MatrixRole::kAttnOutput, kEverywhere, "IQ3_S"},
    {"IQ2_M", MatrixRole::kFfnDown, kFirstEighth, "IQ3_S"},
    {"IQ3_XXS", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"IQ3_XXS", MatrixRole::kAttnV, kEverywhere, "IQ3_S"},
    {"IQ3_XXS", MatrixRole::kAttnK, kEverywhere, "IQ2_S"},
    {"IQ3_XXS", MatrixRole::kAttnQ, kEverywhere, "IQ2_S"},
    {"IQ3_XXS", MatrixRole::kAttnOutput, kEverywhere, "IQ3_S"},
    {"IQ3_XXS", MatrixRole::kFfnDown, kFirstEighth, "Q4_K"},
    {"IQ3_XXS", MatrixRole::kFfnDown, kEverywhere, "Q3_K"},
    {"IQ3_XS", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"IQ3_XS", MatrixRole::kAttnK, kEverywhere, "IQ3_XXS"},
    {"IQ3_XS", MatrixRole::kAttnQ, kEverywhere, "IQ3_XXS"},
    {"IQ3_XS", MatrixRole::kFfnGate, kMiddle, "IQ3_XXS"},
    {"IQ3_XS", MatrixRole::kFfnUp, kMiddle, "IQ3_XXS"},
    {"IQ3_S", MatrixRole::kAttnV, kGrouped, "Q4_K"},
    {"IQ3_M", MatrixRole::kAttnV, kEverywhere, "Q4_K"},
    {"IQ3_M", MatrixRole::kAttnOutput, kEverywhere, "Q4_K"},
    {"IQ3_M", MatrixRole::kFfnDown, kFirstEighth, "Q4_K"},
    {"IQ4_NL", MatrixRole::kAttnV, kGrouped, "Q5_K"},
    {"IQ4_NL", MatrixRole::kFfnDown, kFirstEighth, "Q5_K"},
    {"IQ4_XS", MatrixRole::kAttnV, kGrouped, "Q5_K"},
    {"IQ4_XS", MatrixRole::kFfnDown, kFirstEighth, "Q5_K"},
};

// Mixes with the smallest formats, which give the output and eight experts their own treatment.
constexpr std::string_view kTwoBitMixes[] = {"IQ1_S",  "IQ1_M", "IQ2_XXS",
                                             "IQ2_XS", "IQ2_S", "IQ2_M"};
// Mixes whose attention output takes Q5_K in models of eight experts.
constexpr std::string_view kLargerOutputWithEightExperts[] = {
    "Q2_K",  "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M",  "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ3_S",
    "IQ3_M", "IQ4_XS", "IQ1_S",   "IQ1_M",  "IQ2_XXS", "IQ2_XS", "IQ2_S",  "IQ2_M"};

// The embedding's own format, where it is not the base.
constexpr Rule kEmbeddings[] = {
    {"IQ1_S", MatrixRole::kTokenEmbedding, kEverywhere, "Q2_K"},
    {"IQ1_M", MatrixRole::kTokenEmbedding, kEverywhere, "Q2_K"},
    {"IQ2_XXS", MatrixRole::kTokenEmbedding, kEverywhere, "Q2_K"},
    {"IQ2_XS", MatrixRole::kTokenEmbedding, kEverywhere, "Q2_K"},
    {"IQ2_S", MatrixRole::kTokenEmbedding, kEverywhere, "IQ3_S"},
    {"IQ2_M", MatrixRole::kTokenEmbedding, kEverywhere, "IQ3_S"},
    {"IQ3_XXS", MatrixRole::kTokenEmbedding, kEverywhere, "IQ3_S"},
    {"TQ1_0", MatrixRole::kTokenEmbedding, kEverywhere, "Q4_K"},
    {"TQ2_0", MatrixRole::kTokenEmbedding, kEverywhere, "Q4_K"},
};

// For rows that are no multiple of 256.
struct Fallback {
  std::string_view format, narrower_blocks;
};
constexpr Fallback kFallbacks[] = {
    {"Q2_K", "Q4_0"},      {"Q3_K", "Q4_0"},      {"Q4_K", "Q5_0"},     {"Q5_K", "Q5_1"},
    {"Q6_K", "Q8_0"},      {"TQ1_0", "Q4_0"},     {"TQ2_0", "Q4_0"},    {"IQ1_S", "IQ4_NL"},
    {"IQ1_M", "IQ4_NL"},   {"IQ2_XXS", "IQ4_NL"}, {"IQ2_XS", "IQ4_NL"}, {"IQ2_S", "IQ4_NL"},
    {"IQ3_XXS", "IQ4_NL"}, {"IQ3_S", "IQ4_NL"},   {"IQ4_XS", "IQ4_NL"},
};

const FormatInfo* FindFormatByName(std::string_view name) {
  for (const FormatInfo& format : KnownFormats())
    if (format.name == name) return &format;
  return nullptr;
}

template <typename Names>
bool Contains(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

Result<const FormatInfo*> RequireFormat(std::string_view name) {
  const FormatInfo* const format = FindFormatByName(name);
  if (format == nullptr)
    return Unimplemented("this build has no format " + std::string(name) +
                         "; choose a type that does without it");
  return format;
}

}  // namespace

Result<FormatMix> FormatMix::Create(std::string_view name, const ModelShape& shape,
                                    uint32_t n_layers, bool is_pure) {
  FormatMix mix;
  mix.name_ = name;
  mix.base_ = name;
  const auto* const known = std::find_if(std::begin(kMixes), std::end(kMixes),
                                         [&](const Mix& m) { return m.name == name; });
  if (known != std::end(kMixes)) {
    mix.base_ = known->base;
    mix.file_type_ = known->file_type;
  } else if (FindFormatByName(name) == nullptr) {
    return InvalidArgument("unknown type '" + std::string(name) +
                           "'; --list shows the types that can be written");
  }
  mix.n_layers_ = n_layers;
  mix.n_experts_ = shape.n_experts;
  mix.is_grouped_ = shape.n_heads / shape.n_kv_heads >= 4;
  mix.has_tied_output_ = shape.has_tied_output;
  mix.is_pure_ = is_pure;
  FORGE_TRY(RequireFormat(mix.base_).status());
  return mix;
}

Result<const FormatInfo*> FormatMix::Choose(const Matrix& matrix) const {
  std::string_view name = base_;
  FORGE_ASSIGN_OR_RETURN(const FormatInfo* const base, RequireFormat(base_));
  if (!is_pure_ && base->block_elements > 1) name = ChooseName(matrix);
  FORGE_ASSIGN_OR_RETURN(const FormatInfo* format, RequireFormat(name));
  if (matrix.n_cols % format->block_elements == 0) return format;
  const auto* const fallback =
      std::find_if(std::begin(kFallbacks), std::end(kFallbacks),
                   [&](const Fallback& f) { return f.format == format->name; });
  if (fallback != std::end(kFallbacks)) {
    FORGE_ASSIGN_OR_RETURN(format, RequireFormat(fallback->narrower_blocks));
    if (matrix.n_cols % format->block_elements == 0) return format;
  }
  return Unimplemented("rows of " + std::to_string(matrix.n_cols) +
                       " elements fit no format near " + std::string(name) +
                       "; choose a type with smaller blocks");
}

std::string_view FormatMix::ChooseName(const Matrix& matrix) const {
  const MatrixRole role = matrix.role;
  const bool is_embedding = role == MatrixRole::kTokenEmbedding;
  if (role == MatrixRole::kOutput || (is_embedding && has_tied_output_)) return OutputName(matrix);
  if (name_ == "MXFP4_MOE") return matrix.is_expert ? "MXFP4" : "Q8_0";
  const bool is_two_bit = Contains(kTwoBitMixes, name_);
  if (is_two_bit && role == MatrixRole::kAttnV && n_experts_ >= 4) return "Q4_K";
  if (n_experts_ == 8) {
    if (role == MatrixRole::kAttnK || role == MatrixRole::kAttnV)
      return is_two_bit ? "Q4_K" : "Q8_0";
    if (role == MatrixRole::kAttnOutput)
      return Contains(kLargerOutputWithEightExperts, name_) ? std::string_view("Q5_K") : base_;
    if (role == MatrixRole::kFfnDown && name_ == "IQ3_M" && IsPlace(kMoreBits, matrix))
      return "Q4_K";
  }
  const auto find = [&](const auto& rules) -> std::string_view {
    for (const Rule& rule : rules)
      if (rule.mix == name_ && rule.role == role && IsPlace(rule.place, matrix)) return rule.format;
    return base_;
  };
  return is_embedding ? find(kEmbeddings) : find(kRules);
}

std::string_view FormatMix::OutputName(const Matrix& matrix) const {
  const FormatInfo* const base = FindFormatByName(base_);
  if (name_ == "MXFP4_MOE" || base_ == "Q8_0") return "Q8_0";
  if (matrix.n_cols % base->block_elements != 0) return "Q8_0";
  // IQ3_XXS is no two-bit mix, but its output is that of one.
  return Contains(kTwoBitMixes, name_) || name_ == "IQ3_XXS" ? "Q5_K" : "Q6_K";
}

bool FormatMix::IsPlace(int place, const Matrix& matrix) const {
  const uint32_t n = n_layers_, layer = matrix.layer;
  switch (static_cast<Place>(place)) {
    case kEverywhere:
      return true;
    case kFirstEighth:
      return layer < n / 8;
    case kFirstSixteenth:
      return layer < n / 16;
    case kFirstTwo:
      return layer < 2;
    case kFirstFour:
      return layer < 4;
    case kMiddle:
      return layer >= n / 8 && layer < 7 * n / 8;
    case kMoreBits:
      return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    case kGrouped:
      return is_grouped_;
  }
  return false;
}

std::vector<std::string_view> FormatMixNames() {
  std::vector<std::string_view> names;
  for (const Mix& mix : kMixes)
    if (FindFormatByName(mix.base) != nullptr) names.push_back(mix.name);
  for (const FormatInfo& format : KnownFormats())
    if (!Contains(names, format.name)) names.push_back(format.name);
  return names;
}

}  // namespace forge
