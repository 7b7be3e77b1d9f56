#include "engine/grammar/forced_text.h"

#include <utility>

#include "engine/text/utf8.h"

namespace forge {
namespace {

// Of what a guess may cost; a JSON text of some levels takes a few KiB.
constexpr StackSets::Limits kLimits = {.work = 20'000, .bytes = size_t{1} << 20};
constexpr size_t kMostFrames = 32;
// Past this, unused sets are dropped.
constexpr size_t kCompactBytes = kLimits.bytes / 2;
// Blanks that are told apart between two parts.
constexpr size_t kMostBlanks = 64;
// Within a string nearly every byte may come; between two parts blanks, and few others: the most
// where a value begins.
constexpr size_t kMostBetween = 32;

constexpr std::string_view kBlanks = " \n\t\r";

bool IsBlank(uint8_t byte) { return kBlanks.find(static_cast<char>(byte)) != kBlanks.npos; }

std::bitset<256> WithoutBlanks(std::bitset<256> bytes) {
  for (const char blank : kBlanks) bytes.reset(static_cast<uint8_t>(blank));
  return bytes;
}

bool IsBetweenParts(const std::bitset<256>& bytes) {
  const std::bitset<256> others = WithoutBlanks(bytes);
  return others != bytes && others.count() <= kMostBetween;
}

// What tells places for blanks apart: the bytes around them, but behind an opening bracket, `:` and
// `,` that byte alone, whatever kind of value follows.
std::pair<uint8_t, uint8_t> PlaceOf(uint8_t before, uint8_t next) {
  const bool decides = before != 0 && std::string_view("{[:,").find(static_cast<char>(before)) !=
                                          std::string_view::npos;
  return {before, decides ? uint8_t{0} : next};
}

uint8_t FirstOf(const std::bitset<256>& bytes) {
  size_t byte = 0;
  while (!bytes.test(byte)) ++byte;
  return static_cast<uint8_t>(byte);
}

std::string WholeCharacters(std::string text) {
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = DecodeUtf8(text, i);
    if (step.kind == Utf8Step::Kind::kTruncated) text.resize(i);
    i += step.size;
  }
  return text;
}

}  // namespace

ForcedText::ForcedText(const Automaton& automaton)
    : sets_(automaton, kLimits), now_{.set = sets_.Start()} {}

void ForcedText::Follow(std::string_view bytes) {
  sets_.BeginWork();
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (!IsBlank(byte) && IsBetweenParts(BytesAt(now_)))
      blanks_[PlaceOf(now_.before, byte)] = now_.blanks;
    Step(now_, byte);
  }
  if (sets_.bytes() > kCompactBytes) now_.set = sets_.Compact(now_.set);
}

void ForcedText::Step(Place& place, uint8_t byte) {
  if (IsBlank(byte) && IsBetweenParts(BytesAt(place))) {
    if (place.blanks.size() < kMostBlanks) place.blanks += static_cast<char>(byte);
  } else {
    place.before = byte;
    place.blanks.clear();
  }
  place.set = sets_.Next(place.set, byte);
}

std::string ForcedText::Next(size_t most) {
  sets_.BeginWork();
  std::string text;
  Place place = now_;
  while (text.size() < most) {
    const std::optional<uint8_t> byte = Expected(place);
    if (!byte) break;
    text += static_cast<char>(*byte);
    Step(place, *byte);
  }
  return WholeCharacters(std::move(text));
}

size_t ForcedText::CountPossible(std::string_view bytes) {
  sets_.BeginWork();
  StackSets::SetId set = now_.set;
  size_t n_possible = 0;
  for (; n_possible < bytes.size(); ++n_possible) {
    set = sets_.Next(set, static_cast<uint8_t>(bytes[n_possible]));
    if (set == StackSets::kNothing) break;
  }
  return n_possible;
}

std::bitset<256> ForcedText::BytesAt(const Place& place) const {
  if (sets_.frames(place.set).size() > kMostFrames) return {};
  return sets_.BytesAfter(place.set);
}

std::optional<uint8_t> ForcedText::Expected(const Place& place) const {
  if (sets_.IsComplete(place.set)) return std::nullopt;  // the model may end the answer
  const std::bitset<256> bytes = BytesAt(place);
  if (bytes.count() == 1) return FirstOf(bytes);
  const std::bitset<256> others = WithoutBlanks(bytes);
  if (others == bytes || others.count() > 1) return std::nullopt;
  const uint8_t other = others.any() ? FirstOf(others) : uint8_t{0};
  const std::string_view blanks = BlanksBetween(place.before, other);
  if (blanks.size() > place.blanks.size() && blanks.starts_with(place.blanks)) {
    const auto next = static_cast<uint8_t>(blanks[place.blanks.size()]);
    if (bytes.test(next)) return next;
  }
  return others.any() ? std::optional(other) : std::nullopt;
}

std::string_view ForcedText::BlanksBetween(uint8_t before, uint8_t next) const {
  const auto known = blanks_.find(PlaceOf(before, next));
  if (known != blanks_.end()) return known->second;
  if (before != ':' && before != ',') return "";
  // Who puts the first property on a line of its own does so with the others, and who writes no
  // blanks at all writes none here.
  const auto first = blanks_.find(PlaceOf('{', next)), value = blanks_.find(PlaceOf(':', next));
  if (before == ',' && first != blanks_.end() && first->second.starts_with('\n'))
    return first->second;
  return value != blanks_.end() ? std::string_view(value->second) : " ";
}

}  // namespace forge
