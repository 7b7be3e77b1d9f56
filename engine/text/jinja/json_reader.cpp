#include "engine/text/jinja/json_reader.h"

#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/text/utf8.h"

namespace forge::jinja {
namespace {

class JsonReader {
 public:
  JsonReader(std::string_view json, Budget& budget) : json_(json), budget_(budget) {}

  Result<Value> Run() {
    FORGE_ASSIGN_OR_RETURN(Value value, ReadValue());
    SkipSpace();
    if (i_ < json_.size()) return Wrong("something follows the value");
    return value;
  }

 private:
  Status Wrong(std::string_view what) const {
    return InvalidArgument("malformed JSON at byte " + std::to_string(i_) + ": " +
                           std::string(what));
  }

  void SkipSpace() {
    while (i_ < json_.size() && std::string_view(" \t\r\n").find(json_[i_]) != json_.npos) ++i_;
  }

  bool Take(std::string_view text) {
    if (!json_.substr(i_).starts_with(text)) return false;
    i_ += text.size();
    return true;
  }

  Result<Value> ReadValue() {
    SkipSpace();
    if (i_ >= json_.size()) return Wrong("a value is missing");
    if (!budget_.Spend(0)) return Wrong(budget_.what());
    if (json_[i_] == '{' || json_[i_] == '[') {
      if (++depth_ > budget_.limits().max_value_depth) return Wrong("it is nested too deep");
      Result<Value> value = json_[i_] == '{' ? ReadObject() : ReadArray();
      --depth_;
      return value;
    }
    if (json_[i_] == '"') {
      FORGE_ASSIGN_OR_RETURN(const std::string text, ReadString());
      TextBuilder literal(budget_);
      literal.Append(text, /*is_literal=*/true);
      return Value(literal.Take());
    }
    if (Take("true")) return Value(true);
    if (Take("false")) return Value(false);
    if (Take("null")) return Value();
    return ReadNumber();
  }

  Result<Value> ReadArray() {
    std::vector<Value> items;
    ++i_;
    SkipSpace();
    if (Take("]")) return MakeList({}, budget_);
    while (true) {
      FORGE_ASSIGN_OR_RETURN(Value item, ReadValue());
      if (!budget_.Allocate(sizeof(Value))) return Wrong(budget_.what());
      items.push_back(std::move(item));
      SkipSpace();
      if (Take("]")) return MakeList(std::move(items), budget_);
      if (!Take(",")) return Wrong("',' or ']' is missing");
    }
  }

  Result<Value> ReadObject() {
    std::vector<std::pair<Value, Value>> entries;
    std::map<std::string, size_t> known;
    ++i_;
    SkipSpace();
    if (Take("}")) return MakeDict({}, budget_);
    while (true) {
      SkipSpace();
      if (i_ >= json_.size() || json_[i_] != '"') return Wrong("a key is missing");
      FORGE_ASSIGN_OR_RETURN(const std::string key, ReadString());
      SkipSpace();
      if (!Take(":")) return Wrong("':' is missing");
      FORGE_ASSIGN_OR_RETURN(Value value, ReadValue());
      if (!budget_.Allocate(2 * sizeof(entries[0]) + key.size())) return Wrong(budget_.what());
      const auto [place, is_new] = known.emplace(key, entries.size());
      if (is_new) {
        TextBuilder literal(budget_);
        literal.Append(key, /*is_literal=*/true);
        entries.emplace_back(Value(literal.Take()), std::move(value));
      } else {
        entries[place->second].second = std::move(value);
      }
      SkipSpace();
      if (Take("}")) return MakeDict(std::move(entries), budget_);
      if (!Take(",")) return Wrong("',' or '}' is missing");
    }
  }

  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }

  Result<Value> ReadNumber() {
    size_t end = i_;
    const auto digits = [&] {
      const size_t begin = end;
      while (end < json_.size() && IsDigit(json_[end])) ++end;
      return end - begin;
    };
    if (end < json_.size() && json_[end] == '-') ++end;
    const size_t first = end;
    const size_t n_digits = digits();
    if (n_digits == 0 || (n_digits > 1 && json_[first] == '0')) return Wrong("no value is here");
    bool is_integer = true;
    if (end < json_.size() && json_[end] == '.') {
      ++end;
      is_integer = false;
      if (digits() == 0) return Wrong("a number is malformed");
    }
    if (end < json_.size() && (json_[end] | 0x20) == 'e') {
      ++end;
      is_integer = false;
      if (end < json_.size() && (json_[end] == '+' || json_[end] == '-')) ++end;
      if (digits() == 0) return Wrong("a number is malformed");
    }
    const char* const begin = json_.data() + i_;
    const char* const stop = json_.data() + end;
    int64_t integer = 0;
    if (is_integer && std::from_chars(begin, stop, integer).ec == std::errc()) {
      i_ = end;
      return Value(integer);
    }
    double number = 0.0;
    if (std::from_chars(begin, stop, number).ec != std::errc())
      return Wrong("a number is out of range");
    i_ = end;
    return Value(number);
  }

  std::optional<char32_t> ReadHex() {
    uint32_t value = 0;
    if (i_ + 4 > json_.size()) return std::nullopt;
    const char* const begin = json_.data() + i_;
    const auto result = std::from_chars(begin, begin + 4, value, 16);
    if (result.ec != std::errc() || result.ptr != begin + 4) return std::nullopt;
    i_ += 4;
    return value;
  }

  Status ReadEscape(std::string& text) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char name = i_ < json_.size() ? json_[i_++] : '\0';
    if (const size_t known = kNames.find(name); known != kNames.npos) {
      text.push_back(kMeanings[known]);
      return Status();
    }
    std::optional<char32_t> point = name == 'u' ? ReadHex() : std::nullopt;
    if (!point) return Wrong("an escape is malformed");
    if (*point >= 0xd800 && *point < 0xdc00 && json_.substr(i_, 2) == "\\u") {
      const size_t before = i_;
      i_ += 2;
      const std::optional<char32_t> low = ReadHex();
      if (low && *low >= 0xdc00 && *low < 0xe000) {
        point = 0x10000 + ((*point - 0xd800) << 10) + (*low - 0xdc00);
      } else {
        i_ = before;
      }
    }
    AppendUtf8(*point >= 0xd800 && *point < 0xe000 ? 0xfffd : *point, text);
    return Status();
  }

  Result<std::string> ReadString() {
    std::string text;
    for (++i_; i_ < json_.size();) {
      const auto byte = static_cast<uint8_t>(json_[i_]);
      if (byte == '"') {
        ++i_;
        return text;
      }
      if (byte < 0x20) return Wrong("a control character is in a string");
      if (byte == '\\') {
        ++i_;
        FORGE_TRY(ReadEscape(text));
        continue;
      }
      const Utf8Step step = DecodeUtf8(json_, i_);
      if (step.kind != Utf8Step::Kind::kCharacter) return Wrong("a string is not UTF-8");
      text += json_.substr(i_, step.size);
      i_ += step.size;
    }
    return Wrong("a string has no end");
  }

  const std::string_view json_;
  Budget& budget_;
  size_t i_ = 0;
  uint32_t depth_ = 0;
};

}  // namespace

Result<Value> ReadJson(std::string_view json, Budget& budget) {
  return JsonReader(json, budget).Run();
}

}  // namespace forge::jinja
