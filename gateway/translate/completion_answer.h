#pragma once

#include <string>

#include "gateway/translate/answer.h"
#include "gateway/translate/logprobs.h"

namespace forge::gateway {

// An object "text_completion".
class WholeCompletion final : public WholeAnswer {
 public:
  WholeCompletion(AnswerHead head, bool logprobs);

  void Take(const v1::GenerateResponse& event) override;
  Json ToJson() const override;

 private:
  const AnswerHead head_;
  const bool has_logprobs_;
  std::string text_;
  CompletionLogprobs logprobs_;
  v1::GenerateResponse::Finished finished_;
};

// Objects "text_completion", each with a piece of the text. The stream begins when the prompt is
// being computed.
class StreamedCompletion final : public StreamedAnswer {
 public:
  StreamedCompletion(AnswerHead head, bool logprobs, bool include_usage);

  std::string Take(const v1::GenerateResponse& event) override;

 private:
  std::string Chunk(const std::string& text, const Json& logprobs, const char* finish_reason) const;
  std::string TakeToken(const v1::GenerateResponse::Token& token);
  std::string TakeFinished(const v1::GenerateResponse::Finished& finished) const;

  const AnswerHead head_;
  const bool has_logprobs_;
  const bool include_usage_;
  size_t n_characters_ = 0;  // of the text so far
};

}  // namespace forge::gateway
