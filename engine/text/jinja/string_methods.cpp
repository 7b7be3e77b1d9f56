#include <algorithm>

#include "engine/text/jinja/native.h"
#include "engine/text/jinja/string_functions.h"

// Methods of str that cut, join and search.

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

template <bool left, bool right>
Result<Value> StripMethod(NativeCall& call) {
  if (!call.Has(0) || call[0].Is(Kind::kNone))
    return Value(Strip(call.self.text(), nullptr, left, right, call.budget()));
  FORGE_ASSIGN_OR_RETURN(const Text chars, TextArgument(call, 0, "chars"));
  return Value(Strip(call.self.text(), &chars.bytes, left, right, call.budget()));
}

Result<Value> ReplaceMethod(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Text from, TextArgument(call, 0, "old"));
  FORGE_ASSIGN_OR_RETURN(const Text to, TextArgument(call, 1, "new"));
  int64_t count = -1;
  if (call.Has(2)) {
    FORGE_ASSIGN_OR_RETURN(count, IntegerArgument(call, 2, "count"));
  }
  return Value(Replace(call.self.text(), from.bytes, to, count, call.budget()));
}

// --- Splitting

struct Pieces {
  const Text& text;
  Budget& budget;
  std::vector<Value> values;

  void Add(size_t begin, size_t end) {
    if (budget.Allocate(sizeof(Value))) values.emplace_back(Part(text, begin, end - begin, budget));
  }
};

// Where words begin and end.
std::vector<ByteRange> Words(const std::string& text, Budget& budget) {
  std::vector<ByteRange> words;
  bool in_word = false;
  for (size_t i = 0; i < text.size() && !budget.exhausted();) {
    const std::string_view c = std::string_view(text).substr(i, CharSize(text, i));
    const bool is_space = AllAre(c, CharTest::kSpace);
    if (!is_space && !in_word && budget.Allocate(sizeof(ByteRange))) words.push_back({i, i});
    if (!is_space && !words.empty()) words.back().end = i + c.size();
    in_word = !is_space;
    i += c.size();
  }
  return words;
}

// At white space; `max_splits` < 0: everywhere. What is left over keeps its white space but that
// beside a split.
void SplitWords(Pieces& pieces, int64_t max_splits, bool from_right) {
  const std::vector<ByteRange> words = Words(pieces.text.bytes, pieces.budget);
  const auto n_words = static_cast<int64_t>(words.size());
  const bool has_rest = max_splits >= 0 && max_splits < n_words - 1;
  if (!has_rest) {
    for (const ByteRange& word : words) pieces.Add(word.begin, word.end);
    return;
  }
  const auto n = static_cast<size_t>(max_splits);
  if (from_right) {
    const size_t first = words.size() - n;
    pieces.Add(0, words[first - 1].end);
    for (size_t i = first; i < words.size(); ++i) pieces.Add(words[i].begin, words[i].end);
    return;
  }
  for (size_t i = 0; i < n; ++i) pieces.Add(words[i].begin, words[i].end);
  pieces.Add(words[n].begin, pieces.text.bytes.size());
}

// Where `part` is in `text`, at most `max_count` times if that is not negative, without overlaps.
std::vector<size_t> Places(std::string_view text, std::string_view part, int64_t max_count,
                           Budget& budget) {
  std::vector<size_t> places;
  budget.Spend(text.size());
  for (size_t place = Find(text, part, 0);
       place != std::string_view::npos && budget.Allocate(sizeof(size_t)) &&
       (max_count < 0 || static_cast<int64_t>(places.size()) < max_count);
       place = Find(text, part, place + part.size()))
    places.push_back(place);
  return places;
}

// The same from the end on. Both are turned around, because std::string::rfind is quadratic.
std::vector<size_t> PlacesFromRight(const std::string& text, const std::string& part,
                                    int64_t max_count, Budget& budget) {
  if (!budget.Allocate(text.size() + part.size())) return {};
  const std::string turned(text.rbegin(), text.rend());
  std::vector<size_t> places =
      Places(turned, std::string(part.rbegin(), part.rend()), max_count, budget);
  for (size_t& place : places) place = text.size() - place - part.size();
  std::reverse(places.begin(), places.end());
  return places;
}

void SplitAt(Pieces& pieces, const std::string& separator, int64_t max_splits, bool from_right) {
  const std::string& text = pieces.text.bytes;
  const std::vector<size_t> places =
      from_right ? PlacesFromRight(text, separator, max_splits, pieces.budget)
                 : Places(text, separator, max_splits, pieces.budget);
  size_t begin = 0;
  for (const size_t place : places) {
    pieces.Add(begin, place);
    begin = place + separator.size();
  }
  pieces.Add(begin, text.size());
}

template <bool from_right>
Result<Value> Split(NativeCall& call) {
  int64_t max_splits = -1;
  if (call.Has(1)) {
    FORGE_ASSIGN_OR_RETURN(max_splits, IntegerArgument(call, 1, "maxsplit"));
  }
  Pieces pieces{call.self.text(), call.budget(), {}};
  if (!call.Has(0) || call[0].Is(Kind::kNone)) {
    SplitWords(pieces, max_splits, from_right);
  } else {
    FORGE_ASSIGN_OR_RETURN(const Text separator, TextArgument(call, 0, "sep"));
    if (separator.bytes.empty()) return call.runtime.Fail("split() has an empty separator");
    SplitAt(pieces, separator.bytes, max_splits, from_right);
  }
  return MakeList(std::move(pieces.values), call.budget());
}

