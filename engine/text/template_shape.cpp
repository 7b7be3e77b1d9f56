#include "engine/text/template_shape.h"

#include <algorithm>
#include <array>

namespace forge {
namespace {

bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool IsIdentifier(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

class ShapeReader {
 public:
  explicit ShapeReader(std::string_view source) : source_(source) {
    if (source_.ends_with('\n')) source_.remove_suffix(1);  // as Jinja does
  }

  std::optional<TemplateShape> Read() {
    while (at_ < source_.size()) {
      ReadText();
      if (at_ < source_.size() && !ReadTag()) return std::nullopt;
    }
    return std::move(shape_);
  }

 private:
  // Text up to the next tag, or to the end.
  void ReadText() {
    size_t end = at_;
    while (end < source_.size() && !StartsTag(end)) ++end;
    std::string_view text = source_.substr(at_, end - at_);
    bool starts_line = at_ == 0;
    if (strip_next_) text.remove_prefix(LeadingBlanks(text));
    if (trim_newline_ && text.starts_with('\n')) {
      text.remove_prefix(1);
      starts_line = true;
    }
    if (end < source_.size()) {
      const bool strips = source_.substr(end + 2, 1) == "-";
      const size_t last = text.find_last_not_of(" \t");
      const bool only_blanks_before =
          last == std::string_view::npos ? starts_line : text[last] == '\n';
      if (strips) {
        while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
      } else if (source_[end + 1] != '{' && only_blanks_before) {
        text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
      }
    }
    if (!text.empty()) {
      shape_.code += TemplateShape::kTextBegin;
      shape_.code += text;
      shape_.code += TemplateShape::kTextEnd;
    }
    at_ = end;
  }

  // REQUIRES: a tag starts at at_. False if it is not closed.
  bool ReadTag() {
    const char kind = source_[at_ + 1];
    at_ += 2;
    if (source_.substr(at_, 1) == "-") ++at_;
    if (kind == '#') return SkipComment();
    const std::array<char, 2> close = {kind == '{' ? '}' : '%', '}'};
    const std::string_view close_text(close.data(), close.size());
    shape_.code += {'{', kind};
    while (at_ < source_.size()) {
      const bool dash = source_[at_] == '-' && source_.substr(at_ + 1, 2) == close_text;
      if (dash || source_.substr(at_, 2) == close_text) {
        shape_.code += close_text;
        CloseTag(at_ + (dash ? 3 : 2), dash, kind == '%');
        return true;
      }
      if (source_[at_] == '\'' || source_[at_] == '"') {
        if (!ReadLiteral()) return false;
      } else if (!ReadMember()) {
        if (!IsBlank(source_[at_])) shape_.code += source_[at_];
        ++at_;
      }
    }
    return false;
  }

  bool SkipComment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) return false;
    CloseTag(end + 2, end > at_ && source_[end - 1] == '-', true);
    return true;
  }

  void CloseTag(size_t end, bool strip_next, bool trim_newline) {
    at_ = end;
    strip_next_ = strip_next;
    trim_newline_ = trim_newline;
  }

  // A quoted string; one that "+" joins to another becomes part of it. False if it is not closed.
  bool ReadLiteral() {
    const char quote = source_[at_++];
    std::string literal;
    for (; at_ < source_.size() && source_[at_] != quote; ++at_) {
      char c = source_[at_];
      if (c == '\\' && at_ + 1 < source_.size()) {
        c = source_[++at_];
        if (c == 'n') c = '\n';
        if (c == 't') c = '\t';
      }
      literal += c;
    }
    if (at_ == source_.size()) return false;
    ++at_;
    const bool continues = shape_.code.size() == literal_end_ + 1 && shape_.code.ends_with("'+");
    if (continues) {
      shape_.code.resize(literal_end_ - 1);
      shape_.literals.back() += literal;
    } else {
      shape_.code += '\'';
      shape_.literals.push_back(literal);
    }
    for (const char c : literal) {
      if (c == '\n') {
        shape_.code += "\\n";
      } else {
        if (c == '\'' || c == '\\') shape_.code += '\\';
        shape_.code += c;
      }
    }
    shape_.code += '\'';
    literal_end_ = shape_.code.size();
    return true;
  }

  // .role or .content, written as a subscript. False if there is neither.
  bool ReadMember() {
    for (const std::string_view name : {std::string_view("role"), std::string_view("content")}) {
      const size_t end = at_ + 1 + name.size();
      if (source_[at_] != '.' || source_.substr(at_ + 1, name.size()) != name) continue;
      if (end < source_.size() && IsIdentifier(source_[end])) continue;
      shape_.code += "['" + std::string(name) + "']";
      at_ = end;
      return true;
    }
    return false;
  }

  bool StartsTag(size_t i) const {
    const std::string_view two = source_.substr(i, 2);
    return two == "{{" || two == "{%" || two == "{#";
  }

  static size_t LeadingBlanks(std::string_view text) {
    return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsBlank) - text.begin());
  }

  std::string_view source_;
  size_t at_ = 0;
  bool strip_next_ = false;    // the last tag ended in a dash
  bool trim_newline_ = false;  // the last tag was a block or a comment
  size_t literal_end_ = 0;     // in the code: where the last string ended
  TemplateShape shape_;
};

}  // namespace

std::optional<TemplateShape> ReadTemplateShape(std::string_view source) {
  return ShapeReader(source).Read();
}

}  // namespace forge
