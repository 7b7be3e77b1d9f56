#include "tests/support/tiny_vocabulary.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

Vocabulary MakeWordPiece() {
  Vocabulary vocabulary;
  vocabulary.Add("[PAD]", kControl);
  vocabulary.Add("[UNK]", kUnknown);
  vocabulary.Add("[CLS]", kControl);
  vocabulary.Add("[SEP]", kControl);
  const std::string beginning = "\xe2\x96\x81";  // U+2581
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    vocabulary.Add(std::string(1, letter), kNormal);
    vocabulary.Add(beginning + letter, kNormal);
  }
  for (const std::string_view word : kWords) vocabulary.Add(beginning + std::string(word), kNormal);
  return vocabulary;
}

const Vocabulary& VocabularyOf(TinyVocabulary kind) {
  static const Vocabulary bpe = MakeBpe();
  static const Vocabulary sentence_piece = MakeSentencePiece();
  static const Vocabulary word_piece = MakeWordPiece();
  if (kind == TinyVocabulary::kWordPiece) return word_piece;
  return kind == TinyVocabulary::kBpe ? bpe : sentence_piece;
}

}  // namespace

void AddTinyVocabulary(TinyVocabulary kind, bool has_chat_template, GgufBuilder& builder) {
  const Vocabulary& vocabulary = VocabularyOf(kind);
  const auto n_tokens = static_cast<uint32_t>(vocabulary.tokens.size());
  if (kind == TinyVocabulary::kBpe) {
    builder.AddString("tokenizer.ggml.model", "gpt2").AddString("tokenizer.ggml.pre", "gpt-2");
    builder.AddStringArray("tokenizer.ggml.tokens", vocabulary.tokens)
        .AddInt32Array("tokenizer.ggml.token_type", vocabulary.types)
        .AddStringArray("tokenizer.ggml.merges", vocabulary.merges)
        .AddUint32("tokenizer.ggml.bos_token_id", n_tokens - 3)
        .AddUint32("tokenizer.ggml.eos_token_id", n_tokens - 1)
        .AddBool("tokenizer.ggml.add_bos_token", false);
  } else if (kind == TinyVocabulary::kWordPiece) {
    builder.AddString("tokenizer.ggml.model", "bert")
        .AddStringArray("tokenizer.ggml.tokens", vocabulary.tokens)
        .AddInt32Array("tokenizer.ggml.token_type", vocabulary.types);
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
  if (has_chat_template) builder.AddString("tokenizer.chat_template", kChatMl);
}

uint32_t TinyVocabularySize(TinyVocabulary vocabulary) {
  return static_cast<uint32_t>(VocabularyOf(vocabulary).tokens.size());
}

}  // namespace forge::testing
