#include "tests/support/tiny_model.h"

#include <cmath>
#include <random>
#include <vector>

#include "kernels/base/check.h"

namespace forge::testing {
namespace {

// Kinds of token in tokenizer.ggml.token_type.
constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;

constexpr std::string_view kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::vector<float> scores;        // SentencePiece
  std::vector<std::string> merges;  // BPE

  int32_t Add(std::string token, int32_t type, float score = 0.0f) {
    tokens.push_back(std::move(token));
    types.push_back(type);
    scores.push_back(score);
    return static_cast<int32_t>(tokens.size()) - 1;
  }
};

std::string Utf8(uint32_t code_point) {  // below U+0800
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xc0 | (code_point >> 6)),
          static_cast<char>(0x80 | (code_point & 0x3f))};
}

// GPT-2's printable stand-in for a byte: itself where printable, else the next from U+0100 on.
std::vector<std::string> ByteSymbols() {
  std::vector<std::string> symbols;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
    symbols.push_back(Utf8(printable ? byte : next++));
  }
  return symbols;
}

constexpr std::string_view kWords[] = {"the", "and",  "of",    "to",   "in",
                                       "is",  "that", "hello", "world"};

// Each word is reached by merging one letter after the other, with and without a space before it.
Vocabulary MakeBpe() {
  Vocabulary vocabulary;
  for (const std::string& symbol : ByteSymbols()) vocabulary.Add(symbol, kNormal);
  const std::string space = "\xc4\xa0";  // U+0120, byte 0x20
  const auto add_merges = [&](std::vector<std::string> pieces) {
    for (size_t i = 1; i < pieces.size(); ++i) {
      const std::string merge = pieces[0] + " " + pieces[i];
      pieces[0] += pieces[i];
      bool known = false;
      for (const std::string& other : vocabulary.merges) known = known || other == merge;
      if (known) continue;
      vocabulary.merges.push_back(merge);
      vocabulary.Add(pieces[0], kNormal);
    }
  };
  for (const std::string_view word : kWords) {
    std::vector<std::string> letters;
    for (const char letter : word) letters.emplace_back(1, letter);
    add_merges(letters);
    letters.insert(letters.begin(), space);
    add_merges(letters);
  }
  vocabulary.Add("<|endoftext|>", kControl);
  vocabulary.Add("<|im_start|>", kControl);
  vocabulary.Add("<|im_end|>", kControl);
  return vocabulary;
}

Vocabulary MakeSentencePiece() {
  Vocabulary vocabulary;
  vocabulary.Add("<unk>", kUnknown);
  vocabulary.Add("<s>", kControl);
  vocabulary.Add("</s>", kControl);
  constexpr char kHex[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte)
    vocabulary.Add(std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">", kByte);
  const std::string space = "\xe2\x96\x81";  // U+2581
  float score = -1.0f;
  const auto add = [&](std::string piece) {
    for (const std::string& other : vocabulary.tokens)
      if (other == piece) return;
    vocabulary.Add(std::move(piece), kNormal, score);
    score -= 1.0f;
  };
  for (const std::string_view word : kWords) {
    std::string piece;
    for (const char letter : word) add(piece += letter);
    add(space + word[0]);
    add(space + std::string(word));
  }
  add(space);
  for (char letter = 'a'; letter <= 'z'; ++letter) add(std::string(1, letter));
  return vocabulary;
}

const Vocabulary& VocabularyOf(TinyVocabulary kind) {
  static const Vocabulary bpe = MakeBpe();
  static const Vocabulary sentence_piece = MakeSentencePiece();
  return kind == TinyVocabulary::kBpe ? bpe : sentence_piece;
}

