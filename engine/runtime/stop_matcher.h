#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace forge {

// Finds the first stop string in a stream of text and never lets a part of one through.
//
// The first stop string is the one that is complete first; of several that end together, the
// longest. What comes out does not depend on how the text is cut into pieces. If text and stop
// strings are UTF-8 and the text comes in whole characters, it goes out in whole characters.
// Not thread-safe.
class StopMatcher {
 public:
  // REQUIRES: no stop string is empty.
  explicit StopMatcher(std::vector<std::string> stop_strings);

  // The text that has become certain: neither part of a stop string nor of what may become one.
  // Once a stop string was found, nothing more.
  std::string Add(std::string_view text);
  // What was held back, at the end of the stream. Nothing if a stop string was found.
  std::string Finish();

  // Some of what was added did not come out yet.
  bool holds_back() const { return !held_.empty(); }

  bool found() const { return !found_.empty(); }
  // The stop string that was found; empty: none.
  const std::string& found_string() const { return found_; }

 private:
  // A stop string and how much of it the text ends with, after Knuth, Morris and Pratt, "Fast
  // pattern matching in strings", 1977: constant cost per byte, whatever the text repeats.
  struct Pattern {
    std::string text;
    std::vector<uint32_t> border;  // [i]: length of the longest border of text[0, i]
    uint32_t n_matched = 0;

    explicit Pattern(std::string pattern);
    void Advance(char byte);
    bool complete() const { return n_matched == text.size(); }
  };

  std::string Take(size_t n_bytes);  // from the front of held_

  std::vector<Pattern> patterns_;
  std::string held_;  // not yet handed out
  std::string found_;
};

}  // namespace forge
