#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace forge {

// Splits text into the pieces that byte-level BPE merges within, as the regular expression of the
// model's tokenizer would; written by hand, because those expressions need look-ahead and Unicode
// classes, and a backtracking matcher is no match for hostile text: every split here is linear.
//
// docs/tokenizers.md lists the expressions. Thread-safe: immutable.
struct PreTokenizer {
  // The value of tokenizer.ggml.pre.
  std::string_view name;
  // The end of the piece that starts at `begin`. REQUIRES: begin < text.size().
  size_t (*piece_end)(std::string_view text, size_t begin);
  bool normalizes_nfc = false;
  // A piece that is a vocabulary entry is taken whole, even if its merges lead elsewhere.
  bool ignores_merges = false;
  // What absent keys mean.
  bool adds_bos = false;
};

// nullptr if there is none of this name.
const PreTokenizer* FindPreTokenizer(std::string_view name);

}  // namespace forge
