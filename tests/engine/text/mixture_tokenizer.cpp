#include "tests/engine/text/mixture_tokenizer.h"

#include "tests/engine/text/mixture_vocabulary.h"
#include "tests/engine/text/vocabulary_builder.h"

namespace forge::testing {
namespace {

VocabularyBuilder SentencePiece(bool adds_space) {
  return VocabularyBuilder::SentencePiece()
      .Set("tokenizer.ggml.scores", FloatsValue(MakeMixtureSentencePiece().scores))
      .Set("tokenizer.ggml.add_space_prefix", BoolValue(adds_space));
}

VocabularyBuilder CharacterPairs() {
  return VocabularyBuilder::CharacterPairs().Set("tokenizer.ggml.merges",
                                                 StringsValue(MakeMixtureCharacterPairs().merges));
}

VocabularyBuilder WordPiece(std::string_view name) {
  VocabularyBuilder builder = VocabularyBuilder::WordPiece();
  if (name.ends_with("-cased"))
    builder.Set("tokenizer.ggml.normalizer.lowercase", BoolValue(false));
  if (name.ends_with("-accented"))
    builder.Set("tokenizer.ggml.normalizer.strip_accents", BoolValue(false));
  return builder;
}

VocabularyBuilder BytePairs(std::string_view name) {
  return VocabularyBuilder::BytePairs(name).Set("tokenizer.ggml.merges",
                                                StringsValue(MakeMixtureVocabulary().merges));
}

}  // namespace

std::unique_ptr<Tokenizer> MixtureTokenizer(std::string_view name) {
  const bool is_sentence_piece = name.starts_with("sentencepiece");
  const bool is_word_piece = name.starts_with("wordpiece");
  const bool is_character_pairs = name == "gemma4";
  const MixtureVocabulary vocabulary = is_sentence_piece    ? MakeMixtureSentencePiece()
                                       : is_character_pairs ? MakeMixtureCharacterPairs()
                                       : is_word_piece      ? MakeMixtureWordPiece()
                                                            : MakeMixtureVocabulary();
  VocabularyBuilder builder = is_sentence_piece    ? SentencePiece(name == "sentencepiece")
                              : is_character_pairs ? CharacterPairs()
                              : is_word_piece      ? WordPiece(name)
                                                   : BytePairs(name);
  return builder.Set("tokenizer.ggml.tokens", StringsValue(vocabulary.tokens))
      .Set("tokenizer.ggml.token_type", Int32sValue(vocabulary.types))
      .BuildTokenizer();
}

}  // namespace forge::testing