void AddVocabulary(const TinyModelOptions& options, GgufBuilder& builder) {
  const Vocabulary& vocabulary = VocabularyOf(options.vocabulary);
  const auto n_tokens = static_cast<uint32_t>(vocabulary.tokens.size());
  if (options.vocabulary == TinyVocabulary::kBpe) {
    builder.AddString("tokenizer.ggml.model", "gpt2").AddString("tokenizer.ggml.pre", "gpt-2");
    builder.AddStringArray("tokenizer.ggml.tokens", vocabulary.tokens)
        .AddInt32Array("tokenizer.ggml.token_type", vocabulary.types)
        .AddStringArray("tokenizer.ggml.merges", vocabulary.merges)
        .AddUint32("tokenizer.ggml.bos_token_id", n_tokens - 3)
        .AddUint32("tokenizer.ggml.eos_token_id", n_tokens - 1)
        .AddBool("tokenizer.ggml.add_bos_token", false);
  } else {
    builder.AddString("tokenizer.ggml.model", "llama").AddString("tokenizer.ggml.pre", "default");
    builder.AddStringArray("tokenizer.ggml.tokens", vocabulary.tokens)
        .AddFloat32Array("tokenizer.ggml.scores", vocabulary.scores)
        .AddInt32Array("tokenizer.ggml.token_type", vocabulary.types)
        .AddUint32("tokenizer.ggml.bos_token_id", 1)
        .AddUint32("tokenizer.ggml.eos_token_id", 2)
        .AddUint32("tokenizer.ggml.unknown_token_id", 0)
        .AddBool("tokenizer.ggml.add_bos_token", true)
        .AddBool("tokenizer.ggml.add_space_prefix", true);
  }
  if (options.has_chat_template) builder.AddString("tokenizer.chat_template", kChatMl);
}

void AddParameters(const TinyModelOptions& options, GgufBuilder& builder) {
  const std::string prefix = options.architecture + ".";
  builder.AddString("general.architecture", options.architecture)
      .AddString("general.name", options.name)
      .AddUint32(prefix + "block_count", options.n_layers)
      .AddUint32(prefix + "context_length", options.n_context)
      .AddUint32(prefix + "embedding_length", options.n_embd)
      .AddUint32(prefix + "feed_forward_length", options.n_ff)
      .AddUint32(prefix + "attention.head_count", options.n_heads)
      .AddUint32(prefix + "attention.head_count_kv", options.n_kv_heads)
      .AddFloat32(prefix + "attention.layer_norm_rms_epsilon", 1e-5f)
      .AddFloat32(prefix + "rope.freq_base", 10000.0f);
  if (options.head_dim != 0)
    builder.AddUint32(prefix + "attention.key_length", options.head_dim)
        .AddUint32(prefix + "attention.value_length", options.head_dim);
  if (options.rope_dimension != 0)
    builder.AddUint32(prefix + "rope.dimension_count", options.rope_dimension);
}

// Draws the weights one after the other from one generator.
class WeightWriter {
 public:
  WeightWriter(uint64_t seed, GgufBuilder& builder) : random_(seed), builder_(builder) {}

  std::vector<float> Draw(uint64_t n, float deviation) {
    std::vector<float> values(n);
    // Own scaling of raw bits: std::uniform_real_distribution differs between libraries.
    for (float& value : values) {
      const float unit = static_cast<float>(random_() >> 40) * 0x1p-23f - 1.0f;  // [-1, 1)
      value = unit * deviation * std::sqrt(3.0f);
    }
    return values;
  }
  std::vector<float> DrawMatrix(uint64_t n_cols, uint64_t n_rows) {
    return Draw(n_cols * n_rows, 1.0f / std::sqrt(static_cast<float>(n_cols)));
  }
  void Matrix(const std::string& name, uint64_t n_cols, uint64_t n_rows) {
    builder_.AddF32Tensor(name, Shape(n_cols, n_rows), DrawMatrix(n_cols, n_rows));
  }
  void Norm(const std::string& name, uint64_t n) {
    std::vector<float> values = Draw(n, 0.1f);
    for (float& value : values) value += 1.0f;
    builder_.AddF32Tensor(name, Shape(n), values);
  }
  template <typename... Extent>
  static std::vector<uint64_t> Shape(Extent... extents) {
    return {extents...};
  }

