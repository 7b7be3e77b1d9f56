#pragma once

#include <cstdint>

#include "tests/support/gguf_builder.h"

namespace forge::testing {

enum class TinyVocabulary {
  kSentencePiece,  // <unk> <s> </s>, 256 byte tokens, letters and a few words
  kBpe,            // 256 byte-level symbols, merges of a few words, ChatML tokens
  kWordPiece,  // [PAD] [UNK] [CLS] [SEP], letters that begin and that continue words, a few words
};

// Number of tokens of a vocabulary, the n_vocab of the models that use it.
uint32_t TinyVocabularySize(TinyVocabulary vocabulary);

// The tokenizer's keys; `has_chat_template`: ChatML.
void AddTinyVocabulary(TinyVocabulary kind, bool has_chat_template, GgufBuilder& builder);

}  // namespace forge::testing
