#include "engine/runtime/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "kernels/base/check.h"

namespace forge {

StopMatcher::Pattern::Pattern(std::string pattern)
    : text(std::move(pattern)), border(text.size(), 0) {
  FORGE_CHECK(!text.empty(), "a stop string is empty");
  for (size_t i = 1; i < text.size(); ++i) {
    uint32_t length = border[i - 1];
    while (length > 0 && text[i] != text[length]) length = border[length - 1];
    border[i] = text[i] == text[length] ? length + 1 : 0;
  }
}

void StopMatcher::Pattern::Advance(char byte) {
  while (n_matched > 0 && byte != text[n_matched]) n_matched = border[n_matched - 1];
  if (byte == text[n_matched]) ++n_matched;
}

StopMatcher::StopMatcher(std::vector<std::string> stop_strings) {
  patterns_.reserve(stop_strings.size());
  for (std::string& stop : stop_strings) patterns_.emplace_back(std::move(stop));
}

std::string StopMatcher::Add(std::string_view text) {
  if (found()) return std::string();
  uint32_t n_partial = 0;
  for (const char byte : text) {
    held_.push_back(byte);
    uint32_t n_complete = 0;
    n_partial = 0;
    for (Pattern& pattern : patterns_) {
      pattern.Advance(byte);
      n_partial = std::max(n_partial, pattern.n_matched);
      if (pattern.complete()) n_complete = std::max(n_complete, pattern.n_matched);
    }
    if (n_complete == 0) continue;
    found_ = held_.substr(held_.size() - n_complete);
    return Take(held_.size() - n_complete);
  }
  return text.empty() ? std::string() : Take(held_.size() - n_partial);
}

std::string StopMatcher::Finish() { return found() ? std::string() : Take(held_.size()); }

std::string StopMatcher::Take(size_t n_bytes) {
  std::string text(held_, 0, n_bytes);
  held_.erase(0, n_bytes);
  return text;
}

}  // namespace forge
