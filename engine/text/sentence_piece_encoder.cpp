#include "engine/text/sentence_piece_encoder.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "engine/text/utf8.h"
#include "engine/text/vocabulary_checks.h"

namespace forge {
namespace {

constexpr std::string_view kEscapedSpace = "\xe2\x96\x81";  // U+2581

// The characters of `text` as symbols; a byte that is not UTF-8 is one of its own.
void SplitCharacters(std::string_view text, const Vocabulary& vocabulary,
                     std::vector<Symbol>& symbols) {
  symbols.clear();
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = DecodeUtf8(text, i);
    const size_t size = step.kind == Utf8Step::Kind::kCharacter ? step.size : 1;
    symbols.push_back({static_cast<uint32_t>(i), static_cast<uint32_t>(size),
                       vocabulary.FindText(text.substr(i, size))});
    i += size;
  }
}

}  // namespace

Result<std::unique_ptr<const SegmentEncoder>> SentencePieceEncoder::Create(
    const GgufMetadata& metadata, const Vocabulary& vocabulary) {
  std::unique_ptr<SentencePieceEncoder> encoder(new SentencePieceEncoder(vocabulary));
  FORGE_TRY(CheckCharsmap(metadata));
  if (encoder->has_pairs_) {
    FORGE_ASSIGN_OR_RETURN(encoder->merges_,
                           PairMerges::Read(metadata, vocabulary, UnescapeSpaces));
  } else {
    FORGE_TRY(encoder->ReadScores(metadata));
  }
  encoder->FindJoinedCharacters();
  encoder->FindWholeTokens();
  return std::unique_ptr<const SegmentEncoder>(std::move(encoder));
}

Status SentencePieceEncoder::ReadScores(const GgufMetadata& metadata) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<float>> scores,
                         metadata.FloatArray(kScoresKey));
  if (!scores) return MissingKey(kScoresKey, "the score of every token of a SentencePiece model");
  if (scores->size() != vocabulary_.size())
    return InvalidKey(
        metadata, kScoresKey,
        "the array needs one element for each of " + std::to_string(vocabulary_.size()) + " tokens",
        std::to_string(scores->size()) + " elements");
  std::vector<TokenId> by_score(scores->size());
  std::iota(by_score.begin(), by_score.end(), 0);
  const auto score = [&](TokenId id) { return (*scores)[static_cast<size_t>(id)]; };
  std::sort(by_score.begin(), by_score.end(),
            [&](TokenId a, TokenId b) { return score(a) > score(b); });
  ranks_.resize(scores->size());
  uint32_t rank = 0;
  for (size_t i = 0; i < by_score.size(); ++i) {
    if (i > 0 && score(by_score[i]) != score(by_score[i - 1])) ++rank;
    ranks_[static_cast<size_t>(by_score[i])] = rank;
  }
  return Status();
}

void SentencePieceEncoder::FindJoinedCharacters() {
  for (size_t i = 0; i < vocabulary_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view text = vocabulary_.text(id);
    if (vocabulary_.FindText(text) != id) continue;
    for (size_t at = 0; at < text.size();) {
      const Utf8Step step = DecodeUtf8(text, at);
      at += step.size;
      if (step.code_point != ' ' && at < text.size() && text[at] == ' ')
        joined_to_space_.insert(step.code_point);
    }
  }
}

void SentencePieceEncoder::FindWholeTokens() {
  constexpr size_t kMaxTriedBytes = 128;  // longer words are too rare to matter
  is_whole_.assign(vocabulary_.size(), false);
  Scratch scratch;
  for (size_t i = 0; i < vocabulary_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view text = vocabulary_.text(id);
    if (text.size() > kMaxTriedBytes || vocabulary_.FindText(text) != id) continue;
    is_whole_[i] = has_pairs_ && text.find_first_not_of('\n') == std::string_view::npos;
    if (is_whole_[i]) continue;
    Merge(text, scratch);
    is_whole_[i] = scratch.symbols.size() == 1 && scratch.symbols[0].id == id;
  }
}