Result<Value> Splitlines(NativeCall& call) {
  std::vector<Value> lines;
  for (Text& line : SplitLines(call.self.text(), call[0].IsTrue(), call.budget()))
    lines.emplace_back(std::move(line));
  return MakeList(std::move(lines), call.budget());
}

template <bool from_right>
Result<Value> Partition(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Text separator, TextArgument(call, 0, "sep"));
  if (separator.bytes.empty()) return call.runtime.Fail("partition() has an empty separator");
  Pieces pieces{call.self.text(), call.budget(), {}};
  SplitAt(pieces, separator.bytes, 1, from_right);
  std::vector<Value> parts = std::move(pieces.values);
  if (parts.size() == 1) {
    parts.resize(3, Value(Text()));
    if (from_right) std::swap(parts[0], parts[2]);
  } else {
    parts.insert(parts.begin() + 1, Value(separator));
  }
  return MakeList(std::move(parts), call.budget(), Flavor::kTuple);
}

// --- Searching

// The part of a text that start and end arguments choose, in bytes.
Result<ByteRange> Window(NativeCall& call, size_t first_argument) {
  const std::string& bytes = call.self.bytes();
  call.budget().Spend(bytes.size());
  ByteRange window{0, bytes.size()};
  const auto n_chars = static_cast<int64_t>(CountChars(bytes));
  for (size_t i = 0; i < 2; ++i) {
    const size_t argument = first_argument + i;
    if (!call.Has(argument) || call[argument].Is(Kind::kNone)) continue;
    FORGE_ASSIGN_OR_RETURN(int64_t bound, IntegerArgument(call, argument, "start or end"));
    if (bound < 0) bound = bound < -n_chars ? 0 : bound + n_chars;
    const size_t offset = bound > n_chars ? bytes.size() + (i == 0 ? 1 : 0)
                                          : CharOffset(bytes, static_cast<size_t>(bound));
    (i == 0 ? window.begin : window.end) = offset;
  }
  return window;
}

template <bool at_end>
Result<Value> StartsOrEnds(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const ByteRange window, Window(call, 1));
  if (window.begin > window.end) return Value(false);
  const std::string_view text =
      std::string_view(call.self.bytes()).substr(window.begin, window.end - window.begin);
  const auto matches = [text](const Value& affix) {
    return at_end ? text.ends_with(affix.bytes()) : text.starts_with(affix.bytes());
  };
  if (call[0].Is(Kind::kList) && call[0].list().flavor == Flavor::kTuple) {
    for (const Value& affix : call[0].list().items) {
      if (!affix.Is(Kind::kString)) return call.runtime.Fail("a tuple of strings is needed");
      if (matches(affix)) return Value(true);
    }
    return Value(false);
  }
  FORGE_TRY(TextArgument(call, 0, at_end ? "suffix" : "prefix").status());
  return Value(matches(call[0]));
}

template <bool from_right, bool must_exist>
Result<Value> FindMethodOf(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Text part, TextArgument(call, 0, "sub"));
  FORGE_ASSIGN_OR_RETURN(const ByteRange window, Window(call, 1));
  size_t found = std::string_view::npos;
  if (window.begin <= window.end) {
    const std::string_view text = std::string_view(call.self.bytes()).substr(0, window.end);
    for (size_t place = Find(text, part.bytes, window.begin); place != std::string_view::npos;
         place = part.bytes.empty() && place == text.size() ? std::string_view::npos
                                                            : Find(text, part.bytes, place + 1)) {
      found = place;
      if (!from_right || !call.budget().Spend(part.bytes.size())) break;
    }
  }
  if (found != std::string_view::npos)
    return Value(
        static_cast<int64_t>(CountChars(std::string_view(call.self.bytes()).substr(0, found))));
  if (must_exist) return call.runtime.Fail("index() does not find the string");
  return Value(int64_t{-1});
}

Result<Value> Count(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Text part, TextArgument(call, 0, "sub"));
  const std::string& text = call.self.bytes();
  call.budget().Spend(text.size());
  if (part.bytes.empty()) return Value(static_cast<int64_t>(CountChars(text)) + 1);
  int64_t n = 0;
  for (size_t place = Find(text, part.bytes, 0); place != std::string_view::npos;
       place = Find(text, part.bytes, place + part.bytes.size()))
    ++n;
  return Value(n);
}

constexpr Native kMethods[] = {
    {"strip", &StripMethod<true, true>, {"chars"}},
    {"lstrip", &StripMethod<true, false>, {"chars"}},
    {"rstrip", &StripMethod<false, true>, {"chars"}},
    {"replace", &ReplaceMethod, {"old", "new", "count"}, 2},
    {"split", &Split<false>, {"sep", "maxsplit"}},
    {"rsplit", &Split<true>, {"sep", "maxsplit"}},
    {"splitlines", &Splitlines, {"keepends"}},
    {"partition", &Partition<false>, {"sep"}, 1},
    {"rpartition", &Partition<true>, {"sep"}, 1},
    {"startswith", &StartsOrEnds<false>, {"prefix", "start", "end"}, 1},
    {"endswith", &StartsOrEnds<true>, {"suffix", "start", "end"}, 1},
    {"find", &FindMethodOf<false, false>, {"sub", "start", "end"}, 1},
    {"rfind", &FindMethodOf<true, false>, {"sub", "start", "end"}, 1},
    {"index", &FindMethodOf<false, true>, {"sub", "start", "end"}, 1},
    {"rindex", &FindMethodOf<true, true>, {"sub", "start", "end"}, 1},
    {"count", &Count, {"sub"}, 1},
};

}  // namespace

std::span<const Native> StringMethods() { return kMethods; }

}  // namespace forge::jinja
