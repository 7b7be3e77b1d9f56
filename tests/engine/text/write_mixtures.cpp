// Writes the vocabularies of mixture_vocabulary.h, NAME.gguf for each pre-tokenizer, and random
// texts, texts.txt, for llama_cpp/record.py.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/engine/text/mixture_vocabulary.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_files.h"

namespace forge::testing {
namespace {

// `name`: that of a pre-tokenizer, or "sentencepiece" with or without "-unspaced".
std::string VocabularyFile(const std::string& name) {
  const bool is_sentence_piece = name.starts_with("sentencepiece");
  const MixtureVocabulary vocabulary =
      is_sentence_piece ? MakeMixtureSentencePiece() : MakeMixtureVocabulary();
  GgufBuilder file;
  file.AddString("general.architecture", "llama")
      .AddString("tokenizer.ggml.model", is_sentence_piece ? "llama" : "gpt2")
      .AddString("tokenizer.ggml.pre", is_sentence_piece ? "default" : name)
      .AddStringArray("tokenizer.ggml.tokens", vocabulary.tokens)
      .AddInt32Array("tokenizer.ggml.token_type", vocabulary.types)
      .AddBool("tokenizer.ggml.add_bos_token", false);
  if (is_sentence_piece) {
    file.AddFloat32Array("tokenizer.ggml.scores", vocabulary.scores)
        .AddBool("tokenizer.ggml.add_space_prefix", !name.ends_with("-unspaced"));
  } else {
    file.AddStringArray("tokenizer.ggml.merges", vocabulary.merges);
  }
  // What llama.cpp asks of a model before it reads the vocabulary.
  for (const char* key : {"llama.context_length", "llama.embedding_length", "llama.block_count",
                          "llama.feed_forward_length", "llama.attention.head_count"})
    file.AddUint32(key, 32);
  file.AddFloat32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  return file.Build();
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
  for (int i = 5; i < argc; ++i)
    WriteFile(folder / (std::string(argv[i]) + ".gguf"), VocabularyFile(argv[i]));
  return 0;
}
