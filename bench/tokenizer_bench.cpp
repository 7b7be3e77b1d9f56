// Measures how fast a vocabulary encodes and decodes a text: tokenizer_bench VOCABULARY.gguf TEXT
//
// Counts the processor time of the one thread that works, not time on the wall, which says nothing
// on a machine that others use.

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "engine/text/tokenizer.h"

namespace {

double ThreadSeconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

// The shortest of several runs, which is the one that other programs disturbed least.
template <typename Work>
double BestSeconds(const Work& work) {
  constexpr int kRuns = 7;
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const double start = ThreadSeconds();
    work();
    const double seconds = ThreadSeconds() - start;
    best = run == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

int Run(const char* vocabulary_path, const char* text_path) {
  const forge::Result<std::unique_ptr<forge::GgufFile>> file =
      forge::GgufFile::Open(vocabulary_path);
  if (!file.ok()) {
    std::fprintf(stderr, "%s\n", file.status().ToString().c_str());
    return 1;
  }
  const double start = ThreadSeconds();
  const forge::Result<std::unique_ptr<forge::Tokenizer>> created =
      forge::Tokenizer::Create((*file)->metadata());
  if (!created.ok()) {
    std::fprintf(stderr, "%s\n", created.status().ToString().c_str());
    return 1;
  }
  const double create_seconds = ThreadSeconds() - start;
  const forge::Tokenizer& tokenizer = **created;

  std::ifstream stream(text_path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (text.empty()) {
    std::fprintf(stderr, "%s: no such file, or empty\n", text_path);
    return 1;
  }
  const forge::Tokenizer::EncodeOptions options{.add_special = false, .parse_special = false};
  std::vector<forge::TokenId> ids;
  std::string decoded;
  const double encode_seconds = BestSeconds([&] { ids = tokenizer.Encode(text, options); });
  const double decode_seconds = BestSeconds([&] { decoded = tokenizer.Decode(ids, true); });

  const double megabytes = static_cast<double>(text.size()) / 1e6;
  std::printf("%zu tokens in the vocabulary, read in %.0f ms\n", tokenizer.n_tokens(),
              create_seconds * 1e3);
  std::printf("%.2f MB of text, %zu tokens, %s by decoding\n", megabytes, ids.size(),
              decoded == text ? "restored" : "changed");
  std::printf("encode %.1f MB/s, decode %.1f MB/s\n", megabytes / encode_seconds,
              megabytes / decode_seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s VOCABULARY.gguf TEXT\n", argv[0]);
    return 2;
  }
  return Run(argv[1], argv[2]);
}
