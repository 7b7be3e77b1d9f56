#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/budget.h"

namespace forge::jinja {

// A stretch of bytes [begin, end) of a text.
struct ByteRange {
  size_t begin = 0;
  size_t end = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// UTF-8 that knows which of its bytes were said in the conversation rather than by the template.
//
// Invariant: `literal` is sorted, without overlaps, empty or touching ranges. Whatever is cut out,
// joined or mapped keeps its marks, so that no spelling of a control token in a message can become
// one.
struct Text {
  std::string bytes;
  std::vector<ByteRange> literal;

  // Whether byte `i` was said in the conversation.
  bool IsLiteral(size_t i) const;
};

// Puts a text together. Appends nothing more once the budget is exhausted.
class TextBuilder {
 public:
  explicit TextBuilder(Budget& budget) : budget_(budget) { budget_.Allocate(kTextBytes); }

  void Append(std::string_view bytes, bool is_literal = false);
  void Append(const Text& text) { Append(text, 0, text.bytes.size()); }
  void Append(const Text& text, size_t begin, size_t size);

  size_t size() const { return text_.bytes.size(); }
  Text Take() { return std::move(text_); }

 private:
  static constexpr uint64_t kTextBytes = 96;  // what a text takes besides its bytes, about

  Budget& budget_;
  Text text_;
};

// The part of `text` from `begin` on. REQUIRES: begin + size <= the text's size.
Text Part(const Text& text, size_t begin, size_t size, Budget& budget);

// The bytes of the well-formed or broken character at `position`, at least 1.
size_t CharSize(std::string_view text, size_t position);
size_t CountChars(std::string_view text);
// Where character `index` starts; the text's size if it has no more.
size_t CharOffset(std::string_view text, size_t index);

// White space as Python's str.strip takes it.
bool IsSpace(char32_t code_point);
// `text` without white space at its ends.
std::string_view StripSpace(std::string_view text, bool left, bool right);

// The first place of `part` in `text` from `begin` on, or npos. Linear in both, unlike std::find.
size_t Find(std::string_view text, std::string_view part, size_t begin);

}  // namespace forge::jinja