 private:
  std::mt19937_64 random_;
  GgufBuilder& builder_;
};

void AddQkv(const TinyModelOptions& options, const std::string& prefix, uint64_t head_dim,
            WeightWriter& writer, GgufBuilder& builder) {
  const uint64_t n_embd = options.n_embd;
  const uint64_t rows[] = {options.n_heads * head_dim, options.n_kv_heads * head_dim,
                           options.n_kv_heads * head_dim};
  constexpr std::string_view kNames[] = {"attn_q", "attn_k", "attn_v"};
  const bool has_bias = options.has_qkv_bias || options.architecture == "qwen2";
  std::vector<float> all_weights, all_biases;
  for (int i = 0; i < 3; ++i) {
    const std::string name = prefix + std::string(kNames[i]);
    const std::vector<float> weights = writer.DrawMatrix(n_embd, rows[i]);
    const std::vector<float> biases = has_bias ? writer.Draw(rows[i], 0.5f) : std::vector<float>();
    if (!options.has_fused_qkv) {
      builder.AddF32Tensor(name + ".weight", WeightWriter::Shape(n_embd, rows[i]), weights);
      if (has_bias) builder.AddF32Tensor(name + ".bias", WeightWriter::Shape(rows[i]), biases);
    }
    all_weights.insert(all_weights.end(), weights.begin(), weights.end());
    all_biases.insert(all_biases.end(), biases.begin(), biases.end());
  }
  if (!options.has_fused_qkv) return;
  const uint64_t n_rows = rows[0] + rows[1] + rows[2];
  builder.AddF32Tensor(prefix + "attn_qkv.weight", WeightWriter::Shape(n_embd, n_rows),
                       all_weights);
  if (has_bias)
    builder.AddF32Tensor(prefix + "attn_qkv.bias", WeightWriter::Shape(n_rows), all_biases);
}

}  // namespace

uint32_t TinyVocabularySize(TinyVocabulary vocabulary) {
  return static_cast<uint32_t>(VocabularyOf(vocabulary).tokens.size());
}

GgufBuilder MakeTinyModel(const TinyModelOptions& options) {
  FORGE_CHECK(options.n_heads > 0, "a model needs heads");
  GgufBuilder builder;
  AddParameters(options, builder);
  AddVocabulary(options, builder);
  const uint64_t head_dim =
      options.head_dim != 0 ? options.head_dim : options.n_embd / options.n_heads;
  const uint64_t n_vocab = TinyVocabularySize(options.vocabulary);
  WeightWriter writer(options.seed, builder);
  writer.Matrix("token_embd.weight", options.n_embd, n_vocab);
  writer.Norm("output_norm.weight", options.n_embd);
  if (!options.has_tied_output) writer.Matrix("output.weight", options.n_embd, n_vocab);
  for (uint32_t layer = 0; layer < options.n_layers; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    writer.Norm(prefix + "attn_norm.weight", options.n_embd);
    AddQkv(options, prefix, head_dim, writer, builder);
    writer.Matrix(prefix + "attn_output.weight", options.n_heads * head_dim, options.n_embd);
    writer.Norm(prefix + "ffn_norm.weight", options.n_embd);
    writer.Matrix(prefix + "ffn_gate.weight", options.n_embd, options.n_ff);
    writer.Matrix(prefix + "ffn_up.weight", options.n_embd, options.n_ff);
    writer.Matrix(prefix + "ffn_down.weight", options.n_ff, options.n_embd);
  }
  return builder;
}

void WriteTinyModel(const std::filesystem::path& path, const TinyModelOptions& options) {
  WriteFile(path, MakeTinyModel(options).Build());
}

}  // namespace forge::testing
