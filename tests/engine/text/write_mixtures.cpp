// Writes the vocabularies of mixture_vocabulary.h, NAME.gguf for each pre-tokenizer, and random
// texts, texts.txt, for llama_cpp/record.py; and the vocabulary of WordPiece, wordpiece.txt, for
// hugging_face/record.mjs.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/engine/text/mixture_vocabulary.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_files.h"

namespace forge::testing {
namespace {

void AddSentencePiece(const std::string& name, GgufBuilder& file) {
  file.AddString("tokenizer.ggml.model", "llama")
      .AddString("tokenizer.ggml.pre", "default")
      .AddFloat32Array("tokenizer.ggml.scores", MakeMixtureSentencePiece().scores)
      .AddBool("tokenizer.ggml.add_space_prefix", !name.ends_with("-unspaced"));
}

void AddWordPiece(const std::string& name, GgufBuilder& file) {
  file.AddString("tokenizer.ggml.model", "bert").AddString("tokenizer.ggml.pre", "default");
  // The ids that llama.cpp assumes are those of larger vocabularies.
  uint32_t id = 0;
  for (const char* const key : {"padding", "unknown", "bos", "seperator", "mask"})
    file.AddUint32("tokenizer.ggml." + std::string(key) + "_token_id", id++);
  if (name.ends_with("-cased")) file.AddBool("tokenizer.ggml.normalizer.lowercase", false);
  if (name.ends_with("-accented")) file.AddBool("tokenizer.ggml.normalizer.strip_accents", false);
}

void AddBytePairs(const std::string& name, GgufBuilder& file) {
  file.AddString("tokenizer.ggml.model", "gpt2")
      .AddString("tokenizer.ggml.pre", name)
      .AddStringArray("tokenizer.ggml.merges", MakeMixtureVocabulary().merges);
}

void AddCharacterPairs(GgufBuilder& file) {
  file.AddString("tokenizer.ggml.model", "gemma4")
      .AddStringArray("tokenizer.ggml.merges", MakeMixtureCharacterPairs().merges)
      .AddUint32("tokenizer.ggml.bos_token_id", 1)
      .AddUint32("tokenizer.ggml.eos_token_id", 2)
      .AddBool("tokenizer.ggml.add_space_prefix", false);
}

// `name`: of mixture_tokenizer.h.
std::string VocabularyFile(const std::string& name) {
  const bool is_sentence_piece = name.starts_with("sentencepiece");
  const bool is_word_piece = name.starts_with("wordpiece");
  const bool is_character_pairs = name == "gemma4";
  const MixtureVocabulary vocabulary = is_sentence_piece    ? MakeMixtureSentencePiece()
                                       : is_character_pairs ? MakeMixtureCharacterPairs()
                                       : is_word_piece      ? MakeMixtureWordPiece()
                                                            : MakeMixtureVocabulary();
  GgufBuilder file;
  file.AddString("general.architecture", "llama")
      .AddStringArray("tokenizer.ggml.tokens", vocabulary.tokens)
      .AddInt32Array("tokenizer.ggml.token_type", vocabulary.types)
      .AddBool("tokenizer.ggml.add_bos_token", false);
  if (is_sentence_piece) {
    AddSentencePiece(name, file);
  } else if (is_character_pairs) {
    AddCharacterPairs(file);
  } else if (is_word_piece) {
    AddWordPiece(name, file);
  } else {
    AddBytePairs(name, file);
  }
  // What llama.cpp asks of a model before it reads the vocabulary.
  for (const char* key : {"llama.context_length", "llama.embedding_length", "llama.block_count",
                          "llama.feed_forward_length", "llama.attention.head_count"})
    file.AddUint32(key, 32);
  file.AddFloat32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  return file.Build();
}

// The vocabulary of WordPiece as Hugging Face keeps it: a token a line, "##" before those that
// continue a word.
std::string WordPieceLines() {
  constexpr std::string_view kMark = "\u2581";
  const MixtureVocabulary vocabulary = MakeMixtureWordPiece();
  std::string lines;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::string_view token = vocabulary.tokens[i];
    const bool is_control = vocabulary.types[i] == 3;
    if (is_control) {
      lines += token;
    } else if (token.starts_with(kMark)) {
      lines += token.substr(kMark.size());
    } else {
      lines += "##";
      lines += token;
    }
    lines += '\n';
  }
  return lines;
}

}  // namespace
}  // namespace forge::testing

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: write_mixtures FOLDER SEED TEXTS PARTS PRE_TOKENIZER...\n");
    return 2;
  }
  using namespace forge::testing;
  const std::filesystem::path folder(argv[1]);
  // First, pieces that are tokens but not by merging.
  std::string joined = "abc zzz abc!!! bca;zzz 123 1234567 //zzz//";
  for (const std::string& text :
       RandomMixtures(static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10)),
                      std::strtoul(argv[3], nullptr, 10), std::strtoul(argv[4], nullptr, 10))) {
    joined += kMixtureSeparator;
    joined += text;
  }
  WriteFile(folder / "texts.txt", joined);
  WriteFile(folder / "wordpiece.txt", WordPieceLines());
  for (int i = 5; i < argc; ++i)
    WriteFile(folder / (std::string(argv[i]) + ".gguf"), VocabularyFile(argv[i]));
  return 0;
}
