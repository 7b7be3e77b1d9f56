#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace forge::testing {

// Runs a model file token by token in naive double precision: the oracle of the families.
//
// Written from the models' own descriptions and reference code, and shares with the engine nothing
// but the reader of GGUF containers and of number formats: own key names and defaults, own table of
// tensors, own arithmetic, no batching, no blocks, no rings. tests/conformance holds it against the
// reference data. Aborts on a file that it does not understand.
class ReferenceTransformer {
 public:
  // How GELU is computed: as its formula says, or as llama.cpp's CPU does (GGML_GELU_FP16 of
  // ggml/src/ggml-cpu/vec.h), which rounds what it takes and gives to binary16.
  enum class Gelu { kExact, kRounded };

  // `context_length`: what the model is loaded for; some families' rotary embedding depends on it.
  ReferenceTransformer(const std::filesystem::path& path, uint32_t context_length,
                       Gelu gelu = Gelu::kExact);

  // Appends a token to the sequence; the logits after it.
  std::vector<double> Add(int32_t token);
  // Empties the sequence.
  void Reset() { keys_.clear(), values_.clear(), recurrent_.clear(), position_ = 0; }

 private:
  using Vector = std::vector<double>;
  struct Tensor {
    uint64_t n_cols = 0, n_rows = 0;
    std::vector<float> values;
  };
  struct Rotation {
    Vector frequencies;
    double magnitude = 1.0;
  };

  bool Is(std::string_view family) const { return family_ == family; }
  bool IsGemma() const { return family_.starts_with("gemma"); }
  bool IsGranite() const { return family_.starts_with("granite"); }
  bool HasLayerNorms() const;
  bool IsParallel(const std::string& layer) const;
  bool IsCohere() const { return Is("command-r") || Is("cohere2"); }
  double Number(const std::string& key, double fallback) const;
  const Tensor& Weight(const std::string& name) const;
  bool Has(const std::string& name) const { return tensors_.contains(name); }
  bool SeesWindowOnly(int layer) const;
  int HeadDimOf(int layer) const;
  int KvHeadsOf(int layer) const;
  bool KnowsPositions(int layer) const;

  Rotation MakeRotation(bool is_local) const;
  Vector LongRopeFactors() const;
  Vector Product(const std::string& weight, const Vector& x, uint64_t first_row = 0,
                 uint64_t n_rows = 0) const;
  void AddBias(const std::string& bias, Vector& y, uint64_t first = 0) const;
  // By the weights from `first` on. A layer norm's bias has the name of its weights.
  Vector Norm(const std::string& weight, const Vector& x, size_t first = 0) const;
  void Block(int layer, Vector& x);
  Vector NormIfAny(const std::string& weight, const Vector& x) const {
    return Has(weight) ? Norm(weight, x) : x;
  }
  void NormQueriesOrKeys(const std::string& weight, Vector& x) const;
  void Rotate(const Rotation& rotation, int head_dim, Vector& x) const;
  Vector Project(const std::string& layer, const std::string& which, const Vector& x) const;
  Vector Attention(int layer, const Vector& x);
  Vector AttendHead(int layer, int head, const Vector& query) const;
  // What the output projection takes: what each head makes of the keys and values so far.
  Vector AttendHeads(int layer, const Vector& query) const;
  double ScoreScale() const;
  // DeepSeek's, of reference_latent.cpp: all heads' keys and values as they were trained.
  void ReadLatentSizes();
  double LatentScale() const;
  Vector LatentQueries(const std::string& layer, const Vector& x) const;
  std::pair<Vector, Vector> LatentKeysAndValues(const std::string& layer, const Vector& x) const;
  Vector HeadKeys(const std::string& layer, int head, const Vector& latent) const;
  Vector HeadValues(const std::string& layer, int head, const Vector& latent) const;
  void TurnLastElements(Vector& x) const;
  // Qwen 3 Next's, of reference_delta_net.cpp.
  struct Recurrent {
    std::vector<Vector> inputs;              // of the convolution, of every token so far
    std::vector<std::vector<Vector>> heads;  // [head][element of a key][of a value]
  };
  bool IsHybrid() const { return Is("qwen3next") || Is("qwen35") || Is("qwen35moe"); }
  Vector TakeGates(Vector& queries) const;
  Vector DeltaNet(int layer, const Vector& x);
  Vector DeltaHead(const std::string& block, size_t head, const Vector& x, const Vector& mixed,
                   std::vector<Vector>& state) const;
  // Of reference_recurrent.cpp.
  bool IsNemotronH() const { return Is("nemotron_h") || Is("nemotron_h_moe"); }
  void NemotronHBlock(int layer, Vector& x);
  bool IsRecurrent(int layer) const;
  Vector RunRecurrent(int layer, const Vector& x);
  static Vector Silu(Vector x);
  Vector Convolved(const std::string& name, const std::vector<Vector>& inputs) const;
  Vector ShortConv(int layer, const Vector& x);
  Vector StateSpace(int layer, const Vector& x);
  Vector StateSpaceHead(const std::string& block, size_t head, double step, const Vector& xbc,
                        std::vector<Vector>& state) const;
  // Gemma 4's, of reference_gemma4.cpp.
  int KvSourceOf(int layer) const;
  Vector Gemma4Heads(int layer, const Vector& x);
  Vector Gemma4Mixture(const std::string& block, const Vector& x) const;
  Vector Gemma4Net(const std::string& block, const Vector& x) const;
  void Gemma4Block(int layer, const Vector& input, Vector& x);
  // Of each layer, of this token.
  std::vector<Vector> Gemma4Inputs(int32_t token, const Vector& embedding) const;
  double GeluOf(double x) const;
  double Gate(double gate, double up) const;
  double Activated(double x) const;
  Vector FeedForward(const std::string& layer, const Vector& x) const;
  // The net of "<gate>.weight" and so on, with what biases it has.
  Vector Dense(const std::string& gate, const std::string& up, const std::string& down,
               const Vector& x) const;
  Vector Ungated(const std::string& up, const std::string& down, const Vector& x) const;
  Vector Experts(const std::string& layer, const Vector& x) const;
  Vector Expert(const std::string& layer, uint64_t expert, const Vector& x) const;
  Vector Scores(const Vector& logits) const;
  void LeaveGroupsOut(Vector& keys) const;
  std::vector<std::pair<uint64_t, double>> Route(const std::string& layer,
                                                 const Vector& logits) const;

  std::string family_;
  std::map<std::string, double> numbers_;  // without the family's prefix
  std::map<std::string, std::string> texts_;
  std::map<std::string, Vector> arrays_;
  std::map<std::string, Tensor> tensors_;
  uint32_t context_length_;
  Gelu gelu_;
  int n_layers_, n_embd_, n_heads_, n_kv_heads_, head_dim_, value_dim_;
  int rank_ = 0, n_turned_ = 0;  // DeepSeek's
  double epsilon_;
  Rotation global_, local_;

  // Of the sequence: [layer][position][n_kv_heads * head_dim or value_dim].
  std::vector<std::vector<Vector>> keys_, values_;
  std::map<int, Recurrent> recurrent_;  // of such layers
  int position_ = 0;
};

// The probabilities that logits stand for.
std::vector<double> Softmax(std::vector<double> logits);

// Natural logarithms of the probabilities that logits stand for.
std::vector<double> LogSoftmax(const std::vector<double>& logits);

}  // namespace forge::testing