void SentencePieceEncoder::Encode(std::string_view segment, std::vector<TokenId>& ids) const {
  // To SentencePiece a space and U+2581 are the same character.
  std::string unescaped;
  for (size_t at = segment.find(kEscapedSpace); at != std::string_view::npos;
       at = segment.find(kEscapedSpace)) {
    unescaped += segment.substr(0, at);
    unescaped.push_back(' ');
    segment.remove_prefix(at + kEscapedSpace.size());
  }
  if (!unescaped.empty()) {
    unescaped += segment;
    segment = unescaped;
  }
  Scratch scratch;
  for (size_t begin = 0; begin < segment.size();) {
    const size_t end = WordEnd(segment, begin);
    EncodeWord(segment.substr(begin, end - begin), scratch, ids);
    begin = end;
  }
}

// Merging works on the whole text, or line. Yet where no token holds the two characters at a
// border, no merge can cross it, and the sides are independent: nearly always so before a space
// that follows another character. Words are short, and most are tokens.
size_t SentencePieceEncoder::WordEnd(std::string_view text, size_t begin) const {
  size_t end = begin;
  char32_t last = ' ';
  const bool begins_with_break = text[begin] == '\n';
  while (end < text.size() && end - begin < kMaxPieceBytes) {
    const auto byte = static_cast<uint8_t>(text[end]);
    if (byte == ' ' && last != ' ' && !joined_to_space_.contains(last)) break;
    if (has_pairs_ && (byte == '\n') != begins_with_break) break;
    const Utf8Step step =
        byte < 0x80 ? Utf8Step{byte, 1, Utf8Step::Kind::kCharacter} : DecodeUtf8(text, end);
    last = step.code_point;
    end += step.size;
  }
  return end;
}

void SentencePieceEncoder::EncodeWord(std::string_view word, Scratch& scratch,
                                      std::vector<TokenId>& ids) const {
  const TokenId whole = vocabulary_.FindText(word);
  if (whole != Vocabulary::kNone && is_whole_[static_cast<size_t>(whole)]) {
    ids.push_back(whole);
    return;
  }
  Merge(word, scratch);
  for (const Symbol& symbol : scratch.symbols) {
    if (symbol.id != Vocabulary::kNone) {
      ids.push_back(symbol.id);
    } else {
      AppendBytes(word.substr(symbol.begin, symbol.size), ids);
    }
  }
}

void SentencePieceEncoder::Merge(std::string_view word, Scratch& scratch) const {
  SplitCharacters(word, vocabulary_, scratch.symbols);
  MergeSymbols(scratch.symbols, scratch.candidates, [&](const Symbol& left, const Symbol& right) {
    return CandidateOf(word, left, right);
  });
}

MergeCandidate SentencePieceEncoder::CandidateOf(std::string_view word, const Symbol& left,
                                                 const Symbol& right) const {
  if (has_pairs_) return merges_.Find(left.id, right.id);
  const size_t size = right.end() - left.begin;
  if (size > vocabulary_.max_text_bytes()) return {};
  const TokenId id = vocabulary_.FindText(word.substr(left.begin, size));
  if (id == Vocabulary::kNone) return {};
  return {ranks_[static_cast<size_t>(id)], id};
}

void SentencePieceEncoder::AppendBytes(std::string_view character,
                                       std::vector<TokenId>& ids) const {
  const bool has_bytes = std::all_of(character.begin(), character.end(), [&](char c) {
    return vocabulary_.byte_token(static_cast<uint8_t>(c)) != Vocabulary::kNone;
  });
  if (has_bytes) {
    for (const char c : character) ids.push_back(vocabulary_.byte_token(static_cast<uint8_t>(c)));
  } else if (vocabulary_.special().unknown) {
    ids.push_back(*vocabulary_.special().unknown);
  }
}

}  // namespace forge
