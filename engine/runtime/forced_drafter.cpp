#include "engine/runtime/forced_drafter.h"

#include <algorithm>
#include <string>

namespace forge {
namespace {

// Of a forced text, for each token that is wanted: few tokens of one are longer.
constexpr size_t kBytesPerToken = 16;
// Tokens of the answer before it that tell how a tokenizer goes on.
constexpr size_t kContextTokens = 4;

}  // namespace

const Draft& ForcedDrafter::Propose(std::span<const TokenId> answer, size_t most) {
  draft_.tokens.clear();
  draft_.probabilities.clear();
  n_forced_ = n_learned_ = 0;
  for (; n_followed_ < answer.size(); ++n_followed_)
    text_.Follow(tokenizer_.TokenBytes(answer[n_followed_], /*render_special=*/false));
  const std::string text = text_.Next(most * kBytesPerToken);
  if (text.empty()) return draft_;
  const std::vector<TokenId> tokens = TokensOf(text, answer);
  n_forced_ = tokens.size();
  for (size_t i = 0; i < std::min(most, tokens.size()); ++i) {
    if (static_cast<uint32_t>(tokens[i]) >= n_vocab_) break;
    draft_.tokens.push_back(tokens[i]);
    draft_.probabilities.push_back(i + 1 == n_forced_ ? last_rate_ : inner_rate_);
  }
  return draft_;
}

std::vector<TokenId> ForcedDrafter::TokensOf(std::string_view text,
                                             std::span<const TokenId> answer) const {
  constexpr Tokenizer::EncodeOptions kOptions = {.add_special = false, .continues_text = true};
  std::string before;
  for (const TokenId token : answer.last(std::min(kContextTokens, answer.size())))
    before += tokenizer_.TokenBytes(token, /*render_special=*/false);
  std::vector<TokenId> tokens = tokenizer_.Encode(before + std::string(text), kOptions);
  size_t n_bytes = 0, n_tokens = 0;
  for (; n_tokens < tokens.size() && n_bytes < before.size(); ++n_tokens)
    n_bytes += tokenizer_.TokenBytes(tokens[n_tokens], /*render_special=*/false).size();
  // No token begins where the text does: the answer has parted from what the tokenizer would make.
  if (n_bytes != before.size()) return tokenizer_.Encode(text, kOptions);
  tokens.erase(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(n_tokens));
  return tokens;
}

void ForcedDrafter::Learn(TokenId token) {
  if (n_learned_ == draft_.tokens.size()) return;
  constexpr double kWeight = 1.0 / 8;
  const bool is_right = draft_.tokens[n_learned_] == token;
  ++n_learned_;
  double& rate = n_learned_ == n_forced_ ? last_rate_ : inner_rate_;
  rate += kWeight * ((is_right ? 1.0 : 0.0) - rate);
  if (!is_right) draft_.tokens.resize(n_learned_);  // what comes after it says nothing
}

size_t ForcedDrafter::CountPossible(std::span<const TokenId> tokens) {
  std::string text;
  std::vector<size_t> ends;
  for (const TokenId token : tokens) {
    const std::string bytes = tokenizer_.TokenBytes(token, /*render_special=*/false);
    if (bytes.empty()) break;  // stands for no text, and is allowed as an end alone
    ends.push_back((text += bytes).size());
  }
  const size_t n_possible = text_.CountPossible(text);
  return static_cast<size_t>(
      std::count_if(ends.begin(), ends.end(), [&](size_t end) { return end <= n_possible; }));
}

}  // namespace forge
