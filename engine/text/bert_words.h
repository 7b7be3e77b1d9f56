#pragma once

#include <functional>
#include <string_view>

namespace forge {

// What BERT's tokenizer does to the characters of a text.
struct BertNormalization {
  bool lower_case = true;
  bool strip_accents = true;  // form D without its nonspacing marks
};

// Calls `visit` with every word of the text, as Hugging Face's BertNormalizer and BertPreTokenizer
// make them: without control characters, split at white space, and each character of punctuation
// and each Chinese one a word of its own. Bytes that are not UTF-8 are left out. A word is not
// empty and has no white space. Takes O(n log n) on any text, which may be one word.
void ForEachBertWord(std::string_view text, BertNormalization normalization,
                     const std::function<void(std::string_view)>& visit);

}  // namespace forge
