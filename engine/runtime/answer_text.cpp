#include "engine/runtime/answer_text.h"

namespace forge {

AnswerText::AnswerText(const Tokenizer& tokenizer, const std::vector<std::string>& stop_strings,
                       const std::optional<ChatOutputOptions>& chat)
    : tokenizer_(tokenizer),
      decoder_(tokenizer, /*skip_leading_space=*/false),
      stop_matcher_(stop_strings) {
  if (chat) parser_.emplace(*chat);
}

TextPiece AnswerText::Add(TokenId token) {
  std::string text = decoder_.Add(token);
  // Markers are control tokens in some files, and then have no text of their own.
  if (parser_ && tokenizer_.IsControl(token)) {
    const std::string name = tokenizer_.TokenBytes(token, /*render_special=*/true);
    if (ChatOutputParser::IsMarker(name)) text += name;
  }
  text = stop_matcher_.Add(text);
  if (!parser_) return {TextKind::kContent, std::move(text)};
  parser_->Add(text);
  return parser_->Take();
}

std::optional<std::string> AnswerText::CallText() const {
  if (decoder_.holds_back() || stop_matcher_.holds_back()) return std::nullopt;
  return parser_->CallText();
}

TextPiece AnswerText::Finish() {
  std::string text = stop_matcher_.Add(decoder_.Finish());
  text += stop_matcher_.Finish();
  if (!parser_) return {TextKind::kContent, std::move(text)};
  parser_->Add(text);
  parser_->Finish();
  return parser_->TakeRest();
}

ChatAnswer AnswerText::Answer() const {
  return {parser_->content(), parser_->reasoning(), parser_->tool_calls()};
}

}  // namespace forge
