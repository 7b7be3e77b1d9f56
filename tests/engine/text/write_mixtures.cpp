// Writes the vocabulary of mixture_vocabulary.h once for each pre-tokenizer, NAME.gguf, and random
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

std::string VocabularyFile(const MixtureVocabulary& vocabulary, const char* pre_tokenizer) {
  GgufBuilder file;
  file.AddString("general.architecture", "llama")
      .AddString("tokenizer.ggml.model", "gpt2")
      .AddString("tokenizer.ggml.pre", pre_tokenizer)
      .AddStringArray("tokenizer.ggml.tokens", vocabulary.tokens)
      .AddInt32Array("tokenizer.ggml.token_type", vocabulary.types)
      .AddStringArray("tokenizer.ggml.merges", vocabulary.merges)
      .AddBool("tokenizer.ggml.add_bos_token", false);
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
  const MixtureVocabulary vocabulary = MakeMixtureVocabulary();
  for (int i = 5; i < argc; ++i)
    WriteFile(folder / (std::string(argv[i]) + ".gguf"), VocabularyFile(vocabulary, argv[i]));
  return 0;
}
