#include "tests/support/reference_transformer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "engine/gguf/gguf_file.h"
#include "kernels/base/check.h"
#include "kernels/formats/format.h"

namespace forge::testing {
namespace {

using Vector = std::vector<double>;

std::string BlockName(int layer) { return "blk." + std::to_string(layer) + "."; }

struct ToNumbers {
  template <typename T>
  Vector operator()(const std::vector<T>& values) const {
    return Vector(values.begin(), values.end());
  }
  Vector operator()(const GgufStrings&) const { return {}; }
};

}  // namespace

ReferenceTransformer::ReferenceTransformer(const std::filesystem::path& path,
                                           uint32_t context_length, Gelu gelu)
    : context_length_(context_length), gelu_(gelu) {
  const std::unique_ptr<GgufFile> file = GgufFile::Open(path.string()).value();
  family_ = file->metadata().String("general.architecture").value().value();
  for (const std::string_view key : file->metadata().keys()) {
    if (!key.starts_with(family_ + ".")) continue;
    const std::string name(key.substr(family_.size() + 1));
    const auto& value = file->metadata().Find(key)->value;
    if (const auto* i = std::get_if<int64_t>(&value)) numbers_[name] = static_cast<double>(*i);
    if (const auto* u = std::get_if<uint64_t>(&value)) numbers_[name] = static_cast<double>(*u);
    if (const auto* d = std::get_if<double>(&value)) numbers_[name] = *d;
    if (const auto* b = std::get_if<bool>(&value)) numbers_[name] = *b ? 1.0 : 0.0;
    if (const auto* s = std::get_if<std::string>(&value)) texts_[name] = *s;
    if (const auto* a = std::get_if<GgufArray>(&value))
      arrays_[name] = std::visit(ToNumbers{}, a->values);
  }
  for (const GgufTensor& tensor : file->tensors()) {
    const FormatInfo& format = *FindFormat(tensor.dtype);
    std::vector<std::byte> bytes(tensor.size_bytes);
    FORGE_CHECK(file->ReadAt(tensor.offset_bytes, bytes).ok(), tensor.name);
    Tensor& kept = tensors_[tensor.name];
    kept = {tensor.row_elements(), tensor.n_rows(), {}};
    kept.values.resize(kept.n_cols * kept.n_rows);
    format.dequantize(bytes.data(), kept.values.size() / format.block_elements, kept.values.data());
  }
  // The last layers of some guess tokens further ahead.
  n_layers_ = static_cast<int>(Number("block_count", -1) - Number("nextn_predict_layers", 0));
  n_embd_ = static_cast<int>(Number("embedding_length", -1));
  n_heads_ = static_cast<int>(Number("attention.head_count", -1));
  n_kv_heads_ = static_cast<int>(Number("attention.head_count_kv", n_heads_));
  if (arrays_.contains("attention.head_count_kv"))
    n_kv_heads_ = static_cast<int>(std::ranges::max(arrays_["attention.head_count_kv"]));
  head_dim_ = static_cast<int>(Number("attention.key_length", n_embd_ / n_heads_));
  value_dim_ = head_dim_;
  if (Is("deepseek2")) ReadLatentSizes();
  epsilon_ = Number(HasLayerNorms() || IsNemotronH() ? "attention.layer_norm_epsilon"
                                                     : "attention.layer_norm_rms_epsilon",
                    -1);
  FORGE_CHECK(n_layers_ > 0 && n_embd_ > 0 && n_heads_ > 0 && epsilon_ > 0, family_);
  global_ = MakeRotation(false);
  local_ = MakeRotation(true);
}

bool ReferenceTransformer::HasLayerNorms() const {
  return IsCohere() || Is("falcon") || Is("gptneox") || Is("nemotron") || Is("phi2") ||
         Is("stablelm") || Is("starcoder2");
}

// StableLM 2 12B lacks the second norm; GPT-NeoX has two and says.
bool ReferenceTransformer::IsParallel(const std::string& layer) const {
  if (Is("gptneox")) return Number("use_parallel_residual", -1) == 1;
  return IsCohere() || Is("falcon") || Is("phi2") ||
         (Is("stablelm") && !Has(layer + "ffn_norm.weight"));
}

double ReferenceTransformer::Number(const std::string& key, double fallback) const {
  const auto found = numbers_.find(key);
  return found != numbers_.end() ? found->second : fallback;
}

const ReferenceTransformer::Tensor& ReferenceTransformer::Weight(const std::string& name) const {
  const auto found = tensors_.find(name);
  FORGE_CHECK(found != tensors_.end(), name);
  return found->second;
}

// Gemma 2 and gpt-oss begin with a window and then take turns; of Gemma 3's layers each sixth sees
// everything, of EXAONE 4's, OLMo 3's and Command R7B's each fourth; Mistral's, Phi's and StarCoder
// 2's windows are over all.
bool ReferenceTransformer::SeesWindowOnly(int layer) const {
  const auto flags = arrays_.find("attention.sliding_window_pattern");
  if (flags != arrays_.end()) return flags->second[static_cast<size_t>(layer)] != 0;
  if (Is("gemma2") || Is("gpt-oss")) return layer % 2 == 0;
  if (Is("gemma3"))
    return (layer + 1) % static_cast<int>(Number("attention.sliding_window_pattern", 6)) != 0;
  const bool has_window = Number("attention.sliding_window", 0) > 0;
  if (Is("cohere2"))
    return (layer + 1) % static_cast<int>(Number("attention.sliding_window_pattern", 4)) != 0;
  if (Is("exaone4") || Is("olmo2")) return has_window && layer % 4 != 3;
  return has_window;
}

// Each fourth layer of SmolLM 3 does not; nor do EXAONE 4's and Command R7B's layers that see
// everything where others have a window, all of Granite's models with position_embedding_type
// "nope", and all of Nemotron H's.
bool ReferenceTransformer::KnowsPositions(int layer) const {
  if (Is("smollm3")) return layer % 4 != 3;
  if (IsNemotronH()) return false;
  if (Is("exaone4") && Number("attention.sliding_window", 0) > 0) return SeesWindowOnly(layer);
  if (Is("cohere2")) return SeesWindowOnly(layer);
  return !IsGranite() || Number("rope.scaling.finetuned", 1.0) != 0.0;
}

// Phi 3: "long" divisors where the context is longer than the original one.
Vector ReferenceTransformer::LongRopeFactors() const {
  const double original = Number("rope.scaling.original_context_length", 1e9);
  const std::string which = context_length_ > original ? "long" : "short";
  const std::vector<float>& factors = Weight("rope_factors_" + which + ".weight").values;
  return Vector(factors.begin(), factors.end());
}

ReferenceTransformer::Rotation ReferenceTransformer::MakeRotation(bool is_local) const {
  double dimension = Number("rope.dimension_count", head_dim_);
  double base = Number("rope.freq_base", 10000.0);
  // And never scaled.
  const bool is_own = is_local && (Is("gemma3") || Is("gemma4") || Is("olmo2"));
  if (is_own && Is("gemma4"))
    dimension = Number("rope.dimension_count_swa", Number("attention.key_length_swa", -1));
  if (is_own) base = Number("rope.freq_base_swa", Is("gemma3") ? 10000.0 : base);
  const auto n_pairs = static_cast<size_t>(dimension / 2);
  Rotation rotation;
  for (size_t i = 0; i < n_pairs; ++i)
    rotation.frequencies.push_back(1.0 / std::pow(base, 2.0 * static_cast<double>(i) / dimension));
  Vector divisors(n_pairs, 1.0);
  if (Has("rope_freqs.weight") && !is_own)
    std::ranges::copy(Weight("rope_freqs.weight").values, divisors.begin());
  if (Has("rope_factors_long.weight")) divisors = LongRopeFactors();
  for (size_t i = 0; i < n_pairs; ++i) rotation.frequencies[i] /= divisors[i];
  const auto type = texts_.find("rope.scaling.type");
  if (Is("phi3") || (type != texts_.end() && type->second == "longrope"))
    rotation.magnitude = Number("rope.scaling.attn_factor", 1.0);
  const double factor = Number("rope.scaling.factor", 1.0);
  if (is_own || type == texts_.end() || type->second == "none") return rotation;
  if (type->second == "linear")
    for (double& frequency : rotation.frequencies) frequency /= factor;
  if (type->second != "yarn") return rotation;
  // As in Hugging Face's YaRN, which Peng et al. published.
  const double context = Number("rope.scaling.original_context_length", -1);
  const auto pair_of = [&](double turns) {
    return dimension * std::log(context / (turns * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(base));
  };
  const double low = std::max(0.0, std::floor(pair_of(32.0)));
  const double high = std::min(dimension - 1.0, std::ceil(pair_of(1.0)));
  for (size_t i = 0; i < n_pairs; ++i) {
    const double ramp =
        std::clamp((static_cast<double>(i) - low) / std::max(high - low, 0.001), 0.0, 1.0);
    rotation.frequencies[i] *= ramp / factor + (1.0 - ramp);
  }
  // Mistral 3: the ratio of DeepSeek's two scales, `mscale` of 1 and `mscale_all_dim`.
  // DeepSeek 2's and 3's own two are equal, where there are two.
  double of_all = Is("mistral3") ? Number("rope.scaling.yarn_log_multiplier", 0.0) : 0.0;
  if (Is("deepseek2") && Number("rope.scaling.yarn_log_multiplier", 0.0) != 0.0) of_all = 1.0;
  rotation.magnitude = (0.1 * std::log(factor) + 1.0) / (0.1 * of_all * std::log(factor) + 1.0);
  rotation.magnitude *= Number("rope.scaling.attn_factor", 1.0);
  return rotation;
}

Vector ReferenceTransformer::Product(const std::string& weight, const Vector& x, uint64_t first_row,
                                     uint64_t n_rows) const {
  const Tensor& w = Weight(weight);
  FORGE_CHECK(w.n_cols == x.size(), weight);
  if (n_rows == 0) n_rows = w.n_rows - first_row;
  Vector y(n_rows);
  for (uint64_t row = 0; row < n_rows; ++row) {
    const float* values = &w.values.at((first_row + row) * w.n_cols);
    for (uint64_t i = 0; i < w.n_cols; ++i) y[row] += double{values[i]} * x[i];
  }
  return y;
}

void ReferenceTransformer::AddBias(const std::string& bias, Vector& y, uint64_t first) const {
  if (!Has(bias)) return;
  const std::vector<float>& values = Weight(bias).values;
  for (size_t i = 0; i < y.size(); ++i) y[i] += double{values.at(first + i)};
}

Vector ReferenceTransformer::Norm(const std::string& weight, const Vector& x, size_t first) const {
  const auto size = static_cast<double>(x.size());
  const double mean = HasLayerNorms() ? std::accumulate(x.begin(), x.end(), 0.0) / size : 0.0;
  double squares = 0.0;
  for (const double value : x) squares += (value - mean) * (value - mean);
  const double root = std::sqrt(squares / size + epsilon_);
  const std::vector<float>& scale = Weight(weight).values;
  Vector y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = (x[i] - mean) / root * double{scale.at(first + i)};
  if (HasLayerNorms()) AddBias(weight.substr(0, weight.rfind('.')) + ".bias", y);
  return y;
}

// Head by head, but OLMo's over all of them, as the number of weights tells. Some have a row of
// weights for each head.
void ReferenceTransformer::NormQueriesOrKeys(const std::string& weight, Vector& x) const {
  if (!Has(weight)) return;
  const Tensor& tensor = Weight(weight);
  const bool is_own = Is("command-r") || Is("stablelm");
  const size_t n = is_own ? static_cast<size_t>(head_dim_) : tensor.values.size();
  for (size_t first = 0; first < x.size(); first += n) {
    const auto part = x.begin() + static_cast<ptrdiff_t>(first);
    std::ranges::copy(
        Norm(weight, Vector(part, part + static_cast<ptrdiff_t>(n)), is_own ? first : 0), part);
  }
}

void ReferenceTransformer::Rotate(const Rotation& rotation, int head_dim, Vector& x) const {
  // Files of these hold the rows of queries and keys so that neighbours are turned; the others turn
  // element i with i + half.
  const bool neighbours = Is("llama") || Is("mistral") || Is("mistral3") || Is("mixtral") ||
                          Is("yi") || Is("chatglm") || Is("glm4") || IsGranite() || Is("smollm3") ||
                          Is("ernie4_5") || Is("ernie4_5-moe") || Is("bailingmoe") || Is("arcee") ||
                          Is("internlm2") || IsCohere() || Is("deepseek2");
  const size_t n_pairs = rotation.frequencies.size();
  for (size_t head = 0; head < x.size(); head += static_cast<size_t>(head_dim))
    for (size_t i = 0; i < n_pairs; ++i) {
      double& a = x[head + (neighbours ? 2 * i : i)];
      double& b = x[head + (neighbours ? 2 * i + 1 : i + n_pairs)];
      const double angle = position_ * rotation.frequencies[i];
      const double cosine = std::cos(angle) * rotation.magnitude;
      const double sine = std::sin(angle) * rotation.magnitude;
      std::tie(a, b) = std::pair(a * cosine - b * sine, a * sine + b * cosine);
    }
}

Vector ReferenceTransformer::Project(const std::string& layer, const std::string& which,
                                     const Vector& x) const {
  const auto n_q = static_cast<uint64_t>(n_heads_ * head_dim_);
  const auto n_kv = static_cast<uint64_t>(n_kv_heads_ * head_dim_);
  const bool is_fused = Has(layer + "attn_qkv.weight");
  const uint64_t first = which == "q" ? 0 : which == "k" ? n_q : n_q + n_kv;
  const std::string name = layer + "attn_" + (is_fused ? "qkv" : which);
  Vector y = is_fused ? Product(name + ".weight", x, first, which == "q" ? n_q : n_kv)
                      : Product(name + ".weight", x);
  AddBias(name + ".bias", y, is_fused ? first : 0);
  return y;
}

double ReferenceTransformer::ScoreScale() const {
  double scale = 1.0 / std::sqrt(head_dim_);
  if (Is("deepseek2")) scale = LatentScale();
  if (IsGranite()) scale = Number("attention.scale", scale);
  if (Is("gemma4")) scale = 1.0;
  // The 27B models' query_pre_attn_scalar is their embedding's share of a head.
  if ((Is("gemma2") && n_layers_ == 46) || (Is("gemma3") && n_layers_ == 62))
    scale = 1.0 / std::sqrt(n_embd_ / n_heads_);
  return scale;
}

Vector ReferenceTransformer::AttendHead(int layer, int head, const Vector& query) const {
  const auto& keys = keys_[static_cast<size_t>(KvSourceOf(layer))];
  const auto& values = values_[static_cast<size_t>(KvSourceOf(layer))];
  const auto n = static_cast<size_t>(HeadDimOf(layer));
  const auto n_values = Is("gemma4") ? n : static_cast<size_t>(value_dim_);
  const auto kv_head = static_cast<size_t>(head / (n_heads_ / KvHeadsOf(layer)));
  const size_t from = kv_head * n, values_from = kv_head * n_values;
  const double scale = ScoreScale();
  size_t first = 0;
  const auto window = static_cast<int>(Number("attention.sliding_window", Is("gemma2") ? 4096 : 0));
  if (SeesWindowOnly(layer) && window > 0)
    first = static_cast<size_t>(std::max(0, position_ - window + 1));
  const double cap = Is("gemma2") ? Number("attn_logit_softcapping", 50.0) : 0.0;
  Vector scores;
  for (size_t p = first; p < keys.size(); ++p) {
    double dot = 0.0;
    for (size_t i = 0; i < n; ++i)
      dot += query[static_cast<size_t>(head) * n + i] * keys[p][from + i];
    dot *= scale;
    scores.push_back(cap > 0 ? cap * std::tanh(dot / cap) : dot);
  }
  const std::string sinks = BlockName(layer) + "attn_sinks.weight";
  if (Has(sinks)) scores.push_back(double{Weight(sinks).values.at(static_cast<size_t>(head))});
  const Vector shares = Softmax(scores);
  Vector y(n_values);
  for (size_t p = first; p < keys.size(); ++p)
    for (size_t i = 0; i < n_values; ++i) y[i] += shares[p - first] * values[p][values_from + i];
  return y;
}

Vector ReferenceTransformer::AttendHeads(int layer, const Vector& query) const {
  Vector heads;
  for (int head = 0; head < n_heads_; ++head) {
    const Vector one = AttendHead(layer, head, query);
    heads.insert(heads.end(), one.begin(), one.end());
  }
  return heads;
}

Vector ReferenceTransformer::Attention(int layer, const Vector& x) {
  const std::string block = BlockName(layer);
  Vector query, key, value, gates;
  if (Is("deepseek2")) {
    query = LatentQueries(block, x);
    std::tie(key, value) = LatentKeysAndValues(block, x);
  } else {
    query = Project(block, "q", x);
    if (IsHybrid()) gates = TakeGates(query);
    key = Project(block, "k", x), value = Project(block, "v", x);
    const auto norm = [&] {
      NormQueriesOrKeys(block + "attn_q_norm.weight", query);
      NormQueriesOrKeys(block + "attn_k_norm.weight", key);
    };
    const bool turns_first = family_.starts_with("hunyuan");
    if (!turns_first) norm();
    if (KnowsPositions(layer)) {
      const Rotation& rotation = SeesWindowOnly(layer) ? local_ : global_;
      Rotate(rotation, head_dim_, query);
      Rotate(rotation, head_dim_, key);
    }
    if (turns_first) norm();
  }
  if (Is("mistral3") || Is("deepseek2")) {  // llama_4_scaling_beta
    const double beta = Number("attention.temperature_scale", 0.0);
    const double original = Number(
        Is("mistral3") ? "rope.scaling.original_context_length" : "attention.temperature_length",
        1e9);
    for (double& element : query)
      element *= 1.0 + beta * std::log(1.0 + std::floor(position_ / original));
  }
  keys_[static_cast<size_t>(layer)].push_back(key);
  values_[static_cast<size_t>(layer)].push_back(value);
  Vector heads = AttendHeads(layer, query);
  for (size_t i = 0; i < gates.size(); ++i) heads[i] /= 1.0 + std::exp(-gates[i]);
  Vector y = Product(block + "attn_output.weight", heads);
  AddBias(block + "attn_output.bias", y);
  return y;
}

// What a layer makes of x.
void ReferenceTransformer::Block(int layer, Vector& x) {
  if (IsNemotronH()) return NemotronHBlock(layer, x);
  const std::string block = BlockName(layer);
  // These files call the norm before the feed-forward net after where it stands.
  const bool is_named_after = Is("gpt-oss") || Is("seed_oss") || Is("glm4moe") || IsHybrid();
  const double residual_scale = IsGranite() ? Number("residual_scale", 1.0) : 1.0;
  const auto add = [&](Vector y, const std::string& post_norm) {
    if (!is_named_after) y = NormIfAny(post_norm, y);
    for (size_t i = 0; i < x.size(); ++i) x[i] += residual_scale * y[i];
  };
  const Vector before = x;
  const bool has_own = Has(block + "attn_norm_2.weight");  // Falcon 40B's attention
  const Vector normed = NormIfAny(block + (has_own ? "attn_norm_2.weight" : "attn_norm.weight"), x);
  add(IsRecurrent(layer) ? RunRecurrent(layer, normed) : Attention(layer, normed),
      block + "post_attention_norm.weight");
  std::string norm = is_named_after ? "post_attention_norm.weight" : "ffn_norm.weight";
  if (IsParallel(block) && !Has(block + norm)) norm = "attn_norm.weight";
  add(FeedForward(block, NormIfAny(block + norm, IsParallel(block) ? before : x)),
      block + "post_ffw_norm.weight");
}

std::vector<double> ReferenceTransformer::Add(int32_t token) {
  keys_.resize(static_cast<size_t>(n_layers_));
  values_.resize(static_cast<size_t>(n_layers_));
  const Tensor& embedding = Weight("token_embd.weight");
  const auto row = embedding.values.begin() + token * n_embd_;
  Vector x(row, row + n_embd_);
  if (IsGemma())
    for (double& value : x) value *= std::sqrt(n_embd_);
  if (IsGranite())
    for (double& value : x) value *= Number("embedding_scale", 1.0);
  const std::vector<Vector> inputs = Is("gemma4") ? Gemma4Inputs(token, x) : std::vector<Vector>();
  for (int layer = 0; layer < n_layers_; ++layer)
    if (Is("gemma4"))
      Gemma4Block(layer, inputs[static_cast<size_t>(layer)], x);
    else
      Block(layer, x);
  const bool is_lfm = Is("lfm2") || Is("lfm2moe");
  Vector logits = Product(Has("output.weight") ? "output.weight" : "token_embd.weight",
                          Norm(is_lfm ? "token_embd_norm.weight" : "output_norm.weight", x));
  AddBias("output.bias", logits);
  const double cap = Number("final_logit_softcapping", Is("gemma2") ? 30.0 : 0.0);
  if (cap > 0)
    for (double& logit : logits) logit = cap * std::tanh(logit / cap);
  if (IsGranite())
    for (double& logit : logits) logit /= Number("logit_scale", 1.0);
  if (IsCohere())
    for (double& logit : logits) logit *= Number("logit_scale", -1.0);
  ++position_;
  return logits;
}

std::vector<double> Softmax(std::vector<double> x) {
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0.0;
  for (double& value : x) sum += value = std::exp(value - largest);
  for (double& value : x) value /= sum;
  return x;
}

std::vector<double> LogSoftmax(const std::vector<double>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const double logit : logits) sum += std::exp(logit - largest);
  std::vector<double> result;
  for (const double logit : logits) result.push_back(logit - largest - std::log(sum));
  return result;
}

}  // namespace forge::testing
