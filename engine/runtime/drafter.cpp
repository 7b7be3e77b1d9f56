#include "engine/runtime/drafter.h"

#include <algorithm>

namespace forge {

size_t Drafter::ClassOf(size_t match_length) {
  if (match_length <= kLeastMatch) return 0;
  if (match_length <= 4) return 1;
  return match_length <= 8 ? 2 : 3;
}

// The longest match, and of those the last one: what was written lately is more likely to go on.
Drafter::Match Drafter::FindMatch(std::span<const TokenId> sequence) {
  Match best;
  if (sequence.size() <= kLeastMatch) return best;
  const TokenId last = sequence[sequence.size() - 1], before_last = sequence[sequence.size() - 2];
  const size_t first_end =
      std::max(kLeastMatch, sequence.size() - std::min(sequence.size(), kReach));
  for (size_t end = sequence.size() - 1; end >= first_end; --end) {
    if (sequence[end - 1] != last || sequence[end - 2] != before_last) continue;
    const size_t longest = std::min(kLongestMatch, end);
    size_t length = kLeastMatch;
    while (length < longest && sequence[end - 1 - length] == sequence[sequence.size() - 1 - length])
      ++length;
    if (length > best.length) best = {end, length};
    if (length == kLongestMatch) break;
  }
  return best;
}

const Draft& Drafter::Propose(std::span<const TokenId> sequence, size_t most) {
  draft_.tokens.clear();
  draft_.probabilities.clear();
  n_learned_ = 0;
  const Match match = FindMatch(sequence);
  match_length_ = match.length;
  if (match.length == 0) return draft_;
  // Where it is near, what follows it runs into the draft itself: the answer goes in circles.
  const size_t period = sequence.size() - match.end;
  for (size_t i = 0; i < most; ++i) {
    draft_.tokens.push_back(i < period ? sequence[match.end + i] : draft_.tokens[i - period]);
    draft_.probabilities.push_back(hit_rates_[ClassOf(match.length + i)]);
  }
  return draft_;
}

void Drafter::Learn(TokenId token) {
  if (n_learned_ == draft_.tokens.size()) return;
  constexpr double kWeight = 1.0 / 8;
  const bool is_right = draft_.tokens[n_learned_] == token;
  double& rate = hit_rates_[ClassOf(match_length_ + n_learned_)];
  rate += kWeight * ((is_right ? 1.0 : 0.0) - rate);
  ++n_learned_;
  if (!is_right) draft_.tokens.resize(n_learned_);  // what comes after it says nothing
}

}  // namespace forge
