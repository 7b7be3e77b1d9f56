#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "engine/text/pre_tokenizer_stages.h"

namespace forge {

// Splits text into the pieces that byte-level BPE merges within, as the regular expression of the
// model's tokenizer would; written by hand, because those expressions need look-ahead and Unicode
// classes, and a backtracking matcher is no match for hostile text: every split here is linear.
//
// docs/tokenizers.md lists the expressions. Thread-safe: immutable.
struct PreTokenizer {
  // The value of tokenizer.ggml.pre.
  std::string_view name;
  // The end of the piece that starts at `begin`. REQUIRES: begin < text.size(). nullptr where the
  // text is split in stages.
  size_t (*piece_end)(std::string_view text, size_t begin) = nullptr;
  // Of several expressions, each applied within the pieces of the one before.
  std::span<const PieceStage> (*stages)() = nullptr;
  bool normalizes_nfc = false;
  // A piece that is a vocabulary entry is taken whole, even if its merges lead elsewhere.
  bool ignores_merges = false;
  // What absent keys mean.
  bool adds_bos = false;

  // Calls `take` with each piece of the text, in order.
  template <typename Take>
  void ForEachPiece(std::string_view text, const Take& take) const {
    size_t begin = 0;
    const auto take_until = [&](size_t end) {
      take(text.substr(begin, end - begin));
      begin = end;
    };
    if (stages != nullptr) {
      for (const size_t end : PieceEnds(text, stages())) take_until(end);
    } else {
      while (begin < text.size()) take_until(piece_end(text, begin));
    }
  }
};

// All there are.
std::span<const PreTokenizer> PreTokenizers();
// nullptr if there is none of this name.
const PreTokenizer* FindPreTokenizer(std::string_view name);

}  // namespace forge
